from functools import partial

import numpy as np
import pytest

import napari_4dstem as n4
from napari_4dstem.frames.batches import SparseBatch
from napari_4dstem.frames.masks import Masks
from tests.analysis.conftest import NAV_SHAPE, SIG_SHAPE, pixels
from tests.formats.write_raw_csr import write_raw_csr

DTYPES = ["?", "u1", "i1", "<u2", ">u2", ">i2", "u4", ">i4", "f2", "f4", ">f8", "c8"]
ROI = np.random.default_rng(5).random(NAV_SHAPE) < 0.4


def magnitudes(data):
    return np.abs(data) if data.dtype.kind == "c" else data


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("roi", [None, ROI])
def test_frames_equal_those_of_numpy(dtype, roi):
    data = pixels(dtype)
    ds = n4.load("memory", data=data)
    chosen = magnitudes(data)[np.ones(NAV_SHAPE, bool) if roi is None else roi]
    if chosen.dtype.kind in "uib":
        exact = chosen.astype(object).sum(axis=0)
        np.testing.assert_array_equal(n4.sum_frame(ds, roi), exact.astype(float))
        assert [int(n) for n in n4.sum_frame(ds, roi).ravel()] == list(exact.ravel())
    else:
        total = chosen.astype(float).sum(axis=0)
        np.testing.assert_allclose(n4.sum_frame(ds, roi), total, rtol=1e-6, atol=1e-6)
    wide = chosen.astype(np.longdouble)
    tolerance = {"rtol": 1e-6 if chosen.dtype.kind == "f" else 1e-12, "atol": 1e-7}
    np.testing.assert_allclose(
        n4.mean_frame(ds, roi), wide.mean(axis=0).astype(float), **tolerance
    )
    np.testing.assert_allclose(
        n4.std_frame(ds, roi), wide.std(axis=0).astype(float), **tolerance
    )
    brightest = n4.max_frame(ds, roi)
    np.testing.assert_array_equal(brightest, chosen.max(axis=0))
    assert brightest.dtype == chosen.dtype.newbyteorder("=")


@pytest.mark.parametrize("dtype", ["u8", "i8"])
def test_mean_of_64_bits_does_not_overflow(dtype):
    ends = np.iinfo(dtype)
    data = np.array([ends.max, ends.max - 2**20, 0, ends.min], dtype).reshape(4, 1, 1)
    data = np.tile(data, (1, 3, 5))
    expected = data.astype(float).mean(axis=0)
    ds = n4.load("memory", data=data[:, np.newaxis])
    np.testing.assert_allclose(n4.mean_frame(ds), expected, rtol=1e-9)
    np.testing.assert_allclose(n4.std_frame(ds), data.astype(float).std(axis=0))
    nothing = np.zeros((4, 1), bool)
    assert np.isnan(n4.mean_frame(ds, nothing)).all()


def test_missing_frames_do_not_count(blank_scan):
    stored = blank_scan[:][blank_scan.valid].astype(float)
    np.testing.assert_allclose(n4.mean_frame(blank_scan), stored.mean(axis=0))
    np.testing.assert_allclose(n4.std_frame(blank_scan), stored.std(axis=0))
    np.testing.assert_array_equal(n4.sum_frame(blank_scan), stored.sum(axis=0))
    negative = n4.load("memory", data=-pixels("u1").astype("i2") - 1)
    assert (n4.max_frame(negative.with_scan(sync_offset=-5)) < 0).all()


def test_spread_of_large_numbers_keeps_its_digits():
    noise = np.random.default_rng(0).normal(size=NAV_SHAPE + SIG_SHAPE)
    ds = n4.load("memory", data=noise + 1e9)
    np.testing.assert_allclose(
        n4.std_frame(ds), (noise + 1e9 - 1e9).std(axis=(0, 1)), rtol=1e-6
    )
    counts = np.full((300, 300, 2, 2), 2**32 - 1, "u4")
    counts[::2] -= 1
    np.testing.assert_array_equal(n4.std_frame(n4.load("memory", data=counts)), 0.5)


