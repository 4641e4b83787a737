"""The center of mass: where it is taken, how it is corrected, which maps are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from napari_4dstem.gui.com_outputs import DESCANS, OUTPUTS
from napari_4dstem.gui.explorer.wheel_legend import WheelLegend
from napari_4dstem.gui.notices import in_short
from napari_4dstem.gui.parameter_fields import ERROR_COLOR, colored
from napari_4dstem.gui.unit_text import unit_text

if TYPE_CHECKING:
    from napari_4dstem.gui.explorer.controller import Controller
    from napari_4dstem.gui.explorer.entry import Entry

WHOLE = "All pixels"
HALF_TURN = 180
PER_DEGREE = 10  # steps of the slider
OUTPUT_ROWS = 4
ROW_SPACING, FIELD_PX = 3, 104


class CenterOfMassPanel(QWidget):
    """Controls of the maps of the center of mass.

    Parameters
    ----------
    controller : Controller

    Attributes
    ----------
    detector, descan : QComboBox
    degrees : QDoubleSpinBox
    slider : QSlider
        Of the same angle.
    flip : QCheckBox
    estimate : QPushButton
    outputs : dict of QCheckBox
    legend : WheelLegend
    message : QLabel
    """

    def __init__(self, controller: Controller) -> None:
        super().__init__()
        self._controller, self._com = controller, controller.com
        self._entries: list[Entry] = []
        self._make_controls()
        self._arrange()
        self._connect()
        self.renew()

    def _make_controls(self) -> None:
        self.detector = QComboBox()
        self.detector.setToolTip("Pixels that count")
        self.detector.setAccessibleName("Detector of the centre of mass")
        self.descan = QComboBox()
        self.descan.addItems(list(DESCANS))
        self.descan.setToolTip("What the scan coils do to the beam, not the specimen")
        self.descan.setAccessibleName("Descan: what is subtracted")
        self.degrees, self.slider = QDoubleSpinBox(), QSlider(Qt.Orientation.Horizontal)
        self.degrees.setRange(-HALF_TURN, HALF_TURN)
        self.degrees.setDecimals(1)
        self.degrees.setSuffix("°")
        self.degrees.setKeyboardTracking(False)
        # The slider beside it does what its buttons would.
        self.degrees.setButtonSymbols(QDoubleSpinBox.ButtonSymbols.NoButtons)
        self.slider.setRange(-HALF_TURN * PER_DEGREE, HALF_TURN * PER_DEGREE)
        self.slider.setPageStep(5 * PER_DEGREE)
        for part in (self.degrees, self.slider):
            part.setToolTip("Turns shifts from the detector's axes into the scan's")
            part.setAccessibleName("Rotation of the detector")
        self.flip = QCheckBox("Flip y")
        self.flip.setToolTip("Reverse the y axis of the detector first")
        self.estimate = QPushButton("Estimate")
        self.estimate.setToolTip("Find rotation and flip by least curl")
        self.outputs: dict[str, QCheckBox] = {}
        for name, output in OUTPUTS.items():
            self.outputs[name] = box = QCheckBox(output.short)
            box.setToolTip(f"{output.label}. {output.tip}")
        self.legend = WheelLegend()
        self.message = QLabel("")
        self.message.setWordWrap(True)

    def _arrange(self) -> None:
        fields = QGridLayout()
        fields.setColumnStretch(1, 1)
        fields.setVerticalSpacing(ROW_SPACING)
        rows = (
            (QLabel("Detector"), self.detector),
            (QLabel("Subtract"), self.descan),
            (self.flip, self.estimate),
            (QLabel("Rotation"), self.degrees),
        )
        for _, field in rows:
            # In a narrow dock it may be shorter than what is in it.
            field.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
            field.setMinimumWidth(FIELD_PX)
        for row, parts in enumerate(rows):
            for column, part in enumerate(parts):
                fields.addWidget(part, row, column)
        boxes = QGridLayout()
        boxes.setHorizontalSpacing(6)
        boxes.setVerticalSpacing(ROW_SPACING)
        for number, box in enumerate(self.outputs.values()):
            boxes.addWidget(box, number % OUTPUT_ROWS, number // OUTPUT_ROWS)
        columns = QHBoxLayout()
        columns.setSpacing(8)
        columns.addLayout(fields, 1)
        columns.addLayout(boxes)
        columns.addWidget(self.legend)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.setSpacing(ROW_SPACING)
        layout.addLayout(columns)
        # Long, so that a pixel is less than a degree
        layout.addWidget(self.slider)
        layout.addWidget(self.message)
        layout.addStretch(1)

    def _connect(self) -> None:
        self.detector.activated.connect(self._on_detector)
        self.descan.activated.connect(self._on_descan)
        self.degrees.valueChanged.connect(self._on_degrees)
        self.slider.valueChanged.connect(self._on_slider)
        self.flip.toggled.connect(self._on_flip)
        self.estimate.clicked.connect(self._on_estimate)
        for box in self.outputs.values():
            box.toggled.connect(self._on_output)
        self._com.changed.connect(self.renew)
        self._com.told.connect(self._tell)
        self._controller.opened.connect(self._tell)

    def renew(self) -> None:
        """Show what is chosen."""
        com = self._com
        self._entries = list(self._controller.detectors.entries)
        names = [WHOLE, *(entry.name for entry in self._entries)]
        if names != [self.detector.itemText(i) for i in range(self.detector.count())]:
            self.detector.clear()
            self.detector.addItems(names)
        at = self._entries.index(com.entry) + 1 if com.entry in self._entries else 0
        self.detector.setCurrentIndex(at)
        self.descan.setCurrentIndex(list(DESCANS.values()).index(com.descan))
        self._fill_degrees(com.degrees)
        with QSignalBlocker(self.flip):
            self.flip.setChecked(com.flip_y)
        for name, box in self.outputs.items():
            with QSignalBlocker(box):
                box.setChecked(name in com.shown)
        self._tell()

    def _fill_degrees(self, degrees: float) -> None:
        with QSignalBlocker(self.degrees), QSignalBlocker(self.slider):
            self.degrees.setValue(degrees)
            self.slider.setValue(round(degrees * PER_DEGREE))

    def _tell(self) -> None:
        com, layer = self._com, self._controller.layer
        text = com.said
        if com.problem is not None:
            text = colored(in_short(com.problem), ERROR_COLOR)
        self.message.setText(text)
        if com.wheel is None or layer is None:
            self.legend.show_maximum("")
        else:
            unit = unit_text(layer.units[-1])
            self.legend.show_maximum(f"{com.wheel.maximum:.3g} {unit}")

    # what the user does

    def _on_detector(self, index: int) -> None:
        self._com.set_entry(self._entries[index - 1] if index else None)

    def _on_descan(self, _: int) -> None:
        self._com.set_descan(DESCANS[self.descan.currentText()])

    def _on_degrees(self, degrees: float) -> None:
        self._fill_degrees(degrees)
        self._turn()

    def _on_slider(self, value: int) -> None:
        self._fill_degrees(value / PER_DEGREE)
        self._turn()

    def _on_flip(self, _: bool) -> None:
        self._turn()

    def _turn(self) -> None:
        self._com.set_rotation(self.degrees.value(), self.flip.isChecked())

    def _on_estimate(self, _: bool = False) -> None:
        self._com.estimate()

    def _on_output(self, _: bool) -> None:
        for name, box in self.outputs.items():
            self._com.set_shown(name, box.isChecked())
