"""A field for a parameter: the widget, what is wrong with it, who filled it in."""

from __future__ import annotations

import ast
import os
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from inspect import Parameter
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import numpy as np
from magicgui.widgets import CheckBox, ComboBox, FileEdit, Label, Widget
from qtpy.QtWidgets import QSizePolicy

from napari_4dstem.formats._format import Choice, Meaning
from napari_4dstem.gui.edits import (
    ChoiceEdit,
    DtypeBox,
    TextEdit,
    file_edit,
    integer,
)
from napari_4dstem.gui.shape_edit import ShapeEdit

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
    parts : tuple of Field
        Rows below it that belong to the answer.
    """

    name: str
    label: Label
    widget: Any
    message: Label
    required: bool = False
    is_given: bool = False
    parts: tuple[Field, ...] = ()

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

    def names(self, path: str) -> bool:
        """Whether a file is what is filled in."""
        given = self.widget.value
        if not isinstance(given, Path):
            return False
        return os.path.abspath(given.expanduser()) == path

    @property
    def lines(self) -> tuple[Widget, ...]:
        """What takes the keyboard, in the order in which one reads."""
        own: tuple[Widget, ...] = (self.widget,)
        if isinstance(self.widget, ShapeEdit):
            own = self.widget.fields
        if isinstance(self.widget, FileEdit):
            own = self.widget.line_edit, self.widget.choose_btn
        return (*own, *(line for part in self.parts for line in part.lines))

    @property
    def rows(self) -> tuple[Field, ...]:
        """Itself, and its parts."""
        return (self, *self.parts)

    @property
    def widgets(self) -> tuple[Widget, Widget, Widget]:
        """All that it consists of."""
        return self.label, self.widget, self.message


def colored(text: str, color: str) -> str:
    """Return a text as HTML in a color."""
    return f'<span style="color:{color}">{escape(text, quote=False)}</span>'


def field_for(
    parameter: Parameter,
    meaning: Meaning | None = None,
    choices: Sequence[Choice] = (),
) -> Field:
    """Return a field for a parameter of a format, judging by its annotation.

    Parameters
    ----------
    parameter : inspect.Parameter
    meaning : Meaning, optional
        What to call it.
    choices : sequence of Choice
        What the file offers for it.
    """
    name, kinds = parameter.name, _kinds(parameter.annotation)
    default = None if parameter.default is Parameter.empty else parameter.default
    tip = f"In Python: {name}=…"
    if default is not None:
        tip += f", {default!r} if nothing else is said"
    label = name.replace("_", " ").capitalize()
    if meaning is not None:
        label = meaning.label
        tip = f"{sentence(meaning.text)}\n{tip}"
    widget = _widget(kinds, default, choices, {"name": name, "tooltip": tip})
    return as_field(widget, label=label, required=parameter.default is Parameter.empty)


def sentence(text: str) -> str:
    """Return a text with a capital letter at its beginning."""
    return text[:1].upper() + text[1:]


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


def _widget(
    kinds: set[Any],
    default: Any,
    choices: Sequence[Choice],
    options: dict[str, Any],
) -> Widget:
    if choices:
        return ChoiceEdit(_reader(kinds), choices, **options)
    allowed = [value for kind in kinds for value in _allowed(kind)]
    if allowed:
        return ComboBox(choices=allowed, value=default, nullable=True, **options)
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
    shown = "" if default is None else str(default)
    return TextEdit(_reader(kinds), value=shown, **options)


def _reader(kinds: set[Any]) -> Callable[[str], Any]:
    """Return what turns a text into a value of one of the types."""
    convert: Callable[[str], Any] = ast.literal_eval
    for kind in (int, float, str):
        if kind in kinds:
            convert = kind
    return convert


def _kinds(annotation: Any) -> set[Any]:
    """Return the types of a union, without None."""
    if get_origin(annotation) in (Union, types.UnionType):
        return {kind for kind in get_args(annotation) if kind is not type(None)}
    return {annotation}


def _allowed(kind: Any) -> Sequence[Any]:
    return get_args(kind) if get_origin(kind) is Literal else ()
