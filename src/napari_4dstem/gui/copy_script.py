"""The script of a map, on the clipboard."""

from __future__ import annotations

from typing import TYPE_CHECKING

import napari
from napari.utils.notifications import show_info
from qtpy.QtWidgets import QApplication

from napari_4dstem.gui import docks
from napari_4dstem.gui.map_window import MAP_KEY
from napari_4dstem.gui.picked import active_layer
from napari_4dstem.script import script_of

if TYPE_CHECKING:
    from napari.layers import Layer

NO_MAP = "No script: select a map of a 4D-STEM scan in the list of layers"


def copy_script(viewer: napari.Viewer) -> None:
    """Copy the script of the map that is chosen: a command of napari."""
    from napari_4dstem.gui.explorer.dock import Explorer

    explorer = docks.find(viewer, Explorer)
    layer = explorer.chosen_map() if explorer is not None else active_layer(viewer)
    show_info(copy_script_of(layer))


def is_map(layer: Layer | None) -> bool:
    """Whether a layer is a map that we made."""
    return layer is not None and MAP_KEY in layer.metadata


def copy_script_of(layer: Layer | None) -> str:
    """Copy the Python that makes a map again, and return what to say about it."""
    if layer is None or not is_map(layer):
        return NO_MAP
    record = layer.metadata[MAP_KEY]
    if record is None:
        return f"No script: {layer.name} is not exact yet, or cannot be made"
    clipboard = QApplication.clipboard()
    assert clipboard is not None
    clipboard.setText(script_of(record, layer.name))
    return f"Script of {layer.name} copied"
