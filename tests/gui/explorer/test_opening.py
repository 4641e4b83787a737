"""The ways to the Explorer: a button, by itself, napari's menus and command palette."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from napari_4dstem.gui.preferences import Preferences
from tests.formats.write_mib import write_hdr, write_mib
from tests.gui.test_drop import frames

pytestmark = pytest.mark.window

Drop = Callable[..., None]
Said = list[tuple[str, str]]
CHANGE, EXPLORE = "Change …", "Open in Explorer"


def scan(folder: Path, name: str = "scan") -> Path:
    write_mib(folder / f"{name}.mib", frames())
    write_hdr(folder / f"{name}.hdr", {"ScanX": 4, "ScanY": 3})
    return folder / f"{name}.mib"


def explorer_in(viewer: Any) -> Any:
    from napari_4dstem.gui import docks
    from napari_4dstem.gui.explorer.dock import Explorer

    return docks.find(viewer, Explorer)


def explored(viewer: Any) -> str | None:
    """Name of the scan in the Explorer."""
    explorer = explorer_in(viewer)
    layer = explorer and explorer.controller.layer
    return layer and layer.name


def buttons() -> dict[str, Callable[[Any], object]]:
    """Of the last notification."""
    from napari.utils.notifications import notification_manager

    return dict(notification_manager.records[-1].actions)


@pytest.fixture
def opens_on_load(monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_4dstem.gui import preferences

    preferred = Preferences(open_on_load=True)
    monkeypatch.setattr(preferences, "read", lambda: preferred)


class TestButton:
    def test_it_opens_what_was_dropped(
        self,
        tmp_path: Path,
        make_napari_viewer: Any,
        drop: Drop,
        said: Said,
        qtbot: Any,
    ) -> None:
        viewer = make_napari_viewer(show=True)
        drop(viewer, scan(tmp_path))
        assert said == [("info", "scan.mib: 3 × 4 scan, 10 × 14 px")]
        assert list(buttons()) == [CHANGE, EXPLORE]
        assert explorer_in(viewer) is None
        buttons()[EXPLORE](None)
        assert explored(viewer) == "scan"
        assert [layer.name for layer in viewer.layers] == ["Disk", "Probe"]
        buttons()[EXPLORE](None)  # it is there already
        assert explored(viewer) == "scan"

    def test_what_was_guessed_is_in_the_same_notification(
        self, tmp_path: Path, make_napari_viewer: Any, drop: Drop, said: Said
    ) -> None:
        write_mib(tmp_path / "scan.mib", frames(9))
        viewer = make_napari_viewer(show=True)
        drop(viewer, tmp_path / "scan.mib")
        ((severity, message),) = said
        assert severity == "info"
        first, last = message.splitlines()
        assert first.startswith("scan.mib: The scan shape is guessed")
        assert last == "3 × 3 scan, 10 × 14 px"
        assert list(buttons()) == [CHANGE, EXPLORE]

    def test_all_of_it_is_on_the_canvas(
        self, tmp_path: Path, make_napari_viewer: Any, drop: Drop, qtbot: Any
    ) -> None:
        from napari._qt.dialogs.qt_notification import NapariQtNotification
        from qtpy.QtWidgets import QPushButton

        viewer = make_napari_viewer(show=True)
        viewer.window.resize(1280, 800)
        qtbot.wait(100)
        drop(viewer, scan(tmp_path))
        qtbot.wait(500)  # it slides in, while the sliders of the layer come up
        bubble = NapariQtNotification._instances[-1]
        assert bubble.parent().rect().contains(bubble.geometry())
        shown = [button.text() for button in bubble.findChildren(QPushButton)]
        assert shown[-2:] == [CHANGE, EXPLORE]

    def test_a_second_scan_opens_in_the_same_explorer(
        self, tmp_path: Path, make_napari_viewer: Any, drop: Drop, qtbot: Any
    ) -> None:
        viewer = make_napari_viewer(show=True)
        drop(viewer, scan(tmp_path, "gold"))
        buttons()[EXPLORE](None)
        explorer = explorer_in(viewer)
        drop(viewer, scan(tmp_path, "carbon"))
        assert explored(viewer) == "gold"
        qtbot.waitUntil(lambda: explorer.scans.box.count() == 2)
        buttons()[EXPLORE](None)
        assert explorer_in(viewer) is explorer
        assert explored(viewer) == "carbon"

    def test_it_says_if_the_layer_is_gone(
        self, tmp_path: Path, make_napari_viewer: Any, drop: Drop, said: Said
    ) -> None:
        viewer = make_napari_viewer(show=True)
        drop(viewer, scan(tmp_path))
        press = buttons()[EXPLORE]
        viewer.layers.clear()
        press(None)
        assert said[-1] == (
            "error",
            "scan is not among the layers of this window any more",
        )
        assert explorer_in(viewer) is None

    def test_notifications_keep_neither_layer_nor_data_set(
        self,
        tmp_path: Path,
        make_napari_viewer: Any,
        drop: Drop,
        qtbot: Any,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        from napari_4dstem.gui import recent

        monkeypatch.setattr(recent, "MOMENT_S", 0.1)  # it keeps what came just now
        viewer = make_napari_viewer(show=True)
        drop(viewer, scan(tmp_path))
        assert EXPLORE in buttons()
        layer = viewer.layers[0]
        kept = weakref.ref(layer), weakref.ref(layer.metadata["napari_4dstem"])
        del layer
        viewer.layers.clear()
        qtbot.wait(400)
        gc.collect()
        assert [each() for each in kept] == [None, None]


class TestByItself:
    def test_first_of_what_is_dropped_opens_and_the_others_are_listed(
        self,
        opens_on_load: None,
        tmp_path: Path,
        make_napari_viewer: Any,
        drop: Drop,
        qtbot: Any,
    ) -> None:
        viewer = make_napari_viewer(show=True)
        drop(viewer, *[scan(tmp_path, name) for name in ("gold", "carbon")])
        qtbot.waitUntil(lambda: explored(viewer) == "gold")
        qtbot.wait(100)
        assert explored(viewer) == "gold"
        data_sets = explorer_in(viewer).scans.box
        qtbot.waitUntil(lambda: data_sets.count() == 2)
        listed = {data_sets.itemText(i) for i in range(2)}
        assert listed == {"gold", "carbon"}

    def test_what_is_dropped_later_takes_its_place(
        self,
        opens_on_load: None,
        tmp_path: Path,
        make_napari_viewer: Any,
        drop: Drop,
        said: Said,
        qtbot: Any,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        from napari_4dstem.gui.explorer import opening

        monkeypatch.setattr(opening, "TOGETHER_S", 0)
        viewer = make_napari_viewer(show=True)
        for name in ("gold", "carbon"):
            drop(viewer, scan(tmp_path, name))
            qtbot.waitUntil(lambda name=name: explored(viewer) == name)
            assert not said  # the Explorer shows it, and what it is

    def test_an_empty_explorer_takes_what_is_dropped(
        self, tmp_path: Path, make_napari_viewer: Any, drop: Drop, qtbot: Any
    ) -> None:
        from napari_4dstem.gui.explorer.opening import open_explorer

        viewer = make_napari_viewer(show=True)
        open_explorer(viewer)
        qtbot.wait(50)
        drop(viewer, scan(tmp_path))
        qtbot.waitUntil(lambda: explored(viewer) == "scan")

    def test_without_a_window_that_is_seen_nothing_opens_and_nothing_is_said(
        self,
        opens_on_load: None,
        tmp_path: Path,
        make_napari_viewer: Any,
        said: Said,
        qtbot: Any,
    ) -> None:
        viewer = make_napari_viewer(show=False)
        viewer.open(scan(tmp_path), plugin="napari-4dstem")
        qtbot.wait(50)
        assert explorer_in(viewer) is None
        assert [layer.name for layer in viewer.layers] == ["scan"]
        assert not said


class TestMenus:
    def test_menu_and_code_bring_up_the_same_dock(
        self, make_napari_viewer: Any, qtbot: Any
    ) -> None:
        from napari_4dstem.gui.explorer.opening import open_explorer

        viewer = make_napari_viewer(show=True)
        execute("napari-4dstem.explorer")
        explorer = explorer_in(viewer)
        assert open_explorer(viewer) is explorer
        execute("napari-4dstem.explorer")  # napari's menu shows and hides it
        assert not explorer.isVisible()
        assert open_explorer(viewer) is explorer
        assert explorer.isVisible()

    @pytest.mark.parametrize(
        ("menu", "path", "title"),
        [
            ("file_menu", ("IO Utilities", "4D-STEM"), "Open 4D-STEM data"),
            ("layers_menu", ("Visualize",), "4D-STEM Explorer"),
            ("layers_menu", ("Measure",), "Virtual detector"),
            ("layers_menu", ("Measure",), "Centre of mass"),
            ("plugins_menu", ("4D-STEM",), "4D-STEM Explorer"),
            ("plugins_menu", ("4D-STEM",), "Open 4D-STEM data"),
        ],
    )
    def test_entry_opens_its_dock(
        self,
        menu: str,
        path: tuple[str, ...],
        title: str,
        make_napari_viewer: Any,
        qtbot: Any,
    ) -> None:
        viewer = make_napari_viewer(show=True)
        entries = getattr(viewer.window, menu)
        for name in path:
            entries = entry(entries, name).menu()
        entry(entries, title).trigger()
        assert list(viewer.window.dock_widgets) == [f"{title} (4D-STEM)"]
        qtbot.wait(50)

    def test_palette_has_what_can_be_called_and_nothing_else(
        self, make_napari_viewer: Any
    ) -> None:
        from napari._qt.widgets.qt_command_palette import QCommandPalette

        viewer = make_napari_viewer(show=True)
        palette = QCommandPalette(viewer.window._qt_window)
        palette.update_context(viewer.window._qt_window)
        palette._list.update_for_text("4D-STEM")
        rows = [row for row in palette._list._label_widgets if row.command()]
        enabled = {row.command().title for row in rows if row.isEnabled()}
        assert {title for title in enabled if "(4D-STEM)" in title} == {
            "4D-STEM Explorer (4D-STEM)",
            "Centre of mass (4D-STEM)",
            "Copy script of 4D-STEM map (4D-STEM)",
            "Gold nanoparticles, synthetic (4D-STEM)",
            "Open 4D-STEM data (4D-STEM)",
            "Virtual detector (4D-STEM)",
        }


def execute(command: str) -> None:
    from napari._app_model import get_app_model

    get_app_model().commands.execute_command(command).result()


def entry(menu: Any, title: str) -> Any:
    """Return an entry of a menu, as it is when the menu is shown."""
    menu.aboutToShow.emit()
    names = {action.text().replace("&", ""): action for action in menu.actions()}
    return names[title] if title in names else names[f"{title} (4D-STEM)"]
