"""The controller with two models and no window; its jobs run at once."""

from __future__ import annotations

from collections.abc import Callable
from types import GeneratorType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

import napari_4dstem as n4
from napari_4dstem.axes import Sampling
from napari_4dstem.layers import image_layer

pytest.importorskip("napari", reason="napari is not installed")

from napari.components import ViewerModel
from napari.layers import Image, Shapes

from napari_4dstem.gui.explorer import circles
from napari_4dstem.gui.explorer.controller import Controller
from napari_4dstem.gui.explorer.drawings import KINDS, PRESETS
from napari_4dstem.gui.explorer.entry import REDUCTIONS
from napari_4dstem.gui.explorer.maps import Request
from napari_4dstem.gui.explorer.patterns import SOURCES
from napari_4dstem.gui.map_window import MAP_KEY
from napari_4dstem.script import script_of

NAV, SIG = (8, 9), (24, 26)
CENTER, RADIUS = (11.0, 12.0), 5.0


class AtOnce:
    """Runs a job when it is given, to its end."""

    def run(
        self,
        job: Callable[[], Any],
        done: Any = None,
        failed: Any = None,
        partly: Any = None,
        rests: Any = None,
    ) -> None:
        try:
            result = job()
            if isinstance(result, GeneratorType):
                for part in result:
                    if partly is not None:
                        partly(part)
                result = None
        except Exception as error:
            if failed is None:
                raise
            failed(error)
        else:
            if done is not None:
                done(result)

    def cancel(self) -> None:
        pass


def pixels() -> Any:
    rng = np.random.default_rng(5)
    ky, kx = np.indices(SIG)
    disk = np.hypot(ky - CENTER[0], kx - CENTER[1]) <= RADIUS
    return rng.poisson(np.where(disk, 200, 3), (*NAV, *SIG)).astype("u2")


@pytest.fixture
def ds() -> n4.Dataset:
    return n4.load("memory", data=pixels(), name="scan").with_calibration(
        (Sampling(2, "nm"),) * 2, (Sampling(0.5, "mrad"),) * 2
    )


@pytest.fixture
def layer(ds: n4.Dataset) -> Image:
    data, options, _ = image_layer(ds)
    return Image(data, **options)


@pytest.fixture
def controller(layer: Image) -> Controller:
    scan, pattern = ViewerModel(), ViewerModel()
    scan.add_layer(layer)
    controller = Controller(scan, pattern, AtOnce)
    controller.open(layer)
    return controller


def event(at: Any, kind: str = "mouse_move", zoom: float = 20) -> Any:
    """Return what napari tells of the mouse, at a place in the world."""
    return SimpleNamespace(position=tuple(at), type=kind, button=1, camera_zoom=zoom)


def drag(layer: Any, callback: Any, *places: Any) -> None:
    """Press at the first place, move over the others, and release."""
    mouse = event(places[0], "mouse_press")
    steps = callback(layer, mouse)
    for place in places[1:]:
        next(steps, None)
        mouse.position, mouse.type = tuple(place), "mouse_move"
    next(steps, None)
    mouse.type = "mouse_release"
    assert next(steps, None) is None


def _ds(controller: Controller) -> n4.Dataset:
    assert controller.ds is not None
    return controller.ds


