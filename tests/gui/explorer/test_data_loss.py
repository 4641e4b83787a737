"""Data that go away while a detector or the probe is dragged."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from qtpy.QtCore import QPoint
from qtpy.QtTest import QTest

import napari_4dstem as n4
from napari_4dstem.errors import FormatError
from napari_4dstem.frames import file_bytes
from napari_4dstem.gui import notices
from napari_4dstem.gui.explorer.dock import Explorer
from napari_4dstem.layers import image_layer
from tests.gui.explorer.test_controller import pixels
from tests.gui.explorer.test_dock import (
    LEFT,
    NO_KEYS,
    PLUGIN,
    move,
    on_screen,
    opened,
    wait_until_exact,
)

pytestmark = pytest.mark.window


def save_npy(folder: Path) -> Path:
    path = folder / "scan.npy"
    np.save(path, pixels())
    return path


def save_gzip(folder: Path) -> Path:
    path = folder / "scan.h5"
    with h5py.File(path, "w") as file:
        chunks = (1, 3, 24, 26)
        file.create_dataset("data", data=pixels(), chunks=chunks, compression="gzip")
    return path


def cut_off(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def replace_by_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


HARMS = {
    "cut off": (save_npy, cut_off),
    "deleted": (save_npy, Path.unlink),
    "a folder": (save_npy, replace_by_a_folder),
    "gzip, deleted": (save_gzip, Path.unlink),
    "gzip, cut off": (save_gzip, cut_off),
}


def drag(explorer: Explorer, qtbot: Any, by: float) -> None:
    """Drag the disk sideways by a part of its radius, in some moves."""
    (entry,) = explorer.controller.detectors.entries
    assert isinstance(entry.detector, n4.Disk)
    scale = entry.drawing.scale
    center = np.multiply(entry.detector.center, scale)
    reach = (0, by * entry.detector.radius * scale[-1])
    canvas, model = explorer.view.canvas, explorer.view.model
    places = [on_screen(canvas, model, center + np.multiply(reach, i / 6))
              for i in range(7)]  # fmt: skip
    move(canvas, qtbot, places[0] + QPoint(1, 0), places[0])
    QTest.mousePress(canvas, LEFT, NO_KEYS, places[0])
    move(canvas, qtbot, *places[1:])
    QTest.mouseRelease(canvas, LEFT, NO_KEYS, places[-1])
    wait_until_idle(qtbot)


def wait_until_idle(qtbot: Any) -> None:
    qtbot.wait(50)
    qtbot.waitUntil(
        lambda: not [t for t in threading.enumerate() if t.name == PLUGIN],
        timeout=20_000,
    )
    qtbot.wait(100)


def explored(viewer: Any, qtbot: Any, ds: n4.Dataset) -> Explorer:
    viewer.window.resize(1200, 760)
    data, options, _ = image_layer(ds)
    viewer.add_image(data, **options)
    _, explorer = opened(viewer, qtbot)
    wait_until_idle(qtbot)
    return explorer


def errors(said: list[tuple[str, str]]) -> list[str]:
    return [message for severity, message in said if severity == "error"]


def assert_it_goes_on(explorer: Explorer, qtbot: Any, ds: n4.Dataset) -> None:
    drag(explorer, qtbot, 0.3)
    wait_until_exact(explorer, qtbot)
    (entry,) = explorer.controller.detectors.entries
    assert entry.detector is not None
    np.testing.assert_array_equal(
        entry.image.data, n4.virtual_image(ds, entry.detector)
    )
    patterns = explorer.controller.patterns
    patterns.set_probe(3, 4)
    qtbot.waitUntil(lambda: np.array_equal(patterns.layer.data, ds[3, 4]))


@pytest.mark.parametrize("harm", HARMS)
def test_lost_file_is_told_of_once_and_all_goes_on_when_it_is_back(
    harm: str,
    make_napari_viewer: Any,
    qtbot: Any,
    said: list[tuple[str, str]],
    tmp_path: Path,
) -> None:
    save, damage = HARMS[harm]
    path = save(tmp_path)
    kept = shutil.copy(path, tmp_path / "kept")
    ds = n4.load("auto", path=path, io_backend="buffered")
    explorer = explored(make_napari_viewer(show=True), qtbot, ds)
    assert not errors(said)
    damage(path)
    drag(explorer, qtbot, 0.4)
    for x in range(6):
        explorer.controller.patterns.set_probe(7, x)
        qtbot.wait(30)
    wait_until_idle(qtbot)
    drag(explorer, qtbot, -0.4)
    (message,) = set(errors(said))
    assert path.name in message
    assert str(tmp_path) not in message
    assert len(errors(said)) == 1
    if path.is_dir():
        path.rmdir()
    shutil.copy(kept, path)
    assert_it_goes_on(explorer, qtbot, ds)
    assert len(errors(said)) == 1


def test_disk_that_fails_to_read_is_told_of_once(
    make_napari_viewer: Any,
    qtbot: Any,
    said: list[tuple[str, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ds = n4.load("npy", path=save_npy(tmp_path), io_backend="buffered")
    explorer = explored(make_napari_viewer(show=True), qtbot, ds)

    def fill(*_: Any, **__: Any) -> None:
        raise file_bytes._unreadable(
            tmp_path / "scan.npy", OSError(errno.EIO, os.strerror(errno.EIO))
        )

    with monkeypatch.context() as broken:
        broken.setattr(file_bytes, "_fill", fill)
        drag(explorer, qtbot, 0.4)
        drag(explorer, qtbot, -0.4)
    (message,) = errors(said)
    assert "Input/output error" in message
    assert_it_goes_on(explorer, qtbot, ds)


def test_problem_that_comes_back_later_is_told_of_again(
    said: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(notices.time, "monotonic", lambda: now[0])
    complaints = notices.Complaints()

    def fail(problem: str, found: int) -> Callable[[], None]:
        error = FormatError("scan.mib", problem, found=found)
        return lambda: complaints.show(error)

    for second in range(15):  # it never stops in between
        now[0] = second
        fail("too short", second)()
    assert len(errors(said)) == 1
    fail("gone", 0)()
    assert len(errors(said)) == 2
    now[0] += 2 * notices.AGAIN_S
    fail("too short", 0)()
    assert len(errors(said)) == 3
