"""The dock: controls around the view of the pattern."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from napari.layers import Labels, Shapes
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSlider,
    QSpinBox,
    QVBoxLayout,
)

from napari_4dstem.errors import FormatError
from napari_4dstem.gui import notices
from napari_4dstem.gui.background import Background
from napari_4dstem.gui.explorer.controller import SOURCES, Controller
from napari_4dstem.gui.explorer.detector_table import DetectorTable
from napari_4dstem.gui.explorer.detectors import KINDS, PRESETS
from napari_4dstem.gui.explorer.pattern_view import DockedWidget, PatternView, later
from napari_4dstem.gui.explorer.scan_panel import ScanPanel
from napari_4dstem.gui.picked import active_layer, is_scan

if TYPE_CHECKING:
    from napari.viewer import Viewer

MIN_WIDTH = 380
TIPS = {
    "Disk": "A disk: drag its inside to move it, its edge to resize it",
    "Ring": "A ring: drag its inside to move it, either edge to resize it",
    "Rectangle": "A rectangle, with handles",
    "Polygon": "Click corner by corner, double click to close it",
    "Point": "A single pixel; drag it",
    "Brush": "Paint a mask; napari's controls for labels are in the main window",
}
CHOOSE = "No scan is open"
NO_REGION = "Region …"
PRESET = "BF, ADF …"
WAYS = {"Up": (-1, 0), "Down": (1, 0), "Left": (0, -1), "Right": (0, 1)}
DRAWN = (Shapes, Labels)


class Explorer(DockedWidget):
    """Two linked views: maps of the scan in the viewer, a pattern in this dock.

    Parameters
    ----------
    napari_viewer : Viewer
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        self.viewer = napari_viewer
        self.view = PatternView(self._on_drop)
        self.controller = Controller(
            napari_viewer, self.view.model, partial(Background, self)
        )
        # Scans that cannot be in the list of layers beside maps in other units.
        self._kept: list[Any] = []
        self._renewing = later(self, self._renew_lists)
        self._make_controls()
        self._arrange()
        self._connect()
        later(self, self._open_first).start()

    # making

    def _make_controls(self) -> None:
        self.data_sets = QComboBox()
        self.data_sets.setAccessibleName("Scan")
        self.facts = QLabel("")
        self.facts.setWordWrap(True)
        self.close_button = QPushButton("Close")
        self.close_button.setToolTip("Give the scan back to the list of layers")
        self.tools = {}
        for kind in KINDS:
            button = QPushButton(kind)
            button.setToolTip(TIPS[kind])
            button.clicked.connect(self._on_tool)  # a partial would keep self
            self.tools[kind] = button
        self.presets = QComboBox()
        self.presets.addItems([PRESET, *PRESETS])
        self.presets.setToolTip("Usual detectors, by the bright-field disk")
        self.presets.setAccessibleName("Usual detectors")
        self.source = QComboBox()
        self.source.addItems(list(SOURCES))
        self.source.setToolTip("What the pattern is made of")
        self.source.setAccessibleName("What the pattern is made of")
        self.region = QComboBox()
        self.region.setToolTip("Layer of shapes or labels on the scan")
        self.region.setAccessibleName("Region of the scan")
        self.log = QCheckBox("log")
        self.log.setToolTip("Logarithm of the counts of the pattern")
        self.auto = QPushButton("Auto contrast")
        self.auto.setToolTip("Fit the contrast of the pattern and of all maps")
        self.sliders, self.boxes = [], []
        for axis in "yx":
            slider, box = QSlider(Qt.Orientation.Horizontal), QSpinBox()
            box.setKeyboardTracking(False)
            for part in (slider, box):
                part.setAccessibleName(f"Scan position along {axis}")
                part.setToolTip("Shift and arrows move the probe")
                part.valueChanged.connect(self._on_position)
            self.sliders.append(slider)
            self.boxes.append(box)
        self.geometry_button = QPushButton("Scan geometry …")
        self.geometry_button.setCheckable(True)
        self.geometry_button.setToolTip("Sync offset, lines, columns and flyback")
        self.scan_panel = ScanPanel(self.controller, self._say)
        self.scan_panel.hide()
        self.table = DetectorTable(self.controller)
        self.status = QLabel("")
        self.status.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse
        )

    def _arrange(self) -> None:
        top = QHBoxLayout()
        top.addWidget(self.data_sets, 1)
        top.addWidget(self.geometry_button)
        top.addWidget(self.close_button)
        tools = QHBoxLayout()
        for button in self.tools.values():
            tools.addWidget(button)
        tools.addWidget(self.presets, 1)
        look = QHBoxLayout()
        look.addWidget(self.source, 1)
        look.addWidget(self.region, 1)
        look.addWidget(self.log)
        look.addWidget(self.auto)
        positions = QGridLayout()
        for row, axis in enumerate("yx"):
            positions.addWidget(QLabel(axis), row, 0)
            positions.addWidget(self.sliders[row], row, 1)
            positions.addWidget(self.boxes[row], row, 2)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.setSpacing(4)
        layout.addLayout(top)
        layout.addWidget(self.facts)
        layout.addWidget(self.scan_panel)
        layout.addLayout(tools)
        layout.addLayout(look)
        layout.addWidget(self.view, 1)
        layout.addLayout(positions)
        layout.addWidget(self.table)
        layout.addWidget(self.status)
        self.setMinimumWidth(MIN_WIDTH)

    def _connect(self) -> None:
        controller = self.controller
        controller.status.connect(self._say)
        controller.failed.connect(self._on_error)
        controller.probe_changed.connect(self._show_position)
        controller.opened.connect(self._show_opened)
        self.data_sets.activated.connect(self._on_data_set)
        self.close_button.clicked.connect(self._on_close)
        self.source.currentTextChanged.connect(controller.set_source)
        self.region.activated.connect(self._on_region)
        self.presets.activated.connect(self._on_preset)
        self.geometry_button.toggled.connect(self.scan_panel.setVisible)
        self.log.toggled.connect(controller.set_log)
        self.auto.clicked.connect(self._on_auto)
        layers = self.viewer.layers.events
        layers.inserted.connect(self._on_layers)
        layers.removed.connect(self._on_layers)
        self.view.model.events.status.connect(self._on_status)
        for model in (self.viewer, self.view.model):
            for key, way in WAYS.items():
                probe, detector = controller.move_probe, controller.move_detector
                model.bind_key(f"Shift-{key}", _step(probe, *way), overwrite=True)
                key = f"Control-Shift-{key}"
                model.bind_key(key, _step(detector, *way), overwrite=True)
        self.destroyed.connect(_Ending(controller))
        self._renew_lists()

    # what happens

    def on_undocked(self) -> None:
        """Give the scan back when the dock is closed, and come to an end."""
        self._on_close()
        self.view.close_view()
        self.deleteLater()

    def open(self, layer: Any) -> None:
        """Explore a layer of four axes."""
        self._give_back()
        try:
            self.controller.open(layer)
        except (FormatError, OSError) as error:
            self._on_error(error)
            return
        if layer in self._kept:
            self._kept.remove(layer)

    def _give_back(self) -> None:
        layer = self.controller.layer
        if not self.controller.close():
            self._kept.append(layer)

    def _open_first(self) -> None:
        scans = [layer for layer in self.viewer.layers if is_scan(layer)]
        active = active_layer(self.viewer)
        if scans and self.controller.ds is None:
            self.open(active if active in scans else scans[-1])

    def _on_layers(self, *_: Any) -> None:
        # The list is still changing; what was just given back is no new one.
        with contextlib.suppress(RuntimeError):  # Qt has deleted this dock already
            self._renewing.start()

    def _renew_lists(self) -> None:
        open_layer = self.controller.layer
        scans = [layer for layer in self.viewer.layers if is_scan(layer)]
        scans = [layer for layer in self._kept if layer not in scans] + scans
        if open_layer is not None and open_layer not in scans:
            scans.insert(0, open_layer)
        self._scans = scans
        self.data_sets.clear()
        self.data_sets.addItems([layer.name for layer in scans])
        self.data_sets.setPlaceholderText(CHOOSE if open_layer is None else "")
        at = -1 if open_layer is None else scans.index(open_layer)
        self.data_sets.setCurrentIndex(at)
        drawn = [each for each in self.viewer.layers if isinstance(each, DRAWN)]
        self._drawn = drawn
        self.region.clear()
        self.region.addItems([NO_REGION, *(layer.name for layer in drawn)])
        chosen = self.controller.region
        self.region.setCurrentIndex(drawn.index(chosen) + 1 if chosen in drawn else 0)
        has_scan = open_layer is not None
        for part in (
            *self.tools.values(), self.presets, self.geometry_button,
            self.close_button, self.source, self.region, self.log, self.auto,
            *self.sliders, *self.boxes,
        ):  # fmt: skip
            part.setEnabled(has_scan)

    def _on_data_set(self, index: int) -> None:
        if 0 <= index < len(self._scans):
            layer = self._scans[index]
            if layer is not self.controller.layer:
                self.open(layer)

    def _on_close(self, _: bool = False) -> None:
        layer = self.controller.layer
        self._give_back()
        if layer in self._kept:
            # Notifications are kept for ever; they shall not keep this.
            itself = weakref.ref(self)
            notices.show_kept(layer, lambda: _open_window(itself(), layer))
        self.scan_panel.renew()
        self.facts.setText("")
        self.status.setText("")
        self._renew_lists()

    def open_window(self, layer: Any) -> None:
        """Show a scan that was kept in a window of its own."""
        import napari

        if layer in self._kept:
            self._kept.remove(layer)
            napari.Viewer(title=layer.name).add_layer(layer)
            self._renew_lists()

    def _show_opened(self) -> None:
        ds = self.controller.ds
        assert ds is not None
        for n, slider, box in zip(ds.nav_shape, self.sliders, self.boxes, strict=True):
            for part in (slider, box):
                part.blockSignals(True)
                part.setRange(0, n - 1)
                part.blockSignals(False)
        self._show_position(*self.controller.position)
        (y, x), (ky, kx) = ds.nav_shape, ds.sig_shape
        self.facts.setText(f"{y} × {x} scan, {ky} × {kx} px, {ds.dtype}, {ds.filetype}")
        self._renew_lists()
        later(self, self._reset_views).start()

    def _reset_views(self) -> None:
        self.viewer.reset_view()
        self.view.model.reset_view()

    def _on_tool(self, _: bool = False) -> None:
        kind = next(k for k, button in self.tools.items() if button is self.sender())
        if self.controller.ds is not None:
            self.controller.add_detector(kind)

    def _on_preset(self, index: int) -> None:
        self.presets.setCurrentIndex(0)
        if index > 0 and self.controller.ds is not None:
            self.controller.add_detector(list(PRESETS)[index - 1])

    def _on_position(self, _: int) -> None:
        parts = self.sliders if self.sender() in self.sliders else self.boxes
        self.controller.set_probe(*(part.value() for part in parts))

    def _show_position(self, y: int, x: int) -> None:
        for value, slider, box in zip((y, x), self.sliders, self.boxes, strict=True):
            for part in (slider, box):
                part.blockSignals(True)
                part.setValue(value)
                part.blockSignals(False)

    def _on_region(self, index: int) -> None:
        self.controller.set_region(self._drawn[index - 1] if index > 0 else None)

    def _on_auto(self, _: bool = False) -> None:
        self.controller.fit_contrast()

    def _on_status(self, event: Any) -> None:
        self.viewer.status = event.value

    def _on_drop(self, paths: list[str]) -> None:
        self.viewer.open(paths, plugin=None)

    def _say(self, text: str) -> None:
        self.status.setText(text)

    def _on_error(self, error: Exception) -> None:
        self.status.setText(notices.in_short(error))
        notices.show_error(error)


def _open_window(explorer: Explorer | None, layer: Any) -> None:
    if explorer is not None:
        explorer.open_window(layer)


def _step(move: Callable[[int, int], None], dy: int, dx: int) -> Callable[..., None]:
    """Return a key binding that moves something; it keeps nothing alive."""
    reference = weakref.WeakMethod(move)

    def step(*_: Any) -> None:
        alive = reference()
        if alive is not None:
            alive(dy, dx)

    return step


class _Ending:
    """Cancels all work when the dock is gone."""

    def __init__(self, controller: Controller) -> None:
        self.controller = controller

    def __call__(self, *_: Any) -> None:
        self.controller.stop()
