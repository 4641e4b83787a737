import threading

import numpy as np
import pytest

import napari_4dstem as n4
from tests.analysis.conftest import NAV_SHAPE, SIG_SHAPE, pixels

DETECTORS = [
    n4.Disk((6, 5), 3),
    n4.Annulus((6.5, 4.2), 2, 5.5),
    n4.Rectangle((-3, 2), (4, 20)),
    n4.Polygon([(0, 0), (12, 3), (5, 9)]),
    n4.Point((3, 4)),
    n4.Mask(np.random.default_rng(3).random(SIG_SHAPE) < 0.3),
    n4.Disk((100, 100), 2),
]


def summed(data, mask):
    """The plain truth: integers as Python's, which never overflow."""
    if data.dtype.kind in "uib":
        kind = np.int64 if data.dtype.kind == "i" else np.uint64
        return data[..., mask].astype(object).sum(axis=-1).astype(kind)
    values = np.abs(data) if data.dtype.kind == "c" else data
    return values[..., mask].astype(float).sum(axis=-1)


@pytest.mark.parametrize(
    "dtype",
    ["?", "u1", "i1", "<u2", ">u2", ">i2", "u4", ">i4", "f2", "f4", ">f8", "c8"],
)
def test_image_is_the_sum_within_the_detector(dtype):
    data = pixels(dtype)
    ds = n4.load("memory", data=data)
    for detector in DETECTORS:
        image = n4.virtual_image(ds, detector)
        truth = summed(data, detector.mask(SIG_SHAPE))
        if truth.dtype.kind == "f":
            np.testing.assert_allclose(image, truth, rtol=1e-6, atol=1e-6)
            assert image.dtype == np.float64
        else:
            np.testing.assert_array_equal(image, truth)
            assert image.dtype == truth.dtype


def test_many_detectors_in_one_pass_are_the_same_as_one_by_one(blank_scan):
    images = n4.virtual_image(blank_scan, DETECTORS)
    assert images.shape == (len(DETECTORS), 10, 10)
    for image, detector in zip(images, DETECTORS, strict=True):
        np.testing.assert_array_equal(image, n4.virtual_image(blank_scan, detector))


def test_image_is_zero_where_there_is_no_frame(blank_scan):
    image = n4.virtual_image(blank_scan, n4.Disk((6, 5), 4))
    assert not image[~blank_scan.valid].any()
    assert image[blank_scan.valid].all()


def test_weights_of_a_mask_count(scan):
    weights = np.random.default_rng(1).normal(size=SIG_SHAPE)
    image = n4.virtual_image(scan, n4.Mask(weights))
    truth = (scan[:] * weights).sum(axis=(2, 3))
    np.testing.assert_allclose(image, truth, rtol=1e-12)


@pytest.mark.parametrize("parts", ["dark", "gain", "excluded", "all"])
def test_image_of_corrected_frames_equals_that_of_frames_corrected_first(
    blank_scan, parts
):
    rng = np.random.default_rng(2)
    excluded = rng.random(SIG_SHAPE) < 0.1
    excluded[4:7, 4:7] = True
    every = {
        "dark": rng.normal(100, 5, SIG_SHAPE),
        "gain": rng.normal(1, 0.1, SIG_SHAPE),
        "excluded": excluded,
    }
    wanted = every if parts == "all" else {parts: every[parts]}
    corrected = blank_scan.with_corrections(**wanted)
    images = n4.virtual_image(corrected, DETECTORS)
    for image, detector in zip(images, DETECTORS, strict=True):
        truth = summed(corrected[:], detector.mask(SIG_SHAPE))
        np.testing.assert_allclose(image, truth, rtol=1e-6, atol=1e-3)


def test_nan_outside_of_the_detector_does_not_matter():
    data = pixels("f4")
    data[0, 0, 0, 0] = data[1, 1, 6, 5] = np.nan
    image = n4.virtual_image(n4.load("memory", data=data), n4.Disk((6, 5), 3))
    assert np.argwhere(np.isnan(image)).tolist() == [[1, 1]]


def test_detector_that_does_not_fit_is_refused(scan):
    with pytest.raises(n4.ShapeError):
        n4.virtual_image(scan, n4.Mask(np.ones((3, 3), bool)))
    line = n4.load("memory", data=pixels("u2").reshape(*NAV_SHAPE, 130), sig_dims=1)
    with pytest.raises(n4.ShapeError):
        n4.virtual_image(line, n4.Disk((0, 0), 3))
    mask = np.arange(130) % 7 == 0
    np.testing.assert_array_equal(
        n4.virtual_image(line, n4.Mask(mask)), summed(line[:], mask)
    )


@pytest.mark.parametrize("detector", [np.ones(SIG_SHAPE, bool), [], ["disk"], None])
def test_something_that_is_no_detector_is_refused(scan, detector):
    with pytest.raises(n4.FormatError, match="not a virtual detector"):
        n4.virtual_image(scan, detector)


def test_cancelled_image_is_none(scan):
    cancel = threading.Event()
    cancel.set()
    big = n4.load("dask", data=scan.to_dask(chunks=(1, 1, -1, -1)))
    with pytest.raises(n4.Cancelled):
        n4.virtual_image(big, n4.Disk((6, 5), 3), cancel=cancel)
