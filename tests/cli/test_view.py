"""`view` opens a window if there is something to show."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_4dstem import cli
from napari_4dstem.analysis.detectors import Annulus
from napari_4dstem.cli import windows
from napari_4dstem.dataset import Dataset, load, opening_of
from napari_4dstem.workspace import DrawnDetector, Workspace, save
from tests.cli.running import FRAMES, MODULE, run

# Runs a command as `main` does; when the window is there, says what is in it.
IN_WINDOW = """
import json, os, signal, sys
import napari
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication
from napari_4dstem import cli

wait = napari.run

def run():
    viewer = napari.current_viewer()
    layers = [
        (layer.name, layer.data.shape, layer.source.reader_plugin)
        for layer in viewer.layers
    ]
    print("LAYERS", json.dumps(layers), flush=True)
    for widget in viewer.window.dock_widgets.values():
        QApplication.processEvents()
        shown = widget.controller.layer.name
        listed = [widget.scans.box.itemText(i) for i in range(widget.scans.box.count())]
        print(f"EXPLORER {shown} of {listed}", flush=True)
    if sys.argv[1] == "Ctrl-C":
        QTimer.singleShot(100, lambda: os.kill(os.getpid(), signal.SIGINT))
    else:
        QTimer.singleShot(100, viewer.window.close)
    wait()