class TestOpening:
    def test_scan_leaves_the_list_and_each_space_has_its_units(
        self, controller: Controller, layer: Image
    ) -> None:
        assert [each.name for each in controller.spaces.scan.layers] == [
            "Disk",
            "Probe",
        ]
        assert [each.name for each in controller.spaces.pattern.layers] == [
            "Pattern",
            "Disk",
        ]
        assert [str(u) for u in controller.spaces.scan.layers.units] == [
            "nanometer"
        ] * 2
        assert [str(u) for u in controller.spaces.pattern.layers.units] == [
            "milliradian"
        ] * 2
        assert controller.layer is layer

    def test_first_detector_is_on_the_bright_field_disk(
        self, controller: Controller, ds: n4.Dataset
    ) -> None:
        (entry,) = controller.detectors.entries
        assert isinstance(entry.detector, n4.Disk)
        np.testing.assert_allclose(entry.detector.center, CENTER, atol=0.3)
        assert entry.detector.radius == pytest.approx(RADIUS, abs=0.7)
        assert entry.is_exact
        np.testing.assert_array_equal(
            entry.image.data, n4.virtual_image(ds, entry.detector)
        )

    def test_pattern_is_that_of_the_probe(
        self, controller: Controller, ds: n4.Dataset
    ) -> None:
        assert controller.patterns.position == (4, 4)
        np.testing.assert_array_equal(controller.patterns.layer.data, ds[4, 4])

    def test_what_is_no_scan_is_refused_and_nothing_changes(
        self, controller: Controller, layer: Image
    ) -> None:
        with pytest.raises(n4.FormatError, match="no scan of patterns"):
            controller.open(Image(np.zeros((3, 4))))
        assert controller.layer is layer

    def test_closed_scan_leaves_its_maps_and_can_be_opened_again(
        self, controller: Controller, layer: Image
    ) -> None:
        assert controller.close() is layer
        assert controller.close() is None
        assert layer not in controller.spaces.scan.layers
        assert [each.name for each in controller.spaces.scan.layers] == ["Disk"]
        assert not len(controller.spaces.pattern.layers)
        controller.open(layer)
        assert len(controller.detectors.entries) == 1


class TestGeometry:
    def test_maps_refold_while_it_is_tried_and_the_data_set_stays(
        self, controller: Controller, ds: n4.Dataset
    ) -> None:
        entry = controller.detectors.entries[0]
        wanted = {"nav_shape": (7, 8), "sync_offset": 3, "flyback": 2}
        controller.try_geometry(**wanted)
        assert entry.detector is not None
        np.testing.assert_array_equal(
            entry.image.data, n4.virtual_image(ds.with_scan(**wanted), entry.detector)
        )
        assert entry.is_exact
        assert controller.ds is not None
        assert controller.ds.nav_shape == NAV
        controller.try_geometry(nav_shape=NAV, sync_offset=0, flyback=0)
        np.testing.assert_array_equal(
            entry.image.data, n4.virtual_image(ds, entry.detector)
        )

    def test_applied_geometry_is_that_of_everything(
        self, controller: Controller, ds: n4.Dataset, layer: Image
    ) -> None:
        controller.patterns.set_probe(7, 8)
        controller.try_geometry(nav_shape=(6, 7), sync_offset=-2)
        controller.apply_geometry()
        turned = ds.with_scan((6, 7), -2)
        assert controller.patterns.position == (5, 6)
        np.testing.assert_array_equal(controller.patterns.layer.data, turned[5, 6])
        controller.patterns.set_source("Whole scan, mean")
        np.testing.assert_allclose(
            controller.patterns.layer.data, n4.mean_frame(turned)
        )
        controller.close()
        assert layer.data.shape == (6, 7, *SIG)
        np.testing.assert_array_equal(np.asarray(layer.data[2, 3]), turned[2, 3])

    def test_line_that_becomes_an_image_is_looked_at_anew(
        self, controller: Controller, ds: n4.Dataset
    ) -> None:
        camera, probe = controller.spaces.scan.scene.camera, controller.patterns.probe
        controller.try_geometry(nav_shape=(1, ds.num_stored_frames))
        as_line = camera.zoom
        controller.apply_geometry()
        assert probe.size[0] == pytest.approx(ds.num_stored_frames / 40)
        controller.try_geometry(nav_shape=NAV)
        change = ds.num_stored_frames / max(NAV)
        assert camera.zoom == pytest.approx(change * as_line)
        middle = (np.array(NAV) - 1) / 2 * controller.patterns.probe.scale
        np.testing.assert_allclose(camera.center[-2:], middle)
        controller.try_geometry(nav_shape=(NAV[0], NAV[1] - 1))
        assert camera.zoom == pytest.approx(change * as_line), "little has changed"
        controller.apply_geometry()
        assert probe.size[0] == 1

    def test_impossible_geometry_is_refused(self, controller: Controller) -> None:
        with pytest.raises(n4.FormatError, match="sync_offset"):
            controller.try_geometry(sync_offset=1000)


