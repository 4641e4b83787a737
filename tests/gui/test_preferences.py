"""What the user prefers, from the manifest to the Explorer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import napari_4dstem

pytest.importorskip("napari", reason="napari is not installed")

import npe2

from napari_4dstem.gui import preferences
from napari_4dstem.gui.explorer import colors
from napari_4dstem.gui.preferences import PLUGIN, Preferences

MANIFEST = Path(napari_4dstem.__file__).parent / "napari.yaml"
Said = list[tuple[str, str]]


@pytest.fixture
def settings(plugin_settings: None, npe2pm: Any) -> Callable[[], Any]:
    """Gives napari's settings of the plugin, which are kept in a folder of the test."""
    from napari.settings import get_plugin_settings

    npe2pm.register(npe2.PluginManifest.from_file(MANIFEST))
    return lambda: get_plugin_settings(PLUGIN).explorer


def declared() -> dict[str, Any]:
    contributions = npe2.PluginManifest.from_file(MANIFEST).contributions
    properties: dict[str, Any] = contributions.configurations["explorer"].properties
    return properties


def test_manifest_declares_each_preference_with_its_default() -> None:
    defaults = {field.name: field.default for field in fields(Preferences)}
    assert {name: one.default for name, one in declared().items()} == defaults


def test_manifest_offers_each_scheme_of_colors() -> None:
    assert declared()["colors"].enum == list(colors.SCHEMES)


def test_colormaps_of_every_scheme_exist() -> None:
    from napari.utils.colormaps import AVAILABLE_COLORMAPS

    for scheme in colors.SCHEMES.values():
        assert set(scheme) <= set(AVAILABLE_COLORMAPS)


def test_what_the_user_sets_is_read(settings: Callable[[], Any]) -> None:
    assert preferences.read() == Preferences()
    settings().update({"open_on_load": True, "memory_mb": 64, "dock_side": "left"})
    read = preferences.read()
    assert read == Preferences(open_on_load=True, memory_mb=64, dock_side="left")
    assert read.budget == 64_000_000


@pytest.mark.parametrize(
    "text",
    [
        "explorer: {memory_mb: lots, open_on_load: true}",
        "explorer: {memory_mb: -5, colors: plaid, open_on_load: true}",
        "explorer: {memory: 5, open_on_load: true}",
    ],
)
def test_nonsense_in_the_file_leaves_the_rest(
    text: str, settings: Callable[[], Any], tmp_path: Path
) -> None:
    (tmp_path / f"{PLUGIN}.yaml").write_text(text)
    assert preferences.read() == Preferences(open_on_load=True)


@pytest.mark.parametrize("text", ["- a\n- list", "explorer: 7"])
def test_a_file_of_something_else_gives_the_defaults(
    text: str, settings: Callable[[], Any], tmp_path: Path
) -> None:
    (tmp_path / f"{PLUGIN}.yaml").write_text(text)
    assert preferences.read() == Preferences()


def test_nonsense_that_napari_hands_over_is_told(
    monkeypatch: pytest.MonkeyPatch, said: Said
) -> None:
    odd = SimpleNamespace(open_on_load=True, memory_mb="lots")
    found = SimpleNamespace(explorer=odd)
    monkeypatch.setattr(preferences, "get_plugin_settings", lambda _: found)
    assert preferences.read() == Preferences(open_on_load=True)
    ((severity, message),) = said
    assert severity == "error"
    assert "memory_mb is 'lots'" in message


def test_without_settings_there_are_defaults(plugin_settings: None, said: Said) -> None:
    assert preferences.read() == Preferences()
    assert not said


@pytest.mark.window
class TestExplorer:
    def test_explorer_obeys(
        self,
        make_napari_viewer: Any,
        monkeypatch: pytest.MonkeyPatch,
        qtbot: Any,
    ) -> None:
        from qtpy.QtCore import Qt
        from qtpy.QtWidgets import QMainWindow

        from napari_4dstem.gui import docks
        from napari_4dstem.gui.explorer.opening import open_explorer

        preferred = Preferences(
            memory_mb=32, log_patterns=True, colors="Orange, blue, purple",
            dock_side="left",
        )  # fmt: skip
        monkeypatch.setattr(preferences, "read", lambda: preferred)
        viewer = make_napari_viewer(show=True)
        explorer = open_explorer(viewer)
        assert explorer.controller.maps.budget == 32_000_000
        assert list(explorer.controller.detectors.colors)[1] == "bop orange"
        assert explorer.tools.log.isChecked()
        assert explorer.controller.patterns.is_log
        dock = docks.dock_of(explorer)
        assert dock is not None
        window = dock.parent()
        assert isinstance(window, QMainWindow)
        left = Qt.DockWidgetArea.LeftDockWidgetArea
        qtbot.waitUntil(lambda: window.dockWidgetArea(dock) == left)
        qtbot.wait(50)
        # beside napari's own docks, from top to bottom
        assert dock.height() > 0.7 * window.height()

    def test_dialog_shows_a_row_for_each(
        self, make_napari_viewer: Any, qtbot: Any
    ) -> None:
        from napari._qt.dialogs.preferences_dialog import PreferencesDialog
        from qtpy.QtWidgets import QLabel

        dialog = PreferencesDialog()
        qtbot.addWidget(dialog)
        pages = [dialog._list.item(i).text() for i in range(dialog._list.count())]
        page = dialog._stack.widget(pages.index("4D-STEM"))
        labels = {label.text() for label in page.findChildren(QLabel)}
        assert {one.title for one in declared().values()} <= labels
