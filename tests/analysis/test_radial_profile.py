import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import napari_4dstem as n4
from napari_4dstem.analysis.radial_profile import rings
from tests.analysis.conftest import NAV_SHAPE, SIG_SHAPE, pixels

CENTER = (6.2, 3.9)


def means(frame, center, nbins):
    ky, kx = np.indices(SIG_SHAPE)
    r = np.sqrt((ky - center[0]) ** 2 + (kx - center[1]) ** 2)
    with np.errstate(invalid="ignore"):
        inside = [(i <= r) & (r < i + 1) for i in range(nbins)]
        return [frame[ring].mean() if ring.any() else np.nan for ring in inside]


@pytest.mark.parametrize("dtype", ["u1", ">u2", "f4", "c8", "f2"])
def test_profile_is_the_mean_of_every_ring(dtype):
    data = np.abs(pixels(dtype)) if np.dtype(dtype).kind != "c" else pixels(dtype)
    ds = n4.load("memory", data=data)
    frames = np.abs(data).astype(float)
    found = n4.radial_profile(ds, CENTER, 8)
    truth = means(frames.mean(axis=(0, 1)), CENTER, 8)
    np.testing.assert_allclose(found, truth, rtol=1e-5)
    every = n4.radial_profile(ds, CENTER, 8, per_frame=True)
    assert every.shape == (*NAV_SHAPE, 8)
    np.testing.assert_allclose(every[4, 5], means(frames[4, 5], CENTER, 8), rtol=1e-3)


def test_profiles_of_frames_average_to_that_of_the_mean(blank_scan):
    every = n4.radial_profile(blank_scan, CENTER, per_frame=True)
    one = n4.radial_profile(blank_scan, CENTER)
    assert every.shape[-1] == len(one)
    np.testing.assert_allclose(np.nanmean(every, axis=(0, 1)), one, rtol=1e-12)
    np.testing.assert_array_equal(np.isnan(every).all(axis=-1), ~blank_scan.valid)


def test_profile_of_a_region(scan):
    roi = np.random.default_rng(1).random(NAV_SHAPE) < 0.3
    found = n4.radial_profile(scan, CENTER, 5, roi)
    truth = means(scan[:][roi].mean(axis=0), CENTER, 5)
    np.testing.assert_allclose(found, truth)
    every = n4.radial_profile(scan, CENTER, 5, roi, per_frame=True)
    np.testing.assert_array_equal(np.isnan(every).all(axis=-1), ~roi)


def test_ring_without_a_pixel_is_nan(scan):
    found = n4.radial_profile(scan, (-3, 5), 30)
    assert np.isnan(found[[0, 1, 2, 29]]).all()
    assert not np.isnan(found[3:10]).any()


@given(
    center=st.tuples(st.integers(-5, 20), st.integers(-5, 20)),
    radius=st.integers(0, 12),
)
def test_rings_fit_together_with_disks(center, radius):
    # a pixel at exactly radius r belongs to ring r, and to a disk of radius r
    ring = rings(SIG_SHAPE, center)
    outside = n4.Annulus(center, radius, 1000).mask(SIG_SHAPE)
    ky, kx = np.indices(SIG_SHAPE)
    on_edge = (ky - center[0]) ** 2 + (kx - center[1]) ** 2 == radius**2
    np.testing.assert_array_equal(ring >= radius, outside | on_edge)


@pytest.mark.parametrize("center", [None, (1,), (1, np.nan), "ab"])
def test_center_that_is_none_is_refused(scan, center):
    with pytest.raises(n4.FormatError, match="not a center"):
        n4.radial_profile(scan, center)


def test_frames_of_one_axis_are_refused():
    line = n4.load("memory", data=np.ones((4, 5, 6), "u2"), sig_dims=1)
    with pytest.raises(n4.ShapeError, match="two detector axes"):
        n4.radial_profile(line, (0, 0))


def test_rings_of_pixels_of_64_bits_do_not_overflow():
    ds = n4.load("memory", data=np.full((3, 64, 64), 2**60, "u8"))
    profiles = n4.radial_profile(ds, (32, 32), 12, per_frame=True)
    np.testing.assert_allclose(profiles, np.full((3, 12), 2.0**60))


@pytest.mark.parametrize("nbins", [0, 2.5, "x", True, 10**13])
def test_number_of_rings_that_is_none_is_refused(scan, nbins):
    with pytest.raises(n4.FormatError, match="whole number from 1"):
        n4.radial_profile(scan, (1, 1), nbins)


def test_center_far_away_is_refused_before_it_costs_memory(scan):
    with pytest.raises(n4.FormatError, match=r"beyond 100000 .* found \(1e\+300, 0\)"):
        n4.radial_profile(scan, (1e300, 0))
