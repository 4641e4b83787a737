"""What is shown of the center of mass: names, units and colors of its maps."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils import Colormap

from napari_4dstem.analysis.color_wheel import color_wheel
from napari_4dstem.gui.unit_text import unit_text

if TYPE_CHECKING:
    from napari.layers import Image

DIVERGING, CYCLIC = "4D-STEM diverging", "4D-STEM directions"
DESCANS = {"nothing": "none", "the mean": "mean", "a plane": "plane"}
# Of lengths from 0; what is further out is an outlier, or the rim of the scan.
SYMMETRIC_PERCENTILE = 99.5
# A change of contrast that can be seen.
SEEN = 0.03


@dataclass(frozen=True)
class Output:
    """One map of the center of mass.

    Attributes
    ----------
    label : str
        Of the map.
    short : str
        Beside its check box.
    unit : str
        With the unit of the pattern for P and that of the scan for S.
    colormap : str
    tip : str
        What it tells.
    """

    label: str
    short: str
    unit: str
    colormap: str
    tip: str

    @property
    def is_signed(self) -> bool:
        """Whether 0 is in the middle of its colors."""
        return self.colormap == DIVERGING

    def name(self, pattern_unit: Any, scan_unit: Any) -> str:
        """Return its label, and the unit in which it is."""
        units = {"P": unit_text(pattern_unit), "S": unit_text(scan_unit)}
        unit = "".join(units.get(sign, sign) for sign in self.unit)
        return f"{self.label} ({unit})" if unit else self.label


# by their names in `VectorMap`
OUTPUTS = {
    "y": Output("Shift along y", "Shift y", "P", DIVERGING, "Positive is down"),
    "x": Output("Shift along x", "Shift x", "P", DIVERGING, "Positive is right"),
    "magnitude": Output(
        "Magnitude", "Magnitude", "P", "inferno", "Length of the shift",
    ),
    "angle": Output(
        "Angle", "Angle", "°", CYCLIC,
        "Direction of the shift: 0° is right, 90° is down; colours as of the wheel",
    ),
    "divergence": Output(
        "Divergence", "Divergence", "P/S", DIVERGING,
        "Negative at atoms: minus the charge density of a thin specimen",
    ),
    "curl": Output(
        "Curl", "Curl", "P/S", DIVERGING,
        "What no electric field makes: noise, magnetic fields, a wrong rotation",
    ),
    "phase": Output(
        "Integrated phase", "Phase", "P·S", "gray",
        "Its slope is the shift: bright at atoms",
    ),
    "color_wheel": Output(
        "Colour wheel", "Colour wheel", "", "",
        "Hue is the direction of the shift, brightness its length",
    ),
}  # fmt: skip


def looks(output: str) -> dict[str, Any]:
    """Return how the layer of a map looks, for ``Image``."""
    colormap = OUTPUTS[output].colormap
    if not colormap:
        return {"rgb": True}
    return {"colormap": _ours().get(colormap, colormap)}


def limits(output: str, image: Any) -> tuple[float, float] | None:
    """Return the contrast limits that the colors of a map ask for; None: any."""
    if output == "angle":
        return -180.0, 180.0
    if not OUTPUTS[output].is_signed:
        return None
    lengths = np.abs(image[np.isfinite(image)])
    if not lengths.any():
        return -1.0, 1.0
    far = float(np.percentile(lengths, SYMMETRIC_PERCENTILE)) or float(lengths.max())
    return -far, far


def set_limits(layer: Image, low: float, high: float) -> None:
    """Set the contrast of a layer on both sides of 0."""
    # Each costs as much as the data: what nobody would see can wait.
    if np.allclose(layer.contrast_limits, (low, high), rtol=SEEN, atol=0):
        return
    data = np.asarray(layer.data)
    far = max(high, float(np.abs(data[np.isfinite(data)]).max(initial=0)))
    layer.contrast_limits_range = -far, far
    layer.contrast_limits = low, high


@cache
def _ours() -> dict[str, Colormap]:
    """Colors of the wheel: all around its rim, and straight through its middle."""
    turns = np.linspace(-np.pi, np.pi, 257)
    rim = np.stack((np.sin(turns), np.cos(turns)), axis=-1)
    along = np.linspace(-1, 1, 257)
    through = np.stack((np.zeros(257), along), axis=-1)
    return {
        name: Colormap(color_wheel(vectors, 1.0).image / 255, name=name)
        for name, vectors in ((CYCLIC, rim), (DIVERGING, through))
    }
