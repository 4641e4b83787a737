"""What the mouse takes hold of, whatever layer is active.

napari asks the viewer before it asks the active layer: who is made active there gets
the press.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Points, Shapes

from napari_4dstem.gui.explorer import circles

if TYPE_CHECKING:
    from napari.layers import Layer

# Modes in which a press on nothing is free; in all others it draws something.
RESTING = ("pan_zoom", "select", "direct")
# How far from the middle of the cross the mouse still means it, on the screen.
PROBE_REACH_PX = 10


def is_free(active: Layer | None, event: Any) -> bool:
    """Whether the active layer has no use for a press of the mouse."""
    if active is None or active.mode == "pan_zoom":
        return True
    return active.mode in RESTING and not _is_on(active, event)


def grip(drawing: Layer, event: Any) -> float | None:
    """Return how large what the mouse is on is; 0 on an edge, None beside all."""
    if not drawing.visible or drawing.mode not in RESTING:
        return None
    if circles.is_movable(drawing):
        part = circles.hit(drawing, event)
        if part is None:
            return None
        radii = [radius for _, radius in circles.circles_of(drawing)]
        return max(radii) if part < 0 else 0.0
    if isinstance(drawing, (Points, Shapes)) and _is_on(drawing, event):
        return max(float(np.ptp(part, axis=0).max()) for part in drawing.data) / 2
    return None


def is_at_probe(probe: Points, event: Any) -> bool:
    """Whether the mouse is on the cross, or next to it."""
    if not probe.visible or not len(probe.data):
        return False
    away = np.asarray(probe.world_to_data(event.position))[-2:] - probe.data[0]
    pixels = np.hypot(*(away * probe.scale[-2:])) * event.camera_zoom
    half = float(probe.size[0]) / 2 * probe.scale[-1] * event.camera_zoom
    return bool(pixels <= max(PROBE_REACH_PX, half))


def _is_on(layer: Layer, event: Any) -> bool:
    value = layer.get_value(event.position, world=True)
    return any(v is not None for v in (value if isinstance(value, tuple) else (value,)))
