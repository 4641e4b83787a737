"""Detectors of the Explorer: what is drawn, in which color, and what its map shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels, Points, Shapes

from napari_4dstem.analysis.vector_maps import angle, magnitude
from napari_4dstem.gui.explorer import circles

if TYPE_CHECKING:
    from napari.layers import Image, Layer

    from napari_4dstem.analysis.detectors import Detector

# What a map shows: the quantity of the engine, and what is made of it.
REDUCTIONS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "Sum": ("sum", lambda image: image),
    "Maximum": ("max", lambda image: image),
    "Centre of mass, y": ("com", lambda com: com[..., 0]),
    "Centre of mass, x": ("com", lambda com: com[..., 1]),
    "Shift, magnitude": ("com", lambda com: magnitude(_shifts(com))),
    "Shift, angle": ("com", lambda com: angle(_shifts(com))),
}
COLORS = {"gray": "white", "red": "red", "green": "lime", "blue": "#4d7dff",
          "yellow": "yellow", "magenta": "magenta", "cyan": "cyan"}  # fmt: skip
KINDS = ("Disk", "Ring", "Rectangle", "Polygon", "Point", "Brush")
# The usual detectors: inner and outer radius in parts of the bright-field disk's.
PRESETS = {"BF": (0.0, 1.0), "ABF": (0.5, 1.0), "ADF": (1.2, 3.0), "HAADF": (3.0, 6.0)}
# What tells of a change of a drawing, whatever kind of layer it is.
CHANGES = ("set_data", "translate", "data", "paint", "labels_update")


@dataclass(eq=False)
class Entry:
    """A detector: what is drawn on the pattern, and its map of the scan.

    Attributes
    ----------
    drawing : Shapes, Points or Labels
        In the viewer of the pattern.
    image : Image
        In the viewer of the scan.
    reduction : str
        One of `REDUCTIONS`.
    detector : Detector or None
        As it was drawn last; None while it holds no pixel.
    is_exact : bool
        Whether the map is that of the detector, and no preview of it.
    follows : bool
        Whether the contrast follows the map: until somebody sets it.
    """

    drawing: Layer
    image: Image
    reduction: str = "Sum"
    detector: Detector | None = None
    is_exact: bool = False
    follows: bool = True


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


def _shifts(com: Any) -> Any:
    """Return centers of mass from their mean."""
    known = com[np.isfinite(com).all(axis=-1)]
    return com - known.mean(axis=0) if len(known) else com
