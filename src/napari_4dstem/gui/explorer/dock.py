"""The dock: controls around the view of the pattern."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtGui import QKeySequence, QShortcut
from qtpy.QtWidgets import (
    QFrame,
    QScrollArea,
    QSplitter,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from napari_4dstem.errors import FormatError
from napari_4dstem.gui import notices, preferences
from napari_4dstem.gui.background import Background
from napari_4dstem.gui.copy_script import copy_script_of, is_map
from napari_4dstem.gui.explorer import workspace_files, workspaces
from napari_4dstem.gui.explorer.calibration_panel import CalibrationPanel
from napari_4dstem.gui.explorer.colors import scheme
from napari_4dstem.gui.explorer.com_panel import CenterOfMassPanel
from napari_4dstem.gui.explorer.controller import Controller
from napari_4dstem.gui.explorer.corrections_panel import CorrectionsPanel
from napari_4dstem.gui.explorer.detector_table import DetectorTable
from napari_4dstem.gui.explorer.facts_panel import FactsPanel
from napari_4dstem.gui.explorer.pattern_view import DockedWidget, PatternView, later
from napari_4dstem.gui.explorer.pattern_window import BackRow, PatternWindow
from napari_4dstem.gui.explorer.probe_bar import ProbeBar
from napari_4dstem.gui.explorer.result_bar import ResultBar
from napari_4dstem.gui.explorer.scan_list import ScanList
from napari_4dstem.gui.explorer.scan_panel import ScanPanel
from napari_4dstem.gui.explorer.tool_bar import ToolBar
from napari_4dstem.gui.explorer.work_line import WorkLine
from napari_4dstem.gui.picked import active_layer

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.viewer import Viewer

    from napari_4dstem.workspace import Workspace

MIN_WIDTH = 380
# What the tabs get of the height, to begin with; the pattern gets the rest.
TABS_PX, TABS_SHARE = 215, 0.4
WAYS = {"Up": (-1, 0), "Down": (1, 0), "Left": (0, -1), "Right": (0, 1)}


class Explorer(DockedWidget):
    """Two linked views: maps of the scan in the viewer, a pattern in this dock.

    Parameters
    ----------
    napari_viewer : Viewer
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        preferred = preferences.read()
        self.dock_side = preferred.dock_side
        self.viewer = napari_viewer
        self.view = PatternView(self._on_drop)
        self.controller = Controller(
            napari_viewer,
            self.view.model,
            partial(Background, self, live=True),
            preferred.budget,
        )
        self.controller.detectors.colors = scheme(preferred.colors)
        self._complaints = notices.Complaints()
        self._renewing = later(self, self._renew_lists)
        self._resetting = later(self, self._reset_views)
        self._keeping = later(self, self.controller.patterns.keep)
        self._make_controls()
        self._arrange()
        self._connect()
        self.tools.log.setChecked(preferred.log_patterns)
        later(self, self._begin).start()

    # making

    def _make_controls(self) -> None:
        controller = self.controller
        self.away = BackRow("The patterns are in a window of their own.")
        self.away.hide()
        self.pattern_window: PatternWindow | None = None
        self.tools = ToolBar()
        self.probe = ProbeBar(controller.patterns)
        self.table = DetectorTable(controller)
        self.work = WorkLine(controller)
        self.scans = ScanList(self.viewer, controller, self.work.say, self._on_error)
        self.results = ResultBar()
        self.scan_panel = ScanPanel(controller, self.work.say)
        self.calibration = CalibrationPanel(controller)
        self.com = CenterOfMassPanel(controller)
        self.corrections = CorrectionsPanel(controller)
        self.facts = FactsPanel(controller)
        self.tabs = QTabWidget()
        self.tabs.setAccessibleName("Panels")
        self.tabs.addTab(self.table, "Detectors")
        for title, panel in (
            ("Centre of mass", self.com),
            ("Scan", self.scan_panel),
            ("Calibration", self.calibration.native),
            ("Corrections", self.corrections.native),
            ("Data", self.facts),
        ):
            self.tabs.addTab(_scrolling(panel, title), title)

    def _arrange(self) -> None:
        upper = QWidget()
        column = QVBoxLayout(upper)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.view, 1)
        column.addWidget(self.away)
        column.addWidget(self.probe)
        self.halves = QSplitter(Qt.Orientation.Vertical)
        self.halves.addWidget(upper)
        self.halves.addWidget(self.tabs)
        self.halves.setStretchFactor(0, 1)
        self.halves.setStretchFactor(1, 0)
        self.halves.setCollapsible(0, False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.setSpacing(4)
        layout.addWidget(self.scans)
        layout.addWidget(self.tools)
        layout.addWidget(self.halves, 1)
        layout.addWidget(self.work)
        layout.addWidget(self.results)
        self.setMinimumWidth(MIN_WIDTH)

    def _connect(self) -> None:
        controller = self.controller
        controller.failed.connect(self._on_error)
        controller.opened.connect(self._show_opened)
        self.scans.detach_button.clicked.connect(self.detach)
        self.away.bring_back.clicked.connect(self.bring_back)
        self.tools.wanted.connect(self._on_tool)
        self.tools.log.toggled.connect(controller.patterns.set_log)
        self.tools.contrast.clicked.connect(self._on_contrast)
        self.tools.fit.clicked.connect(self._reset_views)
        self.results.script.clicked.connect(self._on_script)
        self.results.workspace.clicked.connect(self._on_workspace)
        layers = self.viewer.layers.events
        layers.inserted.connect(self._on_layers)
        layers.removed.connect(self._on_layers)
        layers.renamed.connect(self._on_layers)
        self.bind_keys(self.viewer)
        self._bind_dock()
        self._follow(self.view.model)
        self.destroyed.connect(_Ending(controller))
        self._renew_lists()

    def _follow(self, model: Any) -> None:
        """Listen to a viewer that shows patterns."""
        self.bind_keys(model)
        model.events.status.connect(self._on_status)
        model.layers.events.removed.connect(self._on_pattern_layers)

    def bind_keys(self, model: Any) -> None:
        """Let arrow keys move probe and detector while a viewer has the focus."""
        probe = self.controller.patterns.move_probe
        detector = self.controller.detectors.move_active
        for key, way in WAYS.items():
            model.bind_key(f"Shift-{key}", _step(probe, *way), overwrite=True)
            model.bind_key(
                f"Control-Shift-{key}", _step(detector, *way), overwrite=True
            )

    def _bind_dock(self) -> None:
        """Let them do so from all controls but those that edit text with them."""
        moves = {
            "Shift": self.controller.patterns.move_probe,
            "Ctrl+Shift": self.controller.detectors.move_active,
        }
        for keys, move in moves.items():
            for key, way in WAYS.items():
                shortcut = QShortcut(QKeySequence(f"{keys}+{key}"), self)
                context = Qt.ShortcutContext.WidgetWithChildrenShortcut
                shortcut.setContext(context)
                shortcut.activated.connect(_step(move, *way))

    def detach(self, _: bool = False) -> None:
        """Show the patterns in a window of their own."""
        if self.pattern_window is not None:
            return
        window = self.pattern_window = PatternWindow(self.viewer, self)
        window.ended.connect(self.bring_back)
        window.row.bring_back.clicked.connect(self.bring_back)
        self._follow(window.viewer)
        self._docked_sizes = self.halves.sizes()
        self._show_away(True)
        self.controller.move_patterns(window.viewer)
        self.halves.setSizes([0, sum(self._docked_sizes)])

    def bring_back(self, _: bool = False) -> None:
        """Show the patterns in the dock, if they are in a window of their own."""
        if self.pattern_window is None:
            return
        window, self.pattern_window = self.pattern_window, None
        self.controller.move_patterns(self.view.model)
        window.close()
        self._show_away(False)
        self.halves.setSizes(self._docked_sizes)

    def _show_away(self, is_away: bool) -> None:
        self.view.setVisible(not is_away)
        self.away.setVisible(is_away)
        self.scans.detach_button.setEnabled(not is_away)

    def show_panel(self, panel: QWidget) -> None:
        """Bring the tab of a panel to the front."""
        for index in range(self.tabs.count()):
            page = self.tabs.widget(index)
            shown = page.widget() if isinstance(page, QScrollArea) else page
            if shown is panel:
                self.tabs.setCurrentIndex(index)

    # what happens

    def on_undocked(self) -> None:
        """Give the scan back when the dock is closed, and come to an end."""
        self.bring_back()
        self.scans.end()
        self.view.close_view()
        self.deleteLater()

    def open(self, layer: Any) -> None:
        """Explore a layer of four axes."""
        self.scans.open_scan(layer)

    def restore(self, layer: Any, workspace: Workspace) -> None:
        """Explore a layer as a workspace has it."""
        if layer is not self.controller.layer:
            self.open(layer)
        ds = self.controller.ds
        if ds is not None:
            workspaces.restore(self.controller, workspace)
            self.tools.log.setChecked(workspace.is_log)
            self.probe.renew(ds.nav_shape)

    def chosen_map(self) -> Layer | None:
        """The map that is selected, else that of the detector that is."""
        active, detectors = active_layer(self.viewer), self.controller.detectors
        if is_map(active):
            return active
        entry = detectors.active or next(reversed(detectors.entries), None)
        return None if entry is None else entry.image

    def _begin(self) -> None:
        height = self.halves.height()
        tabs = min(TABS_PX, round(TABS_SHARE * height))
        self.halves.setSizes([height - tabs, tabs])
        if self.controller.ds is not None:
            self._resetting.start()  # the dock has taken its room
        self.scans.open_first()

    def _on_layers(self, *_: Any) -> None:
        # The list is still changing; what was just given back is no new one.
        with contextlib.suppress(RuntimeError):  # Qt has deleted this dock already
            self._renewing.start()
            self._keeping.start()

    def _on_pattern_layers(self, _: Any) -> None:
        with contextlib.suppress(RuntimeError):  # Qt has deleted this dock already
            self._keeping.start()

    def _renew_lists(self) -> None:
        self.scans.renew()
        self.probe.renew_regions(self.viewer.layers)
        for part in (self.tools, self.probe, self.tabs, self.results):
            part.setEnabled(self.controller.ds is not None)

    def _show_opened(self) -> None:
        ds = self.controller.ds
        assert ds is not None
        self.probe.renew(ds.nav_shape)
        self._renew_lists()
        self._resetting.start()

    def _reset_views(self, _: bool = False) -> None:
        self.viewer.reset_view()
        self.controller.spaces.pattern.reset_view()

    def _on_tool(self, kind: str) -> None:
        if self.controller.ds is not None:
            self.controller.detectors.add(kind)

    def _on_contrast(self, _: bool = False) -> None:
        self.controller.fit_contrast()

    def _on_script(self, _: bool = False) -> None:
        self.work.say(copy_script_of(self.chosen_map()))

    def _on_workspace(self, _: bool = False) -> None:
        try:
            path = workspace_files.ask_and_save(self, self.controller)
        except FormatError as error:
            self._on_error(error)
        else:
            self.work.say(f"Workspace saved: {path.name}" if path else "")

    def _on_status(self, event: Any) -> None:
        self.viewer.status = event.value

    def _on_drop(self, paths: list[str]) -> None:
        self.viewer.open(paths, plugin=None)

    def _on_error(self, error: Exception) -> None:
        self.work.say(notices.in_short(error))
        self._complaints.show(error)


def _scrolling(panel: QWidget, title: str) -> QScrollArea:
    """Return a panel that scrolls where there is no room for it."""
    area = QScrollArea()
    area.setAccessibleName(title)
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setWidget(panel)
    return area


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
        # napari empties its list of layers later: nobody is left to be told of it.
        self.controller.detectors.changed.disconnect()
