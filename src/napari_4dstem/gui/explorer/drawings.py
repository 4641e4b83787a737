"""Layers that detectors are drawn in: new ones, and what tells of their changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels, Points, Shapes
from napari.utils import DirectLabelColormap

from napari_4dstem.analysis.detectors import (
    Annulus,
    Detector,
    Disk,
    Mask,
    Point,
    Polygon,
    Rectangle,
)
from napari_4dstem.gui.explorer import circles

if TYPE_CHECKING:
    from napari.layers import Image, Layer

COLORS = {"gray": "white", "red": "red", "green": "lime", "blue": "#4d7dff",
          "yellow": "yellow", "magenta": "magenta", "cyan": "cyan"}  # fmt: skip
KINDS = ("Disk", "Ring", "Rectangle", "Polygon", "Point", "Brush")
# The usual detectors: inner and outer radius in parts of the bright-field disk's.
PRESETS = {"BF": (0.0, 1.0), "ABF": (0.5, 1.0), "ADF": (1.2, 3.0), "HAADF": (3.0, 6.0)}
LEAST_DRAWN = 1e-3  # pixels
# What tells of a change of a drawing, whatever kind of layer it is.
CHANGES = ("set_data", "translate", "data", "paint", "labels_update")


def new_detector(
    kind: str, shape: tuple[int, int], disk: tuple[tuple[float, float], float]
) -> Detector | None:
    """Return the detector to begin with; None if it has to be drawn.

    Parameters
    ----------
    kind : str
        One of `KINDS` or `PRESETS`.
    shape : (int, int)
        Of the pattern.
    disk : ((ky, kx), float)
        Center and radius of the bright-field disk: where it is put.
    """
    (y, x), radius = disk
    if kind in ("Disk", "Ring", *PRESETS):
        inner, outer = {"Disk": (0, 1), "Ring": (1.25, 2.5), **PRESETS}[kind]
        if not inner:
            return Disk((y, x), outer * radius)
        return Annulus((y, x), inner * radius, outer * radius)
    if kind == "Rectangle":
        return Rectangle((y - radius, x - radius), (y + radius, x + radius))
    if kind == "Point":
        return Point((y, x))
    return Mask(np.zeros(shape, bool)) if kind == "Brush" else None


def new_drawing(
    detector: Detector | None, name: str, color: Any, pattern: Image
) -> Layer:
    """Return a layer with a detector, ready for the mouse.

    Parameters
    ----------
    detector : Detector or None
        None: a polygon, to be drawn.
    name : str
    color : color
    pattern : Image
        What it is drawn on.

    Notes
    -----
    Layers of shapes keep 32-bit numbers, and labels no weights.
    """
    width = pattern.data.shape[1]
    axes = {
        "name": name,
        "scale": pattern.scale,
        "translate": pattern.translate,
        "units": pattern.units,
    }
    thin = max(width / 150, 0.2)
    if isinstance(detector, Mask):
        labels = (detector.array != 0).astype(np.uint8)
        paint = DirectLabelColormap(color_dict={0: "transparent", None: color})
        drawing = Labels(labels, opacity=0.5, colormap=paint, **axes)
        drawing.brush_size = max(round(width / 32), 1)
        drawing.mode = "paint"
        return drawing
    if isinstance(detector, Point):
        drawing = Points(
            [detector.position], size=4 * thin, face_color=color, border_width=0, **axes
        )
        drawing.mode = "select"
        return drawing
    kind, shapes = _shapes(detector)
    drawing = Shapes(
        shapes, ndim=2, shape_type=kind, edge_color=color, edge_width=thin,
        face_color="transparent", **axes,
    )  # fmt: skip
    if kind == "ellipse":
        circles.make_movable(drawing)
    elif shapes:
        drawing.mode = "select"
        drawing.selected_data = {0}
    else:
        drawing.mode = "add_polygon"
    return drawing


def _shapes(detector: Detector | None) -> tuple[str, list[Any]]:
    """Return what the shapes of a detector are, and their corners."""
    if isinstance(detector, Disk):
        return "ellipse", [_circle(detector.center, detector.radius)]
    if isinstance(detector, Annulus):
        radii = detector.outer, detector.inner
        return "ellipse", [_circle(detector.center, radius) for radius in radii]
    if isinstance(detector, Rectangle):
        (y0, x0), (y1, x1) = detector.corner, detector.opposite
        return "rectangle", [[(y0, x0), (y0, x1), (y1, x1), (y1, x0)]]
    if isinstance(detector, Polygon):
        return "polygon", [np.array(detector.vertices)]
    return "polygon", []


def _circle(center: tuple[float, float], radius: float) -> Any:
    # An ellipse without a size cannot be drawn.
    return circles.circle(center, max(radius, LEAST_DRAWN))


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
