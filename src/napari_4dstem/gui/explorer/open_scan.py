"""What all parts of the Explorer share: the scan that is open, and two viewers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

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
    """

    layer: Image
    ds: Dataset
    shown: Dataset

    def scan_axes(self) -> dict[str, Any]:
        """Return how layers of the scan lie in the world."""
        return self._axes(slice(None, 2), SCAN_AXES)

    def pattern_axes(self) -> dict[str, Any]:
        """Return how layers of patterns lie in the world."""
        return self._axes(slice(2, None), PATTERN_AXES)

    def _axes(self, axes: slice, labels: tuple[str, str]) -> dict[str, Any]:
        return {
            "scale": self.layer.scale[axes],
            "translate": self.layer.translate[axes],
            "units": self.layer.units[axes],
            "axis_labels": labels,
        }
