"""A mark on the pattern where the bright-field disk is; it can be dragged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Shapes, Vectors

from napari_4dstem.analysis.detectors import Disk
from napari_4dstem.errors import FormatError
from napari_4dstem.gui.drawn import drawn_detector
from napari_4dstem.gui.explorer import circles
from napari_4dstem.gui.explorer.drawings import connect, disconnect

if TYPE_CHECKING:
    from napari.layers import Layer
    from numpy.typing import NDArray

    from napari_4dstem.gui.explorer.detectors import Detectors
    from napari_4dstem.gui.explorer.open_scan import OpenScan, Spaces
    from napari_4dstem.gui.explorer.patterns import Patterns

NAME = "Bright-field disk"
COLOR = "#00c8ff"
DASHES = 24
# Of the way from one dash to the next, and of the radius.
DASH_SHARE, CROSS_SHARE = 0.5, 0.25


class DiskMark:
    """A dashed circle with a cross at its center; no detector.

    Parameters
    ----------
    spaces : Spaces
    patterns : Patterns
    detectors : Detectors
        Know the disk.
    """

    def __init__(
        self, spaces: Spaces, patterns: Patterns, detectors: Detectors
    ) -> None:
        self._spaces, self._patterns, self._detectors = spaces, patterns, detectors
        self._open: OpenScan | None = None
        self._handle: Shapes | None = None
        self._is_wanted = self._is_dragged = False
        detectors.disk_changed.connect(self._on_disk)

    @property
    def is_shown(self) -> bool:
        """Whether it is on the pattern; in a window of layers it can be removed."""
        return self._handle in self._spaces.pattern.layers

    @property
    def layers(self) -> tuple[Layer, ...]:
        """What the mouse takes hold of, and what is seen."""
        return () if self._handle is None else (self._handle, self._lines)

    def open(self, scan: OpenScan) -> None:
        """Belong to a scan."""
        self._open = scan

    def close(self) -> None:
        """Go away with the scan."""
        self.hide()
        self._open = None

    def show(self) -> None:
        """Mark the disk, ready for the mouse; as soon as one is known."""
        self._is_wanted = True
        disk = self._detectors.disk
        if self._open is None or disk is None:
            return
        self._remove()
        axes = self._open.pattern_axes()
        self._handle = Shapes(
            [circles.circle(*disk)],
            shape_type="ellipse",
            edge_color="transparent",
            face_color="transparent",
            name=f"{NAME} (handle)",
            **axes,
        )
        circles.make_movable(self._handle)
        connect(self._handle, self._on_drawn)
        width = self._patterns.layer.data.shape[1]
        self._lines = Vectors(
            _lines(*disk),
            edge_width=max(width / 150, 0.2),
            edge_color=COLOR,
            vector_style="line",
            name=NAME,
            **axes,
        )
        layers = self._spaces.pattern.layers
        layers.extend([self._lines, self._handle])
        layers.selection.active = self._handle

    def hide(self) -> None:
        """Take the mark away."""
        self._is_wanted = False
        self._remove()

    def _remove(self) -> None:
        if self._handle is None:
            return
        disconnect(self._handle, self._on_drawn)
        layers = self._spaces.pattern.layers
        was_active = layers.selection.active is self._handle
        for layer in self.layers:
            if layer in layers:
                layers.remove(layer)
        self._handle = None
        if was_active and self._detectors.entries:
            # The mouse takes hold of what is active only.
            layers.selection.active = self._detectors.entries[-1].drawing

    def _on_drawn(self, _: Any) -> None:
        """Follow the mouse."""
        if self._open is None or self._open.is_settling or self._handle is None:
            return
        try:
            drawn = drawn_detector(self._handle, self._patterns.layer)
        except FormatError:
            return  # it is beside the pattern
        assert isinstance(drawn, Disk)
        disk = (drawn.center[0], drawn.center[1]), drawn.radius
        if disk != self._detectors.disk:
            self._is_dragged = True
            try:
                self._detectors.set_disk(disk)
            finally:
                self._is_dragged = False

    def _on_disk(self) -> None:
        disk = self._detectors.disk
        if disk is None:
            self._remove()
        elif self._handle is not None:
            self._lines.data = _lines(*disk)
            if not self._is_dragged:
                self._handle.data = [circles.circle(*disk)]
        elif self._is_wanted:
            self.show()


def _lines(center: tuple[float, float], radius: float) -> NDArray[np.float64]:
    """Return dashes around a circle and a cross, as (start, way) in pixels."""
    step = 2 * np.pi / DASHES
    begin = np.arange(DASHES) * step
    points = np.array(
        [
            np.stack([np.sin(at), np.cos(at)], axis=-1)
            for at in (begin, begin + DASH_SHARE * step)
        ]
    )
    dashes = np.stack([points[0], points[1] - points[0]], axis=1)
    cross = CROSS_SHARE * np.array([[[-1, 0], [2, 0]], [[0, -1], [0, 2]]])
    lines = radius * np.concatenate([dashes, cross])
    lines[:, 0] += center
    return lines
