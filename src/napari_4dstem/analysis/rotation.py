"""Rotation between scan and detector: applied to deflections, or found from them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING

import numpy as np

from napari_4dstem.analysis.descan import descan
from napari_4dstem.analysis.phase import phase
from napari_4dstem.analysis.vector_maps import (
    as_scan_vectors,
    as_selection,
    as_vectors,
    checked_step,
    curl,
    divergence,
)
from napari_4dstem.engine.arguments import checked_flag, shown
from napari_4dstem.errors import FormatError, ParameterError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

# Of the spread of a pure slope, rounding leaves less than this.
ROUNDING = 1e-9


@dataclass(frozen=True)
class Rotation:
    """How the detector is turned against the scan.

    Attributes
    ----------
    degrees : float
        Above −180 and up to 180, for `rotate`.
    flip_y : bool
        Whether the detector is upside down as well, for `rotate`.
    rms_curl : float
        What is left of the curl, in the unit of the vectors per scan step.
    rms_curl_other_flip : float
        The least that any angle leaves with the other ``flip_y``. Where it is not
        clearly larger, the data do not tell.
    skewness : float
        Of the integrated phase. The sign of the angle is chosen so that it is positive:
        few positions are bright, and these are the atoms. Close to 0, the data do not
        tell.
    """

    degrees: float
    flip_y: bool
    rms_curl: float
    rms_curl_other_flip: float
    skewness: float

    @property
    def opposite(self) -> float:
        """The angle with exactly the same curl, 180° away: atoms are dark there."""
        return self.degrees + (180 if self.degrees <= 0 else -180)

    def __str__(self) -> str:
        flip = " and a flip of y" if self.flip_y else ""
        return (
            f"{self.degrees:.1f}°{flip}. {self.opposite:.1f}° leaves the same curl; of"
            " the two, this one makes atoms bright."
        )


def rotate(com: ArrayLike, degrees: float, flip_y: bool = False) -> NDArray[np.float64]:
    """Turn vectors from detector axes into scan axes: ``R(degrees) F v``.

    On ``(y, x)``, ``R(t) = [[cos t, sin t], [−sin t, cos t]]`` and ``F = diag(−1, 1)``
    where ``flip_y``, as LiberTEM has it. On the screen, y down, a positive angle turns
    vectors clockwise.

    Parameters
    ----------
    com : array, shape (..., 2)
        Vectors ``(ky, kx)``.
    degrees : float
    flip_y : bool
        Whether y is reversed before.

    Returns
    -------
    array, shape (..., 2)
        Vectors ``(y, x)``; NaN stays NaN.
    """
    vectors = as_vectors(com)
    cos, sin = _cos_sin(degrees)
    matrix = np.array(((cos, sin), (-sin, cos)))
    if checked_flag("flip_y", flip_y):
        matrix[:, 0] *= -1
    turned: NDArray[np.float64] = vectors @ matrix.T
    return turned


def estimate_rotation(
    com: ArrayLike,
    *,
    valid: ArrayLike | None = None,
    scan_step: tuple[float, float] = (1, 1),
) -> Rotation:
    """Find rotation and flip of the detector from deflections, by least curl.

    Deflections by an electrostatic field have no curl in scan axes. The least one is
    found in closed form: curl and divergence turn into each other as components of a
    vector do. An angle and the one opposite to it have the same curl; of the two, the
    one is taken with which the integrated phase has few bright positions and many
    dark ones: bright atoms.

    A mean and a slope in the vectors (descan) have no influence.

    Parameters
    ----------
    com : array, shape (y, x, 2)
        Centers of mass ``(ky, kx)`` in detector axes; NaN where not known.
    valid : bool array, shape (y, x), optional
        Positions that take part. Default: all that are not NaN.
    scan_step : (float, float)
        Step of the scan along y and along x, where these differ.

    Returns
    -------
    Rotation
        For `rotate`; ``print`` it to be told of the ambiguity.

    Raises
    ------
    FormatError
        If the vectors tell nothing: all alike, or all NaN.

    References
    ----------
    .. [1] I. Lazić, E. G. T. Bosch and S. Lazar, Ultramicroscopy 160, 265 (2016).
    """
    vectors = as_scan_vectors(com)
    step_y, step_x = checked_step(scan_step)
    vectors = np.where(as_selection(valid, vectors)[..., None], vectors, np.nan)
    # lengths in mean steps, so that the curl is one per scan step
    mean = math.sqrt(step_y * step_x)
    step = (step_y / mean, step_x / mean)

    found = []
    for flip_y in (False, True):
        upright = rotate(vectors, 0, flip_y)
        parts = divergence(upright, step), curl(upright, step)
        known = np.isfinite(parts[0]) & np.isfinite(parts[1])
        if not known.any():
            raise FormatError(
                None,
                "the rotation cannot be estimated: no two neighboring positions have a"
                " center of mass",
            )
        div, rot = (_from_mean(part[known]) for part in parts)
        found.append((*_least_curl(div, rot), flip_y, div, rot))
    found.sort(key=lambda each: each[0])
    (rms, degrees, flip_y, div, rot), (other_rms, *_) = found
    if rms == other_rms == 0 and not (div.any() or rot.any()):
        raise FormatError(
            None,
            "the rotation cannot be estimated: the center of mass is the same"
            " everywhere",
        )

    # The phase stands out of far more noise than the divergence does.
    integrated = phase(rotate(descan(vectors), degrees, flip_y), step)
    skewness = _skewness(integrated[np.isfinite(integrated)])
    if skewness < 0:
        degrees += 180
    return Rotation(
        degrees=180 - (180 - degrees) % 360,
        flip_y=flip_y,
        rms_curl=rms,
        rms_curl_other_flip=other_rms,
        skewness=abs(skewness),
    )


def _least_curl(
    div: NDArray[np.float64], rot: NDArray[np.float64]
) -> tuple[float, float]:
    """Return the least rms curl, and the angle in degrees where it is.

    ``rotate`` by t makes ``cos t curl + sin t div`` of the curl: its mean square is a
    constant plus a cosine of 2t.
    """
    div_div, rot_rot, div_rot = (
        float(np.mean(a * b)) for a, b in ((div, div), (rot, rot), (div, rot))
    )
    cosine, sine = (rot_rot - div_div) / 2, div_rot
    least = (rot_rot + div_div) / 2 - math.hypot(cosine, sine)
    return math.sqrt(max(least, 0)), math.degrees(math.atan2(-sine, -cosine) / 2)


def _from_mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Subtract the mean, unless nothing would be left: a field that is one slope."""
    mean = values.mean()
    centered: NDArray[np.float64] = values - mean
    return values if centered.std() <= ROUNDING * abs(mean) else centered


def _skewness(values: NDArray[np.float64]) -> float:
    spread = np.sqrt(np.mean(values**2))
    return float(np.mean((values / spread) ** 3)) if spread else 0.0


def _cos_sin(degrees: float) -> tuple[float, float]:
    """Exact where they are 0 or 1."""
    if not isinstance(degrees, Real) or not math.isfinite(degrees):
        raise ParameterError(
            None,
            "degrees",
            "the angle cannot be that",
            expected="a finite number",
            found=shown(degrees),
        )
    turns, rest = divmod(float(degrees), 90)
    cos, sin = math.cos(math.radians(rest)), math.sin(math.radians(rest))
    return ((cos, sin), (-sin, cos), (-cos, -sin), (sin, -cos))[int(turns) % 4]
