"""Disks and rings that the mouse moves and resizes, and the probe that it drags.

A circle is an ellipse of a layer of shapes; a ring is two around one center. In the
mode in which the mouse moves the canvas, it takes hold of what it is on: an edge
changes the radius, the inside moves all of it, and next to it the canvas moves.
"""

from __future__ import annotations

import gc
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from napari.layers import Layer, Points, Shapes
    from numpy.typing import NDArray

# How far from an edge the mouse still means it, on the screen.
REACH_PX = 5
LEAST_RADIUS = 0.5
CORNERS = np.array([[-1, -1], [-1, 1], [1, 1], [1, -1]], np.float64)


def circle(center: Any, radius: float) -> NDArray[np.float64]:
    """Return the corners of the box around a circle, as shapes layers want them."""
    return CORNERS * radius + np.asarray(center, np.float64)


def circles_of(layer: Shapes) -> list[tuple[NDArray[np.float64], float]]:
    """Return center and radius of each circle, in the pixels of the layer."""
    found = []
    for corners in layer.data:
        corners = np.asarray(corners)[:, -2:]
        center = corners.mean(axis=0)
        found.append((center, float(np.abs(corners - center).max(axis=0).mean())))
    return found


def make_movable(layer: Shapes) -> None:
    """Let the mouse move and resize the circles of a layer."""
    layer.mouse_drag_callbacks.append(drag_circles)
    layer.mouse_move_callbacks.append(hover_circles)


def is_movable(layer: Layer) -> bool:
    """Whether the mouse moves and resizes circles of a layer."""
    return drag_circles in layer.mouse_drag_callbacks


def hit(layer: Shapes, event: Any) -> int | None:
    """Return the circle whose edge is meant; −1: inside of one, None: outside."""
    at = np.asarray(layer.world_to_data(event.position))[-2:]
    reach = REACH_PX / event.camera_zoom / layer.scale[-1]
    edges = [
        (abs(np.hypot(*(at - center)) - radius), number)
        for number, (center, radius) in enumerate(circles_of(layer))
    ]
    if not edges:
        return None
    nearest, number = min(edges)
    if nearest <= reach:
        return number
    inside = any(np.hypot(*(at - c)) < r for c, r in circles_of(layer))
    return -1 if inside else None


def hover_circles(layer: Shapes, event: Any) -> None:
    """Let the canvas rest while the mouse is on a circle."""
    if layer.mode == "pan_zoom":
        layer.mouse_pan = hit(layer, event) is None


@contextmanager
def _no_collection() -> Iterator[None]:
    """Let no garbage be collected: with all that napari imports it takes 0.3 s."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _places(event: Any) -> Iterator[bool]:
    """Stop at each place of a mouse that moves, and at the last, where it is let go.

    Yields
    ------
    bool
        Whether there is another one to wait for.
    """
    is_moved = False
    while event.type == "mouse_move":
        is_moved = True
        yield True
    if is_moved:
        yield False  # the last moves may have come too fast for events of their own


def drag_circles(layer: Shapes, event: Any) -> Generator[None]:
    """Move or resize circles while the button is down."""
    if layer.mode != "pan_zoom" or event.button != 1:
        return
    part = hit(layer, event)
    if part is None:
        return
    layer.mouse_pan = False
    with _no_collection():
        yield from _moved_by(layer, event, part)
    layer.mouse_pan = True


def _moved_by(layer: Shapes, event: Any, part: int) -> Generator[None]:
    circles = circles_of(layer)
    began = np.asarray(event.position)[-2:]
    base = np.array(layer.translate)
    yield
    moved = np.zeros(2)
    for goes_on in _places(event):
        if part < 0:
            # A layer that is moved is drawn sooner than shapes that are.
            moved = np.asarray(event.position)[-2:] - began
            layer.translate = base + moved
        else:
            at = np.asarray(layer.world_to_data(event.position))[-2:]
            radius = float(np.hypot(*(at - circles[part][0])))
            _draw(layer, base, _resized(circles, part, radius))
        if goes_on:
            yield
    if moved.any():
        shift = moved / layer.scale[-2:]
        _draw(layer, base, [circle(center + shift, r) for center, r in circles])


def _draw(layer: Shapes, translate: Any, shapes: list[Any]) -> None:
    """Renew shapes. Each of their many events draws them: the last is enough."""
    with layer.events.blocker_all():
        layer.translate = translate
        layer.data = shapes
    layer.refresh()


def _resized(circles: list[Any], part: int, radius: float) -> list[Any]:
    radii = [r for _, r in circles]
    others = [r for i, r in enumerate(radii) if i != part]
    low = max((r for r in others if r < radii[part]), default=0) + LEAST_RADIUS
    high = min((r for r in others if r > radii[part]), default=np.inf) - LEAST_RADIUS
    radii[part] = min(max(radius, min(low, high)), high)
    return [circle(center, r) for (center, _), r in zip(circles, radii, strict=True)]


def drag_probe(layer: Points, event: Any) -> Generator[None]:
    """Put the probe where the mouse is while the button is down."""
    if layer.mode != "pan_zoom" or event.button != 1:
        return
    layer.mouse_pan = False
    with _no_collection():
        put_probe(layer, layer.world_to_data(event.position))
        yield
        for goes_on in _places(event):
            put_probe(layer, layer.world_to_data(event.position))
            if goes_on:
                yield
    layer.mouse_pan = True


def put_probe(layer: Points, position: Any) -> None:
    """Move the probe to the scan position nearest to some place."""
    at = np.rint(np.asarray(position)[-2:])
    if len(layer.data) != 1 or (layer.data[0] != at).any():
        layer.data = at[np.newaxis]
