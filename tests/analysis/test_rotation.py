"""A known rotation is applied, and found again."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import napari_4dstem as n4
from tests.analysis.truth import facts, needs_truth, truth

angles = st.floats(-180, 180)


def atoms(shape=(40, 48), seed=0):
    """Gradient of the potential of some atoms: what deflects the beam."""
    rng = np.random.default_rng(seed)
    y, x = np.indices(shape)
    field = np.zeros((*shape, 2))
    for ky, kx in rng.uniform(4, 36, (12, 2)):
        dy, dx = y - ky, x - kx
        well = np.exp(-(dy**2 + dx**2) / 8)
        field -= np.stack((dy * well, dx * well), axis=-1) / 4
    return field


def as_measured(field, degrees, flip_y):
    """Turn from scan axes into detector axes, the inverse of ``rotate``."""
    turned = n4.rotate(field, -degrees)
    return turned * (-1, 1) if flip_y else turned


def difference(first, second):
    return abs((first - second + 180) % 360 - 180)


@settings(deadline=None)
@given(angles, st.booleans())
def test_rotation_is_the_matrix_of_the_contract(degrees, flip_y):
    t = np.radians(degrees)
    matrix = np.array(((np.cos(t), np.sin(t)), (-np.sin(t), np.cos(t))))
    matrix = matrix @ np.diag((-1, 1) if flip_y else (1, 1))
    com = np.arange(12.0).reshape(2, 3, 2)
    expected = np.einsum("ij,yxj->yxi", matrix, com)
    np.testing.assert_allclose(n4.rotate(com, degrees, flip_y), expected, atol=1e-12)


@settings(deadline=None)
@given(angles, st.floats(-180, 180))
def test_rotation_adds_to_the_angle(degrees, start):
    t = np.radians(start)
    turned = n4.rotate((np.sin(t), np.cos(t)), degrees)
    assert difference(n4.angle(turned), start + degrees) < 1e-6


def test_right_angles_are_exact():
    com = np.array((0.1, 0.3))
    np.testing.assert_array_equal(n4.rotate(com, 90), (0.3, -0.1))
    np.testing.assert_array_equal(n4.rotate(com, 180), -com)
    np.testing.assert_array_equal(n4.rotate(com, -450), (-0.3, 0.1))


def test_missing_stays_missing():
    assert np.isnan(n4.rotate((np.nan, 1), 0)).any()


@settings(deadline=None, max_examples=40)
@given(angles, st.booleans(), st.integers(0, 5))
def test_known_rotation_is_found_again(degrees, flip_y, seed):
    found = n4.estimate_rotation(as_measured(atoms(seed=seed), degrees, flip_y))
    assert difference(found.degrees, degrees) < 0.2
    assert found.flip_y == flip_y
    assert found.rms_curl < 0.2 * found.rms_curl_other_flip
    assert found.skewness > 1


def test_descan_noise_and_missing_positions_do_not_matter():
    rng = np.random.default_rng(0)
    com = as_measured(atoms(), 33, True)
    noise = rng.normal(0, 0.1 * com.std(), com.shape)
    com += (
        noise
        + 40
        + np.moveaxis(np.indices((40, 48)), 0, -1) @ ((0.3, 0.1), (-0.2, 0.4))
    )
    com[rng.random((40, 48)) < 0.02] = np.nan
    found = n4.estimate_rotation(com)
    assert difference(found.degrees, 33) < 2
    assert found.flip_y


def test_invalid_positions_take_no_part():
    com = as_measured(atoms(), 60, False)
    valid = np.ones((40, 48), bool)
    valid[:, 40:] = False
    com[~valid] = np.random.default_rng(0).normal(0, 9, com[~valid].shape)
    found = n4.estimate_rotation(com, valid=valid)
    assert difference(found.degrees, 60) < 0.5
    assert found == n4.estimate_rotation(np.where(valid[..., None], com, np.nan))


def test_steps_of_the_scan_count():
    y, x = np.meshgrid(np.arange(60) * 0.5, np.arange(40) * 1.5, indexing="ij")
    well = np.exp(-((y - 15) ** 2 + (x - 30) ** 2) / 50)
    field = -np.stack(((y - 15) * well, (x - 30) * well), axis=-1)
    com = as_measured(field, 25, False)
    found = n4.estimate_rotation(com, scan_step=(0.5, 1.5))
    assert difference(found.degrees, 25) < 0.1


def test_pure_slope_is_enough_for_the_angle():
    y, x = np.indices((9, 9)) - 4.0
    found = n4.estimate_rotation(as_measured(np.stack((-y, -x), -1), 70, False))
    assert difference(found.degrees, 70) % 180 < 1e-6


def test_opposite_angle_is_named():
    found = n4.estimate_rotation(as_measured(atoms(), 17, False))
    assert found.opposite == pytest.approx(found.degrees - 180)
    assert str(found).startswith("16.9°. -163.1° leaves the same curl")
    found = n4.estimate_rotation(as_measured(atoms(), -163, True))
    assert found.opposite == pytest.approx(found.degrees + 180)
    assert "and a flip of y" in str(found)


def test_nothing_to_learn_is_an_error():
    with pytest.raises(n4.FormatError, match="the same everywhere"):
        n4.estimate_rotation(np.full((5, 5, 2), 3.0))
    with pytest.raises(n4.FormatError, match="no two neighboring"):
        n4.estimate_rotation(np.full((5, 5, 2), np.nan))
    with pytest.raises(n4.ShapeError, match="two scan axes"):
        n4.estimate_rotation(np.zeros((5, 2)))
    with pytest.raises(n4.FormatError, match="angle"):
        n4.rotate((1, 2), np.nan)


@needs_truth
@pytest.mark.parametrize("noise_px", [0, 0.058])
@pytest.mark.parametrize("name", ["com", "com_no_descan"])
def test_rotation_of_the_truth_is_found(name, noise_px):
    com = truth(name)
    com = com + np.random.default_rng(0).normal(0, noise_px, com.shape)
    found = n4.estimate_rotation(com)
    rotation = facts()["rotation"]
    assert found.degrees == pytest.approx(rotation["angle_deg"], abs=0.1)
    assert found.flip_y is rotation["flip_ky"]
    step = facts()["scan_step_A"]["y"]
    rms_curl = 0.59 if noise_px else 0.54  # what the truth's README measures
    mean = n4.curl(n4.rotate(com, found.degrees, found.flip_y)).mean() / step
    assert np.hypot(found.rms_curl / step, mean) == pytest.approx(rms_curl, rel=0.3)
    assert found.rms_curl_other_flip / step == pytest.approx(5.1, rel=0.05)
