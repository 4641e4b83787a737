"""A napari window that a terminal opens."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import napari
from qtpy.QtCore import QEventLoop, QTimer
from qtpy.QtWidgets import QApplication

from napari_4dstem.dataset import Dataset
from napari_4dstem.gui.explorer.opening import (
    offer,
    open_explorer,
    whatever_is_preferred,
)
from napari_4dstem.gui.notices import show_opened
from napari_4dstem.gui.picked import is_scan
from napari_4dstem.layers import image_layer

if TYPE_CHECKING:
    from napari_4dstem.gui.explorer.dock import Explorer

PLUGIN = "napari-4dstem"
# For a picture: all controls fit in, and everything has been drawn.
SCREENSHOT_SIZE = (1200, 860)
SETTLE_MS = 1000
MAPS_S = 30


def show(
    contents: Sequence[Path | Dataset],
    *,
    position: tuple[int, int] | None = None,
    gamma: float = 1,
    explore: bool = True,
    screenshot: Path | None = None,
) -> str | None:
    """Open a window, and return when it is closed.

    Parameters
    ----------
    contents : sequence of Path and Dataset
        A path is opened as if it were dropped on the window.
    position : tuple of int, optional
        Scan position ``(y, x)`` to begin at.
    gamma : float
        Below 1, weak disks show beside a strong one.
    explore : bool
        Whether the first scan opens in the Explorer.
    screenshot : Path, optional
        Save a picture of the window there instead of waiting for the user.

    Returns
    -------
    str or None
        What went wrong, if anything.
    """
    viewer = napari.Viewer()
    try:
        if screenshot is not None:
            viewer.window.resize(*SCREENSHOT_SIZE)
        explorer = open_explorer(viewer) if explore else None
        with whatever_is_preferred():
            for content in contents:
                if isinstance(content, Dataset):
                    _add(viewer, content)
                elif problem := _open(viewer, content):
                    return problem
        if screenshot is not None and not viewer.layers:
            return "the file gave no layer, there is nothing to take a picture of"
        if explorer is not None:
            _begin(viewer, explorer, position, gamma)
        else:
            for layer in viewer.layers:
                layer.gamma = gamma
            if position is not None and viewer.layers:
                viewer.dims.set_current_step((0, 1), position)
        # Only now the canvas has its final size.
        QApplication.processEvents()
        viewer.reset_view()
        if screenshot is None:
            napari.run()
        else:
            _save_picture(viewer, screenshot, explorer)
        return None
    finally:
        viewer.close()


def _begin(
    viewer: napari.Viewer,
    explorer: Explorer,
    position: tuple[int, int] | None,
    gamma: float,
) -> None:
    """Let the Explorer begin with the first scan, if there is any by now."""
    controller = explorer.controller
    if controller.ds is None:  # it may have opened by itself
        open_explorer(viewer, next(filter(is_scan, viewer.layers), None))
    if controller.ds is not None:
        controller.patterns.layer.gamma = gamma
        if position is not None:
            controller.patterns.set_probe(*position)


def _add(viewer: napari.Viewer, data_set: Dataset) -> None:
    data, options, _ = image_layer(data_set)
    viewer.add_image(data, **options)
    show_opened(data_set, explore=offer(data_set))


def _open(viewer: napari.Viewer, path: Path) -> str | None:
    """Let our reader open a file, which tells the user of what it finds wrong there."""
    try:
        viewer.open(path.absolute(), plugin=PLUGIN)
    except ValueError as error:
        # napari says so if the plugin is switched off or does not want the file.
        return f"napari did not open {path}: {error}"
    return None


def _save_picture(viewer: napari.Viewer, path: Path, explorer: Explorer | None) -> None:
    late = time.monotonic() + MAPS_S
    while explorer is not None and time.monotonic() < late:
        entries = explorer.controller.detectors.entries
        is_busy = explorer.controller.is_busy
        if not is_busy and all(entry.is_exact for entry in entries):
            break
        QApplication.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents, 50)
    loop = QEventLoop()
    QTimer.singleShot(SETTLE_MS, loop.quit)
    loop.exec()
    viewer.screenshot(str(path), canvas_only=False, flash=False)
