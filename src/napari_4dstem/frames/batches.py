"""What the frame engine hands to an analysis: a batch of frames, as they lie.

And the protocol of everything that can give such batches.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_4dstem.decode import Packing


# Pixels of frames that lie side by side are sorted in a piece of a core's cache.
SORTED_NBYTES = 2**17


class Batch(Protocol):
    """Some frames, on their way from a file to an analysis."""

    def cropped(self, crop: tuple[slice | int, ...]) -> Batch:
        """Return a part of the detector, without touching the rest where possible."""

    def dense(self, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Return the pixels in native byte order, shape (n, *sig_shape).

        Parameters
        ----------
        out : array, shape (n, *sig_shape), optional
            Where to put them; of any type that can hold them.
        """


@dataclass(frozen=True, eq=False, slots=True)
class DenseBatch:
    """Frames as they lie in memory.

    Attributes
    ----------
    frames : array, shape (n, *sig_shape)
        A view: any byte order, any strides, maybe read-only, maybe unaligned.
    """

    frames: NDArray[Any]

    def cropped(self, crop: tuple[slice | int, ...]) -> DenseBatch:
        """Return a part of the detector, without touching the rest."""
        return DenseBatch(self.frames[:, *crop])

    def dense(self, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Return the pixels in native byte order, shape (n, *sig_shape)."""
        frames = self.frames
        if not _lie_side_by_side(frames):
            if out is None:
                return np.asarray(frames, dtype=frames.dtype.newbyteorder("="))
            np.copyto(out, frames)
            return out
        if out is None:
            out = np.empty(frames.shape, frames.dtype.newbyteorder("="))
        axes = range(1, frames.ndim)
        closest = min(
            (axis for axis in axes if frames.shape[axis] > 1),
            key=lambda axis: abs(frames.strides[axis]),
        )
        source, target = (np.moveaxis(array, closest, -1) for array in (frames, out))
        step = max(1, SORTED_NBYTES // (len(frames) * frames.itemsize))
        for index in np.ndindex(source.shape[1:-1]):
            for begin in range(0, source.shape[-1], step):
                part = (slice(None), *index, slice(begin, begin + step))
                # read as it lies, turned round where it is quick to do so
                np.copyto(target[part], np.ascontiguousarray(source[part].T).T)
        return out


def _lie_side_by_side(frames: NDArray[Any]) -> bool:
    """Whether the next value in memory is of the next frame, not the next pixel."""
    steps = zip(frames.shape[1:], frames.strides[1:], strict=True)
    closest = min((abs(step) for n, step in steps if n > 1), default=0)
    return len(frames) > 1 and abs(frames.strides[0]) < closest


@dataclass(frozen=True, eq=False, slots=True)
class PackedBatch:
    """Frames as packed bytes.

    Attributes
    ----------
    packed : uint8 array, shape (n, packing.frame_nbytes)
    packing : Packing
    sig_shape : tuple of int
        Shape in which the frames are wanted; as many pixels as the packing's own.
    """

    packed: NDArray[np.uint8]
    packing: Packing
    sig_shape: tuple[int, ...]

    def cropped(self, crop: tuple[slice | int, ...]) -> DenseBatch:
        """Return a part of the detector; decodes all of it."""
        return DenseBatch(self.dense()[:, *crop])

    def dense(self, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Return the decoded pixels, shape (n, *sig_shape)."""
        count = len(self.packed)
        shape = (count, *self.packing.frame_shape)
        direct = out is not None and out.flags.c_contiguous
        if out is not None and direct and out.dtype == self.packing.dtype:
            self.packing.decode(self.packed, out.reshape(shape))
            return out
        decoded = np.empty(shape, self.packing.dtype)
        self.packing.decode(self.packed, decoded)
        decoded = decoded.reshape(count, *self.sig_shape)
        if out is None:
            return decoded
        np.copyto(out, decoded)
        return out


@dataclass(frozen=True, eq=False, slots=True)
class SparseBatch:
    """Frames as events: pixel ``indices[j]`` of frame i has ``values[j]`` more.

    Attributes
    ----------
    indptr : int array, shape (n + 1,)
        The events of frame i are those from ``indptr[i]`` to ``indptr[i + 1]``.
    indices : int array, shape (events,)
        Flat pixel index in C order.
    values : array, shape (events,)
    sig_shape : tuple of int
    """

    indptr: NDArray[np.int64]
    indices: NDArray[Any]
    values: NDArray[Any]
    sig_shape: tuple[int, ...]

    def cropped(self, crop: tuple[slice | int, ...]) -> DenseBatch:
        """Return a part of the detector."""
        return DenseBatch(self.dense()[:, *crop])

    def dense(self, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Return the frames, shape (n, *sig_shape), repeated pixels added up."""
        count, size = len(self.indptr) - 1, prod(self.sig_shape)
        dtype = self.values.dtype.newbyteorder("=")
        direct = out is not None and out.flags.c_contiguous and out.dtype == dtype
        frames = out if direct else None
        if frames is None:
            frames = np.empty((count, *self.sig_shape), dtype)
        frames[...] = 0
        first, last = int(self.indptr[0]), int(self.indptr[-1])
        begins = np.repeat(np.arange(count) * size, np.diff(self.indptr))
        pixels = begins + self.indices[first:last].astype(np.int64)
        np.add.at(frames.reshape(-1), pixels, self.values[first:last])
        if out is None or direct:
            return frames
        np.copyto(out, frames)
        return out


class FrameSource(Protocol):
    """Stored frames, wherever they are. Frozen, cheap to pickle, safe in threads."""

    @property
    def num_frames(self) -> int:
        """Number of stored frames, lost ones included."""

    @property
    def sig_shape(self) -> tuple[int, ...]:
        """Shape of a frame."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Native-endian type of the pixels."""

    @property
    def files(self) -> tuple[Path, ...]:
        """Files that hold frames; empty for data in memory."""

    @property
    def lazy(self) -> Any | None:
        """The frames as a dask array of nav + sig axes, where they are one."""

    @property
    def grain(self) -> tuple[int, ...]:
        """Scan shape of frames that cost together hardly more than one of them.

        Of the last axes of the scan as it was stored; empty where each frame lies on
        its own.
        """

    def present(self, frames: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which of these stored frames have pixels, shape (n,)."""

    def batches(self, frames: NDArray[np.int64]) -> Iterator[tuple[slice, Batch]]:
        """Yield these stored frames in batches.

        Parameters
        ----------
        frames : int array, shape (n,)
            Stored frames with pixels, in any order; neighbors that follow each other
            are read together.

        Yields
        ------
        where : slice
            Which of ``frames`` the batch holds.
        batch : Batch
            Valid until the next one is asked for.
        """

    def between(self, begin: int, end: int) -> FrameSource:
        """Return the source of stored frames ``begin`` to ``end`` alone."""

    def with_sig_shape(self, sig_shape: tuple[int, ...]) -> FrameSource:
        """Return the same frames in another shape of as many pixels."""

    def with_backend(self, backend: str) -> FrameSource:
        """Return the same frames, fetched in this way where there is a choice."""