class TestProbe:
    def test_mouse_takes_the_probe_along(
        self, controller: Controller, ds: n4.Dataset
    ) -> None:
        seen: list[tuple[int, int]] = []
        controller.patterns.probe_changed.connect(lambda y, x: seen.append((y, x)))
        drag(
            controller.patterns.probe,
            circles.drag_probe,
            (8, 8),
            (10.2, 6.1),
            (2.2, 3.9),
        )
        assert seen == [(5, 3), (1, 2)]
        np.testing.assert_array_equal(controller.patterns.layer.data, ds[1, 2])

    def test_probe_stays_on_the_scan(self, controller: Controller) -> None:
        controller.patterns.move_probe(-100, 100)
        assert controller.patterns.position == (0, 8)

    def test_logarithm_is_of_the_counts(
        self, controller: Controller, ds: n4.Dataset
    ) -> None:
        controller.patterns.set_log(True)
        np.testing.assert_allclose(
            controller.patterns.layer.data, np.log1p(ds[4, 4].astype("f4")), rtol=1e-6
        )

    @pytest.mark.parametrize("source", [s for s, what in SOURCES.items() if what])
    def test_pattern_of_a_region_or_of_the_scan(
        self, controller: Controller, ds: n4.Dataset, source: str
    ) -> None:
        region = Shapes([[[3, 3], [3, 9], [9, 9], [9, 3]]], shape_type="rectangle")
        controller.spaces.scan.add_layer(region)  # in nm: positions 2 to 4
        controller.patterns.set_region(region)
        controller.patterns.set_source(source)
        which, kind = SOURCES[source] or ("", "")
        roi = np.zeros(NAV, bool)
        roi[2:5, 2:5] = True
        function = getattr(n4, f"{kind}_frame")
        expected = function(ds, roi=roi if which == "region" else None)
        np.testing.assert_allclose(controller.patterns.layer.data, expected, rtol=1e-12)

    def test_pattern_follows_the_region(
        self, controller: Controller, ds: n4.Dataset
    ) -> None:
        region = Shapes([[[3, 3], [3, 9], [9, 9], [9, 3]]], shape_type="rectangle")
        controller.spaces.scan.add_layer(region)
        controller.patterns.set_region(region)
        controller.patterns.set_source("Region, mean")
        region.data = [[[-1, -1], [-1, 3], [3, 3], [3, -1]]]
        roi = np.zeros(NAV, bool)
        roi[:2, :2] = True
        np.testing.assert_allclose(
            controller.patterns.layer.data, n4.mean_frame(ds, roi=roi)
        )

    def test_missing_region_is_said(self, controller: Controller) -> None:
        said: list[str] = []
        controller.status.connect(said.append)
        controller.patterns.set_source("Region, mean")
        assert said == ["Draw a region on the scan, and choose its layer"]


