"""The form for dark frame, gain map and excluded pixels of the scan that is open."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magicgui.widgets import (
    CheckBox,
    ComboBox,
    Container,
    FileEdit,
    FloatSpinBox,
    Label,
    PushButton,
    Widget,
)
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QGridLayout, QHBoxLayout, QSizePolicy, QWidget

from napari_4dstem.gui.corrections_field import ANY_IMAGE, PARTS
from napari_4dstem.gui.edits import file_edit
from napari_4dstem.gui.explorer.correction_parts import FILE, HOT, NONE, REGION
from napari_4dstem.gui.notices import in_short
from napari_4dstem.gui.parameter_fields import (
    ERROR_COLOR,
    WARNING_COLOR,
    colored,
    text_block,
)

if TYPE_CHECKING:
    from napari_4dstem.gui.explorer.controller import Controller
    from napari_4dstem.gui.explorer.correcting import Correcting

LABELS, SOURCES, DETAILS = range(3)
SOURCE_PX, SPACING, MARGIN = 170, 6, 4
MESSAGE_LINES = 2
LEAST, MOST, STEP = 1.0, 1000.0, 0.5
WORKING = {HOT: "Looking for hot and dead pixels …", REGION: "Taking the mean …"}
READING = "Reading …"
NOT_APPLIED = "not applied yet"


@dataclass(eq=False)
class _Row:
    """A part: where it comes from, and its file."""

    kind: str
    source: ComboBox
    file: FileEdit

    @property
    def line(self) -> Any:
        return self.file.line_edit.native


class CorrectionsPanel(Container[Widget]):
    """Where corrections come from, and buttons that apply them.

    Parameters
    ----------
    controller : Controller

    Attributes
    ----------
    rows : dict of str to _Row
        Of dark, gain and excluded: ``source`` and ``file``.
    take, find : PushButton
        Take the mean of a region; look for hot pixels.
    threshold : FloatSpinBox
    preview, mark : CheckBox
    applying, remove_all : PushButton
    message : Label
    """

    def __init__(self, controller: Controller) -> None:
        self._correcting: Correcting = controller.correcting
        self.rows = {kind: _row(kind) for kind in PARTS}
        self.take = _button(
            "Take mean",
            "Of the patterns in the region that is chosen beside the probe,\n"
            "or drawn last on the scan: where the beam was off",
        )
        self.find = _button(
            "Find",
            "Pixels that are brighter or darker than all around, all the time:\n"
            "in up to 256 patterns from all over the scan",
        )
        self.threshold = FloatSpinBox(
            value=self._correcting.threshold,
            min=LEAST,
            max=MOST,
            step=STEP,
            tooltip="By how many standard deviations of the noise a pixel must differ\n"
            "from its neighbours",
        )
        self.threshold.native.setAccessibleName("Threshold of hot and dead pixels")
        self.threshold.native.setSuffix(" σ")
        self.threshold.native.setDecimals(1)
        self.preview = CheckBox(
            value=True,
            text="Preview",
            tooltip="The pattern is corrected before anything is applied",
        )
        self.mark = CheckBox(
            value=True,
            text="Mark excluded pixels",
            tooltip="A square around each, on the pattern",
        )
        self.remove_all = _button("Remove all", "Show the data as they are in the file")
        self.applying = _button("Apply", "Correct the data set: patterns and all maps")
        self.message = _message()
        super().__init__(labels=False)
        self._arrange()
        self._connect()
        self._renew()

    def _arrange(self) -> None:
        grid = QGridLayout()
        grid.setHorizontalSpacing(SPACING)
        grid.setVerticalSpacing(MARGIN)
        grid.setColumnStretch(DETAILS, 1)
        details: dict[str, tuple[Widget, ...]] = {
            "dark": (self.take,),
            "excluded": (self.threshold, self.find),
        }
        for at, (kind, row) in enumerate(self.rows.items()):
            row.source.native.setFixedWidth(SOURCE_PX)
            grid.addWidget(Label(value=PARTS[kind][0]).native, at, LABELS)
            grid.addWidget(row.source.native, at, SOURCES)
            # One of them is shown.
            grid.addWidget(row.file.native, at, DETAILS)
            grid.addLayout(_beside(*details.get(kind, ()), None), at, DETAILS)
        layout: Any = self.native.layout()
        layout.setContentsMargins(MARGIN, MARGIN, MARGIN, MARGIN)
        layout.setSpacing(MARGIN)
        layout.addLayout(grid)
        layout.addWidget(self.message.native, 1)
        last = self.preview, self.mark, self.remove_all, self.applying
        layout.addLayout(_beside(*last[:2], None, *last[2:]))
        order: list[Widget] = []
        for kind, row in self.rows.items():
            order += [row.source, row.file.line_edit, row.file.choose_btn]
            order += details.get(kind, ())
        for before, after in pairwise([*order, *last]):
            QWidget.setTabOrder(before.native, after.native)

    def _connect(self) -> None:
        for row in self.rows.values():
            row.source.changed.connect(self._on_source)
            row.file.changed.connect(self._on_file)
            row.line.editingFinished.connect(self._on_typed)
        for widget, slot in (
            (self.take, self._on_take),
            (self.find, self._on_find),
            (self.preview, self._correcting.preview),
            (self.mark, self._correcting.mark),
            (self.applying, self._on_apply),
            (self.remove_all, self._on_remove),
        ):
            widget.changed.connect(slot)
        self._correcting.changed.connect(self._renew)

    # what the user does

    def _on_source(self) -> None:
        for kind, row in self.rows.items():
            if row.source.value != self._correcting.parts[kind].source:
                self._correcting.choose(kind, row.source.value)
                self._take_file(row)  # that was chosen before
                return

    def _on_file(self) -> None:
        """Take files that were chosen; those that are typed are not complete yet."""
        for row in self.rows.values():
            if not row.line.isModified():
                self._take_file(row)

    def _on_typed(self) -> None:
        for row in self.rows.values():
            if row.line.isModified():
                row.line.setModified(False)
                self._take_file(row)

    def _take_file(self, row: _Row) -> None:
        path = row.file.value
        part = self._correcting.parts[row.kind]
        if isinstance(path, Path) and part.source == FILE and path != part.file:
            self._correcting.choose_file(row.kind, path)

    def _on_take(self) -> None:
        self._correcting.choose("dark", REGION)

    def _on_find(self) -> None:
        self._correcting.look_again(self.threshold.value)

    def _on_apply(self) -> None:
        self._correcting.apply()

    def _on_remove(self) -> None:
        self._correcting.remove_all()

    # what is shown

    def _renew(self) -> None:
        correcting = self._correcting
        for kind, row in self.rows.items():
            part = correcting.parts[kind]
            offered = correcting.offered(kind)
            with row.source.changed.blocked():
                if list(row.source.choices) != offered:
                    row.source.native.clear()  # or what was there would come first
                    row.source.choices = offered
                row.source.value = part.source
            row.file.native.setVisible(part.source == FILE)
            if part.file is not None and not row.line.isModified():
                with row.file.changed.blocked():
                    row.file.value = part.file
        parts = correcting.parts
        self.take.native.setVisible(parts["dark"].source == REGION)
        for widget in (self.threshold, self.find):
            widget.native.setVisible(parts["excluded"].source == HOT)
        self.applying.enabled = correcting.can_apply
        self.remove_all.enabled = (
            correcting.is_new or correcting.corrections is not None
        )
        text, color = self._state()
        self.message.value = colored(text, color) if color else text

    def _state(self) -> tuple[str, str]:
        """Return what there is to say, and in which color."""
        correcting = self._correcting
        parts = correcting.parts.values()
        for part in parts:
            if part.error is not None:
                return in_short(part.error), ERROR_COLOR
        for part in parts:
            if part.make is not None:
                return WORKING.get(part.source, READING), ""
        for part in parts:
            if part.needs:
                return part.needs, WARNING_COLOR
        corrections = correcting.corrections
        said = [part.said for part in parts if part.said]
        if not said and corrections is not None:
            said = [str(corrections).capitalize()]
        if not correcting.is_marked_in_full:
            said.append("too many excluded pixels to mark them")
        if correcting.is_new:
            said.append(NOT_APPLIED if said else f"Nothing is corrected, {NOT_APPLIED}")
        return "; ".join(said) or "Nothing is corrected.", ""


def _row(kind: str) -> _Row:
    label, what = PARTS[kind]
    source = ComboBox(choices=[NONE], tooltip=what)
    source.native.setAccessibleName(label)
    file = file_edit(mode="r", name=kind, tooltip=f"{what}.\n{ANY_IMAGE}")
    file.line_edit.native.setAccessibleName(f"File of the {label.lower()}")
    return _Row(kind, source, file)


def _message() -> Label:
    """Return a text that takes what room there is above the buttons."""
    message = text_block()
    policy = message.native.sizePolicy()
    policy.setVerticalPolicy(QSizePolicy.Policy.Ignored)
    message.native.setSizePolicy(policy)
    message.native.setAlignment(Qt.AlignmentFlag.AlignTop)
    line = message.native.fontMetrics().lineSpacing()
    message.native.setMinimumHeight(MESSAGE_LINES * line)
    return message


def _button(text: str, tip: str) -> PushButton:
    return PushButton(text=text, tooltip=tip)


def _beside(*widgets: Widget | None) -> QHBoxLayout:
    """Return widgets beside each other; what is left of the room goes to None."""
    row = QHBoxLayout()
    row.setSpacing(SPACING)
    for widget in widgets:
        if widget is None:
            row.addStretch(1)
        else:
            row.addWidget(widget.native)
    return row
