"""The row below the pattern: what it is of, and where the probe is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.layers import Labels, Shapes
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QSlider,
    QSpinBox,
    QWidget,
)

from napari_4dstem.gui.explorer.icons import IconButton
from napari_4dstem.gui.explorer.patterns import SOURCES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari.layers import Layer

    from napari_4dstem.gui.explorer.patterns import Patterns

NO_REGION = "Region …"
DRAWN = (Shapes, Labels)
LEAST_SLIDER_PX = 40
LISTS_PX = 110
NUMBER_STYLE = "min-width: 38px; max-width: 38px; padding: 1px 4px"


class ProbeBar(QWidget):
    """What the pattern is made of, and sliders for the probe.

    Parameters
    ----------
    patterns : Patterns

    Attributes
    ----------
    source, region : QComboBox
    new_region : IconButton
    sliders, boxes : list
        For y and x.
    """

    def __init__(self, patterns: Patterns) -> None:
        super().__init__()
        self._patterns = patterns
        self._drawn: list[Layer] = []
        self.source = QComboBox()
        self.source.addItems(list(SOURCES))
        self.source.setToolTip("What the pattern is made of")
        self.source.setAccessibleName("What the pattern is made of")
        self.region = QComboBox()
        self.region.setToolTip("Layer of shapes or labels on the scan")
        self.region.setAccessibleName("Region of the scan")
        for box in (self.source, self.region):
            box.setMinimumWidth(LISTS_PX)
            policy = QSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
            box.setSizePolicy(policy)
        self.new_region = IconButton(
            "region", "Draw a new region: a rectangle around the probe"
        )
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        row.addWidget(self.source, 2)
        row.addWidget(self.region, 1)
        row.addWidget(self.new_region)
        place = QWidget()
        places = QHBoxLayout(place)
        places.setContentsMargins(0, 0, 0, 0)
        places.setSpacing(4)
        row.addWidget(place, 3)
        self.sliders: list[QSlider] = []
        self.boxes: list[QSpinBox] = []
        for axis in "yx":
            slider, number = QSlider(Qt.Orientation.Horizontal), QSpinBox()
            slider.setMinimumWidth(LEAST_SLIDER_PX)
            number.setKeyboardTracking(False)
            # The slider and the arrow keys do what buttons would, in less room.
            number.setButtonSymbols(QSpinBox.ButtonSymbols.NoButtons)
            # napari's style is stronger than a width, and leaves room for buttons.
            number.setStyleSheet(NUMBER_STYLE)
            for part in (slider, number):
                part.setAccessibleName(f"Scan position along {axis}")
                part.setToolTip("Shift and arrows move the probe")
                part.valueChanged.connect(self._on_position)
            places.addWidget(QLabel(axis))
            places.addWidget(slider, 1)
            places.addWidget(number)
            self.sliders.append(slider)
            self.boxes.append(number)
        self._by_source = {"region": (self.region, self.new_region), "probe": (place,)}
        self._show_controls()
        self.source.currentTextChanged.connect(self._on_source)
        patterns.source_changed.connect(self._show_source)
        self.new_region.clicked.connect(self._on_new_region)
        self.region.activated.connect(self._on_region)
        patterns.probe_changed.connect(self.show_position)

    def renew(self, nav_shape: tuple[int, ...]) -> None:
        """Show the ranges of a scan, and where the probe is in it."""
        for n, slider, box in zip(nav_shape, self.sliders, self.boxes, strict=True):
            for part in (slider, box):
                part.blockSignals(True)
                part.setRange(0, n - 1)
                part.blockSignals(False)
        self.source.setCurrentText(self._patterns.source)
        self.show_position(*self._patterns.position)

    def show_position(self, y: int, x: int) -> None:
        """Show where the probe is."""
        for value, slider, box in zip((y, x), self.sliders, self.boxes, strict=True):
            for part in (slider, box):
                part.blockSignals(True)
                part.setValue(value)
                part.blockSignals(False)

    def renew_regions(self, layers: Iterable[Layer]) -> None:
        """Offer the layers that are drawn on the scan."""
        drawn = self._drawn = [each for each in layers if isinstance(each, DRAWN)]
        chosen = self._patterns.region
        self.region.clear()
        self.region.addItems([NO_REGION, *(layer.name for layer in drawn)])
        self.region.setCurrentIndex(drawn.index(chosen) + 1 if chosen in drawn else 0)
        if chosen is None and len(drawn) == 1 and self.region.isVisibleTo(self):
            self._choose(1)  # there is no other to mean

    def _on_position(self, _: int) -> None:
        parts = self.sliders if self.sender() in self.sliders else self.boxes
        self._patterns.set_probe(*(part.value() for part in parts))

    def _on_source(self, source: str) -> None:
        self._patterns.set_source(source)
        self._show_controls()
        is_region = self.region.isVisibleTo(self)
        if is_region and self._patterns.region is None and len(self._drawn) == 1:
            self._choose(1)

    def _show_source(self, source: str) -> None:
        """Show what the pattern is made of now, whoever chose it."""
        self.source.blockSignals(True)
        self.source.setCurrentText(source)
        self.source.blockSignals(False)
        self._show_controls()

    def _show_controls(self) -> None:
        """Show what the pattern is made by, and leave out what it is not."""
        which, _ = SOURCES[self._patterns.source] or ("probe", "")
        for source, parts in self._by_source.items():
            for part in parts:
                part.setVisible(source == which)

    def _on_new_region(self, _: bool = False) -> None:
        self._patterns.new_region()

    def _choose(self, index: int) -> None:
        self.region.setCurrentIndex(index)
        self._on_region(index)

    def _on_region(self, index: int) -> None:
        self._patterns.set_region(self._drawn[index - 1] if index > 0 else None)
