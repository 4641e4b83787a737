"""Likely scan shapes of a row of frames, from how their sums repeat."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_4dstem.analysis.detectors import Detector, Mask
from napari_4dstem.analysis.virtual_image import virtual_image
from napari_4dstem.engine.arguments import checked_data_set
from napari_4dstem.errors import ParameterError, ShapeError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from napari_4dstem.dataset import Dataset

MIN_LINE, MIN_LINES = 4, 3
NOISE = 5.0  # a correlation above so many times that of noise is one
NEAR_PEAK = 2  # a slanted edge shifts the peak away from the length of a line
MAX_PERIODS = 20  # the likeliest, of which flyback is looked for
USUAL_PROPORTION = 8.0  # scans that are much longer than wide are rare
INCOMPLETE = 0.8  # how much less likely it is that the last line is not whole

# Flyback is far brighter or darker than a line usually is, or always the same.
UNUSUAL = 6.0  # times the usual spread along a line
STEADY = 0.35  # of the usual spread from line to line
MAX_FLYBACK = 0.25  # of a line
MAX_LINES = 256  # that are looked at for it


@dataclass(frozen=True)
class ScanShape:
    """A scan geometry, for ``Dataset.with_scan``.

    Attributes
    ----------
    nav_shape : (y, x)
    flyback : int
        Stored frames after each line that are no part of the scan.
    score : float
        From 0 to 1: how likely it is, to compare with others.
    """

    nav_shape: tuple[int, int]
    flyback: int
    score: float


def suggest_scan_shapes(
    ds: Dataset,
    detector: Detector | None = None,
    *,
    most: int = 5,
    progress: Callable[[int, int], Any] | None = None,
    cancel: threading.Event | None = None,
    scheduler: Any = None,
) -> tuple[ScanShape, ...]:
    """Propose scan shapes of a data set, flyback included, from its frames.

    Parameters
    ----------
    ds : Dataset
        In any scan geometry: all stored frames are read, in their order.
    detector : Detector, optional
        What to sum of every frame; by default all of it. An annular dark field says
        more about a specimen than the total, which hardly changes.
    most : int
        Number of proposals.
    progress, cancel, scheduler : optional
        See `run`.

    Returns
    -------
    tuple of ScanShape
        The best first; empty where nothing repeats. They tell no sync_offset.

    Raises
    ------
    Cancelled
        If ``cancel`` was set.

    See Also
    --------
    scan_shapes_from_sums : how it is done
    """
    ds = checked_data_set(ds)
    stored = ds.with_scan((ds.num_stored_frames,), sync_offset=0, flyback=0)
    everything = Mask(np.ones(ds.sig_shape, bool))
    sums = virtual_image(
        stored,
        everything if detector is None else detector,
        progress=progress,
        cancel=cancel,
        scheduler=scheduler,
    )
    found = scan_shapes_from_sums(np.where(stored.valid, sums, np.nan), most)
    # Of two that are as likely, the one in which the data set is already.
    return tuple(
        sorted(found, key=lambda one: (-one.score, one.nav_shape != ds.nav_shape))
    )


def scan_shapes_from_sums(sums: ArrayLike, most: int = 5) -> tuple[ScanShape, ...]:
    """Propose scan shapes from the sums of all frames in the order they were stored.

    Neighboring lines of a scan look alike, so the sums repeat with the length of a
    line. Of the lengths at which their autocorrelation has a peak, those are likely
    that fit the number of frames and make a scan of usual proportions: a lattice
    repeats, too. Frames at the end of all lines that are brighter or darker than the
    rest, or steadier, are taken for flyback.

    Parameters
    ----------
    sums : array, shape (n,)
        Of every stored frame the sum, or any other number: the more contrast its image
        has, the better. NaN where a frame is missing.
    most : int
        Number of proposals.

    Returns
    -------
    tuple of ScanShape
        The best first; empty where nothing repeats.

    Notes
    -----
    Written for this package.
    """
    values = _without_trend(_checked(sums))
    count = len(values)
    if count < MIN_LINE * MIN_LINES or not values.any():
        return ()
    found: dict[tuple[tuple[int, int], int], float] = {}
    for period, likely in _periods(_autocorrelation(values), count):
        lines = max(round(count / period), 1)
        for flyback, weight in _flybacks(values, period).items():
            key = ((lines, period - flyback), flyback)
            score = likely * weight * _roundness(period - flyback)
            found[key] = max(found.get(key, 0), score)
    best = sorted(found.items(), key=lambda item: -item[1])[:most]
    return tuple(
        ScanShape(nav_shape, flyback, round(score, 3))
        for (nav_shape, flyback), score in best
    )


def _checked(sums: ArrayLike) -> NDArray[np.float64]:
    values = np.asarray(sums)
    if values.dtype.kind not in "buif":
        raise ParameterError(
            None,
            "sums",
            "these are no sums of frames",
            expected="an array of real numbers",
            found=f"an array of {values.dtype}",
        )
    if values.ndim != 1:
        raise ShapeError(
            None,
            "the sums have another shape",
            expected="one number for each stored frame, (n,)",
            found=values.shape,
        )
    return values.astype(np.float64)


def _without_trend(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Subtract slow changes, such as that of the beam; bring outliers to the rest."""
    known = np.isfinite(values)
    if known.sum() < MIN_LINE * MIN_LINES:
        return np.zeros_like(values)
    values = np.clip(values, *np.percentile(values[known], (0.1, 99.9)))
    time = np.linspace(-1, 1, len(values))
    powers = np.polynomial.legendre.legvander(time, 3)
    slopes = np.linalg.lstsq(powers[known], values[known], rcond=None)[0]
    flat: NDArray[np.float64] = np.where(known, values - powers @ slopes, 0)
    scale = np.abs(values[known]).max()
    return np.where(np.abs(flat) > 1e-12 * scale, flat, 0)  # but for rounding


