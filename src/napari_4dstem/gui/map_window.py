"""Where maps of the scan are shown.

A map lies along the last two axes of a layer of four: in one window both share the
canvas, and napari has no use for the units of either where these differ. Then maps get
a window of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import napari

from napari_4dstem.gui.com_outputs import set_limits
from napari_4dstem.script import MAP_KEY as MAP_KEY

if TYPE_CHECKING:
    from napari.layers import Image, Layer
    from napari.viewer import Viewer

# between the pattern and a map beside it, in parts of the pattern
GAP = 0.1

_windows: WeakKeyDictionary[Any, Viewer] = WeakKeyDictionary()


def shares_units(image: Image) -> bool:
    """Whether maps of the scan have the units of the pattern."""
    return bool(image.units[:2] == image.units[2:])


def window_of_maps(viewer: Viewer, name: str) -> Viewer:
    """Return the window for the maps of another window; it is opened if there is none.

    Parameters
    ----------
    viewer : Viewer
        Where the scan is.
    name : str
        Of the scan, for the title.
    """
    window = _windows.get(viewer)
    if window is None or not _is_open(window):
        window = napari.Viewer(title=f"Maps of {name}")
        window.canvas.overlays.scale_bar.visible = True
        _windows[viewer] = window
    return window


def add_map(
    viewer: Viewer,
    image: Image,
    data: Any,
    options: dict[str, Any],
    limits: tuple[float, float] | None = None,
) -> Layer:
    """Add a map of the scan, or renew the one of the same name that we made.

    Parameters
    ----------
    viewer : Viewer
        Where it goes. Beside the scan, if that is there as well.
    image : Image
        The scan, for scale and units.
    data : array
    options : dict
        As ``viewer.add_image`` takes them: name, metadata, colors.
    limits : (float, float), optional
        Of the contrast, where its colors ask for them.
    """
    scale, translate = image.scale[:2], image.translate[:2]
    if image in viewer.layers:
        pattern = image.extent.world[:, -2:]
        right = pattern[1, 1] + GAP * (pattern[1, 1] - pattern[0, 1])
        translate = (pattern[0, 0], right + scale[1])
    for layer in viewer.layers:
        is_ours = MAP_KEY in layer.metadata and layer.name == options["name"]
        if is_ours and layer.data.shape == data.shape:
            layer.data = data
            layer.metadata = options["metadata"]
            if limits is None:
                layer.reset_contrast_limits()
            else:
                set_limits(layer, *limits)
            return layer
    axes = {"scale": scale, "translate": translate, "units": image.units[:2]}
    layer = viewer.add_image(data, **axes, axis_labels=("y", "x"), **options)
    if limits is not None:
        set_limits(layer, *limits)
    return layer


def _is_open(viewer: Viewer) -> bool:
    """Whether somebody can see a window."""
    try:
        viewer.window.geometry()
    except (AttributeError, RuntimeError):  # napari, or Qt, has deleted it
        return False
    return True
