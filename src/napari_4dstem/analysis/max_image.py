"""The largest pixel of every frame, of all of it or within a detector."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_4dstem.analysis.detectors import Detector
from napari_4dstem.analysis.statistics import magnitude_dtype
from napari_4dstem.analysis.virtual_image import masks_of
from napari_4dstem.engine import PerFrame, run
from napari_4dstem.engine.arguments import checked_data_set
from napari_4dstem.frames.batches import Batch, SparseBatch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_4dstem.dataset import Dataset


@dataclass(frozen=True, eq=False, kw_only=True)
class Maxima(PerFrame):
    """The largest pixel of every frame.

    Attributes
    ----------
    dtype : dtype
        Of the pixels; of their magnitudes where they are complex.
    """

    dtype: np.dtype[Any]

    def values(self, frames: Batch) -> NDArray[Any]:
        """Return the maxima, shape (n,)."""
        if isinstance(frames, SparseBatch):
            return self._of_events(frames)
        found = np.empty(len(frames), self.dtype)
        for where, block in frames.dense_blocks():
            flat = block.reshape(len(block), -1)
            if block.dtype.kind == "c":
                flat = np.abs(flat)
            np.max(flat, axis=1, out=found[where])
        return found

    def _of_events(self, frames: SparseBatch) -> NDArray[Any]:
        frame, _, values = frames.events()
        values = np.abs(values) if values.dtype.kind == "c" else values
        hits = np.bincount(frame, minlength=len(frames))
        found = np.zeros(len(frames), self.dtype)
        if (hits == prod(frames.sig_shape)).any():  # all pixels may be below 0
            full = hits == prod(frames.sig_shape)
            first = np.searchsorted(frame, np.flatnonzero(full))
            found[full] = values[first]
        np.maximum.at(found, frame, values)
        return found

    def empty(self) -> NDArray[Any]:
        """Return the maxima of no frames."""
        return np.empty(0, self.dtype)


@dataclass(frozen=True, eq=False, kw_only=True)
class Largest(PerFrame):
    """The largest pixel of every frame within a mask.

    Attributes
    ----------
    mask : bool array, shape sig_shape
    dtype : dtype
        Of the pixels; of their magnitudes where they are complex.
    """

    mask: NDArray[np.bool_]
    dtype: np.dtype[Any]

    @property
    def needed(self) -> NDArray[np.bool_]:
        """Pixels of the mask."""
        return self.mask

    def values(self, frames: Batch) -> NDArray[Any]:
        """Return the maxima, shape (n,)."""
        found = np.zeros(len(frames), self.dtype)
        if not self.mask.any():
            return found
        for where, block in frames.dense_blocks():
            pixels = block[:, self.mask]
            np.max(
                np.abs(pixels) if pixels.dtype.kind == "c" else pixels,
                axis=1,
                out=found[where],
            )
        return found

    def empty(self) -> NDArray[Any]:
        """Return the maxima of no frames."""
        return np.empty(0, self.dtype)


def max_image(
    ds: Dataset,
    detector: Detector | None = None,
    *,
    progress: Callable[[int, int], Any] | None = None,
    cancel: threading.Event | None = None,
    scheduler: Any = None,
) -> NDArray[Any]:
    """Maximum over the pixels of every frame.

    Parameters
    ----------
    ds : Dataset
    detector : Detector, optional
        Pixels that count, whatever their weights; by default all.
    progress, cancel, scheduler : optional
        See `run`.

    Returns
    -------
    array, shape nav_shape, type of the pixels
        0 where there is no frame, or no pixel in the detector; NaN where a pixel is. Of
        complex pixels, the magnitudes.

    Raises
    ------
    ShapeError
        If the detector does not fit the frames.
    ParameterError
        If it is no detector.
    Cancelled
        If ``cancel`` was set.
    """
    ds = checked_data_set(ds)
    dtype = magnitude_dtype(ds.dtype)
    largest: PerFrame
    if detector is None:
        largest = Maxima(nav_shape=ds.nav_shape, dtype=dtype)
    else:
        (mask,) = masks_of(ds, [detector])
        largest = Largest(nav_shape=ds.nav_shape, mask=mask != 0, dtype=dtype)
    image: NDArray[Any] = run(
        ds, largest, progress=progress, cancel=cancel, scheduler=scheduler
    )
    return image
