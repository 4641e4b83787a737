"""load, detect and Dataset: a scan of detector images, opened and not yet read."""

from __future__ import annotations

from napari_4dstem.dataset._dataset import Dataset
from napari_4dstem.dataset._opening import (
    AUTO,
    Detection,
    FileType,
    detect,
    filetypes,
    load,
    open_dataset,
)
from napari_4dstem.dataset._parameters import COMMON_PARAMETERS
from napari_4dstem.dataset._paths import natural_order
from napari_4dstem.dataset._reopening import FOUND, Opening, opening_of

__all__ = [
    "AUTO",
    "COMMON_PARAMETERS",
    "FOUND",
    "Dataset",
    "Detection",
    "FileType",
    "Opening",
    "detect",
    "filetypes",
    "load",
    "natural_order",
    "open_dataset",
    "opening_of",
]
