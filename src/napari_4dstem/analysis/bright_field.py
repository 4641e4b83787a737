"""The bright-field disk: where the undiffracted beam falls on the detector."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_4dstem.analysis.disk_search import Level, clips, levels, search
from napari_4dstem.errors import FormatError, ParameterError, ShapeError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

MIN_SIDE_PX = 8

# Width of the edge that is looked for: a part of the radius, within bounds in pixels.
EDGE_WIDTH, EDGE_WIDTH_PX = 0.06, (1.0, 4.0)
SAMPLES_PER_PX = 2
LEAST_RADIUS = 5.0  # of a disk on a binned frame
MAX_ROUNDS = 12
CONVERGED_PX = 1e-3
RAYS = (64, 4096)

# Rays on which the step is less than this part of the usual one do not count: there a
# beam stop hides the disk, or a diffracted disk joins it.
LEAST_STEP = 0.5
SECTORS = 24  # over one of which the steps are smoothed
BRIGHTEST = 3.0  # times the usual brightness inside: brighter pixels are hot

# What a disk must be, so that slopes, stripes and single bright pixels are none.
LEAST_CONTRAST = 0.1  # step at the edge, as a part of the brightness inside
LEAST_SIGNIFICANCE = 8.0  # that step by its error
LEAST_SHARPNESS = 0.58  # that step by the one over twice the width: 0.5 for a slope
LEAST_ARC = 0.15  # part of the circle on the frame

# Of what is found in the frame as it is and with its bright pixels clipped, the second
# is taken if it is so much better: then the first is a bright spot within it.
CLEARLY = 1.3


@dataclass(frozen=True)
class BrightFieldDisk:
    """A disk on the detector.

    Attributes
    ----------
    center : (ky, kx)
        In pixels; may lie outside of the frame.
    radius : float
        In pixels, to where the edge is steepest.
    """

    center: tuple[float, float]
    radius: float


def find_bright_field_disk(frame: ArrayLike) -> BrightFieldDisk:
    """Find the bright-field disk in a frame, to a part of a pixel.

    First the circle is searched across which the brightness drops most, over all
    positions and radii, also with bright spots clipped. It is then moved to where the
    drop is steepest, on all rays together. A part of the circle is enough: the disk may
    be cut by the border of the frame or hidden by a beam stop, and disks of diffracted
    beams may overlap it. Single hot and dead pixels do no harm.

    Parameters
    ----------
    frame : array, shape (ky, kx)
        Best the mean or sum of many frames, or a frame in vacuum, without an offset of
        the camera: it has to be darker outside. NaN counts as dark.

    Returns
    -------
    BrightFieldDisk
        With ``center`` and ``radius``.

    Raises
    ------
    FormatError
        If there is no disk.
    ShapeError
        If this is no frame of two axes with 8 or more pixels each.

    Notes
    -----
    Written for this package; the search is a matched filter over circles, a form of the
    Hough transform.
    """
    pixels = _pixels(frame)
    stack = levels(pixels)
    best: NDArray[np.float64] | None = None
    best_worth = 0.0
    reason = "it holds noise, single pixels, or nothing"
    for clip in clips(stack):
        circle = _found(pixels, stack, clip)
        if circle is None:
            continue
        try:
            worth = _contrast(pixels, circle) * math.sqrt(circle[2])
        except _NotADiskError as error:
            reason = str(error)
            continue
        if worth > CLEARLY * best_worth:
            best, best_worth = circle, worth
    if best is None:
        raise FormatError(
            None,
            f"there is no bright-field disk in this frame: {reason}",
            hint="Use the mean of many frames with the dark frame subtracted, or give"
            " center and radius.",
        )
    y, x, radius = (float(value) for value in best)
    return BrightFieldDisk((y, x), radius)


class _NotADiskError(Exception):
    """Why a circle is not the edge of a disk."""


def _found(
    pixels: NDArray[Any], stack: list[Level], clip: float
) -> NDArray[np.float64] | None:
    found = search(stack, clip)
    if found is None:
        return None
    circle, number = found
    for level in reversed(stack[: number + 1]):
        if level.factor > stack[0].factor and circle[2] < LEAST_RADIUS * level.factor:
            continue  # the middle of the disk would be as near as its edge
        clipped = np.minimum(level.image, clip)
        circle = level.to_frame(_steepest(clipped, level.to_level(circle), 1.0))
    return _steepest(pixels, circle, _edge_width(circle))


def _pixels(frame: ArrayLike) -> NDArray[Any]:
    pixels = np.asarray(frame)
    if pixels.dtype.kind not in "buif":
        raise ParameterError(
            None,
            "frame",
            "this is no frame",
            expected="an array of real numbers",
            found=f"an array of {pixels.dtype}",
        )
    if pixels.ndim != 2 or min(pixels.shape) < MIN_SIDE_PX:
        raise ShapeError(
            None,
            "the bright-field disk cannot be looked for in this",
            expected=f"a frame (ky, kx) with {MIN_SIDE_PX} or more pixels each",
            found=pixels.shape,
        )
    if pixels.dtype.kind == "f":
        return np.nan_to_num(pixels.astype(np.float64), posinf=0.0, neginf=0.0)
    return pixels


def _edge_width(circle: NDArray[np.float64]) -> float:
    return float(np.clip(EDGE_WIDTH * circle[2], *EDGE_WIDTH_PX))


def _steepest(
    image: NDArray[Any], circle: NDArray[np.float64], width: float
) -> NDArray[np.float64]:
    """Move a circle to where the brightness drops most, by Newton's method.

    The drop on a ray is its product with the derivative of a Gaussian, along the ray
    only: across, a circle would come out too small.
    """
    reach = math.ceil(4 * width * SAMPLES_PER_PX)
    offsets = np.arange(-reach, reach + 1) / SAMPLES_PER_PX
    scaled = offsets / width
    bell = np.exp(-(scaled**2) / 2)
    # What the drop, its slope and its curvature are products with, as the circle grows
    drop = -scaled * bell
    slope = -(scaled**2 - 1) * bell / width
    curvature = scaled * (3 - scaled**2) * bell / width**2
    for _ in range(MAX_ROUNDS):
        angles, values, on_frame = _along_rays(image, circle, offsets)
        whole = on_frame.all(axis=1)
        if not whole.any():
            break
        angles, values = angles[whole], _without_hot(values[whole], offsets)
        steps = _smooth(values @ drop)
        counts = steps >= LEAST_STEP * np.percentile(steps, 75)
        # A ray feels a move of the center along itself, and any growth.
        feels = np.stack((np.sin(angles), np.cos(angles), np.ones_like(angles)))
        gradient = feels @ (counts * (values @ slope))
        hessian = (feels * (counts * (values @ curvature))) @ feels.T
        strengths, directions = np.linalg.eigh(hessian)
        # Uphill in any case, also where this is no peak yet
        strengths = np.maximum(np.abs(strengths), 1e-3 * np.abs(strengths).max())
        if not strengths.all():
            break
        step = directions @ (directions.T @ gradient / strengths)
        length = float(np.linalg.norm(step))
        circle = circle + step * min(1, width / length) if length else circle
        circle[2] = max(circle[2], 0.5)
        if length < CONVERGED_PX:
            break
    return circle


def _along_rays(
    image: NDArray[Any], circle: NDArray[np.float64], offsets: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Return angles of rays, brightness along them near the circle, what is on frame.

    Shapes (rays,), (rays, offsets), (rays, offsets); brightness is interpolated.
    """
    radius = float(circle[2])
    count = int(np.clip(math.ceil(2 * math.pi * radius), *RAYS))
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
    along = radius + offsets
    y = circle[0] + np.sin(angles)[:, None] * along
    x = circle[1] + np.cos(angles)[:, None] * along
    height, width = image.shape
    on_frame = (y >= 0) & (y <= height - 1) & (x >= 0) & (x <= width - 1)
    y, x = np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)
    row = np.minimum(y.astype(np.intp), height - 2)
    column = np.minimum(x.astype(np.intp), width - 2)
    y, x = y - row, x - column
    values = (1 - y) * ((1 - x) * image[row, column] + x * image[row, column + 1])
    values += y * ((1 - x) * image[row + 1, column] + x * image[row + 1, column + 1])
    return angles, values, on_frame


