"""The mean of stored frames: a dark frame out of many, or a gain map that is one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_4dstem.corrections import LazyFrame
from napari_4dstem.errors import FormatError
from napari_4dstem.frames.batches import FrameSource
from napari_4dstem.frames.layout import FrameLayout, fit_to_files
from napari_4dstem.frames.raw_bytes import RawFrames

if TYPE_CHECKING:
    from numpy.typing import NDArray


def mean_frame(layout: FrameLayout) -> LazyFrame:
    """Return the mean of all complete frames, which is computed when first needed.

    Parameters
    ----------
    layout : FrameLayout
        Of pixels that are real numbers. A single frame is its own mean, exactly.
    """
    return LazyFrame(_mean, (layout,), layout.sig_shape, layout.files)


def _mean(layout: FrameLayout) -> NDArray[np.float64]:
    fitted, _ = fit_to_files(layout)
    # Each byte is read once: nothing is won by mapping.
    return mean_of(RawFrames(fitted, "buffered"), layout.files[0])


def mean_of(source: FrameSource, path: Path) -> NDArray[np.float64]:
    """Return the mean of all frames that are there.

    Parameters
    ----------
    source : FrameSource
    path : Path
        The file to name if there is none.

    Raises
    ------
    FormatError
        If there is none.
    """
    frames = np.arange(source.num_frames)
    frames = frames[source.present(frames)]
    if not len(frames):
        raise FormatError(
            path,
            "the file holds no complete frame",
            hint="Get the file again, or open the data with corrections=False.",
        )
    total = np.zeros(source.sig_shape, np.float64)
    for _, batch in source.batches(frames):
        total += batch.dense().sum(axis=0, dtype=np.float64)
    return total / len(frames)