class TestDetectors:
    def test_map_follows_the_mouse_before_the_button_is_released(
        self, controller: Controller, ds: n4.Dataset
    ) -> None:
        entry = controller.detectors.entries[0]
        began = entry.detector
        assert isinstance(began, n4.Disk)
        inside = np.multiply(began.center, 0.5)  # in mrad
        mouse = event(inside, "mouse_press")
        steps = circles.drag_circles(entry.drawing, mouse)
        next(steps)
        mouse.type, mouse.position = "mouse_move", tuple(np.add(inside, (1, -1.5)))
        next(steps)
        moved = entry.detector
        assert isinstance(moved, n4.Disk)
        np.testing.assert_allclose(np.subtract(moved.center, began.center), (2, -3))
        np.testing.assert_array_equal(entry.image.data, n4.virtual_image(ds, moved))
        mouse.type = "mouse_release"
        assert next(steps, None) is None
        assert isinstance(entry.detector, n4.Disk)
        np.testing.assert_allclose(entry.detector.center, moved.center, atol=1e-4)

    def test_edges_of_a_ring_do_not_cross(self, controller: Controller) -> None:
        entry = controller.detectors.add("Ring")
        ring = entry.detector
        assert isinstance(ring, n4.Annulus)
        y, x = np.multiply(ring.center, 0.5)
        drag(
            entry.drawing, circles.drag_circles,
            (y, x + ring.inner / 2), (y, x + ring.outer), (y, x + 50),
        )  # fmt: skip
        wide = entry.detector
        assert isinstance(wide, n4.Annulus)
        assert wide.outer == pytest.approx(ring.outer)
        assert wide.inner == pytest.approx(ring.outer - circles.LEAST_RADIUS)

    def test_canvas_moves_beside_a_detector_only(self, controller: Controller) -> None:
        drawing = controller.detectors.entries[0].drawing
        circles.hover_circles(drawing, event((0, 0)))
        assert drawing.mouse_pan
        circles.hover_circles(drawing, event(np.multiply(CENTER, 0.5)))
        assert not drawing.mouse_pan

    @pytest.mark.parametrize("kind", PRESETS)
    def test_usual_detectors_are_multiples_of_the_bright_field_disk(
        self, controller: Controller, kind: str
    ) -> None:
        disk = controller.detectors.entries[0].detector
        assert isinstance(disk, n4.Disk)
        detector = controller.detectors.add(kind).detector
        inner, outer = (share * disk.radius for share in PRESETS[kind])
        if isinstance(detector, n4.Disk):
            found = [0, detector.radius]
        else:
            assert isinstance(detector, n4.Annulus)
            found = [detector.inner, detector.outer]
        np.testing.assert_allclose(found, [inner, outer], rtol=1e-5)
        np.testing.assert_allclose(detector.center, disk.center, rtol=1e-5)

    @pytest.mark.parametrize("kind", KINDS)
    def test_every_kind_of_detector_gives_its_virtual_image(
        self, controller: Controller, ds: n4.Dataset, kind: str
    ) -> None:
        entry = controller.detectors.add(kind)
        if kind == "Polygon":
            entry.drawing.add_polygons([[2, 2], [2, 20], [15, 9]])
        if kind == "Brush":
            entry.drawing.paint((5, 5), 1)
            red = entry.drawing.get_color(entry.drawing.selected_label)
            np.testing.assert_allclose(red[:3], (1, 0, 0))
        assert entry.detector is not None
        assert entry.image.data.any()
        np.testing.assert_array_equal(
            entry.image.data, n4.virtual_image(ds, entry.detector)
        )

    @pytest.mark.parametrize("reduction", REDUCTIONS)
    def test_every_reduction_is_that_of_the_library(
        self, controller: Controller, ds: n4.Dataset, reduction: str
    ) -> None:
        entry = controller.detectors.entries[0]
        controller.detectors.set_reduction(entry, reduction)
        detector = entry.detector
        assert detector is not None
        com = n4.center_of_mass(ds, detector)
        expected = {
            "Sum": n4.virtual_image(ds, detector),
            "Maximum": pixels()[..., detector.mask(SIG)].max(-1),
            "Centre of mass, y": com[..., 0],
            "Centre of mass, x": com[..., 1],
            "Shift, magnitude": n4.magnitude(n4.descan(com, "mean")),
            "Shift, angle": n4.angle(n4.descan(com, "mean")),
        }[reduction]
        np.testing.assert_allclose(entry.image.data, expected, atol=1e-9)

    @pytest.mark.parametrize("reduction", REDUCTIONS)
    def test_script_of_a_map_makes_it_again_bit_for_bit(
        self, controller: Controller, reduction: str
    ) -> None:
        entry = controller.detectors.entries[0]
        controller.detectors.set_reduction(entry, reduction)
        entry.drawing.data = [circles.circle((7.3, 8.1), 3.1)]
        record = entry.image.metadata[MAP_KEY]
        layers = {"Disk": entry.image}
        names: dict[str, Any] = {"viewer": SimpleNamespace(layers=layers)}
        exec(script_of(record, entry.name), names)
        for again in (names["image"], record.compute()):
            assert again.dtype == entry.image.data.dtype
            assert again.tobytes() == entry.image.data.tobytes()

    def test_exact_map_knows_what_it_was_made_of(
        self, controller: Controller, ds: n4.Dataset
    ) -> None:
        entry = controller.detectors.entries[0]
        made_of = entry.image.metadata[MAP_KEY]
        assert made_of.detector == entry.detector
        assert made_of.data_set.frames.source is ds.frames.source

    def test_preview_has_no_record(self, controller: Controller) -> None:
        entry = controller.detectors.entries[0]
        request = Request(entry, n4.Disk(CENTER, 2), entry.recipe, _ds(controller))
        entry.show(np.ones(NAV), request, False)
        assert entry.image.metadata == {MAP_KEY: None}

    def test_contrast_follows_until_somebody_sets_it(
        self, controller: Controller
    ) -> None:
        entry = controller.detectors.entries[0]
        entry.image.contrast_limits = (10, 500)
        entry.drawing.data = [circles.circle(CENTER, 2)]
        assert entry.image.contrast_limits == [10, 500]
        controller.fit_contrast()
        low, high = entry.image.contrast_limits
        assert 1000 < low < high < 5000

    def test_removed_detector_takes_its_map_along_and_frozen_stays(
        self, controller: Controller
    ) -> None:
        entry = controller.detectors.add("Ring")
        data = np.array(entry.image.data)
        frozen = controller.detectors.freeze(entry)
        entry.drawing.data = [circles.circle(CENTER, 2)]
        controller.detectors.remove(entry)
        assert [each.name for each in controller.spaces.scan.layers] == [
            "Disk", "Ring (frozen)", "Probe",
        ]  # fmt: skip
        np.testing.assert_array_equal(frozen.data, data)
        assert controller.detectors.frozen == [frozen]
        controller.spaces.scan.layers.remove(frozen)
        assert controller.detectors.frozen == []  # nobody holds it any longer
        assert len(controller.spaces.pattern.layers) == 2

    def test_removed_map_takes_its_detector_along(self, controller: Controller) -> None:
        entry = controller.detectors.add("Ring")
        controller.spaces.scan.layers.remove(entry.image)
        assert entry not in controller.detectors.entries
        assert entry.drawing not in controller.spaces.pattern.layers

    def test_map_of_an_empty_drawing_is_blank_and_has_no_script(
        self, controller: Controller
    ) -> None:
        entry = controller.detectors.entries[0]
        said: list[str] = []
        controller.status.connect(said.append)
        entry.drawing.data = []
        assert said[-1] == "Disk: nothing is drawn"
        assert not entry.image.data.any()
        assert entry.image.metadata[MAP_KEY] is None

    def test_detector_and_map_have_one_name(self, controller: Controller) -> None:
        entry = controller.detectors.entries[0]
        entry.image.name = "renamed"
        assert entry.drawing.name == "renamed"
        entry.drawing.name = "again"
        assert entry.image.name == "again"

    def test_pattern_is_the_probes_when_the_region_is_removed(
        self, controller: Controller, ds: n4.Dataset
    ) -> None:
        patterns, layers = controller.patterns, controller.spaces.scan.layers
        region = patterns.new_region()
        patterns.set_source("Region, mean")
        layers.remove(region)
        layers.remove(patterns.probe)
        patterns.keep()
        assert patterns.source == "Probe"
        assert patterns.region is None
        assert patterns.probe in layers
        np.testing.assert_array_equal(patterns.layer.data, ds[patterns.position])

    def test_frame_of_nan_does_not_hide_the_bright_field_disk(self) -> None:
        data = pixels().astype("f4")
        data[3, 4] = np.nan
        plain = Image(data, rgb=False, name="plain")
        controller = Controller(ViewerModel(), ViewerModel(), AtOnce)
        controller.open(plain)
        detector = controller.detectors.entries[0].detector
        assert isinstance(detector, n4.Disk)
        np.testing.assert_allclose(detector.center, CENTER, atol=0.3)

    def test_removed_probe_does_no_harm(self, controller: Controller) -> None:
        controller.spaces.scan.layers.remove(controller.patterns.probe)
        controller.detectors.add("Ring")
        controller.patterns.move_probe(1, 0)
        assert controller.close() is not None

    def test_data_that_go_away_are_said_and_the_rest_goes_on(
        self, controller: Controller, tmp_path: Any
    ) -> None:
        np.save(tmp_path / "a.npy", pixels())
        ds = n4.load("npy", tmp_path / "a.npy", io_backend="buffered")
        data, options, _ = image_layer(ds)
        controller.open(Image(data, **options))
        errors: list[Exception] = []
        controller.failed.connect(errors.append)
        (tmp_path / "a.npy").write_bytes((tmp_path / "a.npy").read_bytes()[:9000])
        controller.patterns.set_probe(7, 7)
        controller.detectors.entries[0].drawing.data = [circles.circle(CENTER, 3)]
        assert len(errors) == 2
        assert all("a.npy" in str(error) for error in errors)
        np.save(tmp_path / "a.npy", pixels())
        controller.detectors.entries[0].drawing.data = [circles.circle(CENTER, 4)]
        detector = controller.detectors.entries[0].detector
        assert detector is not None
        np.testing.assert_array_equal(
            controller.detectors.entries[0].image.data, n4.virtual_image(ds, detector)
        )


