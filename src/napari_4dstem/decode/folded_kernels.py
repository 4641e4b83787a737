"""Loops of the packing `Folded`; to import this module is to import numba.

``stored`` has rows of both halves, shape (n, rows, 2 * columns); ``out`` has shape
(n, 2 * rows * binning, columns). Both may lie at any address.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_4dstem.decode import kernel


@kernel
def reverse_pixels(word: np.uint64) -> np.uint64:
    """Four 16-bit pixels of a word in reverse."""
    even = np.uint64(0x0000FFFF0000FFFF)
    word = ((word >> np.uint64(16)) & even) | ((word & even) << np.uint64(16))
    return (word >> np.uint64(32)) | (word << np.uint64(32))


@kernel(
    "void(Array(uint64, 3, 'A', readonly=True, aligned=False), int64,"
    " Array(uint64, 3, 'C', aligned=False))"
)
def unfold_words(
    stored: NDArray[np.uint64], binning: int, out: NDArray[np.uint64]
) -> None:
    """Unfold and repeat rows, four pixels at a time."""
    n, rows, width = stored.shape
    columns = width // 2
    for i in range(n):
        for y in range(rows):
            for top in range(y * binning, (y + 1) * binning):
                bottom = out.shape[1] - 1 - top
                for x in range(columns):
                    out[i, top, x] = stored[i, y, x]
                for x in range(columns):
                    out[i, bottom, x] = reverse_pixels(stored[i, y, width - 1 - x])


@kernel(
    "void(Array(uint16, 3, 'A', readonly=True, aligned=False), int64,"
    " Array(uint16, 3, 'C', aligned=False))"
)
def unfold_pixels(stored: NDArray[Any], binning: int, out: NDArray[Any]) -> None:
    """Unfold and repeat rows of which a half is no whole number of words."""
    n, rows, width = stored.shape
    columns = width // 2
    for i in range(n):
        for y in range(rows):
            for top in range(y * binning, (y + 1) * binning):
                bottom = out.shape[1] - 1 - top
                for x in range(columns):
                    out[i, top, x] = stored[i, y, x]
                    out[i, bottom, x] = stored[i, y, width - 1 - x]
