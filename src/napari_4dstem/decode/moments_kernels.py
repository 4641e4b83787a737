"""Sums of frames, plain and times row and column, 64 bytes of some frames at a time.

To import this module is to import numba.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic
from numpy.typing import NDArray

from napari_4dstem.decode import kernel
from napari_4dstem.decode.mask_table import BLOCK
from napari_4dstem.decode.vectors import (
    AT_ONCE,
    DOUBLES,
    HALVES,
    I32,
    I64,
    WORDS,
    Lane,
    cut,
    frames_at_once,
    load,
    store,
    sum_type,
    variables,
)


def _add_rows(
    _typing: Any,
    address: Any,
    stride: Any,
    count: Any,
    runs: Any,
    end: Any,
    masks: Any,
    lane: Any,
    columns: Any,
    column_stride: Any,
    sums: Any,
) -> Any:
    """Add the pixels of `AT_ONCE` frames within a mask to sums of columns and rows.

    Parameters
    ----------
    address, stride, count : int64
        As for `sum_blocks`.
    runs, end : int64
        Addresses of the first run and one past the last: int64 ``(byte of the frame,
        blocks, row of masks, row, slot)`` each.
    masks : int64
        Address of the table of masks.
    lane : tuple
    columns, column_stride : int64
        Address of the sums of columns of the first frame, and bytes to those of the
        next: 32 bits for integers of up to 16 bits, else 64. See `RowTable.places`.
    sums : int64
        Address of two times eight sums of 64 bits for each frame, which are to be
        added up: of the pixels, and of the pixels times their row.
    """
    signature = types.void(
        address, stride, count, runs, end, masks, lane, columns, column_stride, sums
    )
    kind = Lane(*lane.types[:2])

    def generate(context: Any, b: Any, _signature: Any, args: Any) -> Any:
        _write(b, kind, *args)
        return context.get_dummy_value()

    return signature, generate


def _write(
    b: Any,
    lane: Lane,
    address: Any,
    stride: Any,
    count: Any,
    runs: Any,
    end: Any,
    masks: Any,
    _lane: Any,
    columns: Any,
    column_stride: Any,
    kept: Any,
) -> None:
    frames = frames_at_once(b, address, stride, count)
    wide = sum_type(lane)
    add, words = (b.fadd, DOUBLES) if lane.is_float else (b.add, WORDS)
    plain = variables(b, words, kept)
    moved = variables(b, words, b.add(kept, I64(BLOCK * AT_ONCE)))
    row_sums = variables(b, wide)
    with cgutils.for_range_slice(b, runs, end, I64(40), I64) as (run, _):
        start, blocks, mask_row, row, column = (
            load(b, b.add(run, I64(8 * i)), I64) for i in range(5)
        )
        for total in row_sums:
            b.store(wide(None), total)
        mask = b.add(masks, b.mul(mask_row, I64(BLOCK)))
        item = BLOCK // wide.count
        places = []
        for i in range(AT_ONCE):
            first = b.add(columns, b.mul(I64(i), column_stride))
            places.append(b.add(first, b.mul(column, I64(item))))
        with cgutils.for_range(b, blocks) as loop:
            at = b.mul(loop.index, I64(BLOCK))
            bits = load(b, b.add(mask, at), WORDS)
            for frame, place, total in zip(frames, places, row_sums, strict=True):
                block = load(b, b.add(b.add(frame, start), at), WORDS, align=1)
                block = b.and_(lane.swapped(b, block), bits)
                to = b.add(place, b.mul(loop.index, I64(item * lane.count)))
                added = b.load(total)
                for i, part in enumerate(lane.dealt(b, block, wide)):
                    slot = b.add(to, I64(BLOCK * i))
                    kept_sums = load(b, slot, wide, align=item)
                    store(b, add(kept_sums, part), slot, align=item)
                    added = add(added, part)
                b.store(added, total)
        times = ir.Constant(words, ir.Undefined)
        factor = b.sitofp(row, words.element) if lane.is_float else row
        for i in range(8):
            times = b.insert_element(times, factor, I32(i))
        for total, every, by_row in zip(row_sums, plain, moved, strict=True):
            in_row = _in_words(b, lane, b.load(total))
            b.store(add(b.load(every), in_row), every)
            product = (b.fmul if lane.is_float else b.mul)(in_row, times)
            b.store(add(b.load(by_row), product), by_row)
    for i in range(AT_ONCE):
        store(b, b.load(plain[i]), b.add(kept, I64(BLOCK * i)))
        store(b, b.load(moved[i]), b.add(kept, I64(BLOCK * (AT_ONCE + i))))


def _in_words(b: Any, lane: Lane, sums: Any) -> Any:
    """Add pairs of 32-bit sums: eight of 64 bits."""
    if sums.type != HALVES:
        return sums
    widen = b.sext if lane.is_signed else b.zext
    return b.add(*(widen(half, WORDS) for half in cut(b, sums, 8)))


add_rows: Any = intrinsic(_add_rows)


@kernel
def sum_moments(
    address: int,
    stride: int,
    runs: NDArray[np.int64],
    masks: NDArray[np.uint8],
    places: NDArray[np.int64],
    columns: NDArray[Any],
    lane: Any,
    out: NDArray[Any],
) -> None:
    """Sum pixels within a mask, plain and times their row and column.

    Parameters
    ----------
    address, stride : int
        Of the first frame; bytes from one to the next.
    runs, masks
        See `RowTable`.
    places : int64 array, shape (c,)
        What the sums of columns are multiplied by; see `RowTable.places`.
    columns : array, shape (AT_ONCE, c)
        Room for the sums of columns: 32 bits for integers of up to 16 bits, else 64.
    lane : tuple
        See `vectors`.
    out : uint64, int64 or float64 array, shape (n, 3)
    """
    sums = np.empty((2, AT_ONCE, 8), out.dtype)
    for i in range(0, out.shape[0], AT_ONCE):
        count = min(AT_ONCE, out.shape[0] - i)
        sums[:] = 0
        columns[:] = 0
        add_rows(
            address + i * stride,
            stride,
            count,
            runs.ctypes.data,
            runs.ctypes.data + 40 * len(runs),
            masks.ctypes.data,
            lane,
            columns.ctypes.data,
            columns.strides[0],
            sums.ctypes.data,
        )
        for j in range(count):
            out[i + j] = 0
            for part in range(8):
                out[i + j, 0] += sums[0, j, part]
                out[i + j, 1] += sums[1, j, part]
            of_frame = columns[j]
            for c in range(places.size):
                out[i + j, 2] += of_frame[c] * places[c]
