"""Patterns of a region of the scan while it moves."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_4dstem.engine import stream
from napari_4dstem.errors import ParameterError, ShapeError
from napari_4dstem.frames.accumulators import (
    FrameMaximum,
    FrameSpread,
    FrameSum,
    kind_for_mean,
    mean_of,
)
from napari_4dstem.live.coarse import cells
from napari_4dstem.live.pace import FIRST_S, NEXT_S, Pace
from napari_4dstem.live.stored import check_refolded, in_stored_order

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_4dstem.dataset import Dataset
    from napari_4dstem.frames.batches import Batch

KINDS = ("mean", "sum", "std", "max")
# The first few frames tell how long more of them may take.
FIRST_CELLS = 16


@dataclass(frozen=True, eq=False)
class LivePatternStep:
    """A pattern of a region, as good as it can be by now.

    Attributes
    ----------
    frame : array, shape sig_shape
    is_exact : bool
    how : str
        "kept": all was known; "difference": from positions that the region gained and
        lost; "direct": from all its positions; "subset": from some of them.
    count : int
        Frames that it is made of.
    seconds : float
        Since it was asked for.
    """

    frame: NDArray[Any]
    is_exact: bool
    how: str
    count: int
    seconds: float


class _Share:
    """What one thread has added up, and of which frames."""

    def __init__(self, accumulator: Any) -> None:
        self.accumulator = accumulator
        self.frames: list[NDArray[np.int64]] = []
        self.lock = threading.Lock()


class _Adding:
    """A reduction that leaves what it has added in reach, whenever it ends."""

    takes_batches = True

    def __init__(self, kind: type[Any]) -> None:
        self.kind = kind
        self.shares: list[_Share] = []

    def prepare(self, ds: Dataset) -> _Share:
        """Return a share that is remembered."""
        share = _Share(self.kind(ds.sig_shape, ds.dtype))
        self.shares.append(share)
        return share

    def add(self, state: _Share, frames: Batch, positions: NDArray[np.int64]) -> None:
        """Add frames."""
        with state.lock:
            state.accumulator.add(frames)
            state.frames.append(positions)

    def merge(self, a: _Share, b: _Share) -> _Share:
        """Return either: all are remembered."""
        return a

    def result(self, state: _Share) -> None:
        """Return nothing: see ``shares``."""

    def total(self, ds: Dataset) -> tuple[Any, NDArray[np.int64]]:
        """Return what was added up so far, and of which frames."""
        total, frames = self.kind(ds.sig_shape, ds.dtype), [np.zeros(0, np.int64)]
        for share in self.shares:
            with share.lock:
                total.merge(share.accumulator)
                frames += share.frames
        return total, np.concatenate(frames)


class _Region:
    """Frames that were added up."""

    def __init__(self, kind: type[Any], ds: Dataset) -> None:
        self.ds = ds
        self.accumulator = kind(ds.sig_shape, ds.dtype)
        self.frames = np.zeros(ds.num_stored_frames, bool)


class LivePattern:
    """Patterns of a region of the scan that moves. For one thread at a time.

    Parameters
    ----------
    ds : Dataset
    """

    def __init__(self, ds: Dataset) -> None:
        self.ds = ds
        self._stored = in_stored_order(ds)
        self._present = self._stored.frames.valid().reshape(-1)
        self._regions: dict[type[Any], _Region] = {}
        self._pace = Pace()
        self._compiled: set[type[Any]] = set()

    def refold(self, ds: Dataset) -> None:
        """Go on with the same frames in another scan geometry; reads nothing.

        See `LiveImages.refold`.
        """
        check_refolded(self.ds, ds)
        self.ds = ds

    def steps(self, roi: Any, kind: str = "mean") -> Generator[LivePatternStep]:
        """Yield the pattern of a region: at once, then better, exact in the end.

        Parameters
        ----------
        roi : bool array, shape nav_shape
            Positions that count; those without a frame never do.
        kind : "mean", "sum", "max" or "std"
            As `mean_frame` and its like.

        Yields
        ------
        LivePatternStep
            To cancel is to close the generator.

        Raises
        ------
        ShapeError
            If ``roi`` has not the shape of the scan.
        ParameterError
            For another kind.
        FormatError
            If a file cannot be read (any more).
        """
        began = time.perf_counter()
        if kind not in KINDS:
            expected = ", ".join(map(repr, KINDS))
            raise ParameterError(
                None, "kind", "unknown kind", expected=expected, found=repr(kind)
            )
        wanted, cell = self._frames_of(roi)
        accumulator = _accumulator(kind, self._stored.dtype)
        region = self._regions.get(accumulator)
        how = "difference"
        if region is None or not self._pays(region, wanted):
            region, how = _Region(accumulator, self._stored), "direct"
            self._regions[accumulator] = region
        if np.array_equal(region.frames, wanted):
            how = "kept"
        shown = began

        def step(total: Any, is_exact: bool) -> LivePatternStep:
            nonlocal shown
            shown = time.perf_counter()
            told = how if is_exact or how == "difference" else "subset"
            frame = _frame(total, kind, self.ds.dtype)
            return LivePatternStep(frame, is_exact, told, total.count, shown - began)

        for frames, order in self._portions(region, wanted, cell, began):
            if order == "show":
                yield step(region.accumulator, False)
                continue
            for total in self._add(region, frames, order):
                if time.perf_counter() - shown > NEXT_S:
                    yield step(total(), False)
        yield step(region.accumulator, True)

    def _frames_of(self, roi: Any) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Return the stored frames of a region, and the cell of each stored frame."""
        region = np.asarray(roi)
        if region.dtype != bool or region.shape != self.ds.nav_shape:
            raise ShapeError(
                self.ds.path,
                "the region of interest does not fit the scan",
                expected=f"a bool array of shape {self.ds.nav_shape}",
                found=f"{region.dtype} of shape {region.shape}",
            )
        positions = np.flatnonzero(region)
        stored = self.ds.frames.geometry.stored(positions)
        here = (stored >= 0) & (stored < self._present.size)
        stored, positions = stored[here], positions[here]
        wanted = np.zeros(self._present.size, bool)
        wanted[stored] = True
        along = cells(self.ds)
        index = np.unravel_index(positions, self.ds.nav_shape)
        cell = np.zeros(self._present.size, np.int64)
        for number, i in zip(along, index, strict=True):
            cell[stored] = cell[stored] * (number[-1] + 1) + number[i]
        return wanted & self._present, cell

    def _pays(self, region: _Region, wanted: NDArray[np.bool_]) -> bool:
        """Whether to go on from a region, and not from nothing."""
        lost = int(np.count_nonzero(region.frames & ~wanted))
        gained = int(np.count_nonzero(wanted & ~region.frames))
        is_exact = (
            isinstance(region.accumulator, FrameSum) and self.ds.dtype.kind in "biu"
        )
        if lost and not is_exact:
            return False
        if not region.frames.any():
            return False
        return not lost or gained + lost < int(np.count_nonzero(wanted))

    def _portions(
        self,
        region: _Region,
        wanted: NDArray[np.bool_],
        cell: NDArray[np.int64],
        began: float,
    ) -> Generator[tuple[NDArray[np.bool_], str]]:
        """Yield frames and what to do with them.

        "spread": add, they are some of many; "all": add the rest; "lost": take them
        away; "show": show what there is, the rest takes its time.
        """
        kind, number = type(region.accumulator), FIRST_CELLS
        self._compile(kind)
        while True:
            left = wanted & ~region.frames
            count = int(np.count_nonzero(left))
            if not count:
                break
            names = np.unique(cell[left])
            per_cell = count / len(names)
            whole = self._pace.predict((kind, "all"), 1, count)
            part = self._pace.predict((kind, "spread"), 1, int(number * per_cell))
            spent = time.perf_counter() - began
            is_first = number == FIRST_CELLS
            if (
                len(names) <= 2 * number
                or (whole is not None and whole <= FIRST_S)
                or (not is_first and (part is None or spent + part > FIRST_S))
            ):
                if not is_first and (whole is None or whole > FIRST_S):
                    yield left, "show"
                yield left, "all"
                break
            # by chance within equal parts: a constant step may meet columns only
            parts = np.arange(number) + np.random.default_rng(0).random(number)
            some = names[(parts * (len(names) / number)).astype(np.int64)]
            yield left & np.isin(cell, some), "spread"
            number *= 4
        lost = region.frames & ~wanted
        if lost.any():
            yield lost, "lost"

    def _add(
        self, region: _Region, frames: NDArray[np.bool_], order: str
    ) -> Generator[Any]:
        """Add frames to a region, or take them away; yield how to see it so far."""
        kind, is_lost = type(region.accumulator), order == "lost"
        work = _Adding(kind)
        roi = frames.reshape(self._stored.nav_shape)
        begin, waited, failed = time.perf_counter(), 0.0, True

        def so_far() -> Any:
            total, _ = work.total(self._stored)
            return _together(region.accumulator, total, is_lost)

        try:
            with closing(stream(self._stored, work, roi=roi)) as steps:
                for _ in steps:
                    paused = time.perf_counter()
                    yield so_far
                    waited += time.perf_counter() - paused
            failed = False
        except GeneratorExit:
            failed = False
            raise
        finally:
            if failed:  # a batch may be half in
                self._regions.pop(kind, None)
            else:
                total, done = work.total(self._stored)
                region.accumulator = _together(region.accumulator, total, is_lost)
                region.frames[done] = not is_lost
        seconds = time.perf_counter() - begin
        if waited < seconds / 8:
            name = kind, "spread" if order == "spread" else "all"
            self._pace.record(name, 1, int(np.count_nonzero(frames)), seconds)

    def _compile(self, kind: type[Any]) -> None:
        """Compile kernels, which is no measure of how long they take."""
        if kind not in self._compiled:
            accumulator = kind(self._stored.sig_shape, self._stored.dtype)
            frame = np.flatnonzero(self._present)[:1]
            for _, batch in self._stored.frames.batches(frame):
                accumulator.add(batch)
            self._compiled.add(kind)


def _together(one: Any, other: Any, is_lost: bool) -> Any:
    """Return two accumulators as one; neither is changed."""
    both = type(one)(one.sig_shape, one.dtype)
    both.merge(one)
    if not is_lost:
        both.merge(other)
        return both
    both.total = both.total - other.total
    both.count -= other.count
    return both


def _accumulator(kind: str, dtype: np.dtype[Any]) -> type[Any]:
    """Return what a kind of pattern is made with."""
    if kind == "mean":
        return kind_for_mean(dtype)
    return {"sum": FrameSum, "std": FrameSpread, "max": FrameMaximum}[kind]


def _frame(total: Any, kind: str, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return what `sum_frame` and its like make of an accumulator."""
    frame: NDArray[Any]
    if kind == "sum":
        frame = total.total.copy()
    elif kind == "mean":
        frame = mean_of(total)
    elif kind == "std":
        frame = total.std()
    else:
        pixel = np.abs(np.empty(0, dtype)).dtype
        frame = total.maximum.astype(pixel)
        if not total.count:
            frame[...] = 0
    return frame
