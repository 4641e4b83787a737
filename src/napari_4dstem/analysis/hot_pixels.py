"""Hot and dead pixels, found from the data themselves."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_4dstem.analysis.outliers import outliers
from napari_4dstem.analysis.statistics import sum_frame
from napari_4dstem.corrections import Corrections
from napari_4dstem.dataset import Dataset
from napari_4dstem.engine.arguments import check_waiting, shown
from napari_4dstem.errors import Cancelled, FormatError, ParameterError, ShapeError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

MIN_SIDE_PX = 5

# Frames that are looked at, and no more than so many bytes of them if these are many.
MAX_FRAMES, MIN_FRAMES, MAX_NBYTES = 256, 16, 2**30
PARTS = 8  # of the scan; a bad pixel has to be bad in all of them
MAX_ROUNDS = 8
WHOLE = 1e-3  # how far numbers of counts may be from whole ones, by rounding


@dataclass(frozen=True, eq=False)
class HotPixels:
    """Pixels of a detector that are not to be used.

    Attributes
    ----------
    mask : bool array, shape sig_shape
        True where a pixel is to be excluded: hot, dead, or excluded by the data set
        already.
    hot : bool array, shape sig_shape
        Brighter than all around, all the time.
    dead : bool array, shape sig_shape
        Darker than all around, all the time, or never a number.
    threshold : float
        What they were found with.
    num_frames : int
        Frames that were looked at.
    """

    mask: NDArray[np.bool_]
    hot: NDArray[np.bool_]
    dead: NDArray[np.bool_]
    threshold: float
    num_frames: int

    def __str__(self) -> str:
        frames = f"{self.num_frames} frame{'s' * (self.num_frames != 1)}"
        return (
            f"{np.count_nonzero(self.hot)} hot and {np.count_nonzero(self.dead)} dead"
            f" pixels, found in {frames}"
        )


def find_hot_pixels(
    data: Dataset | ArrayLike,
    threshold: float = 5.0,
    *,
    progress: Callable[[int, int], Any] | None = None,
    cancel: threading.Event | None = None,
    scheduler: Any = None,
) -> HotPixels:
    """Find hot and dead pixels of the detector in the data.

    A hot pixel is brighter than all its neighbors but one, in every part of the scan,
    while these are no brighter than what is around them: the edge of a disk, a Bragg
    spot or a streak is none. How much brighter is compared with the noise of pixels of
    that brightness, in these data. A dead pixel is darker in the same way, which shows
    only where there is light.

    Single pixels and pairs are found; lines and areas are not. A spot of the specimen
    that is narrower than 1.5 pixels and never moves looks like a hot pixel.

    Parameters
    ----------
    data : Dataset, or array of shape (ky, kx)
        Of a data set, up to 256 frames from all over the scan are read, with its
        corrections: dark frame and gain map help. A single frame should be the mean or
        sum of many; it does not tell what lasts.
    threshold : float
        By how many standard deviations of the noise a pixel must differ from all its
        neighbors but one. By 5, four of five are found that are 8 off their neighbors,
        and all that are 12 off.
    progress, cancel, scheduler : optional
        See `run`; of no use for a single frame.

    Returns
    -------
    HotPixels
        Its ``mask`` is for ``with_corrections(excluded=...)``.

    Raises
    ------
    ShapeError
        If frames have not two axes with 5 or more pixels each.
    ParameterError
        If the threshold is not above 0, or the data are no numbers.
    FormatError
        If the data set has no frame.
    Cancelled
        If ``cancel`` was set.

    Notes
    -----
    Written for this package. The noise is a trimmed mean, over pixels of like
    brightness, of how far they are off their neighbors; so it needs no model of the
    camera, and contains what pixels differ in gain. Of counts it is never less than one
    count.
    """
    threshold = _checked(threshold)
    check_waiting(progress, cancel)
    excluded = None
    if isinstance(data, Dataset):
        _check_shape(data.sig_shape)
        sums, counts = _sums_of_parts(data, progress, cancel, scheduler)
        one = _least_count(data)
        if data.corrections is not None:
            excluded = data.corrections.excluded
    else:
        sums, counts, one = [_pixels(data)], [1], 0.0
    parts = _means(sums, counts)
    quantum = (one or _common_measure(sums)) / sum(counts)
    mean = _mean(parts)
    hot = np.zeros(mean.shape, bool)
    before = hot if excluded is None else excluded
    dead = ~np.isfinite(parts).any(axis=0) & ~before
    for _ in range(MAX_ROUNDS):
        if cancel is not None and cancel.is_set():
            raise Cancelled
        # A bad pixel hides its bad neighbor; without it, that one stands out.
        bad = hot | dead | before
        patched = Corrections(excluded=bad).apply(mean)
        more_hot, more_dead = outliers(patched, parts, quantum, threshold)
        hot, dead = hot | (more_hot & ~bad), dead | (more_dead & ~bad)
        if np.array_equal(bad, hot | dead | before):
            break
    return HotPixels(hot | dead | before, hot, dead, threshold, sum(counts))


def _checked(threshold: Any) -> float:
    is_number = isinstance(threshold, (int, float, np.integer, np.floating))
    if is_number and not isinstance(threshold, bool) and 0 < threshold < np.inf:
        return float(threshold)
    raise ParameterError(
        None,
        "threshold",
        "threshold is none",
        expected="a number above 0",
        found=shown(threshold),
    )


def _check_shape(shape: tuple[int, ...]) -> None:
    if len(shape) != 2 or min(shape) < MIN_SIDE_PX:
        raise ShapeError(
            None,
            "hot pixels cannot be looked for in this",
            expected=f"frames (ky, kx) with {MIN_SIDE_PX} or more pixels each",
            found=shape,
        )


def _pixels(frame: ArrayLike) -> NDArray[Any]:
    pixels = np.asarray(frame)
    if pixels.dtype.kind not in "buif":
        raise ParameterError(
            None,
            "data",
            "this is no frame",
            expected="a data set, or an array of real numbers",
            found=shown(frame),
        )
    _check_shape(pixels.shape)
    return pixels


def _sums_of_parts(
    ds: Dataset,
    progress: Callable[[int, int], Any] | None,
    cancel: threading.Event | None,
    scheduler: Any,
) -> tuple[list[NDArray[Any]], list[int]]:
    """Return sums of frames from each part of the scan, and of how many."""
    parts = _positions(ds)
    if not parts:
        raise FormatError(ds.path, "there is no frame in which to look for hot pixels")
    total = len(parts) * ds.nav_size
    sums = []
    for number, positions in enumerate(parts):
        begin = number * ds.nav_size
        roi = np.zeros(ds.nav_size, bool)
        roi[positions] = True
        sums.append(
            sum_frame(
                ds,
                roi.reshape(ds.nav_shape),
                progress=_of_a_part(progress, begin, total),
                cancel=cancel,
                scheduler=scheduler,
            )
        )
    return sums, [len(positions) for positions in parts]


def _of_a_part(
    progress: Callable[[int, int], Any] | None, begin: int, total: int
) -> Callable[[int, int], Any] | None:
    """Return what tells the progress of a part as that of the whole."""
    if progress is None:
        return None
    tell = progress
    return lambda done, _: tell(begin + done, total)


def _positions(ds: Dataset) -> list[NDArray[np.int64]]:
    """Return positions with a frame from all over the scan, in parts of it."""
    nbytes = prod(ds.sig_shape) * ds.frames.source.dtype.itemsize
    number = ds.frames.num_valid()
    most = min(max(MAX_NBYTES // nbytes, MIN_FRAMES), MAX_FRAMES)
    count = min(most, number)
    # by chance within equal parts: a constant step may meet the same column only
    steps = np.arange(count) + np.random.default_rng(0).random(count)
    at = np.unique((steps * (number / max(count, 1))).astype(np.int64))
    positions = at if ds.frames.is_complete else np.flatnonzero(ds.valid)[at]
    return [part for part in np.array_split(positions, PARTS) if len(part)]


def _least_count(ds: Dataset) -> float:
    """Return what one count adds to a pixel; 0 where pixels are not counts."""
    if ds.frames.source.dtype.kind not in "biu":
        return 0.0
    gain = None if ds.corrections is None else ds.corrections.gain
    return 1.0 if gain is None else abs(float(np.median(np.asarray(gain))))


def _common_measure(sums: list[NDArray[Any]]) -> float:
    """Return the number that all sums are whole multiples of; 0 if there is none."""
    if sums[0].dtype.kind != "f":
        return 1.0
    finite = np.concatenate([part[np.isfinite(part)] for part in sums])
    sizes = np.abs(finite[finite != 0])
    if not sizes.size:
        return 0.0
    for one in (1.0, float(sizes.min())):
        multiples = finite / one
        whole = np.rint(multiples)
        # Of the offset of a camera, all are about one.
        if np.abs(multiples - whole).max() < WHOLE and len(np.unique(whole)) > 2:
            return one
    return 0.0


def _means(sums: list[NDArray[Any]], counts: list[int]) -> NDArray[np.float32]:
    """Return means of parts that are numbers somewhere; NaN where they are none."""
    # Far from 0, float32 would not tell pixels apart.
    bases = [np.median(part) / count for part, count in zip(sums, counts, strict=True)]
    base = next((each for each in bases if np.isfinite(each)), 0.0)
    means = np.empty((len(sums), *sums[0].shape), np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        for mean, part, count in zip(means, sums, counts, strict=True):
            mean[...] = part / count - base
    finite = np.isfinite(means)
    means[~finite] = np.nan
    # A frame that is no number takes its part along: the others tell enough.
    known = finite.any(axis=(1, 2))
    return means[known] if known.any() else means


def _mean(parts: NDArray[np.float32]) -> NDArray[np.float32]:
    finite = np.isfinite(parts)
    count = np.maximum(finite.sum(axis=0), 1)
    total = np.where(finite, parts, 0).sum(axis=0, dtype=np.float64)
    mean: NDArray[np.float32] = (total / count).astype(np.float32)
    return mean
