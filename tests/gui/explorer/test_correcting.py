"""Corrections: chosen, looked at, applied; two models and no window."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import napari_4dstem as n4
from napari_4dstem.dataset import FOUND, opening_of
from napari_4dstem.layers import image_layer

pytest.importorskip("napari", reason="napari is not installed")

from napari.components import ViewerModel
from napari.layers import Image, Labels

from napari_4dstem.gui.explorer.controller import Controller
from napari_4dstem.gui.explorer.correcting import CANCELLED, Correcting
from napari_4dstem.gui.explorer.correction_parts import (
    FILE,
    HOT,
    KEPT,
    NONE,
    OF_DATA,
    PAINTED,
    REGION,
)
from napari_4dstem.gui.explorer.excluded_marks import MOST, NAME
from napari_4dstem.gui.map_window import MAP_KEY
from napari_4dstem.script import script_of
from napari_4dstem.workspace import Workspace, read, save
from tests.formats.write_npy import write_npy
from tests.gui.explorer.test_controller import NAV, SIG, AtOnce, pixels
from tests.opened import OPENED
from tests.opened import SIG as SMALL
from tests.test_script import assert_same

HOT_AT, DEAD_AT = ((3, 4), (20, 22)), ((11, 12),)


class Never:
    """Keeps jobs, and runs none."""

    is_busy = False

    def __init__(self) -> None:
        self.jobs: list[Callable[[], Any]] = []

    def run(self, job: Callable[[], Any], *_: Any, **__: Any) -> None:
        self.jobs.append(job)

    def cancel(self) -> None:
        pass


def bad_pixels() -> Any:
    """Return frames of a detector with hot and dead pixels."""
    data = pixels()
    for at in HOT_AT:
        data[..., *at] += 150
    for at in DEAD_AT:
        data[..., *at] = 0
    return data


def expected_mask() -> Any:
    mask = np.zeros(SIG, bool)
    mask[tuple(np.transpose(HOT_AT + DEAD_AT))] = True
    return mask


def opened(ds: n4.Dataset, make_runner: Callable[[], Any] = AtOnce) -> Controller:
    data, options, _ = image_layer(ds)
    layer = Image(data, **options)
    scan = ViewerModel()
    scan.add_layer(layer)
    controller = Controller(scan, ViewerModel(), make_runner)
    controller.open(layer)
    return controller


@pytest.fixture
def ds(tmp_path: Path) -> n4.Dataset:
    write_npy(tmp_path / "scan.npy", bad_pixels())
    return n4.load("npy", tmp_path / "scan.npy")


@pytest.fixture
def controller(ds: n4.Dataset) -> Controller:
    return opened(ds)


@pytest.fixture
def correcting(controller: Controller) -> Correcting:
    return controller.correcting


def shown_pattern(controller: Controller) -> Any:
    return np.asarray(controller.patterns.layer.data)


def drawn_vacuum(controller: Controller) -> Any:
    """Draw a region on the scan."""
    roi = np.zeros(NAV, np.uint8)
    roi[1:4, 2:8] = 1
    axes = controller.open_scan.scan_axes()  # type: ignore[union-attr]
    controller.spaces.scan.add_layer(Labels(roi, name="vacuum", **axes))
    return roi > 0


def layer_names(model: ViewerModel) -> list[str]:
    return [layer.name for layer in model.layers]


class TestBeforeApplying:
    def test_found_pixels_are_seen_on_the_pattern_and_nowhere_else(
        self, controller: Controller, correcting: Correcting, ds: n4.Dataset
    ) -> None:
        (entry,) = controller.detectors.entries
        before = np.array(entry.image.data)
        correcting.choose("excluded", HOT)
        part = correcting.parts["excluded"]
        np.testing.assert_array_equal(part.value, expected_mask())
        assert part.said == "2 hot and 1 dead pixels, found in 72 frames"
        at = controller.patterns.position
        np.testing.assert_array_equal(
            shown_pattern(controller), ds.with_corrections(excluded=part.value)[at]
        )
        assert controller.ds is not None
        assert controller.ds.corrections is None
        np.testing.assert_array_equal(entry.image.data, before)
        assert correcting.can_apply

    def test_probe_moves_over_corrected_patterns(
        self, controller: Controller, correcting: Correcting, ds: n4.Dataset
    ) -> None:
        correcting.choose("excluded", HOT)
        corrected = ds.with_corrections(excluded=expected_mask())
        controller.patterns.set_probe(2, 3)
        np.testing.assert_array_equal(shown_pattern(controller), corrected[2, 3])
        controller.patterns.set_source("Whole scan, mean")
        np.testing.assert_allclose(
            shown_pattern(controller), n4.mean_frame(corrected), rtol=1e-6
        )

    def test_preview_can_be_switched_off(
        self, controller: Controller, correcting: Correcting, ds: n4.Dataset
    ) -> None:
        at = controller.patterns.position
        correcting.choose("excluded", HOT)
        correcting.preview(False)
        np.testing.assert_array_equal(shown_pattern(controller), ds[at])
        correcting.preview(True)
        assert (shown_pattern(controller) != ds[at]).any()
        correcting.choose("excluded", NONE)
        np.testing.assert_array_equal(shown_pattern(controller), ds[at])

    def test_marks_are_on_excluded_pixels_and_no_detector(
        self, controller: Controller, correcting: Correcting
    ) -> None:
        pattern = controller.spaces.pattern
        active = pattern.layers.selection.active
        correcting.choose("excluded", HOT)
        np.testing.assert_array_equal(
            pattern.layers[NAME].data, np.argwhere(expected_mask())
        )
        np.testing.assert_array_equal(
            pattern.layers[NAME].scale, controller.patterns.layer.scale
        )
        assert pattern.layers.selection.active is active
        assert len(controller.detectors.entries) == 1
        correcting.mark(False)
        assert NAME not in layer_names(pattern)
        correcting.mark(True)
        assert layer_names(pattern).count(NAME) == 1
        controller.close()
        assert layer_names(pattern) == []

    def test_marks_that_would_hide_the_pattern_are_left_out(self) -> None:
        data = np.ones((2, 2, 120, 120), "u2")
        controller = opened(n4.load("memory", data=data))
        assert data[0, 0].size > MOST
        entry = controller.detectors.add("Brush")
        controller.correcting.choose("excluded", PAINTED)
        entry.drawing.data = np.ones((120, 120), np.uint8)
        controller.detectors.redraw(entry.drawing)
        assert not controller.correcting.is_marked_in_full
        assert NAME not in layer_names(controller.spaces.pattern)

    def test_contrast_is_fitted_to_what_a_dark_frame_leaves(
        self, controller: Controller, correcting: Correcting, tmp_path: Path
    ) -> None:
        write_npy(tmp_path / "dark.npy", np.full(SIG, 50.0))
        low = controller.patterns.layer.contrast_limits[0]
        correcting.choose("dark", FILE)
        correcting.choose_file("dark", tmp_path / "dark.npy")
        assert controller.patterns.layer.contrast_limits[0] == pytest.approx(
            low - 50, abs=1
        )

    def test_geometry_that_is_applied_leaves_what_is_chosen(
        self, controller: Controller, correcting: Correcting, ds: n4.Dataset
    ) -> None:
        correcting.choose("excluded", HOT)
        controller.try_geometry(nav_shape=(6, 12))
        controller.apply_geometry()
        assert correcting.parts["excluded"].source == HOT
        corrected = ds.with_corrections(excluded=expected_mask()).with_scan((6, 12))
        at = controller.patterns.position
        np.testing.assert_array_equal(shown_pattern(controller), corrected[at])
        correcting.apply()
        assert controller.ds is not None
        np.testing.assert_array_equal(controller.ds[...], corrected[...])


class TestApplying:
    def test_all_follows_the_corrected_data(
        self, controller: Controller, correcting: Correcting, ds: n4.Dataset
    ) -> None:
        (entry,) = controller.detectors.entries
        frozen = controller.detectors.freeze(entry)
        correcting.choose("excluded", HOT)
        correcting.apply()
        corrected = ds.with_corrections(excluded=expected_mask())
        assert controller.ds is not None
        np.testing.assert_array_equal(controller.ds[...], corrected[...])
        assert entry.is_exact
        assert entry.detector is not None
        np.testing.assert_array_equal(
            entry.image.data, n4.virtual_image(corrected, entry.detector)
        )
        assert frozen.name.endswith("(out of date)")
        assert dict(controller.ds.diagnostics())["corrections"] == "3 excluded pixels"
        assert controller.layer is not None
        np.testing.assert_array_equal(controller.layer.data[1, 2], corrected[1, 2])
        # what was found is still there to be read
        assert correcting.parts["excluded"].said.startswith("2 hot")
        assert not correcting.can_apply

    def test_remove_all_gives_the_data_of_the_file(
        self, controller: Controller, correcting: Correcting, ds: n4.Dataset
    ) -> None:
        (entry,) = controller.detectors.entries
        before = np.array(entry.image.data)
        correcting.choose("excluded", HOT)
        correcting.apply()
        assert (np.asarray(entry.image.data) != before).any()
        correcting.remove_all()
        assert controller.ds is not None
        assert controller.ds.corrections is None
        assert {part.source for part in correcting.parts.values()} == {NONE}
        np.testing.assert_array_equal(entry.image.data, before)
        np.testing.assert_array_equal(
            shown_pattern(controller), ds[controller.patterns.position]
        )
        assert NAME not in layer_names(controller.spaces.pattern)

    @pytest.mark.parametrize("problem", ["wrong shape", "no image", "not there"])
    def test_file_that_does_not_do_changes_nothing(
        self, problem: str, controller: Controller, tmp_path: Path
    ) -> None:
        correcting = controller.correcting
        failed: list[Exception] = []
        controller.failed.connect(failed.append)
        path = tmp_path / "gain.npy"
        if problem == "wrong shape":
            write_npy(path, np.ones((3, 5)))
        elif problem == "no image":
            path.write_bytes(b"nothing")
        correcting.choose("excluded", HOT)
        correcting.choose("gain", FILE)
        correcting.choose_file("gain", path)
        (error,) = failed
        assert isinstance(error, n4.FormatError)
        assert "gain.npy" in str(error)
        assert correcting.parts["gain"].error is error
        assert not correcting.can_apply
        correcting.apply()
        assert controller.ds is not None
        assert controller.ds.corrections is None
        correcting.choose("gain", NONE)
        assert correcting.can_apply
        np.testing.assert_array_equal(
            correcting.parts["excluded"].value, expected_mask()
        )

    def test_files_are_kept_as_files(
        self, controller: Controller, tmp_path: Path
    ) -> None:
        write_npy(tmp_path / "dark.npy", np.full((3, *SIG), 2.5))
        write_npy(tmp_path / "bad.npy", expected_mask().astype("u1"))
        correcting = controller.correcting
        for kind, name in (("dark", "dark.npy"), ("excluded", "bad.npy")):
            correcting.choose(kind, FILE)
            assert correcting.parts[kind].needs
            correcting.choose_file(kind, tmp_path / name)
        correcting.apply()
        assert controller.ds is not None
        files = dict(opening_of(controller.ds).corrections)
        assert files == {
            "dark": tmp_path / "dark.npy",
            "excluded": tmp_path / "bad.npy",
        }
        np.testing.assert_array_equal(
            controller.ds[...], controller.ds.with_corrections(**files)[...]
        )
        again = opened(controller.ds).correcting
        assert [part.source for part in again.parts.values()] == [FILE, NONE, FILE]
        assert again.parts["dark"].file == tmp_path / "dark.npy"
        assert not again.is_new


class TestSources:
    def test_dark_frame_is_the_mean_of_a_region(
        self, controller: Controller, correcting: Correcting, ds: n4.Dataset
    ) -> None:
        correcting.choose("dark", REGION)
        assert "Draw a region" in correcting.parts["dark"].needs
        roi = drawn_vacuum(controller)
        correcting.choose("dark", REGION)
        mean = n4.mean_frame(ds, roi).astype("f4")
        np.testing.assert_array_equal(correcting.parts["dark"].value, mean)
        assert correcting.parts["dark"].said == "Dark frame: mean of 18 patterns"
        correcting.apply()
        assert controller.ds is not None
        np.testing.assert_array_equal(controller.ds[4, 5], ds[4, 5] - mean)
        # again, it is made of frames without corrections
        correcting.choose("dark", REGION)
        np.testing.assert_array_equal(correcting.parts["dark"].value, mean)

    def test_region_that_is_chosen_comes_before_others(
        self, controller: Controller, correcting: Correcting, ds: n4.Dataset
    ) -> None:
        roi = drawn_vacuum(controller)
        controller.patterns.set_region(controller.spaces.scan.layers["vacuum"])
        controller.spaces.scan.add_layer(Labels(np.ones(NAV, np.uint8)))
        correcting.choose("dark", REGION)
        np.testing.assert_array_equal(
            correcting.parts["dark"].value, n4.mean_frame(ds, roi).astype("f4")
        )

    def test_painted_pixels_follow_the_brush(
        self, controller: Controller, correcting: Correcting, ds: n4.Dataset
    ) -> None:
        correcting.choose("excluded", PAINTED)
        brush = controller.detectors.entries[-1]
        assert isinstance(brush.drawing, Labels)
        assert correcting.parts["excluded"].needs
        assert not correcting.can_apply
        brush.drawing.data_setitem((np.array([3, 4]), np.array([5, 5])), 1)
        painted = np.zeros(SIG, bool)
        painted[3:5, 5] = True
        np.testing.assert_array_equal(correcting.parts["excluded"].value, painted)
        at = controller.patterns.position
        np.testing.assert_array_equal(
            shown_pattern(controller), ds.with_corrections(excluded=painted)[at]
        )
        correcting.apply()
        assert not correcting.is_new
        brush.drawing.data_setitem((np.array([9]), np.array([9])), 1)
        assert correcting.can_apply
        controller.detectors.remove(brush)
        assert np.count_nonzero(correcting.parts["excluded"].value) == 3

    def test_what_the_file_brings_along_is_offered(self, tmp_path: Path) -> None:
        ds = OPENED["a_seq"](tmp_path)
        controller = opened(ds)
        correcting = controller.correcting
        assert OF_DATA in correcting.offered("dark")
        assert OF_DATA not in correcting.offered("excluded")
        correcting.choose("dark", OF_DATA)
        correcting.apply()
        assert controller.ds is not None
        assert controller.ds.corrections is ds.found_corrections
        assert opening_of(controller.ds).found_corrections
        write_npy(tmp_path / "gain.npy", np.full(SMALL, 2.0))
        correcting.choose("gain", FILE)
        correcting.choose_file("gain", tmp_path / "gain.npy")
        correcting.apply()
        assert opening_of(controller.ds).corrections["dark"] == FOUND

    def test_corrections_of_unknown_origin_stay_on_offer(self, ds: n4.Dataset) -> None:
        correcting = opened(ds.with_corrections(gain=np.full(SIG, 2))).correcting
        assert correcting.parts["gain"].source == KEPT
        assert KEPT in correcting.offered("gain")
        assert KEPT not in correcting.offered("dark")
        assert not correcting.is_new
        correcting.choose("gain", NONE)
        assert correcting.is_new

    def test_another_scan_begins_without_what_was_chosen(
        self, controller: Controller, correcting: Correcting
    ) -> None:
        correcting.choose("excluded", HOT)
        controller.close()
        data, options, _ = image_layer(n4.load("memory", data=bad_pixels()))
        layer = controller.spaces.scan.add_layer(Image(data, **options))
        controller.open(layer)
        assert correcting.parts["excluded"].source == NONE
        assert not correcting.is_new
        assert NAME not in layer_names(controller.spaces.pattern)

    def test_search_is_stopped_with_all_other_work(self, ds: n4.Dataset) -> None:
        controller = opened(ds, Never)
        correcting = controller.correcting
        assert isinstance(correcting.runner, Never)
        correcting.choose("excluded", HOT)
        assert correcting.is_working
        assert not correcting.can_apply
        (search,) = correcting.runner.jobs
        controller.stop()
        assert not correcting.is_working
        assert correcting.parts["excluded"].needs == CANCELLED
        assert list(search()) == []


def test_script_and_workspace_keep_what_was_corrected(
    controller: Controller, tmp_path: Path
) -> None:
    correcting = controller.correcting
    drawn_vacuum(controller)
    correcting.choose("dark", REGION)
    correcting.choose("excluded", HOT)
    correcting.apply()
    (entry,) = controller.detectors.entries
    script = script_of(entry.image.metadata[MAP_KEY])
    assert "excluded[" in script
    assert_same([script], [np.asarray(entry.image.data)], tmp_path)
    assert controller.ds is not None
    save(tmp_path / "a.4dstem.json", Workspace(opening_of(controller.ds)))
    again = read(tmp_path / "a.4dstem.json").open_data_set()
    np.testing.assert_array_equal(again[...], controller.ds[...])
