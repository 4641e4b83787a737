"""Sums, squares and maxima of every pixel over frames, 64 bytes of each at a time.

To import this module is to import numba. Frames are rows of lanes, of which whole
blocks are taken: the few lanes that remain at the end are left to the caller.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba.core import cgutils, types
from numba.extending import intrinsic
from numpy.typing import NDArray

from napari_4dstem.decode import kernel
from napari_4dstem.decode.mask_table import BLOCK, TILE
from napari_4dstem.decode.vectors import (
    AT_ONCE,
    DOUBLES,
    HALVES,
    I64,
    WORDS,
    Lane,
    cut,
    load,
    store,
    sum_type,
)

# So many numbers of 16 bits have a sum of 32 bits.
MOST_ADDED = 2**16

# Adds a block of each of some frames to what is at some addresses for these lanes.
Add = Callable[[Any, Lane, list[Any], list[Any]], None]


def _over_blocks(add: Add, sizes: Callable[[Lane], tuple[int, ...]]) -> Any:
    """Return an intrinsic that adds `AT_ONCE` frames, or one, block by block.

    Parameters
    ----------
    add : callable
    sizes : callable
        Bytes for a lane at each of the addresses.
    """

    def blocks(
        _typing: Any,
        address: Any,
        stride: Any,
        is_one: Any,
        count: Any,
        lane: Any,
        places: Any,
    ) -> Any:
        signature = types.void(address, stride, is_one, count, lane, places)
        kind = Lane(*lane.types[:2])

        def generate(context: Any, b: Any, _signature: Any, args: Any) -> Any:
            address, stride, is_one, count, _, places = args
            starts = cgutils.unpack_tuple(b, places)
            with cgutils.for_range(b, count) as loop:
                here = b.add(address, b.mul(loop.index, I64(BLOCK)))
                at = [
                    b.add(start, b.mul(loop.index, I64(size * kind.count)))
                    for start, size in zip(starts, sizes(kind), strict=True)
                ]
                with b.if_else(is_one) as (one, several):
                    for branch, frames in ((one, 1), (several, AT_ONCE)):
                        with branch:
                            found = []
                            for i in range(frames):
                                frame = b.add(here, b.mul(stride, I64(i)))
                                block = load(b, frame, WORDS, align=1)
                                found.append(kind.swapped(b, block))
                            add(b, kind, found, at)
            return context.get_dummy_value()

        return signature, generate

    return intrinsic(blocks)


def _increase(b: Any, place: Any, i: int, values: list[Any]) -> None:
    """Add vectors to the i-th vector from ``place`` on."""
    kind = values[0].type
    at = b.add(place, I64(BLOCK * i))
    total = load(b, at, kind)
    for value in values:
        total = (b.fadd if kind == DOUBLES else b.add)(total, value)
    store(b, total, at)


def _add_plain(b: Any, lane: Lane, blocks: list[Any], places: list[Any]) -> None:
    kind = sum_type(lane)
    parts = zip(*(lane.numbers(b, block, kind) for block in blocks), strict=True)
    for i, values in enumerate(parts):
        _increase(b, places[0], i, list(values))


def _add_squares(b: Any, lane: Lane, blocks: list[Any], places: list[Any]) -> None:
    parts = zip(*(lane.numbers(b, block, HALVES) for block in blocks), strict=True)
    for i, values in enumerate(parts):
        _increase(b, places[0], i, list(values))
        squares = [b.mul(value, value) for value in values]
        if lane.bits == 8:
            _increase(b, places[1], i, squares)
            continue
        halves = [cut(b, square, 8) for square in squares]
        for half in (0, 1):
            wide = [b.zext(pair[half], WORDS) for pair in halves]
            _increase(b, places[1], 2 * i + half, wide)


def _add_shifted(b: Any, lane: Lane, blocks: list[Any], places: list[Any]) -> None:
    parts = zip(*(lane.numbers(b, block, DOUBLES) for block in blocks), strict=True)
    for i, values in enumerate(parts):
        shift = load(b, b.add(places[0], I64(BLOCK * i)), DOUBLES)
        apart = [b.fsub(value, shift) for value in values]
        _increase(b, places[1], i, apart)
        _increase(b, places[2], i, [b.fmul(value, value) for value in apart])


def _keep_largest(b: Any, lane: Lane, blocks: list[Any], places: list[Any]) -> None:
    (largest,) = lane.parts(b, load(b, places[0], WORDS), lane.count)
    for block in blocks:
        (values,) = lane.parts(b, block, lane.count)
        if lane.is_float:  # NaN stays
            larger = b.fcmp_unordered(">", values, largest)
            larger = b.and_(larger, b.fcmp_ordered("ord", largest, largest))
        elif lane.is_signed:
            larger = b.icmp_signed(">", values, largest)
        else:
            larger = b.icmp_unsigned(">", values, largest)
        largest = b.select(larger, values, largest)
    store(b, largest, places[0])


def _sum_nbytes(lane: Lane) -> int:
    return BLOCK // int(sum_type(lane).count)


add_plain = _over_blocks(_add_plain, lambda lane: (_sum_nbytes(lane),))
add_squares = _over_blocks(_add_squares, lambda lane: (4, lane.bits // 2))
add_shifted = _over_blocks(_add_shifted, lambda lane: (8, 8, 8))
keep_largest = _over_blocks(_keep_largest, lambda lane: (lane.bits // 8,))


@kernel
def empty_room(room: NDArray[Any], tile: NDArray[Any]) -> None:
    """Add short sums to long ones."""
    for k in range(len(tile)):
        for c in range(tile.shape[1]):
            tile[k, c] += room[k, c]
            room[k, c] = 0


@kernel
def sum_across(
    address: int,
    stride: int,
    count: int,
    room: NDArray[Any],
    lane: Any,
    total: NDArray[Any],
) -> None:
    """Add frames to a sum.

    Parameters
    ----------
    address, stride, count : int
        Of the first frame; bytes from one to the next; number of frames, at most 2**16.
    room : array, shape (blocks of a tile, lanes of a block)
        int32 or uint32 for lanes of up to 16 bits, else of the type of ``total``.
    lane : tuple
        See `vectors`.
    total : int64, uint64 or float64 array, shape (blocks, lanes of a block)
    """
    for begin in range(0, len(total), TILE):
        tile = total[begin : begin + TILE]
        room[:] = 0
        for i in range(0, count, AT_ONCE):
            is_one = i + AT_ONCE > count
            for j in range(i, count if is_one else i + 1):
                at = address + j * stride + begin * BLOCK
                place = (room.ctypes.data,)
                add_plain(at, stride, is_one, len(tile), lane, place)
        empty_room(room, tile)


@kernel
def sum_side_by_side(
    address: int,
    runs: NDArray[np.int64],
    bounds: NDArray[np.int64],
    room: NDArray[Any],
    lane: Any,
    total: NDArray[Any],
) -> None:
    """Sum frames within masks, where the next lane is of the next frame.

    Parameters
    ----------
    address : int
        Of the first pixel of the first frame.
    runs : int64 array, shape (r, 3)
        Pixels: bytes to the first one, bytes to the next, number of pixels.
    bounds : int64 array, shape (k + 1,)
        The runs of mask i are those from ``bounds[i]`` to ``bounds[i + 1]``.
    room, lane
        As for `sum_across`.
    total : int64, uint64 or float64 array, shape (k, blocks, lanes of a block)
    """
    for begin in range(0, total.shape[1], TILE):
        for k in range(total.shape[0]):
            tile = total[k, begin : begin + TILE]
            room[:] = 0
            added = 0
            for r in range(bounds[k], bounds[k + 1]):
                offset, step, count = runs[r]
                for i in range(0, count, AT_ONCE):
                    is_one = i + AT_ONCE > count
                    for j in range(i, count if is_one else i + 1):
                        at = address + offset + j * step + begin * BLOCK
                        place = (room.ctypes.data,)
                        add_plain(at, step, is_one, len(tile), lane, place)
                    added += AT_ONCE
                    if added == MOST_ADDED:
                        empty_room(room, tile)
                        added = 0
            empty_room(room, tile)


@kernel
def square_across(
    address: int,
    stride: int,
    count: int,
    room: NDArray[Any],
    squares_room: NDArray[Any],
    lane: Any,
    total: NDArray[Any],
    squares: NDArray[np.uint64],
) -> None:
    """Add frames of up to 16 bits, and their squares, to sums.

    Parameters
    ----------
    address, stride, count, room, lane, total
        As for `sum_across`.
    squares_room : uint32 or uint64 array, shape (blocks of a tile, lanes of a block)
        For lanes of 8, and of 16 bits.
    squares : uint64 array, shape (blocks, lanes of a block)
    """
    for begin in range(0, len(total), TILE):
        tile, tile_squares = total[begin : begin + TILE], squares[begin : begin + TILE]
        room[:] = 0
        squares_room[:] = 0
        for i in range(0, count, AT_ONCE):
            is_one = i + AT_ONCE > count
            for j in range(i, count if is_one else i + 1):
                at = address + j * stride + begin * BLOCK
                places = (room.ctypes.data, squares_room.ctypes.data)
                add_squares(at, stride, is_one, len(tile), lane, places)
        empty_room(room, tile)
        empty_room(squares_room, tile_squares)


@kernel
def deviate_across(
    address: int,
    stride: int,
    count: int,
    lane: Any,
    shift: NDArray[np.float64],
    total: NDArray[np.float64],
    squares: NDArray[np.float64],
) -> None:
    """Add what frames differ from ``shift``, and the squares of that, to sums.

    Parameters
    ----------
    address, stride, count, lane
        As for `sum_across`; any number of frames.
    shift, total, squares : float64 array, shape (blocks, lanes of a block)
    """
    for begin in range(0, len(total), TILE):
        blocks = min(TILE, len(total) - begin)
        places = (
            shift[begin:].ctypes.data,
            total[begin:].ctypes.data,
            squares[begin:].ctypes.data,
        )
        for i in range(0, count, AT_ONCE):
            is_one = i + AT_ONCE > count
            for j in range(i, count if is_one else i + 1):
                at = address + j * stride + begin * BLOCK
                add_shifted(at, stride, is_one, blocks, lane, places)


@kernel
def largest_across(
    address: int, stride: int, count: int, lane: Any, largest: NDArray[Any]
) -> None:
    """Replace what is smaller than in some frames; NaN is largest.

    Parameters
    ----------
    address, stride, count, lane
        As for `sum_across`; any number of frames.
    largest : array of the type of the lanes, shape (blocks, lanes of a block)
    """
    for begin in range(0, len(largest), TILE):
        blocks = min(TILE, len(largest) - begin)
        place = (largest[begin:].ctypes.data,)
        for i in range(0, count, AT_ONCE):
            is_one = i + AT_ONCE > count
            for j in range(i, count if is_one else i + 1):
                at = address + j * stride + begin * BLOCK
                keep_largest(at, stride, is_one, blocks, lane, place)
