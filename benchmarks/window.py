"""A window with the Explorer, and a mouse that does not wait for it."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from napari import Viewer
from qtpy.QtCore import QElapsedTimer, QEventLoop, QPoint, Qt, QTimer
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

import napari_4dstem as n4
from napari_4dstem.gui.explorer.dock import Explorer
from napari_4dstem.layers import image_layer

HZ = 60
PATIENCE_S = 300
LEFT, NO_KEYS = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier


class Mouse:
    """Moves at 60 Hz over a canvas with the left button down.

    Parameters
    ----------
    is_real : bool
        Whether the mouse of the screen moves, where xdotool can do that; else the
        canvas is told so.
    """

    def __init__(self, is_real: bool = True) -> None:
        has_server = is_real and QApplication.platformName() == "xcb"
        self._xdotool = shutil.which("xdotool") if has_server else None

    @property
    def kind(self) -> str:
        """What moves it."""
        return "xdotool" if self._xdotool else "QTest"

    def drag(self, canvas: Any, places: list[QPoint]) -> float:
        """Drag from the first place over all others; return the seconds it took."""
        begin = (places[0] + QPoint(1, 0), places[0])
        if self._xdotool is None:
            for place in begin:
                QTest.mouseMove(canvas, place)
                wait(0.1)
            QTest.mousePress(canvas, LEFT, NO_KEYS, places[0])
            began = time.perf_counter()
            for number, place in enumerate(places):
                wait(max(began + number / HZ - time.perf_counter(), 0))
                QTest.mouseMove(canvas, place)
            seconds = time.perf_counter() - began
            wait(0.05)  # vispy leaves out what comes sooner after another move
            QTest.mouseMove(canvas, places[-1])
            QTest.mouseRelease(canvas, LEFT, NO_KEYS, places[-1])
            return seconds
        for place in begin:
            self._tell(_move(canvas, place))
            wait(0.2)
        self._tell(["mousedown", "1"])
        wait(0.1)
        steps = [(*_move(canvas, place), "sleep", str(1 / HZ)) for place in places]
        began = time.perf_counter()
        self._tell([word for step in steps for word in step])
        seconds = time.perf_counter() - began
        wait(0.1)
        self._tell(["mouseup", "1"])
        return seconds

    def _tell(self, words: list[str]) -> None:
        process = subprocess.Popen([self._xdotool, *words])
        wait_until(lambda: process.poll() is not None)


def _move(canvas: Any, place: QPoint) -> list[str]:
    at = canvas.mapToGlobal(place)
    return ["mousemove", str(at.x()), str(at.y())]


def wait(seconds: float) -> None:
    """Let the window live for some time."""
    loop = QEventLoop()
    QTimer.singleShot(round(seconds * 1e3), loop.quit)
    loop.exec()


def wait_until(condition: Callable[[], bool], step_s: float = 0.02) -> None:
    """Let the window live until something is so."""
    timer = QElapsedTimer()
    timer.start()
    while not condition():
        if timer.elapsed() > PATIENCE_S * 1e3:
            raise TimeoutError(f"not after {PATIENCE_S} s: {condition}")
        wait(step_s)


def on_screen(canvas: Any, model: Any, world: Any) -> QPoint:
    """Return where a place in the world is on a canvas."""
    away = np.asarray(world) - np.asarray(model.scene.camera.center)[-2:]
    y, x = away * model.scene.camera.zoom
    return QPoint(round(canvas.width() / 2 + x), round(canvas.height() / 2 + y))


def open_explorer(
    ds: n4.Dataset, size: tuple[int, int]
) -> tuple[Viewer, Explorer, Any]:
    """Return a window with the Explorer on a data set, and the canvas of its maps."""
    viewer = Viewer()
    viewer.window.resize(*size)
    viewer.window._qt_window.move(0, 0)
    data, options, _ = image_layer(ds)
    viewer.add_image(data, **options)
    _, explorer = viewer.window.add_plugin_dock_widget(
        "napari-4dstem", "4D-STEM Explorer"
    )
    wait_until(lambda: explorer.controller.ds is not None)
    wait_until_idle()
    return viewer, explorer, viewer.window._qt_viewer.canvas.native


def is_idle() -> bool:
    """Whether no thread of ours is left."""
    return not any(t.name == "napari-4dstem" for t in threading.enumerate())


def wait_until_idle() -> None:
    """Wait until no thread of ours is left."""
    wait(0.3)
    wait_until(is_idle, 0.1)
    wait(0.3)
