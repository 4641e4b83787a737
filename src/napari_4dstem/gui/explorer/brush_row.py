"""Controls of the brush, for the detector that is painted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.layers import Labels
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSlider, QWidget

from napari_4dstem.gui.explorer import drawings

if TYPE_CHECKING:
    from napari_4dstem.gui.explorer.controller import Controller

PAINT, ERASE = "paint", "erase"
LARGEST_PX = 64


class BrushRow(QWidget):
    """Size, eraser and clearing of a painted detector; hidden for others.

    Parameters
    ----------
    controller : Controller

    Attributes
    ----------
    erase, clear : QPushButton
    diameter : QSlider
        In pixels of the detector.
    """

    def __init__(self, controller: Controller) -> None:
        super().__init__()
        self._controller = controller
        self.diameter = QSlider(Qt.Orientation.Horizontal)
        self.diameter.setRange(1, LARGEST_PX)
        self.diameter.setToolTip("Size of the brush in pixels of the detector")
        self.diameter.setAccessibleName("Size of the brush")
        self.erase = QPushButton("Erase")
        self.erase.setCheckable(True)
        self.erase.setToolTip("Erase instead of painting")
        self.clear = QPushButton("Clear")
        self.clear.setToolTip("Erase all that is painted")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(QLabel("Brush"))
        row.addWidget(self.diameter, 1)
        row.addWidget(self.erase)
        row.addWidget(self.clear)
        self.diameter.valueChanged.connect(self._on_size)
        self.erase.toggled.connect(self._on_erase)
        self.clear.clicked.connect(self._on_clear)
        self.hide()

    @property
    def painted(self) -> Labels | None:
        """The detector that is painted, if it is the one that is selected."""
        active = self._controller.spaces.pattern.layers.selection.active
        return active if isinstance(active, Labels) else None

    def renew(self) -> None:
        """Show the brush as it is."""
        layer = self.painted
        self.setVisible(layer is not None)
        if layer is not None:
            for part in (self.diameter, self.erase):
                part.blockSignals(True)
            self.diameter.setValue(round(layer.brush_size))
            self.erase.setChecked(layer.mode == ERASE)
            for part in (self.diameter, self.erase):
                part.blockSignals(False)

    def _on_size(self, size: int) -> None:
        if self.painted is not None:
            self.painted.brush_size = size

    def _on_erase(self, is_on: bool) -> None:
        if self.painted is not None:
            self.painted.mode = ERASE if is_on else PAINT

    def _on_clear(self, _: bool = False) -> None:
        if self.painted is not None:
            drawings.clear(self.painted)
            self._controller.detectors.redraw(self.painted)