def test_no_frames_have_no_mean(scan):
    none = np.zeros(NAV_SHAPE, bool)
    assert not n4.sum_frame(scan, none).any()
    assert np.isnan(n4.mean_frame(scan, none)).all()
    assert np.isnan(n4.std_frame(scan, none)).all()
    assert not n4.max_frame(scan, none).any()


def test_nan_stays_in_its_pixel():
    data = pixels("f4")
    data[3, 4, 5, 6] = np.nan
    ds = n4.load("memory", data=data)
    for function in (n4.sum_frame, n4.mean_frame, n4.std_frame, n4.max_frame):
        assert np.argwhere(np.isnan(function(ds))).tolist() == [[5, 6]]


def test_statistics_of_corrected_frames(blank_scan):
    corrected = blank_scan.with_corrections(dark=np.full(SIG_SHAPE, 7.5))
    frames = corrected[:][corrected.valid].astype(float)
    np.testing.assert_allclose(n4.mean_frame(corrected), frames.mean(axis=0))
    np.testing.assert_allclose(n4.std_frame(corrected), frames.std(axis=0))
    np.testing.assert_array_equal(n4.max_frame(corrected), frames.max(axis=0))


@pytest.mark.parametrize("dtype", DTYPES)
def test_images_of_sums_and_maxima(dtype):
    data = pixels(dtype)
    ds = n4.load("memory", data=data).with_scan(sync_offset=3)
    blank = np.zeros(3)
    flat = magnitudes(data).reshape(99, -1)[3:]
    brightest = n4.max_image(ds)
    np.testing.assert_array_equal(brightest.ravel(), [*flat.max(axis=1), *blank])
    assert brightest.dtype == flat.dtype.newbyteorder("=")
    kind = float if flat.dtype.kind == "f" else object
    total = flat.astype(kind).sum(axis=1)
    np.testing.assert_allclose(
        n4.sum_image(ds).ravel(), [*total.astype(float), *blank], rtol=1e-6, atol=1e-4
    )


def test_sparse_frames_stay_sparse(tmp_path, monkeypatch):
    data = pixels("u2")
    data[data < 60000] = 0
    write_raw_csr(tmp_path / "a.toml", data)
    sparse, plain = (
        n4.load("raw_csr", tmp_path / "a.toml"),
        n4.load("memory", data=data),
    )
    for way in ("dense", "dense_blocks"):
        monkeypatch.setattr(SparseBatch, way, None)
    for function in (
        n4.sum_frame,
        n4.mean_frame,
        n4.std_frame,
        n4.max_frame,
        n4.sum_image,
        n4.max_image,
        n4.center_of_mass,
        partial(n4.virtual_image, detector=n4.Disk((5, 5), 3)),
        partial(n4.radial_profile, center=(5, 5)),
        partial(n4.radial_profile, center=(5, 5), per_frame=True),
    ):
        np.testing.assert_allclose(function(sparse), function(plain), rtol=1e-12)


def test_pixel_of_many_events_holds_what_its_type_can_hold():
    counts = np.zeros((1, 6), "u1")
    batch = SparseBatch(
        np.array([0, 4]), np.array([4, 4, 1, 4]), np.full(4, 200, "u1"), (2, 3)
    )
    counts[0, [4, 1]] = [600 % 256, 200]
    np.testing.assert_array_equal(batch.dense().reshape(1, 6), counts)
    sums = np.zeros((1, 1), np.uint64)
    batch.masked_sums(Masks([np.ones((2, 3), bool)]), sums)
    assert sums == counts.sum()
    moments = np.zeros((1, 3), np.uint64)
    batch.moments(None, moments)
    assert moments.tolist() == [[counts.sum(), 600 % 256, 200 + 600 % 256]]
