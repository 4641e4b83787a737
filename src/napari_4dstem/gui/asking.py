"""Brings up the Open form for a file that was dropped."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import napari
from qtpy.QtCore import QTimer

from napari_4dstem.gui.open_form import PLUGIN, TITLE, OpenForm


def ask(path: Path) -> bool:
    """Bring up the form for a file, as soon as napari is back in its event loop.

    Returns
    -------
    bool
        False if there is no window to show it in.
    """
    if napari.current_viewer() is None:
        return False
    QTimer.singleShot(0, partial(_bring_up, path))
    return True


def _bring_up(path: Path) -> None:
    viewer = napari.current_viewer()
    if viewer is None:
        return
    was_there = any(
        isinstance(widget, OpenForm) and widget.visible
        for widget in viewer.window.dock_widgets.values()
    )
    dock, form = viewer.window.add_plugin_dock_widget(PLUGIN, TITLE)
    dock.show()
    dock.raise_()
    form.ask(path, stay=was_there)
