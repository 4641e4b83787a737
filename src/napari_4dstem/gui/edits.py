"""What one types or chooses in a form: text, whole numbers, files, pixel types."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from magicgui.types import FileDialogMode
from magicgui.widgets import ComboBox, FileEdit, LineEdit, SpinBox
from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QComboBox

from napari_4dstem.formats._format import Choice

NATIVE_TYPES = (
    "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64",
    "float16", "float32", "float64", "complex64", "complex128", "bool",
)  # fmt: skip
CHOOSE_WIDTH = 28
LIST_MARGIN = 32  # room for a scroll bar
INT_LIMIT = 2**31 - 1  # of a Qt spin box
# More of a text that cannot be understood tells nobody anything.
MAX_SHOWN = 40


def integer(**options: Any) -> SpinBox:
    """Return a box for any whole number; magicgui's own ends at 999."""
    return SpinBox(min=-INT_LIMIT - 1, max=INT_LIMIT, **options)


def file_edit(*, mode: Literal["r", "rm"], **options: Any) -> FileEdit:
    """Return a line for a file, or for several, with a button that chooses them."""
    edit = FileEdit(mode=FileDialogMode(mode), nullable=True, **options)
    edit.choose_btn.text = "…"
    edit.choose_btn.tooltip = "Choose a file" if mode == "r" else "Choose files"
    edit.choose_btn.max_width = CHOOSE_WIDTH
    line = edit.line_edit.native

    def show_whole(path: str) -> None:
        # Of a long path the line shows a part only.
        line.setToolTip("\n".join(filter(None, (path, edit.tooltip))))

    line.textChanged.connect(show_whole)
    show_whole("")
    return edit


def understood(convert: Callable[[str], Any], text: str) -> Any:
    """Return what a text means, None if there is none.

    Raises
    ------
    ValueError
        If it means nothing; says so to the user.
    """
    text = text.strip()
    if not text:
        return None
    try:
        return convert(text)
    except (ValueError, SyntaxError, TypeError) as error:
        shown = text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"
        raise ValueError(f"{shown!r} cannot be understood.") from error


class TextEdit(LineEdit):
    """A line that is turned into something else, and may be empty."""

    def __init__(self, convert: Callable[[str], Any], **options: Any) -> None:
        self._convert = convert
        super().__init__(**options)

    def get_value(self) -> Any:
        """Return the value, None for an empty line."""
        return understood(self._convert, str(super().get_value()))

    def set_value(self, value: Any) -> None:
        """Show a value."""
        super().set_value("" if value is None else str(value))


class ChoiceEdit(ComboBox):
    """A list of what a file offers; something else may be typed as well."""

    def __init__(
        self,
        convert: Callable[[str], Any],
        offered: Sequence[Choice],
        **options: Any,
    ) -> None:
        self._convert = convert
        choices = [(choice.label, choice.value) for choice in offered]
        super().__init__(choices=choices, **options)
        box: QComboBox = self.native
        box.setEditable(True)
        box.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        box.setCompleter(None)
        self._widener = _Widener(box)
        line: Any = box.lineEdit()
        line.textEdited.connect(self._typed)
        box.currentIndexChanged.connect(self._show_beginning)
        self.value = None

    @property
    def value(self) -> Any:
        """What is chosen or typed; None if the line is empty."""
        box: QComboBox = self.native
        text = box.currentText()
        at = box.findText(text)
        if at >= 0:
            return box.itemData(at)
        return understood(self._convert, text)

    @value.setter
    def value(self, value: Any) -> None:
        box: QComboBox = self.native
        at = self.choices.index(value) if value in self.choices else -1
        box.setCurrentIndex(at)
        typed = "" if value is None else str(value)
        box.setEditText(box.itemText(at) if at >= 0 else typed)
        self._show_beginning()

    def _typed(self, text: str) -> None:
        self.changed.emit(text)

    def _show_beginning(self, *_: object) -> None:
        """Of a long label the beginning says which it is."""
        self.native.lineEdit().setCursorPosition(0)


class _Widener(QObject):
    """Makes the list of a box as wide as what stands in it, not as the box."""

    def __init__(self, box: QComboBox) -> None:
        super().__init__(box)
        self._box = box
        box.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        # Before that nobody knows in which style it is drawn.
        if event is not None and event.type() == QEvent.Type.Show:
            view: Any = self._box.view()
            view.ensurePolished()
            widths = map(view.fontMetrics().horizontalAdvance, self._texts())
            view.setMinimumWidth(max(widths, default=0) + LIST_MARGIN)
        return False

    def _texts(self) -> list[str]:
        return [self._box.itemText(i) for i in range(self._box.count())]


class DtypeBox(ComboBox):
    """A choice of all types that pixels can have, in either byte order."""

    null_string = "choose …"

    def __init__(self, **options: Any) -> None:
        wide = [name for name in NATIVE_TYPES if np.dtype(name).itemsize > 1]
        swapped = [np.dtype(name).newbyteorder("S").str for name in wide]
        order = "big" if np.dtype("<u2").isnative else "little"
        choices = [(name, name) for name in NATIVE_TYPES]
        choices += [
            (f"{code}   {name}, {order}-endian", code)
            for name, code in zip(wide, swapped, strict=True)
        ]
        super().__init__(choices=choices, value=None, nullable=True, **options)

    @property
    def value(self) -> Any:
        """The type that is chosen, None if none is."""
        return self.get_value()

    @value.setter
    def value(self, value: Any) -> None:
        """Choose a type in any spelling that numpy knows."""
        if value is not None and value not in self.choices:
            wanted = np.dtype(value)
            value = next((c for c in self.choices if c and np.dtype(c) == wanted), None)
        self.set_value(value)