def _autocorrelation(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Correlation with itself, 1 for no shift, up to a shift by a third."""
    count = len(values)
    spectrum = np.fft.rfft(values, 1 << (2 * count - 1).bit_length())
    sums = np.fft.irfft(spectrum.real**2 + spectrum.imag**2)[: count // MIN_LINES + 2]
    likeness: NDArray[np.float64] = sums / sums[0]
    return likeness * count / (count - np.arange(len(sums)))


def _periods(likeness: NDArray[np.float64], count: int) -> list[tuple[int, float]]:
    """Shifts after which the values repeat, and how likely these are lines."""
    shifts = np.arange(len(likeness))
    is_peak = np.zeros(len(likeness), np.bool_)
    is_peak[1:-1] = likeness[1:-1] > likeness[:-2]
    is_peak[1:-1] &= likeness[1:-1] >= likeness[2:]
    is_peak &= likeness > NOISE / np.sqrt(count - shifts)
    is_near = np.convolve(is_peak, np.ones(2 * NEAR_PEAK + 1), mode="same") > 0
    possible = (shifts >= MIN_LINE) & (shifts <= count // MIN_LINES)
    shifts = shifts[possible]
    fits = count % shifts == 0
    chosen = is_peak[possible] | (is_near[possible] & fits)
    shifts, fits = shifts[chosen], fits[chosen]
    proportion = np.log(shifts**2 / count) / math.log(USUAL_PROPORTION)
    likely = likeness[shifts] * np.exp(-(proportion**2)) * np.where(fits, 1, INCOMPLETE)
    order = np.argsort(-likely, kind="stable")[:MAX_PERIODS]
    return [(int(shifts[i]), float(likely[i])) for i in order if likely[i] > 0]


def _flybacks(values: NDArray[np.float64], period: int) -> dict[int, float]:
    """Return how likely which numbers of flyback frames are, for lines so long."""
    lines = values[: len(values) // period * period].reshape(-1, period)
    lines = lines[:: -(-len(lines) // MAX_LINES)]
    profile = np.median(lines, axis=0)
    spread = _spread(profile)
    steadiness = _spread(lines)
    unusual = np.abs(profile - np.median(profile)) > UNUSUAL * spread
    unusual |= steadiness < STEADY * np.median(steadiness)
    likely = {0: 0.9}
    seen = 0 if unusual.all() else int(np.argmin(unusual[::-1]))
    if 0 < seen <= MAX_FLYBACK * period:
        # The image may fade towards its border; flyback sets in at once.
        first = period - seen
        jump = abs(profile[first] - profile[first - 1]) > UNUSUAL / 2 * spread
        if jump or steadiness[first:].max() < STEADY * steadiness[first - 1]:
            likely = {0: 0.6, seen: 1.0}
    for flyback in range(1, int(MAX_FLYBACK * period) + 1):
        if _is_power_of_two(period - flyback):
            likely.setdefault(flyback, 0.5)
    return likely


def _spread(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standard deviation along the first axis, from the median of deviations."""
    return 1.4826 * np.median(np.abs(values - np.median(values, axis=0)), axis=0)


def _roundness(width: int) -> float:
    """How much likelier lines of a round number of positions are."""
    if _is_power_of_two(width):
        return 1.0
    return 0.9 if width % 10 and width % 16 else 0.95


def _is_power_of_two(number: int) -> bool:
    return number >= MIN_LINE and number & (number - 1) == 0
