"""Windows where there can be windows; elsewhere a reason that says what is missing."""

from __future__ import annotations

import functools
import gc
import importlib.util
import os
import subprocess
import sys

import pytest

# Tests of other folders import it as well.
pytest.register_assert_rewrite("tests.formats.contract")

WINDOW_FIXTURES = {"make_napari_viewer", "qapp", "qtbot"}

# Qt aborts the process when it cannot reach a screen, so it is tried in another one.
PROBE = """
from qtpy.QtGui import QGuiApplication, QOpenGLContext
app = QGuiApplication([])
if not QOpenGLContext().create():
    raise SystemExit("OpenGL does not work here")
"""


def why_no_qt() -> str | None:
    """What keeps Qt from being imported, if anything."""
    try:
        from qtpy import QtTest, QtWidgets  # noqa: F401
    except ImportError as error:
        return str(error).splitlines()[0]
    return None


@functools.cache
def why_no_window() -> str | None:
    """What keeps a window with an OpenGL canvas from being opened, if anything."""
    if importlib.util.find_spec("napari") is None:
        return "napari is not installed (pip install 'napari-4dstem[gui]')"
    if reason := why_no_qt():
        return f"Qt cannot be imported: {reason} (README.md lists what it needs)"
    platform = os.environ.get("QT_QPA_PLATFORM", "").partition(":")[0]
    if platform in {"minimal", "offscreen"}:
        return f"QT_QPA_PLATFORM={platform} has no OpenGL: unset it"
    has_screen = "DISPLAY" in os.environ or "WAYLAND_DISPLAY" in os.environ
    if sys.platform.startswith("linux") and not has_screen:
        return "neither a screen nor Xvfb (on Debian: apt-get install xvfb)"
    probe = subprocess.run(
        [sys.executable, "-c", PROBE], capture_output=True, text=True, check=False
    )
    if probe.returncode:
        said = [line for line in probe.stderr.splitlines() if line.strip()]
        return f"{said[0] if said else 'Qt failed'} (README.md lists what Qt needs)"
    return None


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Processes for ``-n auto``: each needs 1 GB of memory and a screen."""
    return min(os.cpu_count() or 1, 4)


def pytest_addoption(pluginmanager: pytest.PytestPluginManager) -> None:
    if why_no_qt():
        pluginmanager.set_blocked("pytest-qt")  # it would refuse to start at all


def pytest_itemcollected(item: pytest.Item) -> None:
    if WINDOW_FIXTURES & set(getattr(item, "fixturenames", ())):
        item.add_marker("window")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("window") and (reason := why_no_window()):
        if os.environ.get("N4_REQUIRE_WINDOWS", "0") != "0":
            pytest.fail(f"no window: {reason}", pytrace=False)
        pytest.skip(f"no window: {reason}")


@functools.cache
def _freeze_what_is_imported() -> None:
    import napari  # noqa: F401

    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def short_collections(request: pytest.FixtureRequest) -> None:
    """Keep garbage collections from going through all modules, again and again.

    napari collects garbage whenever a layer is removed and a window closed: a third of
    a second each time, with all that is imported.
    """
    if request.node.get_closest_marker("window"):
        _freeze_what_is_imported()


@pytest.fixture(autouse=True)
def no_items_that_outlive_their_window(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keep napari on PySide from asking the layouts of its docks for their items.

    PySide remembers the items even when their window is gone, and takes what comes to
    lie at their addresses for them: among the windows of many tests that ends in
    "QWidgetItem has no attribute ..." or a crash, in widgets of napari as well.
    """
    if not request.node.get_closest_marker("window"):
        return
    import qtpy

    if qtpy.API_NAME == "PySide6":
        from napari._qt.widgets.qt_viewer_dock_widget import QtViewerDockWidget

        monkeypatch.setattr(
            QtViewerDockWidget, "_maybe_add_vertical_stretch", lambda *_: None
        )
