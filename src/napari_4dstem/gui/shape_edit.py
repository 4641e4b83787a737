"""A shape, one field an axis: a comma goes to the next, pasting fills them all."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import cast

from magicgui.widgets import Container, LineEdit, PushButton, Widget
from psygnal import Signal
from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtGui import QGuiApplication, QKeyEvent, QKeySequence
from qtpy.QtWidgets import QLineEdit

# What may stand between two numbers, and what may stand around them.
BETWEEN = re.compile(r"[\s,;x×*·|]+", re.IGNORECASE)
AROUND = str.maketrans("", "", "()[]{}")
MAX_AXES = 8
# More frames than that are in no file.
MAX_DIGITS = 15
FIELD_WIDTH, BUTTON_WIDTH = 40, 24


def numbers_in(text: str) -> list[str]:
    """Return the parts of ``(42, 21)``, ``42x21`` and the like."""
    return [part for part in BETWEEN.split(text.translate(AROUND)) if part]


class ShapeEdit(Container[Widget]):
    """Fields for the numbers of a shape, slowest axis first.

    Parameters
    ----------
    name : str
    axes : sequence of str
        Names of the axes; there are that many fields at first.
    label, tooltip : str
        As magicgui's widgets take them.
    """

    entered = Signal(description="Emitted when Enter is pressed in a field.")

    def __init__(
        self, name: str, axes: Sequence[str], *, label: str = "", tooltip: str = ""
    ) -> None:
        self._axes = tuple(axes)
        self._tip = tooltip
        self._fields: list[LineEdit] = []
        self._is_filling = False
        self._less = _button("−", "One axis less")
        self._more = _button("+", "One axis more")
        super().__init__(
            widgets=[self._less, self._more],
            layout="horizontal",
            labels=False,
            name=name,
            label=label,
            tooltip=tooltip,
        )
        self.margins = (0, 0, 0, 0)
        self.native.layout().setSpacing(4)
        self._paste_filter = _PasteFilter(self)
        self._less.changed.connect(self._remove_axis)
        self._more.changed.connect(self._add_axis)
        self._set_count(len(axes))

    @property
    def value(self) -> tuple[int, ...] | None:
        """The shape; None while all fields are empty.

        Raises
        ------
        ValueError
            If a field is empty or not a whole number above 0; says so to the user.
        """
        texts = [str(field.value).strip() for field in self._fields]
        if not any(texts):
            return None
        if not all(texts):
            raise ValueError("Fill in every field, or none.")
        if max(map(len, texts)) > MAX_DIGITS:
            raise ValueError(f"Whole numbers of at most {MAX_DIGITS} digits.")
        if not all(text.isdecimal() and int(text) > 0 for text in texts):
            raise ValueError("Whole numbers above 0.")
        return tuple(map(int, texts))

    @value.setter
    def value(self, shape: Sequence[int] | None) -> None:
        self._fill([str(n) for n in shape] if shape else [])

    @property
    def fields(self) -> tuple[LineEdit, ...]:
        """The field of each axis."""
        return tuple(self._fields)

    def paste(self, text: str) -> bool:
        """Fill all fields from a text with several numbers. False if it has not."""
        numbers = numbers_in(text)
        if not 1 < len(numbers) <= MAX_AXES:
            return False
        self._fill(numbers)
        self._go_to(len(self._fields) - 1)
        return True

    def _fill(self, texts: Sequence[str]) -> None:
        self._is_filling = True
        with self.changed.blocked():
            self._set_count(len(texts) or len(self._axes))
            for i, field in enumerate(self._fields):
                field.value = texts[i] if texts else ""
        self._is_filling = False
        self.changed.emit(self)

    def _typed(self) -> None:
        """Spread what came into one field over those that it was meant for."""
        if self._is_filling:
            return
        for i, field in enumerate(self._fields):
            text = str(field.value)
            if not BETWEEN.search(text) and text == text.translate(AROUND):
                continue
            numbers = numbers_in(text)
            if len(numbers) > 1 and self.paste(text):
                return
            self._is_filling = True
            with self.changed.blocked():
                field.value = numbers[0] if numbers else ""
            self._is_filling = False
            if numbers and BETWEEN.search(text[-1:]) and i + 1 < len(self._fields):
                self._go_to(i + 1)

    def _go_to(self, i: int) -> None:
        native = cast("QLineEdit", self._fields[i].native)
        native.setFocus(Qt.FocusReason.TabFocusReason)
        native.selectAll()

    def _enter(self) -> None:
        self.entered.emit()

    def _add_axis(self) -> None:
        self._set_count(min(len(self._fields) + 1, MAX_AXES))
        self._go_to(0)
        self.changed.emit(self)

    def _remove_axis(self) -> None:
        self._set_count(len(self._fields) - 1)
        self.changed.emit(self)

    def _set_count(self, count: int) -> None:
        """Axes come and go in front, where the slow ones are."""
        while len(self._fields) < count:
            field = LineEdit(tooltip=self._tip)
            field.min_width = FIELD_WIDTH
            self._fields.insert(0, field)
            self.insert(0, field)
            field.changed.connect(self._typed)
            field.native.installEventFilter(self._paste_filter)
            field.native.returnPressed.connect(self._enter)
        while len(self._fields) > count:
            field = self._fields.pop(0)
            self.remove(field)
            field.close()
        names = ["", *self._axes][-count:] if count <= len(self._axes) else self._axes
        names = [*[""] * (count - len(names)), *names]
        for i, field in enumerate(self._fields):
            field.native.setPlaceholderText(names[i])
            if i:
                before = self._fields[i - 1].native
                before.setTabOrder(before, field.native)
        self._less.enabled = count > 1
        self._more.enabled = count < MAX_AXES


def _button(text: str, tooltip: str) -> PushButton:
    button = PushButton(text=text, tooltip=tooltip)
    button.min_width = button.max_width = BUTTON_WIDTH
    # Who enters numbers goes from field to field.
    button.native.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    return button


class _PasteFilter(QObject):
    """Several numbers replace all that is there, wherever the cursor stands."""

    def __init__(self, edit: ShapeEdit) -> None:
        super().__init__(edit.native)
        self._edit = edit

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        if (
            isinstance(event, QKeyEvent)
            and event.type() == QEvent.Type.KeyPress
            and event.matches(QKeySequence.StandardKey.Paste)
        ):
            clipboard = QGuiApplication.clipboard()
            return clipboard is not None and self._edit.paste(clipboard.text())
        return False
