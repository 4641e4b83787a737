"""4D-STEM data in napari: any size, any format of the field, live virtual detectors.

Public names are loaded when they are first used, so that importing costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_4dstem.analysis.bright_field import find_bright_field_disk
    from napari_4dstem.analysis.center_of_mass import center_of_mass
    from napari_4dstem.analysis.color_wheel import color_wheel
    from napari_4dstem.analysis.descan import descan
    from napari_4dstem.analysis.detectors import (
        Annulus,
        Disk,
        Mask,
        Point,
        Polygon,
        Rectangle,
    )
    from napari_4dstem.analysis.hot_pixels import find_hot_pixels
    from napari_4dstem.analysis.max_image import max_image
    from napari_4dstem.analysis.phase import phase
    from napari_4dstem.analysis.radial_profile import radial_profile
    from napari_4dstem.analysis.rotation import estimate_rotation, rotate
    from napari_4dstem.analysis.statistics import (
        max_frame,
        mean_frame,
        std_frame,
        sum_frame,
        sum_image,
    )
    from napari_4dstem.analysis.vector_maps import angle, curl, divergence, magnitude
    from napari_4dstem.analysis.virtual_image import virtual_image
    from napari_4dstem.axes import Calibration, Sampling
    from napari_4dstem.corrections import Corrections
    from napari_4dstem.dataset import Dataset, Detection, detect, filetypes, load
    from napari_4dstem.engine import (
        PerFrame,
        Progress,
        Reduction,
        map_frames,
        run,
        stream,
    )
    from napari_4dstem.errors import (
        Cancelled,
        FormatError,
        FormatWarning,
        ShapeError,
    )
    from napari_4dstem.live import LiveImages, LivePattern

_HOMES = {
    "Annulus": "analysis.detectors",
    "Calibration": "axes",
    "Cancelled": "errors",
    "Corrections": "corrections",
    "Dataset": "dataset",
    "Detection": "dataset",
    "Disk": "analysis.detectors",
    "FormatError": "errors",
    "FormatWarning": "errors",
    "LiveImages": "live",
    "LivePattern": "live",
    "Mask": "analysis.detectors",
    "PerFrame": "engine",
    "Point": "analysis.detectors",
    "Polygon": "analysis.detectors",
    "Progress": "engine",
    "Rectangle": "analysis.detectors",
    "Reduction": "engine",
    "Sampling": "axes",
    "ShapeError": "errors",
    "angle": "analysis.vector_maps",
    "center_of_mass": "analysis.center_of_mass",
    "color_wheel": "analysis.color_wheel",
    "curl": "analysis.vector_maps",
    "descan": "analysis.descan",
    "detect": "dataset",
    "divergence": "analysis.vector_maps",
    "estimate_rotation": "analysis.rotation",
    "filetypes": "dataset",
    "find_bright_field_disk": "analysis.bright_field",
    "find_hot_pixels": "analysis.hot_pixels",
    "load": "dataset",
    "magnitude": "analysis.vector_maps",
    "map_frames": "engine",
    "max_frame": "analysis.statistics",
    "max_image": "analysis.max_image",
    "mean_frame": "analysis.statistics",
    "phase": "analysis.phase",
    "radial_profile": "analysis.radial_profile",
    "rotate": "analysis.rotation",
    "run": "engine",
    "std_frame": "analysis.statistics",
    "stream": "engine",
    "suggest_scan_shapes": "analysis.scan_shapes",
    "sum_frame": "analysis.statistics",
    "sum_image": "analysis.statistics",
    "virtual_image": "analysis.virtual_image",
}

__all__ = [
    "Annulus",
    "Calibration",
    "Cancelled",
    "Corrections",
    "Dataset",
    "Detection",
    "Disk",
    "FormatError",
    "FormatWarning",
    "LiveImages",
    "LivePattern",
    "Mask",
    "PerFrame",
    "Point",
    "Polygon",
    "Progress",
    "Rectangle",
    "Reduction",
    "Sampling",
    "ShapeError",
    "angle",
    "center_of_mass",
    "color_wheel",
    "curl",
    "descan",
    "detect",
    "divergence",
    "estimate_rotation",
    "filetypes",
    "find_bright_field_disk",
    "find_hot_pixels",
    "load",
    "magnitude",
    "map_frames",
    "max_frame",
    "max_image",
    "mean_frame",
    "phase",
    "radial_profile",
    "rotate",
    "run",
    "std_frame",
    "stream",
    "suggest_scan_shapes",
    "sum_frame",
    "sum_image",
    "virtual_image",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("napari-4dstem")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
