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


class FollowingContrast:
    """An image whose contrast follows its data, until somebody sets it.

    Attributes
    ----------
    image : Image
    follows : bool
    """

    image: Image
    follows: bool = True
    _is_fitting: bool = False

    def fit(self) -> None:
        """Fit the contrast to the map."""
        self._is_fitting = True
        try:
            self._fit(np.asarray(self.image.data))
        finally:
            self._is_fitting = False

    def _fit(self, data: Any) -> None:
        fit(self.image, data, MAP_PERCENTILES)

    def on_contrast(self, _: Any) -> None:
        """Leave the contrast alone once somebody else has set it."""
        if not self._is_fitting:
            self.follows = False
