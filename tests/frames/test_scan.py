"""From scan positions to stored frames."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import napari_4dstem as n4
from napari_4dstem.corrections import Corrections
from napari_4dstem.frames.arrays import ArrayFrames
from napari_4dstem.frames.scan import ScanFrames, ScanGeometry
from tests.formats.contract import assert_is, scan_of

STORED = np.arange(1, 20 * 12 + 1, dtype="i4").reshape(20, 3, 4)

GEOMETRIES = st.builds(
    ScanGeometry,
    nav_shape=st.lists(st.integers(1, 6), min_size=1, max_size=3).map(tuple),
    sync_offset=st.integers(-19, 19),
    flyback=st.integers(0, 3),
)


def scan_frames(geometry, corrections=None):
    return ScanFrames(ArrayFrames(STORED, (3, 4)), geometry, corrections)


def truth(geometry):
    return scan_of(
        list(STORED), geometry.nav_shape, geometry.sync_offset, geometry.flyback
    )


@given(GEOMETRIES)
def test_scan_is_folded_position_by_position(geometry):
    scan, valid = truth(geometry)
    frames = scan_frames(geometry)
    assert frames.shape == scan.shape
    assert frames.ndim == scan.ndim
    assert_is(frames[...], scan)
    assert_is(frames.valid(), valid)


@given(GEOMETRIES)
def test_needed_frames_fill_the_scan_and_one_less_does_not(geometry):
    blank = {
        count: np.count_nonzero(
            ~scan_of([STORED[0]] * count, geometry.nav_shape, 0, geometry.flyback)[1]
        )
        for count in (geometry.num_needed, max(geometry.num_needed - 1, 1))
    }
    assert blank[geometry.num_needed] == 0
    assert sum(blank.values()) == (geometry.num_needed > 1)


@settings(max_examples=200)
@given(GEOMETRIES, st.data())
def test_block_is_a_part_that_needs_no_more_frames_than_it_has(geometry, data):
    region = []
    for n in geometry.nav_shape:
        start = data.draw(st.integers(0, n - 1))
        region.append(slice(start, data.draw(st.integers(start + 1, n))))
    scan, valid = truth(geometry)
    block = scan_frames(geometry).block(tuple(region))
    assert_is(block[...], scan[tuple(region)])
    assert_is(block.valid(), valid[tuple(region)])
    assert_is(block[-1], scan[tuple(region)][-1])
    positions = np.arange(geometry.num_positions).reshape(geometry.nav_shape)
    of_block = geometry.stored(positions[tuple(region)])
    assert block.source.num_frames <= of_block.max() - of_block.min() + 1


def test_valid_of_millions_of_positions_is_made_in_pieces():
    frames = ArrayFrames(np.broadcast_to(np.uint8(1), (3_000_000, 1, 1)), (1, 1))
    valid = ScanFrames(frames, ScanGeometry((3_000_001,), -5)).valid()
    assert valid.shape == (3_000_001,)
    assert not valid[:5].any()
    assert valid[5:].all()


def test_valid_of_a_complete_scan_takes_no_memory():
    shape = (2**30, 2**30)  # as a small HDF5 file without a chunk may claim
    source = ArrayFrames(np.broadcast_to(np.uint8(1), (*shape, 1, 1)), (1, 1))
    frames = ScanFrames(source, ScanGeometry(shape))
    assert frames.is_complete
    assert frames.num_valid() == 2**60
    valid = frames.valid()
    assert valid.shape == shape
    assert valid[-1, -1]
    assert not valid.flags.writeable
    late = ScanFrames(source, ScanGeometry(shape, -1))
    assert not late.is_complete
    with pytest.raises(n4.FormatError, match="too large to tell where"):
        late.valid()


def test_number_of_valid_positions_is_that_of_the_map():
    for nav_shape, sync_offset in (((4, 5), 0), ((4, 5), 3), ((4, 5), -3), ((9, 9), 0)):
        frames = scan_frames(ScanGeometry(nav_shape, sync_offset))
        assert frames.num_valid() == np.count_nonzero(frames.valid())
        assert frames.is_complete == frames.valid().all()


# Indexing.

SCAN = ScanGeometry((4, 5))
CUBE = STORED.reshape(4, 5, 3, 4)


def test_lists_of_positions_and_of_pixels_are_independent():
    frames = scan_frames(SCAN)
    ys, xs, pixels = [0, 3, 1], [4, 0, 0], CUBE[0, 0] % 5 == 0
    for key in ((ys, xs, ..., [0, 2]), (ys, xs, 1), (ys, xs, pixels)):
        expected = CUBE[ys, xs][(slice(None), *key[2:])]
        assert_is(frames[key], expected)
    assert_is(frames[0, :, :, [1, 3]], CUBE[0][:, :, [1, 3]])
    assert_is(frames[:, [0, 2], 1], CUBE[:, [0, 2]][:, :, 1])


def test_numpy_integers_and_masks_are_indices():
    frames = scan_frames(SCAN)
    mask = np.arange(20).reshape(4, 5) % 3 == 0
    assert_is(frames[np.int64(2), np.uint8(1)], CUBE[2, 1])
    assert_is(frames[mask], CUBE[mask])
    assert_is(frames[mask, 1:, ::-1], CUBE[mask][:, 1:, ::-1])
    assert_is(frames[:, mask[0]], CUBE[:, mask[0]])
    assert_is(frames[np.array([[0, 1], [2, 3]])], CUBE[np.array([[0, 1], [2, 3]])])


def test_nothing_selected_is_an_empty_array():
    frames = scan_frames(SCAN)
    for key in (slice(2, 2), np.zeros((4, 5), bool), (0, slice(0)), (..., slice(0))):
        assert_is(frames[key], CUBE[key])


@pytest.mark.parametrize(
    "key",
    [
        4,
        -5,
        (0, 5),
        (0, 0, 3),
        (0, 0, 0, -5),
        (0, 0, 0, 0, 0),
        (..., ...),
        None,
        (0, None),
        True,
        np.False_,
        1.5,
        "y",
        [0, 4],
        [0.5],
        (slice(None), np.ones((5, 3), bool)),
        np.ones((3, 5), bool),
        np.ones((4, 5, 3), bool),
        (0, 0, np.ones((3, 3), bool)),
    ],
    ids=repr,
)
def test_impossible_index_is_an_index_error(key):
    with pytest.raises(IndexError):
        scan_frames(SCAN)[key]


# Corrections.


def test_missing_frames_stay_blank_with_corrections():
    geometry = ScanGeometry((4, 6), -2)
    dark = np.full((3, 4), 5, "f4")
    scan, valid = truth(geometry)
    frames = scan_frames(geometry, Corrections(dark=dark))
    assert frames.dtype == np.float32
    expected = np.where(valid[..., None, None], scan - dark, 0).astype("f4")
    assert_is(frames[...], expected)
    assert_is(frames[1:, ::2, 1], expected[1:, ::2, 1])


def test_part_of_the_detector_is_corrected_as_in_the_whole():
    excluded = np.zeros((3, 4), bool)
    excluded[1, 1] = True
    frames = scan_frames(SCAN, Corrections(excluded=excluded))
    whole = frames[...]
    assert_is(frames[..., 1, 1], whole[..., 1, 1])
    assert_is(frames[2, 1:, 1:2, :2], whole[2, 1:, 1:2, :2])
    assert_is(frames.block((slice(1, 3), slice(0, 5)))[..., 1], whole[1:3, :, :, 1])
