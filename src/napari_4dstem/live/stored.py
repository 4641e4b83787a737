"""Frames in the order of the files, and how they fold into the scan."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_4dstem.errors import ParameterError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_4dstem.dataset import Dataset
    from napari_4dstem.frames.scan import ScanGeometry

# Frames that nobody asked for are read too where they lie between others: each new
# beginning takes as long as some frames.
GAP = 16


def in_stored_order(ds: Dataset) -> Dataset:
    """Return all stored frames of a data set, in their order."""
    count = ds.num_stored_frames
    # in the scan's own shape where it can be: chunks may be of several lines
    shape = ds.nav_shape if prod(ds.nav_shape) == count else (count,)
    return ds.with_scan(shape, sync_offset=0, flyback=0)


def check_refolded(now: Dataset, ds: Dataset) -> None:
    """Check that a data set is another one in another scan geometry."""
    if ds.frames.source is not now.frames.source or ds.corrections is not (
        now.corrections
    ):
        raise ParameterError(
            ds.path,
            "ds",
            "not the same frames in another scan geometry",
            expected="what with_scan of the data set returned",
            found=repr(ds),
        )


def folded(values: NDArray[Any], geometry: ScanGeometry) -> NDArray[Any]:
    """Return values of stored frames as a map of the scan.

    Parameters
    ----------
    values : array, shape (n, ...)
        One for each stored frame.
    geometry : ScanGeometry

    Returns
    -------
    array, shape (*nav_shape, ...)
        0 where no frame is stored.
    """
    width = geometry.nav_shape[-1]
    line = width + geometry.flyback
    count = geometry.num_positions // width * line
    first, rest = geometry.sync_offset, values.shape[1:]
    begin, end = max(first, 0), min(first + count, len(values))
    scan = np.zeros((count, *rest), values.dtype)
    if begin < end:
        scan[begin - first : end - first] = values[begin:end]
    lines = scan.reshape(-1, line, *rest)[:, :width]
    return lines.reshape(*geometry.nav_shape, *rest)


def bridged(wanted: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which frames to read, so that those wanted come in few pieces.

    Parameters
    ----------
    wanted : bool array, shape (n,)
    """
    edges = np.flatnonzero(np.diff(wanted, prepend=False, append=False))
    begins, ends = edges[::2], edges[1::2]
    holes, lengths = begins[1:] - ends[:-1], ends - begins
    # a few frames far apart are not worth all between them
    small = (holes <= GAP) & (holes <= lengths[:-1]) & (holes <= lengths[1:])
    steps = np.zeros(len(wanted) + 1, np.int8)
    steps[ends[:-1][small]] = 1
    steps[begins[1:][small]] = -1
    read: NDArray[np.bool_] = wanted | (np.cumsum(steps[:-1], dtype=np.int8) > 0)
    return read
