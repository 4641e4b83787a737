"""Colors of detectors and of their maps, which add up."""

from __future__ import annotations

from collections.abc import Mapping

from napari_4dstem.gui.explorer.drawings import COLORS

# colormap of the map -> color of what is drawn
SCHEMES: dict[str, Mapping[str, str]] = {
    "Red, green, blue": COLORS,
    # napari made these to be told apart with red-green color blindness
    "Orange, blue, purple": {
        "gray": "white",
        "bop orange": "#f8ad20",
        "bop blue": "#20adf8",
        "bop purple": "#c05ac0",
        "yellow": "yellow",
    },
}


def scheme(name: str) -> Mapping[str, str]:
    """Return the colors of a scheme, or the usual ones if there is none of its name."""
    return SCHEMES.get(name, COLORS)
