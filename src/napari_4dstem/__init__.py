"""4D-STEM data in napari: any size, any format of the field, live virtual detectors.

Public names are loaded when they are first used, so that importing costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_4dstem.axes import Calibration, Sampling
    from napari_4dstem.corrections import Corrections
    from napari_4dstem.dataset import Dataset, Detection, detect, filetypes, load
    from napari_4dstem.errors import FormatError, FormatWarning

_HOMES = {
    "Calibration": "axes",
    "Corrections": "corrections",
    "Dataset": "dataset",
    "Detection": "dataset",
    "FormatError": "errors",
    "FormatWarning": "errors",
    "Sampling": "axes",
    "detect": "dataset",
    "filetypes": "dataset",
    "load": "dataset",
}

__all__ = [
    "Calibration",
    "Corrections",
    "Dataset",
    "Detection",
    "FormatError",
    "FormatWarning",
    "Sampling",
    "detect",
    "filetypes",
    "load",
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
