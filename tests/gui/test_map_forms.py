"""The forms that make maps of a scan from what is drawn on its patterns."""

from __future__ import annotations

import threading
from typing import Any

import dask.array as da
import numpy as np
import pytest
from napari.layers import Image, Labels, Points, Shapes

import napari_4dstem as n4
from napari_4dstem.analysis.map_record import QUANTITIES
from napari_4dstem.axes import Sampling
from napari_4dstem.gui import map_window
from napari_4dstem.gui.center_of_mass_form import (
    ESTIMATE,
    OUTPUTS_OF,
    SHIFTS,
)
from napari_4dstem.gui.drawn import drawn_detector, drawn_region
from napari_4dstem.gui.map_form import APART, CANCEL, COMPUTE, HERE
from napari_4dstem.gui.picked import data_set_of, is_scan
from napari_4dstem.layers import image_layer

pytestmark = pytest.mark.window

PLUGIN = "napari-4dstem"
NAV, SIG = (6, 7), (16, 18)
CIRCLE = np.array([[-1, -1], [-1, 1], [1, 1], [1, -1]], float)


def pixels() -> Any:
    """Return patterns with a disk whose middle moves with the scan."""
    ky, kx = np.indices(SIG)
    data = np.zeros((*NAV, *SIG), "u2")
    for y, x in np.ndindex(*NAV):
        far = np.hypot(ky - 7 - 0.2 * y, kx - 8 + 0.3 * x)
        data[y, x] = 100 * (far <= 4) + y + x
    return data


def circle(y: float, x: float, r: float) -> Any:
    return CIRCLE * r + (y, x)


@pytest.fixture
def ds() -> n4.Dataset:
    return n4.load("memory", data=pixels(), name="disks").with_calibration(
        (Sampling(2, "nm"),) * 2, (Sampling(0.5, "mrad"),) * 2
    )


@pytest.fixture
def image(ds: n4.Dataset) -> Image:
    data, options, _ = image_layer(ds)
    return Image(data, **options)


@pytest.fixture
def viewer(make_napari_viewer: Any, image: Image) -> Any:
    viewer = make_napari_viewer()
    viewer.add_layer(image)
    yield viewer
    window = map_window._windows.pop(viewer, None)
    if window is not None and map_window._is_open(window):
        window.close()


def form_of(viewer: Any, title: str) -> Any:
    return viewer.window.add_plugin_dock_widget(PLUGIN, title)[1]


def computed(form: Any, qtbot: Any) -> None:
    form.compute()
    qtbot.waitUntil(lambda: not form.is_computing, timeout=20_000)


def assert_made_again(layer: Image) -> None:
    """Check that a map is what its record says, bit for bit."""
    again = layer.metadata[map_window.MAP_KEY].compute()
    assert again.dtype == layer.data.dtype
    assert again.tobytes() == layer.data.tobytes()


