"""Sum, mean, standard deviation and maximum of all frames; the sum of every frame."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from napari_4dstem.analysis.virtual_image import masked_sums
from napari_4dstem.engine import run
from napari_4dstem.engine.arguments import checked_data_set
from napari_4dstem.frames.accumulators import (
    FrameMaximum,
    FrameSpread,
    FrameSum,
    kind_for_mean,
    mean_of,
)
from napari_4dstem.frames.batches import Batch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_4dstem.dataset import Dataset

Accumulator: TypeAlias = FrameSum | FrameSpread | FrameMaximum


@dataclass(frozen=True)
class Accumulated:
    """A reduction whose state is one of the accumulators.

    Attributes
    ----------
    kind : type
        `FrameSum`, `FrameSpread` or `FrameMaximum`.
    """

    kind: type[Accumulator]

    takes_batches = True

    def prepare(self, ds: Dataset) -> Any:
        """Return an empty accumulator."""
        return self.kind(ds.sig_shape, ds.dtype)

    def add(self, state: Any, frames: Batch, positions: NDArray[np.int64]) -> None:
        """Add the frames of a batch."""
        state.add(frames)

    def merge(self, a: Any, b: Any) -> Any:
        """Return both as one."""
        return a.merge(b)

    def result(self, state: Any) -> Any:
        """Return the accumulator."""
        return state


def _accumulated(
    kind: type[Accumulator],
    ds: Dataset,
    roi: Any,
    progress: Callable[[int, int], Any] | None,
    cancel: threading.Event | None,
    scheduler: Any,
) -> Any:
    """Return an accumulator to which all frames of the region were added."""
    return run(
        ds,
        Accumulated(kind),
        roi=roi,
        progress=progress,
        cancel=cancel,
        scheduler=scheduler,
    )


def sum_frame(
    ds: Dataset,
    roi: Any = None,
    *,
    progress: Callable[[int, int], Any] | None = None,
    cancel: threading.Event | None = None,
    scheduler: Any = None,
) -> NDArray[Any]:
    """Sum of all frames.

    Parameters
    ----------
    ds : Dataset
    roi : bool array, shape nav_shape, optional
        Scan positions that count; by default all. Positions without a frame never do.
    progress, cancel, scheduler : optional
        See `run`.

    Returns
    -------
    array, shape sig_shape
        Exact uint64 or int64 for integer pixels, of pixels of 64 bits modulo 2**64;
        else float64. Of complex pixels, the magnitudes.

    Raises
    ------
    ShapeError
        If ``roi`` has not the shape of the scan.
    Cancelled
        If ``cancel`` was set.
    """
    state = _accumulated(FrameSum, ds, roi, progress, cancel, scheduler)
    total: NDArray[Any] = state.total
    return total


def mean_frame(
    ds: Dataset,
    roi: Any = None,
    *,
    progress: Callable[[int, int], Any] | None = None,
    cancel: threading.Event | None = None,
    scheduler: Any = None,
) -> NDArray[np.float64]:
    """Mean of all frames.

    Parameters
    ----------
    ds, roi, progress, cancel, scheduler
        See `sum_frame`.

    Returns
    -------
    float64 array, shape sig_shape
        NaN where no frame counts.

    Raises
    ------
    ShapeError, Cancelled
        See `sum_frame`.
    """
    ds = checked_data_set(ds)
    kind = kind_for_mean(ds.dtype)
    state = _accumulated(kind, ds, roi, progress, cancel, scheduler)
    return mean_of(state)


def std_frame(
    ds: Dataset,
    roi: Any = None,
    *,
    progress: Callable[[int, int], Any] | None = None,
    cancel: threading.Event | None = None,
    scheduler: Any = None,
) -> NDArray[np.float64]:
    """Standard deviation of every pixel over all frames, in one pass.

    Parameters
    ----------
    ds, roi, progress, cancel, scheduler
        See `sum_frame`.

    Returns
    -------
    float64 array, shape sig_shape
        Of the population (ddof 0); NaN where no frame counts.

    Raises
    ------
    ShapeError, Cancelled
        See `sum_frame`.

    Notes
    -----
    Means and squared deviations of parts are merged as in Chan, Golub and LeVeque,
    Technical Report STAN-CS-79-773 (1979).
    """
    state = _accumulated(FrameSpread, ds, roi, progress, cancel, scheduler)
    spread: NDArray[np.float64] = state.std()
    return spread


def max_frame(
    ds: Dataset,
    roi: Any = None,
    *,
    progress: Callable[[int, int], Any] | None = None,
    cancel: threading.Event | None = None,
    scheduler: Any = None,
) -> NDArray[Any]:
    """Maximum of every pixel over all frames.

    Parameters
    ----------
    ds, roi, progress, cancel, scheduler
        See `sum_frame`.

    Returns
    -------
    array, shape sig_shape, type of the pixels
        0 where no frame counts. A pixel that is NaN in one frame is NaN. Of complex
        pixels, the magnitudes.

    Raises
    ------
    ShapeError, Cancelled
        See `sum_frame`.
    """
    state = _accumulated(FrameMaximum, ds, roi, progress, cancel, scheduler)
    if not state.count:
        return np.zeros(ds.sig_shape, magnitude_dtype(ds.dtype))
    brightest: NDArray[Any] = state.maximum
    return brightest.astype(magnitude_dtype(ds.dtype), copy=False)


def sum_image(
    ds: Dataset,
    *,
    progress: Callable[[int, int], Any] | None = None,
    cancel: threading.Event | None = None,
    scheduler: Any = None,
) -> NDArray[Any]:
    """Sum over all pixels of every frame.

    Parameters
    ----------
    ds, progress, cancel, scheduler
        See `sum_frame`.

    Returns
    -------
    array, shape nav_shape
        As `virtual_image` of a detector that covers everything.

    Raises
    ------
    Cancelled
        If ``cancel`` was set.
    """
    ds = checked_data_set(ds)
    found = run(
        ds,
        masked_sums(ds, [np.ones(ds.sig_shape, bool)]),
        progress=progress,
        cancel=cancel,
        scheduler=scheduler,
    )
    image: NDArray[Any] = found[..., 0]
    return image


def magnitude_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type of a pixel, or of its magnitude where it is complex."""
    return np.abs(np.empty(0, dtype)).dtype
