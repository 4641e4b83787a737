"""A workspace is what is explored, to the last bit, in another process or program."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import napari_4dstem as n4
from napari_4dstem.axes import Sampling
from napari_4dstem.layers import image_layer
from napari_4dstem.workspace import DrawnDetector, Workspace, read, save

pytest.importorskip("napari", reason="napari is not installed")

from napari.components import ViewerModel
from napari.layers import Image

from napari_4dstem.gui.drawn import drawn_detector
from napari_4dstem.gui.explorer import circles
from napari_4dstem.gui.explorer.controller import Controller
from napari_4dstem.gui.explorer.workspaces import checked, restore, saved
from napari_4dstem.gui.map_window import MAP_KEY
from tests.gui.explorer.test_controller import SIG, AtOnce, pixels

MIDDLE = (SIG[0] - 1) / 2, (SIG[1] - 1) / 2
THIRD = 1 / 3
DETECTORS = {
    "point": n4.Point((3.3, THIRD)),
    "disk": n4.Disk((11 + THIRD, 12.123456789012345), 4.000000000000001),
    "disk in the middle": n4.Disk(MIDDLE, 3.0),
    "disk without a size": n4.Disk((11, 12), 0),
    "ring": n4.Annulus((3.123456789012345, 4), 1.5, 4.000000000000001),
    "ring without a hole": n4.Annulus((3, 4), 0, 4.1),
    "rectangle": n4.Rectangle((-1, 2 + THIRD), (4, 7)),
    "polygon": n4.Polygon([(0.1, 0.2), (7.123456789012345, 4), (2, 8 / 3), (1, 1)]),
    "painted": n4.Mask(np.random.default_rng(0).random(SIG) < 0.5),
    "weights": n4.Mask(np.random.default_rng(0).normal(size=SIG)),
}


@pytest.fixture
def ds(tmp_path: Path) -> n4.Dataset:
    np.save(tmp_path / "gold.npy", pixels())
    return n4.load("npy", tmp_path / "gold.npy").with_calibration(
        (Sampling(2 * THIRD, "nm"),) * 2, (Sampling(0.7, "mrad"),) * 2
    )


def explored(ds: n4.Dataset) -> Controller:
    data, options, _ = image_layer(ds)
    controller = Controller(ViewerModel(), ViewerModel(), AtOnce)
    controller.open(Image(data, **options))
    return controller


def restored(workspace: Workspace) -> Controller:
    controller = explored(workspace.open_data_set())
    restore(controller, checked(workspace))
    return controller


@pytest.mark.parametrize("name", DETECTORS)
def test_detector_comes_back_bit_for_bit_with_its_map(
    name: str, ds: n4.Dataset
) -> None:
    detector = DETECTORS[name]
    controller = explored(ds)
    entry = controller.detectors.place(DrawnDetector(name, detector, "red"))
    assert entry.detector == detector
    assert entry.is_exact
    assert entry.image.metadata[MAP_KEY].detector == detector
    assert entry.image.data.tobytes() == n4.virtual_image(ds, detector).tobytes()
    (again,) = (
        drawn.detector for drawn in saved(controller).detectors if drawn.name == name
    )
    assert again == detector
    # What is to be seen is that, but for pixels on an outline.
    drawn = drawn_detector(entry.drawing, controller.patterns.layer).mask(SIG)
    assert np.mean(drawn != (detector.mask(SIG) != 0)) < 0.05
    assert drawn.any()


def test_detector_that_came_back_can_be_changed(ds: n4.Dataset) -> None:
    controller = explored(ds)
    entry = controller.detectors.place(DrawnDetector("a", DETECTORS["disk"]))
    entry.drawing.data = [circles.circle((5, 6), 3)]
    assert entry.detector == n4.Disk((5, 6), entry.detector.radius)
    assert entry.detector.radius == pytest.approx(3)
    np.testing.assert_array_equal(
        entry.image.data, n4.virtual_image(ds, entry.detector)
    )


def test_all_comes_back(ds: n4.Dataset, tmp_path: Path) -> None:
    controller = explored(ds)
    detectors, patterns = controller.detectors, controller.patterns
    for kind in ("ADF", "Rectangle", "Brush", "Polygon", "Ring"):
        detectors.add(kind)
    detectors.set_reduction(detectors.entries[1], "Shift, magnitude")
    detectors.entries[2].image.name = "my [box]"
    detectors.entries[3].drawing.data = DETECTORS["painted"].mask(SIG).astype("u1")
    detectors.redraw(detectors.entries[3].drawing)
    detectors.entries[5].image.colormap = "viridis"
    controller.change(ds.with_scan((7, 10), sync_offset=2, flyback=0))
    dark = np.random.default_rng(0).random(SIG)
    assert controller.ds is not None
    controller.change(controller.ds.with_corrections(dark=dark))
    patterns.set_probe(2, 9)
    patterns.set_source("Whole scan, maximum")
    patterns.set_log(True)
    workspace = saved(controller)
    save(tmp_path / "gold.4dstem.json", workspace)
    again = restored(read(tmp_path / "gold.4dstem.json"))
    entries = [e for e in detectors.entries if e.detector is not None]
    assert len(entries) == len(detectors.entries) - 1  # no polygon is drawn
    for before, after in zip(entries, again.detectors.entries, strict=True):
        for part in ("name", "reduction", "detector"):
            assert getattr(after, part) == getattr(before, part)
        assert after.image.colormap.name == before.image.colormap.name
        assert after.image.data.tobytes() == before.image.data.tobytes()
        assert after.is_exact
    assert again.ds is not None
    assert again.ds.frames.geometry == controller.ds.frames.geometry
    assert again.ds.calibration == ds.calibration
    np.testing.assert_array_equal(again.ds[...], controller.ds[...])
    assert again.patterns.position == (2, 9)
    assert again.patterns.source == "Whole scan, maximum"
    assert again.patterns.is_log
    np.testing.assert_array_equal(again.patterns.layer.data, patterns.layer.data)
    twice = saved(again)
    for part in ("detectors", "probe", "pattern", "is_log"):
        assert getattr(twice, part) == getattr(workspace, part)


@pytest.mark.parametrize("is_within", [False, True])
def test_maps_of_the_center_of_mass_come_back(
    is_within: bool, ds: n4.Dataset, tmp_path: Path
) -> None:
    controller = explored(ds)
    com = controller.com
    if is_within:
        com.set_entry(controller.detectors.add("ADF"))
    com.set_descan("plane")
    com.set_rotation(-33.3, True)
    for output in ("curl", "color_wheel"):
        com.set_shown(output, True)
    save(tmp_path / "gold.4dstem.json", saved(controller))
    again = restored(read(tmp_path / "gold.4dstem.json")).com
    assert (again.descan, again.degrees, again.flip_y) == ("plane", -33.3, True)
    assert (again.entry and again.entry.name) == ("ADF" if is_within else None)
    assert list(again.shown) == ["curl", "color_wheel"]
    for output, shown in com.shown.items():
        before, after = shown.image, again.shown[output].image
        assert after.name == before.name
        assert after.data.tobytes() == before.data.tobytes()
        record = after.metadata[MAP_KEY]
        assert record.compute().tobytes() == after.data.tobytes()


def test_region_comes_back(ds: n4.Dataset, tmp_path: Path) -> None:
    controller = explored(ds)
    scan, patterns = controller.spaces.scan, controller.patterns
    region = scan.add_shapes(
        [[(0.3, 0.3), (4.1, 2.2), (1.2, 5.3)]], shape_type="polygon",
        scale=(2 * THIRD,) * 2, units=("nm", "nm"),
    )  # fmt: skip
    patterns.set_region(region)
    patterns.set_source("Region, sum")
    save(tmp_path / "gold.4dstem.json", saved(controller))
    again = restored(read(tmp_path / "gold.4dstem.json"))
    assert again.patterns.source == "Region, sum"
    positions = again.patterns.positions_in_region()
    assert positions is not None
    assert 4 < positions.sum() < 20
    np.testing.assert_array_equal(positions, patterns.positions_in_region())
    np.testing.assert_array_equal(
        again.patterns.layer.data, n4.sum_frame(ds, roi=positions)
    )
    np.testing.assert_array_equal(again.patterns.layer.data, patterns.layer.data)


def test_bright_field_disk_that_is_found_late_moves_no_detector(
    ds: n4.Dataset,
) -> None:
    controller = explored(ds)
    drawn = (DrawnDetector("a", DETECTORS["disk in the middle"]),)
    restore(controller, replace(saved(controller), detectors=drawn))
    controller.detectors.found_disk(((9.0, 9.0), 2.0))
    assert controller.detectors.entries[0].detector == DETECTORS["disk in the middle"]


def test_color_that_napari_does_not_know_is_one_of_ours(ds: n4.Dataset) -> None:
    controller = explored(ds)
    drawn = DrawnDetector("a", DETECTORS["disk"], "no color at all")
    assert controller.detectors.place(drawn).image.colormap.name == "red"


def test_nothing_and_data_in_memory_cannot_be_saved(ds: n4.Dataset) -> None:
    empty = Controller(ViewerModel(), ViewerModel(), AtOnce)
    with pytest.raises(n4.FormatError, match="no scan is open"):
        saved(empty)
    with pytest.raises(n4.FormatError, match="are in no file"):
        saved(explored(n4.load("memory", data=pixels())))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"pattern": "Median"}, "a pattern that there is not"),
        (
            {"detectors": (DrawnDetector("a", DETECTORS["disk"], "red", "Variance"),)},
            "a map that there is not",
        ),
    ],
)
def test_what_the_explorer_does_not_know_is_refused(
    change: dict[str, Any], problem: str, ds: n4.Dataset
) -> None:
    workspace = replace(saved(explored(ds)), **change)
    with pytest.raises(n4.FormatError, match=problem):
        checked(workspace)
