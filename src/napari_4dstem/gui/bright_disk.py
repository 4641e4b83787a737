"""The bright-field disk at a glance: from some frames all over the scan."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_4dstem.analysis.bright_field import find_bright_field_disk
from napari_4dstem.errors import FormatError

if TYPE_CHECKING:
    from napari_4dstem.dataset import Dataset

Disk = tuple[tuple[float, float], float]
LOOK_AT = 32
# Where there is none: in parts of the width of the detector.
SHARE = 1 / 8


def find_disk(ds: Dataset) -> Disk | None:
    """Return center ``(ky, kx)`` and radius in pixels; None if there is no disk.

    Raises
    ------
    FormatError
        If a file cannot be read (any more).
    """
    valid = np.flatnonzero(ds.valid)
    if not len(valid):
        return None
    some = valid[np.unique(np.linspace(0, len(valid) - 1, LOOK_AT).astype(int))]
    frames = np.abs(ds.frames.read(some)).astype(np.float64)
    known = np.isfinite(frames)  # a frame that is no number tells nothing of the others
    mean = np.where(known, frames, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    try:
        disk = find_bright_field_disk(mean)
    except FormatError:
        return None
    return disk.center, disk.radius


def in_the_middle(sig_shape: tuple[int, ...]) -> Disk:
    """Return a disk in the middle of the detector, for where there is none."""
    height, width = sig_shape
    # At least the pixels around the middle.
    return ((height - 1) / 2, (width - 1) / 2), max(min(height, width) * SHARE, 1)
