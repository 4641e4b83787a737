"""Virtual detectors: geometry on the detector, and the mask made from it.

Lengths and positions are in detector pixels, y before x; pixel ``j`` covers
``j - 1/2`` to ``j + 1/2``. A detector may lie anywhere, also outside of the frame.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from napari_4dstem.engine.arguments import as_array
from napari_4dstem.errors import ParameterError, ShapeError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

Position = tuple[float, float]

FAR_PX = 1e100  # nobody means a position beyond it; its square is still a number


class Detector(ABC):
    """Something that gives a mask for frames of a shape."""

    @abstractmethod
    def mask(self, sig_shape: Sequence[int]) -> NDArray[np.bool_] | NDArray[np.float64]:
        """Pixels that count, or the weight of each.

        Parameters
        ----------
        sig_shape : sequence of int
            Shape of a frame.

        Returns
        -------
        bool array or float64 array, shape sig_shape
        """


@dataclass(frozen=True)
class Point(Detector):
    """The pixel nearest to a position.

    Halfway between two pixels it is the one further down or right. Nothing where the
    position lies outside of the frame.

    Parameters
    ----------
    position : (ky, kx)
        In pixels.
    """

    position: Position

    def __post_init__(self) -> None:
        _set_positions(self, "position")

    def mask(self, sig_shape: Sequence[int]) -> NDArray[np.bool_]:
        """Pixels that count: bool array of shape ``sig_shape``."""
        mask = np.zeros(_two_axes(self, sig_shape), np.bool_)
        ky, kx = (math.floor(k + 0.5) for k in self.position)
        if 0 <= ky < mask.shape[0] and 0 <= kx < mask.shape[1]:
            mask[ky, kx] = True
        return mask


@dataclass(frozen=True)
class Disk(Detector):
    """Pixels with ``r² <= radius²``, r from the center.

    Parameters
    ----------
    center : (ky, kx)
        In pixels.
    radius : float
        In pixels, not negative.
    """

    center: Position
    radius: float

    def __post_init__(self) -> None:
        _set_positions(self, "center")
        _set_length(self, "radius")

    def mask(self, sig_shape: Sequence[int]) -> NDArray[np.bool_]:
        """Pixels that count: bool array of shape ``sig_shape``."""
        squared = _squared_distances(self, self.center, sig_shape)
        mask: NDArray[np.bool_] = squared <= self.radius**2
        return mask


@dataclass(frozen=True)
class Annulus(Detector):
    """Pixels with ``inner² < r² <= outer²``, r from the center.

    Parameters
    ----------
    center : (ky, kx)
        In pixels.
    inner, outer : float
        In pixels, ``0 <= inner <= outer``.
    """

    center: Position
    inner: float
    outer: float

    def __post_init__(self) -> None:
        _set_positions(self, "center")
        _set_length(self, "inner")
        _set_length(self, "outer")
        if self.inner > self.outer:
            raise ParameterError(
                None,
                "inner",
                "the hole of an Annulus is larger than the Annulus",
                expected=f"inner radius of at most {self.outer:g}, the outer one",
                found=f"{self.inner:g}",
            )

    def mask(self, sig_shape: Sequence[int]) -> NDArray[np.bool_]:
        """Pixels that count: bool array of shape ``sig_shape``."""
        squared = _squared_distances(self, self.center, sig_shape)
        mask: NDArray[np.bool_] = (self.inner**2 < squared) & (squared <= self.outer**2)
        return mask


@dataclass(frozen=True)
class Rectangle(Detector):
    """Pixels from one corner to the opposite one, those on the border included.

    Parameters
    ----------
    corner, opposite : (ky, kx)
        Any two opposite corners, in pixels.
    """

    corner: Position
    opposite: Position

    def __post_init__(self) -> None:
        _set_positions(self, "corner")
        _set_positions(self, "opposite")

    def mask(self, sig_shape: Sequence[int]) -> NDArray[np.bool_]:
        """Pixels that count: bool array of shape ``sig_shape``."""
        rows, columns = (
            (min(ends) <= np.arange(n)) & (np.arange(n) <= max(ends))
            for n, *ends in zip(
                _two_axes(self, sig_shape), self.corner, self.opposite, strict=True
            )
        )
        mask: NDArray[np.bool_] = rows[:, None] & columns
        return mask


@dataclass(frozen=True)
class Polygon(Detector):
    """Pixels whose center is inside of a polygon or on its outline.

    The last vertex is joined to the first. The outline may be concave and may touch or
    cross itself: inside is what is surrounded an odd number of times. Exact for
    vertices on multiples of 1/1024 pixel; else float64 rounding decides where a pixel
    lies within 1e-9 of the outline.

    Parameters
    ----------
    vertices : sequence of (ky, kx)
        Three or more, in pixels.
    """

    vertices: tuple[Position, ...]

    def __post_init__(self) -> None:
        _set_positions(self, "vertices", many=True)
        if len(self.vertices) < 3:
            raise ParameterError(
                None,
                "vertices",
                "a Polygon has too few vertices",
                expected="3 or more",
                found=len(self.vertices),
            )

    def mask(self, sig_shape: Sequence[int]) -> NDArray[np.bool_]:
        """Pixels that count: bool array of shape ``sig_shape``."""
        height, width = _two_axes(self, sig_shape)
        ends = np.stack((self.vertices, np.roll(self.vertices, -1, axis=0)), axis=1)
        level = ends[:, 0, 0] == ends[:, 1, 0]
        mask, touched = _crossed(ends[~level], height, width)
        mask[touched] = True
        for (y, *_), (first, last) in np.sort(ends[level], axis=1).transpose(0, 2, 1):
            if y == math.floor(y) and 0 <= y < height and last >= 0 and first < width:
                begin, end = max(math.ceil(first), 0), math.floor(min(last, width))
                mask[int(y), begin : end + 1] = True
        return mask


def _crossed(
    ends: NDArray[np.float64], height: int, width: int
) -> tuple[NDArray[np.bool_], tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Return the pixels left of which edges cross their row an odd number of times.

    And the rows and columns of pixels that an edge passes through the center of. No
    edge lies along a row.
    """
    down = ends[:, 0, 0] < ends[:, 1, 0]
    ends = np.where(down[:, None, None], ends, ends[:, ::-1])
    (y0, x0), (y1, x1) = np.moveaxis(ends, 0, -1)
    first = np.clip(np.ceil(y0), 0, height).astype(np.intp)
    behind = np.clip(np.floor(y1) + 1, 0, height).astype(np.intp)
    count = np.maximum(behind - first, 0)

    edge = np.repeat(np.arange(len(count)), count)  # one entry for each edge and row
    row = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count - first, count)
    y0, x0, y1, x1 = (values[edge] for values in (y0, x0, y1, x1))
    dy, dx = y1 - y0, x1 - x0
    nearest = np.rint(x0 + (row - y0) / dy * dx)
    # From products and no quotient, so that it is exact: above 0, the edge passes right
    # of that pixel's center; 0, through it.
    side = (x0 - nearest) * dy + (row - y0) * dx
    through = (side == 0) & (nearest >= 0) & (nearest < width)

    # All pixels right of an edge are on its other side. Where two edges meet in a row,
    # the upper one leaves it to the lower.
    counts = row < y1
    begin = np.clip(np.where(side > 0, nearest + 1, nearest), 0, width)[counts]
    toggles = np.zeros((height, width + 1), np.bool_)
    np.logical_xor.at(toggles, (row[counts], begin.astype(np.intp)), True)
    odd = np.logical_xor.accumulate(toggles, axis=1)[:, :width]
    return odd, (row[through], nearest[through].astype(np.intp))


