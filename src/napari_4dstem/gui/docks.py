"""Docks of our widgets: of each there is one in a window, whoever brings it up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from qtpy.QtWidgets import QApplication, QDockWidget, QMainWindow, QWidget

if TYPE_CHECKING:
    from napari.viewer import Viewer

DISPLAY_NAME = "4D-STEM"  # of the plugin, as in the manifest
Kind = TypeVar("Kind")


def find(viewer: Viewer, kind: type[Kind]) -> Kind | None:
    """Return the widget of a kind that is docked in a window, if there is one."""
    docked = viewer.window.dock_widgets.values()
    return next((widget for widget in docked if isinstance(widget, kind)), None)


def bring_up(viewer: Viewer, kind: type[Kind], title: str) -> Kind:
    """Return the widget of a kind, docked and in front; it is made if there is none.

    Parameters
    ----------
    viewer : Viewer
    kind : type
        Makes the widget of a viewer.
    title : str
        As in the manifest.
    """
    widget: Any = find(viewer, kind)
    if widget is None:
        widget = kind(viewer)  # type: ignore[call-arg]  # as the manifest has them
        # By this name napari's menu finds it, instead of making a second one.
        viewer.window.add_dock_widget(widget, name=f"{title} ({DISPLAY_NAME})")
    dock = dock_of(widget if isinstance(widget, QWidget) else widget.native)
    if dock is not None:
        dock.show()
        dock.raise_()
    made: Kind = widget
    return made


def is_seen() -> bool:
    """Whether somebody can see a window, and press a button there: in no script."""
    return any(
        isinstance(widget, QMainWindow) and widget.isVisible()
        for widget in QApplication.topLevelWidgets()
    )


def dock_of(widget: QWidget | None) -> QDockWidget | None:
    """Return the dock around a widget, if there is one."""
    while widget is not None and not isinstance(widget, QDockWidget):
        widget = widget.parentWidget()
    return widget
