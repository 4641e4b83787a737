"""Length, angle, divergence and curl of vectors."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import napari_4dstem as n4

maps = arrays.arrays(
    np.float64,
    st.tuples(st.integers(2, 6), st.integers(2, 6), st.just(2)),
    elements=st.floats(-9, 9),
)


def linear_field(matrix, step=(1, 1)):
    """``v = matrix @ r`` on (y, x), r in the unit of the step."""
    y, x = np.meshgrid(step[0] * np.arange(5), step[1] * np.arange(7), indexing="ij")
    return np.stack((y, x), axis=-1) @ np.transpose(matrix).astype(float)


def test_length_and_angle_of_the_main_directions():
    com = [(0, 1), (2, 0), (0, -3), (-4, 0), (5, 5)]
    np.testing.assert_allclose(n4.magnitude(com), [1, 2, 3, 4, 50**0.5])
    np.testing.assert_allclose(n4.angle(com), [0, 90, 180, -90, 45])


@pytest.mark.parametrize("step", [(1, 1), (0.5, 3)])
def test_linear_field_has_its_divergence_and_curl_everywhere(step):
    com = linear_field(((2, 3), (5, 7)), step)
    np.testing.assert_allclose(n4.divergence(com, step), np.full((5, 7), 2 + 7))
    np.testing.assert_allclose(n4.curl(com, step), np.full((5, 7), 3 - 5))


@settings(deadline=None)
@given(maps)
def test_differences_are_those_of_numpy(com):
    by_y, by_x = (np.gradient(com, axis=axis) for axis in (0, 1))
    close = {"rtol": 1e-12, "atol": 1e-12}
    np.testing.assert_allclose(n4.divergence(com), by_y[..., 0] + by_x[..., 1], **close)
    np.testing.assert_allclose(n4.curl(com), by_x[..., 0] - by_y[..., 1], **close)


def test_missing_position_is_a_border():
    com = linear_field(((2, 3), (5, 7)))
    com[2, 3] = np.nan
    for name, value in (("divergence", 9), ("curl", -2)):
        found = getattr(n4, name)(com)
        assert np.isnan(found[2, 3])
        found[2, 3] = value
        np.testing.assert_allclose(found, np.full((5, 7), value))


def test_position_that_stands_alone_has_no_derivative():
    com = np.full((3, 3, 2), np.nan)
    com[1, 1] = 1
    assert np.isnan(n4.divergence(com)).all()


@pytest.mark.parametrize("function", [n4.divergence, n4.curl, n4.phase])
def test_derivatives_need_a_scan_with_two_axes(function):
    for shape in ((9, 2), (1, 9, 2), (3, 3, 3, 2)):
        with pytest.raises(n4.ShapeError, match="two scan axes"):
            function(np.zeros(shape))


@pytest.mark.parametrize("function", [n4.magnitude, n4.angle, n4.divergence])
def test_what_is_no_vector_is_refused(function):
    with pytest.raises(n4.ShapeError, match=r"expected \(..., 2\)"):
        function(np.zeros((4, 4, 3)))
    with pytest.raises(n4.FormatError, match="real numbers"):
        function(np.zeros((4, 4, 2), complex))


@pytest.mark.parametrize("step", [(0, 1), (1, -1), (np.nan, 1), 1, "ab"])
def test_steps_are_two_lengths(step):
    with pytest.raises(n4.FormatError, match="scan step"):
        n4.divergence(np.zeros((4, 4, 2)), step)
