"""Maps from a map of vectors, such as the center of mass: length, angle, derivatives.

Vectors are ``(y, x)`` and lie in the last axis. On the screen y points down, so angles
run clockwise there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_4dstem.engine.arguments import as_array
from napari_4dstem.errors import ParameterError, ShapeError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def magnitude(com: ArrayLike) -> NDArray[np.float64]:
    """Length of every vector.

    Parameters
    ----------
    com : array, shape (..., 2)
        Vectors ``(y, x)``.

    Returns
    -------
    array, shape (...)
        In the unit of the vectors; NaN where a vector has a NaN.
    """
    vectors = as_vectors(com)
    return np.hypot(vectors[..., 0], vectors[..., 1])


def angle(com: ArrayLike) -> NDArray[np.float64]:
    """Direction of every vector, in degrees.

    `rotate` by t adds t to it.

    Parameters
    ----------
    com : array, shape (..., 2)
        Vectors ``(y, x)``.

    Returns
    -------
    array, shape (...)
        −180 to 180: 0 points along x (right), 90 along y (down); NaN where a vector has
        a NaN.
    """
    vectors = as_vectors(com)
    return np.degrees(np.arctan2(vectors[..., 0], vectors[..., 1]))


def divergence(
    com: ArrayLike, scan_step: tuple[float, float] = (1, 1)
) -> NDArray[np.float64]:
    """Divergence ``∂v_y/∂y + ∂v_x/∂x`` of a map of vectors.

    Of deflections in scan axes (`descan`, then `rotate`) it is negative at the atoms;
    for a thin specimen it is proportional to minus the projected charge density,
    blurred by the probe.

    Parameters
    ----------
    com : array, shape (y, x, 2)
        Vectors ``(y, x)``.
    scan_step : (float, float)
        Step of the scan along y and along x, in any unit.

    Returns
    -------
    array, shape (y, x)
        In the unit of the vectors per unit of the step. Differences are central; at the
        border, and beside a position that is NaN, one-sided. NaN where a position is
        NaN or stands alone.

    References
    ----------
    .. [1] K. Müller et al., Nature Communications 5, 5653 (2014).
    """
    vectors = as_scan_vectors(com)
    step_y, step_x = checked_step(scan_step)
    result: NDArray[np.float64] = (
        _derivative(vectors[..., 0], 0) / step_y
        + _derivative(vectors[..., 1], 1) / step_x
    )
    return result


def curl(
    com: ArrayLike, scan_step: tuple[float, float] = (1, 1)
) -> NDArray[np.float64]:
    """Curl ``∂v_y/∂x − ∂v_x/∂y`` of a map of vectors.

    Deflections by an electrostatic field have none, in scan axes: what is left tells of
    a wrong rotation, of noise, or of magnetic fields.

    Parameters
    ----------
    com : array, shape (y, x, 2)
        Vectors ``(y, x)``.
    scan_step : (float, float)
        Step of the scan along y and along x, in any unit.

    Returns
    -------
    array, shape (y, x)
        As of `divergence`.
    """
    vectors = as_scan_vectors(com)
    step_y, step_x = checked_step(scan_step)
    result: NDArray[np.float64] = (
        _derivative(vectors[..., 0], 1) / step_x
        - _derivative(vectors[..., 1], 0) / step_y
    )
    return result


def _derivative(values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Mean of the differences to the next and to the previous value, where known."""
    values = np.moveaxis(values, axis, 0)
    steps = np.diff(values, axis=0)
    result = np.full(values.shape, np.nan)
    result[1:-1] = (steps[1:] + steps[:-1]) / 2
    result[0], result[-1] = steps[0], steps[-1]
    if np.isnan(steps).any():
        inner, before, after = result[1:-1], steps[:-1], steps[1:]
        np.copyto(inner, before, where=np.isnan(after))
        np.copyto(inner, after, where=np.isnan(before))
    return np.moveaxis(result, 0, axis)


def as_vectors(com: ArrayLike) -> NDArray[np.float64]:
    """Return vectors as float64.

    Raises
    ------
    ShapeError
        If these are no vectors.
    """
    vectors = as_array("com", com)
    if vectors.dtype.kind not in "buif":
        raise ParameterError(
            None,
            "com",
            "these are no vectors",
            expected="an array of real numbers",
            found=f"an array of {vectors.dtype}",
        )
    if not vectors.ndim or vectors.shape[-1] != 2:
        raise ShapeError(
            None,
            "a map of vectors has another shape",
            expected="(..., 2), a (y, x) at every position",
            found=vectors.shape,
        )
    return vectors.astype(np.float64, copy=False)


def as_scan_vectors(com: ArrayLike) -> NDArray[np.float64]:
    """Return the vectors of a scan as float64, shape (y, x, 2).

    Raises
    ------
    ShapeError
        If there are not two scan axes with two or more positions each.
    """
    vectors = as_vectors(com)
    if vectors.ndim != 3 or min(vectors.shape[:2]) < 2:
        raise ShapeError(
            None,
            "this needs two scan axes with two or more positions each",
            expected="a map of vectors of shape (y, x, 2)",
            found=vectors.shape,
            hint="Fold it with reshape, or open the data with another nav_shape.",
        )
    return vectors


def as_selection(
    valid: ArrayLike | None, vectors: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Return where vectors are known and wanted.

    Raises
    ------
    ShapeError
        If ``valid`` does not fit the vectors.
    """
    known = np.asarray(np.isfinite(vectors).all(axis=-1))
    if valid is None:
        return known
    wanted = as_array("valid", valid)
    if wanted.dtype != bool or wanted.shape != known.shape:
        raise ShapeError(
            None,
            "valid does not fit the scan",
            expected=f"a bool array of shape {known.shape}",
            found=f"{wanted.dtype} of shape {wanted.shape}",
        )
    selected: NDArray[np.bool_] = known & wanted
    return selected


def checked_step(scan_step: Any) -> tuple[float, float]:
    """Return the steps along y and x.

    Raises
    ------
    ParameterError
        If these are not two lengths.
    """
    steps = as_array("scan_step", scan_step)
    if (
        steps.dtype.kind not in "iuf"
        or steps.shape != (2,)
        or not np.isfinite(steps).all()
        or steps.min() <= 0
    ):
        raise ParameterError(
            None,
            "scan_step",
            "the scan step cannot be that",
            expected="two numbers above 0, along y and along x",
            found=repr(scan_step),
        )
    return float(steps[0]), float(steps[1])
