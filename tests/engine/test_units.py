import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_4dstem.engine.units import COARSE_STEP, Unit, units
from napari_4dstem.frames.arrays import ArrayFrames
from napari_4dstem.frames.scan import ScanFrames, ScanGeometry

NAV_SHAPES = st.lists(st.integers(1, 40), min_size=1, max_size=3).map(tuple)


def scan(nav_shape, grain=()):
    frames = np.broadcast_to(np.uint16(0), (int(np.prod(nav_shape)), 300, 300))
    source = ArrayFrames(frames, (300, 300), grain=grain)
    return ScanFrames(source, ScanGeometry(nav_shape))


@pytest.mark.parametrize("grain", [(), (4, 5)])
@pytest.mark.parametrize("order", ["file", "coarse"])
@settings(max_examples=50)
@given(nav_shape=NAV_SHAPES, threads=st.integers(1, 8))
def test_every_position_is_in_one_unit(grain, order, nav_shape, threads):
    work = units(scan(nav_shape, grain), threads, order)
    positions = np.concatenate([unit.positions(nav_shape, None) for unit in work])
    np.testing.assert_array_equal(np.sort(positions), np.arange(np.prod(nav_shape)))


def test_coarse_order_begins_with_a_grid_all_over_the_scan():
    nav_shape = (64, 48)
    work = units(scan(nav_shape), 2, "coarse")
    first = [unit.positions(nav_shape, None) for unit in work if unit.grid]
    y, x = np.unravel_index(np.concatenate(first), nav_shape)
    assert work[: len(first)] == [unit for unit in work if unit.grid]
    assert set(y) == set(range(0, 64, COARSE_STEP))
    assert set(x) == set(range(0, 48, COARSE_STEP))


def test_coarse_order_of_chunked_frames_keeps_chunks_whole():
    nav_shape = (64, 50)
    work = units(scan(nav_shape, (4, 5)), 2, "coarse")
    assert all(unit.grid is None for unit in work)
    tops = [unit.region[0][0] for unit in work]
    assert tops != sorted(tops)
    assert all(top % 4 == 0 for top in tops)


@pytest.mark.parametrize("grid", [None, True, False])
def test_region_of_interest_leaves_positions_out(grid):
    roi = np.random.default_rng(1).random((20, 30)) < 0.3
    unit = Unit(((3, 17), (0, 30)), grid)
    every = unit.positions((20, 30), None)
    wanted = unit.positions((20, 30), roi)
    np.testing.assert_array_equal(wanted, every[roi.ravel()[every]])


def test_units_of_a_large_scan_are_few_enough_to_cost_nothing():
    work = units(scan((512, 512)), 2)
    assert 16 <= len(work) < 2000


def test_units_have_more_frames_where_few_pixels_are_needed():
    needed = np.zeros((300, 300), bool)
    needed[100:110, 32:64] = True
    frames = scan((512, 512))
    every, few = units(frames, 2), units(frames, 2, needed=needed)
    assert 16 <= len(few) < len(every) / 10
    # not where frames come out of chunks as a whole
    chunked = scan((512, 512), (4, 4))
    assert len(units(chunked, 2, needed=needed)) == len(units(chunked, 2))
    nothing = units(frames, 2, needed=np.zeros((300, 300), bool))
    positions = np.concatenate([unit.positions((512, 512), None) for unit in nothing])
    assert len(np.unique(positions)) == 512**2