class TestMoving:
    def test_patterns_go_on_in_another_viewer(
        self, controller: Controller, ds: n4.Dataset
    ) -> None:
        old, new = controller.spaces.pattern, ViewerModel()
        old.scene.camera.zoom *= 2
        controller.move_patterns(new)
        assert controller.spaces.pattern is new
        assert not old.layers
        assert [layer.name for layer in new.layers] == ["Pattern", "Disk"]
        assert new.layers.selection.active.name == "Disk"
        assert new.canvas.overlays.scale_bar.visible
        zoom = new.scene.camera.zoom
        new.reset_view()
        assert zoom == pytest.approx(2 * new.scene.camera.zoom)
        (entry,) = controller.detectors.entries
        controller.detectors.move_active(1, 0)
        assert isinstance(entry.detector, n4.Disk)
        np.testing.assert_array_equal(
            entry.image.data, n4.virtual_image(ds, entry.detector)
        )
        controller.detectors.add("Ring")
        assert "Ring" in new.layers
        controller.move_patterns(old)
        assert [layer.name for layer in old.layers] == ["Pattern", "Disk", "Ring"]
        assert len(controller.detectors.entries) == 2

    def test_detector_that_the_user_removes_leaves_its_map(
        self, controller: Controller
    ) -> None:
        controller.spaces.pattern.layers.remove("Disk")
        assert not controller.detectors.entries
        assert controller.maps.wanted == [controller.com]
        assert "Disk" in controller.spaces.scan.layers

    def test_pattern_that_the_user_removes_can_be_put_back(
        self, controller: Controller
    ) -> None:
        controller.spaces.pattern.layers.remove("Pattern")
        controller.patterns.keep()
        controller.patterns.keep()
        names = [layer.name for layer in controller.spaces.pattern.layers]
        assert names == ["Pattern", "Disk"]


