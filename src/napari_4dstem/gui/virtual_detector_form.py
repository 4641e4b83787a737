"""The form that makes a virtual image of the scan."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, Any

from napari_4dstem.analysis.map_record import MapRecord
from napari_4dstem.errors import ParameterError
from napari_4dstem.gui import map_window
from napari_4dstem.gui.map_form import MapForm, Report

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Image
    from napari.viewer import Viewer

    from napari_4dstem.analysis.detectors import Detector
    from napari_4dstem.dataset import Dataset


class VirtualDetectorForm(MapForm):
    """Sum of every pattern within what is drawn on it, as a map of the scan.

    Parameters
    ----------
    napari_viewer : Viewer
    """

    TITLE = "Virtual detector"

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__(napari_viewer, (), nothing_drawn="draw one, or add one below")

    def job(
        self, ds: Dataset, detector: Detector | None, image: Image
    ) -> Callable[[Report, threading.Event], Any]:
        """Return what makes the virtual image."""
        if detector is None:
            raise ParameterError(
                None,
                "detector",
                "there is no detector yet",
                expected="a layer of shapes, labels or points on the pattern",
                hint="New disk or New ring adds one.",
            )
        # Later the user may have chosen another one.
        name = f"{self._detector.value.name} of {image.name}"
        return partial(_compute, MapRecord(ds, detector), name)

    def show_result(self, viewer: Viewer, image: Image, result: Any) -> None:
        """Add the virtual image."""
        pixels, name, record = result
        options = {"name": name, "metadata": {map_window.MAP_KEY: record}}
        map_window.add_map(viewer, image, pixels, options)


def _compute(
    record: MapRecord, name: str, report: Report, cancel: threading.Event
) -> Any:
    return record.compute(progress=report, cancel=cancel), name, record
