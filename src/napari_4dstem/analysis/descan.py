"""Descan: subtract where the undeflected beam is, so that deflections are left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from napari_4dstem.analysis.vector_maps import as_selection, as_vectors
from napari_4dstem.engine.arguments import checked_flag
from napari_4dstem.errors import FormatError, ParameterError, ShapeError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

# More do not make a plane of six numbers better.
MAX_POSITIONS = 1 << 15
MAX_ROUNDS = 50
CONVERGED = 1e-5  # of the typical residual


def descan(
    com: ArrayLike,
    reference: Literal["mean", "plane"] | ArrayLike = "plane",
    *,
    robust: bool = True,
    valid: ArrayLike | None = None,
) -> NDArray[np.float64]:
    """Subtract from a center of mass where the beam is without a specimen.

    Parameters
    ----------
    com : array, shape (*nav_shape, 2)
        Centers of mass ``(ky, kx)``; NaN where not known.
    reference : "plane", "mean" or array
        ``"plane"`` is fitted to `com`, ``"mean"`` is its mean. An array is what was
        measured or is known: the center of mass of a scan in vacuum, of shape
        ``(*nav_shape, 2)``, or one position ``(ky, kx)``.
    robust : bool
        Fit the plane by least absolute residuals, so that a part of the positions with
        strong deflections does not pull it; else by least squares.
    valid : bool array, shape nav_shape, optional
        Positions that mean and plane are taken from, such as those in vacuum. Default:
        all that are not NaN.

    Returns
    -------
    array, shape (*nav_shape, 2)
        Deflections in the unit of `com`; NaN where `com` or the reference is.

    Raises
    ------
    FormatError
        If mean or plane are to be taken from no position at all.
    ShapeError
        If the shapes do not fit.
    """
    vectors = as_vectors(com)
    checked_flag("robust", robust)
    if isinstance(reference, str):
        known = as_selection(valid, vectors)
        if not known.any():
            raise FormatError(
                None,
                "there is no position to take the descan from",
                hint="All are NaN, or valid is False everywhere.",
            )
        if reference == "mean":
            reference = vectors[known].mean(axis=0)
        elif reference == "plane":
            reference = _plane(vectors, known, robust)
        else:
            raise ParameterError(
                None,
                "reference",
                "no such reference",
                expected='"plane", "mean", or an array',
                found=repr(reference),
            )
    measured = as_vectors(reference)
    if measured.shape not in (vectors.shape, (2,)):
        raise ShapeError(
            None,
            "the reference does not fit the scan",
            expected=f"{vectors.shape} or (2,)",
            found=measured.shape,
        )
    return vectors - measured


def _plane(
    vectors: NDArray[np.float64], known: NDArray[np.bool_], robust: bool
) -> NDArray[np.float64]:
    """Plane through the vectors, at every position."""
    axes = [np.linspace(-1, 1, n) if n > 1 else np.zeros(n) for n in known.shape]
    chosen = np.flatnonzero(known)
    if len(chosen) > MAX_POSITIONS:
        # Drawn at random: a regular choice could beat with a lattice.
        chosen = np.random.default_rng(0).choice(chosen, MAX_POSITIONS, replace=False)
    at = np.unravel_index(chosen, known.shape)
    design = np.stack(
        [
            np.ones(len(chosen)),
            *(axis[index] for axis, index in zip(axes, at, strict=True)),
        ]
    )
    values = np.ascontiguousarray(vectors.reshape(-1, 2)[chosen].T)
    slopes = _fit(design, values, robust)
    plane = np.broadcast_to(slopes[0], vectors.shape).copy()
    for number, axis in enumerate(axes):
        behind = (1,) * (len(axes) - number - 1)
        plane += axis.reshape(-1, *behind, 1) * slopes[1 + number]
    return plane


def _fit(
    design: NDArray[np.float64], values: NDArray[np.float64], robust: bool
) -> NDArray[np.float64]:
    """Least squares, or the least sum of lengths of residuals, by reweighting.

    Positions lie along the last axis of both, as they do of what comes in between.
    """
    # The pseudoinverse leaves a slope 0 that the positions do not tell.
    slopes = np.linalg.pinv(design @ design.T) @ (design @ values.T)
    if not robust:
        return slopes
    for _ in range(MAX_ROUNDS):
        left_y, left_x = values - slopes.T @ design
        lengths = np.hypot(left_y, left_x)
        typical = np.median(lengths)
        if typical == 0:  # most lie in one plane already
            typical = lengths.mean()
        if typical == 0:
            break
        # Close to the plane all count alike; without a bound one would count for all.
        weighted = design / np.maximum(lengths, 1e-2 * typical)
        before = slopes
        slopes = np.linalg.pinv(weighted @ design.T) @ (weighted @ values.T)
        if np.abs(slopes - before).max() <= CONVERGED * typical:
            break
    return slopes
