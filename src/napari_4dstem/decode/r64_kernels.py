"""Loops of the packing `R64`; to import this module is to import numba.

``stored`` holds words, shape (n, rows, chips, words): big-endian, but read as if they
were little-endian. ``out`` holds groups of pixels, 64 bits each, shape (n, chip_rows *
rows, chip_columns, words). Both may lie at any address. ``places[chip]`` is the row and
column of chips where a chip lies in the frame; those below the first row are rotated by
180 degrees.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_4dstem.decode import kernel

Words = NDArray[np.uint64]


@kernel
def reverse_bytes(word: np.uint64) -> np.uint64:
    """All eight bytes of a word in reverse."""
    word = swap_byte_pairs(word)
    even = np.uint64(0x0000FFFF0000FFFF)
    word = ((word >> np.uint64(16)) & even) | ((word & even) << np.uint64(16))
    return (word >> np.uint64(32)) | (word << np.uint64(32))


@kernel
def swap_byte_pairs(word: np.uint64) -> np.uint64:
    """Four 16-bit numbers of a word, in place, with their two bytes swapped."""
    even = np.uint64(0x00FF00FF00FF00FF)
    return ((word >> np.uint64(8)) & even) | ((word & even) << np.uint64(8))


@kernel
def spread_byte(byte: np.uint64, bit_of_pixel: np.uint64) -> np.uint64:
    """Eight pixels of one byte, 0 or 1, from eight bits.

    Each byte of ``bit_of_pixel`` has the bit set that makes this pixel.
    """
    picked = (byte * np.uint64(0x0101010101010101)) & bit_of_pixel
    carried = picked + np.uint64(0x7F7F7F7F7F7F7F7F)  # bit 7 set where not 0
    return (carried >> np.uint64(7)) & np.uint64(0x0101010101010101)


@kernel(
    "void(Array(uint64, 4, 'A', readonly=True, aligned=False),"
    " Array(int64, 2, 'C'), Array(uint64, 5, 'C', aligned=False))"
)
def spread_bits(stored: Words, places: NDArray[np.int64], out: Words) -> None:
    """1 bit a pixel to 8 bits; ``out`` has eight groups to a word, in a last axis."""
    n, rows, chips, words = stored.shape
    for i in range(n):
        for y in range(rows):
            for chip in range(chips):
                rotated, column = places[chip]
                for x in range(words):
                    word = stored[i, y, chip, x]
                    if rotated:
                        groups = out[i, out.shape[1] - 1 - y, column, words - 1 - x]
                        for k in range(8):
                            byte = (word >> np.uint64(8 * k)) & np.uint64(0xFF)
                            groups[k] = spread_byte(byte, np.uint64(0x0102040810204080))
                    else:
                        groups = out[i, y, column, x]
                        for k in range(8):
                            byte = (word >> np.uint64(56 - 8 * k)) & np.uint64(0xFF)
                            groups[k] = spread_byte(byte, np.uint64(0x8040201008040201))


@kernel(
    "void(Array(uint64, 4, 'A', readonly=True, aligned=False),"
    " Array(int64, 2, 'C'), int64, Array(uint64, 4, 'C', aligned=False))"
)
def order_pixels(
    stored: Words, places: NDArray[np.int64], pixel_nbytes: int, out: Words
) -> None:
    """8 or 16 bits a pixel to the same: a word is a group, the order in it changes."""
    n, rows, chips, words = stored.shape
    for i in range(n):
        for y in range(rows):
            for chip in range(chips):
                rotated, column = places[chip]
                if rotated:
                    line = out[i, out.shape[1] - 1 - y, column]
                    for x in range(words):
                        word = stored[i, y, chip, x]
                        if pixel_nbytes == 2:
                            word = swap_byte_pairs(word)
                        line[words - 1 - x] = word
                else:
                    line = out[i, y, column]
                    for x in range(words):
                        line[x] = reverse_bytes(stored[i, y, chip, x])


@kernel(
    "void(Array(uint64, 4, 'A', readonly=True, aligned=False),"
    " Array(uint64, 4, 'C', aligned=False))"
)
def join_planes(planes: Words, out: Words) -> None:
    """Two planes of 12 bits, the upper one first, to 32 bits a pixel.

    Parameters
    ----------
    planes : uint64 array, shape (n, 2, rows, words)
    out : uint64 array, shape (n, rows, words, 2)
        Two pixels to an element.
    """
    n, _, rows, words = planes.shape
    low16 = np.uint64(0x0000FFFF0000FFFF)
    low32 = np.uint64(0x00000000FFFFFFFF)
    for i in range(n):
        for y in range(rows):
            for x in range(words):
                upper = reverse_bytes(planes[i, 0, y, x])
                lower = reverse_bytes(planes[i, 1, y, x])
                # pixels 0 and 2 of the four, each in 32 bits, and pixels 1 and 3
                even = ((upper & low16) << np.uint64(12)) + (lower & low16)
                upper, lower = upper >> np.uint64(16), lower >> np.uint64(16)
                odd = ((upper & low16) << np.uint64(12)) + (lower & low16)
                out[i, y, x, 0] = (even & low32) | (odd << np.uint64(32))
                out[i, y, x, 1] = (even >> np.uint64(32)) | (odd & ~low32)
