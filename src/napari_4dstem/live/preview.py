"""A small copy of all frames: pixels summed in bins, kept in memory."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from math import ceil, prod
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_4dstem.engine import stream
from napari_4dstem.frames.in_threads import helpers
from napari_4dstem.frames.sums import as_numbers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_4dstem.dataset import Dataset
    from napari_4dstem.frames.batches import Batch

# More would take longer to go through than a picture may.
MAX_NBYTES = 2**28
# Bins along an axis, at least; then rather fewer frames.
MIN_BINS = 16
# So many pixels of 8 bits have a sum of 16 bits.
SHORT = 16
# Frames whose bins are put into place together: each bin is a row of its own.
TOGETHER = 2**7


@dataclass(frozen=True)
class PreviewProgress:
    """How far the preview is.

    Attributes
    ----------
    done, total : int
        Frames.
    """

    done: int
    total: int


class Preview:
    """All frames, or every so many of them, with their pixels summed in bins.

    Parameters
    ----------
    ds : Dataset
        All frames, in stored order.
    budget : int
        Bytes that it may take.

    Attributes
    ----------
    step : int
        Side of a bin; 0 where nothing fits the budget.
    every : int
        From one frame that is kept to the next.
    """

    takes_batches = True

    def __init__(self, ds: Dataset, budget: int) -> None:
        self.ds = ds
        self._shape = (prod(ds.sig_shape[:-1]), ds.sig_shape[-1])
        self._bytes = ds.frames.source.dtype.itemsize == 1 and ds.dtype.kind in "bu"
        self.step, self.every = self._chosen(min(budget, MAX_NBYTES))
        count = -(-ds.num_stored_frames // self.every) if self.step else 0
        # a row for each bin, so that a detector reads only the bins it touches
        self._rows = self._bins(self.step) if self.step else 0
        self._bins_of_frames: NDArray[Any] | None = None
        self._dtype = np.dtype(np.uint16 if self._is_short else np.float32)
        self._done = np.zeros(count, bool)
        if self.step:
            here = ds.frames.valid().reshape(-1)[:: self.every]
            self._done |= ~here  # they stay 0
        self._count = count

    def _chosen(self, budget: int) -> tuple[int, int]:
        frames, side = self.ds.num_stored_frames, max(self._shape)
        coarsest = max(side // MIN_BINS, 1)
        for step in range(1, coarsest + 1):
            if frames * self._frame_nbytes(step) <= budget:
                return step, 1
        kept = budget // self._frame_nbytes(coarsest)
        return (coarsest, -(-frames // kept)) if kept else (0, 1)

    def _bins(self, step: int) -> int:
        return prod(-(-side // step) for side in self._shape)

    def _frame_nbytes(self, step: int) -> int:
        return self._bins(step) * (2 if self._bytes and step <= SHORT else 4)

    @property
    def _is_short(self) -> bool:
        return self._bytes and self.step <= SHORT

    @property
    def nbytes(self) -> int:
        """Memory that it takes once it is there."""
        return self._rows * self._count * self._dtype.itemsize + self._count

    @property
    def is_ready(self) -> bool:
        """Whether all its frames have been read."""
        return bool(self.step) and bool(self._done.all())

    def build(self) -> Generator[PreviewProgress]:
        """Read what is missing; may be closed, and started again."""
        if self._bins_of_frames is None and self.step:
            self._bins_of_frames = np.zeros((self._rows, self._count), self._dtype)
        wanted = np.zeros(self.ds.num_stored_frames, bool)
        wanted[:: self.every] = ~self._done if self.step else False
        if wanted.any():
            roi = wanted.reshape(self.ds.nav_shape)
            with closing(stream(self.ds, self, roi=roi)) as steps:
                for _ in steps:
                    yield self._progress()
        else:
            yield self._progress()

    def compile(self) -> None:
        """Compile the kernels that it takes."""
        from napari_4dstem.decode.bin_kernels import bin_frames, weigh_bins

        nothing = np.zeros((1, 1, 1), np.float32)
        bin_frames(nothing, 1, nothing[0])
        bins, which = np.zeros((1, 1), self._dtype), np.zeros(1, np.int64)
        weigh_bins(bins, which, np.zeros((1, 1)), 0, 1, np.zeros((1, 1)))

    def _progress(self) -> PreviewProgress:
        return PreviewProgress(int(np.count_nonzero(self._done)), self._count)

    def prepare(self, ds: Dataset) -> None:
        """Return nothing: the bins are the state."""

    def add(self, state: None, frames: Batch, positions: NDArray[np.int64]) -> None:
        """Put some frames into their bins."""
        from napari_4dstem.decode.bin_kernels import bin_frames

        kept, first = [], 0
        for where, block in frames.dense_blocks():
            numbers = as_numbers(block) if block.dtype.kind == "c" else block
            with np.errstate(over="ignore", invalid="ignore"):
                plain = np.ascontiguousarray(numbers, np.float32)
            sums = np.empty((len(plain), self._rows), np.float32)
            bin_frames(plain.reshape(-1, *self._shape), self.step, sums)
            kept.append(sums)
            if where.stop - first >= TOGETHER or where.stop == len(positions):
                self._keep(np.concatenate(kept), positions[first : where.stop])
                kept, first = [], where.stop

    def _keep(self, sums: NDArray[np.float32], positions: NDArray[np.int64]) -> None:
        assert self._bins_of_frames is not None
        frames = positions // self.every
        first, last = int(frames[0]), int(frames[-1])
        if last - first + 1 == len(frames):
            self._bins_of_frames[:, first : last + 1] = sums.T
        else:
            self._bins_of_frames[:, frames] = sums.T
        self._done[frames] = True

    def merge(self, a: None, b: None) -> None:
        """Return nothing: threads write to the same bins."""

    def result(self, state: None) -> None:
        """Return nothing: the bins are the result."""

    def weighed(
        self, weights: Sequence[NDArray[Any]]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return the bins that weights touch, and the mean weight in each, (k, bins).

        Parameters
        ----------
        weights : sequence of array, shape sig_shape
        """
        sides = [range(0, n, self.step) for n in self._shape]
        pixels = np.ones((1, *self._shape))
        planes = np.stack([np.asarray(w, np.float64) for w in weights])
        planes = np.concatenate([planes.reshape(-1, *self._shape), pixels])
        for axis, side in enumerate(sides, 1):
            planes = np.add.reduceat(planes, side, axis=axis)
        *sums, areas = planes.reshape(len(planes), -1)
        means = np.stack(sums) / areas
        which = np.flatnonzero((means != 0).any(axis=0))
        return which, np.ascontiguousarray(means[:, which])

    def values(
        self, which: NDArray[np.int64], weights: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return weighted sums of all stored frames, shape (n, k).

        Parameters
        ----------
        which, weights : array
            See `weighed`.
        """
        from napari_4dstem.decode.bin_kernels import TOGETHER as CHUNK
        from napari_4dstem.decode.bin_kernels import weigh_bins

        bins = self._bins_of_frames
        assert bins is not None
        out = np.empty((len(weights), self._count))
        step = max(ceil(self._count / 16 / CHUNK), 1) * CHUNK
        parts = [
            (bins, which, weights, begin, min(begin + step, self._count), out)
            for begin in range(0, self._count, step)
        ]
        with helpers(len(which) * self._count * bins.itemsize) as each:
            each(weigh_bins, parts)
        if self.every > 1:
            out = np.repeat(out, self.every, axis=1)[:, : self.ds.num_stored_frames]
        return out.T
