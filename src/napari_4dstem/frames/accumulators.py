"""Sums, spreads and maxima of every pixel over frames, to which batches are added."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from napari_4dstem.decode.mask_table import BLOCK, TILE
from napari_4dstem.frames.batches import DenseBatch, SparseBatch
from napari_4dstem.frames.lanes import (
    address_of,
    is_long,
    kind_of,
    lanes_of,
    lie_side_by_side,
    short_sum_dtype,
    sum_dtype,
)
from napari_4dstem.frames.sums import as_numbers, is_number

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_4dstem.frames.batches import Batch

# So many numbers of 16 bits have a sum of 32 bits, and so many of their squares a sum
# that is exact when it is multiplied by how many there are.
MOST_FRAMES = 2**15


class Accumulator:
    """What is known of every pixel over the frames that were added.

    Parameters
    ----------
    sig_shape : tuple of int
    dtype : dtype
        Of the pixels. Complex ones count by their magnitude.

    Attributes
    ----------
    count : int
        Frames that were added.
    """

    def __init__(self, sig_shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.sig_shape = sig_shape
        native = np.dtype(dtype).newbyteorder("=")
        self.dtype = native
        if not is_number(native):
            self.dtype = as_numbers(np.empty(0, native)).dtype
        self.count = 0

    def add(self, frames: Batch | NDArray[Any]) -> None:
        """Add a batch of frames, or an array of shape (n, *sig_shape)."""
        batch = DenseBatch(frames) if isinstance(frames, np.ndarray) else frames
        if isinstance(batch, SparseBatch) and is_number(batch.values.dtype):
            for i in range(0, len(batch), MOST_FRAMES):
                some = batch.part(slice(i, i + MOST_FRAMES))
                _, pixels, values = some.events()
                self._add_events(len(some), pixels, values)
            return
        for block in _plain(batch):
            for i in range(0, len(block), MOST_FRAMES):
                self._add_frames(block[i : i + MOST_FRAMES])

    def _add_frames(self, frames: NDArray[Any]) -> None:
        """Add frames, each of which lies in one piece."""
        raise NotImplementedError

    def _add_events(
        self, count: int, pixels: NDArray[np.int64], values: NDArray[Any]
    ) -> None:
        """Add frames that are 0 but for these pixels, each once in a frame."""
        raise NotImplementedError


def _plain(batch: Batch) -> Iterator[NDArray[Any]]:
    """Yield the frames as numbers that lie in one piece."""
    blocks: Iterator[NDArray[Any]]
    if isinstance(batch, DenseBatch) and not lie_side_by_side(batch.frames):
        blocks = iter((batch.frames,))
    else:
        blocks = (block for _, block in batch.dense_blocks())
    for block in blocks:
        if not block.size:
            continue
        if is_number(block.dtype) and lanes_of(block) is not None:
            yield block
            continue
        for _, part in DenseBatch(block).dense_blocks():
            yield np.ascontiguousarray(
                part if is_number(part.dtype) else as_numbers(part)
            )


class _Rows:
    """Frames as rows of lanes, in whole blocks and a rest.

    Parameters
    ----------
    frames : array, shape (n, *sig_shape)
        Each in one piece.
    """

    def __init__(self, frames: NDArray[Any]) -> None:
        lanes = lanes_of(frames)
        assert lanes is not None, "pixels that are scattered"
        self.frames, self.lanes = frames, lanes
        self.per_block = BLOCK // frames.itemsize
        self.blocks = lanes.count // self.per_block
        self.whole = self.blocks * self.per_block

    @property
    def arguments(self) -> tuple[int, int, int]:
        """Address, stride and number of frames."""
        return address_of(self.frames), self.frames.strides[0], len(self.frames)

    @property
    def rest(self) -> NDArray[Any]:
        """The lanes after the whole blocks, shape (n, rest)."""
        turned = (slice(None, None, -1 if s < 0 else 1) for s in self.lanes.steps)
        first = self.frames[:, *turned]
        rows = np.lib.stride_tricks.as_strided(
            first,
            (len(first), self.lanes.count),
            (first.strides[0], first.itemsize),
        )
        return rows[:, self.whole :]

    def in_blocks(self, lanes: NDArray[Any]) -> NDArray[Any]:
        """Return the whole blocks of an array of lanes, shape (blocks, per block)."""
        return lanes[: self.whole].reshape(self.blocks, self.per_block)

    def room(self, dtype: Any) -> NDArray[Any]:
        """Return room for the sums of a tile."""
        return np.empty((min(TILE, self.blocks), self.per_block), dtype)

    @contextmanager
    def laid(self, *arrays: NDArray[Any]) -> Iterator[tuple[NDArray[Any], ...]]:
        """Lay arrays of shape sig_shape out like the lanes, to be changed there."""
        if self.lanes.are_in_order:
            yield tuple(array.reshape(-1) for array in arrays)
            return
        rows = tuple(self.lanes.placed(array) for array in arrays)
        yield rows
        for array, row in zip(arrays, rows, strict=True):
            array[...] = self.lanes.view(row)


class FrameSum(Accumulator):
    """The sum of frames.

    Attributes
    ----------
    total : array, shape sig_shape
        uint64, int64 or float64: exact for integers.
    count : int
    """

    def __init__(self, sig_shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        super().__init__(sig_shape, dtype)
        self.total = np.zeros(sig_shape, sum_dtype(self.dtype))

    def _add_frames(self, frames: NDArray[Any]) -> None:
        from napari_4dstem.decode.across_kernels import sum_across

        rows = _Rows(frames)
        kind = kind_of(frames.dtype)
        with rows.laid(self.total) as (total,):
            if rows.blocks:
                room = rows.room(short_sum_dtype(self.dtype))
                sum_across(*rows.arguments, room, kind, rows.in_blocks(total))
            total[rows.whole :] += rows.rest.sum(axis=0, dtype=total.dtype)
        self.count += len(frames)

    def _add_events(
        self, count: int, pixels: NDArray[np.int64], values: NDArray[Any]
    ) -> None:
        np.add.at(self.total.reshape(-1), pixels, values.astype(self.total.dtype))
        self.count += count

    def merge(self, other: Self) -> Self:
        """Add what another one has; return this one."""
        self.total += other.total
        self.count += other.count
        return self


class FrameSpread(Accumulator):
    """The mean of frames and how they spread around it.

    Integers of up to 16 bits, and their squares, are summed exactly. Of other pixels,
    differences from the first frame are summed, which keeps all digits that matter:
    they are no larger than the spread. Sums become mean and squared deviation when
    these are asked for, or merged, as in Chan, Golub and LeVeque (1979).

    Attributes
    ----------
    count : int
    mean : float64 array, shape sig_shape
    m2 : float64 array, shape sig_shape
        Sum of the squares of the differences from the mean.
    """

    def __init__(self, sig_shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        super().__init__(sig_shape, dtype)
        self._is_exact = self.dtype.kind in "biu" and self.dtype.itemsize <= 2
        self._settled = 0  # frames that are in mean and m2
        self._mean = self._m2 = np.zeros((), np.float64)
        # of the other frames
        self._sums: tuple[NDArray[Any], ...] = ()

    @property
    def mean(self) -> NDArray[np.float64]:
        """Mean of the frames; 0 where there are none."""
        self._settle()
        return np.broadcast_to(self._mean, self.sig_shape)

    @property
    def m2(self) -> NDArray[np.float64]:
        """Sum of the squares of the differences from the mean."""
        self._settle()
        return np.broadcast_to(self._m2, self.sig_shape)

    def std(self) -> NDArray[np.float64]:
        """Standard deviation of the frames (ddof 0), NaN where there are none."""
        return np.sqrt(self.m2 / (self.count or np.nan))

    def _add_frames(self, frames: NDArray[Any]) -> None:
        if self.count - self._settled + len(frames) > MOST_FRAMES and self._is_exact:
            self._settle()
        with np.errstate(invalid="ignore", over="ignore"):
            add = self._add_exactly if self._is_exact else self._add_differences
            add(_Rows(frames))
        self.count += len(frames)

    def _add_events(
        self, count: int, pixels: NDArray[np.int64], values: NDArray[Any]
    ) -> None:
        if self._is_exact:
            if self.count - self._settled + count > MOST_FRAMES:
                self._settle()
        elif self._sums and self._sums[0].any():
            self._settle()
        if not self._sums and self._is_exact:
            self._sums = (
                np.zeros(self.sig_shape, np.int64),
                np.zeros(self.sig_shape, np.uint64),
            )
        elif not self._sums:
            # most pixels are 0, so that is what differences are counted from
            self._sums = tuple(np.zeros((3, *self.sig_shape)))
        *_, total, squares = self._sums
        with np.errstate(invalid="ignore", over="ignore"):
            numbers = values.astype(total.dtype)
            np.add.at(total.reshape(-1), pixels, numbers)
            squared = (numbers**2).astype(squares.dtype)
            np.add.at(squares.reshape(-1), pixels, squared)
        self.count += count

    def _add_exactly(self, rows: _Rows) -> None:
        from napari_4dstem.decode.across_kernels import square_across

        if not self._sums:
            self._sums = (
                np.zeros(self.sig_shape, np.int64),
                np.zeros(self.sig_shape, np.uint64),
            )
        with rows.laid(*self._sums) as (total, squares):
            if rows.blocks:
                square_across(
                    *rows.arguments,
                    rows.room(short_sum_dtype(self.dtype)),
                    rows.room(np.uint32 if self.dtype.itemsize == 1 else np.uint64),
                    kind_of(rows.frames.dtype),
                    rows.in_blocks(total),
                    rows.in_blocks(squares),
                )
            rest = rows.rest.astype(np.int64)
            total[rows.whole :] += rest.sum(axis=0)
            squares[rows.whole :] += (rest**2).sum(axis=0).astype(np.uint64)

    def _add_differences(self, rows: _Rows) -> None:
        from napari_4dstem.decode.across_kernels import deviate_across

        if not self._sums:
            first = rows.frames[0].astype(np.float64, order="C")
            self._sums = (first, np.zeros_like(first), np.zeros_like(first))
        with rows.laid(*self._sums) as (shift, total, squares):
            if rows.blocks:
                deviate_across(
                    *rows.arguments,
                    kind_of(rows.frames.dtype),
                    rows.in_blocks(shift),
                    rows.in_blocks(total),
                    rows.in_blocks(squares),
                )
            rest = rows.rest.astype(np.float64) - shift[rows.whole :]
            total[rows.whole :] += rest.sum(axis=0)
            squares[rows.whole :] += (rest**2).sum(axis=0)

    def _settle(self) -> None:
        """Turn sums into mean and squared deviation."""
        count = self.count - self._settled
        if not count:
            return
        with np.errstate(invalid="ignore", over="ignore"):
            if self._is_exact:
                total, squares = self._sums
                mean = total / count
                # exact, below 2**62
                m2 = (squares.astype(np.int64) * count - total * total) / count
            else:
                shift, total, squares = self._sums
                mean = shift + total / count
                m2 = np.maximum(squares - total * (total / count), 0)
        self._sums = ()
        self._merge(count, mean, m2)

    def _merge(
        self, count: int, mean: NDArray[np.float64], m2: NDArray[np.float64]
    ) -> None:
        if not self._settled:
            self._settled, self._mean, self._m2 = count, mean, m2
            return
        whole = self._settled + count
        with np.errstate(invalid="ignore", over="ignore"):
            apart = mean - self._mean
            self._mean = self._mean + apart * (count / whole)
            self._m2 = self._m2 + m2 + apart**2 * (self._settled * (count / whole))
        self._settled = whole

    def merge(self, other: Self) -> Self:
        """Add what another one has; return this one."""
        self._settle()
        other._settle()
        if other.count:
            self._merge(other.count, other._mean, other._m2)
            self.count += other.count
        return self


class FrameMaximum(Accumulator):
    """The largest value of every pixel.

    Attributes
    ----------
    maximum : array of the type of the pixels, shape sig_shape
        NaN where a pixel was NaN in one frame; the lowest number where there are none.
    count : int
    """

    def __init__(self, sig_shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        super().__init__(sig_shape, dtype)
        lowest = -np.inf if self.dtype.kind == "f" else False
        if self.dtype.kind in "iu":
            lowest = np.iinfo(self.dtype).min
        self.maximum = np.full(sig_shape, lowest, self.dtype)

    def _add_frames(self, frames: NDArray[Any]) -> None:
        from napari_4dstem.decode.across_kernels import largest_across

        rows, kind = _Rows(frames), kind_of(frames.dtype)
        with rows.laid(self.maximum) as (largest,):
            if rows.blocks:
                whole = rows.in_blocks(largest).view(type(kind[0]))
                largest_across(*rows.arguments, kind, whole)
            rest = rows.rest.max(axis=0)
            largest[rows.whole :] = np.maximum(largest[rows.whole :], rest)
        self.count += len(frames)

    def _add_events(
        self, count: int, pixels: NDArray[np.int64], values: NDArray[Any]
    ) -> None:
        largest = self.maximum.reshape(-1)
        np.maximum.at(largest, pixels, values)
        hit, times = np.unique(pixels, return_counts=True)
        never_zero = hit[times == count]
        kept = largest[never_zero]
        np.maximum(largest, 0, out=largest)
        largest[never_zero] = kept
        self.count += count

    def merge(self, other: Self) -> Self:
        """Add what another one has; return this one."""
        self.maximum = np.maximum(self.maximum, other.maximum)
        self.count += other.count
        return self


def kind_for_mean(dtype: np.dtype[Any]) -> type[FrameSum | FrameSpread]:
    """Return what a mean of such pixels is made with: 64 bits have no room for sums."""
    return FrameSpread if is_long(dtype) else FrameSum


def mean_of(frames: FrameSum | FrameSpread) -> NDArray[np.float64]:
    """Return the mean of what was added, NaN if nothing was."""
    if isinstance(frames, FrameSpread):
        return frames.mean * (1.0 if frames.count else np.nan)
    mean: NDArray[np.float64] = frames.total / (frames.count or np.nan)
    return mean
