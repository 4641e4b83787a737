"""Frames that lie in files as a layout says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_4dstem.frames.batches import Batch, DenseBatch, InBlocks, PackedBatch
from napari_4dstem.frames.file_bytes import FileMaps, View
from napari_4dstem.frames.layout import FrameLayout, FrameRun

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

# Read through buffers in pieces that stay in a core's cache.
BUFFER_NBYTES = 2**20
# Scattered pixels that are farther apart are read one by one, others with what lies
# in between.
GAP_NBYTES = 2**16
# Frames that are gathered together: each pass over the file takes its time.
SCATTERED_NBYTES = 2**25


@dataclass(frozen=True)
class RawFrames:
    """Frames that lie in files as a layout says.

    Attributes
    ----------
    layout : FrameLayout
    backend : str
        "mmap", "buffered" or "direct".
    shown_shape : tuple of int, optional
        Another shape of as many pixels in which the frames are handed out.
    maps : FileMaps
        Shared by what is made of these frames.
    """

    layout: FrameLayout
    backend: str
    shown_shape: tuple[int, ...] | None = None
    maps: FileMaps = field(default_factory=FileMaps, compare=False, repr=False)
    lazy: None = None
    grain: tuple[int, ...] = ()

    @property
    def num_frames(self) -> int:
        """Number of stored frames, lost ones included."""
        return self.layout.num_frames

    @property
    def sig_shape(self) -> tuple[int, ...]:
        """Shape of a frame."""
        return self.shown_shape or self.layout.sig_shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Native-endian type of the pixels."""
        return self.layout.dtype.newbyteorder("=")

    @property
    def files(self) -> tuple[Path, ...]:
        """The files, in the order of the frames."""
        return self.layout.files

    def between(self, begin: int, end: int) -> RawFrames:
        """Return the source of stored frames ``begin`` to ``end`` alone."""
        return replace(self, layout=self.layout.between(begin, end))

    def with_backend(self, backend: str) -> RawFrames:
        """Return the same frames, fetched in another way."""
        return replace(self, backend=backend)

    def with_sig_shape(self, sig_shape: tuple[int, ...]) -> RawFrames:
        """Return the same frames in another shape of as many pixels."""
        return replace(self, shown_shape=sig_shape)

    @property
    def is_complete(self) -> bool:
        """Whether all stored frames have pixels."""
        return not self.layout.are_gaps.any()

    def present(self, frames: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which of these stored frames have pixels, shape (n,)."""
        if self.is_complete:
            return np.ones(len(frames), dtype=bool)
        number = np.searchsorted(self.layout.ends, frames, side="right")
        return ~self.layout.are_gaps[number]

    def batches(
        self, frames: NDArray[np.int64], needed: NDArray[np.bool_] | None = None
    ) -> Iterator[tuple[slice, Batch]]:
        """Yield these stored frames in batches, in the order of ``frames``."""
        number = np.searchsorted(self.layout.ends, frames, side="right")
        for begin, end in pieces(np.diff(number) != 0, len(frames)):
            run = self.layout.runs[number[begin]]
            assert isinstance(run, FrameRun), "asked for a lost frame"
            first = int(self.layout.ends[number[begin]]) - run.count
            in_run = frames[begin:end] - first
            yield from self._run_batches(run, in_run, begin)

    def _run_batches(
        self, run: FrameRun, frames: NDArray[np.int64], begin: int
    ) -> Iterator[tuple[slice, Batch]]:
        before, after = self.layout.extent
        lowest = run.start + int(frames.min()) * run.stride + before
        highest = run.start + int(frames.max()) * run.stride + after
        limit = len(frames)
        if self.backend != "mmap" and self.layout.is_scattered:
            limit = max(1, SCATTERED_NBYTES // self.layout.frame_nbytes)
        elif self.backend != "mmap":
            limit = max(1, BUFFER_NBYTES // max(run.stride, after - before))
        with self.maps.opened(self.backend, run.path, lowest, highest) as view:
            for one, other in pieces(np.diff(frames) != 1, len(frames), limit):
                start = run.start + int(frames[one]) * run.stride
                batch = self._batch(view, start, run.stride, other - one)
                yield slice(begin + one, begin + other), batch

    def _batch(self, view: View, start: int, stride: int, count: int) -> Batch:
        layout = self.layout
        before, after = layout.extent
        reach = (count - 1) * stride
        if layout.is_scattered and self.backend != "mmap":
            return ScatteredBatch(view, layout, start, stride, count, self.sig_shape)
        raw = view(start + before, start + reach + after)
        if layout.decode is not None:
            packed = np.ndarray((count, after), np.uint8, raw, strides=(stride, 1))
            return PackedBatch(packed, layout.decode, self.sig_shape)
        strides = layout.sig_strides or _c_strides(layout)
        return self._shown(
            np.ndarray(
                (count, *layout.sig_shape),
                layout.dtype,
                raw,
                offset=-before,
                strides=(stride, *strides),
            )
        )

    def _shown(self, frames: NDArray[Any]) -> DenseBatch:
        # a view where the strides allow it
        return DenseBatch(frames.reshape(len(frames), *self.sig_shape))


def pieces(
    breaks: NDArray[np.bool_], count: int, limit: int | None = None
) -> Iterator[tuple[int, int]]:
    """Yield (begin, end) of the pieces of ``range(count)``, cut after every break."""
    cuts = [0, *(np.flatnonzero(breaks) + 1).tolist(), count]
    for begin, end in pairwise(cuts):
        step = limit or max(end - begin, 1)
        for one in range(begin, end, step):
            yield one, min(one + step, end)


def _c_strides(layout: FrameLayout) -> tuple[int, ...]:
    strides = [layout.dtype.itemsize]
    for n in layout.sig_shape[:0:-1]:
        strides.append(strides[-1] * n)
    return tuple(reversed(strides))


@dataclass(frozen=True, eq=False, slots=True)
class ScatteredBatch(InBlocks):
    """Frames whose pixels are scattered over a file, read when they are asked for.

    Attributes
    ----------
    view : callable
        Reads bytes of the file.
    layout : FrameLayout
        How the pixels of a frame lie.
    start, stride, count : int
        As in a `FrameRun`.
    sig_shape : tuple of int
        Shape in which the frames are wanted.
    """

    view: View
    layout: FrameLayout
    start: int
    stride: int
    count: int
    sig_shape: tuple[int, ...]

    def __len__(self) -> int:
        return self.count

    def cropped(self, crop: tuple[slice | int, ...]) -> Batch:
        """Return a part of the detector, without reading the rest."""
        if self.sig_shape != self.layout.sig_shape:
            return DenseBatch(self.dense()[:, *crop])
        start, shape, strides = self.start, [], []
        keys = crop + (slice(None),) * (len(self.sig_shape) - len(crop))
        for key, n, stride in zip(keys, self.sig_shape, self._strides, strict=True):
            if isinstance(key, slice):
                picked = range(n)[key]
                shape.append(len(picked))
                strides.append(picked.step * stride)
                start += picked.start * stride if picked else 0
            else:
                start += range(n)[key] * stride
        part = replace(self.layout, sig_shape=tuple(shape), sig_strides=tuple(strides))
        return replace(self, layout=part, start=start, sig_shape=part.sig_shape)

    @property
    def _strides(self) -> tuple[int, ...]:
        strides = self.layout.sig_strides
        return _c_strides(self.layout) if strides is None else strides

    def dense(self, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Return the pixels in native byte order, shape (n, *sig_shape)."""
        shape = (self.count, *self.layout.sig_shape)
        gathered = np.empty(shape, self.layout.dtype.newbyteorder("="))
        if out is not None and out.shape == shape:
            gathered = out
        self._gather(gathered)
        if gathered is out:
            return out
        gathered = gathered.reshape(self.count, *self.sig_shape)
        if out is None:
            return gathered
        np.copyto(out, gathered)
        return out

    def _gather(self, out: NDArray[Any]) -> None:
        """Read some neighboring pixels of some frames at a time."""
        strides, dtype = self._strides, self.layout.dtype
        if not strides:  # a single pixel
            strides, out = (dtype.itemsize,), out[:, np.newaxis]
        # the axis along which pixels are closest comes last
        axes = sorted(range(len(strides)), key=lambda axis: -abs(strides[axis]))
        out = out.transpose(0, *(axis + 1 for axis in axes))
        *steps, step = (strides[axis] for axis in axes)
        frames = _together(self.count, self.stride, dtype.itemsize)
        piece = (frames - 1) * self.stride + dtype.itemsize
        pixels = _together(out.shape[-1], abs(step), piece)
        for index in np.ndindex(out.shape[1:-1]):
            at = self.start + sum(i * s for i, s in zip(index, steps, strict=True))
            for p in range(0, out.shape[-1], pixels):
                for f in range(0, self.count, frames):
                    target = out[f : f + frames, *index, p : p + pixels]
                    begin = at + f * self.stride + p * step
                    DenseBatch(self._read(begin, target.shape, step)).dense(target)

    def _read(self, at: int, shape: tuple[int, ...], step: int) -> NDArray[Any]:
        """Return neighboring pixels of some frames, the first of which is ``at``."""
        dtype = self.layout.dtype
        reach = (shape[1] - 1) * step
        begin = at + min(reach, 0)
        end = at + max(reach, 0) + (shape[0] - 1) * self.stride + dtype.itemsize
        raw = self.view(begin, end)
        return np.ndarray(shape, dtype, raw, at - begin, (self.stride, step))


def _together(count: int, step: int, nbytes: int) -> int:
    """How many of ``count`` pieces, ``step`` bytes apart, to read at once."""
    if step - nbytes > GAP_NBYTES:
        return 1
    return max(1, min(count, 1 + (BUFFER_NBYTES - nbytes) // max(step, 1)))
