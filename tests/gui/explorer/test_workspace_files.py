"""Scripts and workspaces in a real window: buttons, dialogs, files that are dropped."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QFileDialog

import napari_4dstem as n4
from napari_4dstem.axes import Sampling
from napari_4dstem.dataset import opening_of
from napari_4dstem.gui.explorer import circles
from napari_4dstem.gui.explorer.dock import Explorer
from napari_4dstem.gui.map_window import MAP_KEY
from napari_4dstem.layers import image_layer
from napari_4dstem.workspace import SUFFIX, DrawnDetector, Workspace, save
from tests.gui.explorer.test_controller import pixels
from tests.gui.explorer.test_dock import LEFT, opened, wait_until_exact

pytestmark = pytest.mark.window

COPY = "napari-4dstem.copy_script"
AGAIN = """
import sys, numpy
names = {}
exec(sys.stdin.read(), names)
numpy.save(sys.argv[1], names["image"])
"""


@pytest.fixture
def ds(tmp_path: Path) -> n4.Dataset:
    np.save(tmp_path / "gold.npy", pixels())
    return n4.load("npy", tmp_path / "gold.npy", name="gold 3").with_calibration(
        (Sampling(2, "nm"),) * 2, (Sampling(0.7, "mrad"),) * 2
    )


@pytest.fixture
def open_window(make_napari_viewer: Any) -> Callable[..., Any]:
    def open_window(ds: n4.Dataset | None = None) -> Any:
        viewer = make_napari_viewer(show=True)
        viewer.window.resize(1200, 760)
        if ds is not None:
            data, options, _ = image_layer(ds)
            viewer.add_image(data, **options)
        return viewer

    return open_window


def click(button: Any) -> None:
    QTest.mouseClick(button, LEFT)


def copied() -> str:
    clipboard = QApplication.clipboard()
    assert clipboard is not None
    return clipboard.text()


def made_by(script: str, folder: Path) -> Any:
    """Run a script in a process that knows nothing."""
    subprocess.run(
        [sys.executable, "-c", AGAIN, folder / "image.npy"],
        input=script,
        text=True,
        check=True,
        cwd="/",
        env=os.environ | {"PYTHONPATH": str(Path(n4.__file__).parents[1])},
    )
    return np.load(folder / "image.npy")


def assert_same(again: Any, layer: Any) -> None:
    assert again.dtype == layer.data.dtype
    assert again.tobytes() == layer.data.tobytes()


class TestCopyScript:
    def test_copied_script_makes_the_map_bit_for_bit(
        self, ds: n4.Dataset, open_window: Any, qtbot: Any, tmp_path: Path
    ) -> None:
        viewer = open_window(ds.with_scan((6, 11), sync_offset=3))
        _, explorer = opened(viewer, qtbot)
        detectors = explorer.controller.detectors
        ring, disk = detectors.add("ADF"), detectors.entries[0]
        detectors.set_reduction(ring, "Shift, magnitude")
        wait_until_exact(explorer, qtbot)
        click(explorer.results.script)
        assert explorer.work.text.text() == "Script of ADF copied"
        assert_same(made_by(copied(), tmp_path), ring.image)
        # a map that is selected comes before the detector that is
        viewer.layers.selection.active = disk.image
        click(explorer.results.script)
        assert explorer.work.text.text() == "Script of Disk copied"
        assert_same(made_by(copied(), tmp_path), disk.image)

    def test_sample_is_made_again(
        self, open_window: Any, qtbot: Any, tmp_path: Path
    ) -> None:
        viewer = open_window()
        viewer.open_sample("napari-4dstem", "nanoparticles")
        _, explorer = opened(viewer, qtbot)
        click(explorer.results.script)
        (entry,) = explorer.controller.detectors.entries
        assert_same(made_by(copied(), tmp_path), entry.image)

    @pytest.mark.parametrize("is_closed", [False, True])
    def test_data_in_memory_are_found_by_the_console(
        self, is_closed: bool, open_window: Any, qtbot: Any
    ) -> None:
        viewer = open_window()
        viewer.add_image(pixels(), name="mine", rgb=False)
        _, explorer = opened(viewer, qtbot)
        layer = explorer.controller.detectors.entries[0].image
        click(explorer.results.script)
        if is_closed:
            click(explorer.scans.close_button)
        names = {"viewer": viewer}
        exec(copied(), names)
        assert_same(names["image"], layer)

    def test_preview_has_no_script_yet(
        self, ds: n4.Dataset, open_window: Any, qtbot: Any
    ) -> None:
        _, explorer = opened(open_window(ds), qtbot)
        explorer.controller.detectors.entries[0].image.metadata = {MAP_KEY: None}
        QApplication.clipboard().setText("before")  # type: ignore[union-attr]
        click(explorer.results.script)
        assert "Disk is not exact yet" in explorer.work.text.text()
        assert copied() == "before"

    def test_command_copies_the_script_of_the_map_that_is_selected(
        self,
        ds: n4.Dataset,
        open_window: Any,
        qtbot: Any,
        said: list[tuple[str, str]],
        tmp_path: Path,
    ) -> None:
        from napari._app_model import get_app_model

        commands = get_app_model().commands
        viewer = open_window(ds)
        commands.execute_command(COPY).result()
        assert "select a map" in said[-1][1]
        dock, explorer = opened(viewer, qtbot)
        layer = explorer.controller.detectors.entries[0].image
        commands.execute_command(COPY).result()
        assert said[-1][1] == "Script of Disk copied"
        assert_same(made_by(copied(), tmp_path), layer)
        dock.destroyOnClose()
        del explorer, dock
        QApplication.clipboard().clear()  # type: ignore[union-attr]
        viewer.layers.selection.active = layer
        commands.execute_command(COPY).result()
        assert_same(made_by(copied(), tmp_path), layer)


@pytest.fixture
def dialog(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is typed into the next dialogs; nothing: they are cancelled."""
    typed: list[str] = []

    def answer(parent: Any, title: str, proposed: str, filter: str) -> tuple[str, str]:
        assert proposed.endswith(SUFFIX)
        return (typed.pop() if typed else "", filter)

    monkeypatch.setattr(QFileDialog, "getSaveFileName", answer)
    return typed


