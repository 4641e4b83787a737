"""The tab of corrections in a real window."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

import napari_4dstem as n4
from napari_4dstem.gui.explorer.correction_parts import FILE, HOT, NONE, PAINTED, REGION
from napari_4dstem.gui.explorer.corrections_panel import CorrectionsPanel
from napari_4dstem.gui.explorer.dock import Explorer
from napari_4dstem.gui.explorer.excluded_marks import NAME
from napari_4dstem.layers import image_layer
from tests.formats.write_npy import write_npy
from tests.gui.explorer.test_controller import NAV, SIG
from tests.gui.explorer.test_correcting import bad_pixels, expected_mask
from tests.gui.explorer.test_dock import opened, wait_until_exact

pytestmark = pytest.mark.window


@pytest.fixture
def ds(tmp_path: Path) -> n4.Dataset:
    write_npy(tmp_path / "scan.npy", bad_pixels())
    return n4.load("npy", tmp_path / "scan.npy")


@pytest.fixture
def viewer(make_napari_viewer: Any, ds: n4.Dataset) -> Any:
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1200, 760)
    data, options, _ = image_layer(ds)
    viewer.add_image(data, **options)
    return viewer


def explored(viewer: Any, qtbot: Any) -> Explorer:
    """Open the tab; no fixture, which would keep it beyond its window."""
    _, explorer = opened(viewer, qtbot)
    explorer.show_panel(explorer.corrections.native)
    return explorer


def choose(panel: CorrectionsPanel, kind: str, source: str) -> None:
    panel.rows[kind].source.value = source


def click(button: Any) -> None:
    QTest.mouseClick(button.native, Qt.MouseButton.LeftButton)


def text(panel: CorrectionsPanel) -> str:
    return str(panel.message.value)


def test_hot_pixels_are_found_seen_applied_and_removed(
    viewer: Any, qtbot: Any, ds: n4.Dataset
) -> None:
    explorer = explored(viewer, qtbot)
    panel, controller = explorer.corrections, explorer.controller
    assert panel.native.isVisible()
    assert text(panel) == "Nothing is corrected."
    assert not panel.applying.enabled
    choose(panel, "excluded", HOT)
    qtbot.waitUntil(lambda: panel.applying.enabled, timeout=20_000)
    assert text(panel) == (
        "2 hot and 1 dead pixels, found in 72 frames; not applied yet"
    )
    corrected = ds.with_corrections(excluded=expected_mask())
    at, shown = controller.patterns.position, controller.patterns.layer
    qtbot.waitUntil(lambda: np.array_equal(shown.data, corrected[at]), timeout=5000)
    pattern = explorer.view.model.layers
    assert len(pattern[NAME].data) == 3
    panel.mark.value = False
    assert NAME not in pattern
    panel.preview.value = False
    qtbot.waitUntil(lambda: np.array_equal(shown.data, ds[at]), timeout=5000)
    click(panel.applying)
    wait_until_exact(explorer, qtbot)
    (entry,) = controller.detectors.entries
    assert entry.detector is not None
    np.testing.assert_array_equal(
        entry.image.data, n4.virtual_image(corrected, entry.detector)
    )
    assert not panel.applying.enabled
    click(panel.remove_all)
    wait_until_exact(explorer, qtbot)
    np.testing.assert_array_equal(
        entry.image.data, n4.virtual_image(ds, entry.detector)
    )
    assert text(panel) == "Nothing is corrected."


def test_threshold_finds_more_or_less(viewer: Any, qtbot: Any) -> None:
    explorer = explored(viewer, qtbot)
    panel = explorer.corrections
    assert not panel.threshold.native.isVisible()
    choose(panel, "excluded", HOT)
    qtbot.waitUntil(lambda: panel.applying.enabled, timeout=20_000)
    assert panel.threshold.native.isVisible()
    panel.threshold.value = 900
    click(panel.find)
    qtbot.waitUntil(lambda: text(panel).startswith("0 hot and 0 dead"), timeout=20_000)
    assert not panel.applying.enabled


def test_files_are_chosen_or_typed(
    viewer: Any, qtbot: Any, tmp_path: Path, said: list[tuple[str, str]]
) -> None:
    explorer = explored(viewer, qtbot)
    panel, ds = explorer.corrections, explorer.controller.ds
    assert ds is not None
    write_npy(tmp_path / "dark.npy", np.full((4, *SIG), 3.0))
    write_npy(tmp_path / "wrong.npy", np.ones((5, 5)))
    choose(panel, "dark", FILE)
    assert "Choose a file." in text(panel)
    row = panel.rows["dark"]
    assert row.file.native.isVisible()
    row.file.value = tmp_path / "dark.npy"  # as the button does
    qtbot.waitUntil(lambda: panel.applying.enabled, timeout=10_000)
    choose(panel, "gain", FILE)
    line = panel.rows["gain"].file.line_edit.native
    QTest.keyClicks(line, str(tmp_path / "wrong.npy"))
    assert "Choose a file." in text(panel)
    QTest.keyClick(line, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: "gain does not fit" in text(panel), timeout=10_000)
    assert "gain does not fit" in said[-1][1]
    assert not panel.applying.enabled
    choose(panel, "gain", NONE)
    assert not line.isVisible()
    click(panel.applying)
    wait_until_exact(explorer, qtbot)
    np.testing.assert_array_equal(
        explorer.controller.ds[0, 0],  # type: ignore[index]
        ds[0, 0].astype("f4") - 3,
    )
    facts = explorer.controller.ds.diagnostics()  # type: ignore[union-attr]
    assert dict(facts)["corrections"] == "dark frame"


def test_region_and_brush_are_taken_from_the_views(viewer: Any, qtbot: Any) -> None:
    explorer = explored(viewer, qtbot)
    panel = explorer.corrections
    choose(panel, "dark", REGION)
    assert "Draw a region" in text(panel)
    labels = np.zeros(NAV, np.uint8)
    labels[2:4, 3:7] = 1
    viewer.add_labels(labels)
    click(panel.take)
    qtbot.waitUntil(lambda: panel.applying.enabled, timeout=10_000)
    assert text(panel).startswith("Dark frame: mean of 8 patterns")
    choose(panel, "excluded", PAINTED)
    brush = explorer.controller.detectors.entries[-1]
    brush.drawing.data_setitem((np.array([3, 4]), np.array([5, 5])), 1)
    qtbot.waitUntil(lambda: "2 pixels painted" in text(panel), timeout=5000)
    click(panel.remove_all)
    assert explorer.controller.ds is not None
    assert explorer.controller.ds.corrections is None
    assert len(explorer.controller.detectors.entries) == 2


def test_nothing_in_the_tab_is_cut_off(viewer: Any, qtbot: Any) -> None:
    explorer = explored(viewer, qtbot)
    panel = explorer.corrections
    for kind, source in (("dark", REGION), ("gain", FILE), ("excluded", HOT)):
        choose(panel, kind, source)
        box = panel.rows[kind].source.native
        needed = box.fontMetrics().horizontalAdvance(box.currentText())
        assert needed < box.width() - 30
    qtbot.wait(100)
    page = panel.native.rect()
    for widget in (panel.find, panel.take, panel.applying, panel.rows["gain"].file):
        native = widget.native
        corner = native.mapTo(panel.native, native.rect().bottomRight())
        assert page.contains(corner)
    assert panel.native.width() <= panel.native.parent().width()
