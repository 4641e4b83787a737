"""Arrays as short text that JSON and scripts can hold, without any loss."""

from __future__ import annotations

import base64
import binascii
import math
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Of a mask with so few pixels, the list of them is legible.
FEW_PIXELS = 32


def few_pixels(array: NDArray[Any]) -> list[list[int]] | None:
    """Return the pixels of a mask, one list an axis; None if it has many or weights."""
    if array.dtype != bool or np.count_nonzero(array) > FEW_PIXELS:
        return None
    return [axis.tolist() for axis in np.nonzero(array)]


def encoded(array: NDArray[Any]) -> str:
    """Return all pixels as base64 of what zlib makes of them; of bool, of the bits."""
    array = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    pixels = np.packbits(array) if array.dtype == bool else array
    return base64.b64encode(zlib.compress(pixels.tobytes(), 9)).decode("ascii")


def to_json(array: NDArray[Any]) -> dict[str, Any]:
    """Return an array of bool or of numbers as what JSON can hold."""
    about = {"shape": list(array.shape), "dtype": array.dtype.newbyteorder("<").str}
    pixels = few_pixels(array)
    if pixels is not None:
        return about | {"pixels": pixels}
    return about | {"zlib_base64": encoded(array)}


def from_json(saved: Mapping[str, Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Return the array of `to_json`.

    Parameters
    ----------
    saved : mapping
    shape : tuple of int
        That it must have, so that no text asks for more memory than frames do.

    Raises
    ------
    ValueError
        If it is something else; the message says what.
    """
    if tuple(saved["shape"]) != shape:
        raise ValueError(f"shape {saved['shape']} instead of {list(shape)}")
    dtype = np.dtype(saved["dtype"])
    if dtype.kind not in "biuf":
        raise ValueError(f"dtype {dtype}")
    if "pixels" in saved:
        array = np.zeros(shape, dtype)
        array[tuple(np.asarray(axis, np.intp) for axis in saved["pixels"])] = True
        return array
    count = math.prod(shape)
    nbytes = -(-count // 8) if dtype.kind == "b" else count * dtype.itemsize
    try:
        unpacking = zlib.decompressobj()
        text = base64.b64decode(saved["zlib_base64"], validate=True)
        content = unpacking.decompress(text, nbytes + 1)
    except (binascii.Error, zlib.error) as error:
        raise ValueError(f"not base64 of zlib: {error}") from error
    if len(content) != nbytes:
        raise ValueError(f"not {nbytes} bytes of pixels")
    if dtype.kind == "b":
        bits = np.unpackbits(np.frombuffer(content, np.uint8), count=count)
        return bits.reshape(shape).astype(bool)
    native = np.frombuffer(content, dtype).astype(dtype.newbyteorder("="))
    return native.reshape(shape)
