"""Sums of frames within masks, 64 bytes of some frames at a time.

To import this module is to import numba.

A mask is a list of runs of blocks of 64 bytes that is the same for all frames. A block
is loaded as it lies and AND-ed with the bytes of the mask, and its lanes are added up.
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
    I32,
    I64,
    WORDS,
    Lane,
    call,
    frames_at_once,
    load,
    splat,
    store,
    variables,
)

# One mask of less than this part of a frame is sparse.
SPARSE = 4


def _add_blocks(
    _typing: Any,
    address: Any,
    stride: Any,
    count: Any,
    runs: Any,
    end: Any,
    masks: Any,
    weights: Any,
    lane: Any,
    sums: Any,
) -> Any:
    """Add the pixels of `AT_ONCE` frames within a mask to vectors of sums.

    Parameters
    ----------
    address : int64
        Of the first byte of the first frame.
    stride, count : int64
        From frame to frame; number of frames, of which the last is repeated.
    runs, end : int64
        Addresses of the first run and one past the last: int64 ``(byte of the frame,
        blocks, row of masks)`` each; row -1: all pixels.
    masks, weights : int64
        Addresses of the tables of masks and weights.
    lane : tuple
        A third type is bool where there are weights, else None.
    sums : int64
        Address of eight sums for each frame, which are to be added up: 64-bit integers,
        or float64 for floats and weights.
    """
    signature = types.void(
        address, stride, count, runs, end, masks, weights, lane, sums
    )
    loop = _Loop(*lane.types)

    def generate(context: Any, b: Any, _signature: Any, args: Any) -> Any:
        loop.write(b, *args)
        return context.get_dummy_value()

    return signature, generate


class _Loop:
    """Writes the loop over the runs of a mask for one type of lane."""

    def __init__(self, pixel: Any, swapped: Any, weighted: Any) -> None:
        self.lane = Lane(pixel, swapped)
        self.weighted = weighted != types.none
        self.to_float = self.lane.is_float or self.weighted
        # Sums twice as wide as a lane, which are emptied after each run: it has at most
        # MAX_RUN blocks, and from each block a sum gets two lanes.
        self.is_narrow = self.lane.bits in (8, 16) and not self.to_float

    def write(
        self,
        b: Any,
        address: Any,
        stride: Any,
        count: Any,
        runs: Any,
        end: Any,
        masks: Any,
        weights: Any,
        _lane: Any,
        kept: Any,
    ) -> None:
        frames = frames_at_once(b, address, stride, count)
        sums = variables(b, DOUBLES if self.to_float else WORDS, kept)
        narrow = variables(b, WORDS) if self.is_narrow else sums
        with cgutils.for_range_slice(b, runs, end, I64(24), I64) as (run, _):
            start, blocks, row = (load(b, b.add(run, I64(i)), I64) for i in (0, 8, 16))
            if self.is_narrow:
                for total in narrow:
                    b.store(WORDS(None), total)
            begins = [b.add(frame, start) for frame in frames]
            mask = b.add(masks, b.mul(row, I64(BLOCK)))
            if self.weighted:
                row_weights = b.add(weights, b.mul(row, I64(8 * self.lane.count)))
                self._blocks(b, begins, blocks, mask, row_weights, narrow)
            else:
                with b.if_else(b.icmp_signed(">=", row, I64(0))) as (within, whole):
                    with within:
                        self._blocks(b, begins, blocks, mask, None, narrow)
                    with whole:
                        self._blocks(b, begins, blocks, None, None, narrow)
            if self.is_narrow:
                for total, part in zip(sums, narrow, strict=True):
                    wide = self._widened(b, b.load(part))
                    b.store(b.add(b.load(total), wide), total)
        for i, total in enumerate(sums):
            store(b, b.load(total), b.add(kept, I64(BLOCK * i)))

    def _blocks(
        self, b: Any, begins: Any, blocks: Any, mask: Any, weights: Any, sums: Any
    ) -> None:
        """Add the blocks of a run, of each frame to its sum."""
        lane = self.lane
        with cgutils.for_range(b, blocks) as loop:
            at = b.mul(loop.index, I64(BLOCK))
            bits = None if mask is None else load(b, b.add(mask, at), WORDS)
            factors = None
            if weights is not None:
                factors = b.add(weights, b.mul(loop.index, I64(8 * lane.count)))
            for begin, total in zip(begins, sums, strict=True):
                block = load(b, b.add(begin, at), WORDS, align=1)
                if lane.is_signed and lane.bits < 64 and not self.to_float:
                    block = b.xor(block, splat(self._signs()))  # the lowest is 0 now
                if bits is not None:
                    block = b.and_(block, bits)
                block = lane.swapped(b, block)
                if self.to_float:
                    self._add_floats(b, block, factors, total)
                else:
                    b.store(b.add(b.load(total), self._folded(b, block)), total)

    def _signs(self) -> int:
        """The sign bits of the lanes of a word, as they lie in memory."""
        sign = 1 << (7 if self.lane.is_swapped else self.lane.bits - 1)
        return sum(sign << at for at in range(0, 64, self.lane.bits))

    def _folded(self, b: Any, block: Any) -> Any:
        """Add neighboring lanes: half as many, twice as wide."""
        bits = self.lane.bits
        if bits == 64:
            return block
        if bits == 1:
            return call(b, "llvm.ctpop.v8i64", WORDS, block)
        pairs = ir.VectorType(ir.IntType(2 * bits), 256 // bits)
        both = b.bitcast(block, pairs)
        low = b.and_(both, ir.Constant(pairs, [2**bits - 1] * pairs.count))
        high = b.lshr(both, ir.Constant(pairs, [bits] * pairs.count))
        return b.bitcast(b.add(low, high), WORDS)

    def _widened(self, b: Any, sums: Any) -> Any:
        """Add up the narrow sums of each word."""
        bits = 2 * self.lane.bits
        while bits < 64:
            low = splat(sum((2**bits - 1) << at for at in range(0, 64, 2 * bits)))
            sums = b.add(b.and_(sums, low), b.and_(b.lshr(sums, splat(bits)), low))
            bits *= 2
        return sums

    def _add_floats(self, b: Any, block: Any, weights: Any, total: Any) -> None:
        """Add the lanes, times their weights, as float64, eight at a time."""
        added = b.load(total)
        for i, part in enumerate(self.lane.numbers(b, block, DOUBLES)):
            if weights is not None:
                part = b.fmul(part, load(b, b.add(weights, I64(BLOCK * i)), DOUBLES))
            added = b.fadd(added, part)
        b.store(added, total)


def _prefetch(_typing: Any, address: Any) -> Any:
    """Ask for a line of memory, which is to wait in the second level of the cache.

    All masks of a band fit in there; in the first level they would push each other out.
    """

    def generate(context: Any, b: Any, _signature: Any, args: Any) -> Any:
        line = b.inttoptr(args[0], ir.IntType(8).as_pointer())
        read, level, data = I32(0), I32(2), I32(1)
        call(b, "llvm.prefetch", ir.VoidType(), line, read, level, data)
        return context.get_dummy_value()

    return types.void(address), generate


add_blocks: Any = intrinsic(_add_blocks)
prefetch: Any = intrinsic(_prefetch)


@kernel
def fetch_blocks(
    address: int, stride: int, count: int, runs: NDArray[np.int64]
) -> None:
    """Ask for all blocks of runs, which are needed soon."""
    for r in range(len(runs)):
        for i in range(count):
            at = address + i * stride + runs[r, 0]
            for block in range(runs[r, 1]):
                prefetch(at + block * BLOCK)


@kernel
def sum_blocks(
    address: int,
    stride: int,
    runs: NDArray[np.int64],
    bounds: NDArray[np.int64],
    masks: NDArray[np.uint8],
    weights: NDArray[np.float64],
    lane: Any,
    out: NDArray[Any],
) -> None:
    """Sum the pixels of frames within masks.

    Parameters
    ----------
    address, stride : int
        Of the first frame; bytes from one to the next. Not an array: numba would
        compile anew for what is read-only, unaligned or not contiguous.
    runs, bounds, masks, weights
        See `MaskTable`.
    lane : tuple
        See `vectors`; a third element is True where there are weights, else None.
    out : uint64 or float64 array, shape (n, k)
        Signed numbers of less than 64 bits count from the lowest one: -128 is 0.
    """
    bands, many = len(bounds), out.shape[1]
    # The processor foresees rows that follow each other, not those of small detectors.
    ahead = many > 1 or SPARSE * BLOCK * runs[:, 1].sum() < abs(stride)
    every = many if many > 1 else 0
    sums = np.empty((many, AT_ONCE, 8), out.dtype)
    for i in range(0, out.shape[0], AT_ONCE):
        count = min(AT_ONCE, out.shape[0] - i)
        first = address + i * stride
        sums[:] = 0
        for band in range(bands):
            if ahead:
                following = first if band + 1 < bands else first + AT_ONCE * stride
                begin, end = bounds[(band + 1) % bands, every]
                fetch_blocks(following, stride, count, runs[begin:end])
            for k in range(many):
                begin, end = bounds[band, k]
                add_blocks(
                    first,
                    stride,
                    count,
                    runs.ctypes.data + 24 * begin,
                    runs.ctypes.data + 24 * end,
                    masks.ctypes.data,
                    weights.ctypes.data,
                    lane,
                    sums[k].ctypes.data,
                )
        for j in range(count):
            for k in range(many):
                total = sums[k, j, 0]
                for part in range(1, 8):
                    total += sums[k, j, part]
                out[i + j, k] = total
