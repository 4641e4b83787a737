"""Virtual images: of every frame the sum over the pixels of a detector."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_4dstem.analysis.detectors import Detector
from napari_4dstem.engine import PerFrame, run
from napari_4dstem.engine.arguments import checked_data_set, shown
from napari_4dstem.errors import ParameterError
from napari_4dstem.frames.batches import Batch
from napari_4dstem.frames.masks import Masks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_4dstem.corrections import Corrections
    from napari_4dstem.dataset import Dataset


@dataclass(frozen=True, eq=False, kw_only=True)
class MaskedSums(PerFrame):
    """Sums of every frame within some masks.

    Attributes
    ----------
    masks : Masks
    dtype : dtype
        Of the sums.
    offsets : float array, shape (k,), optional
        Added to the sums of each mask.
    """

    masks: Masks
    dtype: np.dtype[Any]
    offsets: NDArray[np.float64] | None = None

    # Corrections are in the masks and the offsets.
    takes_raw = True

    @property
    def needed(self) -> NDArray[np.bool_]:
        """Pixels of any mask."""
        return self.masks.needed

    def values(self, frames: Batch) -> NDArray[Any]:
        """Return the sums, shape (n, k)."""
        sums = np.empty((len(frames), len(self.masks)), self.dtype)
        frames.masked_sums(self.masks, sums)
        if self.offsets is not None:
            sums += self.offsets
        return sums

    def empty(self) -> NDArray[Any]:
        """Return the sums of no frames."""
        return np.empty((0, len(self.masks)), self.dtype)


def masked_sums(
    ds: Dataset, masks: Sequence[NDArray[Any]], fill: float = 0
) -> MaskedSums:
    """Return the reduction that sums the frames of a data set within masks.

    Corrections of the data set are linear: they become weights and an offset, so that
    no frame needs to be corrected.

    Parameters
    ----------
    ds : Dataset
    masks : sequence of array, shape sig_shape
        bool, or real weights.
    fill : float
        Where there is no frame.
    """
    corrections: Corrections | None = ds.frames.corrections
    if corrections is None:
        compiled = Masks(masks)
        dtype = compiled.sum_dtype(ds.frames.source.dtype)
        return MaskedSums(
            nav_shape=ds.nav_shape, fill=fill, masks=compiled, dtype=dtype
        )
    weights, offsets = corrections.folded(
        np.stack([np.asarray(m, "f8") for m in masks])
    )
    compiled = Masks(weights)
    return MaskedSums(
        nav_shape=ds.nav_shape,
        fill=fill,
        masks=compiled,
        dtype=np.dtype(np.float64),
        offsets=offsets,
    )


def masks_of(ds: Dataset, detectors: Sequence[Any]) -> list[NDArray[Any]]:
    """Return the masks of some detectors.

    Raises
    ------
    ParameterError
        If there is none, or one is none.
    """
    if not detectors or not all(isinstance(d, Detector) for d in detectors):
        raise ParameterError(
            None,
            "detector",
            "not a virtual detector",
            expected="a Point, Disk, Annulus, Rectangle, Polygon or Mask",
            found=shown(detectors[0] if len(detectors) == 1 else detectors),
            hint="An array is a detector as Mask(array).",
        )
    return [d.mask(ds.sig_shape) for d in detectors]


def virtual_image(
    ds: Dataset,
    detector: Detector | Sequence[Detector],
    *,
    progress: Callable[[int, int], Any] | None = None,
    cancel: threading.Event | None = None,
    scheduler: Any = None,
) -> NDArray[Any]:
    """Image of the scan as a virtual detector sees it.

    Parameters
    ----------
    ds : Dataset
    detector : Detector, or sequence of them
        `Disk`, `Annulus`, `Rectangle`, `Polygon`, `Point` or `Mask`; many are
        integrated in one pass over the data.
    progress, cancel, scheduler : optional
        See `run`.

    Returns
    -------
    array, shape nav_shape, or (k, *nav_shape) for k detectors
        Of every frame the sum of its pixels, times the weights of the detector where it
        has some; 0 where there is no frame. Integer pixels give exact uint64 or int64
        sums, of pixels of 64 bits modulo 2**64; all else is summed in float64. Of
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
    is_one = isinstance(detector, Detector)
    detectors = [detector] if not isinstance(detector, Sequence) else list(detector)
    masks = masks_of(ds, detectors)
    sums: NDArray[Any] = run(
        ds,
        masked_sums(ds, masks),
        progress=progress,
        cancel=cancel,
        scheduler=scheduler,
    )
    images = np.ascontiguousarray(np.moveaxis(sums, -1, 0))
    return images[0] if is_one else images
