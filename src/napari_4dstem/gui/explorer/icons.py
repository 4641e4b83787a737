"""Icons of the controls, drawn in the color of the theme, sharp at any resolution."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from qtpy.QtCore import QPointF, QRectF, Qt
from qtpy.QtGui import QColor, QIcon, QPainter, QPen, QPixmap, QPolygonF
from qtpy.QtWidgets import QPushButton

if TYPE_CHECKING:
    from qtpy.QtGui import QPaintEvent

SIDE = 18  # of the icons, in the units in which they are drawn
PEN = 1.6
BUTTON_PX = 28
FAINT = 0.35
SWATCH_PX = 64  # enough for displays of any resolution


def _disk(p: QPainter) -> None:
    p.setBrush(p.pen().color())
    p.drawEllipse(QPointF(9, 9), 5, 5)


def _ring(p: QPainter) -> None:
    p.drawEllipse(QPointF(9, 9), 6.5, 6.5)
    p.drawEllipse(QPointF(9, 9), 2.8, 2.8)


def _rectangle(p: QPainter) -> None:
    p.drawRect(QRectF(2.5, 4.5, 13, 9))


def _polygon(p: QPainter) -> None:
    corners = ((9, 2.5), (15.5, 7), (13, 14.5), (4.5, 13), (3, 6.5))
    p.drawPolygon(QPolygonF([QPointF(x, y) for x, y in corners]))


def _point(p: QPainter) -> None:
    for x, y in ((0, 1), (1, 0)):
        p.drawLine(QPointF(9 - 6.5 * x, 9 - 6.5 * y), QPointF(9 - 3 * x, 9 - 3 * y))
        p.drawLine(QPointF(9 + 3 * x, 9 + 3 * y), QPointF(9 + 6.5 * x, 9 + 6.5 * y))
    p.drawPoint(QPointF(9, 9))


def _brush(p: QPainter) -> None:
    p.drawLine(QPointF(15, 2.5), QPointF(8.5, 9.5))
    p.setBrush(p.pen().color())
    p.drawEllipse(QPointF(6, 12), 2.8, 2.8)


def _region(p: QPainter) -> None:
    p.drawPolyline(
        QPolygonF(
            [QPointF(x, y) for x, y in ((9, 14), (3, 14), (3, 4), (15, 4), (15, 8))]
        )
    )
    p.drawLine(QPointF(14, 10.5), QPointF(14, 17))
    p.drawLine(QPointF(10.8, 13.8), QPointF(17.2, 13.8))


def _contrast(p: QPainter) -> None:
    p.drawEllipse(QPointF(9, 9), 6, 6)
    p.setBrush(p.pen().color())
    p.drawPie(QRectF(3, 3, 12, 12), 90 * 16, 180 * 16)


def _fit(p: QPainter) -> None:
    for x, y in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
        corner = QPointF(9 + 6 * x, 9 + 6 * y)
        p.drawLine(corner, QPointF(9 + 2.5 * x, 9 + 6 * y))
        p.drawLine(corner, QPointF(9 + 6 * x, 9 + 2.5 * y))


def _facts(p: QPainter) -> None:
    p.drawEllipse(QPointF(9, 9), 6.5, 6.5)
    p.drawLine(QPointF(9, 8.5), QPointF(9, 12.5))
    p.drawPoint(QPointF(9, 5.5))


def _detach(p: QPainter) -> None:
    p.drawPolyline(
        QPolygonF(
            [
                QPointF(x, y)
                for x, y in ((7.5, 4), (3, 4), (3, 15), (14, 15), (14, 10.5))
            ]
        )
    )
    p.drawLine(QPointF(8, 10), QPointF(15, 3))
    p.drawPolyline(
        QPolygonF([QPointF(x, y) for x, y in ((10.5, 3), (15, 3), (15, 7.5))])
    )


def _freeze(p: QPainter) -> None:
    p.translate(9, 9)
    for _ in range(3):
        p.drawLine(QPointF(0, -6.5), QPointF(0, 6.5))
        for end in (-1, 1):
            p.drawLine(QPointF(0, 4 * end), QPointF(-2, 6 * end))
            p.drawLine(QPointF(0, 4 * end), QPointF(2, 6 * end))
        p.rotate(60)


def _delete(p: QPainter) -> None:
    p.drawLine(QPointF(4.5, 4.5), QPointF(13.5, 13.5))
    p.drawLine(QPointF(4.5, 13.5), QPointF(13.5, 4.5))


def _bin(p: QPainter) -> None:
    p.drawLine(QPointF(3.5, 5), QPointF(14.5, 5))
    p.drawLine(QPointF(7, 3), QPointF(11, 3))
    corners = ((5, 5), (5.8, 15), (12.2, 15), (13, 5))
    p.drawPolyline(QPolygonF([QPointF(x, y) for x, y in corners]))
    for x in (7.8, 10.2):
        p.drawLine(QPointF(x, 8), QPointF(x, 12.2))


def _log(p: QPainter) -> None:
    font = p.font()
    font.setPixelSize(10)
    font.setBold(True)
    p.setFont(font)
    p.drawText(QRectF(-2, 0, 22, 18), Qt.AlignmentFlag.AlignCenter, "log")


DRAWINGS: dict[str, Callable[[QPainter], None]] = {
    "Disk": _disk,
    "Ring": _ring,
    "Rectangle": _rectangle,
    "Polygon": _polygon,
    "Point": _point,
    "Brush": _brush,
    "region": _region,
    "contrast": _contrast,
    "fit": _fit,
    "facts": _facts,
    "detach": _detach,
    "freeze": _freeze,
    "delete": _delete,
    "log": _log,
    "bin": _bin,
}


class IconButton(QPushButton):
    """A small button with an icon in the color that its text would have.

    Parameters
    ----------
    name : str
        One of `DRAWINGS`.
    tip : str
        What it does; its accessible name as well.
    """

    def __init__(self, name: str, tip: str) -> None:
        super().__init__()
        self._draw = DRAWINGS[name]
        self.setToolTip(tip)
        self.setAccessibleName(tip)
        self.setFixedSize(BUTTON_PX, BUTTON_PX)

    def paintEvent(self, event: QPaintEvent | None) -> None:  # noqa: N802  Qt's name
        """Draw the button, then the icon on it."""
        super().paintEvent(event)
        ink = self.palette().buttonText().color()
        if not self.isEnabled():
            ink.setAlphaF(FAINT)
        pen = QPen(ink, PEN)
        pen.setCapStyle(Qt.PenCapStyle.RoundCap)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.translate((self.width() - SIDE) / 2, (self.height() - SIDE) / 2)
        painter.setPen(pen)
        self._draw(painter)
        painter.end()


def swatch(color: str) -> QIcon:
    """Return a square of a color."""
    picture = QPixmap(SWATCH_PX, SWATCH_PX)
    picture.fill(QColor(color))
    icon = QIcon(picture)
    icon.addPixmap(picture, QIcon.Mode.Selected)  # else it is tinted in that row
    return icon
