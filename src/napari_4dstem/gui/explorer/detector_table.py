"""The detectors as a table: color, name, size, what their map shows."""

from __future__ import annotations

from functools import partial
from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QHeaderView,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)

from napari_4dstem.analysis.detectors import Annulus, Detector, Disk
from napari_4dstem.gui.explorer import circles
from napari_4dstem.gui.explorer.controller import Controller
from napari_4dstem.gui.explorer.detectors import COLORS, REDUCTIONS, Entry

HEADS = ("", "Detector", "Inner", "Outer", "Map", "", "")
EYE, NAME, INNER, OUTER, MAP, FREEZE, DELETE = range(7)
SWATCH_PX = 14
ROW_PX = 26
MOST_ROWS = 4


class DetectorTable(QTableWidget):
    """One line for each detector of a controller.

    Parameters
    ----------
    controller : Controller
    """

    def __init__(self, controller: Controller) -> None:
        super().__init__(0, len(HEADS))
        self._controller = controller
        self.setHorizontalHeaderLabels(list(HEADS))
        rows, header = self.verticalHeader(), self.horizontalHeader()
        assert rows is not None
        assert header is not None
        rows.hide()
        rows.setDefaultSectionSize(ROW_PX)
        self._head = header
        self.setSelectionBehavior(QTableWidget.SelectionBehavior.SelectRows)
        self.setSelectionMode(QTableWidget.SelectionMode.SingleSelection)
        self.setAccessibleName("Detectors")
        for column in range(len(HEADS)):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(MAP, QHeaderView.ResizeMode.Stretch)
        self._shown: list[Entry] = []
        self.boxes: list[dict[int, QDoubleSpinBox]] = []
        self.itemChanged.connect(self._on_item)
        self.currentCellChanged.connect(self._on_current)
        controller.detectors_changed.connect(self.renew)
        self.renew()

    def renew(self) -> None:
        """Show what the controller has."""
        if self._shown != self._controller.entries:
            self._shown = list(self._controller.entries)
            self._fill()
        self._renew_sizes()

    def _fill(self) -> None:
        self.blockSignals(True)
        for row in range(self.rowCount()):
            for column in range(len(HEADS)):
                self.removeCellWidget(row, column)
        self.setRowCount(0)
        self.setRowCount(len(self._shown))
        self.boxes = []
        for row, entry in enumerate(self._shown):
            eye = QTableWidgetItem()
            eye.setFlags(Qt.ItemFlag.ItemIsUserCheckable | Qt.ItemFlag.ItemIsEnabled)
            shown = entry.image.visible
            eye.setCheckState(
                Qt.CheckState.Checked if shown else Qt.CheckState.Unchecked
            )
            eye.setToolTip("Show the map")
            self.setItem(row, EYE, eye)
            name = QTableWidgetItem(_swatch(entry), entry.drawing.name)
            self.setItem(row, NAME, name)
            boxes = {column: self._size_box(entry, column) for column in (INNER, OUTER)}
            for column, box in boxes.items():
                self.setCellWidget(row, column, box)
            self.boxes.append(boxes)
            self.setCellWidget(row, MAP, self._reductions(entry))
            self.setCellWidget(row, FREEZE, self._button(entry, FREEZE))
            self.setCellWidget(row, DELETE, self._button(entry, DELETE))
        self.blockSignals(False)
        rows = min(max(len(self._shown), 1), MOST_ROWS)
        self.setFixedHeight(self._head.height() + rows * ROW_PX + 4)

    def _size_box(self, entry: Entry, column: int) -> QDoubleSpinBox:
        box = QDoubleSpinBox()
        box.setRange(0, 1e6)
        box.setDecimals(2)
        box.setKeyboardTracking(False)
        box.setSpecialValueText("–")  # a disk has no inner radius
        box.setButtonSymbols(QDoubleSpinBox.ButtonSymbols.NoButtons)
        unit = _unit(entry.drawing.units[-1])
        box.setSuffix(f" {unit}")
        box.setAccessibleName(f"{HEADS[column]} radius of {entry.drawing.name}")
        box.valueChanged.connect(partial(self._resize_to, entry, column))
        return box

    def _reductions(self, entry: Entry) -> QWidget:
        box = QComboBox()
        box.addItems(list(REDUCTIONS))
        box.setCurrentText(entry.reduction)
        box.setAccessibleName(f"What the map of {entry.drawing.name} shows")
        box.currentTextChanged.connect(partial(self._controller.set_reduction, entry))
        return box

    def _button(self, entry: Entry, column: int) -> QWidget:
        text, tip, act = {
            FREEZE: ("❄", "Keep a copy of the map as it is", self._controller.freeze),
            DELETE: (
                "✕",
                "Remove the detector and its map",
                self._controller.remove_detector,
            ),
        }[column]
        button = QPushButton(text)
        button.setFixedWidth(ROW_PX)
        button.setToolTip(tip)
        button.setAccessibleName(f"{tip}: {entry.drawing.name}")
        button.clicked.connect(partial(_without_state, act, entry))
        return button

    def _renew_sizes(self) -> None:
        for entry, boxes in zip(self._shown, self.boxes, strict=True):
            sizes = _radii(entry.detector)
            for column, box in boxes.items():
                value = sizes.get(column)
                box.setEnabled(value is not None)
                if not box.hasFocus():
                    box.blockSignals(True)
                    box.setValue((value or 0) * entry.drawing.scale[-1])
                    box.blockSignals(False)

    def _resize_to(self, entry: Entry, column: int, value: float) -> None:
        radius = value / entry.drawing.scale[-1]
        found = sorted(circles.circles_of(entry.drawing), key=lambda each: each[1])
        if not found or radius <= 0:
            return
        number = 0 if column == INNER else len(found) - 1
        found[number] = (found[number][0], radius)
        entry.drawing.data = [circles.circle(*each) for each in found]

    def _on_item(self, item: QTableWidgetItem) -> None:
        if item.row() >= len(self._shown):
            return
        entry = self._shown[item.row()]
        if item.column() == EYE:
            entry.image.visible = item.checkState() == Qt.CheckState.Checked
        elif item.column() == NAME and item.text().strip():
            entry.drawing.name = entry.image.name = item.text().strip()

    def _on_current(self, row: int, *_: Any) -> None:
        if 0 <= row < len(self._shown):
            entry = self._shown[row]
            layers = self._controller.pattern.layers
            if entry.drawing in layers:
                layers.selection.active = entry.drawing


def _without_state(act: Any, entry: Entry, _: bool = False) -> None:
    act(entry)


def _radii(detector: Detector | None) -> dict[int, float]:
    if isinstance(detector, Disk):
        return {OUTER: detector.radius}
    if isinstance(detector, Annulus):
        return {INNER: detector.inner, OUTER: detector.outer}
    return {}


def _swatch(entry: Entry) -> QIcon:
    picture = QPixmap(SWATCH_PX, SWATCH_PX)
    picture.fill(QColor(COLORS.get(entry.image.colormap.name, "white")))
    return QIcon(picture)


def _unit(unit: Any) -> str:
    return {"pixel": "px", "milliradian": "mrad", "1 / nanometer": "1/nm"}.get(
        str(unit), str(unit)
    )
