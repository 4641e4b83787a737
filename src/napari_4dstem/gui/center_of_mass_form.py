"""The form that makes maps of the center of mass of every pattern."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from magicgui.widgets import CheckBox, ComboBox, FloatSpinBox

from napari_4dstem.analysis.center_of_mass import center_of_mass
from napari_4dstem.analysis.map_record import WHEEL, MapRecord, VectorMap
from napari_4dstem.gui import map_window
from napari_4dstem.gui.com_outputs import DESCANS, OUTPUTS, limits, looks
from napari_4dstem.gui.map_form import MapForm, Report
from napari_4dstem.gui.unit_text import unit_text
from napari_4dstem.gui.vector_recipe import VectorRecipe

if TYPE_CHECKING:
    from napari.layers import Image
    from napari.viewer import Viewer

    from napari_4dstem.analysis.detectors import Detector
    from napari_4dstem.dataset import Dataset

SHIFTS = "Shift along y and x"
# What there is to choose, and the maps that come of it.
OUTPUTS_OF = {
    SHIFTS: ("x", "y"),
    **{OUTPUTS[name].label: (name,) for name in OUTPUTS if name not in ("x", "y")},
}
BY_HAND, ESTIMATE = "as given below", "estimated, by least curl"


class CenterOfMassForm(MapForm):
    """Where the middle of every pattern is, as maps of the scan.

    Parameters
    ----------
    napari_viewer : Viewer
    """

    TITLE = "Centre of mass"

    def __init__(self, napari_viewer: Viewer) -> None:
        self._map = ComboBox(
            name="map", label="Map", choices=list(OUTPUTS_OF), value=SHIFTS
        )
        self._descan = ComboBox(
            name="descan",
            label="Subtract",
            choices=list(DESCANS),
            value="the mean",
            tooltip="What the scan coils do to the beam, not the specimen",
        )
        self._rotation = ComboBox(
            name="rotation",
            label="Rotation",
            choices=[BY_HAND, ESTIMATE],
            tooltip="Between the axes of the detector and those of the scan",
        )
        self._degrees = FloatSpinBox(
            name="degrees", label="Degrees", min=-360, max=360, step=1, value=0
        )
        self._flip = CheckBox(
            name="flip_y",
            text=" ",
            value=False,
            tooltip="Reverse the y axis of the detector first",
        )
        self._flip.label = "Flip y"
        options = self._map, self._descan, self._rotation, self._degrees, self._flip
        super().__init__(
            napari_viewer, options, nothing_drawn="whole pattern", whole_first=True
        )
        # Another map of the same centers reads nothing.
        self._known: tuple[Any, Any] = (None, None)

    def job(
        self, ds: Dataset, detector: Detector | None, image: Image
    ) -> Callable[[Report, threading.Event], Any]:
        """Return what finds the centers."""
        key = image, image.data, detector
        known, com = self._known
        is_known = known is not None and known[:2] == key[:2] and known[2] == detector
        chosen = VectorMap(
            descan=DESCANS[self._descan.value],
            degrees=self._degrees.value,
            flip_y=self._flip.value,
            pixel=_pair(image.scale[2:]),
            scan_step=_pair(image.scale[:2]),
        )
        recipe = VectorRecipe(
            chosen, OUTPUTS_OF[self._map.value], self._rotation.value == ESTIMATE
        )

        def compute(report: Report, cancel: threading.Event) -> Any:
            found = com
            if not is_known:
                found = center_of_mass(ds, detector, progress=report, cancel=cancel)
            made = recipe.make(found)
            if made.problem is not None:
                raise made.problem
            return key, found, ds, made

        return compute

    def show_result(self, viewer: Viewer, image: Image, result: Any) -> None:
        """Add the maps that were chosen."""
        key, com, ds, made = result
        self._known = key, com
        self._degrees.value = made.turned.degrees
        self._flip.value = made.turned.flip_y
        for output, pixels in made.images.items():
            name = OUTPUTS[output].name(image.units[-1], image.units[0])
            if output == WHEEL:
                unit = unit_text(image.units[-1])
                name += f" (up to {made.wheel.maximum:.3g} {unit})"
            turned = replace(made.turned, output=output)
            made_of = MapRecord(ds, key[2], "com", turned)
            options = {
                **looks(output),
                "name": f"{name} of {image.name}",
                "metadata": {map_window.MAP_KEY: made_of},
            }
            map_window.add_map(viewer, image, pixels, options, limits(output, pixels))


def _pair(values: Any) -> tuple[float, float]:
    y, x = map(float, values)
    return y, x
