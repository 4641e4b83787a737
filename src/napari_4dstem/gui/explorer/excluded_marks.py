"""Marks on the pattern where pixels are excluded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Points

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_4dstem.gui.explorer.open_scan import OpenScan, Spaces

NAME = "Excluded pixels"
COLOR = "#00c8ff"
# More would hide the pattern, and take time.
MOST = 10_000
# In pixels, around the one that is marked; at least so much of the detector's width.
SIZE_PX, SIZE_SHARE = 1.8, 1 / 50


class ExcludedMarks:
    """A square around each pixel that is excluded; no detector.

    Parameters
    ----------
    spaces : Spaces
    """

    def __init__(self, spaces: Spaces) -> None:
        self._spaces = spaces
        self._layer: Points | None = None
        self._mask: NDArray[Any] | None = None

    def show(self, scan: OpenScan, mask: NDArray[Any] | None) -> bool:
        """Mark these pixels, and no others.

        Returns
        -------
        bool
            False if there are too many.
        """
        if mask is self._mask and self._layer in self._spaces.pattern.layers:
            return True
        self.hide()
        count = 0 if mask is None else np.count_nonzero(mask)
        if mask is None or not 0 < count <= MOST:
            return count == 0
        self._mask = mask
        self._layer = Points(
            np.argwhere(mask),
            name=NAME,
            symbol="square",
            size=max(SIZE_PX, mask.shape[-1] * SIZE_SHARE),
            face_color="transparent",
            border_color=COLOR,
            border_width=0.15,
            **scan.pattern_axes(),
        )
        layers = self._spaces.pattern.layers
        active = layers.selection.active
        layers.append(self._layer)
        # Detectors are moved by the mouse, marks are not.
        layers.selection.active = active
        return True

    def hide(self) -> None:
        """Take the marks away."""
        layers = self._spaces.pattern.layers
        if self._layer in layers:
            layers.remove(self._layer)
        self._layer = self._mask = None
