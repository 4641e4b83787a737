"""The mean of stored frames: a dark frame out of many, or a gain map that is one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_4dstem.corrections import LazyFrame
from napari_4dstem.errors import FormatError
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
    source = RawFrames(fitted, "buffered")
    frames = np.arange(source.num_frames)
    frames = frames[source.present(frames)]
    if not len(frames):
        raise FormatError(
            layout.files[0],
            "the file holds no complete frame",
            hint="Open the data with corrections=False, or get the file again.",
        )
    total = np.zeros(layout.sig_shape, np.float64)
    for _, batch in source.batches(frames):
        total += batch.dense().sum(axis=0, dtype=np.float64)
    return total / len(frames)
