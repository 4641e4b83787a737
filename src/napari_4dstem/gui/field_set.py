"""The fields of all parameters with which a file can be opened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from inspect import Parameter
from typing import Any

from magicgui.widgets import FileEdit
from psygnal import Signal

from napari_4dstem.errors import FormatError, ParameterError
from napari_4dstem.formats import FORMATS
from napari_4dstem.formats._format import Choice
from napari_4dstem.gui import findings
from napari_4dstem.gui.common_fields import common_fields
from napari_4dstem.gui.corrections_field import CorrectionsField
from napari_4dstem.gui.edits import ChoiceEdit, TextEdit
from napari_4dstem.gui.finding_text import NEEDED, beside_field
from napari_4dstem.gui.findings import SCAN_PARAMETERS, Finding
from napari_4dstem.gui.parameter_fields import WARNING_COLOR, Field, field_for
from napari_4dstem.gui.shape_edit import ShapeEdit

_NO_DEFAULT = Parameter.empty


class FieldSet:
    """Fields common to all types, and those of one type.

    Attributes
    ----------
    common : dict of str to Field
    own : dict of str to Field
        Of the type that was shown last.
    """

    edited = Signal(Field, description="Emitted when the user changed a field.")
    entered = Signal(description="Emitted when Enter is pressed in a field.")

    def __init__(self) -> None:
        self.common = common_fields()
        self.own: dict[str, Field] = {}
        self._type: str | None = None
        self._choices: Mapping[str, Sequence[Choice]] = {}
        self._is_filling = False
        for field in self.common.values():
            self._connect(field)

    def __getitem__(self, name: str) -> Field:
        return self.all[name]

    @property
    def all(self) -> dict[str, Field]:
        """The fields of the parameters, by name."""
        return {**self.common, **self.own}

    @property
    def in_order(self) -> list[Field]:
        """All fields, from top to bottom."""
        fields = []
        for name, field in self.common.items():
            fields.append(field)
            if name == "sig_shape":
                fields += self.own.values()
        return fields

    def given(self) -> dict[str, Any]:
        """Return what the user said; what he did not is left to the file."""
        return {n: field.read() for n, field in self.all.items() if field.is_given}

    def scan(self) -> dict[str, Any]:
        """Return the parameters of the scan, None where the user said nothing."""
        fields = {name: self.common[name] for name in SCAN_PARAMETERS}
        return {n: f.read() if f.is_given else None for n, f in fields.items()}

    def show_type(
        self,
        filetype: str | None,
        choices: Mapping[str, Sequence[Choice]] | None = None,
    ) -> list[Field] | None:
        """Make fields for what only a type has.

        Parameters
        ----------
        filetype : str or None
        choices : mapping, optional
            What the file offers for them; None if it is the same file as before.

        Returns
        -------
        list of Field or None
            Those that are of no use any more; None if nothing has changed.
        """
        wanted = {} if filetype is None else FORMATS[filetype].parameters
        for common in self.common.values():
            parameter = wanted.get(common.name)
            common.required = parameter is not None and parameter.default is _NO_DEFAULT
        if filetype == self._type and choices in (None, self._choices):
            return None
        old = list(self.own.values())
        meanings = {} if filetype is None else FORMATS[filetype].meanings
        self._type, self._choices = filetype, choices or {}
        self.own = {
            name: field_for(parameter, meanings.get(name), self._choices.get(name, ()))
            for name, parameter in wanted.items()
            if name not in self.common
        }
        for new in self.own.values():
            self._connect(new)
        return old

    def fill(self, finding: Finding, is_new: bool) -> None:
        """Fill in what was found where the user said nothing.

        Parameters
        ----------
        finding : Finding
        is_new : bool
            Whether it is about another file than before: then all is filled in.
        """
        ds = finding.data_set
        with self._filling():
            for name, field in self.all.items():
                value = finding.parameters.get(name)
                if is_new:
                    field.is_given = value is not None
                if isinstance(field, CorrectionsField) and (is_new or ds is not None):
                    field.offer(ds)
                if is_new:
                    field.fill(value)
                if not field.is_given and ds is not None:
                    field.fill(findings.said_by_file(name, ds))

    def are_understood(self) -> bool:
        """Whether every field has a value; says what is wrong with those without."""
        good = True
        for field in self.all.values():
            for part in field.parts:
                part.say("")
            try:
                missing = field.read() is None and field.required
                field.say(NEEDED if missing else "", WARNING_COLOR)
                good &= not missing
            except ValueError as error:
                field.say(str(error))
                good = False
        return good

    def tell(self, error: FormatError) -> bool:
        """Say what is wrong beside the field that it is about; False if none is."""
        field = None
        if isinstance(error, ParameterError):
            field = self.all.get(error.parameter)
        elif error.path is not None:
            field = next((f for f in self._files() if f.names(error.path)), None)
        if field is None:
            return False
        if not field.message.value:
            field.say(beside_field(error))
        return True

    def _files(self) -> Iterator[Field]:
        for field in self.all.values():
            yield from (row for row in field.rows if isinstance(row.widget, FileEdit))

    def focus_on_question(self) -> None:
        """Put the cursor where something has to be filled in."""
        for field in self.in_order:
            if field.message.value:
                field.lines[0].native.setFocus()
                return

    def _connect(self, field: Field) -> None:
        for row in field.rows:
            row.widget.changed.connect(partial(self._on_edited, field))
        widget = field.widget
        if isinstance(widget, ShapeEdit):
            widget.entered.connect(self._on_entered)
        elif isinstance(widget, TextEdit):
            widget.native.returnPressed.connect(self._on_entered)
        elif isinstance(widget, ChoiceEdit):
            widget.native.lineEdit().returnPressed.connect(self._on_entered)

    def _on_edited(self, field: Field, *_: object) -> None:
        if self._is_filling:
            return
        try:
            field.is_given = field.read() is not None
        except ValueError:
            field.is_given = True
        self.edited.emit(field)

    def _on_entered(self) -> None:
        self.entered.emit()

    @contextmanager
    def _filling(self) -> Iterator[None]:
        self._is_filling = True
        try:
            yield
        finally:
            self._is_filling = False
