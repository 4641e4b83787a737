"""Center of mass of every frame."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_4dstem.analysis.detectors import Detector
from napari_4dstem.analysis.virtual_image import masked_sums, masks_of
from napari_4dstem.engine import PerFrame, run
from napari_4dstem.engine.arguments import checked_data_set
from napari_4dstem.errors import ShapeError
from napari_4dstem.frames.batches import Batch
from napari_4dstem.frames.lanes import is_long
from napari_4dstem.frames.masks import Masks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_4dstem.dataset import Dataset


@dataclass(frozen=True, eq=False, kw_only=True)
class Moments(PerFrame):
    """Sum of every frame within a mask, and its first moments.

    Attributes
    ----------
    masks : Masks
        One, of bool.
    dtype : dtype
        Of the sums.
    """

    masks: Masks
    dtype: np.dtype[Any]

    @property
    def needed(self) -> NDArray[np.bool_]:
        """Pixels of the mask."""
        return self.masks.needed

    def values(self, frames: Batch) -> NDArray[Any]:
        """Return ``sum I``, ``sum ky I`` and ``sum kx I``, shape (n, 3)."""
        moments = np.empty((len(frames), 3), self.dtype)
        frames.moments(self.masks, moments)
        return moments

    def empty(self) -> NDArray[Any]:
        """Return the moments of no frames."""
        return np.empty((0, 3), self.dtype)


def moments(ds: Dataset, detector: Detector | None = None) -> PerFrame:
    """Return the reduction that finds the moments of every frame."""
    ds = checked_data_set(ds)
    if len(ds.sig_shape) != 2:
        raise ShapeError(
            ds.path,
            "a center of mass needs two detector axes",
            found=f"frames of shape {ds.sig_shape}",
        )
    if detector is None:
        mask: NDArray[Any] = np.ones(ds.sig_shape, bool)
    else:
        (mask,) = masks_of(ds, [detector])
    pixels = ds.frames.source.dtype
    if mask.dtype == bool and ds.frames.corrections is None and not is_long(pixels):
        masks = Masks((mask,))
        dtype = masks.sum_dtype(pixels)
        return Moments(nav_shape=ds.nav_shape, masks=masks, dtype=dtype)
    ky, kx = np.indices(ds.sig_shape, dtype="f8")
    return masked_sums(ds, [mask, mask * ky, mask * kx])


def centers(moments: NDArray[Any]) -> NDArray[np.float64]:
    """Return the centers of mass that follow from moments.

    Parameters
    ----------
    moments : array, shape (..., 3)

    Returns
    -------
    array, shape (..., 2)
        NaN where the sum is 0.
    """
    total = moments[..., :1].astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        found: NDArray[np.float64] = moments[..., 1:] / np.where(total, total, np.nan)
    return found


def center_of_mass(
    ds: Dataset,
    detector: Detector | None = None,
    *,
    progress: Callable[[int, int], Any] | None = None,
    cancel: threading.Event | None = None,
    scheduler: Any = None,
) -> NDArray[np.float64]:
    """Center of mass of every frame.

    Parameters
    ----------
    ds : Dataset
        With two detector axes.
    detector : Detector, optional
        Pixels that count, with their weights where it has some; by default all.
    progress, cancel, scheduler : optional
        See `run`.

    Returns
    -------
    float64 array, shape (*nav_shape, 2)
        ``(ky, kx)`` in detector pixels, from the first pixel of the frame; NaN where
        the sum over the detector is 0, and where there is no frame.

    Raises
    ------
    ShapeError
        If the frames have not two axes, or the detector does not fit them.
    ParameterError
        If it is no detector.
    Cancelled
        If ``cancel`` was set.
    """
    found = run(
        ds,
        moments(ds, detector),
        progress=progress,
        cancel=cancel,
        scheduler=scheduler,
    )
    return centers(found)
