"""Pixels that stand out of a frame, and are not a part of the picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

TOGETHER = 64  # pixels of like brightness that tell how far brightness spreads
# A pixel must be so much farther from its neighbors than these from those around them:
# a sharp spot of the specimen is brighter than its neighbors, but these are bright too.
ALONE = 3.0
# The brightest neighbor but one is farther from their median only on an edge.
MERE_NOISE = 1.5
# The mean of what the parts say, by its error; of fewer parts, nobody knows it.
LASTING, FEWEST_PARTS = 4.0, 4
USUAL = 0.9  # of these; bad pixels are among the rest
# Of normal noise: distance from the median of 8 by that from the nearest but one, and
# the standard deviation by the mean of the smaller one of both.
AS_MEDIAN, NORMAL = 2.3, 1.7
BAND_PX = 2**20  # pixels that are sorted together

NEAR = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx]
AROUND = [
    (dy, dx) for dy in range(-2, 3) for dx in range(-2, 3) if max(abs(dy), abs(dx)) == 2
]


def outliers(
    mean: NDArray[np.float32],
    parts: NDArray[np.float32],
    quantum: float,
    threshold: float,
) -> list[NDArray[np.bool_]]:
    """Return pixels that are too bright, and pixels that are too dark.

    Parameters
    ----------
    mean : float32 array, shape (ky, kx)
        Bad pixels that are known patched.
    parts : float32 array, shape (n, ky, kx)
        Frames from different times, in which the same pixels must stand out.
    quantum : float
        What one count adds to the mean; 0 where pixels are not counts.
    threshold : float
        See `find_hot_pixels`.
    """
    darker, level, brighter, off = _neighbors(mean)
    levels, spreads = _spread(off, level, quantum)
    rounding = np.finfo(np.float32).eps * np.abs(level).max()
    spreads = np.maximum(spreads, rounding)
    found = []
    for sign, rim in ((1, brighter), (-1, darker)):
        excess = sign * (mean - rim)
        least = threshold * float(spreads.min())
        at = np.nonzero((excess > 0) & (excess >= least))
        usual = _usual(spreads, levels, level[at])
        # On an edge, the rim is brighter than the median neighbor, and scatters more.
        edge = rim[at] - sign * MERE_NOISE * usual
        usual = np.maximum(usual, _usual(spreads, levels, edge))
        # Few counts scatter farther upwards: as in Bernstein's inequality.
        variance = usual**2 + quantum / 3 * np.maximum(mean - level, 0)[at]
        is_out = excess[at] > threshold * np.sqrt(variance)
        at = tuple(index[is_out] for index in at)
        is_bad = np.zeros(mean.shape, bool)
        is_bad[at] = _is_alone(sign * mean, at, excess[at]) & _lasts(parts, sign, at)
        found.append(is_bad)
    return found


def _neighbors(frame: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Return of 8 neighbors the darkest but one, the median, the brightest but one.

    And how far a pixel is off what is expected of it: on a slope their median, on an
    edge the nearest but one. Beyond the border the frame is mirrored.
    """
    height, width = frame.shape
    padded = np.pad(frame, 1, mode="reflect")
    ranked = [np.empty_like(frame) for _ in range(4)]
    rows = max(BAND_PX // width, 1)
    for first in range(0, height, rows):
        last = min(first + rows, height)
        near = np.stack(
            [padded[1 + dy + first : 1 + dy + last, 1 + dx : 1 + dx + width]
             for dy, dx in NEAR]
        )  # fmt: skip
        near.sort(axis=0)
        ranked[0][first:last] = near[1]
        ranked[1][first:last] = (near[3] + near[4]) / 2
        ranked[2][first:last] = near[-2]
        pixels = frame[first:last]
        apart = np.partition(np.abs(near - pixels), 1, axis=0)[1]
        off = np.abs(pixels - ranked[1][first:last])
        ranked[3][first:last] = np.minimum(off, AS_MEDIAN * apart)
    return ranked


def _spread(
    off: NDArray[np.float32], levels: NDArray[np.float32], quantum: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the standard deviation of noise among pixels of like brightness.

    Brightness from which on it holds, and deviations; shape (groups,).
    """
    order = np.argsort(levels, axis=None)
    # What is left over are some of the darkest, of which there are enough.
    order = order[order.size % TOGETHER if order.size > TOGETHER else 0 :]
    order = order.reshape(-1, min(TOGETHER, order.size))
    sizes = off.ravel()[order]
    usual = int(USUAL * sizes.shape[1])
    # Not their median: counts are whole numbers.
    spreads = NORMAL * np.partition(sizes, usual, axis=1)[:, :usual].mean(axis=1)
    if not quantum and not spreads.all():
        # Where most pixels are the same, those tell that are not.
        steps = sizes[spreads == 0]
        spreads[spreads == 0] = np.median(steps[steps > 0]) if steps.any() else 0
    spreads = np.maximum(spreads, quantum)
    beside = np.pad(spreads, 1, mode="edge")
    spreads = np.median([beside[:-2], spreads, beside[2:]], axis=0)
    return levels.ravel()[order[:, 0]], spreads.astype(np.float32)


def _usual(
    spreads: NDArray[np.float32],
    levels: NDArray[np.float32],
    brightness: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Return how far pixels scatter that are so bright."""
    return spreads[np.maximum(np.searchsorted(levels, brightness) - 1, 0)]


def _is_alone(
    frame: NDArray[np.float32],
    at: tuple[NDArray[np.int64], ...],
    excess: NDArray[np.float32],
) -> NDArray[np.bool_]:
    """Return whether pixels stand out far more than their neighbors do."""
    near = np.sort(_values(frame, at, NEAR), axis=0)[-2]
    # On the edge of a disk, neighbors are bright because some around are.
    around = np.sort(_values(frame, at, AROUND), axis=0)[-4]
    alone: NDArray[np.bool_] = excess > ALONE * (near - around)
    return alone


def _lasts(
    parts: NDArray[np.float32], sign: int, at: tuple[NDArray[np.int64], ...]
) -> NDArray[np.bool_]:
    """Return whether pixels differ from their neighbors alike in all parts."""
    lasts = np.ones(len(at[0]), bool)
    if len(parts) < FEWEST_PARTS:
        return lasts
    excess = sign * np.stack(
        [part[at] - np.median(_values(part, at, NEAR), axis=0) for part in parts]
    )
    mean, error = excess.mean(axis=0), excess.std(axis=0, ddof=1) / len(parts) ** 0.5
    lasts &= mean > LASTING * error
    return lasts


def _values(
    frame: NDArray[np.float32],
    at: tuple[NDArray[np.int64], ...],
    offsets: list[tuple[int, int]],
) -> NDArray[np.float32]:
    """Return pixels beside others, shape (offsets, n); mirrored beyond the border."""
    beside = []
    for offset in offsets:
        index = []
        for i, step, side in zip(at, offset, frame.shape, strict=True):
            moved = np.abs(i + step)
            index.append(np.where(moved < side, moved, 2 * (side - 1) - moved))
        beside.append(frame[tuple(index)])
    return np.stack(beside)
