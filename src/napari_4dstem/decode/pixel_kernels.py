"""Loops over pixels of frames as they lie in memory; to import this is to import numba.

Frames are given by the address of their lowest pixel and the bytes from one to the
next, not as arrays: numba would compile anew for those that are read-only, unaligned
or not contiguous. ``lane`` is what a pixel is: a number of its type, and None or, where
its bytes are to be swapped, a bool. Only the types of the two matter.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from napari_4dstem.decode import kernel
from napari_4dstem.decode.vectors import call

# Frames whose sums are kept at hand while one pixel after the other goes by.
FRAMES = 1024


def _pixel(_typing: Any, address: Any, index: Any, lane: Any) -> Any:
    """The pixel ``index`` lanes after an address."""
    kind, swapped = lane.types[:2]

    def generate(context: Any, b: Any, _signature: Any, args: Any) -> Any:
        bits = ir.IntType(kind.bitwidth)
        first = b.inttoptr(args[0], bits.as_pointer())
        found = b.load(b.gep(first, [args[1]]), align=1)
        if swapped != types.none:
            found = call(b, f"llvm.bswap.i{kind.bitwidth}", bits, found)
        return b.bitcast(found, context.get_value_type(kind))

    return kind(address, index, lane), generate


pixel: Any = intrinsic(_pixel)


@kernel
def sum_pixels(
    address: int,
    stride: int,
    offsets: NDArray[np.int64],
    bounds: NDArray[np.int64],
    weights: NDArray[np.float64],
    lane: Any,
    out: NDArray[Any],
) -> None:
    """Sum frames within masks that are lists of pixels, one pixel of all at a time.

    Parameters
    ----------
    address, stride : int
        Of the first frame; bytes from one to the next.
    offsets : int64 array, shape (p,)
        Bytes from the address to each pixel.
    bounds : int64 array, shape (k + 1,)
        The pixels of mask i are those from ``bounds[i]`` to ``bounds[i + 1]``.
    weights : float64 array, shape (p,) or (0,)
    lane : tuple
    out : uint64, int64 or float64 array, shape (n, k)
    """
    sums = np.empty(FRAMES, out.dtype)
    for begin in range(0, out.shape[0], FRAMES):
        count = min(FRAMES, out.shape[0] - begin)
        for k in range(out.shape[1]):
            sums[:] = 0
            for p in range(bounds[k], bounds[k + 1]):
                at = address + begin * stride + offsets[p]
                if weights.size:
                    weight = weights[p]
                    for i in range(count):
                        sums[i] += weight * pixel(at + i * stride, 0, lane)
                else:
                    for i in range(count):
                        sums[i] += pixel(at + i * stride, 0, lane)
            for i in range(count):
                out[begin + i, k] = sums[i]


@kernel
def sum_events(
    indptr: NDArray[np.int64],
    indices: int,
    index_lane: Any,
    values: int,
    lane: Any,
    table: NDArray[Any],
    out: NDArray[Any],
) -> None:
    """Sum frames of events within masks.

    Parameters
    ----------
    indptr : int64 array, shape (n + 1,)
        The events of frame i are those from ``indptr[i]`` to ``indptr[i + 1]``.
    indices, values : int
        Addresses of pixel and value of each event.
    index_lane, lane : tuple
        Their types.
    table : array, shape (pixels, k)
        What counts for each pixel in each mask.
    out : uint64, int64 or float64 array, shape (n, k)
    """
    for i in range(out.shape[0]):
        sums = out[i]
        for k in range(sums.size):
            total = out.dtype.type(0)
            for event in range(indptr[i], indptr[i + 1]):
                weight = table[np.uint64(pixel(indices, event, index_lane)), k]
                value = pixel(values, event, lane)
                if weight != 0:  # outside of the mask also a NaN does not matter
                    total += weight * value
            sums[k] = total


@kernel
def are_in_order(indptr: NDArray[np.int64], indices: NDArray[Any]) -> bool:
    """Whether the events of each frame grow: then no pixel has more than one.

    Parameters
    ----------
    indptr : int64 array, shape (n + 1,)
    indices : array, shape (events,)
        Native byte order.
    """
    for i in range(indptr.size - 1):
        for j in range(indptr[i] + 1, indptr[i + 1]):
            if indices[j] <= indices[j - 1]:
                return False
    return True
