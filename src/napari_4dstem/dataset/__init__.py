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

__all__ = [
    "AUTO",
    "COMMON_PARAMETERS",
    "Dataset",
    "Detection",
    "FileType",
    "detect",
    "filetypes",
    "load",
    "natural_order",
    "open_dataset",
]
