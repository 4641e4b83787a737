"""How the pixels of a frame lie side by side in memory.

A frame in one piece is a row of *lanes*: pixels in the order of memory, whatever axes
and directions they belong to. What only adds pixels up can go along that row, with a
mask that was put into the same order once.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# A frame lies in one piece if the others' pixels in between are not too many.
MAX_STRETCH = 8


@dataclass(frozen=True, slots=True)
class Lanes:
    """Where the pixels of a frame lie, from the lowest one on.

    Attributes
    ----------
    pixel : dtype
        With its byte order.
    sig_shape : tuple of int
    steps : tuple of int
        Lanes from pixel to pixel along each axis; may be negative.
    """

    pixel: np.dtype[Any]
    sig_shape: tuple[int, ...]
    steps: tuple[int, ...]

    @property
    def count(self) -> int:
        """Lanes from the first pixel to the last."""
        axes = zip(self.sig_shape, self.steps, strict=True)
        return 1 + sum((n - 1) * abs(step) for n, step in axes)

    @property
    def nbytes(self) -> int:
        """Bytes from the first pixel to the last."""
        return self.count * self.pixel.itemsize

    @property
    def are_in_order(self) -> bool:
        """Whether the lanes are the pixels in C order, without gaps."""
        inner = 1
        for n, step in zip(self.sig_shape[::-1], self.steps[::-1], strict=True):
            if n > 1 and step != inner:
                return False
            inner *= n
        return True

    def view(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return a view of shape (..., *sig_shape) of arrays of lanes, (..., count)."""
        axes = zip(self.sig_shape, self.steps, strict=True)
        first = sum((n - 1) * -min(step, 0) for n, step in axes)
        return np.lib.stride_tricks.as_strided(
            values[..., first:],
            values.shape[:-1] + self.sig_shape,
            values.strides[:-1] + tuple(s * values.strides[-1] for s in self.steps),
        )

    def placed(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return values of shape (..., *sig_shape) in lanes, 0 in between."""
        lead = values.shape[: values.ndim - len(self.sig_shape)]
        lanes = np.zeros((*lead, self.count), values.dtype)
        self.view(lanes)[...] = values
        return lanes


def lanes_of(frames: NDArray[Any]) -> Lanes | None:
    """Return how the pixels of each frame lie; None where not in one piece.

    Parameters
    ----------
    frames : array, shape (n, *sig_shape), not empty
    """
    itemsize, shape = frames.itemsize, frames.shape[1:]
    axes = zip(shape, frames.strides[1:], strict=True)
    strides = tuple(stride if n > 1 else 0 for n, stride in axes)
    inner = itemsize  # bytes of the axes that have smaller strides
    for stride, n in sorted((abs(s), n) for s, n in zip(strides, shape, strict=True)):
        if n > 1 and (stride < inner or stride % itemsize):
            return None
        inner += (n - 1) * stride
    if inner > MAX_STRETCH * prod(shape) * itemsize:
        return None
    return Lanes(frames.dtype, shape, tuple(s // itemsize for s in strides))


def address_of(frames: NDArray[Any]) -> int:
    """Return the address of the lowest pixel of the first frame."""
    axes = zip(frames.shape[1:], frames.strides[1:], strict=True)
    before = sum((n - 1) * min(stride, 0) for n, stride in axes)
    first: int = frames.__array_interface__["data"][0]
    return first + int(before)


def lie_side_by_side(frames: NDArray[Any]) -> bool:
    """Whether the next value in memory is of the next frame, not the next pixel."""
    steps = zip(frames.shape[1:], frames.strides[1:], strict=True)
    closest = min((abs(step) for n, step in steps if n > 1), default=0)
    return len(frames) > 1 and abs(frames.strides[0]) < closest


def kind_of(pixel: np.dtype[Any]) -> tuple[Any, bool | None]:
    """Return what a kernel asks of a type: a native number, and whether to swap bytes.

    The types of the two count, not the values: True, or None for native bytes.
    """
    native = np.dtype(np.uint8) if pixel.kind == "b" else pixel.newbyteorder("=")
    return native.type(0), None if pixel.isnative else True


def sum_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type of sums over such pixels: uint64, int64 or float64.

    Complex pixels count by their magnitude.
    """
    kinds = {"b": np.uint64, "u": np.uint64, "i": np.int64}
    return np.dtype(kinds.get(dtype.kind, np.float64))


def is_long(dtype: np.dtype[Any]) -> bool:
    """Whether these are integers whose sums may not fit into 64 bits.

    Such sums are right modulo 2**64; what is divided by another wants none of them.
    """
    return dtype.kind in "iu" and dtype.itemsize == 8


def short_sum_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type of sums over at most 2**16 such pixels, as kernels have them."""
    if dtype.kind == "f" or dtype.itemsize > 2:
        return sum_dtype(dtype)
    return np.dtype(np.int32 if dtype.kind == "i" else np.uint32)
