"""Workspace files: a data set and what was drawn on it, to go on with it later.

JSON, ``*.4dstem.json``. Within a major version keys are only added; those that a
reader does not know it leaves alone.
"""

from __future__ import annotations

from napari_4dstem.workspace._reading import read
from napari_4dstem.workspace._saving import save
from napari_4dstem.workspace._workspace import (
    SUFFIX,
    CenterOfMass,
    DrawnDetector,
    Workspace,
    is_workspace,
)

__all__ = [
    "SUFFIX",
    "CenterOfMass",
    "DrawnDetector",
    "Workspace",
    "is_workspace",
    "read",
    "save",
]
