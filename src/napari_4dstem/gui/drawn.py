"""What is drawn in napari, as a virtual detector or a region of the scan.

Layers have places in the world; detectors have theirs in the pixels of the data that
they are for. Only the last two axes of a drawing count: one that was made while a
layer of four axes was shown belongs to no position of the scan.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels, Points, Shapes

from napari_4dstem.analysis.detectors import (
    Annulus,
    Detector,
    Disk,
    Mask,
    Point,
    Polygon,
    Rectangle,
)
from napari_4dstem.errors import FormatError

if TYPE_CHECKING:
    from napari.layers import Labels, Layer, Shapes
    from numpy.typing import NDArray

# Of a pixel: where a mouse puts two things that are meant to be alike.
SAME_PX = 0.05
AREAS = ("ellipse", "rectangle", "polygon")
# Of a pixel: finer than napari keeps shapes, coarser than what the way through the
# world adds. So what is drawn is the same detector in any calibration.
GRAIN_PX = 2.0**-30


def drawn_detector(
    drawing: Layer, image: Layer, axes: tuple[int, int] = (-2, -1)
) -> Detector:
    """Return what is drawn as a detector.

    Parameters
    ----------
    drawing : Shapes, Points or Labels
        Shapes that overlap count once; one that lies inside of another is a hole.
        Labels above 0 count.
    image : Image
        In whose pixels the detector is.
    axes : tuple of int
        The axes of the image that the drawing lies in.

    Returns
    -------
    Detector
        A `Disk`, `Annulus`, `Rectangle`, `Polygon` or `Point` where it is one, else a
        `Mask`.

    Raises
    ------
    FormatError
        If nothing is drawn that has an area within the image.
    """
    shape = (image.data.shape[axes[0]], image.data.shape[axes[1]])
    if isinstance(drawing, Labels):
        found = _of_labels(drawing, image, axes, shape)
    elif isinstance(drawing, Points):
        found = [
            Point(tuple(at)) for at in _in_pixels(drawing.data, drawing, image, axes)
        ]
    elif isinstance(drawing, Shapes):
        found = _of_shapes(drawing, image, axes, shape)
    else:
        raise FormatError(
            None,
            f"the layer {drawing.name!r} cannot be a detector",
            expected="a layer of shapes, points or labels",
            found=type(drawing).__name__,
        )
    if not found:
        raise FormatError(
            None,
            f"nothing is drawn in the layer {drawing.name!r}",
            expected="a shape with an area, a point, or pixels that are painted",
            hint="Draw something there, and try again.",
        )
    detector = _as_one(found, shape)
    if not np.any(detector.mask(shape)):
        raise FormatError(
            None,
            f"what is drawn in the layer {drawing.name!r} holds no pixel",
            expected=f"something on the {shape[0]} × {shape[1]} pixels of"
            f" {image.name!r}",
            found=repr(detector)[:80],
        )
    return detector


def drawn_region(drawing: Layer, image: Layer) -> NDArray[np.bool_]:
    """Return what is drawn on the scan, as a region of interest.

    Parameters
    ----------
    drawing : Shapes, Points or Labels
    image : Image
        A map of the scan.

    Returns
    -------
    bool array, in the shape of the map
    """
    region = drawn_detector(drawing, image).mask(image.data.shape[-2:])
    return np.asarray(region != 0)


def _in_pixels(
    positions: Any, drawing: Layer, image: Layer, axes: tuple[int, int]
) -> NDArray[np.float64]:
    """Return positions in a drawing as ``(y, x)`` in the pixels of an image."""
    positions = np.atleast_2d(np.asarray(positions, np.float64))
    if not positions.size:
        return np.empty((0, 2))
    found = []
    for position in positions:
        world = np.zeros(image.ndim)
        world[list(axes)] = np.asarray(drawing.data_to_world(position))[-2:]
        found.append(np.asarray(image.world_to_data(world))[list(axes)])
    return np.rint(np.array(found) / GRAIN_PX) * GRAIN_PX


def _of_shapes(
    drawing: Shapes, image: Layer, axes: tuple[int, int], shape: tuple[int, int]
) -> list[Detector]:
    found: list[Detector] = []
    for kind, vertices in zip(drawing.shape_type, drawing.data, strict=True):
        if kind not in AREAS:
            continue  # a line has no area
        corners = _in_pixels(vertices, drawing, image, axes)
        if kind == "ellipse":
            found.append(_ellipse(corners, shape))
        elif kind == "rectangle" and _is_upright(corners):
            found.append(
                Rectangle(tuple(corners.min(axis=0)), tuple(corners.max(axis=0)))
            )
        else:
            found.append(Polygon(tuple(map(tuple, corners))))
    return found


def _is_upright(corners: NDArray[np.float64]) -> bool:
    sides = np.diff(corners, axis=0)
    return bool((np.abs(sides).min(axis=1) < SAME_PX).all())


def _ellipse(corners: NDArray[np.float64], shape: tuple[int, int]) -> Detector:
    """Return the ellipse in a box, from the corners of the box in order."""
    center = corners.mean(axis=0)
    halves = np.array([corners[1] - corners[0], corners[2] - corners[1]]) / 2
    lengths = np.hypot(*halves.T)
    if abs(lengths[0] - lengths[1]) < SAME_PX:
        return Disk((center[0], center[1]), float(lengths.mean()))
    if not lengths.all():
        return Mask(np.zeros(shape, bool))
    away = np.moveaxis(np.indices(shape), 0, -1) - center
    along = away @ (halves / lengths[:, np.newaxis] ** 2).T
    return Mask((along**2).sum(axis=-1) <= 1)


def _of_labels(
    drawing: Labels, image: Layer, axes: tuple[int, int], shape: tuple[int, int]
) -> list[Detector]:
    """Return the pixels of an image that lie on labels."""
    labels = np.asarray(drawing.data)
    while labels.ndim > 2:
        labels = labels.max(axis=0)  # painted at any position of the scan
    if not labels.any():
        return []
    world = np.zeros((*shape, image.ndim))
    world[..., list(axes)] = np.moveaxis(np.indices(shape), 0, -1)
    # All is linear, so that a corner and two steps tell where every pixel lies.
    corner, down, right = (
        np.asarray(
            drawing.world_to_data(
                np.asarray(image.data_to_world(_at(image.ndim, axes, yx)))[
                    -drawing.ndim :
                ]
            )
        )[-2:]
        for yx in ((0, 0), (1, 0), (0, 1))
    )
    y, x = np.indices(shape)[:, ..., np.newaxis]
    at = np.rint(corner + y * (down - corner) + x * (right - corner)).astype(np.intp)
    inside = ((at >= 0) & (at < labels.shape)).all(axis=-1)
    painted = np.zeros(shape, bool)
    painted[inside] = labels[tuple(at[inside].T)] > 0
    return [Mask(painted)]


def _at(ndim: int, axes: tuple[int, int], position: tuple[int, int]) -> NDArray[Any]:
    point = np.zeros(ndim)
    point[list(axes)] = position
    return point


def _as_one(detectors: list[Detector], shape: tuple[int, int]) -> Detector:
    """Return several as one: those inside of others are holes."""
    if len(detectors) == 1:
        return detectors[0]
    if ring := _ring(detectors):
        return ring
    masks = [np.asarray(d.mask(shape) != 0) for d in detectors]
    masks.sort(key=lambda mask: -int(mask.sum()))
    whole = np.zeros(shape, bool)
    for mask in masks:
        if mask.any() and not (mask & ~whole).any():
            whole &= ~mask
        else:
            whole |= mask
    return Mask(whole)


def _ring(detectors: list[Detector]) -> Annulus | None:
    """Return the ring between two circles, if that is what it is."""
    if len(detectors) != 2 or not all(isinstance(d, Disk) for d in detectors):
        return None
    inner, outer = sorted(detectors, key=lambda disk: disk.radius)  # type: ignore[attr-defined]
    assert isinstance(inner, Disk)
    assert isinstance(outer, Disk)
    if np.hypot(*np.subtract(inner.center, outer.center)) > SAME_PX:
        return None
    return Annulus(outer.center, inner.radius, outer.radius)
