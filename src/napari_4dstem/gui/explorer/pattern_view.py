"""A napari canvas within a dock: the one place that knows how to embed one."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from napari.components import ViewerModel
from napari.qt import QtViewer
from qtpy.QtCore import QEvent, Qt, QTimer
from qtpy.QtWidgets import (
    QDockWidget,
    QMainWindow,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_4dstem.gui.docks import dock_of

if TYPE_CHECKING:
    from collections.abc import Callable


SHARE_OF_WINDOW = 0.42


class PatternView(QWidget):
    """A canvas with a model of its own.

    Parameters
    ----------
    dropped : callable
        Gets the paths of files that are dropped on it.

    Attributes
    ----------
    model : ViewerModel
    canvas : QWidget
        Where it is drawn.
    """

    def __init__(self, dropped: Callable[[list[str]], object]) -> None:
        super().__init__()
        self.model = ViewerModel(title="pattern")
        self._view = _Canvas(self.model, dropped)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self.canvas: QWidget = self._view.canvas.native
        self.canvas.setAccessibleName("Pattern and detectors")
        layout.addWidget(self._view)

    def close_view(self) -> None:
        """Give the canvas up, for good."""
        self._view.close()


class _Canvas(QtViewer):  # type: ignore[misc]  # napari has no types
    def __init__(self, model: ViewerModel, dropped: Any) -> None:
        self._dropped = weakref.WeakMethod(dropped)  # who embeds it owns it
        super().__init__(model, show_welcome_screen=False)

    def dropEvent(self, event: Any) -> None:  # noqa: N802  Qt's name
        """Leave files to the viewer of the scan."""
        paths = [url.toLocalFile() for url in event.mimeData().urls()]
        dropped = self._dropped()
        if dropped is not None:
            dropped([path for path in paths if path])
        event.accept()


def keep_docked(widget: QWidget, side: str) -> None:
    """Keep the dock around a widget on one side of the window, right or left.

    A canvas that gets into another window takes the program down: its OpenGL context
    cannot follow.
    """
    dock = dock_of(widget)
    if dock is None:
        return
    features = dock.features()
    features &= ~QDockWidget.DockWidgetFeature.DockWidgetFloatable
    features &= ~QDockWidget.DockWidgetFeature.DockWidgetMovable
    dock.setFeatures(features)
    dock.setFloating = _stay  # type: ignore[method-assign, assignment]
    for button in dock.findChildren(QPushButton, "QTitleBarFloatButton"):
        button.hide()
    window = dock.parent()
    if isinstance(window, QMainWindow):
        left = Qt.DockWidgetArea.LeftDockWidgetArea
        if side == "left" and window.dockWidgetArea(dock) != left:
            # beside napari's own docks, which would leave no height below them
            window.addDockWidget(left, dock, Qt.Orientation.Horizontal)
        width = round(window.width() * SHARE_OF_WINDOW)
        window.resizeDocks([dock], [width], Qt.Orientation.Horizontal)


def _stay(on: bool) -> None:
    """Do nothing: napari's title bar calls it."""


def later(owner: QWidget, slot: Callable[[], object]) -> QTimer:
    """Return a timer that calls a slot as soon as all else is done, once it is started.

    It ends with its owner: a bare single shot would call into what is gone.
    """
    timer = QTimer(owner)
    timer.setSingleShot(True)
    timer.setInterval(0)
    timer.timeout.connect(slot)
    return timer


class DockedWidget(QWidget):
    """A widget that keeps its dock in its place as soon as it has one."""

    dock_side = "right"

    def __init__(self) -> None:
        super().__init__()
        self._docking = later(self, self._keep_docked)

    def event(self, event: QEvent | None) -> bool:
        """Look for the dock when there is a new parent."""
        if event is not None and event.type() == QEvent.Type.ParentChange:
            self._docking.start()
        return bool(super().event(event))

    def _keep_docked(self) -> None:
        keep_docked(self, self.dock_side)
        if self.parentWidget() is None:
            self.on_undocked()

    def on_undocked(self) -> None:
        """React to the end of the dock; the widget lives on without one."""
