"""A line for a number, or for one along each of two axes."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Any

from napari_4dstem.gui.edits import TextEdit

TIMES = " × "
# More say nothing of a microscope.
DIGITS = 5


class NumberEdit(TextEdit):
    """A line for a number above 0, or for two: along y, and along x.

    Parameters
    ----------
    label, tip : str
    count : 1 or 2
        Two that are alike are typed, and shown, as one.
    digits : int
        As many are shown of a number that is not typed.
    """

    def __init__(
        self, label: str, tip: str, count: int = 1, digits: int = DIGITS
    ) -> None:
        self._digits = digits
        convert = _one if count == 1 else _two
        super().__init__(
            convert, name=label.lower().replace(" ", "_"), label=label, tooltip=tip
        )
        self.native.setAccessibleName(label)

    def show_value(self, value: Any) -> None:
        """Show a value without a signal, if it is not what is typed."""
        with suppress(ValueError):  # what is typed may mean nothing
            if self.value == value:
                return
        with self.changed.blocked():
            self.value = value

    def set_value(self, value: Any) -> None:
        """Show a number, or one along each axis."""
        values = value if isinstance(value, tuple) else (value,)
        texts = ["" if each is None else f"{each:.{self._digits}g}" for each in values]
        super().set_value(TIMES.join(dict.fromkeys(texts)))


def _one(text: str) -> float:
    (value,) = _numbers(text)
    return value


def _two(text: str) -> tuple[float, float]:
    values = _numbers(text)
    first, last = values if len(values) > 1 else values * 2
    return first, last


def _numbers(text: str) -> list[float]:
    """Return the numbers of a text, with points or commas."""
    for mark in "×x;":
        text = text.replace(mark, " ")
    values = [float(part.replace(",", ".")) for part in text.split()]
    if not all(0 < value < math.inf for value in values):
        raise ValueError(text)
    return values
