"""Makes the pictures of these pages: real windows, and a mouse that drags in them.

``python -m docs.screenshots [FOLDER]`` in the folder of the project; without a screen,
``xvfb-run -a -s "-screen 0 1600x1200x24"`` before it. What the
pictures of ``tutorial.md`` show is what that page says, step by step.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# Before napari is imported: the pictures show nobody's settings, and change none.
os.environ["NAPARI_CONFIG"] = ""

import napari
import numpy as np
from napari._qt.dialogs.qt_notification import NapariQtNotification
from PIL import Image
from qtpy.QtCore import QPoint, QRect, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QComboBox, QTabWidget, QWidget

import napari_4dstem as n4
from benchmarks.window import Mouse, is_idle, on_screen, wait, wait_until
from napari_4dstem import sample_data, workspace
from napari_4dstem.cli.demo import STARTED
from napari_4dstem.dataset import opening_of
from napari_4dstem.export.mib import write_mib
from napari_4dstem.gui.explorer.detector_table import EYE, FREEZE
from napari_4dstem.gui.explorer.dock import Explorer
from napari_4dstem.gui.explorer.opening import open_explorer

IMAGES = Path(__file__).parent / "images"
SIZE = 1280, 800
LEFT, NO_KEYS = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
PLUGIN, SAMPLE = "napari-4dstem", "nanoparticles"
DRAG_STEPS = 12
PAUSE_S = 0.07
# Scan position, in nm as well: a particle with six disks
PLATE = 36, 16
# Three of these on the pattern, in mrad; the disk in their middle, in pixels.
SPOTS = (18.7, 30.6), (21.1, 48), (36.9, 53.9)
PIXEL = 0.75  # mrad
CENTER = 46.05, 49.84


class Window:
    """A napari window that is used by its mouse, and photographed.

    Parameters
    ----------
    folder : Path
        Where the pictures are saved.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.viewer = napari.Viewer()
        self.widget = self.viewer.window._qt_window
        self.widget.setGeometry(0, 0, *SIZE)
        self.canvas = self.viewer.window._qt_viewer.canvas.native
        self.mouse = Mouse(is_real=False)
        wait(0.3)

    def explore(self) -> Explorer:
        """Bring up the Explorer."""
        self.rest()  # it may be on its way already
        self.explorer = open_explorer(self.viewer)
        wait_until(lambda: self.explorer.controller.ds is not None)
        self.rest()
        return self.explorer

    def rest(self) -> None:
        """Wait until all is computed and painted."""
        wait(PAUSE_S)  # for what begins by itself
        wait_until(is_idle)
        wait(PAUSE_S)

    # what a user does

    def drag(self, space: str, *places: Any) -> None:
        """Drag on the scan or the pattern, from one place to another in its units."""
        model = getattr(self.explorer.controller.spaces, space)
        canvas = self.canvas if space == "scan" else self.explorer.view.canvas
        begin, end = (on_screen(canvas, model, place) for place in places)
        steps = np.linspace(0, 1, DRAG_STEPS)
        self.mouse.drag(canvas, [begin + (end - begin) * float(step) for step in steps])
        self.rest()

    def click_pattern(self, place: Any) -> None:
        """Click on the pattern, at a place in its units."""
        canvas, model = self.explorer.view.canvas, self.explorer.view.model
        at = on_screen(canvas, model, place)
        QTest.mouseMove(canvas, at)
        wait(PAUSE_S)
        QTest.mouseClick(canvas, LEFT, NO_KEYS, at)
        self.rest()

    def press(self, button: QWidget) -> None:
        """Press a button, or a box."""
        at = QPoint(10, button.height() // 2)
        QTest.mouseClick(button, LEFT, NO_KEYS, at)
        self.rest()

    def choose(self, box: QComboBox, text: str) -> None:
        """Choose from a list."""
        QTest.mouseClick(box, LEFT)
        choices = box.view()
        choices.setCurrentIndex(box.model().index(box.findText(text), 0))
        QTest.keyClick(choices, Qt.Key.Key_Return)
        self.rest()

    def turn_to(self, title: str) -> None:
        """Bring a tab of the Explorer to the front."""
        tabs: QTabWidget = self.explorer.tabs
        titles = [tabs.tabText(index) for index in range(tabs.count())]
        bar = tabs.tabBar()
        QTest.mouseClick(bar, LEFT, NO_KEYS, bar.tabRect(titles.index(title)).center())
        self.rest()

    # what is kept of it

    def take(self, name: str, *parts: QWidget) -> None:
        """Save a picture of all, or of the box around some parts."""
        box = QRect()
        for part in parts or (self.widget,):
            box = box.united(QRect(part.mapTo(self.widget, QPoint(0, 0)), part.size()))
        pixels = self.viewer.screenshot(canvas_only=False, flash=False)
        ratio = pixels.shape[1] / self.widget.width()
        left, top = round(box.left() * ratio), round(box.top() * ratio)
        right, bottom = round(box.right() * ratio) + 1, round(box.bottom() * ratio) + 1
        picture = Image.fromarray(pixels[top:bottom, left:right, :3])
        picture.save(self.folder / f"{name}.png", optimize=True)

    @property
    def views(self) -> tuple[QWidget, QWidget]:
        """The maps and the Explorer."""
        return self.canvas, self.explorer

    def clear_notifications(self) -> None:
        """Close what napari says."""
        for said in self.widget.findChildren(NapariQtNotification):
            said.close()


@contextmanager
def window(folder: Path) -> Iterator[Window]:
    """Open a window, and close it afterwards."""
    opened = Window(folder)
    try:
        yield opened
    finally:
        opened.viewer.close()
        wait(0.2)


def tutorial(folder: Path) -> None:
    """The steps of tutorial.md, one picture each."""
    with window(folder) as w:
        w.viewer.open_sample(PLUGIN, SAMPLE)
        w.rest()
        w.take("open")
        explorer = w.explore()
        w.take("begin")

        w.press(explorer.tools.kinds["Ring"])
        ring = explorer.controller.detectors.entries[-1]
        y, x = np.multiply(ring.detector.center, PIXEL)
        outer = ring.detector.outer * PIXEL
        w.drag("pattern", (y, x + outer), (y, x + 1.45 * outer))
        w.take("ring", *w.views)

        w.choose(explorer.tools.presets, "HAADF")
        hide(explorer, 0)
        w.rest()
        w.take("presets", *w.views)

        patterns = explorer.controller.patterns
        w.drag("scan", patterns.position, PLATE)
        w.take("probe", *w.views)
        w.press(explorer.tools.log)
        w.take("log", explorer.tools, explorer.view)
        w.take("explorer")

        w.choose(explorer.probe.source, "Region, mean")
        w.press(explorer.probe.new_region)
        w.take("region", *w.views)
        w.choose(explorer.probe.source, "Probe")
        patterns.raise_probe()

        w.turn_to("Scan")
        panel = explorer.scan_panel
        panel.boxes["columns"].setValue(66)
        w.rest()
        w.take("geometry", *w.views)
        w.press(panel.reset)

        w.turn_to("Calibration")
        calibration = explorer.calibration
        w.press(calibration.mark.native)
        w.press(calibration.measure.native)
        w.take("calibration", explorer)
        w.press(calibration.reset.native)
        w.press(calibration.mark.native)

        w.turn_to("Centre of mass")
        com = explorer.com
        w.choose(com.descan, "a plane")
        w.press(com.outputs["color_wheel"])
        w.press(com.estimate)
        w.take("center_of_mass", *w.views)
        w.press(com.outputs["color_wheel"])

        w.turn_to("Detectors")
        freeze(w, 2)
        w.take("freeze")
        w.press(explorer.results.script)
        w.take("script", explorer.tabs, explorer.results)

        w.press(explorer.tools.kinds["Brush"])
        explorer.table.brush.diameter.setValue(9)
        for spot in SPOTS:
            w.click_pattern(spot)
        w.take("mask", *w.views)


def hide(explorer: Explorer, row: int) -> None:
    """Uncheck the box of a map."""
    table = explorer.table.table
    at = table.visualRect(table.model().index(row, EYE)).center()
    QTest.mouseClick(table.viewport(), LEFT, NO_KEYS, at)


def freeze(w: Window, row: int) -> None:
    """Press the snowflake of a map."""
    w.press(w.explorer.table.table.cellWidget(row, FREEZE))


def merlin_file(folder: Path) -> None:
    """What a file shows: its notification, a form, its workspace."""
    with tempfile.TemporaryDirectory() as scratch, window(folder) as w:
        path = Path(scratch) / "gold.mib"
        scan = sample_data.nanoparticles()
        shape = scan.data.shape[:2]
        write_mib(path, scan.data, shape, dwell_s=scan.dwell_s, started=STARTED)
        (layer,) = w.viewer.open(path, plugin=PLUGIN)
        layer.gamma = 0.5
        w.viewer.dims.set_current_step((0, 1), PLATE)
        w.rest()
        w.take("demo")
        w.clear_notifications()

        _, form = w.viewer.window.add_plugin_dock_widget(PLUGIN, "Virtual detector")
        w.press(form._ring.native)
        w.press(form._button.native)
        w.viewer.reset_view()
        w.rest()
        w.take("virtual_detector")
        w.viewer.window.remove_dock_widget(form.native)
        w.viewer.layers.clear()
        target = path.with_name("gold" + workspace.SUFFIX)
        disks = [
            workspace.DrawnDetector("Disk", n4.Disk(CENTER, 4.7), "gray"),
            workspace.DrawnDetector("Ring", n4.Annulus(CENTER, 5.9, 11.8), "red"),
        ]
        opening = opening_of(layer.metadata["napari_4dstem"])
        workspace.save(target, workspace.Workspace(opening, tuple(disks), probe=PLATE))
        w.viewer.open(target, plugin=PLUGIN)
        w.explore()
        w.clear_notifications()
        w.take("workspace", *w.views)


def main(folder: Path = IMAGES) -> None:
    """Make all pictures anew."""
    folder.mkdir(exist_ok=True)
    for scene in (tutorial, merlin_file):
        scene(folder)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
