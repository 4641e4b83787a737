"""A gradient is integrated back to its map."""

import numpy as np
import pytest

import napari_4dstem as n4
from tests.analysis.truth import needs_truth, truth


def grid(shape, step=(1, 1)):
    return np.meshgrid(
        *(s * np.arange(n) for n, s in zip(shape, step, strict=True)), indexing="ij"
    )


def hill(shape=(60, 71), step=(1, 1)):
    """A smooth map and its gradient."""
    y, x = grid(shape, step)
    dy, dx = y - y.mean() + 4 * step[0], x - x.mean()
    width = 40 * step[0] * step[1]
    potential = np.exp(-(dy**2 + dx**2) / width)
    gradient = -2 / width * np.stack((dy * potential, dx * potential), axis=-1)
    return potential - potential.mean(), gradient


def test_gradient_is_integrated_back():
    potential, gradient = hill()
    np.testing.assert_allclose(n4.phase(gradient), potential, atol=1e-3)


def test_ramp_is_exact():
    y, x = grid((13, 20))
    ramp = 0.3 * y - 0.2 * x
    com = np.broadcast_to((0.3, -0.2), (13, 20, 2))
    np.testing.assert_allclose(n4.phase(com), ramp - ramp.mean(), atol=1e-12)


def test_borders_need_not_fit_together():
    y, x = grid((64, 48))
    potential = np.sin(y / 9 + 0.3) * np.cos(x / 8)
    gradient = np.stack(
        (
            np.cos(y / 9 + 0.3) * np.cos(x / 8) / 9,
            -np.sin(y / 9 + 0.3) * np.sin(x / 8) / 8,
        ),
        axis=-1,
    )
    found = n4.phase(gradient)
    error = found - (potential - potential.mean())
    assert np.sqrt((error**2).mean()) < 0.01 * potential.std()


def test_finer_steps_along_one_axis_count():
    potential, gradient = hill((80, 60), (0.5, 1.25))
    found = n4.phase(gradient, scan_step=(0.5, 1.25))
    np.testing.assert_allclose(found, potential, atol=2e-3)


def test_curl_is_left_out():
    potential, gradient = hill()
    whirl = np.stack((gradient[..., 1], -gradient[..., 0]), axis=-1)
    assert np.abs(n4.phase(whirl)).max() < 1e-2
    np.testing.assert_allclose(n4.phase(gradient + whirl), potential, atol=1e-2)


def test_missing_positions_are_bridged_and_stay_missing():
    potential, gradient = hill()
    missing = np.random.default_rng(0).random(potential.shape) < 0.02
    missing[30] = True
    missing[10:15, 20:25] = True
    gradient[missing] = np.nan
    found = n4.phase(gradient)
    np.testing.assert_array_equal(np.isnan(found), missing)
    error = (found - potential)[~missing]
    assert (error - error.mean()).std() < 0.04 * potential.std()


def test_nothing_gives_nothing():
    assert np.isnan(n4.phase(np.full((4, 5, 2), np.nan))).all()
    np.testing.assert_array_equal(n4.phase(np.zeros((4, 5, 2))), np.zeros((4, 5)))


@needs_truth
@pytest.mark.parametrize("noise_px", [0, 0.058])
def test_phase_of_the_truth_is_the_potential_blurred_by_the_probe(noise_px):
    com = truth("com_no_descan")
    com = com + np.random.default_rng(0).normal(0, noise_px, com.shape)
    potential = np.asarray(truth("projected_potential_blurred")).ravel()
    for degrees, sign in ((17, 1), (197, -1)):
        found = n4.phase(n4.rotate(com, degrees)).ravel()
        assert sign * np.corrcoef(found, potential)[0, 1] > 0.98


@needs_truth
def test_raw_center_of_mass_of_the_truth_ends_as_bright_atoms():
    com = truth("com")
    rotation = n4.estimate_rotation(com)
    found = n4.phase(n4.rotate(n4.descan(com), rotation.degrees, rotation.flip_y))
    potential = np.asarray(truth("projected_potential_blurred"))
    assert np.corrcoef(found.ravel(), potential.ravel())[0, 1] > 0.98


@needs_truth
def test_phase_of_the_truth_is_in_radians():
    # The phase of a thin specimen is sigma V; the slope that the README tells is 1.005.
    sigma, pixel, step = 0.0007288401, 0.04884498, 0.24
    com = n4.rotate(truth("com_all_angles"), 17)
    found = n4.phase(2 * np.pi * pixel * com, (step, step)).ravel()
    potential = sigma * np.asarray(truth("projected_potential_blurred")).ravel()
    assert np.polyfit(potential, found, 1)[0] == pytest.approx(1, abs=0.03)
