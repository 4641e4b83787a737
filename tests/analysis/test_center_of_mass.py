import numpy as np
import pytest

import napari_4dstem as n4
from tests.analysis.conftest import NAV_SHAPE, SIG_SHAPE, pixels


def center(data, weights):
    ky, kx = np.indices(SIG_SHAPE)
    values = (np.abs(data) if data.dtype.kind == "c" else data).astype(float) * weights
    total = values.sum(axis=(2, 3))
    total = np.where(total == 0, np.nan, total)
    moments = [(values * k).sum(axis=(2, 3)) / total for k in (ky, kx)]
    return np.stack(moments, axis=-1)


@pytest.mark.parametrize("dtype", ["?", "u1", "<u2", ">u2", "u4", ">f4", "f8", "c8"])
@pytest.mark.parametrize(
    "detector", [None, n4.Annulus((6.5, 4.2), 2, 5.5), n4.Disk((1, 1), 3)]
)
def test_center_is_the_weighted_mean_of_the_pixels(dtype, detector):
    data = np.abs(pixels(dtype))
    weights = 1 if detector is None else detector.mask(SIG_SHAPE)
    found = n4.center_of_mass(n4.load("memory", data=data), detector)
    np.testing.assert_allclose(found, center(data, weights), rtol=1e-6)
    assert found.dtype == np.float64


def test_signed_pixels_may_cancel():
    data = pixels("i2")
    found = n4.center_of_mass(n4.load("memory", data=data))
    np.testing.assert_allclose(found, center(data, 1), rtol=1e-9)


def test_center_of_a_single_pixel_is_the_pixel():
    data = np.zeros(NAV_SHAPE + SIG_SHAPE, "u1")
    ky, kx = np.indices(NAV_SHAPE) % np.reshape((13, 10), (2, 1, 1))
    y, x = np.indices(NAV_SHAPE)
    data[y, x, ky, kx] = 7
    found = n4.center_of_mass(n4.load("memory", data=data))
    np.testing.assert_array_equal(found, np.stack([ky, kx], axis=-1))


def test_center_is_nan_where_a_frame_is_empty_or_missing(blank_scan):
    data = pixels("u2")
    data[2, 3] = 0
    ds = n4.load("memory", data=data).with_scan(nav_shape=(10, 10), sync_offset=-5)
    found = n4.center_of_mass(ds)
    empty = ~ds.valid
    empty.flat[2 * 11 + 3 + 5] = True
    np.testing.assert_array_equal(np.isnan(found).all(axis=-1), empty)
    np.testing.assert_array_equal(np.isnan(found).any(axis=-1), empty)


def test_weights_of_a_mask_count(scan):
    weights = np.random.default_rng(1).random(SIG_SHAPE)
    found = n4.center_of_mass(scan, n4.Mask(weights))
    np.testing.assert_allclose(found, center(scan[:], weights), rtol=1e-9)


def test_center_of_corrected_frames(scan):
    rng = np.random.default_rng(2)
    corrected = scan.with_corrections(
        dark=rng.normal(100, 5, SIG_SHAPE),
        gain=rng.normal(1, 0.1, SIG_SHAPE),
        excluded=rng.random(SIG_SHAPE) < 0.1,
    )
    found = n4.center_of_mass(corrected, n4.Disk((6, 5), 5))
    mask = n4.Disk((6, 5), 5).mask(SIG_SHAPE)
    np.testing.assert_allclose(found, center(corrected[:], mask), rtol=1e-6)


def test_frames_of_one_axis_are_refused():
    line = n4.load("memory", data=np.ones((4, 5, 6), "u2"), sig_dims=1)
    with pytest.raises(n4.ShapeError, match="two detector axes"):
        n4.center_of_mass(line)


@pytest.mark.parametrize(
    ("value", "dtype"), [(2**40, "i8"), (2**52, "i8"), (2**60, "u8")]
)
def test_center_of_pixels_of_64_bits_does_not_overflow(value, dtype):
    ds = n4.load("memory", data=np.full((2, 64, 512), value, dtype))
    np.testing.assert_allclose(n4.center_of_mass(ds), [(31.5, 255.5)] * 2)


@pytest.mark.parametrize("detector", [np.ones(SIG_SHAPE), [n4.Disk((1, 1), 2)], "all"])
def test_what_is_no_detector_is_refused(scan, detector):
    with pytest.raises(n4.FormatError, match="not a virtual detector") as caught:
        n4.center_of_mass(scan, detector)
    assert "Mask(array)" in str(caught.value)
