"""Descan is subtracted as it was added."""

import numpy as np
import pytest

import napari_4dstem as n4
from napari_4dstem.sample_data import nanoparticles
from tests.analysis.truth import facts, needs_truth, truth


def plane(shape, seed=0):
    slopes = np.random.default_rng(seed).normal(size=(1 + len(shape), 2))
    return slopes[0] + np.moveaxis(np.indices(shape), 0, -1) @ slopes[1:]


@pytest.mark.parametrize("robust", [True, False])
@pytest.mark.parametrize("shape", [(7, 9), (12,), (3, 4, 5), (1, 6), (600, 500)])
def test_plane_is_found_again(shape, robust):
    left = n4.descan(plane(shape), robust=robust)
    np.testing.assert_allclose(left, np.zeros((*shape, 2)), atol=1e-9)


def test_missing_positions_do_not_pull_and_stay_missing():
    com = plane((7, 9))
    com[2, 3, 1] = np.nan
    left = n4.descan(com)
    assert np.isnan(left[2, 3, 1])
    np.testing.assert_allclose(np.nan_to_num(left), 0, atol=1e-9)


def test_robust_plane_does_not_see_a_particle():
    com = plane((30, 30))
    deflected = np.zeros_like(com)
    deflected[3:12, 14:29] = (4, -7)
    left = n4.descan(com + deflected)
    np.testing.assert_allclose(left, deflected, atol=0.05)
    assert np.abs(n4.descan(com + deflected, robust=False) - deflected).max() > 0.5


def test_plane_is_that_of_the_valid_positions():
    com = plane((10, 10))
    vacuum = np.zeros((10, 10), bool)
    vacuum[:4] = True
    com[~vacuum] += np.random.default_rng(1).normal(size=com[~vacuum].shape)
    left = n4.descan(com, valid=vacuum, robust=False)
    np.testing.assert_allclose(left[vacuum], 0, atol=1e-9)


def test_mean_is_that_of_the_valid_positions():
    com = np.arange(24.0).reshape(3, 4, 2)
    com[0, 0] = np.nan
    valid = np.zeros((3, 4), bool)
    valid[0] = True
    np.testing.assert_array_equal(n4.descan(com, "mean", valid=valid), com - (4, 5))
    left = n4.descan(com, "mean")
    np.testing.assert_allclose(np.nanmean(left, axis=(0, 1)), 0, atol=1e-12)


def test_measured_reference_is_subtracted():
    com = plane((4, 5))
    np.testing.assert_array_equal(
        n4.descan(com, plane((4, 5), 1)), com - plane((4, 5), 1)
    )
    np.testing.assert_array_equal(n4.descan(com, (3, 4)), com - (3, 4))
    np.testing.assert_array_equal(n4.descan(plane((9,)), (3, 4)), plane((9,)) - (3, 4))


def test_single_precision_becomes_double():
    assert n4.descan(plane((4, 5)).astype(np.float32)).dtype == np.float64


def test_what_does_not_fit_is_refused():
    com = plane((4, 5))
    with pytest.raises(n4.ShapeError, match=r"\(4, 5, 2\) or \(2,\)"):
        n4.descan(com, plane((5, 4)))
    with pytest.raises(n4.ShapeError, match="valid"):
        n4.descan(com, valid=np.ones((5, 4), bool))
    with pytest.raises(n4.FormatError, match='"plane", "mean"'):
        n4.descan(com, "parabola")
    for reference in ("mean", "plane"):
        with pytest.raises(n4.FormatError, match="no position"):
            n4.descan(com * np.nan, reference)


@needs_truth
def test_robust_plane_finds_the_disk_of_the_truth():
    com = truth("com")
    error = com - n4.descan(com) - truth("disk_centre")
    assert np.abs(error[22, 26]).max() < 0.01
    assert np.abs(np.diff(error[:, 0], axis=0)).max() < 0.001
    slopes = facts()["disk"]["slope_px_per_scan_position"]
    fitted = com - n4.descan(com)
    assert (fitted[1, 0] - fitted[0, 0])[0] == pytest.approx(slopes["dky_dy"], abs=1e-3)
    assert (fitted[0, 1] - fitted[0, 0])[0] == pytest.approx(slopes["dky_dx"], abs=1e-3)


def test_descan_of_the_sample_scan_is_found():
    scan = nanoparticles((28, 32))
    within = n4.Disk((46, 49.7), 8).mask((96, 96))
    frames = np.where(within, scan.data, 0).astype(np.float64)
    moments = [np.tensordot(frames, k, 2) for k in np.indices((96, 96))]
    com = np.stack(moments, axis=-1) / frames.sum(axis=(2, 3))[..., None]
    error = com - n4.descan(com) - scan.disk_center_px
    assert np.sqrt((error**2).mean()) < 0.03