class TestDrawn:
    def test_circle_is_a_disk_in_the_pixels_of_the_patterns(self, image: Image) -> None:
        drawing = Shapes([circle(3, 4, 2)], shape_type="ellipse")  # in mrad
        detector = drawn_detector(drawing, image)
        assert isinstance(detector, n4.Disk)
        np.testing.assert_allclose([*detector.center, detector.radius], [6, 8, 4])

    def test_position_of_the_image_counts(self, image: Image) -> None:
        image.translate = (0, 0, 1, -1)
        drawing = Shapes([circle(3, 4, 2)], shape_type="ellipse", scale=(2, 2))
        detector = drawn_detector(drawing, image)
        np.testing.assert_allclose([*detector.center, detector.radius], [10, 18, 8])

    def test_circle_in_a_circle_is_a_ring(self, image: Image) -> None:
        drawing = Shapes([circle(4, 4, 1), circle(4, 4, 2)], shape_type="ellipse")
        detector = drawn_detector(drawing, image)
        assert isinstance(detector, n4.Annulus)
        np.testing.assert_allclose(
            [*detector.center, detector.inner, detector.outer], [8, 8, 2, 4]
        )

    def test_shape_inside_of_another_is_a_hole_and_others_add_up(
        self, image: Image
    ) -> None:
        image.scale = (1, 1, 1, 1)
        outer, hole, other = circle(7, 7, 6), circle(6, 6, 2), circle(7, 15, 2)
        drawing = Shapes([hole, outer, other], shape_type="rectangle")
        expected = np.zeros(SIG, bool)
        expected[1:14, 1:14] = True
        expected[4:9, 4:9] = False
        expected[5:10, 13:18] = True
        np.testing.assert_array_equal(
            drawn_detector(drawing, image).mask(SIG), expected
        )

    def test_turned_rectangle_polygon_and_ellipse_keep_their_form(
        self, image: Image
    ) -> None:
        image.scale = (1, 1, 1, 1)
        diamond = [[2, 8], [8, 14], [14, 8], [8, 2]]
        for kind in ("rectangle", "polygon"):
            detector = drawn_detector(Shapes([diamond], shape_type=kind), image)
            assert detector == n4.Polygon(tuple(map(tuple, diamond)))
        wide = [[6, 2], [6, 14], [10, 14], [10, 2]]
        mask = drawn_detector(Shapes([wide], shape_type="ellipse"), image).mask(SIG)
        ky, kx = np.indices(SIG)
        expected = ((ky - 8) / 2) ** 2 + ((kx - 8) / 6) ** 2 <= 1 + 1e-9
        np.testing.assert_array_equal(mask, expected)

    def test_shape_drawn_over_four_axes_belongs_to_no_position(
        self, image: Image
    ) -> None:
        corners = np.concatenate([np.full((4, 2), 3.0), circle(3, 4, 2)], axis=1)
        detector = drawn_detector(Shapes([corners], shape_type="ellipse"), image)
        assert isinstance(detector, n4.Disk)
        np.testing.assert_allclose(detector.center, (6, 8))

    def test_labels_of_another_scale_are_the_pixels_below_them(
        self, image: Image
    ) -> None:
        labels = np.zeros((8, 9), int)
        labels[2, 3:5] = 7
        detector = drawn_detector(
            Labels(labels, scale=(1, 1), translate=(0.25, 0.25)), image
        )
        expected = np.zeros(SIG, bool)
        expected[4:6, 6:10] = True
        np.testing.assert_array_equal(detector.mask(SIG), expected)

    def test_points_are_pixels(self, image: Image) -> None:
        detector = drawn_detector(Points([[3, 4], [1, 1]]), image)
        assert np.argwhere(detector.mask(SIG)).tolist() == [[2, 2], [6, 8]]

    def test_region_of_a_map(self) -> None:
        image = Image(np.zeros(NAV), scale=(2, 2))
        region = drawn_region(
            Shapes([circle(4, 4, 2.1)], shape_type="rectangle"), image
        )
        assert np.argwhere(region).tolist() == [
            [y, x] for y in (1, 2, 3) for x in (1, 2, 3)
        ]

    @pytest.mark.parametrize(
        ("drawing", "message"),
        [
            (Shapes(name="empty"), "nothing is drawn in the layer 'empty'"),
            (Shapes([[[0, 0], [3, 3]]], shape_type="line"), "nothing is drawn"),
            (Labels(np.zeros((4, 4), int)), "nothing is drawn"),
            (
                Shapes([circle(90, 90, 2)], shape_type="ellipse"),
                r"holds no pixel: .* 16 × 18 pixels of 'disks'",
            ),
            (Image(np.zeros((3, 3)), name="a map"), "'a map' cannot be a detector"),
        ],
    )
    def test_what_is_no_detector_is_refused(
        self, image: Image, drawing: Any, message: str
    ) -> None:
        with pytest.raises(n4.FormatError, match=message):
            drawn_detector(drawing, image)


class TestPicked:
    def test_our_layer_gives_its_data_set(self, image: Image, ds: n4.Dataset) -> None:
        assert data_set_of(image).frames.source is ds.frames.source

    @pytest.mark.parametrize("make", [np.asarray, da.from_array])
    def test_any_array_of_four_axes_is_a_scan(self, make: Any) -> None:
        layer = Image(make(pixels()), name="other", rgb=False)
        ds = data_set_of(layer)
        np.testing.assert_array_equal(n4.sum_image(ds), pixels().sum((2, 3)))
        assert ds.name == "other"

    def test_data_put_into_our_layer_count(self, image: Image) -> None:
        image.data = pixels()[:3]
        assert data_set_of(image).nav_shape == (3, 7)

    def test_scan_of_more_axes_is_folded_as_it_is_shown(self) -> None:
        ds = n4.load("memory", data=pixels().reshape(2, 3, 7, *SIG))
        data, options, _ = image_layer(ds)
        assert data_set_of(Image(data, **options)).shape == (6, 7, *SIG)

    def test_image_of_other_axes_is_refused(self) -> None:
        layer = Image(np.zeros((3, 4, 5)), rgb=False, name="stack")
        assert not is_scan(layer)
        with pytest.raises(n4.FormatError, match=r"'stack' is no scan .* 3 axes"):
            data_set_of(layer)