def _without_hot(
    values: NDArray[np.float64], offsets: NDArray[np.float64]
) -> NDArray[np.float64]:
    usual = np.percentile(values[:, offsets < 0].mean(axis=1), 75)
    return np.minimum(values, BRIGHTEST * usual) if usual > 0 else values


def _smooth(around: NDArray[np.float64]) -> NDArray[np.float64]:
    """Running mean over a sector of rays."""
    reach = len(around) // (2 * SECTORS)
    if not reach:
        return around
    closed = np.concatenate((around[-reach:], around, around[:reach]))
    sums = np.cumsum(np.concatenate(((0.0,), closed)))
    means: NDArray[np.float64] = (sums[2 * reach + 1 :] - sums[: -2 * reach - 1]) / (
        2 * reach + 1
    )
    return means


def _contrast(image: NDArray[Any], circle: NDArray[np.float64]) -> float:
    """Return the step at the edge of a disk, as a part of the brightness inside.

    Raises
    ------
    _NotADiskError
        If this is not the edge of a disk.
    """
    radius = float(circle[2])
    reach = max(2.0, 0.15 * radius)
    step, bright, seen = _steps(image, circle, reach)
    if seen < LEAST_ARC:
        raise _NotADiskError("its edge is not on the frame")
    # Rays that are closer than pixels tell nothing new.
    independent = min(len(step), 2 * math.pi * radius * seen)
    error = step.std() / math.sqrt(independent)
    if step.mean() < LEAST_SIGNIFICANCE * error:
        raise _NotADiskError("no edge stands out all around")
    if step.mean() < LEAST_CONTRAST * abs(bright):
        raise _NotADiskError("it is about as bright everywhere")
    wide, _, seen = _steps(image, circle, 2 * reach)
    if seen and step.mean() < LEAST_SHARPNESS * wide.mean():
        raise _NotADiskError("its brightness falls off slowly, without an edge")
    return float(step.mean() / bright)


def _steps(
    image: NDArray[Any], circle: NDArray[np.float64], reach: float
) -> tuple[NDArray[np.float64], float, float]:
    """Compare what is within reach inside and outside of a circle.

    Returns the step of brightness on each ray, the mean brightness inside, and the part
    of the circle that is on the frame.
    """
    offsets = reach * (np.arange(24) - 11.5) / 12
    _, values, on_frame = _along_rays(image, circle, offsets)
    inside, outside = on_frame & (offsets < 0), on_frame & (offsets > 0)
    seen = (inside.sum(axis=1) >= 4) & (outside.sum(axis=1) >= 4)
    if not seen.any():
        return np.zeros(0), 0.0, 0.0
    values = _without_hot(values[seen], offsets)
    bright, dark = (
        (values * side[seen]).sum(axis=1) / side[seen].sum(axis=1)
        for side in (inside, outside)
    )
    return bright - dark, float(bright.mean()), float(seen.mean())
