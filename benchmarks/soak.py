"""Thousands of random interactions with the Explorer: nothing may grow.

``python -m benchmarks.soak``; on a machine without a screen
``xvfb-run -a -s "-screen 0 1280x800x24" python -m benchmarks.soak``.
At every report the scan is closed and opened again, and now and then the dock, so that
numbers of layers, threads and widgets can be compared with those after the warm-up.
Ends with exit code 1 if anything grew, or if napari showed an error.
"""

from __future__ import annotations

import argparse
import gc
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from napari import Viewer
from napari.layers import Labels, Shapes
from napari.utils.notifications import notification_manager
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

import napari_4dstem as n4
from benchmarks.scans import Scan
from benchmarks.window import LEFT, NO_KEYS, on_screen, wait, wait_until_idle
from napari_4dstem.gui.explorer.dock import Explorer
from napari_4dstem.gui.explorer.drawings import KINDS, PRESETS
from napari_4dstem.gui.explorer.entry import REDUCTIONS
from napari_4dstem.gui.explorer.patterns import SOURCES
from napari_4dstem.layers import image_layer

SCAN = Scan((32, 32), (48, 48), "u2")
MOST_DETECTORS = 4
WARM_UP = 2  # reports
# From one new dock to the next: each costs memory, which is not ours.
DOCK_EVERY = 5  # reports
REGION = "Region"
ARROWS = (Qt.Key.Key_Up, Qt.Key.Key_Down, Qt.Key.Key_Left, Qt.Key.Key_Right)


class Soak:
    """Does things to an Explorer that a user might do, at random.

    Parameters
    ----------
    seed : int
    """

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.viewer = Viewer()
        self.viewer.window.resize(1200, 760)
        ds = n4.load("memory", data=SCAN.scan(), name="soak")
        data, options, _ = image_layer(ds)
        self.viewer.add_image(data, **options)
        self.done: Counter[str] = Counter()
        self.actions: dict[Callable[[], None], int] = {
            self.drag_a_detector: 30,
            self.drag_the_probe: 15,
            self.press_a_key: 10,
            self.add_a_detector: 6,
            self.remove_a_detector: 6,
            self.choose_a_reduction: 6,
            self.choose_a_source: 6,
            self.draw_a_region: 4,
            self.look: 4,
            self.change_the_geometry: 6,
            self.freeze_a_map: 4,
            self.close_and_open_the_scan: 2,
        }
        # napari collects garbage whenever a layer is removed, which takes a second
        # with all modules that are loaded.
        gc.collect()
        gc.freeze()
        self.open_the_dock()

    def step(self) -> None:
        """Do one thing."""
        (action,) = self.random.choices(
            list(self.actions), weights=list(self.actions.values())
        )
        action()
        self.done[action.__name__] += 1
        wait(self.random.choice((0, 0, 0.01, 0.05)))

    def open_the_dock(self) -> None:
        self.dock, self.explorer = self.viewer.window.add_plugin_dock_widget(
            "napari-4dstem", "4D-STEM Explorer"
        )
        assert isinstance(self.explorer, Explorer)
        wait_until_idle()

    def begin_anew(self) -> None:
        """Close the dock, delete all layers but the scan, and open the dock again."""
        self.dock.destroyOnClose()
        del self.dock, self.explorer
        wait(0.2)
        for layer in [each for each in self.viewer.layers if each.ndim == 2]:
            self.viewer.layers.remove(layer)
        QApplication.processEvents()
        gc.collect()
        self.open_the_dock()

    @property
    def _controller(self) -> Any:
        return self.explorer.controller

    def _an_entry(self) -> Any:
        entries = self._controller.detectors.entries
        return self.random.choice(entries) if entries else None

    def _drag(self, canvas: Any, model: Any, world: Any) -> None:
        at = on_screen(canvas, model, world)
        QTest.mouseMove(canvas, at)
        QTest.mousePress(canvas, LEFT, NO_KEYS, at)
        for _ in range(4):
            at += QPoint(self.random.randint(-9, 9), self.random.randint(-9, 9))
            QTest.mouseMove(canvas, at)
            wait(0.002)
        QTest.mouseRelease(canvas, LEFT, NO_KEYS, at)

    def drag_a_detector(self) -> None:
        entry = self._an_entry()
        if entry is None:
            return
        model = self.explorer.view.model
        model.layers.selection.active = entry.drawing
        low, high = np.asarray(entry.drawing.extent.world)[:, -2:]
        if not np.isfinite(low).all():
            return  # nothing is drawn yet
        shift = self.random.choice((0, 1))  # the middle, or the edge
        self._drag(
            self.explorer.view.canvas, model,
            (low + high) / 2 + (0, shift * (high - low)[1] / 2),
        )  # fmt: skip

    def drag_the_probe(self) -> None:
        probe = self._controller.patterns.probe
        self.viewer.layers.selection.active = probe
        canvas = self.viewer.window._qt_viewer.canvas.native
        self._drag(canvas, self.viewer, probe.data_to_world(probe.data[0]))

    def press_a_key(self) -> None:
        keys = Qt.KeyboardModifier.ShiftModifier
        if self.random.random() < 0.5:
            keys |= Qt.KeyboardModifier.ControlModifier
        QTest.keyClick(self.explorer.view.canvas, self.random.choice(ARROWS), keys)

    def add_a_detector(self) -> None:
        detectors = self._controller.detectors
        if len(detectors.entries) < MOST_DETECTORS:
            detectors.add(self.random.choice((*KINDS, *PRESETS)))

    def remove_a_detector(self) -> None:
        entry = self._an_entry()
        if entry is not None and self.random.random() < 0.5:
            self._controller.detectors.remove(entry)
        elif entry is not None:
            self.viewer.layers.remove(entry.image)

    def choose_a_reduction(self) -> None:
        entry = self._an_entry()
        if entry is not None:
            reduction = self.random.choice(list(REDUCTIONS))
            self._controller.detectors.set_reduction(entry, reduction)

    def choose_a_source(self) -> None:
        self._controller.patterns.set_source(self.random.choice(list(SOURCES)))

    def draw_a_region(self) -> None:
        drawn = [each for each in self.viewer.layers if each.name == REGION]
        for layer in drawn:
            self._controller.patterns.set_region(None)
            self.viewer.layers.remove(layer)
        if drawn:
            return
        corner = np.array([self.random.randint(0, 20), self.random.randint(0, 20)])
        layer = Shapes([[corner, corner + 9]], shape_type="rectangle", name=REGION)
        if self.random.random() < 0.5:
            painted = np.zeros(SCAN.nav_shape, int)
            painted[tuple(slice(c, c + 9) for c in corner)] = 1
            layer = Labels(painted, name=REGION)
        self.viewer.add_layer(layer)
        self._controller.patterns.set_region(layer)

    def look(self) -> None:
        patterns = self._controller.patterns
        patterns.set_log(not patterns.is_log)
        self._controller.fit_contrast()

    def change_the_geometry(self) -> None:
        """Try another one; now and then apply it, and go back."""
        controller, (lines, columns) = self._controller, SCAN.nav_shape
        controller.try_geometry(
            nav_shape=(lines - 2, columns + self.random.randint(-3, 2)),
            sync_offset=self.random.randint(-9, 9),
        )
        if self.random.random() < 0.3:
            wait(0.02)
            controller.apply_geometry()
            wait(0.02)
        controller.try_geometry(nav_shape=SCAN.nav_shape, sync_offset=0, flyback=0)
        controller.apply_geometry()

    def freeze_a_map(self) -> None:
        """Freeze a map, or delete one that was."""
        frozen = [each for each in self.viewer.layers if "(frozen)" in each.name]
        entry = self._an_entry()
        if frozen:
            self.viewer.layers.remove(frozen[0])
        elif entry is not None:
            self._controller.detectors.freeze(entry)

    def tidy(self) -> None:
        """Leave one detector, so that what is there can be counted."""
        for entry in self._controller.detectors.entries[1:]:
            self._controller.detectors.remove(entry)
        self.close_and_open_the_scan()
        wait_until_idle()

    def close_and_open_the_scan(self) -> None:
        self.explorer.scans.close_button.click()
        wait(0.05)
        for layer in [each for each in self.viewer.layers if each.ndim == 2]:
            self.viewer.layers.remove(layer)
        (scan,) = self.viewer.layers
        self.explorer.open(scan)


