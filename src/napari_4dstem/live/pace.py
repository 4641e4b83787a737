"""How long work takes on this machine: measured, never assumed."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# A picture that is later than this is late; and so often there is a better one.
FIRST_S = 0.02
NEXT_S = 0.05
FORGETTING = 0.05
LINE_NBYTES = 64  # memory comes in lines of a cache


class Pace:
    """Seconds per frame of each kind of work, as the last few times took."""

    def __init__(self) -> None:
        # for each kind, by the number of bits of the lines that a frame is touched in
        self._measured: dict[Hashable, dict[int, float]] = {}

    def record(self, kind: Hashable, lines: int, frames: int, seconds: float) -> None:
        """Remember that work on some frames took so long."""
        if not frames:
            return
        measured = self._measured.setdefault(kind, {})
        size, now = lines.bit_length(), seconds / frames
        measured[size] = (measured.get(size, now) + now) / 2

    def predict(self, kind: Hashable, lines: int, frames: int) -> float | None:
        """Return how many seconds it may take; None if nobody knows.

        At most: where fewer lines were never measured, they take as long as more.
        """
        measured = self._measured.get(kind)
        if not measured:
            return None
        size = lines.bit_length()
        nearest = min(measured, key=lambda known: (abs(known - size), -known))
        return frames * measured[nearest] * 2.0 ** max(size - nearest, 0)

    def is_slower(
        self, one: tuple[Hashable, int], other: tuple[Hashable, int]
    ) -> bool | None:
        """Return which of two kinds of work on as many lines is slower.

        None where one of them was not measured yet.
        """
        slots = [
            (self._measured.get(kind, {}), lines.bit_length())
            for kind, lines in (one, other)
        ]
        costs = [measured.get(size) for measured, size in slots]
        if costs[0] is None or costs[1] is None:
            return None
        is_slower = costs[0] > costs[1]
        # what was slow once, by chance maybe, is tried again some time
        measured, size = slots[0 if is_slower else 1]
        measured[size] *= 1 - FORGETTING
        return is_slower


def lines_of(mask: NDArray[Any], itemsize: int) -> int:
    """Return how many lines of memory of a frame have a pixel of a mask."""
    pixels = (mask != 0).ravel()
    width = max(LINE_NBYTES // itemsize, 1)
    begins = np.arange(0, pixels.size, width)
    return int(np.count_nonzero(np.logical_or.reduceat(pixels, begins)))
