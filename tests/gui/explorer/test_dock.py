"""The Explorer in a real window, with a real mouse on its canvas."""

from __future__ import annotations

import gc
import threading
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QDockWidget

import napari_4dstem as n4
from napari_4dstem.gui.explorer.dock import Explorer
from napari_4dstem.live.preview import PreviewProgress
from tests.gui.explorer.test_controller import pixels

pytestmark = pytest.mark.window

PLUGIN, TITLE = "napari-4dstem", "4D-STEM Explorer"
LEFT, NO_KEYS = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier


def opened(viewer: Any, qtbot: Any) -> tuple[QDockWidget, Explorer]:
    dock, explorer = viewer.window.add_plugin_dock_widget(PLUGIN, TITLE)
    assert isinstance(explorer, Explorer)
    if viewer.layers:
        wait_until_exact(explorer, qtbot)
    return dock, explorer


def wait_until_exact(explorer: Explorer, qtbot: Any) -> None:
    def is_done() -> bool:
        entries = explorer.controller.detectors.entries
        return bool(entries) and all(entry.is_exact for entry in entries)

    qtbot.waitUntil(is_done, timeout=20_000)
    qtbot.wait(100)


def on_screen(canvas: Any, model: Any, world: Any) -> QPoint:
    """Return where a place in the world is on a canvas."""
    away = np.asarray(world) - np.asarray(model.scene.camera.center)[-2:]
    y, x = away * model.scene.camera.zoom
    return QPoint(round(canvas.width() / 2 + x), round(canvas.height() / 2 + y))


def move(canvas: Any, qtbot: Any, *places: QPoint) -> None:
    for place in places:
        QTest.mouseMove(canvas, place)
        qtbot.wait(60)