@dataclass(frozen=True, eq=False)
class Mask(Detector):
    """Pixels or weights given one by one, for frames of any number of axes.

    Equal to another mask of equal content.

    Parameters
    ----------
    array : bool array, or real weights
        In the shape of a frame. It is copied; weights become float64.
    """

    array: NDArray[np.bool_] | NDArray[np.float64]

    def __post_init__(self) -> None:
        given = as_array("array", self.array)
        if given.dtype.kind not in "buif" or not given.ndim:
            raise ParameterError(
                None,
                "array",
                "a Mask cannot be made from this",
                expected="an array of bool or of real weights",
                found=f"{given.dtype}, {given.ndim} axes",
            )
        if given.dtype.kind != "b":
            # Adding 0 makes 0 of -0, which is equal but has other bytes to hash.
            given = given.astype(np.float64) + 0.0
            if not np.isfinite(given).all():
                raise ParameterError(
                    None,
                    "array",
                    "a weight of a Mask is NaN or infinite",
                    hint="Give pixels that do not count the weight 0.",
                )
        array = np.array(given, order="C")
        array.flags.writeable = False
        object.__setattr__(self, "array", array)

    def mask(self, sig_shape: Sequence[int]) -> NDArray[np.bool_] | NDArray[np.float64]:
        """Pixels that count, or weights: read-only array of shape ``sig_shape``."""
        if self.array.shape != tuple(sig_shape):
            raise ShapeError(
                None,
                "the Mask does not have the shape of a frame",
                expected=tuple(sig_shape),
                found=self.array.shape,
            )
        return self.array

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mask):
            return NotImplemented
        return self.array.dtype == other.array.dtype and np.array_equal(
            self.array, other.array
        )

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.array.shape, self.array.dtype.kind, self.array.tobytes()))

    def __reduce__(self) -> tuple[Any, ...]:
        return Mask, (self.array,)  # hashes are another process's own

    def __repr__(self) -> str:
        kind = "pixels" if self.array.dtype.kind == "b" else "weights"
        used = np.count_nonzero(self.array)
        return f"Mask(<array of shape {self.array.shape}, {used} {kind} not 0>)"


