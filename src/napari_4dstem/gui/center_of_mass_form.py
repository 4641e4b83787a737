"""The form that makes maps of the center of mass of every pattern."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from magicgui.widgets import CheckBox, ComboBox, FloatSpinBox

from napari_4dstem.analysis.center_of_mass import center_of_mass
from napari_4dstem.analysis.color_wheel import color_wheel
from napari_4dstem.analysis.map_record import MapRecord, VectorMap
from napari_4dstem.analysis.rotation import estimate_rotation
from napari_4dstem.gui import map_window
from napari_4dstem.gui.map_form import MapForm, Report

if TYPE_CHECKING:
    from napari.layers import Image
    from napari.viewer import Viewer

    from napari_4dstem.analysis.detectors import Detector
    from napari_4dstem.dataset import Dataset

SHIFTS, WHEEL = "Shift along y and x", "Colour wheel"
# What there is to choose, and the maps it makes, as `VectorMap` calls them.
OUTPUTS_OF = {
    SHIFTS: ("x", "y"),
    "Magnitude": ("magnitude",),
    "Angle": ("angle",),
    "Divergence": ("divergence",),
    "Curl": ("curl",),
    "Integrated phase": ("phase",),
    WHEEL: ("color_wheel",),
}
MEAN, PLANE = "the mean", "a plane"
DESCANS = {"nothing": "none", MEAN: "mean", PLANE: "plane"}
BY_HAND, ESTIMATE = "as given below", "estimated, by least curl"
# The colors of directions have to close a circle.
CYCLIC = "hsv"


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
            value=MEAN,
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
        shown = VectorMap(
            descan=DESCANS[self._descan.value],
            degrees=self._degrees.value,
            flip_y=self._flip.value,
            pixel=_pair(image.scale[2:]),
            scan_step=_pair(image.scale[:2]),
        )
        kind, is_given = self._map.value, self._rotation.value == BY_HAND

        def compute(report: Report, cancel: threading.Event) -> Any:
            found = com
            if not is_known:
                found = center_of_mass(ds, detector, progress=report, cancel=cancel)
            turned = shown if is_given else _upright(shown, found)
            made = _maps(kind, MapRecord(ds, detector, "com", turned), found)
            return key, found, turned, made

        return compute

    def show_result(self, viewer: Viewer, image: Image, result: Any) -> None:
        """Add the maps that were chosen."""
        key, com, shown, made = result
        self._known = key, com
        self._degrees.value, self._flip.value = shown.degrees, shown.flip_y
        unit = _unit(image.units[-1])
        for name, pixels, looks, record in made:
            options = {
                **looks,
                "name": f"{name.format(unit=unit)} of {image.name}",
                "metadata": {map_window.MAP_KEY: record},
            }
            map_window.add_map(viewer, image, pixels, options)


def _pair(values: Any) -> tuple[float, float]:
    y, x = map(float, values)
    return y, x


def _upright(shown: VectorMap, com: Any) -> VectorMap:
    """Return a map with the rotation and flip that leave the least curl."""
    vectors = replace(shown, degrees=0.0, flip_y=False).vectors(com)
    rotation = estimate_rotation(vectors, scan_step=shown.scan_step)
    return replace(shown, degrees=rotation.degrees, flip_y=rotation.flip_y)


def _maps(
    kind: str, record: MapRecord, com: Any
) -> list[tuple[str, Any, dict[str, Any], MapRecord]]:
    """Return name, pixels, looks and record of the layers of a map."""
    assert record.vector_map is not None
    records = {
        output: replace(record, vector_map=replace(record.vector_map, output=output))
        for output in OUTPUTS_OF[kind]
    }
    if kind == WHEEL:
        wheel = color_wheel(record.vector_map.vectors(com))
        name = f"{kind} (up to {wheel.maximum:.3g} {{unit}})"
        return [(name, wheel.image, {"rgb": True}, records["color_wheel"])]
    looks = {"colormap": CYCLIC} if kind == "Angle" else {}
    return [
        (
            f"Shift along {output} ({{unit}})" if kind == SHIFTS else kind,
            each.image(com),
            looks,
            each,
        )
        for output, each in records.items()
    ]


def _unit(unit: Any) -> str:
    """Return a unit as people write it."""
    text = str(unit)
    return {"pixel": "px", "milliradian": "mrad", "nanometer": "nm"}.get(
        text, text.replace("1 / nanometer", "1/nm")
    )
