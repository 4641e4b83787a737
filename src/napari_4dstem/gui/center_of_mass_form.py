"""The form that makes maps of the center of mass of every pattern."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from magicgui.widgets import CheckBox, ComboBox, FloatSpinBox

from napari_4dstem.analysis.center_of_mass import center_of_mass
from napari_4dstem.analysis.color_wheel import color_wheel
from napari_4dstem.analysis.descan import descan
from napari_4dstem.analysis.phase import phase
from napari_4dstem.analysis.rotation import estimate_rotation, rotate
from napari_4dstem.analysis.vector_maps import angle, curl, divergence, magnitude
from napari_4dstem.gui import map_window
from napari_4dstem.gui.map_form import MapForm, Report

if TYPE_CHECKING:
    from napari.layers import Image
    from napari.viewer import Viewer

    from napari_4dstem.analysis.detectors import Detector
    from napari_4dstem.dataset import Dataset

SHIFTS, WHEEL = "Shift along y and x", "Colour wheel"
MAPS: dict[str, Callable[..., Any]] = {
    "Magnitude": lambda com, step: magnitude(com),
    "Angle": lambda com, step: angle(com),
    "Divergence": divergence,
    "Curl": curl,
    "Integrated phase": phase,
}
NO_DESCAN, MEAN, PLANE = "nothing", "the mean", "a plane"
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
            name="map", label="Map", choices=[SHIFTS, *MAPS, WHEEL], value=SHIFTS
        )
        self._descan = ComboBox(
            name="descan",
            label="Subtract",
            choices=[NO_DESCAN, MEAN, PLANE],
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
        made_of = {
            "analysis": "center_of_mass",
            "data_set": ds,
            "detector": detector,
            "map": self._map.value,
            "descan": self._descan.value,
        }
        given = self._degrees.value, self._flip.value
        is_given = self._rotation.value == BY_HAND
        step = tuple(image.scale[:2])
        pixel = np.asarray(image.scale[2:])

        def compute(report: Report, cancel: threading.Event) -> Any:
            found = com
            if not is_known:
                found = center_of_mass(ds, detector, progress=report, cancel=cancel)
            vectors = found * pixel
            if made_of["descan"] != NO_DESCAN:
                reference = "mean" if made_of["descan"] == MEAN else "plane"
                vectors = descan(vectors, reference)
            degrees, flip_y = given
            if not is_given:
                rotation = estimate_rotation(vectors, scan_step=step)
                degrees, flip_y = rotation.degrees, rotation.flip_y
            vectors = rotate(vectors, degrees, flip_y)
            made_of.update(degrees=degrees, flip_y=flip_y)
            return key, found, vectors, step, made_of

        return compute

    def show_result(self, viewer: Viewer, image: Image, result: Any) -> None:
        """Add the maps that were chosen."""
        key, com, vectors, step, made_of = result
        self._known = key, com
        self._degrees.value, self._flip.value = made_of["degrees"], made_of["flip_y"]
        unit = _unit(image.units[-1])
        for name, pixels, options in _maps(made_of["map"], vectors, step, unit):
            options["name"] = f"{name} of {image.name}"
            options["metadata"] = {map_window.MAP_KEY: made_of}
            map_window.add_map(viewer, image, pixels, options)


def _maps(
    kind: str, vectors: Any, step: tuple[float, float], unit: str
) -> list[tuple[str, Any, dict[str, Any]]]:
    """Return name, pixels and looks of the layers that show vectors."""
    if kind == SHIFTS:
        return [
            (f"Shift along {axis} ({unit})", vectors[..., i], {})
            for i, axis in ((1, "x"), (0, "y"))
        ]
    if kind == WHEEL:
        wheel = color_wheel(vectors)
        name = f"Colour wheel (up to {wheel.maximum:.3g} {unit})"
        return [(name, wheel.image, {"rgb": True})]
    looks = {"colormap": CYCLIC} if kind == "Angle" else {}
    return [(kind, MAPS[kind](vectors, step), looks)]


def _unit(unit: Any) -> str:
    """Return a unit as people write it."""
    text = str(unit)
    return {"pixel": "px", "milliradian": "mrad", "nanometer": "nm"}.get(
        text, text.replace("1 / nanometer", "1/nm")
    )
