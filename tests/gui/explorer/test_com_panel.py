"""The panel of the center of mass in a real window."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

import napari_4dstem as n4
from napari_4dstem.axes import Sampling
from napari_4dstem.gui.com_outputs import OUTPUTS
from napari_4dstem.gui.explorer.com_panel import WHOLE, CenterOfMassPanel
from napari_4dstem.gui.explorer.wheel_legend import DISK_PX, MARGIN_PX
from napari_4dstem.layers import image_layer
from tests.gui.explorer.test_com_maps import DEGREES, PIXEL, pixels
from tests.gui.explorer.test_dock import PLUGIN, TITLE, wait_until_exact

pytestmark = pytest.mark.window

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def viewer(make_napari_viewer: Any) -> Any:
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1280, 800)
    ds = n4.load("memory", data=pixels(), name="atoms").with_calibration(
        (Sampling(2, "nm"),) * 2, (Sampling(0.5, "mrad"),) * 2
    )
    data, options, _ = image_layer(ds)
    viewer.add_image(data, **options)
    return viewer


def opened(viewer: Any, qtbot: Any) -> Any:
    _, explorer = viewer.window.add_plugin_dock_widget(PLUGIN, TITLE)
    wait_until_exact(explorer, qtbot)
    explorer.show_panel(explorer.com)
    return explorer


def exact(explorer: Any, qtbot: Any) -> None:
    qtbot.waitUntil(lambda: explorer.controller.com.is_exact, timeout=20_000)


def vectors_of(explorer: Any, descan: str = "mean") -> Any:
    return n4.descan(n4.center_of_mass(explorer.controller.ds) * PIXEL, descan)


def test_checked_outputs_are_layers_and_back(viewer: Any, qtbot: Any) -> None:
    explorer = opened(viewer, qtbot)
    panel: CenterOfMassPanel = explorer.com
    for name in ("phase", "color_wheel"):
        panel.outputs[name].click()
    exact(explorer, qtbot)
    expected = n4.phase(vectors_of(explorer), (2, 2))
    np.testing.assert_array_equal(
        viewer.layers["Integrated phase (mrad·nm)"].data, expected
    )
    assert panel.legend.maximum.endswith(" mrad")
    viewer.layers.remove("Colour wheel")
    assert not panel.outputs["color_wheel"].isChecked()
    assert panel.legend.maximum == ""
    panel.outputs["phase"].setChecked(False)
    assert {layer.name for layer in viewer.layers} == {"Disk", "Probe"}


def test_slider_turns_what_is_shown(viewer: Any, qtbot: Any) -> None:
    explorer = opened(viewer, qtbot)
    panel = explorer.com
    panel.outputs["x"].setChecked(True)
    exact(explorer, qtbot)
    panel.slider.setValue(-900)
    assert panel.degrees.value() == -90
    panel.flip.click()
    exact(explorer, qtbot)
    expected = n4.rotate(vectors_of(explorer), -90, True)[..., 1]
    np.testing.assert_array_equal(viewer.layers["Shift along x (mrad)"].data, expected)


def test_estimate_fills_in_the_rotation_and_says_how_sure_it_is(
    viewer: Any, qtbot: Any
) -> None:
    explorer = opened(viewer, qtbot)
    panel = explorer.com
    panel.descan.setCurrentText("a plane")
    panel.descan.activated.emit(panel.descan.currentIndex())
    QTest.mouseClick(panel.estimate, LEFT)
    exact(explorer, qtbot)
    assert panel.degrees.value() == pytest.approx(DEGREES, abs=2)
    assert panel.slider.value() == pytest.approx(10 * DEGREES, abs=20)
    assert not panel.flip.isChecked()
    text = panel.message.text()
    assert "dark atoms" in text
    assert f"−{180 - panel.degrees.value():.1f}°" in text
    assert "times the curl" in text
    panel.degrees.setValue(3)  # by hand, so that nothing of it is true any more
    assert panel.message.text() == ""


def test_detectors_of_the_table_can_be_chosen(viewer: Any, qtbot: Any) -> None:
    explorer = opened(viewer, qtbot)
    panel, controller = explorer.com, explorer.controller
    drawn = controller.detectors.add("Rectangle")
    names = [panel.detector.itemText(i) for i in range(panel.detector.count())]
    assert names == [WHOLE, "Disk", "Rectangle"]
    panel.outputs["magnitude"].setChecked(True)
    panel.detector.setCurrentIndex(2)
    panel.detector.activated.emit(2)
    exact(explorer, qtbot)
    com = n4.center_of_mass(controller.ds, drawn.detector) * PIXEL
    image = controller.com.shown["magnitude"].image
    np.testing.assert_array_equal(image.data, n4.magnitude(n4.descan(com, "mean")))
    controller.detectors.remove(drawn)
    assert panel.detector.currentText() == WHOLE


def test_panel_fits_into_its_tab(viewer: Any, qtbot: Any) -> None:
    explorer = opened(viewer, qtbot)
    panel = explorer.com
    assert panel.minimumSizeHint().width() <= 520
    assert panel.minimumSizeHint().height() <= 185
    assert list(panel.outputs) == list(OUTPUTS)
    for part in (*panel.outputs.values(), panel.slider, panel.detector):
        assert part.accessibleName() or part.text()
        assert part.toolTip()


def test_legend_shows_directions_as_they_are_on_the_screen(
    viewer: Any, qtbot: Any
) -> None:
    explorer = opened(viewer, qtbot)
    legend = explorer.com.legend
    picture = legend.grab().toImage()
    ratio = picture.width() / legend.width()
    middle = np.array((MARGIN_PX + DISK_PX / 2, legend.width() / 2))
    for y, x in ((0, 1), (1, 0), (0, -1), (-1, 0), (0.6, -0.6)):
        at = (middle + np.array((y, x)) * 0.4 * DISK_PX) * ratio
        color = picture.pixelColor(int(at[1]), int(at[0]))
        expected = n4.color_wheel([(0.8 * y, 0.8 * x)], 1).image[0]
        found = (color.red(), color.green(), color.blue())
        np.testing.assert_allclose(found, expected, atol=16)
