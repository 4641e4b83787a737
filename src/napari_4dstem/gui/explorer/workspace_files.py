"""Workspace files: a dialog to save one, and the Explorer of one that was opened."""

from __future__ import annotations

import weakref
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import napari
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QFileDialog

from napari_4dstem.errors import FormatError
from napari_4dstem.gui import docks
from napari_4dstem.gui.explorer.opening import open_explorer
from napari_4dstem.gui.explorer.workspaces import saved
from napari_4dstem.layers import METADATA_KEY
from napari_4dstem.workspace import SUFFIX, Workspace, is_workspace, save

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

    from napari_4dstem.dataset import Dataset
    from napari_4dstem.gui.explorer.controller import Controller

FILTER = f"Workspaces (*{SUFFIX})"


def ask_and_save(parent: QWidget, controller: Controller) -> Path | None:
    """Let the user choose a file, and save what is explored there.

    Returns
    -------
    Path or None
        None if the user does not want to.

    Raises
    ------
    FormatError
        If the data are in no file, or the workspace cannot be written.
    """
    workspace = saved(controller)
    opening = workspace.data_set
    beside = opening.path or opening.files[0]
    proposed = beside.with_name(beside.stem + SUFFIX)
    chosen, _ = QFileDialog.getSaveFileName(
        parent, "Save workspace", str(proposed), FILTER
    )
    if not chosen:
        return None
    target = _with_suffix(Path(chosen))
    if target != Path(chosen) and target.exists():
        raise FormatError(
            target,
            "the file is there already",
            hint="To replace it, save again and choose it in the dialog.",
        )
    save(target, workspace)
    return target


def _with_suffix(path: Path) -> Path:
    if is_workspace(path):
        return path
    name = path.name
    for part in reversed(SUFFIX.split(".")):
        name = name.removesuffix(f".{part}")
    return path.with_name(name + SUFFIX)


def restore_soon(ds: Dataset, workspace: Workspace) -> None:
    """Restore a workspace in the Explorer once napari has made a layer of its data."""
    if napari.current_viewer() is not None and docks.is_seen():
        QTimer.singleShot(0, partial(_restore, weakref.ref(ds), workspace))


def _restore(reference: weakref.ref[Dataset], workspace: Workspace) -> None:
    ds, viewer = reference(), napari.current_viewer()
    if ds is None or viewer is None:
        return
    explorer = open_explorer(viewer)
    candidates = [*viewer.layers, explorer.controller.layer]
    layer = next((each for each in candidates if _shows(each, ds)), None)
    if layer is not None:
        explorer.restore(layer, workspace)


def _shows(layer: Any, ds: Dataset) -> bool:
    return getattr(layer, "metadata", {}).get(METADATA_KEY) is ds
