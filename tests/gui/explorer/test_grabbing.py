"""What the mouse takes hold of while something else is active."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from napari.layers import Shapes
from qtpy.QtCore import QPoint
from qtpy.QtTest import QTest

import napari_4dstem as n4
from tests.gui.explorer.test_dock import (
    LEFT,
    NO_KEYS,
    move,
    on_screen,
    opened,
    wait_until_exact,
)

pytestmark = pytest.mark.window

STEP_NM, PIXEL_MRAD = 2, 0.5


def drag(canvas: Any, qtbot: Any, at: QPoint, to: QPoint) -> None:
    move(canvas, qtbot, at + QPoint(1, 0), at)
    QTest.mousePress(canvas, LEFT, NO_KEYS, at)
    move(canvas, qtbot, (at + to) / 2, to)
    QTest.mouseRelease(canvas, LEFT, NO_KEYS, to)
    qtbot.wait(50)


def test_probe_is_dragged_while_a_map_is_active(
    viewer: Any, qtbot: Any, ds: n4.Dataset
) -> None:
    _, explorer = opened(viewer, qtbot)
    patterns = explorer.controller.patterns
    patterns.set_probe(2, 3)
    canvas = viewer.window._qt_viewer.canvas.native
    disk = viewer.layers.selection.active = viewer.layers["Disk"]
    began = tuple(viewer.scene.camera.center)
    at, to = (
        on_screen(canvas, viewer, np.multiply(p, STEP_NM)) for p in ((2, 3), (6, 5))
    )
    drag(canvas, qtbot, at, to)
    assert patterns.position == (6, 5)
    assert viewer.layers.selection.active == disk
    assert tuple(viewer.scene.camera.center) == began
    qtbot.waitUntil(lambda: np.array_equal(patterns.layer.data, ds[6, 5]), timeout=5000)
    # elsewhere the canvas moves, as ever
    drag(canvas, qtbot, at, at + QPoint(30, 20))
    assert patterns.position == (6, 5)
    assert tuple(viewer.scene.camera.center) != began


def test_probe_is_left_alone_while_something_is_painted(
    viewer: Any, qtbot: Any
) -> None:
    _, explorer = opened(viewer, qtbot)
    patterns = explorer.controller.patterns
    patterns.set_probe(2, 3)
    labels = viewer.add_labels(np.zeros((8, 9), "u1"), scale=(STEP_NM,) * 2, units="nm")
    labels.mode = "paint"
    canvas = viewer.window._qt_viewer.canvas.native
    at, to = (
        on_screen(canvas, viewer, np.multiply(p, STEP_NM)) for p in ((2, 3), (6, 5))
    )
    drag(canvas, qtbot, at, to)
    assert patterns.position == (2, 3)
    assert labels.data.any()


def test_press_on_another_detector_takes_it(viewer: Any, qtbot: Any) -> None:
    _, explorer = opened(viewer, qtbot)
    controller = explorer.controller
    disk = controller.detectors.entries[0]
    ring = controller.detectors.add("Ring")
    qtbot.wait(200)
    assert explorer.table.table.currentRow() == 1
    canvas, model = explorer.view.canvas, explorer.view.model
    began = disk.detector, ring.detector
    assert isinstance(began[0], n4.Disk)
    assert isinstance(began[1], n4.Annulus)
    center = np.multiply(began[0].center, PIXEL_MRAD)
    drag(canvas, qtbot, *(on_screen(canvas, model, center + by) for by in (0, (1, 1))))
    wait_until_exact(explorer, qtbot)
    assert controller.detectors.active is disk
    assert explorer.table.table.currentRow() == 0
    assert isinstance(disk.detector, n4.Disk)
    np.testing.assert_allclose(
        np.subtract(disk.detector.center, began[0].center), (2, 2), atol=0.3
    )
    assert ring.detector == began[1]
    # the inner edge of the ring
    edge = center - (0, began[1].inner * PIXEL_MRAD)
    drag(canvas, qtbot, *(on_screen(canvas, model, edge + by) for by in (0, (0, -0.5))))
    wait_until_exact(explorer, qtbot)
    assert controller.detectors.active is ring
    assert isinstance(ring.detector, n4.Annulus)
    assert ring.detector.inner == pytest.approx(began[1].inner + 1, abs=0.4)
    assert ring.detector.outer == pytest.approx(began[1].outer, abs=1e-3)


def test_painting_goes_on_over_other_detectors(viewer: Any, qtbot: Any) -> None:
    _, explorer = opened(viewer, qtbot)
    controller = explorer.controller
    began = controller.detectors.entries[0].detector
    assert isinstance(began, n4.Disk)
    brush = controller.detectors.add("Brush")
    canvas, model = explorer.view.canvas, explorer.view.model
    center = np.multiply(began.center, PIXEL_MRAD)
    drag(canvas, qtbot, *(on_screen(canvas, model, center + by) for by in (0, (1, 1))))
    assert controller.detectors.active is brush
    assert controller.detectors.entries[0].detector == began
    assert isinstance(brush.detector, n4.Mask)


def test_one_click_draws_a_region_and_it_is_live(
    viewer: Any, qtbot: Any, ds: n4.Dataset
) -> None:
    _, explorer = opened(viewer, qtbot)
    patterns, bar = explorer.controller.patterns, explorer.probe
    assert not bar.new_region.isVisible()
    bar.source.setCurrentText("Region, sum")
    assert bar.new_region.isVisible()
    assert not bar.sliders[0].isVisible()
    bar.new_region.click()
    region = viewer.layers["Region"]
    assert isinstance(patterns.region, Shapes)
    qtbot.waitUntil(lambda: bar.region.currentText() == "Region", timeout=5000)
    np.testing.assert_array_equal(region.scale, (STEP_NM, STEP_NM))

    def expected() -> Any:
        low, high = (f(region.data[0], axis=0) for f in (np.min, np.max))
        y, x = np.indices(ds.nav_shape)
        inside = (y >= low[0]) & (y <= high[0]) & (x >= low[1]) & (x <= high[1])
        return n4.sum_frame(ds, inside)

    def is_shown() -> bool:
        return np.array_equal(patterns.layer.data, expected())

    qtbot.waitUntil(is_shown, timeout=5000)
    before = np.array(patterns.layer.data)
    canvas = viewer.window._qt_viewer.canvas.native
    center = region.data[0].mean(axis=0) * STEP_NM
    at, to = (on_screen(canvas, viewer, center + by) for by in (0, (-4, -2)))
    move(canvas, qtbot, at + QPoint(1, 0), at)
    QTest.mousePress(canvas, LEFT, NO_KEYS, at)
    move(canvas, qtbot, (at + to) / 2, to)
    qtbot.waitUntil(
        lambda: not np.array_equal(patterns.layer.data, before), timeout=5000
    )
    QTest.mouseRelease(canvas, LEFT, NO_KEYS, to)
    qtbot.waitUntil(is_shown, timeout=5000)
    bar.source.setCurrentText("Probe")
    assert bar.sliders[0].isVisible()
