"""Calibrating what is explored, with two models and no window."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import napari_4dstem as n4
from napari_4dstem.axes import Sampling
from napari_4dstem.layers import METADATA_KEY, image_layer

pytest.importorskip("napari", reason="napari is not installed")

from napari.components import ViewerModel
from napari.layers import Image, Labels, Points, Shapes

from napari_4dstem.gui.drawn import drawn_region
from napari_4dstem.gui.explorer import circles
from napari_4dstem.gui.explorer.calibration import CalibrationDraft
from napari_4dstem.gui.explorer.controller import Controller
from napari_4dstem.gui.explorer.drawings import KINDS
from napari_4dstem.gui.map_window import MAP_KEY
from napari_4dstem.gui.picked import data_set_of
from tests.gui.explorer.test_controller import (
    CENTER,
    NAV,
    RADIUS,
    AtOnce,
    drag,
    pixels,
)

NM, ANGLE = (Sampling(2, "nm"),) * 2, (Sampling(0.5, "mrad"),) * 2
UNCALIBRATED = (None, None)


@pytest.fixture
def ds() -> n4.Dataset:
    return n4.load("memory", data=pixels(), name="scan")


@pytest.fixture
def layer(ds: n4.Dataset) -> Image:
    data, options, _ = image_layer(ds)
    return Image(data, **options)


@pytest.fixture
def controller(layer: Image) -> Controller:
    controller = Controller(ViewerModel(), ViewerModel(), AtOnce)
    controller.open(layer)
    return controller


@pytest.fixture
def draft(layer: Image) -> CalibrationDraft:
    controller = Controller(ViewerModel(), ViewerModel(), AtOnce)
    draft = CalibrationDraft(controller)
    controller.open(layer)
    return draft


def units_of(model: ViewerModel) -> set[str]:
    """Return the units that layers have; one if all is well."""
    return {str(unit) for each in model.layers for unit in each.units}


def with_everything(controller: Controller) -> list[Any]:
    """Draw what can be drawn; return what others have put on the scan."""
    for kind in KINDS:
        entry = controller.detectors.add(kind)
        if kind == "Polygon":
            entry.drawing.add_polygons([[2.3, 2], [2, 20.7], [15, 9]])
        if kind == "Brush":
            entry.drawing.paint((5, 5), 1)
    controller.detectors.freeze(controller.detectors.entries[0])
    controller.disk_mark.show()
    axes = {"scale": controller.detectors.entries[0].image.scale,
            "units": controller.detectors.entries[0].image.units}  # fmt: skip
    corners = [[1.6, 2], [1.6, 6.4], [5, 6.4], [5, 2]]
    others = [
        Shapes([corners], shape_type="rectangle", **axes),
        Labels(np.eye(*NAV, dtype="u1"), translate=(3, 4), **axes),
        Points([[1, 2]], **axes),
        Image(np.zeros((3, *NAV)), scale=(7, *axes["scale"]), rgb=False,
              units=("pixel", *axes["units"])),
    ]  # fmt: skip
    for each in others:
        controller.spaces.scan.add_layer(each)
    return others


class TestApplying:
    @pytest.mark.parametrize(
        ("nav", "sig", "nav_unit", "sig_unit"),
        [
            (NM, ANGLE, "nanometer", "milliradian"),
            ((Sampling(0.3, "nm"), Sampling(0.7, "nm")), None, "nanometer", "pixel"),
            (None, (Sampling(0.017, "1/nm"),) * 2, "pixel", "1 / nanometer"),
        ],
    )
    def test_every_layer_gets_the_units_and_stays_on_its_pixels(
        self, controller: Controller, layer: Image,
        nav: Any, sig: Any, nav_unit: str, sig_unit: str,
    ) -> None:  # fmt: skip
        others = with_everything(controller)
        spaces, image = controller.spaces, controller.detectors.entries[0].image
        on_map = [
            np.asarray(image.world_to_data(each.data_to_world((1,) * each.ndim)[-2:]))
            for each in others
        ]
        region = drawn_region(others[0], image)
        controller.calibrate(nav, sig)
        assert units_of(spaces.scan) - {"pixel"} == {nav_unit} - {"pixel"}
        assert units_of(spaces.pattern) == {sig_unit}
        assert [str(unit) for unit in layer.units] == [nav_unit] * 2 + [sig_unit] * 2
        assert spaces.scan.layers.units is not None
        step = [each.scale for each in nav or (Sampling(1, ""),) * 2]
        pixel = [each.scale for each in sig or (Sampling(1, ""),) * 2]
        np.testing.assert_allclose(layer.scale, [*step, *pixel])
        for each in spaces.scan.layers:
            np.testing.assert_allclose(each.scale[-2:], step)
        for each in spaces.pattern.layers:
            np.testing.assert_allclose(each.scale, pixel)
        assert others[3].scale[0] == 7
        assert str(others[3].units[0]) == "pixel"
        for each, before in zip(others, on_map, strict=True):
            at = image.world_to_data(each.data_to_world((1,) * each.ndim)[-2:])
            np.testing.assert_allclose(at, before, atol=1e-9)
        np.testing.assert_array_equal(drawn_region(others[0], image), region)

    def test_detectors_are_the_same_and_no_map_is_computed(
        self, controller: Controller, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with_everything(controller)
        entries = controller.detectors.entries
        # On a border between pixels rounding would decide.
        entries[0].drawing.data = [circles.circle((11, 12), 5)]
        before = [entry.detector for entry in entries]
        maps = [entry.image.data for entry in entries]
        limits = [entry.image.contrast_limits for entry in entries]
        asked: list[Any] = []
        monkeypatch.setattr(controller.maps._live, "steps", asked.append)
        shown: list[Any] = []
        monkeypatch.setattr(controller.patterns, "request", lambda: shown.append(1))
        for scale in (0.1, 1 / 3, 0.0173, 7.77):
            controller.calibrate(
                (Sampling(scale, "nm"),) * 2,
                (Sampling(scale, "mrad"), Sampling(scale * 1.1, "mrad")),
            )
            for entry in entries:
                controller.detectors.redraw(entry.drawing)
        assert not asked
        assert not shown
        assert [entry.detector for entry in entries] == before
        for entry, data, limit in zip(entries, maps, limits, strict=True):
            assert entry.is_exact
            assert entry.image.data is data
            assert entry.image.contrast_limits == limit

    def test_a_layer_that_is_not_at_the_origin_keeps_its_pixels(self) -> None:
        layer = Image(
            pixels(), rgb=False, name="elsewhere",
            scale=(2, 2, 0.5, 0.5), translate=(10, -7, -3.3, 4.1),
            units=("nm", "nm", "mrad", "mrad"),
        )  # fmt: skip
        controller = Controller(ViewerModel(), ViewerModel(), AtOnce)
        controller.open(layer)
        (entry,) = controller.detectors.entries
        detector, data = entry.detector, entry.image.data
        assert detector is not None
        controller.calibrate((Sampling(3, "nm"),) * 2, (Sampling(0.7, "mrad"),) * 2)
        np.testing.assert_allclose(layer.translate, [15, -10.5, -4.62, 5.74])
        controller.detectors.redraw(entry.drawing)
        assert entry.detector == detector
        assert entry.image.data is data  # and none was computed on the way

    def test_the_data_set_and_the_layer_given_back_have_it(
        self, controller: Controller, layer: Image
    ) -> None:
        controller.calibrate(NM, ANGLE)
        assert controller.ds is not None
        assert ("calibration sig", "0.5 mrad, 0.5 mrad") in controller.ds.diagnostics()
        controller.try_geometry(nav_shape=(6, 7))
        controller.apply_geometry()
        assert controller.ds.calibration.nav == NM
        controller.spaces.scan.layers.clear()
        assert controller.close() is layer
        assert layer.metadata[METADATA_KEY].calibration.sig == ANGLE
        np.testing.assert_allclose(layer.scale, [2, 2, 0.5, 0.5])
        assert data_set_of(layer).calibration.nav == NM

    def test_records_of_maps_have_it(self, controller: Controller) -> None:
        (entry,) = controller.detectors.entries
        frozen = controller.detectors.freeze(entry)
        controller.calibrate(NM, ANGLE)
        for image in (entry.image, frozen):
            assert image.metadata[MAP_KEY].data_set.calibration.sig == ANGLE

    def test_geometry_that_is_tried_is_calibrated_too(
        self, controller: Controller
    ) -> None:
        controller.try_geometry(nav_shape=(6, 7))
        controller.calibrate(NM, ANGLE)
        assert controller.open_scan is not None
        assert controller.open_scan.shown.nav_shape == (6, 7)
        assert controller.open_scan.shown.calibration.nav == NM
        assert controller.ds is not None
        assert controller.ds.nav_shape == NAV
        assert controller.detectors.entries[0].is_exact

    def test_region_still_gives_its_pattern(self, controller: Controller) -> None:
        region = Shapes([[[2, 3], [2, 5], [4, 5], [4, 3]]], shape_type="rectangle")
        controller.spaces.scan.add_layer(region)
        controller.patterns.set_region(region)
        controller.patterns.set_source("Region, mean")
        before = np.array(controller.patterns.layer.data)
        controller.calibrate(NM, ANGLE)
        controller.patterns.request()
        np.testing.assert_allclose(controller.patterns.layer.data, before)


class TestDraft:
    def test_foreign_layer_brings_its_own_calibration(self) -> None:
        layer = Image(
            pixels(), rgb=False, scale=(0.002, 0.002, 1, 1),
            units=("um", "um", "pixel", "pixel"),
        )  # fmt: skip
        controller = Controller(ViewerModel(), ViewerModel(), AtOnce)
        draft = CalibrationDraft(controller)
        controller.open(layer)
        assert draft.scan.values == pytest.approx((2, 2))
        assert (draft.scan.unit, draft.scan.source) == ("nm", "from the layer")
        assert (draft.pattern.values, draft.pattern.unit) == (None, "px")
        draft.type_pixel((0.5, 0.5), "mrad")
        draft.apply()
        np.testing.assert_allclose(layer.scale, [2, 2, 0.5, 0.5])
        assert units_of(controller.spaces.scan) == {"nanometer"}
        assert units_of(controller.spaces.pattern) == {"milliradian"}

    def test_file_is_named_as_the_source(self, tmp_path: Any) -> None:
        np.save(tmp_path / "a.npy", pixels())
        data, options, _ = image_layer(n4.load("npy", tmp_path / "a.npy"))
        controller = Controller(ViewerModel(), ViewerModel(), AtOnce)
        draft = CalibrationDraft(controller)
        controller.open(Image(data, **options))
        assert draft.scan.source == "not known"
        assert draft.message == (
            "Not calibrated. Type scan step, and detector pixel or convergence."
        )
        draft.type_step((1, 1), "nm")
        assert draft.message == "Not calibrated. Type detector pixel or convergence."

    def test_nothing_changes_until_it_is_applied(
        self, draft: CalibrationDraft, layer: Image
    ) -> None:
        assert not draft.is_new
        draft.type_step((2, 3), "nm")
        draft.type_pixel((0.5, 0.5), "mrad")
        assert draft.is_new
        np.testing.assert_array_equal(layer.scale, 1)
        draft.apply()
        assert not draft.is_new
        assert draft.scan.source == draft.pattern.source == "typed"
        np.testing.assert_array_equal(layer.scale, [2, 3, 0.5, 0.5])

    def test_pixel_is_the_convergence_over_the_radius(
        self, draft: CalibrationDraft, layer: Image
    ) -> None:
        assert draft.disk_needs == "the convergence angle"
        with pytest.raises(n4.FormatError, match="the convergence angle"):
            draft.measure_pixel()
        draft.type_convergence(20)
        draft.measure_pixel()
        disk = draft._controller.detectors.disk
        assert disk is not None
        assert disk[1] == pytest.approx(RADIUS, abs=0.7)
        assert draft.pattern.values == pytest.approx((20 / disk[1],) * 2)
        assert draft.pattern.unit == "mrad"
        assert draft.pattern.source == "from the disk"
        draft._controller.detectors.set_disk((CENTER, 5))
        assert draft.pattern.values == (4, 4)
        draft.apply()
        np.testing.assert_array_equal(layer.scale, [1, 1, 4, 4])

    def test_wavelength_converts_between_angle_and_frequency(
        self, draft: CalibrationDraft
    ) -> None:
        draft.type_pixel((2.5079, 2.5079), "mrad")
        draft.type_energy(200)
        draft.convert_pixel("1/nm")
        assert draft.pattern.values == pytest.approx((1, 1), abs=1e-4)
        draft.convert_pixel("mrad")
        assert draft.pattern.values == pytest.approx((2.5079, 2.5079))
        draft.type_energy(None)
        draft.convert_pixel("1/nm")
        assert draft.pattern.values is None
        assert draft.pattern.unit == "1/nm"

    def test_reset_goes_back_to_what_was_found_even_when_opened_again(
        self, draft: CalibrationDraft, layer: Image
    ) -> None:
        draft.type_step((2, 2), "nm")
        draft.apply()
        controller = draft._controller
        controller.close()
        controller.spaces.scan.layers.clear()
        controller.open(layer)
        assert draft.scan.values == (2, 2)
        assert draft.scan.source == "typed"
        draft.reset()
        np.testing.assert_array_equal(layer.scale, 1)
        assert draft.scan.values is None
        assert units_of(controller.spaces.scan) == {"pixel"}

    def test_what_is_typed_outlives_another_geometry(
        self, draft: CalibrationDraft
    ) -> None:
        draft.type_step((2, 2), "nm")
        draft._controller.try_geometry(nav_shape=(6, 7))
        draft._controller.apply_geometry()
        assert draft.scan.values == (2, 2)
        assert draft.is_new


class TestDisk:
    def test_mark_is_on_the_disk_and_no_detector(self, controller: Controller) -> None:
        controller.calibrate(NM, ANGLE)
        controller.disk_mark.show()
        handle, lines = controller.disk_mark.layers
        assert len(controller.detectors.entries) == 1
        assert controller.spaces.pattern.layers.selection.active is handle
        disk = controller.detectors.disk
        assert disk is not None
        begins = lines.data[:-2, 0] - disk[0]
        np.testing.assert_allclose(np.hypot(*begins.T), disk[1], rtol=1e-5)
        controller.disk_mark.hide()
        assert [each.name for each in controller.spaces.pattern.layers] == [
            "Pattern",
            "Disk",
        ]
        (entry,) = controller.detectors.entries
        assert controller.spaces.pattern.layers.selection.active is entry.drawing

    def test_mark_goes_with_the_scan(self, controller: Controller) -> None:
        controller.disk_mark.show()
        controller.close()
        assert not controller.spaces.pattern.layers

    def test_dragged_mark_is_the_disk(self, controller: Controller) -> None:
        controller.calibrate(NM, ANGLE)
        controller.disk_mark.show()
        handle, lines = controller.disk_mark.layers
        began = controller.detectors.disk
        assert began is not None
        inside = np.multiply(began[0], 0.5)
        drag(handle, circles.drag_circles, inside, np.add(inside, (0.5, -1)))
        moved = controller.detectors.disk
        assert moved is not None
        np.testing.assert_allclose(np.subtract(moved[0], began[0]), (1, -2), atol=1e-4)
        assert moved[1] == pytest.approx(began[1], rel=1e-4)
        np.testing.assert_allclose(lines.data[-1, 0, 0], moved[0][0], atol=1e-4)
        (entry,) = controller.detectors.entries
        assert isinstance(entry.detector, n4.Disk)
        np.testing.assert_allclose(entry.detector.center, began[0], atol=1e-4)

    def test_typed_disk_moves_the_mark(self, controller: Controller) -> None:
        controller.disk_mark.show()
        controller.detectors.set_disk(((9, 10), 4))
        (found,) = circles.circles_of(controller.disk_mark.layers[0])
        np.testing.assert_allclose(found[0], (9, 10))
        assert found[1] == pytest.approx(4)

    def test_detectors_are_centered_on_it_and_keep_their_radii(
        self, controller: Controller
    ) -> None:
        ring = controller.detectors.add("Ring")
        box = controller.detectors.add("Rectangle")
        before, untouched = ring.detector, box.detector
        controller.detectors.set_disk(((9, 10), 4))
        controller.detectors.center()
        assert isinstance(before, n4.Annulus)
        assert isinstance(ring.detector, n4.Annulus)
        assert ring.detector.center == pytest.approx((9, 10))
        assert ring.detector.inner == pytest.approx(before.inner)
        assert ring.detector.outer == pytest.approx(before.outer)
        assert box.detector == untouched
