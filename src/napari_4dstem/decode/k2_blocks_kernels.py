"""Loops of `BlockGrid`; to import this module is to import numba."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic
from numpy.typing import NDArray

from napari_4dstem.decode import kernel
from napari_4dstem.decode.mask_table import BLOCK
from napari_4dstem.decode.pixel_kernels import pixel
from napari_4dstem.decode.vectors import I64, WORDS, call, load, splat

Words = NDArray[np.uint64]
# Lanes: a word of pixels, and the numbers of a header.
WORD = np.uint64(0), None
SHORT, LONG = (np.uint16(0), True), (np.uint32(0), True)


@kernel
def spread(bits: np.uint64) -> np.uint64:
    """Four pixels of 16 bits from the lowest 48 bits."""
    first = bits & np.uint64(0xFFF)
    second = (bits & np.uint64(0xFFF000)) << np.uint64(4)
    third = (bits & np.uint64(0xFFF000000)) << np.uint64(8)
    fourth = (bits & np.uint64(0xFFF000000000)) << np.uint64(12)
    return first | second | third | fourth


@kernel(
    "void(Array(uint64, 2, 'A', readonly=True, aligned=False), int64, int64, int64,"
    " int64, Array(uint64, 2, 'A', aligned=False))"
)
def unpack_blocks(
    blocks: Words, place: int, header: int, rows: int, across: int, out: Words
) -> None:
    """Unpack blocks, shape (n, words), from ``place`` on.

    ``header`` words of each are skipped; ``out`` is the sector, four pixels a word.
    """
    for i in range(len(blocks)):
        top = (place + i) // across * rows
        left = (across - 1 - (place + i) % across) * 4
        for y in range(rows):
            at = header + 3 * y
            low, middle, high = blocks[i, at], blocks[i, at + 1], blocks[i, at + 2]
            out[top + y, left] = spread(low)
            out[top + y, left + 1] = spread(
                (low >> np.uint64(48)) | (middle << np.uint64(16))
            )
            out[top + y, left + 2] = spread(
                (middle >> np.uint64(32)) | (high << np.uint64(32))
            )
            out[top + y, left + 3] = spread(high >> np.uint64(16))


# How the pixels of a row lie in its three words, and how they are summed. Those that
# are not neighbors have room between them for sums, so a word is cut into three. (0 is
# the lowest bit; "5a" the lower part of pixel 5, "5b" the upper one.)
#
# word  pixels, at bits                         first cut     second cut      third cut
# 0     0 1 2 3 4 5a, 0 12 24 36 48 60          0 2, 0 24     1 3 5a, 0 24 48     4
# 1     5b 6 7 8 9 10a, 0 8 20 32 44 56         5b 7, 0 20    6 8 10a, 0 24 48    9
# 2     10b 11 12 13 14 15, 0 4 16 28 40 52     10b 12 14,    11 13, 0 24         15
#                                               0 16 40
FIRST_BITS = 0x000FFF000FFF, 0x0000FFF000FF, 0x0FFF000FFF000F
SECOND_SHIFT, SECOND_BITS = (12, 8, 4), (0xF000FFF000FFF, 0xFF000FFF000FFF, 0xFFF000FFF)
THIRD_SHIFT = 48, 44, 52
# Sums of the first cut: bits and weight of the lowest one; place, bits of the others.
LOW_BITS, LOW_WEIGHT = (0xFFFFFF, 0xFFFFF, 0xFFFF), (0, 4, 8)
MIDDLE_PLACE, MIDDLE_BITS, HIGH_PLACE = (24, 20, 16), (2**24 - 1,) * 3, (48, 44, 40)
# Eight rows are three vectors; so many times eight rows have sums that stay apart.
GROUP_NBYTES = 3 * BLOCK
MAX_GROUPS = 2**8


def _sum_groups(_typing: Any, address: Any, groups: Any, masks: Any) -> Any:
    """Sum `MAX_GROUPS` times eight rows, or less.

    Parameters
    ----------
    address, groups : int64
        Of the first row; number of groups of eight rows.
    masks : int64
        Address of the masks of these rows; 0: all pixels.
    """

    def generate(context: Any, b: Any, _signature: Any, args: Any) -> Any:
        address, groups, masks = args
        cuts = [[cgutils.alloca_once(b, WORDS) for _ in range(3)] for _ in range(3)]
        for variable in (v for of_vector in cuts for v in of_vector):
            b.store(WORDS(None), variable)
        with b.if_else(b.icmp_signed("==", masks, I64(0))) as (whole, within):
            for branch, mask in ((whole, None), (within, masks)):
                with branch, cgutils.for_range(b, groups) as loop:
                    at = b.mul(loop.index, I64(GROUP_NBYTES))
                    for i in range(3):
                        here = b.add(at, I64(BLOCK * i))
                        block = load(b, b.add(address, here), WORDS, align=1)
                        if mask is not None:
                            bits = load(b, b.add(mask, here), WORDS)
                            block = b.and_(block, bits)
                        found = _cuts(b, block, i)
                        for variable, cut in zip(cuts[i], found, strict=True):
                            b.store(b.add(b.load(variable), cut), variable)
        total = WORDS(None)
        for i, variables in enumerate(cuts):
            first, second, third = map(b.load, variables)
            low = b.shl(b.and_(first, _by_word(LOW_BITS, i)), _by_word(LOW_WEIGHT, i))
            middle = b.lshr(first, _by_word(MIDDLE_PLACE, i))
            parts = [low, b.and_(middle, _by_word(MIDDLE_BITS, i)), third]
            parts.append(b.lshr(first, _by_word(HIGH_PLACE, i)))
            field = splat(2**24 - 1)
            parts += [b.and_(second, field), b.lshr(second, splat(48))]
            parts.append(b.and_(b.lshr(second, splat(24)), field))
            for part in parts:
                total = b.add(total, part)
        return call(b, "llvm.vector.reduce.add.v8i64", I64, total)

    return types.uint64(address, groups, masks), generate


def _cuts(b: Any, block: Any, i: int) -> list[Any]:
    """Return the three cuts of the i-th vector of eight rows."""
    second = b.lshr(block, _by_word(SECOND_SHIFT, i))
    third = b.lshr(block, _by_word(THIRD_SHIFT, i))
    return [
        b.and_(block, _by_word(FIRST_BITS, i)),
        b.and_(second, _by_word(SECOND_BITS, i)),
        b.and_(third, splat(0xFFF)),
    ]


def _by_word(numbers: tuple[int, ...], i: int) -> Any:
    """Return what counts for the words of the i-th vector of eight rows."""
    return ir.Constant(WORDS, [I64(numbers[(8 * i + j) % 3]) for j in range(8)])


sum_groups: Any = intrinsic(_sum_groups)


@kernel
def sum_packed(
    addresses: NDArray[np.int64],
    parts: NDArray[np.int64],
    block_nbytes: int,
    header_nbytes: int,
    bounds: NDArray[np.int64],
    runs: NDArray[np.int64],
    masks: NDArray[np.uint64],
    out: NDArray[np.uint64],
) -> None:
    """Add the pixels of blocks of a sector within masks to the sums of their frames.

    Parameters
    ----------
    addresses : int64 array, shape (p,)
        Of parts of the file: blocks that follow each other.
    parts : int64 array, shape (p, 3)
        Frame, first block, counted from frame 0 on, and number of blocks.
    block_nbytes, header_nbytes : int
        Of a block.
    bounds, runs, masks
        See `BlockMasks`; bounds of this sector.
    out : uint64 array, shape (n, k)
    """
    for p in range(len(parts)):
        frame, first_block, count = parts[p]
        place = first_block % len(bounds)
        for block in range(count):
            at = addresses[p] + block * block_nbytes + header_nbytes
            for k in range(out.shape[1]):
                for r in range(
                    bounds[place + block, k, 0], bounds[place + block, k, 1]
                ):
                    row, groups, first = runs[r]
                    for begin in range(0, groups, MAX_GROUPS):
                        here = at + 24 * row + GROUP_NBYTES * begin
                        within = masks.ctypes.data + GROUP_NBYTES * (first + begin)
                        out[frame, k] += sum_groups(
                            here,
                            min(groups - begin, MAX_GROUPS),
                            within if first >= 0 else 0,
                        )


@kernel
def first_wrong(
    addresses: NDArray[np.int64],
    parts: NDArray[np.int64],
    block_nbytes: int,
    corners: NDArray[np.int64],
    sync: int,
    number: int,
) -> int:
    """Return the first part with a block that does not belong there, or -1.

    Parameters
    ----------
    addresses, parts, block_nbytes
        As for `sum_packed`.
    corners : int64 array, shape (blocks, 2)
        First row and column of each place.
    sync : int
        First number of every header.
    number : int
        Of the first block of frame 0; -1: not to be relied on.
    """
    for p in range(len(parts)):
        for block in range(parts[p, 2]):
            at = addresses[p] + block * block_nbytes
            left, top = pixel(at + 28, 0, SHORT), pixel(at + 30, 0, SHORT)
            row, column = corners[(parts[p, 1] + block) % len(corners)]
            if pixel(at, 0, LONG) != sync or top != row or left != column:
                return p
            expected = (number + parts[p, 1] + block) & 0xFFFFFFFF
            if number >= 0 and pixel(at + 16, 0, LONG) != expected:
                return p
    return -1