def state(soak: Soak, with_dock: bool) -> dict[str, int]:
    """Return what must not grow."""
    if with_dock:
        soak.begin_anew()
    else:
        soak.tidy()
    gc.collect()
    lines = Path("/proc/self/status").read_text().splitlines()
    anon_kb = next(int(li.split()[1]) for li in lines if li.startswith("RssAnon"))
    return {
        "MB": anon_kb // 1024,
        "layers": len(soak.viewer.layers) + len(soak.explorer.view.model.layers),
        "threads": threading.active_count(),
        "widgets": len(QApplication.allWidgets()),
    }


def main() -> None:
    """Do as many things as asked for, and judge."""
    parser = argparse.ArgumentParser("python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--every", type=int, default=500, help="steps to a report")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--budget", type=int, default=256,
        help="MB by which memory may grow after the warm-up (%(default)s); with every"
        " dock that is closed some 5 MB stay with the graphics driver, as with every"
        " canvas of napari's that had shapes",
    )  # fmt: skip
    given = parser.parse_args()
    errors: list[str] = []

    def hear(notification: Any) -> None:
        if str(notification.severity) not in ("info", "none"):
            errors.append(f"{notification.severity}: {notification.message}")

    notification_manager.notification_ready.connect(hear)
    soak = Soak(given.seed)
    states: list[dict[str, int]] = []
    began = time.monotonic()
    for number in range(1, given.steps + 1):
        soak.step()
        if number % given.every == 0:
            with_dock = len(states) % DOCK_EVERY == DOCK_EVERY - 1
            states.append(state(soak, with_dock))
            facts = ", ".join(f"{name} {n}" for name, n in states[-1].items())
            seconds = time.monotonic() - began
            sys.stdout.write(f"{number} in {seconds:.0f} s: {facts}\n")
            sys.stdout.flush()
    first, last = states[min(WARM_UP, len(states)) - 1], states[-1]
    grown = [
        f"{name}: {first[name]} -> {last[name]}"
        for name in first
        if last[name] - first[name] > given.budget * (name == "MB")
    ]
    sys.stdout.write(f"done: {dict(soak.done)}\n")
    for line in [*grown, *sorted(set(errors))]:
        sys.stdout.write(f"WRONG {line}\n")
    soak.viewer.close()
    sys.exit(bool(grown or errors))


if __name__ == "__main__":
    main()
