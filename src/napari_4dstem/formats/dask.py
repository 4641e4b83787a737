"""A dask array, however it was made.

Source: https://docs.dask.org/en/stable/array.html
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from napari_4dstem.errors import FormatError, ParameterError
from napari_4dstem.formats._format import Description, Format
from napari_4dstem.frames.arrays import DaskFrames


def recognize(path: Path, head: bytes) -> bool:
    return False


def describe(*, data: Any, sig_dims: int = 2) -> Description:
    if not hasattr(data, "dask") or not hasattr(data, "chunks"):
        raise ParameterError(
            None,
            "data",
            "not a dask array",
            expected="dask.array.Array",
            found=type(data).__name__,
            hint="Use load('memory', data=...) for numpy arrays.",
        )
    shape = data.shape
    if any(n != n for n in shape):
        raise ParameterError(
            None,
            "data",
            "the dask array has chunks of unknown size",
            found=f"shape {shape}",
            hint="Call compute_chunk_sizes() on it first.",
        )
    if not 1 <= sig_dims <= len(shape) or 0 in shape:
        raise FormatError(
            None,
            "the array cannot be cut into frames",
            expected=f"at least {max(sig_dims, 1)} dimensions (sig_dims), none empty",
            found=f"shape {shape}",
        )
    if np.dtype(data.dtype).kind not in "biufc":
        raise ParameterError(
            None, "data", "the array does not hold numbers", found=data.dtype
        )
    nav_shape = tuple(shape[: len(shape) - sig_dims]) or (1,)
    sig_shape = tuple(shape[len(shape) - sig_dims :])
    if len(shape) == sig_dims:
        data = data[None]
    return Description(DaskFrames(data, sig_shape), nav_shape)


FORMAT = Format("dask", "dask array", (), recognize, describe)
