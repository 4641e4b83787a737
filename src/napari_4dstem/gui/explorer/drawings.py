"""Layers that detectors are drawn in: new ones, and what tells of their changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels, Points, Shapes

from napari_4dstem.gui.explorer import circles

if TYPE_CHECKING:
    from napari.layers import Image, Layer

COLORS = {"gray": "white", "red": "red", "green": "lime", "blue": "#4d7dff",
          "yellow": "yellow", "magenta": "magenta", "cyan": "cyan"}  # fmt: skip
KINDS = ("Disk", "Ring", "Rectangle", "Polygon", "Point", "Brush")
# The usual detectors: inner and outer radius in parts of the bright-field disk's.
PRESETS = {"BF": (0.0, 1.0), "ABF": (0.5, 1.0), "ADF": (1.2, 3.0), "HAADF": (3.0, 6.0)}
# What tells of a change of a drawing, whatever kind of layer it is.
CHANGES = ("set_data", "translate", "data", "paint", "labels_update")


def new_drawing(
    kind: str,
    name: str,
    color: str,
    pattern: Image,
    disk: tuple[tuple[float, float], float],
) -> Layer:
    """Return a layer with a detector, ready for the mouse.

    Parameters
    ----------
    kind : str
        One of `KINDS` or `PRESETS`.
    name, color : str
    pattern : Image
        What it is drawn on.
    disk : ((ky, kx), float)
        Center and radius of the bright-field disk: where it is put.
    """
    height, width = pattern.data.shape
    middle, radius = disk
    axes = {
        "name": name,
        "scale": pattern.scale,
        "translate": pattern.translate,
        "units": pattern.units,
    }
    thin = max(width / 150, 0.2)
    look = {"edge_color": color, "edge_width": thin, "face_color": "transparent"}
    if kind in ("Disk", "Ring", *PRESETS):
        inner, outer = {"Disk": (0, 1), "Ring": (1.25, 2.5), **PRESETS}[kind]
        radii = [share * radius for share in (outer, inner) if share]
        drawing = Shapes(
            [circles.circle(middle, r) for r in radii],
            shape_type="ellipse", **axes, **look,
        )  # fmt: skip
        circles.make_movable(drawing)
        return drawing
    if kind == "Rectangle":
        drawing = Shapes(
            [circles.circle(middle, radius)], shape_type="rectangle",
            **axes, **look,
        )  # fmt: skip
        drawing.mode = "select"
        drawing.selected_data = {0}
        return drawing
    if kind == "Polygon":
        drawing = Shapes([], ndim=2, **axes, **look)
        drawing.mode = "add_polygon"
        return drawing
    if kind == "Point":
        drawing = Points(
            [middle], size=4 * thin, face_color=color, border_width=0, **axes
        )
        drawing.mode = "select"
        return drawing
    drawing = Labels(np.zeros((height, width), np.uint8), opacity=0.5, **axes)
    drawing.brush_size = max(round(width / 32), 1)
    drawing.mode = "paint"
    return drawing


def connect(layer: Layer, callback: Callable[[Any], None]) -> None:
    """Call a function at every change of a drawing."""
    for name in CHANGES:
        if hasattr(layer.events, name):
            getattr(layer.events, name).connect(callback)


def disconnect(layer: Layer, callback: Callable[[Any], None]) -> None:
    """Call it no longer."""
    for name in CHANGES:
        if hasattr(layer.events, name):
            getattr(layer.events, name).disconnect(callback)


def clear(layer: Labels) -> None:
    """Erase all that is painted."""
    layer.data = np.zeros_like(layer.data)
