"""Radial profiles: the mean over rings around a center."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_4dstem.analysis.statistics import mean_frame
from napari_4dstem.engine import PerFrame, run
from napari_4dstem.engine.arguments import checked_data_set, checked_flag, shown
from napari_4dstem.errors import ParameterError, ShapeError
from napari_4dstem.frames.batches import Batch, SparseBatch
from napari_4dstem.frames.lanes import is_long, sum_dtype

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_4dstem.dataset import Dataset

# No camera has so many pixels along an axis: a center that is farther away is a mistake
# that would cost a ring, and memory, for each pixel of the way.
FAR_PX = 100_000


def rings(
    sig_shape: tuple[int, ...], center: tuple[float, float], nbins: int | None = None
) -> NDArray[np.intp]:
    """Return the ring in which each pixel is.

    Parameters
    ----------
    sig_shape : tuple of int
    center : (ky, kx)
    nbins : int, optional
        Number of rings; by default as many as there are pixels for.

    Returns
    -------
    int array, shape sig_shape
        i where i <= r < i + 1; ``nbins`` for pixels farther out.
    """
    if len(sig_shape) != 2:
        raise ShapeError(
            None,
            "rings need two detector axes",
            found=f"frames of shape {sig_shape}",
        )
    try:
        cy, cx = (float(c) for c in center)
    except (TypeError, ValueError):
        cy = cx = np.nan
    if not np.all(np.abs([cy, cx]) <= FAR_PX):  # not either if one is NaN
        raise ParameterError(
            None,
            "center",
            "not a center",
            expected=f"(ky, kx) in pixels, none beyond {FAR_PX} in any direction",
            found=shown(center),
        )
    ky, kx = np.ogrid[: sig_shape[0], : sig_shape[1]]
    # not np.hypot, which may miss a whole number by its last bit
    ring = np.sqrt((ky - cy) ** 2 + (kx - cx) ** 2).astype(np.intp)
    if nbins is not None:
        is_number = isinstance(nbins, Integral) and not isinstance(nbins, bool)
        if not is_number or not 1 <= nbins <= FAR_PX:
            raise ParameterError(
                None,
                "nbins",
                "not a number of rings",
                expected=f"a whole number from 1 to {FAR_PX}",
                found=shown(nbins),
            )
        np.minimum(ring, nbins, out=ring)
    return ring


@dataclass(frozen=True, eq=False, kw_only=True)
class RingSums(PerFrame):
    """Sums of every frame over rings.

    Attributes
    ----------
    labels : int array, shape (pixels,)
        The ring of each pixel.
    count : int
        Number of rings.
    dtype : dtype
        Of the sums.
    """

    labels: NDArray[np.intp]
    count: int
    dtype: np.dtype[Any]

    def values(self, frames: Batch) -> NDArray[Any]:
        """Return the sums, shape (n, rings)."""
        from napari_4dstem.decode.ring_sums_kernels import sum_labels

        sums = np.zeros((len(frames), self.count), self.dtype)
        if isinstance(frames, SparseBatch):
            frame, pixels, values = frames.events()
            values = np.abs(values) if values.dtype.kind == "c" else values
            np.add.at(sums, (frame, self.labels[pixels]), values.astype(self.dtype))
            return sums
        for where, block in frames.dense_blocks():
            flat = block.reshape(len(block), -1)
            if flat.dtype.kind == "c":
                flat = np.abs(flat)
            elif flat.dtype.kind == "f" and flat.dtype.itemsize == 2:
                flat = flat.astype(np.float32)
            native = np.ascontiguousarray(flat, flat.dtype.newbyteorder("="))
            sum_labels(native, self.labels.astype(np.uintp), sums[where])
        return sums

    def empty(self) -> NDArray[Any]:
        """Return the sums of no frames."""
        return np.zeros((0, self.count), self.dtype)


def radial_profile(
    ds: Dataset,
    center: tuple[float, float],
    nbins: int | None = None,
    roi: Any = None,
    *,
    per_frame: bool = False,
    progress: Callable[[int, int], Any] | None = None,
    cancel: threading.Event | None = None,
    scheduler: Any = None,
) -> NDArray[np.float64]:
    """Mean over rings around a center: of all frames, or of every frame.

    Parameters
    ----------
    ds : Dataset
        With two detector axes.
    center : (ky, kx)
        In pixels.
    nbins : int, optional
        Number of rings; by default as far as there are pixels.
    roi : bool array, shape nav_shape, optional
        Scan positions that count; by default all.
    per_frame : bool
        A profile for every scan position, instead of one of all frames.
    progress, cancel, scheduler : optional
        See `run`.

    Returns
    -------
    float64 array, shape (nbins,), or (*nav_shape, nbins)
        Ring i holds the pixels with i <= r < i + 1; NaN where there are none, and, for
        every position, where there is no frame or ``roi`` is False.

    Raises
    ------
    ShapeError
        If the frames have not two axes, or ``roi`` has not the shape of the scan.
    Cancelled
        If ``cancel`` was set.
    """
    ds = checked_data_set(ds)
    checked_flag("per_frame", per_frame)
    ring = rings(ds.sig_shape, center, nbins)
    count = int(ring.max()) + 1 if nbins is None else nbins
    options = {"progress": progress, "cancel": cancel, "scheduler": scheduler}
    pixels = np.bincount(ring.ravel(), minlength=count + 1)[:count].astype(float)
    pixels[pixels == 0] = np.nan
    if per_frame:
        dtype = np.dtype("f8") if is_long(ds.dtype) else sum_dtype(ds.dtype)
        reduction = RingSums(
            nav_shape=ds.nav_shape,
            labels=ring.ravel(),
            count=count + 1,
            dtype=dtype,
        )
        sums = run(ds, reduction, roi=roi, **options)[..., :count]
        profiles: NDArray[np.float64] = sums / pixels
        counted = ds.valid if roi is None else ds.valid & np.asarray(roi)
        profiles[~counted] = np.nan
        return profiles
    mean = mean_frame(ds, roi, **options)
    found: NDArray[np.float64] = (
        np.bincount(ring.ravel(), mean.ravel(), count + 1)[:count] / pixels
    )
    return found
