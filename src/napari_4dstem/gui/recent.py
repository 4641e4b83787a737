"""Which data sets came in a moment ago.

napari hands over the files of a drop one by one. Those of one data set (the members of
a series, a header beside its data) shall give one layer, though.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import napari
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication

from napari_4dstem.dataset import Dataset
from napari_4dstem.layers import METADATA_KEY

MOMENT_S = 2.0
# For files that several plugins claim, napari opens a dialog in the middle of a drop.
# Afterwards it begins with the first file once more.
CHOOSER = "Choose reader"
LOOK_FOR_CHOOSER_MS = 50


@dataclass
class _Opening:
    path: Path
    ds: Dataset
    files: frozenset[Path]
    had_chooser: bool = False


class _Moment:
    """The data sets of one drop."""

    def __init__(self) -> None:
        self.openings: list[_Opening] = []
        self.until = 0.0
        self.timer = QTimer()
        self.timer.setInterval(LOOK_FOR_CHOOSER_MS)
        self.timer.timeout.connect(self._pass)

    def go_on(self) -> None:
        self.until = time.monotonic() + MOMENT_S
        self.timer.start()

    def _pass(self) -> None:
        dialog = QApplication.activeModalWidget()
        if dialog is not None and dialog.objectName() == CHOOSER:
            for opening in self.openings:
                opening.had_chooser = True
            self.go_on()
        elif time.monotonic() > self.until:
            self.openings.clear()
            self.timer.stop()


_moment: _Moment | None = None


def opened(path: Path, ds: Dataset) -> None:
    """Note that a file was opened just now."""
    global _moment
    if QApplication.instance() is None:
        return  # without windows nothing is dropped
    if _moment is None:
        _moment = _Moment()
    files = frozenset((path, *ds.files))
    _moment.openings.append(_Opening(path, ds, files))
    _moment.go_on()


def is_open(path: Path) -> bool:
    """Whether the file came in with a data set that was opened just now."""
    if _moment is None or time.monotonic() > _moment.until:
        return False
    for opening in _moment.openings:
        if path not in opening.files or not _is_shown(opening.ds):
            continue
        if path == opening.path:
            # The user wants a second layer, unless it is napari who begins again.
            if not opening.had_chooser:
                continue
            opening.had_chooser = False
        _moment.go_on()
        return True
    return False


def _is_shown(ds: Dataset) -> bool:
    viewer = napari.current_viewer()
    return viewer is not None and any(
        layer.metadata.get(METADATA_KEY) is ds for layer in viewer.layers
    )
