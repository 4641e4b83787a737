"""Patterns in a window of their own, with a real mouse on its canvas."""

from __future__ import annotations

import gc
import weakref
from functools import partial
from typing import Any

import numpy as np
import pytest
import qtpy
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest

import napari_4dstem as n4
from napari_4dstem.gui.explorer.dock import Explorer
from napari_4dstem.layers import image_layer
from tests.gui.explorer.test_dock import (
    LEFT,
    NO_KEYS,
    move,
    on_screen,
    opened,
    wait_until_exact,
)

pytestmark = pytest.mark.window

NAMES = ["Pattern", "Disk"]


def names(model: Any) -> list[str]:
    return [layer.name for layer in model.layers]


def detached(viewer: Any, qtbot: Any) -> tuple[Any, Explorer, Any]:
    """Return the dock, the Explorer in it and the viewer of its patterns."""
    dock, explorer = opened(viewer, qtbot)
    explorer.scans.detach_button.click()
    assert explorer.pattern_window is not None
    qtbot.wait(200)
    return dock, explorer, explorer.pattern_window.viewer


def has_no_window(explorer: Explorer) -> bool:
    import napari

    return explorer.pattern_window is None and len(napari.Viewer._instances) == 1


def test_detector_is_dragged_in_a_window_of_its_own(
    viewer: Any,
    qtbot: Any,
    ds: n4.Dataset,
) -> None:
    _, explorer, patterns = detached(viewer, qtbot)
    assert names(patterns) == NAMES
    assert names(explorer.view.model) == []
    assert not explorer.view.isVisible()
    assert explorer.away.isVisible()
    assert patterns.layers.selection.active.name == "Disk"
    assert patterns.canvas.overlays.scale_bar.visible
    (entry,) = explorer.controller.detectors.entries
    began = entry.detector
    assert isinstance(began, n4.Disk)
    canvas = patterns.window._qt_viewer.canvas.native
    inside = np.multiply(began.center, 0.5)
    at, to = (on_screen(canvas, patterns, inside + by) for by in (0, (1.5, -1)))
    move(canvas, qtbot, at + QPoint(1, 0), at)
    QTest.mousePress(canvas, LEFT, NO_KEYS, at)
    move(canvas, qtbot, to + QPoint(1, 0), to)
    QTest.mouseRelease(canvas, LEFT, NO_KEYS, to)
    wait_until_exact(explorer, qtbot)
    moved = entry.detector
    assert isinstance(moved, n4.Disk)
    np.testing.assert_allclose(
        np.subtract(moved.center, began.center), (3, -2), atol=0.3
    )
    np.testing.assert_array_equal(entry.image.data, n4.virtual_image(ds, moved))
    y, x = explorer.controller.patterns.position
    QTest.keyClick(canvas, Qt.Key.Key_Down, Qt.KeyboardModifier.ShiftModifier)
    qtbot.waitUntil(lambda: explorer.controller.patterns.position == (y + 1, x))


@pytest.mark.parametrize("how", ["dock", "window", "close"])
def test_patterns_come_back(viewer: Any, qtbot: Any, how: str) -> None:
    _, explorer, patterns = detached(viewer, qtbot)
    reference = weakref.ref(patterns)
    assert explorer.pattern_window is not None
    row = explorer.pattern_window.row
    if how == "close":
        row.window().close()
    else:
        (explorer.away if how == "dock" else row).bring_back.click()
    del patterns, row
    qtbot.waitUntil(partial(has_no_window, explorer), timeout=5000)
    assert names(explorer.view.model) == NAMES
    assert explorer.view.isVisible()
    assert not explorer.away.isVisible()
    assert explorer.controller.spaces.pattern is explorer.view.model
    qtbot.wait(100)
    gc.collect()
    assert reference() is None
    # and they live on
    (entry,) = explorer.controller.detectors.entries
    explorer.controller.detectors.move_active(1, 0)
    assert not entry.is_exact
    wait_until_exact(explorer, qtbot)
    explorer.scans.detach_button.click()
    assert explorer.pattern_window is not None
    assert names(explorer.pattern_window.viewer) == NAMES
    explorer.bring_back()


def test_window_ends_with_the_dock(viewer: Any, qtbot: Any) -> None:
    dock, explorer, patterns = detached(viewer, qtbot)
    dock.destroyOnClose()
    qtbot.waitUntil(partial(has_no_window, explorer), timeout=5000)
    reference = weakref.ref(patterns)
    del dock, explorer, patterns
    qtbot.wait(50)
    gc.collect()
    assert reference() is None


@pytest.mark.skipif(
    qtpy.API_NAME == "PySide6",
    reason="on PySide6 the process may abort when the main window is closed while the"
    " patterns are in a window of their own: a known defect, see docs/explorer.md",
)
@pytest.mark.parametrize("how", ["mouse", "script"])
def test_window_ends_with_the_main_window(
    viewer: Any,
    qtbot: Any,
    how: str,
) -> None:
    dock, explorer, patterns = detached(viewer, qtbot)
    reference = weakref.ref(patterns)
    if how == "mouse":
        explorer.window().close()
        assert explorer.pattern_window is None
    viewer.close()
    assert explorer.pattern_window is None
    del dock, explorer, patterns
    qtbot.wait(50)
    gc.collect()
    assert reference() is None


def test_detector_removed_in_the_window_leaves_its_map(
    viewer: Any,
    qtbot: Any,
) -> None:
    _, explorer, patterns = detached(viewer, qtbot)
    patterns.layers.remove("Disk")
    assert explorer.controller.detectors.entries == []
    assert explorer.table.table.rowCount() == 0
    assert "Disk" in viewer.layers
    patterns.layers.remove("Pattern")
    qtbot.waitUntil(lambda: names(patterns) == ["Pattern"], timeout=5000)


def test_scan_opened_in_the_window_goes_to_the_main_one(
    viewer: Any,
    qtbot: Any,
    ds: n4.Dataset,
) -> None:
    _, explorer, patterns = detached(viewer, qtbot)
    data, options, _ = image_layer(ds)
    patterns.add_image(data, **{**options, "name": "another"})
    qtbot.waitUntil(lambda: explorer.scans.box.count() == 2, timeout=5000)
    assert names(patterns) == NAMES
    assert [each.name for each in explorer.scans.layers] == ["scan", "another"]
