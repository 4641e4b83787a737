"""The form for what pixels measure, on the scan and on patterns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from magicgui.widgets import CheckBox, ComboBox, Container, Label, PushButton, Widget
from qtpy.QtWidgets import QGridLayout, QHBoxLayout

from napari_4dstem.gui.explorer.calibration import (
    PATTERN_UNITS,
    PIXEL,
    SCAN_UNITS,
    CalibrationDraft,
)
from napari_4dstem.gui.explorer.number_edit import NumberEdit
from napari_4dstem.gui.parameter_fields import (
    ERROR_COLOR,
    WARNING_COLOR,
    colored,
    text_block,
)

if TYPE_CHECKING:
    from napari_4dstem.gui.bright_disk import Disk
    from napari_4dstem.gui.explorer.controller import Controller

LABELS, EDITS, UNITS, REST = range(4)
EDIT_PX, SHORT_EDIT_PX, UNIT_PX = 100, 52, 82
SPACING, MARGIN = 6, 4
DISK_DIGITS = 4


class CalibrationPanel(Container[Widget]):
    """Step of the scan, pixel of the detector, and the disk that may tell its size.

    Parameters
    ----------
    controller : Controller

    Attributes
    ----------
    draft : CalibrationDraft
    """

    def __init__(self, controller: Controller) -> None:
        self._controller = controller
        self._wrong: dict[str, str] = {}
        self.draft = CalibrationDraft(controller)
        self.message = text_block()
        self.message.native.setWordWrap(False)  # room for two lines is too much
        self.step = NumberEdit(
            "Scan step", "Along y and x: one number if both are alike, or 0.5 × 0.4",
            count=2,
        )  # fmt: skip
        self.step_unit = _units(SCAN_UNITS, "Unit of the scan step")
        self.step_source, self.pixel_source = _text(""), _text("")
        self.pixel = NumberEdit(
            "Detector pixel", "Along ky and kx: one number if both are alike", count=2
        )
        self.pixel_unit = _units(
            PATTERN_UNITS,
            "Unit of patterns. Between mrad and 1/nm the wavelength of the beam\n"
            "converts the number; without its energy it has to be typed anew.",
        )
        self.measure = _button("From disk", "")
        self.energy = NumberEdit("Beam energy", "In kV: for mrad to 1/nm and back")
        self.convergence = NumberEdit(
            "Convergence",
            "Semi-angle of the beam in mrad: the radius of the bright-field disk",
        )
        self.center = NumberEdit(
            "Disk centre", "Of the bright-field disk: ky × kx in pixels",
            count=2, digits=DISK_DIGITS,
        )  # fmt: skip
        self.radius = NumberEdit(
            "Radius", "Of the bright-field disk, in pixels", digits=DISK_DIGITS
        )
        self.find = _button("Find disk", "Find the bright-field disk in some frames")
        self.mark = CheckBox(
            text="Show", tooltip="Mark the disk; drag the mark to correct it"
        )
        self.centering = _button(
            "Centre detectors", "Move all disks and rings to the centre of the disk"
        )
        self.reset = _button("Reset to the file's", "Undo what was typed and applied")
        self.apply = _button(
            "Apply", "Calibrate all layers; they stay on their pixels, maps as they are"
        )
        super().__init__(labels=False)
        self._arrange()
        self._connect()
        self._renew()

    def _arrange(self) -> None:
        grid = QGridLayout()
        grid.setHorizontalSpacing(SPACING)
        grid.setVerticalSpacing(MARGIN)
        grid.setColumnMinimumWidth(EDITS, EDIT_PX)
        grid.setColumnStretch(REST, 1)
        rows: tuple[tuple[NumberEdit, Widget, tuple[Widget | None, ...]], ...] = (
            (self.step, self.step_unit, (self.step_source, None)),
            (self.pixel, self.pixel_unit, (self.pixel_source, None, self.measure)),
            (
                self.energy,
                _text("kV"),
                (_text("Convergence"), self.convergence, _text("mrad"), None),
            ),
            (
                self.center,
                _text(PIXEL),
                (_text("Radius"), self.radius, _text(PIXEL), None),
            ),
        )
        for at, (edit, unit, others) in enumerate(rows):
            grid.addWidget(_text(edit.label).native, at, LABELS)
            grid.addWidget(edit.native, at, EDITS)
            grid.addWidget(unit.native, at, UNITS)
            grid.addLayout(_row(*others), at, REST)
        for edit in (self.convergence, self.radius):
            edit.native.setFixedWidth(SHORT_EDIT_PX)
        layout: Any = self.native.layout()
        layout.setContentsMargins(MARGIN, MARGIN, MARGIN, MARGIN)
        layout.setSpacing(MARGIN)
        layout.addWidget(self.message.native)
        layout.addLayout(grid)
        buttons = self.find, self.mark, self.centering, None, self.reset, self.apply
        layout.addLayout(_row(*buttons))
        layout.addStretch(1)

    def _connect(self) -> None:
        for widget, slot in (
            (self.step, self._on_step),
            (self.step_unit, self._on_step_unit),
            (self.pixel, self._on_pixel),
            (self.pixel_unit, self._on_pixel_unit),
            (self.energy, self._on_energy),
            (self.convergence, self._on_convergence),
            (self.center, self._on_center),
            (self.radius, self._on_radius),
            (self.find, self._on_find),
            (self.mark, self._on_mark),
            (self.measure, self._on_measure),
            (self.centering, self._on_center_detectors),
            (self.reset, self._on_reset),
            (self.apply, self._on_apply),
        ):
            widget.changed.connect(slot)
        self.draft.changed.connect(self._renew)
        self._controller.opened.connect(self._on_opened)

    # what the user does

    def _read(self, edit: NumberEdit) -> Any:
        """Return what is typed; None if there is nothing, or nothing that fits."""
        self._wrong.pop(edit.name, None)
        try:
            return edit.value
        except ValueError as error:
            self._wrong[edit.name] = f"{edit.label}: {error}"
            return None

    def _on_step(self) -> None:
        unit = self.draft.scan.unit
        unit = SCAN_UNITS[0] if unit == PIXEL else unit
        self.draft.type_step(self._read(self.step), unit)

    def _on_step_unit(self, unit: str) -> None:
        values = None if unit == PIXEL else self.draft.scan.values
        self.draft.type_step(values, unit)

    def _on_pixel(self) -> None:
        unit = self.draft.pattern.unit
        unit = PATTERN_UNITS[0] if unit == PIXEL else unit
        self.draft.type_pixel(self._read(self.pixel), unit)

    def _on_pixel_unit(self, unit: str) -> None:
        self.draft.convert_pixel(unit)

    def _on_energy(self) -> None:
        self.draft.type_energy(self._read(self.energy))

    def _on_convergence(self) -> None:
        self.draft.type_convergence(self._read(self.convergence))

    def _on_center(self) -> None:
        self._correct_disk(self._read(self.center), self._disk_or_typed[1])

    def _on_radius(self) -> None:
        self._correct_disk(self._disk_or_typed[0], self._read(self.radius))

    @property
    def _disk_or_typed(self) -> tuple[Any, Any]:
        return self._disk or (self._read(self.center), self._read(self.radius))

    def _correct_disk(self, center: Any, radius: Any) -> None:
        if center is not None and radius is not None:
            self._controller.detectors.set_disk((center, radius))
        self._renew()

    def _on_find(self) -> None:
        self._wrong.clear()
        self._controller.disk_mark.show()
        self._controller.find_disk()

    def _on_mark(self, is_on: bool) -> None:
        if is_on:
            self._controller.disk_mark.show()
        else:
            self._controller.disk_mark.hide()

    def _on_measure(self) -> None:
        self._wrong.pop(self.pixel.name, None)
        self.draft.measure_pixel()

    def _on_center_detectors(self) -> None:
        self._controller.detectors.center()

    def _on_apply(self) -> None:
        self.draft.apply()

    def _on_reset(self) -> None:
        self._wrong.clear()
        self.draft.reset()

    def _on_opened(self) -> None:
        self._wrong.clear()
        self._renew()

    # what is shown

    @property
    def _disk(self) -> Disk | None:
        return self._controller.detectors.disk

    def _renew(self) -> None:
        draft, disk = self.draft, self._disk
        for edit, value in (
            (self.step, draft.scan.values),
            (self.pixel, draft.pattern.values),
            (self.energy, draft.beam_energy_kv),
            (self.convergence, draft.convergence_mrad),
            (self.center, disk and disk[0]),
            (self.radius, disk and disk[1]),
        ):
            if edit.name not in self._wrong:
                edit.show_value(value)
        for box, steps, source in (
            (self.step_unit, draft.scan, self.step_source),
            (self.pixel_unit, draft.pattern, self.pixel_source),
        ):
            with box.changed.blocked():
                box.value = steps.unit
            source.value = steps.source
        with self.mark.changed.blocked():
            self.mark.value = self._controller.disk_mark.is_shown
        self.mark.enabled = self.centering.enabled = disk is not None
        needs = draft.disk_needs
        self.measure.enabled = not needs
        self.measure.tooltip = (
            f"Needs {needs}" if needs
            else "Convergence angle over the radius of the bright-field disk"
        )  # fmt: skip
        self.apply.enabled = draft.is_new and not self._wrong
        self._say(next(iter(self._wrong.values()), ""), draft.message)

    def _say(self, wrong: str, missing: str) -> None:
        color = ERROR_COLOR if wrong else WARNING_COLOR
        text = wrong or missing
        self.message.value = colored(text, color) if text else ""
        self.message.native.setHidden(not text)


def _units(choices: tuple[str, ...], tip: str) -> ComboBox:
    box = ComboBox(choices=choices, tooltip=tip)
    box.native.setFixedWidth(UNIT_PX)
    box.native.setAccessibleName(tip.partition(".")[0])
    return box


def _button(text: str, tip: str) -> PushButton:
    return PushButton(text=text, tooltip=tip)


def _row(*widgets: Widget | None) -> QHBoxLayout:
    """Return widgets beside each other; what is left of the room goes to None."""
    row = QHBoxLayout()
    row.setSpacing(SPACING)
    for widget in widgets:
        if widget is None:
            row.addStretch(1)
        else:
            row.addWidget(widget.native)
    return row


def _text(text: str) -> Label:
    return Label(value=text)
