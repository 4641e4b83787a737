"""The Explorer without a mouse, for those who hear it, and in a narrow dock."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
import qtpy
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QAbstractButton, QScrollArea, QTabBar, QTabWidget, QWidget

from napari_4dstem.gui.explorer.dock import MIN_WIDTH, Explorer
from tests.gui.explorer.test_dock import opened

pytestmark = pytest.mark.window

# What the chain of the tab key goes through has a wrapper in Python from then on.
walks_all_widgets = pytest.mark.skipif(
    qtpy.API_NAME == "PySide6",
    reason="PySide keeps wrappers of napari's widgets alive, and with them its window;"
    " names and order are the same on PyQt, where this is checked",
)
HOLDERS = (QScrollArea, QTabBar, QTabWidget)
# napari's own controls within its canvas are hidden: patterns have no sliders.


def stops(explorer: Explorer) -> Iterator[QWidget]:
    """Yield where the tab key stops, in order."""
    each = explorer.nextInFocusChain()
    while each is not explorer:
        assert each is not None
        takes_tab = each.focusPolicy().value & Qt.FocusPolicy.TabFocus.value
        is_part = (
            each.objectName().startswith("qt_")
            or each.focusProxy() is not None
            or isinstance(each.parentWidget(), QTabBar)  # arrows of many tabs
        )
        if (
            explorer.isAncestorOf(each)
            and each.isVisible()
            and takes_tab
            and not is_part
        ):
            yield each
        each = each.nextInFocusChain()


def pages(explorer: Explorer, qtbot: Any) -> Iterator[str]:
    """Bring one tab after the other to the front."""
    explorer.controller.detectors.add("Ring")
    explorer.controller.detectors.add("Brush")
    for index in range(explorer.tabs.count()):
        explorer.tabs.setCurrentIndex(index)
        qtbot.wait(50)
        yield explorer.tabs.tabText(index)


@walks_all_widgets
def test_every_control_has_a_name_and_says_what_it_does(
    viewer: Any, qtbot: Any
) -> None:
    _, explorer = opened(viewer, qtbot)
    count = 0
    for page in pages(explorer, qtbot):
        for source in ("Probe", "Region, sum"):
            explorer.probe.source.setCurrentText(source)
            for each in stops(explorer):
                what = f"{type(each).__name__} in {page}: {each.accessibleName()!r}"
                says = each.text() if isinstance(each, QAbstractButton) else ""
                assert each.accessibleName() or says, what
                if not isinstance(each, HOLDERS) and each is not explorer.view.canvas:
                    assert each.toolTip(), what
                count += 1
    assert count > 100


@walks_all_widgets
def test_tab_key_goes_from_top_to_bottom(viewer: Any, qtbot: Any) -> None:
    _, explorer = opened(viewer, qtbot)
    for page in pages(explorer, qtbot):
        rows = [
            (each, each.mapTo(explorer, QPoint(0, 0)))
            for each in stops(explorer)
            if not isinstance(each, HOLDERS) and each is not explorer.table.table
        ]
        assert len(rows) > 15
        for (before, above), (after, below) in pairwise(rows):
            is_below = below.y() >= above.y() + before.height() // 2
            is_right = below.x() > above.x() and below.y() + after.height() > above.y()
            is_next_column = below.x() >= above.x() + before.width()
            assert is_below or is_right or is_next_column, (
                f"{page}: {before.accessibleName()} {above},"
                f" then {after.accessibleName()} {below}"
            )


def test_arrows_move_probe_and_detector_from_the_controls(
    viewer: Any, qtbot: Any
) -> None:
    _, explorer = opened(viewer, qtbot)
    controller = explorer.controller
    controller.patterns.set_probe(3, 3)
    shift = Qt.KeyboardModifier.ShiftModifier
    both = shift | Qt.KeyboardModifier.ControlModifier
    explorer.window().activateWindow()
    qtbot.waitUntil(explorer.window().isActiveWindow, timeout=5000)
    (entry,) = controller.detectors.entries
    began = entry.drawing.data[0].mean(axis=0)
    for number, control in enumerate(
        (explorer.tools.log, explorer.probe.sliders[0], explorer.table.table)
    ):
        control.setFocus()
        assert control.hasFocus()
        QTest.keyClick(control, Qt.Key.Key_Right, shift)
        assert controller.patterns.position == (3, 4 + number)
        QTest.keyClick(control, Qt.Key.Key_Up, both)
        y, x = entry.drawing.data[0].mean(axis=0)
        assert (y, x) == pytest.approx((began[0] - number - 1, began[1]), abs=1e-3)


@walks_all_widgets
def test_nothing_overlaps_in_a_narrow_dock(viewer: Any, qtbot: Any) -> None:
    dock, explorer = opened(viewer, qtbot)
    window: Any = dock.parent()
    window.resizeDocks([dock], [MIN_WIDTH], Qt.Orientation.Horizontal)
    qtbot.waitUntil(lambda: explorer.width() <= MIN_WIDTH + 10, timeout=5000)
    for source in ("Probe", "Region, sum"):
        explorer.probe.source.setCurrentText(source)
        qtbot.wait(100)
        for bar in (explorer.tools, explorer.probe, explorer.work):
            assert bar.minimumSizeHint().width() <= explorer.width() - 8
        parts = [
            (each, each.rect().translated(each.mapTo(explorer, QPoint(0, 0))))
            for each in stops(explorer)
            if not isinstance(each, HOLDERS) and each is not explorer.table.table
        ]
        for number, (one, its) in enumerate(parts):
            assert explorer.rect().contains(its), one.accessibleName()
            for other, place in parts[number + 1 :]:
                assert not its.intersects(place), (
                    f"{one.accessibleName()} and {other.accessibleName()}"
                )


def test_tabs_can_be_collapsed_on_a_small_screen(viewer: Any, qtbot: Any) -> None:
    _, explorer = opened(viewer, qtbot)
    height = explorer.view.height()
    explorer.halves.setSizes([explorer.halves.height(), 0])
    qtbot.wait(50)
    assert explorer.halves.sizes()[1] == 0
    assert explorer.view.height() > height + 100
