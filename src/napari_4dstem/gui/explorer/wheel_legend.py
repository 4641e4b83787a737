"""What the colors of directions mean, as a picture."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QImage, QPainter, QPalette, QPen
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_4dstem.analysis.color_wheel import color_wheel

if TYPE_CHECKING:
    from qtpy.QtGui import QPaintEvent

DISK_PX, MARGIN_PX, TEXT_PX = 72, 13, 15
TICK_PX = 4
PIXELS = 256  # sharp at twice the resolution


class WheelLegend(QWidget):
    """A wheel with the color of every direction, as directions are on the screen."""

    def __init__(self) -> None:
        super().__init__()
        self.maximum = ""
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Colours of directions")
        self.show_maximum("")

    def show_maximum(self, maximum: str) -> None:
        """Show which length has full brightness; empty: it is not known."""
        self.maximum = maximum
        up_to = f", full at {maximum} and beyond" if maximum else ""
        self.setToolTip(
            "Colours of the wheel and of the angle: hue is the direction of a shift,"
            f" x to the right, y down. Brightness is its length{up_to}."
        )
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """Return room for the wheel, its axes and a line of text."""
        return QSize(DISK_PX + 2 * MARGIN_PX, DISK_PX + 2 * MARGIN_PX + TEXT_PX + 4)

    def paintEvent(self, a0: QPaintEvent | None) -> None:  # noqa: N802 - Qt's name
        """Draw the wheel, its axes, and the length at its rim."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        color = self.palette().color(QPalette.ColorRole.WindowText)
        disk = QRectF((self.width() - DISK_PX) / 2, MARGIN_PX, DISK_PX, DISK_PX)
        pixels = _pixels()
        side = pixels.shape[0]
        image = QImage(
            pixels.tobytes(), side, side, 4 * side, QImage.Format.Format_RGBA8888
        )
        painter.drawImage(disk, image)
        painter.setPen(QPen(color, 1))
        painter.drawEllipse(disk)
        middle = disk.center()
        for x, y in ((1, 0), (0, 1), (-1, 0), (0, -1)):
            way = QPointF(x, y)
            rim = middle + way * (DISK_PX / 2)
            painter.drawLine(rim, rim + way * TICK_PX)
        letter = MARGIN_PX - TICK_PX
        flags = Qt.AlignmentFlag.AlignCenter
        painter.drawText(
            QRectF(disk.right() + TICK_PX, middle.y() - 10, letter, 20), flags, "x"
        )
        painter.drawText(
            QRectF(middle.x() - 10, disk.bottom() + TICK_PX, 20, letter + 4), flags, "y"
        )
        below = QRectF(0, self.height() - TEXT_PX, self.width(), TEXT_PX)
        if self.maximum:
            painter.drawText(below, flags, f"rim {self.maximum}")
        painter.end()


@cache
def _pixels() -> Any:
    """Return the wheel as RGBA, clear around it."""
    offsets = np.linspace(-1, 1, PIXELS)
    vectors = np.stack(np.meshgrid(offsets, offsets, indexing="ij"), axis=-1)
    lengths = np.hypot(vectors[..., 0], vectors[..., 1])
    rim = np.clip((1 - lengths) * PIXELS / 2 + 0.5, 0, 1)
    rgb = color_wheel(vectors, 1.0).image
    alpha = np.rint(255 * rim).astype(np.uint8)
    return np.ascontiguousarray(np.concatenate((rgb, alpha[..., None]), axis=-1))
