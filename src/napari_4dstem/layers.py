"""From a data set to a napari layer, as a plain tuple without Qt and napari."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Any

import dask
import dask.array as da
import numpy as np
from dask.base import optimize

from napari_4dstem.frames.raw_bytes import RawFrames

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_4dstem.axes import Sampling
    from napari_4dstem.dataset import Dataset

LayerData = tuple[Any, dict[str, Any], str]

METADATA_KEY = "napari_4dstem"
AXIS_LABELS = ("y", "x", "ky", "kx")
# What napari's unit registry knows for sure; another unit would be an error there.
KNOWN_UNITS = ("nm", "1/nm", "mrad")
PIXEL = (1.0, "pixel")

# Frames that are read for the contrast limits, and no more than so many bytes of them,
# and not for longer: the window waits.
CONTRAST_FRAMES = 9
CONTRAST_NBYTES = 2**26
CONTRAST_SECONDS = 1.0
# Along an axis of the detector, where every pixel costs a way to the disk.
SCATTERED_PIXELS = 32
CONTRAST_PERCENTILES = (0.1, 99.9)
# A slice of more chunks is no view of something, but all of it.
MAX_SLICED_CHUNKS = 10_000


def image_layer(ds: Dataset) -> LayerData:
    """One lazy image layer of four axes (y, x, ky, kx).

    Parameters
    ----------
    ds : Dataset
        Of any number of axes, see `display_notices`.

    Returns
    -------
    data : dask.array.Array, shape (y, x, ky, kx)
        Magnitudes if the data are complex.
    options : dict
        As ``viewer.add_image`` takes them; the data set itself under
        ``metadata["napari_4dstem"]``.
    layer_type : str
        "image"

    Notes
    -----
    Reads a few frames for the contrast limits, see `contrast_limits`.
    """
    scale, units = zip(*samplings(ds), strict=True)
    options = {
        "name": ds.name,
        "metadata": {METADATA_KEY: ds},
        "rgb": False,
        "axis_labels": AXIS_LABELS,
        "scale": scale,
        "units": units,
        "contrast_limits": contrast_limits(ds),
        "colormap": "inferno",
        # napari's cache would take memory for what the system keeps in its own.
        "cache": ds.frames.source.lazy is not None,
    }
    return shown_array(ds), options, "image"


def shown_array(ds: Dataset) -> ShownArray:
    """Return the lazy array of four axes (y, x, ky, kx) that a layer shows."""
    return ShownArray(_four_axes(ds), _magnitude(ds))


def display_notices(ds: Dataset) -> tuple[str, ...]:
    """What is shown in another way than the data set has it."""
    notices = []
    nav_shape, sig_shape = _folded(ds.nav_shape), _folded(ds.sig_shape)
    for axes, shape, folded in (
        ("scan", ds.nav_shape, nav_shape),
        ("detector", ds.sig_shape, sig_shape),
    ):
        if folded != shape:
            notices.append(f"The {axes} of {times(shape)} is shown as {times(folded)}.")
    if ds.dtype.kind == "c":
        notices.append("The data are complex: their magnitude is shown.")
    strange = sorted(
        {
            axis.unit
            for axis in (*ds.calibration.nav, *ds.calibration.sig)
            if axis is not None and axis.unit not in KNOWN_UNITS
        }
    )
    if strange:
        notices.append(
            f"The unit {', '.join(map(repr, strange))} is shown as pixels: napari"
            f" gets {', '.join(KNOWN_UNITS)} from us."
        )
    return tuple(notices)


def contrast_limits(ds: Dataset) -> tuple[float, float]:
    """Brightness range of a few frames that are spread over the scan.

    Returns
    -------
    low, high : float
        Percentiles of the finite pixels; (0, 1) where they tell nothing.

    Notes
    -----
    Takes `CONTRAST_SECONDS`, or as long as it takes to read a single frame; of frames
    that are scattered over the file a few pixels are enough.
    """
    count = max(1, min(CONTRAST_FRAMES, CONTRAST_NBYTES // _frame_nbytes(ds)))
    number = ds.frames.num_valid()
    if not number:
        return 0.0, 1.0
    # The middles of equal parts: neither only the first frame nor only a corner.
    at = np.unique(((np.arange(count) + 0.5) * number / count).astype(np.int64))
    pixels = _sampled(ds, at if ds.frames.is_complete else np.flatnonzero(ds.valid)[at])
    if pixels.dtype.kind == "c":
        pixels = np.abs(pixels)
    if pixels.dtype.kind == "f":
        pixels = pixels[np.isfinite(pixels)].astype(np.float64)
    if pixels.dtype.kind == "b" or not pixels.size:
        return 0.0, 1.0
    low, high = (float(p) for p in np.percentile(pixels, CONTRAST_PERCENTILES))
    # Counts are whole numbers: most frames of a fast scan are 0 almost everywhere.
    least = 0.0 if pixels.dtype.kind == "f" else 1.0
    if high - low > 0 and high - low >= least:
        return low, high
    return min(low, 0.0), max(high, 1.0)


def _sampled(ds: Dataset, positions: NDArray[np.int64]) -> NDArray[Any]:
    """Return pixels of as many of these frames as there is time for."""
    begin = time.monotonic()
    source = ds.frames.source
    crop: tuple[slice, ...] = ()
    if isinstance(source, RawFrames) and source.layout.is_scattered:
        crop = tuple(slice(None, None, -(-n // SCATTERED_PIXELS)) for n in ds.sig_shape)
    # The middle of the scan tells most. The first frame that is read also pays for
    # imports and compiled code; only the second tells what a frame costs.
    order = np.roll(positions, -(len(positions) // 2))
    samples, cost = [], 0.0
    for part in (order[:1], order[1:2], order[2:]):
        left = CONTRAST_SECONDS - (time.monotonic() - begin)
        if not len(part) or left < cost:
            break
        count = len(part) if len(part) * cost <= left else int(left / cost)
        began = time.monotonic()
        samples.append(ds.frames.read(part[:: -(-len(part) // count)], crop).ravel())
        cost = (time.monotonic() - began) / count
    return np.concatenate(samples)


class ShownArray(da.Array):
    """A dask array whose slices read what they need, also in napari.

    napari switches off the fusion of tasks, and with it the optimization that lets a
    slice read one frame instead of its chunk. So a slice is optimized right here.
    """

    _sliced: Callable[[Any], Any]

    def __new__(
        cls, array: Any, function: Callable[[Any], Any] | None = None
    ) -> ShownArray:
        """Make it from a dask array and a function of its pixels."""
        shown = array if function is None else function(array)
        parts = shown.dask, shown.name, shown.chunks
        self: ShownArray = da.Array.__new__(cls, *parts, meta=shown._meta)
        pick = array.__getitem__
        # Slices come before the function: dask would not exchange them.
        self._sliced = pick if function is None else lambda key: function(pick(key))
        return self

    def __getitem__(self, key: Any) -> Any:
        """Return a slice as an array of few tasks."""
        sliced = self._sliced(key)
        if sliced.npartitions > MAX_SLICED_CHUNKS:
            return sliced
        with dask.config.set({"optimization.fuse.active": None}):
            return optimize(sliced)[0]


def _magnitude(ds: Dataset) -> Callable[[Any], Any] | None:
    return abs if ds.dtype.kind == "c" else None


def shown_data_set(ds: Dataset) -> Dataset:
    """Return a data set with the axes that its layer has: (y, x, ky, kx).

    Corrections of a detector with other axes are gone: they know only its own shape.
    """
    shown = ds.with_scan(_folded(ds.nav_shape))
    sig_shape = _folded(ds.sig_shape)
    if sig_shape == ds.sig_shape:
        return shown
    if ds.corrections is not None:
        shown = shown.with_corrections()
    source = shown.frames.source.with_sig_shape(sig_shape)
    return replace(shown, frames=replace(shown.frames, source=source))


def _four_axes(ds: Dataset) -> Any:
    sig_shape = _folded(ds.sig_shape)
    if ds.corrections is not None and sig_shape != ds.sig_shape:
        data = ds.with_scan(_folded(ds.nav_shape)).to_dask()
        return data.reshape(*data.shape[:2], *sig_shape)
    return shown_data_set(ds).to_dask()


def _folded(shape: tuple[int, ...]) -> tuple[int, int]:
    """Two axes out of any number: what comes before the last is one."""
    return prod(shape[:-1]), shape[-1]


def samplings(ds: Dataset) -> list[tuple[float, str]]:
    """(scale, unit) of the four axes as they are shown."""
    shown: list[tuple[float, str]] = []
    for axes in (ds.calibration.nav, ds.calibration.sig):
        # An axis that several were folded into has no step of its own.
        slow = axes[0] if len(axes) == 2 else None
        shown += [_known(slow), _known(axes[-1] if axes else None)]
    return shown


def _known(axis: Sampling | None) -> tuple[float, str]:
    return PIXEL if axis is None or axis.unit not in KNOWN_UNITS else (*axis,)


def _frame_nbytes(ds: Dataset) -> int:
    return max(1, prod(ds.sig_shape) * ds.frames.source.dtype.itemsize)


def times(shape: tuple[int, ...]) -> str:
    """Return a shape as people write it."""
    return " × ".join(map(str, shape))