class TestVirtualDetectorForm:
    def test_ring_gives_its_virtual_image_in_a_window_with_units(
        self, viewer: Any, qtbot: Any, ds: n4.Dataset
    ) -> None:
        form = form_of(viewer, "Virtual detector")
        form._ring.changed.emit(True)
        qtbot.waitUntil(lambda: "Ring" in viewer.layers, timeout=20_000)
        assert form._detector.value is viewer.layers["Ring"]
        assert form._where.value == APART
        computed(form, qtbot)
        (layer,) = map_window._windows[viewer].layers
        made_of = layer.metadata[map_window.MAP_KEY]
        assert isinstance(made_of.detector, n4.Annulus)
        np.testing.assert_array_equal(
            layer.data, n4.virtual_image(ds, made_of.detector)
        )
        np.testing.assert_array_equal(layer.scale, (2, 2))
        assert [str(unit) for unit in layer.units] == ["nanometer"] * 2
        assert len(viewer.layers) == 2  # and the pattern keeps its units
        assert viewer.layers.units is not None

    def test_map_of_uncalibrated_data_lies_beside_the_pattern(
        self, viewer: Any, qtbot: Any
    ) -> None:
        viewer.layers.clear()
        scan = viewer.add_image(pixels(), name="plain", rgb=False)
        drawn = viewer.add_shapes([circle(8, 8, 4)], shape_type="ellipse", name="mine")
        form = form_of(viewer, "Virtual detector")
        assert (form._data.value, form._detector.value) == (scan, drawn)
        assert form._where.value == HERE
        computed(form, qtbot)
        layer = viewer.layers["mine of plain"]
        ds = n4.load("memory", data=pixels())
        np.testing.assert_array_equal(
            layer.data, n4.virtual_image(ds, n4.Disk((8, 8), 4))
        )
        assert layer.translate[1] > SIG[1]
        # again, it renews its map
        drawn.data = [circle(8, 8, 2)]
        computed(form, qtbot)
        np.testing.assert_array_equal(
            layer.data, n4.virtual_image(ds, n4.Disk((8, 8), 2))
        )
        assert len(viewer.layers) == 3

    def test_painted_labels_are_a_detector(self, viewer: Any, qtbot: Any) -> None:
        mask = np.zeros(SIG, int)
        mask[3:9, 4:6] = 1
        form = form_of(viewer, "Virtual detector")
        viewer.add_labels(mask, scale=(0.5, 0.5), name="painted")
        form._detector.value = viewer.layers["painted"]
        form._where.value = HERE
        computed(form, qtbot)
        layer = viewer.layers["painted of disks"]
        np.testing.assert_array_equal(
            layer.data, pixels()[..., 3:9, 4:6].sum((2, 3), dtype="u8")
        )

    def test_without_a_detector_it_says_what_to_do(
        self, viewer: Any, said: list[tuple[str, str]]
    ) -> None:
        form = form_of(viewer, "Virtual detector")
        form.compute()
        assert "New disk or New ring adds one" in form._said.value
        assert "New disk or New ring adds one" in said[-1][1]

    def test_without_a_scan_it_says_what_to_do(self, viewer: Any) -> None:
        viewer.layers.clear()
        form = form_of(viewer, "Virtual detector")
        assert not form._disk.enabled
        form.compute()
        assert "Open Sample" in form._said.value

    def test_button_cancels_and_nothing_comes_of_it(
        self, viewer: Any, qtbot: Any, monkeypatch: Any
    ) -> None:
        cancelled = threading.Event()

        def endless(ds: Any, detector: Any, *, progress: Any, cancel: Any) -> Any:
            while not cancel.wait(0.01):
                progress(3, 42)
            cancelled.set()
            raise n4.Cancelled

        monkeypatch.setitem(QUANTITIES, "sum", endless)
        viewer.add_shapes([circle(4, 4, 2)], shape_type="ellipse")
        form = form_of(viewer, "Virtual detector")
        form._where.value = HERE
        form.compute()
        assert form._button.text == CANCEL
        qtbot.waitUntil(lambda: form._bar.value == 3 and form._bar.max == 42)
        form._button.changed.emit(True)
        assert not form.is_computing
        assert form._button.text == COMPUTE
        assert cancelled.wait(5)
        qtbot.wait(100)
        assert len(viewer.layers) == 2

    def test_file_that_is_gone_is_said(
        self, viewer: Any, qtbot: Any, tmp_path: Any, said: list[tuple[str, str]]
    ) -> None:
        np.save(tmp_path / "a.npy", pixels())
        data, options, _ = image_layer(n4.load("npy", tmp_path / "a.npy"))
        viewer.layers.clear()
        viewer.add_image(data, **options)
        viewer.add_shapes([circle(4, 4, 2)], shape_type="ellipse")
        form = form_of(viewer, "Virtual detector")
        (tmp_path / "a.npy").unlink()
        computed(form, qtbot)
        assert "a.npy" in form._said.value
        assert said[-1][0] == "error"


