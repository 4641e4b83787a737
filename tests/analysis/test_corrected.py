"""What is found in corrected frames is what numpy finds in frames corrected first."""

import numpy as np
import pytest

import napari_4dstem as n4
from napari_4dstem.live import LiveImages, LivePattern
from tests.analysis.conftest import NAV_SHAPE, SIG_SHAPE, pixels
from tests.test_corrections import patched

DETECTOR = n4.Annulus((6, 5), 1, 4)
STATISTICS = {
    "mean": (n4.mean_frame, np.mean),
    "sum": (n4.sum_frame, np.sum),
    "std": (n4.std_frame, np.std),
    "max": (n4.max_frame, np.max),
}


def close(found, truth):
    scale = np.nanmax(np.abs(truth))
    np.testing.assert_allclose(found, truth, rtol=1e-6, atol=1e-6 * scale)


@pytest.fixture(params=["u2", "f4"])
def corrected(request):
    """A corrected data set, and its frames corrected one by one in float64.

    A pair of bad pixels within the detector, one on the border and one in the corner;
    of floating point they are no numbers.
    """
    rng = np.random.default_rng(1)
    dark, gain = rng.normal(5, 2, SIG_SHAPE), rng.normal(1, 0.1, SIG_SHAPE)
    excluded = np.zeros(SIG_SHAPE, bool)
    for pixel in [(5, 5), (6, 6), (0, 4), (12, 9)]:
        excluded[pixel] = True
    data = pixels(request.param)
    if request.param == "f4":
        data[..., excluded] = np.nan
    ds = n4.load("memory", data=data).with_corrections(dark, gain, excluded)
    # float32, as it is documented
    frames = (data.astype("f4") - dark.astype("f4")) * gain.astype("f4")
    frames = [patched(frame, excluded) for frame in frames.reshape(-1, *SIG_SHAPE)]
    truth = np.asarray(frames, float).reshape(NAV_SHAPE + SIG_SHAPE)
    assert np.isfinite(truth).all()
    close(ds[...], truth)
    close(ds.to_dask().compute(), truth)
    return ds, truth


def moments(frames, mask):
    ky, kx = np.indices(SIG_SHAPE)
    return (
        np.stack([(frames * mask * k).sum(axis=(2, 3)) for k in (ky, kx)], axis=-1)
        / (frames * mask).sum(axis=(2, 3))[..., np.newaxis]
    )


def test_images_of_the_scan(corrected):
    ds, frames = corrected
    mask = DETECTOR.mask(SIG_SHAPE)
    close(n4.virtual_image(ds, DETECTOR), frames[..., mask].sum(axis=-1))
    close(n4.sum_image(ds), frames.sum(axis=(2, 3)))
    close(n4.max_image(ds), frames.max(axis=(2, 3)))
    close(n4.map_frames(ds, np.median), np.median(frames, axis=(2, 3)))


def test_centers_of_mass():
    rng = np.random.default_rng(1)
    data = rng.poisson(50, NAV_SHAPE + SIG_SHAPE).astype("u2")
    excluded = rng.random(SIG_SHAPE) < 0.1
    data[..., excluded] = 4000
    ds = n4.load("memory", data=data).with_corrections(excluded=excluded)
    frames = np.asarray(
        [patched(frame, excluded) for frame in data.reshape(-1, *SIG_SHAPE)], float
    ).reshape(data.shape)
    mask = DETECTOR.mask(SIG_SHAPE)
    close(n4.center_of_mass(ds, DETECTOR), moments(frames, mask))
    close(n4.center_of_mass(ds), moments(frames, np.ones(SIG_SHAPE)))


@pytest.mark.parametrize("name", STATISTICS)
def test_frames_of_a_region(corrected, name):
    ds, frames = corrected
    roi = np.zeros(NAV_SHAPE, bool)
    roi[2:7, 3:9] = True
    ours, numpys = STATISTICS[name]
    close(ours(ds), numpys(frames, axis=(0, 1)))
    close(ours(ds, roi), numpys(frames[roi], axis=0))


def test_radial_profiles(corrected):
    ds, frames = corrected
    profile = n4.radial_profile(ds, (6, 5))
    radius = np.hypot(*(np.indices(SIG_SHAPE) - np.reshape((6, 5), (2, 1, 1))))
    mean = frames.mean(axis=(0, 1))
    rings = [mean[(radius >= i) & (radius < i + 1)].mean() for i in range(len(profile))]
    close(profile, np.array(rings))


@pytest.mark.parametrize("reduction", ["sum", "com", "max"])
def test_live_images(corrected, reduction):
    ds, frames = corrected
    live = LiveImages(ds)
    for _ in live.prepare():
        pass
    for center in [(6, 5), (6, 6), (5, 5)]:
        detector = n4.Disk(center, 3)
        mask = detector.mask(SIG_SHAPE)
        *_, step = live.steps(detector, reduction)
        truth = {
            "sum": lambda m=mask: frames[..., m].sum(axis=-1),
            "com": lambda m=mask: moments(frames, m),
            "max": lambda m=mask: frames[..., m].max(axis=-1),
        }[reduction]()
        assert step.is_exact
        if reduction == "com":
            # the sum that a center is divided by may be about 0 here
            np.testing.assert_allclose(step.image, truth, rtol=1e-2)
        else:
            close(step.image, truth)
    live.refold(ds.with_scan(nav_shape=(11, 9)))
    *_, step = live.steps(detector, reduction)
    assert step.how == "kept"
    rest = step.image.shape[2:]
    np.testing.assert_allclose(
        step.image.reshape(*NAV_SHAPE, *rest), truth, rtol=1e-2, atol=1e-3
    )


@pytest.mark.parametrize("kind", STATISTICS)
def test_live_patterns(corrected, kind):
    ds, frames = corrected
    live = LivePattern(ds)
    for first in (0, 1, 4):
        roi = np.zeros(NAV_SHAPE, bool)
        roi[first : first + 4, 2:8] = True
        *_, step = live.steps(roi, kind)
        assert step.is_exact
        close(step.frame, STATISTICS[kind][1](frames[roi], axis=0))


def test_positions_without_a_frame_stay_blank(corrected):
    ds, frames = corrected
    late = ds.with_scan(sync_offset=-5)
    assert not late[0, :5].any()
    assert not n4.virtual_image(late, DETECTOR)[0, :5].any()
    close(late[0, 5], frames[0, 0])