def test_map_follows_a_disk_that_is_dragged(
    viewer: Any, qtbot: Any, ds: n4.Dataset
) -> None:
    _, explorer = opened(viewer, qtbot)
    (entry,) = explorer.controller.detectors.entries
    began, model = entry.detector, explorer.view.model
    assert isinstance(began, n4.Disk)
    canvas = explorer.view.canvas
    inside = np.multiply(began.center, 0.5)
    at, to = (on_screen(canvas, model, inside + shift) for shift in (0, (1.5, -1)))
    middle = QPoint((at.x() + to.x()) // 2, (at.y() + to.y()) // 2)
    move(canvas, qtbot, at + QPoint(1, 0), at)
    before = np.array(entry.image.data)
    QTest.mousePress(canvas, LEFT, NO_KEYS, at)
    move(canvas, qtbot, middle, to)
    qtbot.waitUntil(lambda: not np.array_equal(entry.image.data, before), timeout=5000)
    QTest.mouseRelease(canvas, LEFT, NO_KEYS, to)
    wait_until_exact(explorer, qtbot)
    moved = entry.detector
    assert isinstance(moved, n4.Disk)
    np.testing.assert_allclose(
        np.subtract(moved.center, began.center), (3, -2), atol=0.3
    )
    assert moved.radius == pytest.approx(began.radius, abs=1e-3)
    np.testing.assert_array_equal(entry.image.data, n4.virtual_image(ds, moved))


def test_sliders_boxes_and_keys_move_the_probe(
    viewer: Any, qtbot: Any, ds: n4.Dataset
) -> None:
    _, explorer = opened(viewer, qtbot)
    controller = explorer.controller
    explorer.probe.sliders[0].setValue(2)
    explorer.probe.boxes[1].setValue(7)
    assert controller.patterns.position == (2, 7)
    assert [box.value() for box in explorer.probe.boxes] == [2, 7]
    shown = controller.patterns.layer
    qtbot.waitUntil(lambda: np.array_equal(shown.data, ds[2, 7]), timeout=5000)
    canvas = explorer.view.canvas
    canvas.setFocus()
    QTest.keyClick(canvas, Qt.Key.Key_Down, Qt.KeyboardModifier.ShiftModifier)
    qtbot.waitUntil(lambda: controller.patterns.position == (3, 7), timeout=5000)
    assert explorer.probe.sliders[0].value() == 3
    (entry,) = controller.detectors.entries
    began = entry.detector
    assert isinstance(began, n4.Disk)
    keys = Qt.KeyboardModifier.ShiftModifier | Qt.KeyboardModifier.ControlModifier
    QTest.keyClick(canvas, Qt.Key.Key_Left, keys)
    wait_until_exact(explorer, qtbot)
    moved = entry.detector
    assert isinstance(moved, n4.Disk)
    np.testing.assert_allclose(
        np.subtract(moved.center, began.center), (0, -1), atol=1e-4
    )


def test_numbers_in_the_table_are_the_detector(viewer: Any, qtbot: Any) -> None:
    _, explorer = opened(viewer, qtbot)
    explorer.tools.kinds["Ring"].click()
    ring = explorer.controller.detectors.entries[1]
    inner, outer = explorer.table.boxes[1].values()
    detector = ring.detector
    assert isinstance(detector, n4.Annulus)
    assert inner.value() == pytest.approx(detector.inner * 0.5, abs=0.01)
    assert inner.suffix() == " mrad"
    outer.setValue(5)
    typed = ring.detector
    assert isinstance(typed, n4.Annulus)
    assert typed.outer == pytest.approx(10)
    assert typed.inner == pytest.approx(detector.inner, abs=1e-3)


def test_map_refolds_as_the_geometry_changes(
    viewer: Any, qtbot: Any, ds: n4.Dataset
) -> None:
    _, explorer = opened(viewer, qtbot)
    panel, (entry,) = explorer.scan_panel, explorer.controller.detectors.entries
    explorer.show_panel(panel)
    assert panel.isVisible()
    assert [box.value() for box in panel.boxes.values()] == [0, 9, 8, 0]
    panel.sliders["columns"].setValue(11)
    assert panel.boxes["lines"].value() == 72 // 11
    wait_until_exact(explorer, qtbot)
    assert entry.image.data.shape == (6, 11)
    panel.boxes["sync_offset"].setValue(4)
    wait_until_exact(explorer, qtbot)
    assert entry.detector is not None
    np.testing.assert_array_equal(
        entry.image.data, n4.virtual_image(ds.with_scan((6, 11), 4), entry.detector)
    )
    panel.reset.click()
    wait_until_exact(explorer, qtbot)
    assert entry.image.data.shape == (8, 9)
    panel.propose.click()
    qtbot.waitUntil(panel.propose.isEnabled, timeout=10_000)
    count = panel.proposals.count() - 1  # the first is a title
    said = f"{count} scan shapes proposed" if count else "No line length shows"
    assert explorer.work.text.text().startswith(said)
    panel.boxes["columns"].setValue(12)
    panel.apply.click()
    wait_until_exact(explorer, qtbot)
    assert explorer.controller.ds is not None
    assert explorer.controller.ds.nav_shape == (6, 12)
    assert explorer.probe.boxes[1].maximum() == 11


def test_typed_geometry_may_be_beyond_the_sliders(viewer: Any, qtbot: Any) -> None:
    _, explorer = opened(viewer, qtbot)
    panel = explorer.scan_panel
    panel.boxes["columns"].setValue(60)
    assert panel.sliders["columns"].maximum() < 60
    assert panel.boxes["columns"].value() == 60
    assert explorer.controller.open_scan.shown.nav_shape == (1, 60)
    panel.boxes["sync_offset"].setValue(-50)
    assert explorer.controller.open_scan.shown.sync_offset == -50


def test_scan_is_there_again_when_the_dock_is(viewer: Any, qtbot: Any) -> None:
    dock, explorer = opened(viewer, qtbot)
    scan, controller = explorer.controller.layer, explorer.controller
    dock.destroyOnClose()
    qtbot.waitUntil(lambda: controller.ds is None, timeout=5000)
    del dock, explorer
    _, again = opened(viewer, qtbot)
    assert again.controller.layer is scan


def test_long_work_is_among_the_activities_and_can_be_cancelled(
    viewer: Any, qtbot: Any
) -> None:
    from napari.utils.progress import progress

    _, explorer = opened(viewer, qtbot)
    work, controller = explorer.work, explorer.controller
    release = threading.Event()

    def slow() -> Any:
        for done in range(1000):
            yield PreviewProgress(done, 1000)
            if release.wait(0.02):
                return

    controller.maps.preparing.run(slow, partly=controller.maps._on_reading)
    qtbot.waitUntil(work.cancel.isVisible, timeout=5000)
    qtbot.waitUntil(lambda: len(progress._all_instances) == 1, timeout=5000)
    (bar,) = progress._all_instances
    assert bar.total == 1000
    assert work.bar.maximum() == 1000
    qtbot.waitUntil(lambda: bar.n > 0, timeout=5000)
    work.cancel.click()
    assert not progress._all_instances
    assert "Cancelled" in work.text.text()
    qtbot.waitUntil(lambda: not work.cancel.isVisible(), timeout=5000)
    release.set()


def test_dock_stays_where_its_canvas_can_live(viewer: Any, qtbot: Any) -> None:
    dock, _ = opened(viewer, qtbot)
    features = dock.features()
    assert not features & QDockWidget.DockWidgetFeature.DockWidgetFloatable
    assert not features & QDockWidget.DockWidgetFeature.DockWidgetMovable
    dock.setFloating(True)
    assert not dock.isFloating()


def test_dock_can_be_closed_and_opened_again(viewer: Any, qtbot: Any) -> None:
    viewer.layers.clear()
    plain = viewer.add_image(pixels(), name="plain", rgb=False)
    dock, explorer = opened(viewer, qtbot)
    assert plain not in viewer.layers
    names = {layer.name for layer in viewer.layers}
    assert names == {"Disk", "Probe"}
    dock.destroyOnClose()
    qtbot.waitUntil(lambda: plain in viewer.layers, timeout=5000)
    assert {layer.name for layer in viewer.layers} == {"Disk", "plain"}
    del explorer, dock
    qtbot.wait(50)
    gc.collect()
    _, again = opened(viewer, qtbot)
    assert plain not in viewer.layers
    assert again.controller.layer == plain
    qtbot.waitUntil(
        lambda: not [t for t in threading.enumerate() if t.name == PLUGIN],
        timeout=10_000,
    )


def test_explorer_without_a_scan_waits_for_one(viewer: Any, qtbot: Any) -> None:
    scan = viewer.layers.pop()
    _, explorer = opened(viewer, qtbot)
    assert not explorer.tools.kinds["Disk"].isEnabled()
    viewer.add_layer(scan)
    qtbot.waitUntil(lambda: explorer.scans.box.count() == 1, timeout=5000)
    explorer.scans.box.activated.emit(0)
    wait_until_exact(explorer, qtbot)
    assert explorer.tools.kinds["Disk"].isEnabled()


def test_closed_scan_that_does_not_fit_is_kept(
    viewer: Any, qtbot: Any, said: list[tuple[str, str]]
) -> None:
    _, explorer = opened(viewer, qtbot)
    explorer.scans.close_button.click()
    assert said[-1][1].startswith("scan: kept in the Explorer.")
    qtbot.waitUntil(lambda: explorer.scans.box.count() == 1, timeout=5000)
    explorer.scans.box.activated.emit(0)
    wait_until_exact(explorer, qtbot)
    assert explorer.controller.ds is not None
