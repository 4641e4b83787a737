"""Scan geometry: the maps refold while numbers change, and keep what is applied."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSlider,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_4dstem.analysis.scan_shapes import ScanShape, suggest_scan_shapes
from napari_4dstem.errors import FormatError
from napari_4dstem.gui import notices
from napari_4dstem.gui.background import Background
from napari_4dstem.gui.parameter_fields import ERROR_COLOR, colored

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_4dstem.gui.explorer.controller import Controller

OFFSET, COLUMNS, LINES, FLYBACK = "sync_offset", "columns", "lines", "flyback"
LABELS = {
    OFFSET: (
        "Sync offset",
        "Frames skipped at the start; below 0: blank ones inserted",
    ),
    COLUMNS: ("Columns", "Positions of a line"),
    LINES: ("Lines", "Follow the columns; change them afterwards"),
    FLYBACK: ("Flyback", "Frames dropped at the end of each line"),
}
PROPOSALS = "Proposals …"


class ScanPanel(QWidget):
    """Numbers with sliders for the geometry of the scan.

    Parameters
    ----------
    controller : Controller
    say : callable
        Shows a line of text.
    """

    def __init__(self, controller: Controller, say: Callable[[str], object]) -> None:
        super().__init__()
        self._controller, self._say = controller, say
        self._background = Background(self)
        self._proposals: Sequence[ScanShape] = ()
        self.boxes: dict[str, QSpinBox] = {}
        self.sliders: dict[str, QSlider] = {}
        grid = QGridLayout()
        for row, (name, (label, tip)) in enumerate(LABELS.items()):
            box, slider = QSpinBox(), QSlider(Qt.Orientation.Horizontal)
            box.setKeyboardTracking(False)
            for part in (box, slider):
                part.setToolTip(tip)
                part.setAccessibleName(label)
            box.valueChanged.connect(partial(_follow, slider))
            slider.valueChanged.connect(box.setValue)
            box.valueChanged.connect(
                self._on_columns if name in (COLUMNS, FLYBACK) else self._on_change
            )
            grid.addWidget(QLabel(label), row, 0)
            grid.addWidget(slider, row, 1)
            grid.addWidget(box, row, 2)
            self.boxes[name], self.sliders[name] = box, slider
        self.proposals = QComboBox()
        self.proposals.setToolTip("Line lengths at which the scan repeats")
        self.proposals.setAccessibleName("Proposed scan shapes")
        self.propose = QPushButton("Propose")
        self.propose.setToolTip("Look for the line length in the brightness of frames")
        self.apply = QPushButton("Apply")
        self.apply.setToolTip("Change the data set: probe, patterns and all maps")
        self.reset = QPushButton("Reset")
        self.reset.setToolTip("Back to the geometry that was applied")
        self.message = QLabel("")
        self.message.setWordWrap(True)
        self.message.hide()
        buttons = QHBoxLayout()
        buttons.addWidget(self.propose)
        buttons.addWidget(self.proposals, 1)
        buttons.addWidget(self.reset)
        buttons.addWidget(self.apply)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(grid)
        layout.addLayout(buttons)
        layout.addWidget(self.message)
        self.propose.clicked.connect(self._on_propose)
        self.proposals.activated.connect(self._on_proposal)
        self.apply.clicked.connect(self._on_apply)
        self.reset.clicked.connect(self.renew)
        controller.opened.connect(self._on_opened)
        self._fill_proposals(())
        self.setEnabled(False)

    def _on_opened(self) -> None:
        self._fill_proposals(())  # they may be of another scan
        self.renew()

    def renew(self, _: bool = False) -> None:
        """Show the geometry of the data set."""
        ds = self._controller.ds
        self.setEnabled(ds is not None)
        self._complain("")
        if ds is None:
            return
        count, geometry = ds.num_stored_frames, ds.frames.geometry
        lines, columns = ds.nav_shape
        ends = {
            OFFSET: (1 - count, count - 1, geometry.sync_offset),
            COLUMNS: (1, count, columns),
            LINES: (1, count, lines),
            FLYBACK: (0, max(columns, 1), geometry.flyback),
        }
        # A slider over all frames could not be set to a single one.
        near = max(2 * columns, 16)
        for name, (low, high, value) in ends.items():
            box, slider = self.boxes[name], self.sliders[name]
            for part in (box, slider):
                part.blockSignals(True)
            box.setRange(low, high)
            slider.setRange(max(low, value - near), min(high, value + near))
            box.setValue(value)
            slider.setValue(value)
            for part in (box, slider):
                part.blockSignals(False)
        scan = self._controller.open_scan
        if scan is not None and scan.shown is not ds:
            self._try()

    def _on_columns(self, _: int) -> None:
        ds = self._controller.ds
        if ds is not None:
            line = self.boxes[COLUMNS].value() + self.boxes[FLYBACK].value()
            lines = max((ds.num_stored_frames + self.boxes[FLYBACK].value()) // line, 1)
            for part in (self.boxes[LINES], self.sliders[LINES]):
                part.blockSignals(True)
                part.setValue(lines)
                part.blockSignals(False)
        self._try()

    def _on_change(self, _: int) -> None:
        self._try()

    def _try(self) -> None:
        value = {name: box.value() for name, box in self.boxes.items()}
        try:
            self._controller.try_geometry(
                nav_shape=(value[LINES], value[COLUMNS]),
                sync_offset=value[OFFSET],
                flyback=value[FLYBACK],
            )
        except FormatError as error:
            self._complain(colored(notices.in_short(error), ERROR_COLOR))
            self.apply.setEnabled(False)
            return
        self._complain(self._remark())
        self.apply.setEnabled(True)

    def _remark(self) -> str:
        """What there is to say of a geometry that is tried."""
        scan = self._controller.open_scan
        if scan is None or scan.shown is scan.ds:
            return ""
        if scan.shown.frames.geometry == scan.ds.frames.geometry:
            return ""
        total = scan.shown.nav_size
        blank = total - scan.shown.frames.num_valid()
        missing = f" {blank} of its {total} positions have no frame." * bool(blank)
        return f"Only tried, until it is applied.{missing}"

    def _complain(self, text: str) -> None:
        self.message.setText(text)
        self.message.setHidden(not text)

    def _on_apply(self, _: bool = False) -> None:
        self._controller.apply_geometry()

    def _on_propose(self, _: bool = False) -> None:
        ds = self._controller.ds
        if ds is not None:
            self.propose.setEnabled(False)
            self._background.run(
                partial(suggest_scan_shapes, ds),
                done=self._on_proposed,
                failed=self._on_error,
            )

    def _on_proposed(self, found: Sequence[ScanShape]) -> None:
        self._fill_proposals(found)
        self._say(
            f"{len(found)} scan shapes proposed: choose one from the list"
            if found
            else "No line length shows in the brightness of the frames"
        )

    def _on_error(self, error: Exception) -> None:
        self.propose.setEnabled(True)
        notices.show_error(error)

    def _fill_proposals(self, found: Sequence[ScanShape]) -> None:
        self.propose.setEnabled(True)
        self._proposals = found
        self.proposals.clear()
        self.proposals.addItem(PROPOSALS)
        for one in found:
            y, x = one.nav_shape
            dropped = f", {one.flyback} flyback" * bool(one.flyback)
            self.proposals.addItem(f"{y} × {x}{dropped} ({one.score:.2f})")
        self.proposals.setEnabled(bool(found))

    def _on_proposal(self, index: int) -> None:
        if index < 1:
            return
        one = self._proposals[index - 1]
        wanted = {COLUMNS: one.nav_shape[1], LINES: one.nav_shape[0],
                  FLYBACK: one.flyback}  # fmt: skip
        for name, value in wanted.items():
            for part in (self.boxes[name], self.sliders[name]):
                part.blockSignals(True)
                part.setValue(value)
                part.blockSignals(False)
        self._try()


def _follow(slider: QSlider, value: int) -> None:
    """Show a number on a slider, at its end if it is beyond: the number stays."""
    slider.blockSignals(True)
    slider.setValue(value)
    slider.blockSignals(False)
