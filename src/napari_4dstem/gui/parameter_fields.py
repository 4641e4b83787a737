"""A field for a parameter: the widget, what is wrong with it, who filled it in."""

from __future__ import annotations

import ast
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from inspect import Parameter
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import numpy as np
from magicgui.types import FileDialogMode
from magicgui.widgets import (
    CheckBox,
    ComboBox,
    FileEdit,
    Label,
    LineEdit,
    SpinBox,
    Widget,
)
from qtpy.QtWidgets import QSizePolicy

from napari_4dstem.gui.shape_edit import ShapeEdit

NATIVE_TYPES = (
    "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64",
    "float16", "float32", "float64", "complex64", "complex128", "bool",
)  # fmt: skip
CHOOSE_WIDTH = 28
INT_LIMIT = 2**31 - 1  # of a Qt spin box
ERROR_COLOR, WARNING_COLOR = "#e5484d", "#d08700"  # legible on dark and on light


@dataclass(eq=False)
class Field:
    """A parameter in a form.

    Attributes
    ----------
    name : str
        As ``load`` knows it.
    label : Label
        Left of the widget.
    widget : Widget
        Its ``value`` is the parameter's, or None where nothing is filled in.
    message : Label
        Below the widget, there only while something is wrong.
    required : bool
        Whether there is no default.
    is_given : bool
        Whether the value comes from the user, not from the file.
    """

    name: str
    label: Label
    widget: Any
    message: Label
    required: bool = False
    is_given: bool = False

    def read(self) -> Any:
        """Return the value, None where nothing is filled in.

        Raises
        ------
        ValueError
            If it is not one; says so to the user.
        """
        return self.widget.value

    def fill(self, value: Any) -> None:
        """Put in a value without a signal."""
        with self.widget.changed.blocked():
            try:
                self.widget.value = value
            except (ValueError, TypeError):
                # A dtype that is not in the list, or what a spoiled file remembers.
                self.widget.value = self.widget.value

    def say(self, text: str, color: str = ERROR_COLOR) -> None:
        """Show what is wrong below the widget; nothing if the text is empty."""
        self.message.value = colored(text, color) if text else ""
        self.message.native.setHidden(not text)

    @property
    def lines(self) -> tuple[Widget, ...]:
        """What takes the keyboard, from left to right."""
        if isinstance(self.widget, ShapeEdit):
            return self.widget.fields
        if isinstance(self.widget, FileEdit):
            return self.widget.line_edit, self.widget.choose_btn
        return (self.widget,)

    @property
    def widgets(self) -> tuple[Widget, Widget, Widget]:
        """All that it consists of."""
        return self.label, self.widget, self.message


def colored(text: str, color: str) -> str:
    """Return a text as HTML in a color."""
    return f'<span style="color:{color}">{escape(text, quote=False)}</span>'


def field_for(parameter: Parameter) -> Field:
    """Return a field for a parameter of a format, judging by its annotation."""
    name, kinds = parameter.name, _kinds(parameter.annotation)
    default = None if parameter.default is Parameter.empty else parameter.default
    options = {
        "name": name,
        "tooltip": f"{name}, as in load(..., {name}=...)",
    }
    if default is not None:
        options["tooltip"] += f"; {default!r} if nothing else is said"
    widget = _widget(kinds, default, options)
    label = name.replace("_", " ").capitalize()
    return as_field(widget, label=label, required=parameter.default is Parameter.empty)


def as_field(widget: Any, *, label: str = "", required: bool = False) -> Field:
    """Return the field of a widget, with a place for its message."""
    left = Label(value=label or widget.label, tooltip=widget.tooltip)
    message = text_block()
    message.native.hide()
    return Field(widget.name, left, widget, message, required)


def text_block() -> Label:
    """Return a label whose text is wrapped at the width that there is."""
    label = Label(value="")
    label.native.setWordWrap(True)
    policy = label.native.sizePolicy()  # which knows that a narrow text is high
    policy.setHorizontalPolicy(QSizePolicy.Policy.Ignored)
    label.native.setSizePolicy(policy)
    return label


def _widget(kinds: set[Any], default: Any, options: dict[str, Any]) -> Widget:
    choices = [value for kind in kinds for value in _choices(kind)]
    if choices:
        return ComboBox(choices=choices, value=default, nullable=True, **options)
    sequences = {get_origin(kind): get_args(kind) for kind in kinds if get_args(kind)}
    if int in sequences.get(tuple, ()):
        return ShapeEdit(axes=("", ""), **options)
    if sequences.keys() & {tuple, list, Sequence}:
        return file_edit(mode="rm", **options)
    if Path in kinds:
        return file_edit(mode="r", **options)
    if np.dtype in {get_origin(kind) or kind for kind in kinds}:
        return DtypeBox(**options)
    if bool in kinds:
        return CheckBox(value=bool(default), text=" ", **options)
    if int in kinds and default is not None:
        return integer(value=default, **options)
    convert: Callable[[str], Any] = ast.literal_eval
    for kind in (int, float, str):
        if kind in kinds:
            convert = kind
    return TextEdit(convert, value="" if default is None else str(default), **options)


def _kinds(annotation: Any) -> set[Any]:
    """Return the types of a union, without None."""
    if get_origin(annotation) in (Union, types.UnionType):
        return {kind for kind in get_args(annotation) if kind is not type(None)}
    return {annotation}


def _choices(kind: Any) -> Sequence[Any]:
    return get_args(kind) if get_origin(kind) is Literal else ()


def file_edit(*, mode: Literal["r", "rm"], **options: Any) -> FileEdit:
    """Return a line for a file, or for several, with a button that chooses them."""
    edit = FileEdit(mode=FileDialogMode(mode), nullable=True, **options)
    edit.choose_btn.text = "…"
    edit.choose_btn.tooltip = "Choose a file" if mode == "r" else "Choose files"
    edit.choose_btn.max_width = CHOOSE_WIDTH
    return edit


def integer(**options: Any) -> SpinBox:
    """Return a box for any whole number; magicgui's own ends at 999."""
    return SpinBox(min=-INT_LIMIT - 1, max=INT_LIMIT, **options)


class DtypeBox(ComboBox):
    """A choice of all types that pixels can have, in either byte order."""

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

    def set_value(self, value: Any) -> None:
        """Choose a type in any spelling that numpy knows."""
        if value is not None and value not in self.choices:
            wanted = np.dtype(value)
            value = next((c for c in self.choices if c and np.dtype(c) == wanted), None)
        super().set_value(value)


class TextEdit(LineEdit):
    """A line that is turned into something else, and may be empty."""

    def __init__(self, convert: Callable[[str], Any], **options: Any) -> None:
        self._convert = convert
        super().__init__(**options)

    def get_value(self) -> Any:
        """Return the value, None for an empty line."""
        text = str(super().get_value()).strip()
        if not text:
            return None
        try:
            return self._convert(text)
        except (ValueError, SyntaxError) as error:
            raise ValueError(f"{text!r} cannot be understood.") from error

    def set_value(self, value: Any) -> None:
        """Show a value."""
        super().set_value("" if value is None else str(value))