def _two_axes(detector: Detector, sig_shape: Sequence[int]) -> tuple[int, int]:
    if len(sig_shape) != 2:
        raise ShapeError(
            None,
            f"a {type(detector).__name__} needs two detector axes",
            expected="sig_shape (ky, kx)",
            found=tuple(sig_shape),
            hint="Use a Mask, or load the data with a sig_shape of two axes.",
        )
    return sig_shape[0], sig_shape[1]


def _squared_distances(
    detector: Detector, center: Position, sig_shape: Sequence[int]
) -> NDArray[np.float64]:
    y, x = (
        np.arange(n) - k
        for n, k in zip(_two_axes(detector, sig_shape), center, strict=True)
    )
    squared: NDArray[np.float64] = (y**2)[:, None] + x**2
    return squared


def _set_positions(detector: Detector, name: str, many: bool = False) -> None:
    """Make a field of ``(ky, kx)``, or of many of them, plain floats."""
    numbers = _finite(getattr(detector, name))
    if (
        numbers is None
        or numbers.shape[int(many) :] != (2,)
        or numbers.ndim != 1 + many
    ):
        _refuse(
            detector,
            name,
            "positions (ky, kx) in pixels" if many else "a position (ky, kx) in pixels",
        )
    rows = tuple((float(y), float(x)) for y, x in numbers.reshape(-1, 2))
    object.__setattr__(detector, name, rows if many else rows[0])


def _set_length(detector: Detector, name: str) -> None:
    """Make a field of a length a plain float."""
    numbers = _finite(getattr(detector, name))
    if numbers is None or numbers.ndim or numbers < 0:
        _refuse(detector, name, "a number of pixels, 0 or more")
    object.__setattr__(detector, name, float(numbers))


def _finite(value: ArrayLike) -> NDArray[np.float64] | None:
    try:
        numbers = np.asarray(value)
    except ValueError:  # nested lists of unequal length
        return None
    if numbers.dtype.kind not in "iuf":
        return None
    numbers = numbers.astype(np.float64)
    return numbers if np.all(np.abs(numbers) <= FAR_PX) else None


def _refuse(detector: Detector, name: str, expected: str) -> NoReturn:
    raise ParameterError(
        None,
        name,
        f"the {name} of a {type(detector).__name__} cannot be that",
        expected=f"{expected}, neither NaN nor infinite",
        found=repr(getattr(detector, name)),
    )
