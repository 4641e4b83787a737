"""Detectors: which pixels count, and that they behave as values."""

import pickle
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import napari_4dstem as n4
from tests.analysis.truth import facts, needs_truth, truth

SHAPE = (13, 17)

positions = st.tuples(*[st.floats(-40, 40, width=32)] * 2)
lengths = st.floats(0, 60, width=32)
halves = st.integers(-20, 50).map(lambda n: n / 2)
vertices = st.lists(st.tuples(halves, halves), min_size=3, max_size=8)

ONE_OF_EACH = (
    n4.Point((3, 4.5)),
    n4.Disk((6, 8.25), 3),
    n4.Annulus((6, 8), 2, 5.5),
    n4.Rectangle((1, 2), (5.5, 9)),
    n4.Polygon([(1, 1), (9, 2), (5, 12)]),
    n4.Mask(np.eye(13, 17, dtype=bool)),
    n4.Mask(np.linspace(-1, 1, 221).reshape(SHAPE)),
)
GEOMETRIC = ONE_OF_EACH[:-2]


def kind(detector):
    return type(detector).__name__


def squared_distances(center):
    y, x = np.indices(SHAPE)
    return (y - center[0]) ** 2 + (x - center[1]) ** 2


@settings(deadline=None)
@given(positions, lengths)
def test_disk_holds_what_is_not_further_than_its_radius(center, radius):
    mask = n4.Disk(center, radius).mask(SHAPE)
    np.testing.assert_array_equal(mask, squared_distances(center) <= radius**2)


@settings(deadline=None)
@given(positions, lengths, lengths)
def test_annulus_is_a_disk_without_a_disk(center, first, second):
    inner, outer = sorted((first, second))
    mask = n4.Annulus(center, inner, outer).mask(SHAPE)
    small, large = (n4.Disk(center, radius).mask(SHAPE) for radius in (inner, outer))
    np.testing.assert_array_equal(mask, large & ~small)


@settings(deadline=None)
@given(positions, positions)
def test_rectangle_holds_its_corners_in_any_order(first, second):
    y, x = np.indices(SHAPE)
    (top, bottom), (left, right) = map(sorted, zip(first, second, strict=True))
    expected = (y >= top) & (y <= bottom) & (x >= left) & (x <= right)
    for corners in ((first, second), (second, first), ((top, right), (bottom, left))):
        np.testing.assert_array_equal(n4.Rectangle(*corners).mask(SHAPE), expected)


@settings(deadline=None)
@given(positions)
def test_point_is_the_nearest_pixel_if_it_is_on_the_frame(position):
    mask = n4.Point(position).mask(SHAPE)
    covered = all(-0.5 <= k < n - 0.5 for k, n in zip(position, SHAPE, strict=True))
    assert mask.sum() == covered
    if covered:
        distances = squared_distances(position)
        assert distances[mask] == distances.min()


def is_inside(ky, kx, corners):
    """Even-odd rule in rational numbers; pixels on the outline are inside."""
    inside = False
    for (y0, x0), (y1, x1) in pairwise([*corners, corners[0]]):
        turn = (x1 - x0) * (ky - y0) - (kx - x0) * (y1 - y0)
        in_box = min(y0, y1) <= ky <= max(y0, y1) and min(x0, x1) <= kx <= max(x0, x1)
        if turn == 0 and in_box:
            return True
        if (y0 <= ky) != (y1 <= ky):
            crossing = x0 + Fraction(ky - y0) / (y1 - y0) * (x1 - x0)
            inside ^= crossing > kx
    return inside


@settings(deadline=None, max_examples=60)
@given(vertices)
@example([(2, 2), (2, 10), (9, 10), (9, 2)])
@example([(0, 0), (12, 16), (0, 16), (12, 0)])  # crosses itself
@example([(2, 2), (10, 2), (6, 6), (10, 10), (2, 10), (6, 6)])  # touches itself
@example([(3, 3), (3, 9), (3, 5)])  # has no area
@example([(4, 4), (4, 4), (4, 4)])
def test_polygon_holds_what_is_inside_or_on_its_outline(corners):
    mask = n4.Polygon(corners).mask(SHAPE)
    exact = [tuple(map(Fraction, corner)) for corner in corners]
    expected = [[is_inside(y, x, exact) for x in range(17)] for y in range(13)]
    np.testing.assert_array_equal(mask, expected)


def test_polygon_with_a_round_outline_is_a_disk():
    angles = np.linspace(0, 2 * np.pi, 2000, endpoint=False)
    outline = 20.3 + 12.7 * np.stack((np.sin(angles), np.cos(angles)), axis=1)
    mask = n4.Polygon(outline).mask((48, 40))
    np.testing.assert_array_equal(mask, n4.Disk((20.3, 20.3), 12.7).mask((48, 40)))


@pytest.mark.parametrize("far", [1e6, 1e17, 1e100])
def test_far_away_detectors_are_empty_or_hold_all(far):
    assert not n4.Disk((far, far), far / 2).mask(SHAPE).any()
    assert not n4.Point((far, 3)).mask(SHAPE).any()
    assert not n4.Polygon([(far, far), (far, 0), (far / 2, -far)]).mask(SHAPE).any()
    assert n4.Disk((3, 3), far).mask(SHAPE).all()
    assert (
        n4.Polygon([(-far, -far), (-far, far), (far, far), (far, -far)])
        .mask(SHAPE)
        .all()
    )


