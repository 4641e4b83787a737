"""What all parts of the Explorer share: the scan that is open, and two viewers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_4dstem.gui.picked import is_scan
from napari_4dstem.layers import samplings

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Layer

    from napari_4dstem.dataset import Dataset

SCAN_AXES, PATTERN_AXES = ("y", "x"), ("ky", "kx")


@dataclass(eq=False)
class Spaces:
    """The viewers of both spaces.

    Attributes
    ----------
    scan : ViewerModel
        Shows maps of the scan.
    pattern : ViewerModel
        Shows a pattern and the detectors on it. It changes when patterns move to
        another window.
    """

    scan: ViewerModel
    pattern: ViewerModel


@dataclass(eq=False)
class OpenScan:
    """A scan that is explored.

    Attributes
    ----------
    layer : Image
        Of four axes; out of the list of layers as long as it is explored.
    ds : Dataset
        Its data set, as all parts have it.
    shown : Dataset
        The same in the scan geometry that is tried.
    is_settling : bool
        Whether layers are on their way to another calibration: until all are there,
        what lies on one of them lies elsewhere on the next.
    """

    layer: Image
    ds: Dataset
    shown: Dataset
    is_settling: bool = False

    def scan_axes(self) -> dict[str, Any]:
        """Return how layers of the scan lie in the world."""
        return self._axes(slice(None, 2), SCAN_AXES)

    def pattern_axes(self) -> dict[str, Any]:
        """Return how layers of patterns lie in the world."""
        return self._axes(slice(2, None), PATTERN_AXES)

    def settle(self, spaces: Spaces) -> None:
        """Give all layers the calibration of the data set; all stay on their pixels.

        Those that others have put there, too: napari shows no scale bar, and warns,
        where units differ.
        """
        scale, units = zip(*samplings(self.ds), strict=True)
        factors = np.divide(scale, self.layer.scale)
        self.is_settling = True
        try:
            _renew_axes(self.layer, factors, units)
            for model, axes in (
                (spaces.scan, slice(None, 2)),
                (spaces.pattern, slice(2, None)),
            ):
                for layer in model.layers:
                    if not is_scan(layer):  # of another scan
                        _renew_axes(layer, factors[axes], units[axes])
        finally:
            self.is_settling = False

    def _axes(self, axes: slice, labels: tuple[str, str]) -> dict[str, Any]:
        return {
            "scale": self.layer.scale[axes],
            "translate": self.layer.translate[axes],
            "units": self.layer.units[axes],
            "axis_labels": labels,
        }


def _renew_axes(layer: Layer, factors: Any, units: tuple[str, ...]) -> None:
    """Stretch the world along the last axes of a layer, and name their units."""
    kept = max(layer.ndim - len(factors), 0)
    factors = (*(1,) * kept, *factors)
    layer.scale, layer.translate = layer.scale * factors, layer.translate * factors
    layer.units = (*layer.units[:kept], *units)
