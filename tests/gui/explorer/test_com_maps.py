"""Maps of the center of mass, with two models and no window."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import napari_4dstem as n4
from napari_4dstem.axes import Sampling
from napari_4dstem.layers import image_layer

pytest.importorskip("napari", reason="napari is not installed")

from napari.components import ViewerModel
from napari.layers import Image

from napari_4dstem.gui.com_outputs import OUTPUTS
from napari_4dstem.gui.explorer import circles
from napari_4dstem.gui.explorer.controller import Controller
from napari_4dstem.gui.map_window import MAP_KEY
from tests.analysis.truth import facts, needs_truth, truth
from tests.gui.explorer.test_controller import AtOnce

NAV, SIG, RADIUS = (18, 22), (28, 30), 7.0
STEP, PIXEL = (2.0, 2.0), (0.5, 0.5)
DEGREES = 25.0


def potential() -> Any:
    """Three atoms."""
    y, x = np.indices(NAV)
    atoms = ((5, 6), (12, 9), (8, 16))
    bumps = [np.exp(-((y - j) ** 2 + (x - i) ** 2) / 8) for j, i in atoms]
    return np.sum(bumps, axis=0)


def pixels() -> Any:
    """A disk that is drawn up the potential, by a detector that is turned."""
    deflection = np.stack(np.gradient(4 * potential()), axis=-1)
    y, x = np.indices(NAV)
    on_detector = n4.rotate(deflection, -DEGREES)
    on_detector[..., 0] += 0.04 * y - 0.01 * x
    on_detector[..., 1] += 0.03 * x
    at = on_detector + np.array((13.0, 14.0))
    ky, kx = np.indices(SIG)
    away = np.hypot(ky - at[..., 0, None, None], kx - at[..., 1, None, None])
    return np.rint(1000 * np.clip(RADIUS + 0.5 - away, 0, 1)).astype("u2")


def controller_of(ds: n4.Dataset) -> Controller:
    scan = ViewerModel()
    data, options, _ = image_layer(ds)
    layer = Image(data, **options)
    scan.add_layer(layer)
    controller = Controller(scan, ViewerModel(), AtOnce)
    controller.open(layer)
    return controller


@pytest.fixture
def ds() -> n4.Dataset:
    return n4.load("memory", data=pixels(), name="atoms").with_calibration(
        (Sampling(STEP[0], "nm"),) * 2, (Sampling(PIXEL[0], "mrad"),) * 2
    )


@pytest.fixture
def controller(ds: n4.Dataset) -> Controller:
    return controller_of(ds)


def layers(controller: Controller) -> list[str]:
    return [layer.name for layer in controller.spaces.scan.layers]


def library(vectors: Any) -> dict[str, Any]:
    """All outputs, as the library makes them."""
    return {
        "y": vectors[..., 0],
        "x": vectors[..., 1],
        "magnitude": n4.magnitude(vectors),
        "angle": n4.angle(vectors),
        "divergence": n4.divergence(vectors, STEP),
        "curl": n4.curl(vectors, STEP),
        "phase": n4.phase(vectors, STEP),
        "color_wheel": n4.color_wheel(vectors).image,
    }


class TestOutputs:
    @pytest.mark.parametrize("output", OUTPUTS)
    def test_every_output_is_that_of_the_library(
        self, controller: Controller, ds: n4.Dataset, output: str
    ) -> None:
        com = controller.com
        com.set_descan("plane")
        com.set_rotation(30, True)
        com.set_shown(output, True)
        vectors = n4.descan(n4.center_of_mass(ds) * PIXEL, "plane")
        expected = library(n4.rotate(vectors, 30, True))[output]
        image = com.shown[output].image
        np.testing.assert_array_equal(image.data, expected)
        assert image in controller.spaces.scan.layers
        np.testing.assert_array_equal(image.scale, STEP)
        assert [str(unit) for unit in image.units] == ["nanometer"] * 2

    def test_names_tell_the_unit(self, controller: Controller) -> None:
        for output in OUTPUTS:
            controller.com.set_shown(output, True)
        assert layers(controller) == [
            "Disk", "Shift along y (mrad)", "Shift along x (mrad)", "Magnitude (mrad)",
            "Angle (°)", "Divergence (mrad/nm)", "Curl (mrad/nm)",
            "Integrated phase (mrad·nm)", "Colour wheel", "Probe",
        ]  # fmt: skip

    @pytest.mark.parametrize("output", ["y", "x", "divergence", "curl"])
    def test_signed_maps_have_0_in_the_middle_of_their_colors(
        self, controller: Controller, output: str
    ) -> None:
        controller.com.set_shown(output, True)
        image = controller.com.shown[output].image
        low, high = image.contrast_limits
        assert low == -high
        assert 0 < high <= np.abs(image.data).max()
        np.testing.assert_allclose(image.colormap.map(np.array([0.5]))[0, :3], 0)

    def test_angles_have_the_colors_of_the_wheel(self, controller: Controller) -> None:
        controller.com.set_shown("angle", True)
        image = controller.com.shown["angle"].image
        assert image.contrast_limits == [-180, 180]
        for degrees, vector in ((0, (0, 1)), (90, (1, 0)), (-120, (-0.866, -0.5))):
            color = image.colormap.map(np.array([(degrees + 180) / 360]))[0, :3]
            wheel = n4.color_wheel([vector], 1).image[0] / 255
            np.testing.assert_allclose(color, wheel, atol=0.02)

    def test_exact_map_can_be_made_again_from_what_it_knows(
        self, controller: Controller
    ) -> None:
        com = controller.com
        com.set_entry(controller.detectors.entries[0])
        com.set_rotation(12, False)
        com.set_shown("divergence", True)
        image = com.shown["divergence"].image
        record = image.metadata[MAP_KEY]
        assert record.detector == controller.detectors.entries[0].detector
        np.testing.assert_array_equal(record.compute(), image.data)

    def test_whole_pattern_is_no_detector_in_the_record(
        self, controller: Controller
    ) -> None:
        controller.com.set_shown("phase", True)
        made_of = controller.com.shown["phase"].image.metadata[MAP_KEY]
        assert made_of.detector is None


class TestFollowing:
    def test_maps_follow_the_detector(
        self, controller: Controller, ds: n4.Dataset
    ) -> None:
        com, entry = controller.com, controller.detectors.entries[0]
        com.set_entry(entry)
        com.set_shown("magnitude", True)
        entry.drawing.data = [circles.circle((12, 13), 9)]
        assert entry.detector is not None
        expected = n4.descan(n4.center_of_mass(ds, entry.detector) * PIXEL, "mean")
        np.testing.assert_array_equal(
            com.shown["magnitude"].image.data, n4.magnitude(expected)
        )
        assert com.is_exact

    def test_removed_detector_leaves_the_whole_pattern(
        self, controller: Controller, ds: n4.Dataset
    ) -> None:
        com, ring = controller.com, controller.detectors.add("Ring")
        com.set_entry(ring)
        com.set_shown("x", True)
        controller.detectors.remove(ring)
        assert com.entry is None
        expected = n4.descan(n4.center_of_mass(ds) * PIXEL, "mean")[..., 1]
        np.testing.assert_array_equal(com.shown["x"].image.data, expected)

    def test_turning_reads_nothing(
        self, controller: Controller, ds: n4.Dataset, monkeypatch: Any
    ) -> None:
        com = controller.com
        com.set_shown("y", True)
        expected = n4.rotate(n4.descan(n4.center_of_mass(ds) * PIXEL, "mean"), 90)
        monkeypatch.setattr(type(ds.frames.source), "batches", None)
        com.set_rotation(90, False)
        np.testing.assert_array_equal(com.shown["y"].image.data, expected[..., 0])

    def test_maps_refold_with_the_geometry(
        self, controller: Controller, ds: n4.Dataset
    ) -> None:
        com = controller.com
        for output in ("phase", "color_wheel"):
            com.set_shown(output, True)
        controller.try_geometry(nav_shape=(16, 24), sync_offset=-7)
        turned = ds.with_scan((16, 24), -7)
        vectors = n4.descan(n4.center_of_mass(turned) * PIXEL, "mean")
        assert np.isnan(vectors).any()
        for output in com.shown:
            np.testing.assert_array_equal(
                com.shown[output].image.data, library(vectors)[output]
            )
        controller.apply_geometry()
        assert com.shown["phase"].image.data.shape == (16, 24)
        made_of = com.shown["phase"].image.metadata[MAP_KEY]
        assert made_of.data_set.nav_shape == (16, 24)

    def test_another_calibration_gives_another_unit(
        self, controller: Controller, ds: n4.Dataset
    ) -> None:
        com = controller.com
        com.set_shown("x", True)
        controller.calibrate(sig=(Sampling(0.1, "1/nm"),) * 2)
        expected = n4.descan(n4.center_of_mass(ds) * (0.1, 0.1), "mean")[..., 1]
        image = com.shown["x"].image
        np.testing.assert_array_equal(image.data, expected)
        assert image.name == "Shift along x (1/nm)"
        record = image.metadata[MAP_KEY]
        np.testing.assert_array_equal(record.compute(), image.data)

    def test_contrast_follows_until_somebody_sets_it(
        self, controller: Controller
    ) -> None:
        com = controller.com
        com.set_shown("x", True)
        image = com.shown["x"].image
        before = image.contrast_limits
        com.set_rotation(90, False)
        assert image.contrast_limits != before
        image.contrast_limits = (-0.01, 0.02)
        com.set_rotation(40, False)
        assert image.contrast_limits == [-0.01, 0.02]
        controller.fit_contrast()
        low, high = image.contrast_limits
        assert low == -high
        assert high > 0.02


class TestLayers:
    def test_unchecked_output_loses_its_layer(self, controller: Controller) -> None:
        controller.com.set_shown("curl", True)
        controller.com.set_shown("curl", False)
        assert layers(controller) == ["Disk", "Probe"]
        assert controller.com.detector is None

    def test_removed_layer_is_unchecked(self, controller: Controller) -> None:
        com, heard = controller.com, []
        com.set_shown("curl", True)
        com.changed.connect(lambda: heard.append(dict(com.shown)))
        controller.spaces.scan.layers.remove(com.shown["curl"].image)
        assert heard == [{}]

    def test_layers_stay_when_the_scan_is_closed(self, controller: Controller) -> None:
        com = controller.com
        com.set_shown("phase", True)
        image = com.shown["phase"].image
        assert controller.close() is not None
        assert image in controller.spaces.scan.layers
        assert not com.shown
        assert com not in controller.maps.wanted

    def test_name_that_somebody_gave_stays(self, controller: Controller) -> None:
        com = controller.com
        com.set_shown("phase", True)
        com.shown["phase"].image.name = "mine"
        com.set_rotation(3, False)
        assert "mine" in layers(controller)


class TestEstimate:
    @pytest.mark.parametrize("shown", [(), ("phase", "curl")])
    def test_rotation_is_found_and_used(
        self, controller: Controller, shown: tuple[str, ...]
    ) -> None:
        com = controller.com
        com.set_descan("plane")
        for output in shown:
            com.set_shown(output, True)
        com.estimate()
        assert com.degrees == pytest.approx(DEGREES, abs=2)
        assert not com.flip_y
        assert com.said.startswith(f"{com.degrees:.1f}°; −")
        assert "dark atoms" in com.said
        assert com.is_exact
        com.set_shown("phase", True)
        found = com.shown["phase"].image.data
        assert np.corrcoef(found.ravel(), potential().ravel())[0, 1] > 0.98

    def test_shown_map_is_turned_by_the_estimate(
        self, controller: Controller, ds: n4.Dataset
    ) -> None:
        com = controller.com
        com.set_shown("x", True)
        com.estimate()
        image = com.shown["x"].image
        vectors = n4.descan(n4.center_of_mass(ds) * PIXEL, "mean")
        turned = n4.rotate(vectors, com.degrees, com.flip_y)
        np.testing.assert_array_equal(image.data, turned[..., 1])
        assert image.metadata[MAP_KEY].vector_map.degrees == com.degrees

    def test_missing_and_empty_frames_do_no_harm(self) -> None:
        data = pixels()
        data[3, 4] = data[9, 10:14] = 0
        controller = controller_of(n4.load("memory", data=data, sync_offset=-5))
        com = controller.com
        com.set_descan("plane")
        com.set_shown("phase", True)
        com.estimate()
        # lines no longer fit together, so that nobody knows the angle
        assert np.isfinite(com.degrees)
        assert com.problem is None
        found = com.shown["phase"].image.data
        expected = np.isnan(n4.center_of_mass(controller.ds)).any(-1)
        np.testing.assert_array_equal(np.isnan(found), expected)
        assert expected.sum() == 10

    def test_rotation_that_data_do_not_tell_is_said(self) -> None:
        data = np.broadcast_to(pixels()[0, 0], (*NAV, *SIG))
        controller = controller_of(n4.load("memory", data=data, name="vacuum"))
        com = controller.com
        com.set_shown("y", True)
        com.set_rotation(7, False)
        com.estimate()
        assert "cannot be estimated" in str(com.problem)
        assert com.degrees == 7
        assert np.isfinite(com.shown["y"].image.data).all()
        com.set_rotation(8, False)
        assert com.problem is None


class TestNothingToShow:
    def test_empty_detector_leaves_maps_blank_and_says_why(
        self, controller: Controller
    ) -> None:
        com, entry = controller.com, controller.detectors.entries[0]
        failed: list[Exception] = []
        controller.failed.connect(failed.append)
        for output in OUTPUTS:
            com.set_shown(output, True)
        com.set_entry(entry)
        entry.drawing.data = [circles.circle((2, 2), 1)]  # no electron is there
        assert "nothing within the detector" in str(com.problem)
        assert np.isnan(com.shown["phase"].image.data).all()
        assert not com.shown["color_wheel"].image.data.any()
        entry.drawing.data = [circles.circle((13, 14), 9)]
        assert com.problem is None
        assert np.isfinite(com.shown["phase"].image.data).all()
        assert not failed

    def test_single_line_has_shifts_but_no_slopes(self, ds: n4.Dataset) -> None:
        data = pixels().reshape(1, -1, *SIG)
        controller = controller_of(n4.load("memory", data=data, name="line"))
        com = controller.com
        failed: list[Exception] = []
        controller.failed.connect(failed.append)
        for output in ("x", "phase"):
            com.set_shown(output, True)
        assert np.isfinite(com.shown["x"].image.data).all()
        assert np.isnan(com.shown["phase"].image.data).all()
        assert com.shown["phase"].image.metadata[MAP_KEY] is None  # and no script
        assert com.shown["x"].image.metadata[MAP_KEY] is not None
        assert "two scan axes" in str(com.problem)
        assert not failed


@needs_truth
def test_truth_is_turned_and_integrated_as_it_is_known() -> None:
    bad = np.zeros(truth("data").shape[2:], bool)
    for pixel in facts()["bad_pixels"]:
        bad[pixel["ky"], pixel["kx"]] = True
    ds = n4.load("memory", data=np.asarray(truth("data")), name="SrTiO3")
    ds = ds.with_corrections(excluded=bad).with_calibration(
        (Sampling(0.024, "nm"),) * 2, (Sampling(1.225, "mrad"),) * 2
    )
    controller = controller_of(ds)
    com = controller.com
    com.set_descan("plane")
    com.set_shown("phase", True)
    com.estimate()
    assert com.degrees == pytest.approx(17, abs=1)
    assert not com.flip_y
    blurred = np.asarray(truth("projected_potential_blurred"))
    found = com.shown["phase"].image.data
    assert np.corrcoef(found.ravel(), blurred.ravel())[0, 1] > 0.97
    # the scale, too: deflections in mrad, steps in nm
    radians = 2 * np.pi / (1000 * facts()["wavelength_A"] / 10) * found
    sigma = facts()["interaction_sigma_rad_per_V_A"]
    slope = np.polyfit(sigma * blurred.ravel(), radians.ravel(), 1)[0]
    assert slope == pytest.approx(1, abs=0.1)