class TestWorkspaceFiles:
    def test_workspace_that_is_dropped_restores_all(
        self,
        ds: n4.Dataset,
        open_window: Any,
        qtbot: Any,
        tmp_path: Path,
        dialog: list[str],
        drop: Callable[..., None],
        said: list[tuple[str, str]],
    ) -> None:
        _, explorer = opened(open_window(ds), qtbot)
        controller = explorer.controller
        detectors = controller.detectors
        for kind in ("ADF", "Rectangle", "Brush"):
            detectors.add(kind)
        detectors.entries[-1].drawing.paint((12, 12), 1)
        detectors.entries[0].drawing.data = [circles.circle((10.7, 11.9), 4.3)]
        detectors.set_reduction(detectors.entries[1], "Centre of mass, y")
        explorer.scan_panel.boxes["columns"].setValue(11)
        click(explorer.scan_panel.apply)
        controller.calibrate(nav=(Sampling(1 / 3, "nm"),) * 2)
        controller.patterns.set_probe(2, 10)
        click(explorer.tools.log)
        explorer.probe.source.setCurrentText("Whole scan, mean")
        wait_until_exact(explorer, qtbot)
        dialog.append(str(tmp_path / "mine"))
        click(explorer.results.workspace)
        path = tmp_path / f"mine{SUFFIX}"
        assert explorer.work.text.text() == f"Workspace saved: {path.name}"
        before = [
            (e.name, e.detector, e.reduction, e.image.colormap.name, e.image.data)
            for e in detectors.entries
        ]
        assert len(before) == 4

        viewer = open_window()
        drop(viewer, path)
        (again,) = explorers(viewer, qtbot)
        wait_until_exact(again, qtbot)
        qtbot.waitUntil(lambda: not again.controller.is_busy, timeout=20_000)
        zoom = viewer.scene.camera.zoom
        viewer.reset_view()
        assert zoom == pytest.approx(viewer.scene.camera.zoom), "fits beside the dock"
        after = [
            (e.name, e.detector, e.reduction, e.image.colormap.name, e.image.data)
            for e in again.controller.detectors.entries
        ]
        for one, other in zip(before, after, strict=True):
            assert one[:-1] == other[:-1]
            assert one[-1].dtype == other[-1].dtype
            assert one[-1].tobytes() == other[-1].tobytes()
        restored = again.controller.ds
        assert restored is not None
        assert (restored.name, restored.nav_shape) == ("gold 3", (6, 11))
        assert restored.calibration.nav == (Sampling(1 / 3, "nm"),) * 2
        assert restored.calibration.sig == ds.calibration.sig
        assert again.controller.patterns.position == (2, 10)
        assert [box.value() for box in again.probe.boxes] == [2, 10]
        assert again.probe.source.currentText() == "Whole scan, mean"
        assert again.tools.log.isChecked()
        np.testing.assert_array_equal(
            again.controller.patterns.layer.data, controller.patterns.layer.data
        )
        assert [layer.name for layer in viewer.layers] == [
            *(name for name, *_ in before),
            "Probe",
        ]
        assert not [message for severity, message in said if severity == "error"]

    def test_workspace_takes_the_place_of_what_is_explored(
        self,
        ds: n4.Dataset,
        open_window: Any,
        qtbot: Any,
        tmp_path: Path,
        drop: Callable[..., None],
    ) -> None:
        ring = n4.Annulus((11.1, 12.2), 3.3, 7.7)
        path = tmp_path / f"gold{SUFFIX}"
        drawn = (DrawnDetector("Disk", ring, "cyan"),)
        save(path, Workspace(opening_of(ds), drawn, probe=(1, 2)))
        viewer = open_window()
        other = viewer.add_image(pixels(), name="other", rgb=False)
        _, explorer = opened(viewer, qtbot)
        assert explorer.controller.layer == other
        drop(viewer, path)
        qtbot.waitUntil(lambda: explorer.controller.layer != other, timeout=10_000)
        wait_until_exact(explorer, qtbot)
        (entry,) = explorer.controller.detectors.entries
        assert entry.detector == ring
        np.testing.assert_array_equal(entry.image.data, n4.virtual_image(ds, ring))
        assert explorers(viewer, qtbot) == [explorer]
        listed = [
            explorer.scans.box.itemText(i) for i in range(explorer.scans.box.count())
        ]
        assert sorted(listed) == ["gold 3", "other"]

    def test_missing_data_are_said_and_nothing_opens(
        self,
        ds: n4.Dataset,
        open_window: Any,
        qtbot: Any,
        tmp_path: Path,
        dialog: list[str],
        drop: Callable[..., None],
        said: list[tuple[str, str]],
    ) -> None:
        _, explorer = opened(open_window(ds), qtbot)
        path = tmp_path / f"a.b{SUFFIX}"
        dialog.append(str(path))
        click(explorer.results.workspace)
        (tmp_path / "gold.npy").unlink()
        viewer = open_window()
        drop(viewer, path)
        qtbot.wait(200)
        assert "is not there" in said[-1][1]
        assert "gold.npy" in said[-1][1]
        assert said[-1][0] == "error"
        assert not viewer.layers
        assert not viewer.window.dock_widgets.get("4D-STEM Explorer (napari-4dstem)")

    def test_workspace_is_not_saved_over_a_file_that_was_not_chosen(
        self,
        ds: n4.Dataset,
        open_window: Any,
        qtbot: Any,
        tmp_path: Path,
        dialog: list[str],
        said: list[tuple[str, str]],
    ) -> None:
        _, explorer = opened(open_window(ds), qtbot)
        path = tmp_path / f"mine{SUFFIX}"
        for name in ("mine", "mine.json", "mine.4dstem", path.name):
            path.write_text("before")
            dialog.append(str(tmp_path / name))
            click(explorer.results.workspace)
            is_chosen = name == path.name
            assert (path.read_text() == "before") is not is_chosen
            assert ("is there already" in said[-1][1]) if not is_chosen else True
        assert sorted(os.listdir(tmp_path)) == ["gold.npy", path.name]
        click(explorer.results.workspace)  # the dialog is cancelled
        assert explorer.work.text.text() == ""

    def test_data_in_memory_are_said_before_any_dialog(
        self,
        open_window: Any,
        qtbot: Any,
        dialog: list[str],
        said: list[tuple[str, str]],
    ) -> None:
        viewer = open_window()
        viewer.add_image(pixels(), name="mine", rgb=False)
        _, explorer = opened(viewer, qtbot)
        dialog.append("never asked")
        click(explorer.results.workspace)
        assert "'mine' are in no file" in said[-1][1]
        assert dialog == ["never asked"]


def explorers(viewer: Any, qtbot: Any) -> list[Explorer]:
    def found() -> list[Explorer]:
        docked = viewer.window.dock_widgets.values()
        return [each for each in docked if isinstance(each, Explorer)]

    qtbot.waitUntil(lambda: bool(found()), timeout=10_000)
    return found()