@needs_truth
def test_virtual_detectors_of_the_truth_have_as_many_pixels():
    for detector in facts()["virtual_detectors"].values():
        if detector["inner"] is None:
            ours = n4.Disk(detector["centre"], detector["outer"])
        else:
            ours = n4.Annulus(detector["centre"], detector["inner"], detector["outer"])
        assert ours.mask(facts()["sig_shape"]).sum() == detector["pixels"]


@needs_truth
def test_masks_sum_expected_counts_as_the_truth_has_them():
    frames = np.asarray(truth("noise_free_binned4"), np.float64)
    mask = n4.Rectangle((3, 2), (12, 17)).mask(frames.shape[2:])
    sums = frames[:, :, 3:13, 2:18].sum(axis=(2, 3))
    np.testing.assert_allclose((frames * mask).sum(axis=(2, 3)), sums)


def test_mask_gives_its_content_for_any_number_of_axes():
    for array in (np.ones(5, bool), np.arange(24).reshape(2, 3, 4), np.eye(3)):
        mask = n4.Mask(array).mask(array.shape)
        np.testing.assert_array_equal(mask, array)
        assert mask.dtype == (bool if array.dtype == bool else np.float64)
        assert not mask.flags.writeable


def test_mask_keeps_what_it_was_made_from():
    array = np.ones((2, 2), bool)
    mask = n4.Mask(array)
    array[:] = False
    assert mask.mask((2, 2)).all()


def test_masks_of_equal_content_are_equal():
    zeros = np.zeros((2, 3))
    assert n4.Mask(zeros) == n4.Mask(-zeros)
    assert hash(n4.Mask(zeros)) == hash(n4.Mask(-zeros))
    assert n4.Mask(zeros) == n4.Mask(np.asfortranarray(zeros.astype(">f4")))
    others = [zeros + 1, zeros.astype(bool), zeros[:, :2], zeros.ravel()]
    assert all(n4.Mask(zeros) != n4.Mask(other) for other in others)
    assert n4.Mask(zeros) != zeros.tobytes()


@pytest.mark.parametrize("detector", ONE_OF_EACH, ids=kind)
def test_detectors_are_values(detector):
    again = pickle.loads(pickle.dumps(detector))
    assert again == detector
    assert hash(again) == hash(detector)
    assert len({detector, again, *ONE_OF_EACH}) == len(ONE_OF_EACH)
    np.testing.assert_array_equal(again.mask(SHAPE), detector.mask(SHAPE))
    name = next(iter(vars(detector)))
    with pytest.raises(AttributeError):
        setattr(detector, name, None)


@pytest.mark.parametrize("detector", GEOMETRIC, ids=kind)
def test_repr_of_geometry_is_python(detector):
    assert eval(f"n4.{detector!r}", {"n4": n4}) == detector


def test_numbers_of_numpy_become_plain():
    disk = n4.Disk(np.array((1, 2), np.float32), np.uint8(3))
    assert repr(disk) == "Disk(center=(1.0, 2.0), radius=3.0)"
    assert disk == n4.Disk((1, 2), 3)


@pytest.mark.parametrize("detector", GEOMETRIC, ids=kind)
@pytest.mark.parametrize("sig_shape", [(9,), (3, 4, 5)])
def test_geometry_needs_two_detector_axes(detector, sig_shape):
    with pytest.raises(n4.ShapeError, match=f"{kind(detector)} needs two detector"):
        detector.mask(sig_shape)


def test_mask_must_have_the_shape_of_a_frame():
    with pytest.raises(n4.ShapeError, match=r"expected \(17, 13\), found \(13, 17\)"):
        n4.Mask(np.ones(SHAPE)).mask((17, 13))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: n4.Disk((1, 2), -1), "radius of a Disk"),
        (lambda: n4.Disk((1, 2), np.nan), "radius of a Disk"),
        (lambda: n4.Disk((1, 2), 1j), "radius of a Disk"),
        (lambda: n4.Disk((1, 2), (3, 4)), "radius of a Disk"),
        (lambda: n4.Disk((1, np.inf), 1), "center of a Disk"),
        (lambda: n4.Disk((1, 2, 3), 1), "center of a Disk"),
        (lambda: n4.Disk(((1, 2), 3), 1), "center of a Disk"),
        (lambda: n4.Disk("12", 1), "center of a Disk"),
        (lambda: n4.Annulus((1, 2), 3, 2), "larger than the Annulus"),
        (lambda: n4.Annulus((1, 2), -3, 2), "inner of an? Annulus"),
        (lambda: n4.Point((np.nan, 0)), "position of a Point"),
        (lambda: n4.Point(None), "position of a Point"),
        (lambda: n4.Rectangle((0, 0), (1, np.inf)), "opposite of a Rectangle"),
        (lambda: n4.Polygon([(0, 0), (1, 1)]), "too few vertices: expected 3"),
        (lambda: n4.Polygon([]), "vertices of a Polygon"),
        (lambda: n4.Polygon([(0, 0), (1, 1), (2,)]), "vertices of a Polygon"),
        (lambda: n4.Polygon([(0, 0), (1, 1), (2, np.nan)]), "vertices of a Polygon"),
        (lambda: n4.Mask(np.ones((2, 2)) * 1j), "expected an array of bool or of real"),
        (lambda: n4.Mask([["a"]]), "expected an array of bool or of real"),
        (lambda: n4.Mask(3), "found int64, 0 axes"),
        (lambda: n4.Mask([[1, np.nan]]), "NaN or infinite"),
    ],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(n4.FormatError, match=message):
        make()
