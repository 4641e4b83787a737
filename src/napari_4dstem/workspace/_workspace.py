"""What a workspace holds, and the marks of its file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_4dstem.dataset import Dataset, Opening
from napari_4dstem.errors import FormatError

if TYPE_CHECKING:
    from napari_4dstem.analysis.detectors import Detector
    from napari_4dstem.analysis.map_record import VectorMap

SUFFIX = ".4dstem.json"
MARK = "napari_4dstem_workspace"
MAJOR, MINOR = 1, 0
MASK = "Mask"


@dataclass(frozen=True)
class DrawnDetector:
    """A detector of the Explorer.

    Attributes
    ----------
    name : str
    detector : Detector
    color : str
    reduction : str
        What its map shows, as the Explorer calls it.
    """

    name: str
    detector: Detector
    color: str = "white"
    reduction: str = "Sum"


@dataclass(frozen=True, eq=False)
class Workspace:
    """What was open and drawn.

    Attributes
    ----------
    data_set : Opening
        ``dataset.opening_of(ds)``: with scan geometry, calibration and corrections.
    detectors : tuple of DrawnDetector
    probe : (int, int) or None
        Scan position.
    pattern : str
        What the pattern is made of, as the Explorer calls it.
    is_log : bool
        Whether the brightness of the pattern is the logarithm of counts.
    center_of_mass : VectorMap or None
        What the center of mass is shown as, and how it is corrected.
    """

    data_set: Opening
    detectors: tuple[DrawnDetector, ...] = ()
    probe: tuple[int, int] | None = None
    pattern: str = "Probe"
    is_log: bool = False
    center_of_mass: VectorMap | None = None

    def open_data_set(self) -> Dataset:
        """Open the data set again. Reads headers only.

        Raises
        ------
        FormatError
            If a file is not what it was.
        """
        try:
            return self.data_set.open()
        except TypeError as error:  # somebody has written a value of another kind
            raise FormatError(
                self.data_set.path,
                "the workspace opens its data with an impossible parameter",
                found=str(error),
            ) from error


def is_workspace(path: Path) -> bool:
    """Whether a file is a workspace, by its name."""
    return path.name.lower().endswith(SUFFIX)