class TestSeveralScans:
    @pytest.fixture
    def other(self, controller: Controller) -> Image:
        ds = n4.load("memory", data=pixels()[:6, :7] * 2, name="other")
        data, options, _ = image_layer(ds)
        other = Image(data, **options)
        controller.spaces.scan.add_layer(other)
        return other

    def test_detectors_go_on_with_another_scan(
        self, controller: Controller, layer: Image, other: Image
    ) -> None:
        ring = controller.detectors.add("Ring")
        ring.drawing.data = [
            circles.circle(CENTER, radius) for radius in (9, RADIUS + 1)
        ]
        controller.detectors.set_reduction(ring, "Maximum")
        controller.detectors.entries[0].image.name = "mine"
        began = [entry.detector for entry in controller.detectors.entries]
        old = np.array(ring.image.data)
        controller.open(other)
        now = controller.detectors.entries
        assert [entry.name for entry in now] == ["mine", "Ring"]
        assert [entry.detector for entry in now] == began
        assert now[1].reduction == "Maximum"
        assert now[1].image.colormap.name == "red"
        assert now[1].is_exact
        assert isinstance(began[1], n4.Annulus)
        expected = n4.max_image(controller.ds, began[1])
        np.testing.assert_array_equal(now[1].image.data, expected)
        # the maps of the scan before cannot be mistaken, and come back as they were
        assert ring.image not in controller.spaces.scan.layers
        controller.open(layer)
        assert controller.detectors.entries[1].image is ring.image
        assert ring.image in controller.spaces.scan.layers
        np.testing.assert_array_equal(ring.image.data, old)

    def test_going_back_leaves_no_more_layers(
        self, controller: Controller, layer: Image, other: Image
    ) -> None:
        controller.open(other)
        there = len(controller.spaces.scan.layers)
        for _ in range(3):
            controller.open(layer)
            (entry,) = controller.detectors.entries
            assert entry.name == "Disk"
            assert entry.image.visible
            assert entry.image.data.shape == NAV
            controller.open(other)
        assert len(controller.spaces.scan.layers) == there
        names = [each.name for each in controller.spaces.scan.layers]
        assert names.count("Disk") == 1

    def test_geometry_stays_with_its_scan(
        self, controller: Controller, layer: Image, other: Image
    ) -> None:
        controller.try_geometry(nav_shape=(6, 12))
        controller.apply_geometry()
        controller.open(other)
        controller.open(layer)
        assert controller.ds is not None
        assert controller.ds.nav_shape == (6, 12)

    def test_detector_of_another_size_begins_anew(self, controller: Controller) -> None:
        ds = n4.load("memory", data=pixels()[..., :20], name="cut")
        data, options, _ = image_layer(ds)
        controller.detectors.add("Ring")
        controller.open(Image(data, **options))
        assert [entry.name for entry in controller.detectors.entries] == ["Disk"]
        assert "Ring" not in controller.spaces.scan.layers

    def test_each_size_of_detector_has_detectors_and_maps_of_its_own(
        self, controller: Controller, layer: Image
    ) -> None:
        ring = controller.detectors.add("Ring")
        frozen = controller.detectors.freeze(ring)
        ds = n4.load("memory", data=pixels()[..., :20], name="cut")
        data, options, _ = image_layer(ds)
        cut = Image(data, **options)
        for _ in range(3):
            controller.open(cut)
            assert {str(u) for u in controller.spaces.scan.layers.units} == {"pixel"}
            controller.open(layer)
            entries = controller.detectors.entries
            assert [entry.name for entry in entries] == ["Disk", "Ring"]
            assert entries[1].drawing is ring.drawing
            assert frozen in controller.spaces.scan.layers
            assert len(controller.spaces.scan.layers) == 4

    def test_maps_of_the_center_of_mass_wait_with_their_scan(
        self, controller: Controller, layer: Image, other: Image
    ) -> None:
        com = controller.com
        com.set_shown("phase", True)
        com.set_descan("plane")
        com.set_rotation(17, True)
        phase = com.shown["phase"].image
        controller.open(other)
        assert not com.shown
        assert phase not in controller.spaces.scan.layers
        controller.open(layer)
        assert com.shown["phase"].image is phase
        assert phase in controller.spaces.scan.layers
        assert (com.descan, com.degrees, com.flip_y) == ("plane", 17, True)
        com.set_rotation(20, True)  # and it is live
        made_of = phase.metadata[MAP_KEY]
        np.testing.assert_array_equal(phase.data, made_of.compute())
        assert made_of.vector_map.degrees == 20

    def test_discarded_scan_takes_its_maps_along(self, controller: Controller) -> None:
        controller.detectors.freeze(controller.detectors.entries[0])
        controller.discard()
        assert not controller.spaces.scan.layers
