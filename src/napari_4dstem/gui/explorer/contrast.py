"""How bright numbers are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from napari.layers import Image

MAP_PERCENTILES = (1, 99.5)
PATTERN_PERCENTILES = (0.1, 99.9)


def logarithm(frame: Any) -> Any:
    """Return the logarithm of counts, or of parts of the usual brightness, from 0."""
    values = np.maximum(frame, 0).astype(np.float32)
    if frame.dtype.kind == "f":
        above = values[values > 0]
        if above.size:
            values = values / np.median(above)
    return np.log1p(values)


def fit(layer: Image, data: Any, percentiles: tuple[float, float]) -> None:
    """Set the contrast limits of a layer to percentiles of its data."""
    known = data[np.isfinite(data)]
    if known.dtype.kind == "b":
        known = known.astype(np.uint8)  # there are no percentiles of truth
    if not known.size:
        return
    low, high = (float(p) for p in np.percentile(known, percentiles))
    if high <= low:
        low, high = float(known.min()), float(known.max())
    if high <= low:
        high = low + 1
    layer.contrast_limits_range = (min(low, float(known.min())),
                                   max(high, float(known.max())))  # fmt: skip
    layer.contrast_limits = (low, high)
