"""What is known of each frame, and for which mask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_4dstem.live.pace import Pace, lines_of
from napari_4dstem.live.quantities import Sums

if TYPE_CHECKING:
    from collections.abc import Hashable

    from numpy.typing import NDArray

    from napari_4dstem.dataset import Dataset
    from napari_4dstem.engine import PerFrame
    from napari_4dstem.frames.batches import Batch

# Masks that frames are left at when work was cancelled. Of the others they are read
# anew.
MAX_MASKS = 3
NOTHING = 0  # the number of no mask


class Known:
    """Values of all stored frames, each for one of a few masks.

    Attributes
    ----------
    quantity : Sums
    values : array, shape (n, k)
        Of each stored frame.
    number : uint8 array, shape (n,)
        The mask that a frame's values are for; 0: none.
    masks : dict of array
        By their numbers.
    """

    def __init__(self, quantity: Sums, mask: NDArray[Any]) -> None:
        self.quantity = quantity
        sample = quantity.measured([mask])[0].empty()
        count = quantity.ds.num_stored_frames
        columns = sample.shape[1] if sample.shape[1:] and sample.shape[1] > 1 else 1
        self.values = np.zeros((count, columns), sample.dtype)
        self.number = np.zeros(count, np.uint8)
        self.masks: dict[int, NDArray[Any]] = {}

    @property
    def nbytes(self) -> int:
        """Memory that it takes."""
        masks = sum(mask.nbytes for mask in self.masks.values())
        return self.values.nbytes + self.number.nbytes + masks

    def number_of(self, mask: NDArray[Any]) -> int:
        """Return the number of a mask, a new one if need be."""
        for number, other in self.masks.items():
            if other.dtype == mask.dtype and np.array_equal(other, mask):
                return number
        frames = np.bincount(self.number, minlength=256)
        by_frames = sorted(self.masks, key=lambda number: -frames[number])
        for number in by_frames[MAX_MASKS:]:
            self.number[self.number == number] = NOTHING
        self.masks = {n: self.masks[n] for n in by_frames[:MAX_MASKS] if frames[n]}
        number = next(n for n in range(1, 256) if n not in self.masks)
        self.masks[number] = mask
        return number


@dataclass(frozen=True, eq=False)
class Plan:
    """How to come from one mask to another.

    Attributes
    ----------
    how : str
        "difference" or "direct".
    masks : tuple of array
        Pixels that are gained, and those that are lost; or all pixels.
    lines : int
        Lines of memory of a frame that are touched.
    """

    how: str
    masks: tuple[NDArray[Any], ...]
    lines: int


class Update:
    """A reduction that brings frames to another mask, each from the one it is at.

    It writes to `Known` while it goes: whenever it ends, what is done is done.
    """

    takes_batches = True

    def __init__(
        self, known: Known, mask: NDArray[Any], pace: Pace, name: Hashable
    ) -> None:
        self.known = known
        self.name = name
        self.target = known.number_of(mask)
        self.plans = {
            number: self._plan(other, mask, pace)
            for number, other in [(NOTHING, None), *known.masks.items()]
            if number != self.target
        }
        self._measured: dict[tuple[int, ...], tuple[PerFrame, ...]] = {}
        needed = [mask != 0]
        for plan in self.plans.values():
            needed += [m != 0 for m in plan.masks]
        self.needed = np.logical_or.reduce(needed)
        self.takes_raw = known.quantity.measured([mask])[0].takes_raw

    def _plan(self, old: NDArray[Any] | None, mask: NDArray[Any], pace: Pace) -> Plan:
        itemsize = self.known.quantity.ds.frames.source.dtype.itemsize
        direct = Plan("direct", (mask,), lines_of(mask, itemsize))
        if old is None or not self.known.quantity.subtracts([old, mask]):
            return direct
        masks = mask & ~old, old & ~mask
        lines = sum(lines_of(part, itemsize) for part in masks)
        difference = Plan("difference", masks, lines)
        is_slower = pace.is_slower(
            ((self.name, "difference"), difference.lines),
            ((self.name, "direct"), direct.lines),
        )
        if is_slower is None:
            is_slower = difference.lines >= direct.lines
        return direct if is_slower else difference

    @property
    def fresh(self) -> NDArray[np.bool_]:
        """Stored frames whose values are for the new mask, shape (n,)."""
        fresh: NDArray[np.bool_] = self.known.number == self.target
        return fresh

    def prepare(self, ds: Dataset) -> None:
        """Return nothing: the values are the state."""

    def add(self, state: None, frames: Batch, positions: NDArray[np.int64]) -> None:
        """Bring some frames to the new mask."""
        at = positions if len(positions) == 0 else _slice_or_index(positions)
        now = self.known.number[at]
        there = np.flatnonzero(np.bincount(now)).tolist()
        numbers = tuple(n for n in there if n != self.target)
        if not numbers:
            return
        if numbers not in self._measured:
            masks = [mask for n in numbers for mask in self.plans[n].masks]
            self._measured[numbers] = self.known.quantity.measured(masks)
        found = self.known.quantity.values(self._measured[numbers], frames)
        values = self.known.values[at].copy()
        column = 0
        for n in numbers:
            mine = now == n
            values[mine] = (
                found[mine, column]
                if self.plans[n].how == "direct"
                else values[mine] + (found[mine, column] - found[mine, column + 1])
            )
            column += len(self.plans[n].masks)
        self.known.values[at] = values
        self.known.number[at] = self.target

    def merge(self, a: None, b: None) -> None:
        """Return nothing: threads write to the same values."""

    def result(self, state: None) -> None:
        """Return nothing: the values are the result."""


def _slice_or_index(positions: NDArray[np.int64]) -> Any:
    first, last = int(positions[0]), int(positions[-1])
    follow = last - first + 1 == len(positions) and (np.diff(positions) == 1).all()
    return slice(first, last + 1) if follow else positions
