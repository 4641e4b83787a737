"""Brings up the Open form for a file that was dropped."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import napari
from qtpy.QtCore import QTimer

from napari_4dstem.gui import docks
from napari_4dstem.gui.open_form import TITLE, OpenForm


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
    before = docks.find(viewer, OpenForm)
    was_there = before is not None and bool(before.visible)
    docks.bring_up(viewer, OpenForm, TITLE).ask(path, stay=was_there)