napari.run = run
sys.exit(cli.main(sys.argv[2:]))
"""


SETTLE = """[QApplication.processEvents() for _ in range(20)]
        print([layer.name for layer in viewer.layers])"""


def shown_by(result: subprocess.CompletedProcess[str]) -> list[Any]:
    found = re.search("^LAYERS (.*)$", result.stdout, re.MULTILINE)
    assert found, result.stderr
    return list(json.loads(found[1]))


@pytest.fixture
def contents(monkeypatch: pytest.MonkeyPatch) -> list[Path | Dataset]:
    """What would be shown, if there were a window."""
    shown: list[Path | Dataset] = []

    def show(contents: list[Path | Dataset], explore: bool) -> int:
        assert explore
        shown.extend(contents)
        return 0

    monkeypatch.setattr(windows, "show", show)
    monkeypatch.setattr(windows, "why_none", lambda: None)
    return shown


def test_view_without_parameters_goes_through_the_reader(
    scan: Path, contents: list[Path | Dataset]
) -> None:
    assert cli.main(["view", str(scan)]) == 0
    assert contents == [scan]


def test_view_with_parameters_opens_with_them(
    scan: Path, raw: Path, contents: list[Path | Dataset]
) -> None:
    text = "--type raw --dtype u1 --sig-shape 16,16 --nav-shape 5,3 --name twin"
    assert cli.main(["view", str(scan), str(raw), *text.split()]) == 0
    first, second = contents
    assert isinstance(first, Dataset)
    assert isinstance(second, Dataset)
    assert (first.filetype, first.shape, first.name) == ("raw", (5, 3, 16, 16), "twin")
    assert second.path == raw


def test_view_leaves_questions_to_the_reader(
    raw: Path, contents: list[Path | Dataset]
) -> None:
    assert cli.main(["view", str(raw)]) == 0
    assert contents == [raw]


def test_view_opens_what_napari_does_not_take_for_ours(
    scan: Path, contents: list[Path | Dataset]
) -> None:
    renamed = scan.rename(scan.with_name("scan.dat"))
    assert cli.main(["view", str(renamed)]) == 0
    (shown,) = contents
    assert isinstance(shown, Dataset)
    assert shown.filetype == "mib"


def workspace_of(scan: Path) -> Path:
    path = scan.with_name("gold.4dstem.json")
    save(path, Workspace(opening_of(load("auto", scan))))
    return path


def test_view_opens_workspaces(
    scan: Path, contents: list[Path | Dataset], capsys: pytest.CaptureFixture[str]
) -> None:
    path = workspace_of(scan)
    assert cli.main(["view", str(path)]) == 0
    assert contents == [path]
    assert cli.main(["view", str(path), "--sync-offset", "1"]) == 1
    assert "leave the parameters out" in capsys.readouterr().err
    scan.unlink()
    assert cli.main(["view", str(path)]) == 1
    assert "is not there" in capsys.readouterr().err
    assert contents == [path]


@pytest.mark.parametrize("command", ["view", "info"])
def test_renamed_workspace_is_said_to_be_one(
    scan: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = workspace_of(scan).rename(scan.with_name("gold.json"))
    assert cli.main([command, str(path)]) == 1
    assert "a workspace of the Explorer" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["none.mib", "text.mib", "bytes.mib", "bytes.dat"])
def test_view_tells_an_error_without_a_window(
    tmp_path: Path,
    name: str,
    contents: list[Path | Dataset],
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "text.mib").write_text("no data")
    for suffix in (".mib", ".dat"):
        (tmp_path / "bytes").with_suffix(suffix).write_bytes(bytes(range(256)))
    assert cli.main(["view", str(tmp_path / name)]) == 1
    assert capsys.readouterr().err.startswith(f"napari-4dstem: {tmp_path / name}: ")
    assert not contents


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux may have no screen")
@pytest.mark.parametrize("command", ["view", "demo"])
def test_without_a_screen_it_is_said_how_to_get_one(
    command: str, scan: Path, home: dict[str, str]
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        home.pop(name, None)
    result = run(*MODULE, command, *([scan] if command == "view" else []), env=home)
    assert result.returncode == 1
    assert result.stdout == ""
    assert "no screen" in result.stderr
    assert f"xvfb-run -a napari-4dstem {command}" in result.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux may have no screen")
def test_a_missing_file_is_told_before_a_missing_screen(
    tmp_path: Path, home: dict[str, str]
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        home.pop(name, None)
    result = run(*MODULE, "view", tmp_path / "none.mib", env=home)
    assert result.returncode == 1
    assert "none.mib: the file does not exist" in result.stderr
    assert "screen" not in result.stderr


@pytest.mark.parametrize("missing", ["napari", "qtpy"])
def test_without_napari_it_is_said_how_to_install_it(
    missing: str, home: dict[str, str]
) -> None:
    code = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from napari_4dstem import cli; sys.exit(cli.main(['demo']))"
    )
    result = run("-c", code, env={**home, "DISPLAY": ":0", "QT_QPA_PLATFORM": ""})
    assert result.returncode == 1
    assert 'pip install "napari-4dstem[gui]"' in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.window
def test_plain_view_shows_one_layer_a_data_set(
    scan: Path, home: dict[str, str]
) -> None:
    other = scan.with_name("other.npy")
    np.save(other, FRAMES.reshape(3, 5, 8, 6))
    result = run("-c", IN_WINDOW, "close", "view", scan, other, "--plain", env=home)
    assert result.returncode == 0, result.stderr
    assert shown_by(result) == [
        ["scan", [3, 5, 8, 6], "napari-4dstem"],
        ["other", [3, 5, 8, 6], "napari-4dstem"],
    ]


@pytest.mark.window
def test_view_shows_the_first_scan_in_the_explorer_and_lists_the_others(
    scan: Path, home: dict[str, str]
) -> None:
    other = scan.with_name("other.npy")
    np.save(other, FRAMES.reshape(3, 5, 8, 6))
    result = run("-c", IN_WINDOW, "close", "view", scan, other, env=home)
    assert result.returncode == 0, result.stderr
    assert sorted(name for name, *_ in shown_by(result)) == ["Disk", "Probe"]
    assert "EXPLORER scan of ['scan', 'other']" in result.stdout


@pytest.mark.window
def test_view_restores_a_workspace(scan: Path, home: dict[str, str]) -> None:
    drawn = (DrawnDetector("my ring", Annulus((3, 3), 1, 2)),)
    path = scan.with_name("gold.4dstem.json")
    save(path, Workspace(opening_of(load("auto", scan)), drawn))
    restored = IN_WINDOW.replace("QApplication.processEvents()", SETTLE)
    result = run("-c", restored, "close", "view", path, env=home)
    assert result.returncode == 0, result.stderr
    assert "EXPLORER scan of ['scan']" in result.stdout
    assert "my ring" in result.stdout


@pytest.mark.window
def test_plain_view_is_plain_whatever_is_preferred(
    scan: Path, home: dict[str, str]
) -> None:
    prefers = {**home, "NAPARI_EXPLORER_OPEN_ON_LOAD": "true"}
    result = run("-c", IN_WINDOW, "close", "view", scan, "--plain", env=prefers)
    assert [name for name, *_ in shown_by(result)] == ["scan"]
    assert "EXPLORER" not in result.stdout


@pytest.mark.window
def test_view_shows_parameters_and_ends_with_ctrl_c(
    scan: Path, home: dict[str, str]
) -> None:
    text = "--nav-shape 2x7 --sync-offset -3 --name gold --plain"
    result = run("-c", IN_WINDOW, "Ctrl-C", "view", scan, *text.split(), env=home)
    assert result.returncode == 130, result.stderr
    assert shown_by(result) == [["gold", [2, 7, 8, 6], None]]
