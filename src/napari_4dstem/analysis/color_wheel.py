"""Vectors as colors: hue tells the direction, brightness the length."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING

import numpy as np

from napari_4dstem.analysis.vector_maps import angle, as_vectors, magnitude
from napari_4dstem.engine.arguments import shown
from napari_4dstem.errors import ParameterError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

HUES = 1024  # steps around the circle: far finer than 8 bit colors
LEGEND_PX = 129

# A circle in the plane of equal lightness of OKLab, as colorful as sRGB can show in all
# hues of this lightness.
LIGHTNESS = 0.75
CHROMA = 0.125
RED_DEGREES = 25.0  # the hue of vectors along x

# Between OKLab and linear sRGB. Source: B. Ottosson, "A perceptual color space for
# image processing" (2020).
LAB_TO_CONES = np.array(
    (
        (1.0, 0.3963377774, 0.2158037573),
        (1.0, -0.1055613458, -0.0638541728),
        (1.0, -0.0894841775, -1.2914855480),
    )
)
CONES_TO_RGB = np.array(
    (
        (4.0767416621, -3.3077115913, 0.2309699292),
        (-1.2684380046, 2.6097574011, -0.3413193965),
        (-0.0041960863, -0.7034186147, 1.7076147010),
    )
)


@dataclass(frozen=True, eq=False)
class ColorWheel:
    """A map of vectors in colors, and what the colors mean.

    Attributes
    ----------
    image : uint8 array, shape (..., 3)
        RGB. Black where a vector is 0, NaN or infinite.
    legend : uint8 array, shape (n, n, 3)
        The color of every vector up to `maximum`, at its own direction and length from
        the middle; black outside.
    maximum : float
        Length of the vectors at the rim of the legend. Longer ones have the same color.
    """

    image: NDArray[np.uint8]
    legend: NDArray[np.uint8]
    maximum: float


def color_wheel(com: ArrayLike, maximum: float | None = None) -> ColorWheel:
    """Show vectors in colors: hue for the direction, brightness for the length.

    Hues of all directions are equally bright and equally far apart to the eye (a circle
    in OKLab): red to the right, yellowish green down, cyan to the left, violet up.

    Parameters
    ----------
    com : array, shape (..., 2)
        Vectors ``(y, x)``, y down.
    maximum : float, optional
        Length that is shown in full brightness. Default: that of the 99th percentile.

    Returns
    -------
    ColorWheel
        The image, a legend, and the maximum.
    """
    vectors = as_vectors(com)
    if maximum is None:
        lengths = magnitude(vectors)
        lengths = lengths[np.isfinite(lengths)]
        maximum = float(np.percentile(lengths, 99)) if lengths.size else 0.0
        if maximum == 0 and lengths.size:
            maximum = float(lengths.max())
    elif not (isinstance(maximum, Real) and 0 < maximum < np.inf):
        raise ParameterError(
            None,
            "maximum",
            "the maximum of a color wheel cannot be that",
            expected="a length above 0",
            found=shown(maximum),
        )
    offsets = np.linspace(-1, 1, LEGEND_PX)
    disk = np.stack(np.meshgrid(offsets, offsets, indexing="ij"), axis=-1)
    legend = _colors(disk, 1.0)
    legend[magnitude(disk) > 1] = 0
    return ColorWheel(_colors(vectors, maximum), legend, maximum)


def _colors(vectors: NDArray[np.float64], maximum: float) -> NDArray[np.uint8]:
    known = np.isfinite(vectors).all(axis=-1, keepdims=True)
    vectors = np.where(known, vectors, 0)
    length = np.minimum(magnitude(vectors) / maximum, 1) if maximum else 0.0
    hue = np.rint(angle(vectors) / 360 * HUES).astype(np.intp) % HUES
    # Lightness and chroma in OKLab are cube roots of light.
    light = _circle()[hue] * np.asarray(length**3)[..., None]
    return np.rint(255 * _encoded(light)).astype(np.uint8)


def _circle() -> NDArray[np.float64]:
    """Linear RGB of all hues, shape (HUES, 3)."""
    hue = np.radians(RED_DEGREES + 360 / HUES * np.arange(HUES))
    lab = np.stack(
        (np.full(HUES, LIGHTNESS), CHROMA * np.cos(hue), CHROMA * np.sin(hue)), axis=1
    )
    light: NDArray[np.float64] = (lab @ LAB_TO_CONES.T) ** 3 @ CONES_TO_RGB.T
    return np.clip(light, 0, 1)


def _encoded(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """Linear RGB as sRGB encodes it (IEC 61966-2-1)."""
    curved = 1.055 * np.maximum(light, 0.0031308) ** (1 / 2.4) - 0.055
    return np.where(light <= 0.0031308, 12.92 * light, curved)
