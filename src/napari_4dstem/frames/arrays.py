"""Frames that are arrays already: numpy arrays and dask arrays of other makers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_4dstem.frames.batches import Batch, DenseBatch

if TYPE_CHECKING:
    from numpy.typing import NDArray


def in_frames(array: NDArray[Any], sig_ndim: int) -> NDArray[Any]:
    """Return ``array`` as (n, *sig_shape), without a copy where strides allow it.

    An array whose scan axes cannot be merged (a transposed memory map, say) is
    returned as it is: nothing may copy a whole data set.
    """
    sig_shape = array.shape[array.ndim - sig_ndim :]
    try:
        return np.reshape(array, (-1, *sig_shape), copy=False)
    except ValueError:
        return array


@dataclass(frozen=True, eq=False)
class ArrayFrames:
    """Frames of a numpy array.

    Attributes
    ----------
    array : array, shape (n, *sig_shape) or (*nav_shape, *sig_shape)
    sig_shape : tuple of int
    """

    array: NDArray[Any]
    sig_shape: tuple[int, ...]
    files: tuple[Path, ...] = ()
    lazy: None = None
    grain: tuple[int, ...] = ()

    @property
    def _nav_shape(self) -> tuple[int, ...]:
        return self.array.shape[: self.array.ndim - len(self.sig_shape)]

    @property
    def num_frames(self) -> int:
        """Number of frames."""
        return prod(self._nav_shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Native-endian type of the pixels."""
        return self.array.dtype.newbyteorder("=")

    @property
    def is_complete(self) -> bool:
        """Whether all stored frames have pixels: yes."""
        return True

    def present(self, frames: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which of these frames have pixels: all."""
        return np.ones(len(frames), dtype=bool)

    def batches(
        self, frames: NDArray[np.int64], needed: NDArray[np.bool_] | None = None
    ) -> Iterator[tuple[slice, Batch]]:
        """Yield these frames, together."""
        if not len(frames):
            return
        wanted = _as_slice(frames) if len(self._nav_shape) == 1 else None
        index = np.unravel_index(frames, self._nav_shape)
        found = self.array[index if wanted is None else wanted]
        yield slice(0, len(frames)), DenseBatch(found)

    def between(self, begin: int, end: int) -> ArrayFrames:
        """Return the source of frames ``begin`` to ``end`` alone."""
        if len(self._nav_shape) > 1:
            index = np.unravel_index(np.arange(begin, end), self._nav_shape)
            return ArrayFrames(self.array[index], self.sig_shape)
        return ArrayFrames(self.array[begin:end], self.sig_shape)

    def with_backend(self, backend: str) -> ArrayFrames:
        """Return the same frames: they are in memory already."""
        return self

    def with_sig_shape(self, sig_shape: tuple[int, ...]) -> ArrayFrames:
        """Return the same frames in another shape of as many pixels."""
        array = self.array.reshape(*self._nav_shape, *sig_shape)
        return ArrayFrames(array, sig_shape)


@dataclass(frozen=True, eq=False)
class DaskFrames:
    """Frames of a dask array, computed when they are asked for.

    Attributes
    ----------
    array : dask array, shape (*nav_shape, *sig_shape)
    sig_shape : tuple of int
    """

    array: Any
    sig_shape: tuple[int, ...]
    files: tuple[Path, ...] = ()
    grain: tuple[int, ...] = ()

    @property
    def num_frames(self) -> int:
        """Number of frames."""
        return prod(self.array.shape[: self.array.ndim - len(self.sig_shape)])

    @property
    def dtype(self) -> np.dtype[Any]:
        """Native-endian type of the pixels."""
        stored: np.dtype[Any] = np.dtype(self.array.dtype)
        return stored.newbyteorder("=")

    @property
    def lazy(self) -> Any:
        """The dask array itself, shape (*nav_shape, *sig_shape)."""
        return self.array

    @property
    def is_complete(self) -> bool:
        """Whether all stored frames have pixels: yes."""
        return True

    def present(self, frames: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which of these frames have pixels: all."""
        return np.ones(len(frames), dtype=bool)

    def batches(
        self, frames: NDArray[np.int64], needed: NDArray[np.bool_] | None = None
    ) -> Iterator[tuple[slice, Batch]]:
        """Yield these frames, computed together."""
        if not len(frames):
            return
        flat = self.array.reshape(self.num_frames, *self.sig_shape)
        wanted = _as_slice(frames)
        computed = np.asarray(flat[frames if wanted is None else wanted].compute())
        yield slice(0, len(frames)), DenseBatch(computed)

    def between(self, begin: int, end: int) -> DaskFrames:
        """Return the source of frames ``begin`` to ``end`` alone."""
        flat = self.array.reshape(self.num_frames, *self.sig_shape)
        return DaskFrames(flat[begin:end], self.sig_shape)

    def with_backend(self, backend: str) -> DaskFrames:
        """Return the same frames: they are in memory already."""
        return self

    def with_sig_shape(self, sig_shape: tuple[int, ...]) -> DaskFrames:
        """Return the same frames in another shape of as many pixels."""
        # dask can only merge axes or split one.
        flat = self.array.reshape(self.num_frames, prod(sig_shape))
        return DaskFrames(flat.reshape(self.num_frames, *sig_shape), sig_shape)


def _as_slice(frames: NDArray[np.int64]) -> slice | None:
    """Return the slice that means these frames, or None where they do not follow."""
    first, last = int(frames[0]), int(frames[-1])
    follow = last - first + 1 == len(frames) and bool((np.diff(frames) == 1).all())
    return slice(first, last + 1) if follow else None
