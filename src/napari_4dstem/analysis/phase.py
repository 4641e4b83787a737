"""Integrated phase: the map whose gradient the deflections are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_4dstem.analysis.vector_maps import (
    as_scan_vectors,
    as_selection,
    checked_step,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

# Each makes what is put in place of missing vectors better, and takes as long again.
ROUNDS_FOR_MISSING = 3


def phase(
    com: ArrayLike, scan_step: tuple[float, float] = (1, 1)
) -> NDArray[np.float64]:
    """Integrate deflections to the map whose gradient is nearest to them.

    Least squares in Fourier space. The map is continued beyond its borders by its
    mirror image, so that opposite borders need not fit together.

    Parameters
    ----------
    com : array, shape (y, x, 2)
        Deflections ``(y, x)`` in scan axes: after `descan` and `rotate`. NaN where not
        known.
    scan_step : (float, float)
        Step of the scan along y and along x, in any unit.

    Returns
    -------
    array, shape (y, x)
        Of mean 0; bright at atoms. In the unit of the deflections times that of the
        step. With deflections in 1/nm and steps in nm, times 2π, it is the phase in
        rad that a thin specimen gives to the beam, blurred by the probe: deflections in
        mrad are divided by 1000 times the wavelength in nm, those in pixels are first
        multiplied by the size of a pixel. NaN where `com` is; such positions are
        bridged with the slopes of the map around them.

    References
    ----------
    .. [1] R. T. Frankot and R. Chellappa, IEEE Trans. Pattern Anal. Mach. Intell. 10,
       439 (1988).
    .. [2] I. Lazić, E. G. T. Bosch and S. Lazar, Ultramicroscopy 160, 265 (2016).
    """
    vectors = as_scan_vectors(com)
    steps = np.array(checked_step(scan_step))
    known = as_selection(None, vectors)
    if not known.any():
        return np.full(known.shape, np.nan)
    slopes = vectors * steps  # per step
    # The mirror image of a tilted plane has a kink, so the plane goes aside.
    mean = slopes[known].mean(axis=0)
    slopes = np.where(known[..., None], slopes - mean, 0)
    result = _integral(slopes)
    if not known.all():
        for _ in range(ROUNDS_FOR_MISSING):
            for axis in (0, 1):
                bridged = np.gradient(result, axis=axis)
                np.copyto(slopes[..., axis], bridged, where=~known)
            result = _integral(slopes)
    for axis, n in enumerate(known.shape):
        line = mean[axis] * np.arange(n)
        result += line[:, None] if axis == 0 else line
    result -= result[known].mean()
    result[~known] = np.nan
    return result


def _integral(slopes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Map with these slopes per step, of mean 0."""
    height, width = slopes.shape[:2]
    # Where the map is mirrored, the slope across the mirror changes its sign.
    along_y, along_x = slopes[..., 0], slopes[..., 1]
    along_y = np.concatenate((along_y, -along_y[::-1]))
    along_y = np.concatenate((along_y, along_y[:, ::-1]), axis=1)
    along_x = np.concatenate((along_x, along_x[::-1]))
    along_x = np.concatenate((along_x, -along_x[:, ::-1]), axis=1)

    ky = 2 * np.pi * np.fft.fftfreq(2 * height)[:, None]
    kx = 2 * np.pi * np.fft.rfftfreq(2 * width)
    squared = ky**2 + kx**2
    squared[0, 0] = 1  # there is nothing but the mean, which is 0
    spectrum = ky * np.fft.rfft2(along_y) + kx * np.fft.rfft2(along_x)
    spectrum *= -1j / squared
    return np.fft.irfft2(spectrum, (2 * height, 2 * width))[:height, :width]
