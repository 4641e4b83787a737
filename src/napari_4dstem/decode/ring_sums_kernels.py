"""Sums of a frame over each of many labels; to import this is to import numba."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_4dstem.decode import kernel


@kernel
def sum_labels(
    frames: NDArray[Any], labels: NDArray[np.uintp], out: NDArray[Any]
) -> None:
    """Add every pixel to the sum of its label.

    Parameters
    ----------
    frames : array, shape (n, pixels)
        Native byte order.
    labels : uintp array, shape (pixels,)
        Below the number of sums.
    out : array, shape (n, sums)
        Not cleared before.
    """
    for i in range(frames.shape[0]):
        sums = out[i]
        for p in range(labels.size):
            sums[labels[p]] += frames[i, p]
