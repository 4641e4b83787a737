"""The calibration form in a real window, and what the canvases show of it."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QPoint
from qtpy.QtTest import QTest

import napari_4dstem as n4
from napari_4dstem.axes import Sampling
from napari_4dstem.layers import image_layer
from tests.gui.explorer.test_calibration import units_of
from tests.gui.explorer.test_controller import CENTER, RADIUS, pixels
from tests.gui.explorer.test_dock import (
    LEFT,
    NO_KEYS,
    move,
    on_screen,
    opened,
    wait_until_exact,
)

pytestmark = pytest.mark.window


@pytest.fixture
def viewer(make_napari_viewer: Any) -> Any:
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1280, 800)
    data, options, _ = image_layer(n4.load("memory", data=pixels(), name="scan"))
    viewer.add_image(data, **options)
    return viewer


def write(edit: Any, text: str) -> None:
    """Type a text instead of what is there."""
    edit.native.selectAll()
    QTest.keyClicks(edit.native, text)


def longest_run(is_on: Any) -> int:
    """Return how many are on in a row, at most."""
    return max((len(list(g)) for on, g in groupby(is_on) if on), default=0)


def test_typed_numbers_calibrate_everything_and_napari_does_not_warn(
    viewer: Any, qtbot: Any, said: list[tuple[str, str]]
) -> None:
    _, explorer = opened(viewer, qtbot)
    controller, panel = explorer.controller, explorer.calibration
    explorer.show_panel(panel.native)
    assert panel.native.isVisible()
    assert "Not calibrated" in panel.message.value
    assert not panel.apply.enabled
    viewer.add_shapes([[[1, 1], [1, 4], [3, 4], [3, 1]]])
    data = controller.detectors.entries[0].image.data
    write(panel.step, "2")
    assert panel.step_unit.value == "nm"
    write(panel.pixel, "0,5")
    assert panel.pixel_unit.value == "mrad"
    assert panel.message.native.isHidden()
    assert units_of(viewer) == {"pixel"}
    panel.apply.native.click()
    qtbot.wait(300)  # until it is drawn: then napari would warn
    assert units_of(viewer) == {"nanometer"}
    assert units_of(explorer.view.model) == {"milliradian"}
    assert not panel.apply.enabled
    assert panel.step_source.value == "typed"
    assert controller.detectors.entries[0].image.data is data
    box = explorer.table.boxes[0][3]
    assert box.suffix() == " mrad"
    disk = controller.detectors.entries[0].detector
    assert isinstance(disk, n4.Disk)
    assert box.value() == pytest.approx(disk.radius / 2, abs=0.01)
    write(panel.energy, "200")
    panel.pixel_unit.value = "1/nm"
    panel.apply.native.click()
    qtbot.wait(300)
    assert units_of(explorer.view.model) == {"1 / nanometer"}
    assert box.suffix() == " 1/nm"
    assert box.value() == pytest.approx(disk.radius * 0.5 / 2.5079, abs=0.006)
    assert controller.detectors.entries[0].detector == disk
    panel.reset.native.click()
    qtbot.wait(300)
    assert units_of(viewer) == units_of(explorer.view.model) == {"pixel"}
    assert box.value() == pytest.approx(disk.radius, abs=0.01)
    assert panel.step.native.text() == ""
    assert not said


@pytest.mark.parametrize("text", ["0", "-1", "one", "1 2 3", "nan"])
def test_what_is_no_step_is_said_and_not_applied(
    viewer: Any, qtbot: Any, text: str
) -> None:
    _, explorer = opened(viewer, qtbot)
    panel = explorer.calibration
    explorer.show_panel(panel.native)
    write(panel.step, text)
    assert "Scan step" in panel.message.value
    assert panel.step.native.text() == text
    assert not panel.apply.enabled
    panel.reset.native.click()
    assert panel.step.native.text() == ""
    assert "Scan step" not in panel.message.value
    write(panel.step, text)
    write(panel.step, "1 × 2")
    assert panel.draft.scan.axes == (Sampling(1, "nm"), Sampling(2, "nm"))
    assert panel.apply.enabled


def test_scale_bar_measures_the_bright_field_disk(viewer: Any, qtbot: Any) -> None:
    _, explorer = opened(viewer, qtbot)
    panel, view = explorer.calibration, explorer.view
    explorer.show_panel(panel.native)
    assert not panel.measure.enabled
    write(panel.convergence, "20")
    write(panel.center, "11 12")
    write(panel.radius, "5")
    panel.measure.native.click()
    assert panel.pixel.native.text() == "4"
    assert panel.pixel_source.value == "from the disk"
    panel.apply.native.click()
    explorer.controller.detectors.entries[0].drawing.visible = False
    qtbot.wait(300)
    shown = view._view.screenshot(flash=False)[..., :3].astype(int)
    (bar,) = view._view.canvas._viewer_overlay_to_visual[
        view.model.canvas.overlays.scale_bar
    ]
    number, unit = bar.node.text.text.split()
    assert unit == "mrad"
    at = on_screen(view.canvas, view.model, np.multiply(CENTER, 4))
    width = longest_run(shown[at.y(), :, 0] > 100)
    low = 3 * len(shown) // 4
    length = max(longest_run(row.min(axis=-1) > 250) for row in shown[low:])
    # 11 pixels of 4 mrad lie side by side in the widest row of the disk.
    assert length / width * (2 * RADIUS + 1) * 4 == pytest.approx(
        float(number), rel=0.04
    )


def test_disk_is_found_marked_and_corrected_by_the_mouse(
    viewer: Any, qtbot: Any
) -> None:
    _, explorer = opened(viewer, qtbot)
    panel, view = explorer.calibration, explorer.view
    controller = explorer.controller
    explorer.show_panel(panel.native)
    controller.detectors.set_disk(None)
    assert panel.center.native.text() == ""
    assert not panel.mark.enabled
    panel.find.native.click()
    qtbot.waitUntil(lambda: panel.mark.value, timeout=5000)
    disk = controller.detectors.disk
    assert disk is not None
    np.testing.assert_allclose(panel.center.value, disk[0], rtol=1e-3)
    assert panel.radius.value == pytest.approx(disk[1], rel=1e-3)
    assert controller.disk_mark.is_shown
    before = controller.detectors.entries[0].detector
    start = on_screen(view.canvas, view.model, disk[0])
    to = on_screen(view.canvas, view.model, np.add(disk[0], (3, -2)))
    middle = QPoint((start.x() + to.x()) // 2, (start.y() + to.y()) // 2)
    move(view.canvas, qtbot, start + QPoint(1, 0), start)
    QTest.mousePress(view.canvas, LEFT, NO_KEYS, start)
    move(view.canvas, qtbot, middle, to)
    QTest.mouseRelease(view.canvas, LEFT, NO_KEYS, to)
    moved = controller.detectors.disk
    assert moved is not None
    np.testing.assert_allclose(np.subtract(moved[0], disk[0]), (3, -2), atol=0.3)
    np.testing.assert_allclose(panel.center.value, moved[0], rtol=1e-3)
    assert controller.detectors.entries[0].detector == before
    panel.centering.native.click()
    wait_until_exact(explorer, qtbot)
    centered = controller.detectors.entries[0].detector
    assert isinstance(centered, n4.Disk)
    np.testing.assert_allclose(centered.center, moved[0], atol=1e-4)
    panel.mark.value = False
    assert [each.name for each in view.model.layers] == ["Pattern", "Disk"]
    panel.mark.value = True
    assert len(view.model.layers) == 4
    explorer.scans.close_button.click()
    assert not view.model.layers
