"""The detectors as a table: color, name, size, what their map shows."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_4dstem.analysis.detectors import Annulus, Detector, Disk
from napari_4dstem.gui.explorer import circles
from napari_4dstem.gui.explorer.brush_row import BrushRow
from napari_4dstem.gui.explorer.entry import REDUCTIONS, Entry
from napari_4dstem.gui.explorer.icons import IconButton, swatch
from napari_4dstem.gui.unit_text import unit_text

if TYPE_CHECKING:
    from napari_4dstem.gui.explorer.controller import Controller

HEADS = ("", "Detector", "Inner", "Outer", "Map", "", "")
EYE, NAME, INNER, OUTER, MAP, FREEZE, DELETE = range(7)
WIDTHS = {EYE: 28, FREEZE: 30, DELETE: 30}
ROW_PX = 30
# napari's style is wider than a column, and leaves room for buttons.
BOX_STYLE = "min-width: 0px; padding: 1px 2px"
LEAST_ROWS = 2
LEAST_DECIMALS = 2


class DetectorTable(QWidget):
    """One line for each detector of a controller.

    Parameters
    ----------
    controller : Controller

    Attributes
    ----------
    table : QTableWidget
    boxes : list of dict
        Of each detector: the boxes of its radii, by column.
    brush : BrushRow
    """

    def __init__(self, controller: Controller) -> None:
        super().__init__()
        self._controller = controller
        self._shown: list[Entry] = []
        self.boxes: list[dict[int, QDoubleSpinBox]] = []
        self.table = QTableWidget(0, len(HEADS))
        self.table.setAccessibleName("Detectors")
        self.table.setToolTip("What is drawn on the pattern, and the map of each")
        self.table.setHorizontalHeaderLabels(list(HEADS))
        rows, header = self.table.verticalHeader(), self.table.horizontalHeader()
        assert rows is not None
        assert header is not None
        rows.hide()
        rows.setDefaultSectionSize(ROW_PX)
        self.table.setTabKeyNavigation(False)  # what can be typed has a box
        self.table.setSelectionBehavior(QTableWidget.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QTableWidget.SelectionMode.SingleSelection)
        for column in range(len(HEADS)):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.Fixed)
            if column in WIDTHS:
                header.resizeSection(column, WIDTHS[column])
            else:
                header.setSectionResizeMode(column, QHeaderView.ResizeMode.Stretch)
        header.setMinimumSectionSize(min(WIDTHS.values()))
        self.table.setMinimumHeight(header.sizeHint().height() + LEAST_ROWS * ROW_PX)
        self.brush = BrushRow(controller)
        column_ = QVBoxLayout(self)
        column_.setContentsMargins(0, 0, 0, 0)
        column_.addWidget(self.table, 1)
        column_.addWidget(self.brush)
        self.table.itemChanged.connect(self._on_item)
        self.table.currentCellChanged.connect(self._on_current)
        controller.detectors.changed.connect(self.renew)
        controller.opened.connect(self.renew_units)
        self.renew()

    def renew(self) -> None:
        """Show what the controller has."""
        entries = self._controller.detectors.entries
        if self._shown != entries:
            self._shown = list(entries)
            self._fill()
        self._renew_looks()
        self._renew_sizes()
        self._renew_current()
        self.brush.renew()

    def _renew_looks(self) -> None:
        """Show names and eyes as the lists of layers have them."""
        self.table.blockSignals(True)
        for row, entry in enumerate(self._shown):
            for column, show in ((EYE, _show_eye), (NAME, _show_name)):
                if item := self.table.item(row, column):
                    show(item, entry)
        self.table.blockSignals(False)

    def _renew_current(self) -> None:
        active = self._controller.detectors.active
        row = -1 if active is None else self._shown.index(active)
        if row >= 0 and row != self.table.currentRow():
            self.table.setCurrentCell(row, NAME)

    def renew_units(self) -> None:
        """Show the radii in the units that the pattern has now."""
        for entry, boxes in zip(self._shown, self.boxes, strict=True):
            for box in boxes.values():
                _show_unit(box, entry)
        self._renew_sizes()

    def _fill(self) -> None:
        table = self.table
        table.blockSignals(True)
        for row in range(table.rowCount()):
            for column in range(len(HEADS)):
                if widget := table.cellWidget(row, column):
                    widget.hide()  # it is deleted later
                    table.removeCellWidget(row, column)
        table.setRowCount(0)
        table.setRowCount(len(self._shown))
        self.boxes = []
        colors = self._controller.detectors.colors
        for row, entry in enumerate(self._shown):
            table.setItem(row, EYE, _eye(entry))
            color = colors.get(entry.image.colormap.name, "white")
            name = QTableWidgetItem(swatch(color), entry.drawing.name)
            name.setToolTip("Double click to rename the detector and its map")
            table.setItem(row, NAME, name)
            boxes = {column: self._size_box(entry, column) for column in (INNER, OUTER)}
            for column, box in boxes.items():
                table.setCellWidget(row, column, box)
            self.boxes.append(boxes)
            table.setCellWidget(row, MAP, self._reductions(entry))
            table.setCellWidget(row, FREEZE, self._button(entry, FREEZE))
            table.setCellWidget(row, DELETE, self._button(entry, DELETE))
        table.blockSignals(False)
        self._order_tabs()

    def _order_tabs(self) -> None:
        """Let the tab key go from line to line, and to the brush at last."""
        before: QWidget = self.table
        for row in range(self.table.rowCount()):
            for column in (INNER, OUTER, MAP, FREEZE, DELETE):
                after = self.table.cellWidget(row, column)
                assert after is not None
                self.setTabOrder(before, after)
                before = after
        self.setTabOrder(before, self.brush.diameter)

    def _size_box(self, entry: Entry, column: int) -> QDoubleSpinBox:
        box = QDoubleSpinBox()
        box.setRange(0, 1e6)
        box.setKeyboardTracking(False)
        box.setSpecialValueText("–")  # a disk has no inner radius
        box.setButtonSymbols(QDoubleSpinBox.ButtonSymbols.NoButtons)
        box.setStyleSheet(BOX_STYLE)
        _show_unit(box, entry)
        box.setAccessibleName(f"{HEADS[column]} radius of {entry.drawing.name}")
        box.setToolTip(f"{HEADS[column]} radius")
        box.valueChanged.connect(partial(self._resize_to, entry, column))
        return box

    def _reductions(self, entry: Entry) -> QWidget:
        box = QComboBox()
        box.addItems(list(REDUCTIONS))
        box.setCurrentText(entry.reduction)
        box.setAccessibleName(f"What the map of {entry.drawing.name} shows")
        box.setToolTip("What the map shows")
        set_reduction = self._controller.detectors.set_reduction
        box.currentTextChanged.connect(partial(set_reduction, entry))
        return box

    def _button(self, entry: Entry, column: int) -> QWidget:
        detectors = self._controller.detectors
        name, tip, act = {
            FREEZE: ("freeze", "Keep a copy of the map as it is", detectors.freeze),
            DELETE: ("delete", "Remove the detector and its map", detectors.remove),
        }[column]
        button = IconButton(name, tip)
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
            layers = self._controller.spaces.pattern.layers
            if entry.drawing in layers:
                layers.selection.active = entry.drawing
        self.brush.renew()


def _show_unit(box: QDoubleSpinBox, entry: Entry) -> None:
    """Show the unit of the pattern, and a tenth of its pixels."""
    decimals = math.ceil(1 - math.log10(entry.drawing.scale[-1]))
    box.blockSignals(True)  # rounding is no typing
    box.setDecimals(max(decimals, LEAST_DECIMALS))
    box.setSuffix(f" {unit_text(entry.drawing.units[-1])}")
    box.blockSignals(False)


def _without_state(act: Any, entry: Entry, _: bool = False) -> None:
    act(entry)


def _eye(entry: Entry) -> QTableWidgetItem:
    eye = QTableWidgetItem()
    eye.setFlags(Qt.ItemFlag.ItemIsUserCheckable | Qt.ItemFlag.ItemIsEnabled)
    _show_eye(eye, entry)
    eye.setToolTip("Show the map")
    return eye


def _show_eye(item: QTableWidgetItem, entry: Entry) -> None:
    shown = Qt.CheckState.Checked if entry.image.visible else Qt.CheckState.Unchecked
    item.setCheckState(shown)


def _show_name(item: QTableWidgetItem, entry: Entry) -> None:
    item.setText(entry.drawing.name)


def _radii(detector: Detector | None) -> dict[int, float]:
    if isinstance(detector, Disk):
        return {OUTER: detector.radius}
    if isinstance(detector, Annulus):
        return {INNER: detector.inner, OUTER: detector.outer}
    return {}
