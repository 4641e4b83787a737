"""Opens the Explorer: for a button, for the terminal, or by itself."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import napari
from qtpy.QtCore import QTimer

from napari_4dstem.gui import docks, notices, preferences
from napari_4dstem.layers import METADATA_KEY

if TYPE_CHECKING:
    from napari.layers import Image
    from napari.viewer import Viewer

    from napari_4dstem.dataset import Dataset
    from napari_4dstem.gui.explorer.dock import Explorer

TITLE = "4D-STEM Explorer"

# What comes within this time after a scan that opened by itself came with it.
TOGETHER_S = 1.0

# What came in, and opens as soon as napari has made layers of it.
_waiting: list[weakref.ref[Dataset]] = []
_opened_at = -TOGETHER_S
_heeds_preference = True


def open_explorer(viewer: Viewer, layer: Image | None = None) -> Explorer:
    """Bring up the Explorer of a window.

    Parameters
    ----------
    viewer : Viewer
    layer : Image, optional
        To be opened there. Without one an Explorer that was not there takes the layer
        that is selected, if that is a scan.
    """
    explorer = docks.bring_up(viewer, _kind(), TITLE)
    if layer is not None and layer is not explorer.controller.layer:
        explorer.open(layer)
    return explorer


def offer(ds: Dataset) -> Callable[[], object] | None:
    """Return what opens a data set in the Explorer, for a button.

    Returns
    -------
    callable or None
        None if there is no window; or if the data set opens by itself, because the
        user prefers that or the Explorer is there and empty. Of several that come
        together, this holds for the first. It keeps nothing alive.
    """
    viewer = napari.current_viewer()
    if viewer is None or not docks.is_seen():
        return None
    explorer = docks.find(viewer, _kind())
    is_empty = explorer is not None and explorer.controller.ds is None
    is_late = time.monotonic() - _opened_at < TOGETHER_S
    heeds = _heeds_preference and not is_late
    if not is_empty and not (heeds and preferences.read().open_on_load):
        return partial(_open, weakref.ref(ds), ds.name)
    if not _waiting:
        QTimer.singleShot(0, _open_first)
    _waiting.append(weakref.ref(ds))
    return None


@contextmanager
def whatever_is_preferred() -> Iterator[None]:
    """Let nothing open by itself meanwhile, unless an empty Explorer waits for it."""
    global _heeds_preference
    _heeds_preference = False
    try:
        yield
    finally:
        _heeds_preference = True


def _open_first() -> None:
    """Open the first of those that came in together; the Explorer lists the others."""
    global _opened_at
    if _waiting:
        first = _waiting[0]
        _waiting.clear()
        _open(first)
        _opened_at = time.monotonic()


def _open(reference: weakref.ref[Dataset], name: str = "") -> None:
    ds, viewer = reference(), napari.current_viewer()
    if viewer is None:
        return
    explorer = docks.find(viewer, _kind())
    layers = viewer.layers if explorer is None else explorer.scans.layers
    layer = next((each for each in layers if _shows(each, ds)), None)
    if layer is not None:
        open_explorer(viewer, layer)
    elif name:
        notices.show_error(f"{name} is not among the layers of this window any more")


def _shows(layer: Any, ds: Dataset | None) -> bool:
    return ds is not None and getattr(layer, "metadata", {}).get(METADATA_KEY) is ds


def _kind() -> type[Explorer]:
    # Its canvas needs OpenGL, which a script that opens a file may not have.
    from napari_4dstem.gui.explorer.dock import Explorer

    return Explorer