class TestCenterOfMassForm:
    def test_shifts_are_in_the_unit_of_the_detector(
        self, viewer: Any, qtbot: Any, ds: n4.Dataset
    ) -> None:
        form = form_of(viewer, "Centre of mass")
        assert form._map.value == SHIFTS
        computed(form, qtbot)
        maps = map_window._windows[viewer].layers
        com = n4.descan(n4.center_of_mass(ds), "mean") * 0.5
        for i, axis in enumerate("yx"):
            layer = maps[f"Shift along {axis} (mrad) of disks"]
            np.testing.assert_allclose(layer.data, com[..., i], atol=1e-12)
            assert_made_again(layer)

    def test_every_map_is_that_of_the_library(
        self, viewer: Any, qtbot: Any, ds: n4.Dataset
    ) -> None:
        form = form_of(viewer, "Centre of mass")
        form._descan.value = "a plane"
        form._degrees.value, form._flip.value = 30, True
        com = n4.rotate(n4.descan(n4.center_of_mass(ds) * 0.5, "plane"), 30, True)
        expected = {
            "Magnitude": ("mrad", n4.magnitude(com)),
            "Angle": ("°", n4.angle(com)),
            "Divergence": ("mrad/nm", n4.divergence(com, (2, 2))),
            "Curl": ("mrad/nm", n4.curl(com, (2, 2))),
            "Integrated phase": ("mrad·nm", n4.phase(com, (2, 2))),
        }
        assert {SHIFTS, *expected, "Colour wheel"} == OUTPUTS_OF.keys()
        for name, (unit, wanted) in expected.items():
            form._map.value = name
            computed(form, qtbot)
            layer = map_window._windows[viewer].layers[f"{name} ({unit}) of disks"]
            np.testing.assert_allclose(layer.data, wanted, atol=1e-12)
            if name in ("Divergence", "Curl"):
                low, high = layer.contrast_limits
                assert low == -high
            assert_made_again(layer)
        form._map.value = "Colour wheel"
        computed(form, qtbot)
        wheel = map_window._windows[viewer].layers[-1]
        np.testing.assert_array_equal(wheel.data, n4.color_wheel(com).image)
        assert_made_again(wheel)

    def test_estimated_rotation_is_shown(
        self, viewer: Any, qtbot: Any, ds: n4.Dataset
    ) -> None:
        form = form_of(viewer, "Centre of mass")
        form._rotation.value = ESTIMATE
        computed(form, qtbot)
        vectors = n4.descan(n4.center_of_mass(ds) * 0.5, "mean")
        rotation = n4.estimate_rotation(vectors, scan_step=(2, 2))
        assert form._degrees.value == pytest.approx(rotation.degrees, abs=0.01)
        assert form._flip.value == rotation.flip_y
        for layer in map_window._windows[viewer].layers:
            record = layer.metadata[map_window.MAP_KEY]
            assert record.vector_map.degrees == rotation.degrees
            assert_made_again(layer)


def test_forms_are_in_the_menu_of_layers(viewer: Any) -> None:
    from napari._app_model import get_app_model

    items = get_app_model().menus.get_menu("napari/layers/measure")
    titles = {item.command.title for item in items if hasattr(item, "command")}
    assert {"Virtual detector (4D-STEM)", "Centre of mass (4D-STEM)"} <= titles
