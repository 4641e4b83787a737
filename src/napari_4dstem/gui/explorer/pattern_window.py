"""Patterns in a napari window of their own, with its lists and controls of layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import napari
from qtpy.QtCore import QEvent, QObject, QRect
from qtpy.QtCore import Signal as QtSignal  # type: ignore[attr-defined]  # pyqtSignal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QWidget

from napari_4dstem.gui.explorer.pattern_view import later
from napari_4dstem.gui.picked import is_scan

if TYPE_CHECKING:
    from napari.viewer import Viewer

TITLE = "Patterns"
# Of the main window; more covers what the patterns belong to.
SHARE = 0.6


class BackRow(QWidget):
    """A line of text and a button that brings the patterns back.

    Parameters
    ----------
    text : str
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        label = QLabel(text)
        label.setWordWrap(True)
        self.bring_back = QPushButton("Bring back")
        self.bring_back.setToolTip("Show the patterns in the Explorer again")
        self.bring_back.setAccessibleName(self.bring_back.toolTip())
        row = QHBoxLayout(self)
        row.setContentsMargins(4, 4, 4, 4)
        row.addWidget(label, 1)
        row.addWidget(self.bring_back)


class PatternWindow(QObject):
    """A second napari viewer; it says when its window, or the main one, is closed.

    Parameters
    ----------
    scan : Viewer
        Shows maps of the scan; gets the scans that are opened in the second one.
    inside : QWidget
        Of the main window; owns this.

    Attributes
    ----------
    viewer : Viewer
    row : BackRow
    """

    ended = QtSignal()

    def __init__(self, scan: Viewer, inside: QWidget) -> None:
        super().__init__(inside)
        self._scan = scan
        self.viewer = napari.Viewer(title=TITLE)
        self.viewer.theme = scan.theme
        self.row = BackRow("They follow the probe, and make maps, as in the Explorer.")
        self.viewer.window.add_dock_widget(
            self.row, name=TITLE, area="bottom", add_vertical_stretch=False
        )
        # napari tells nobody that a window is closed.
        self._windows = (self.row.window(), inside.window())
        for window in self._windows:
            if window is not None:
                window.installEventFilter(self)
        self._giving = later(inside, self._give_scans)
        self.viewer.layers.events.inserted.connect(self._on_inserted)
        self._place(self._windows[1])

    def _place(self, main: QWidget | None) -> None:
        screen = None if main is None else main.screen()
        if main is None or screen is None:
            return
        room = screen.availableGeometry()
        size = main.size() * SHARE
        window = QRect(main.frameGeometry().topRight(), size)
        # Beside the main window where there is room, else over its right half.
        window.moveRight(min(window.right(), room.right()))
        window.moveBottom(min(window.bottom(), room.bottom()))
        self.viewer.window.set_geometry(*window.getRect())

    def eventFilter(  # noqa: N802  Qt's name
        self, watched: QObject | None, event: QEvent | None
    ) -> bool:
        """Look for the end of either window.

        This one may be hidden already, if not by being made small, which is
        spontaneous; it has to go before the main one does.
        """
        own, main = self._windows
        if event is not None and (
            (watched is main and event.type() == QEvent.Type.Close)
            or (
                watched is own
                and event.type() == QEvent.Type.Hide
                and not event.spontaneous()
            )
        ):
            self.ended.emit()
        return False

    def close(self) -> None:
        """Close the window; layers that are still there go with it."""
        for window in self._windows:
            if window is not None:
                window.removeEventFilter(self)
        self.viewer.layers.events.inserted.disconnect(self._on_inserted)
        self.viewer.close()
        self.deleteLater()

    def _on_inserted(self, _: Any) -> None:
        self._giving.start()

    def _give_scans(self) -> None:
        """Move what is dropped here and is no pattern to where scans are."""
        for layer in [each for each in self.viewer.layers if is_scan(each)]:
            self.viewer.layers.remove(layer)
            self._scan.add_layer(layer)
