"""The loop of `BlockGrid`; to import this module is to import numba."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_4dstem.decode import kernel

Words = NDArray[np.uint64]


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
