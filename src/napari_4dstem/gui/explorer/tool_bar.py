"""The row of tools: new detectors, and how the pattern is shown."""

from __future__ import annotations

from qtpy.QtCore import Signal as QtSignal  # type: ignore[attr-defined]  # pyqtSignal
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QWidget

from napari_4dstem.gui.explorer.drawings import KINDS, PRESETS
from napari_4dstem.gui.explorer.icons import IconButton

TIPS = {
    "Disk": "A disk: drag its inside to move it, its edge to resize it",
    "Ring": "A ring: drag its inside to move it, either edge to resize it",
    "Rectangle": "A rectangle, with handles",
    "Polygon": "A polygon: click corner by corner, double click to close it",
    "Point": "A single pixel; drag it",
    "Brush": "Paint a mask; size and eraser of the brush are beside it",
}
PRESET = "BF, ADF …"
LEAST_LIST_PX = 80


class ToolBar(QWidget):
    """Buttons for new detectors, and for how the pattern looks.

    Attributes
    ----------
    kinds : dict of IconButton
        By the kind of detector.
    presets : QComboBox
    log, contrast, fit : IconButton
    """

    wanted = QtSignal(str)  # a kind of detector, or a preset

    def __init__(self) -> None:
        super().__init__()
        self.kinds = {kind: IconButton(kind, TIPS[kind]) for kind in KINDS}
        self.presets = QComboBox()
        self.presets.addItems([PRESET, *PRESETS])
        self.presets.setToolTip("Usual detectors, by the bright-field disk")
        self.presets.setAccessibleName("Usual detectors")
        self.presets.setMinimumWidth(LEAST_LIST_PX)
        self.log = IconButton("log", "Logarithm of the counts of the pattern")
        self.log.setCheckable(True)
        self.contrast = IconButton(
            "contrast", "Fit the contrast of the pattern and of all maps"
        )
        self.fit = IconButton("fit", "Show all of the scan and of the pattern")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(2)
        for button in self.kinds.values():
            row.addWidget(button)
            button.clicked.connect(self._on_kind)  # a partial would keep self
        row.addSpacing(4)
        row.addWidget(self.presets)
        row.addStretch(1)
        for button in (self.log, self.contrast, self.fit):
            row.addWidget(button)
        self.presets.activated.connect(self._on_preset)

    def _on_kind(self, _: bool = False) -> None:
        button = self.sender()
        self.wanted.emit(next(k for k, each in self.kinds.items() if each is button))

    def _on_preset(self, index: int) -> None:
        self.presets.setCurrentIndex(0)
        if index > 0:
            self.wanted.emit(list(PRESETS)[index - 1])
