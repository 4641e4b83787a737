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

from napari_4dstem.frames.blocks import filled, frames_of
from napari_4dstem.frames.lanes import lie_side_by_side, sum_dtype
from napari_4dstem.frames.moments import everywhere, moments, moments_of_words
from napari_4dstem.frames.sums import event_sums, is_number, masked_sums, packed_sums

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_4dstem.decode import Packing
    from napari_4dstem.frames.masks import Masks


__all__ = [
    "Batch",
    "DenseBatch",
    "FrameSource",
    "InBlocks",
    "PackedBatch",
    "SparseBatch",
    "sum_dtype",
]

# Pixels of frames that lie side by side are sorted in a piece of a core's cache.
SORTED_NBYTES = 2**17
# As many of them at a time are read of each pixel: some lines of the cache.
LINES_NBYTES = 2**8


class Batch(Protocol):
    """Some frames, on their way from a file to an analysis."""

    def __len__(self) -> int:
        """Number of frames."""

    def cropped(self, crop: tuple[slice | int, ...]) -> Batch:
        """Return a part of the detector, without touching the rest where possible."""

    def dense(self, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Return the pixels in native byte order, shape (n, *sig_shape).

        Parameters
        ----------
        out : array, shape (n, *sig_shape), optional
            Where to put them; of any type that can hold them.
        """

    def dense_blocks(self) -> Iterator[tuple[slice, NDArray[Any]]]:
        """Yield the frames in pieces that stay in a core's cache.

        Yields
        ------
        where : slice
            Which frames of the batch these are.
        frames : array, shape (m, *sig_shape)
            Any byte order, any strides, maybe read-only; valid until the next is
            asked for.
        """

    def masked_sums(self, masks: Masks, out: NDArray[Any]) -> None:
        """Sum the pixels of every frame within each mask.

        Parameters
        ----------
        masks : Masks
        out : array of ``masks.sum_dtype``, shape (n, len(masks))
            Integers are exact. NaN where a pixel of the mask is NaN; pixels outside
            of it, or of weight 0, are not looked at.
        """

    def moments(self, masks: Masks | None, out: NDArray[Any]) -> None:
        """Sum the pixels of every frame, plain and times their position.

        Parameters
        ----------
        masks : Masks or None
            The first one counts; None: all pixels.
        out : array of ``masks.sum_dtype``, shape (n, 3)
            Sums of I, ky * I and kx * I; of frames with two axes.
        """


class InBlocks:
    """What a batch does with its pixels, once they are in an array."""

    __slots__ = ()

    def dense(self, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Return the pixels in native byte order, shape (n, *sig_shape)."""
        raise NotImplementedError

    def dense_blocks(self) -> Iterator[tuple[slice, NDArray[Any]]]:
        """Yield the frames in pieces."""
        frames = self.dense()
        yield slice(0, len(frames)), frames

    def masked_sums(self, masks: Masks, out: NDArray[Any]) -> None:
        """Sum the pixels of every frame within each mask."""
        for where, block in self.dense_blocks():
            masked_sums(block, masks, out[where])

    def moments(self, masks: Masks | None, out: NDArray[Any]) -> None:
        """Sum the pixels of every frame, plain and times their position."""
        for where, block in self.dense_blocks():
            moments(block, masks, out[where])


@dataclass(frozen=True, eq=False, slots=True)
class DenseBatch(InBlocks):
    """Frames as they lie in memory.

    Attributes
    ----------
    frames : array, shape (n, *sig_shape)
        A view: any byte order, any strides, maybe read-only, maybe unaligned.
    """

    frames: NDArray[Any]

    def __len__(self) -> int:
        return len(self.frames)

    def cropped(self, crop: tuple[slice | int, ...]) -> DenseBatch:
        """Return a part of the detector, without touching the rest."""
        return DenseBatch(self.frames[:, *crop])

    def dense_blocks(self) -> Iterator[tuple[slice, NDArray[Any]]]:
        """Yield views of the frames; side by side they are sorted first."""
        frames = self.frames
        count, sig_shape, dtype = len(frames), frames.shape[1:], frames.dtype
        if lie_side_by_side(frames):
            native, least = dtype.newbyteorder("="), LINES_NBYTES // dtype.itemsize
            yield from filled(
                count,
                sig_shape,
                native,
                lambda where, out: DenseBatch(frames[where]).dense(out),
                least,
            )
            return
        for where in frames_of(count, sig_shape, dtype):
            yield where, frames[where]

    def masked_sums(self, masks: Masks, out: NDArray[Any]) -> None:
        """Sum the pixels of every frame within each mask, as they lie."""
        masked_sums(self.frames, masks, out)

    def moments(self, masks: Masks | None, out: NDArray[Any]) -> None:
        """Sum the pixels of every frame, plain and times their position."""
        if lie_side_by_side(self.frames):
            InBlocks.moments(self, masks, out)
        else:
            moments(self.frames, masks, out)

    def dense(self, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Return the pixels in native byte order, shape (n, *sig_shape)."""
        frames = self.frames
        if not lie_side_by_side(frames):
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


@dataclass(frozen=True, eq=False, slots=True)
class PackedBatch(InBlocks):
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

    def __len__(self) -> int:
        return len(self.packed)

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

    def dense_blocks(self) -> Iterator[tuple[slice, NDArray[Any]]]:
        """Decode some frames at a time."""
        return filled(
            len(self),
            self.sig_shape,
            self.packing.dtype,
            lambda where, out: self._part(where).dense(out),
        )

    def _part(self, where: slice) -> PackedBatch:
        return PackedBatch(self.packed[where], self.packing, self.sig_shape)

    def masked_sums(self, masks: Masks, out: NDArray[Any]) -> None:
        """Sum the pixels within each mask; without weights nothing is decoded."""
        if masks.are_binary:
            packed_sums(self.packed, self.packing, masks, out)
        else:
            InBlocks.masked_sums(self, masks, out)

    def moments(self, masks: Masks | None, out: NDArray[Any]) -> None:
        """Sum the pixels, plain and times their position, as they lie if possible."""
        is_in_words = self.packing.words_are_reversed
        if is_in_words and self.sig_shape == self.packing.frame_shape:
            pixels = self.packed.view(self.packing.dtype)
            frames = pixels.reshape(len(pixels), *self.sig_shape)
            if moments_of_words(frames, masks, out):
                return
        InBlocks.moments(self, masks, out)


@dataclass(frozen=True, eq=False, slots=True)
class SparseBatch(InBlocks):
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

    def __len__(self) -> int:
        return len(self.indptr) - 1

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

    def dense_blocks(self) -> Iterator[tuple[slice, NDArray[Any]]]:
        """Put some frames together at a time."""
        dtype = self.values.dtype.newbyteorder("=")
        return filled(
            len(self),
            self.sig_shape,
            dtype,
            lambda where, out: self.part(where).dense(out),
        )

    def events(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[Any]]:
        """Return frame, flat pixel and value of every pixel with events, once each."""
        first, last = int(self.indptr[0]), int(self.indptr[-1])
        frames = np.repeat(np.arange(len(self)), np.diff(self.indptr))
        pixels = self.indices[first:last].astype(np.int64)
        values = self.values[first:last]
        values = values.astype(values.dtype.newbyteorder("="), copy=False)
        size = prod(self.sig_shape)
        places = frames * size + pixels
        if (np.diff(places) > 0).all():
            return frames, pixels, values
        places, of_event = np.unique(places, return_inverse=True)
        totals = np.zeros(len(places), values.dtype)
        np.add.at(totals, of_event, values)
        return places // size, places % size, totals

    def _folded(self) -> SparseBatch:
        """Return the same frames with one event a pixel: what it holds may wrap."""
        from napari_4dstem.decode.pixel_kernels import are_in_order

        indices = np.ascontiguousarray(
            self.indices, self.indices.dtype.newbyteorder("=")
        )
        in_order = are_in_order(np.ascontiguousarray(self.indptr, np.int64), indices)
        if in_order or self._cannot_wrap():
            return self
        frames, pixels, values = self.events()
        indptr = np.searchsorted(frames, np.arange(len(self) + 1))
        return SparseBatch(indptr, pixels, values, self.sig_shape)

    def _cannot_wrap(self) -> bool:
        """Whether no pixel can hold more than its type, however often it is hit."""
        values = self.values[int(self.indptr[0]) : int(self.indptr[-1])]
        if values.dtype.kind != "u" or not values.size:
            return False
        most = int(np.diff(self.indptr).max()) * int(values.max())
        return most <= np.iinfo(values.dtype).max

    def part(self, where: slice) -> SparseBatch:
        """Return some of the frames."""
        indptr = self.indptr[where.start : where.stop + 1]
        return SparseBatch(indptr, self.indices, self.values, self.sig_shape)

    def masked_sums(self, masks: Masks, out: NDArray[Any]) -> None:
        """Sum the values of the events within each mask."""
        if is_number(self.values.dtype):
            events = self._folded()
            event_sums(events.indptr, events.indices, events.values, masks.weights, out)
        else:
            InBlocks.masked_sums(self, masks, out)

    def moments(self, masks: Masks | None, out: NDArray[Any]) -> None:
        """Sum the values of the events, plain and times their position."""
        within = everywhere(self.sig_shape) if masks is None else masks
        if is_number(self.values.dtype):
            weights = within.position_weights
            events = self._folded()
            event_sums(events.indptr, events.indices, events.values, weights, out)
        else:
            InBlocks.moments(self, masks, out)


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

    @property
    def is_complete(self) -> bool:
        """Whether all stored frames have pixels, known without a look at each."""

    def present(self, frames: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which of these stored frames have pixels, shape (n,)."""

    def batches(
        self, frames: NDArray[np.int64], needed: NDArray[np.bool_] | None = None
    ) -> Iterator[tuple[slice, Batch]]:
        """Yield these stored frames in batches.

        Parameters
        ----------
        frames : int array, shape (n,)
            Stored frames with pixels, in any order; neighbors that follow each other
            are read together.
        needed : bool array, shape sig_shape, optional
            Pixels that matter. Others may come out as anything: a source need not
            fetch them.

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
