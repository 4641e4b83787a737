"""What a workspace holds, and the marks of its file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_4dstem.analysis.map_record import NO_DESCAN, VectorMap
from napari_4dstem.dataset import Dataset, Opening
from napari_4dstem.errors import FormatError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_4dstem.analysis.detectors import Detector

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
        Colormap of its map, or a color.
    reduction : str
        What its map shows, as the Explorer calls it.
    """

    name: str
    detector: Detector
    color: str = "white"
    reduction: str = "Sum"


@dataclass(frozen=True)
class CenterOfMass:
    """What is shown of the center of mass, and how it is corrected.

    Attributes
    ----------
    detector : str or None
        Name of the one that it is taken in; None: all pixels.
    descan : "none", "mean" or "plane"
    degrees : float
    flip_y : bool
        As of `VectorMap`.
    outputs : tuple of str
        Those of `VectorMap` that are shown.
    """

    detector: str | None = None
    descan: str = NO_DESCAN
    degrees: float = 0.0
    flip_y: bool = False
    outputs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        VectorMap(descan=self.descan)  # refuses what there is not
        for output in self.outputs:
            VectorMap(output)


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
    region : bool array, shape nav_shape, or None
        What is drawn on the scan for it.
    is_log : bool
        Whether the brightness of the pattern is the logarithm of counts.
    center_of_mass : CenterOfMass or None
    """

    data_set: Opening
    detectors: tuple[DrawnDetector, ...] = ()
    probe: tuple[int, int] | None = None
    pattern: str = "Probe"
    region: NDArray[np.bool_] | None = None
    is_log: bool = False
    center_of_mass: CenterOfMass | None = None

    def check_is_in_files(self) -> None:
        """Raise a FormatError if the data are in memory only: nothing finds them."""
        if self.data_set.is_in_memory:
            raise FormatError(
                None,
                f"the data of {self.data_set.name!r} are in no file: a workspace could"
                " not open them again",
                hint="Save the data first, open that file, and save the workspace"
                " then.",
            )

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
