"""A numpy array in memory, or anything that numpy sees as one (a memory map).

Source: the parameters are those of LiberTEM's ``memory`` data set.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from napari_4dstem.errors import FormatError, ParameterError
from napari_4dstem.formats._format import Description, Format
from napari_4dstem.frames.arrays import ArrayFrames, in_frames


def recognize(path: Path, head: bytes) -> bool:
    return False


def describe(*, data: Any, sig_dims: int = 2) -> Description:
    if isinstance(data, np.ma.MaskedArray) and np.ma.is_masked(data):
        raise ParameterError(
            None,
            "data",
            "a masked array would lose its mask",
            expected="an array without masked pixels",
            found=f"{int(np.ma.getmaskarray(data).sum())} masked pixels",
            hint="Give data.filled(0), and pixels that never count as"
            " corrections={'excluded': ...}.",
        )
    array = np.asarray(data)
    if array.dtype.kind not in "biufc":
        raise ParameterError(
            None,
            "data",
            "the array does not hold numbers",
            expected="an integer, float, complex or bool type",
            found=array.dtype,
        )
    if not 1 <= sig_dims <= array.ndim or array.size == 0:
        raise FormatError(
            None,
            "the array cannot be cut into frames",
            expected=f"at least {max(sig_dims, 1)} dimensions (sig_dims), none empty",
            found=f"shape {array.shape}",
        )
    nav_shape = array.shape[: array.ndim - sig_dims] or (1,)
    sig_shape = array.shape[array.ndim - sig_dims :]
    frames = in_frames(array.reshape(*nav_shape, *sig_shape), sig_dims)
    return Description(ArrayFrames(frames, sig_shape), nav_shape)


FORMAT = Format("memory", "NumPy array", (), recognize, describe)
