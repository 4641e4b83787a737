"""Sums over bins of pixels, and weighted sums of them; imports numba."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_4dstem.decode import kernel

# Frames whose sums stay in the first level of a core's cache.
TOGETHER = 1024


@kernel
def bin_frames(
    frames: NDArray[np.float32], step: int, out: NDArray[np.float32]
) -> None:
    """Sum the pixels of each bin.

    Parameters
    ----------
    frames : float32 array, shape (n, ky, kx), contiguous
        What is not finite counts as 0.
    step : int
        Side of a bin; those at the end may be smaller.
    out : float32 array, shape (n, bins), contiguous
        Bins in C order.
    """
    height, width = frames.shape[1], frames.shape[2]
    across = (width + step - 1) // step
    line = np.empty(width, np.float32)
    for i in range(frames.shape[0]):
        for top in range(0, height, step):
            line[:] = 0
            for y in range(top, min(top + step, height)):
                for x in range(width):
                    value = frames[i, y, x]
                    line[x] += value if value - value == 0 else np.float32(0)
            first = top // step * across
            for b in range(across):
                total = np.float32(0)
                for x in range(b * step, min((b + 1) * step, width)):
                    total += line[x]
                out[i, first + b] = total


@kernel
def weigh_bins(
    bins: NDArray[Any],
    which: NDArray[np.int64],
    weights: NDArray[np.float64],
    begin: int,
    end: int,
    out: NDArray[np.float64],
) -> None:
    """Sum bins times their weights, of frames ``begin`` to ``end``.

    Parameters
    ----------
    bins : uint16 or float32 array, shape (bins, frames), contiguous
    which : int64 array, shape (b,)
        Bins that count.
    weights : float64 array, shape (k, b), contiguous
    begin, end : int
    out : float64 array, shape (k, frames), contiguous
    """
    for first in range(begin, end, TOGETHER):
        last = min(first + TOGETHER, end)
        for k in range(weights.shape[0]):
            sums = out[k, first:last]
            sums[:] = 0
            for b in range(which.size):
                weight = weights[k, b]
                values = bins[which[b], first:last]
                for i in range(sums.size):
                    sums[i] += weight * values[i]
