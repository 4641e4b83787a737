"""A detector and its map: what is drawn, and what is made of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_4dstem.analysis.map_record import MapRecord, VectorMap
from napari_4dstem.gui.explorer.contrast import FollowingContrast
from napari_4dstem.gui.map_window import MAP_KEY

if TYPE_CHECKING:
    from napari.layers import Image, Layer

    from napari_4dstem.analysis.detectors import Detector
    from napari_4dstem.gui.explorer.maps import Request


@dataclass(frozen=True)
class Reduction:
    """What a map shows.

    Attributes
    ----------
    quantity : str
        Of the interactive engine.
    vector_map : VectorMap, optional
        What is made of centers of mass.
    """

    quantity: str
    vector_map: VectorMap | None = None

    def make(self, values: Any) -> Any:
        """Return the map of what the engine found."""
        if self.vector_map is None:
            return values
        if not np.isfinite(values).any():  # empty frames alone have no mean
            return values[..., 0]
        return self.vector_map.image(values)


REDUCTIONS = {
    "Sum": Reduction("sum"),
    "Maximum": Reduction("max"),
    "Centre of mass, y": Reduction("com", VectorMap("y")),
    "Centre of mass, x": Reduction("com", VectorMap("x")),
    "Shift, magnitude": Reduction("com", VectorMap("magnitude", descan="mean")),
    "Shift, angle": Reduction("com", VectorMap("angle", descan="mean")),
}


@dataclass(eq=False)
class Entry(FollowingContrast):
    """A detector: what is drawn on the pattern, and its map of the scan.

    Attributes
    ----------
    drawing : Shapes, Points or Labels
        In the viewer of the pattern.
    image : Image
        In the viewer of the scan.
    reduction : str
        One of `REDUCTIONS`.
    detector : Detector or None
        As it was drawn last; None while it holds no pixel.
    is_exact : bool
        Whether the map is that of the detector, and no preview of it.
    follows : bool
        Whether the contrast follows the map: until somebody sets it.
    placed : (Detector, Detector) or None
        A detector with numbers that no drawing keeps: how the drawing reads as long as
        nobody changes it, and the detector itself.
    """

    drawing: Layer
    image: Image
    reduction: str = "Sum"
    detector: Detector | None = None
    is_exact: bool = False
    follows: bool = True
    placed: tuple[Detector, Detector] | None = None

    @property
    def name(self) -> str:
        """Of detector and map."""
        return str(self.image.name)

    @property
    def recipe(self) -> Reduction:
        """What the map is made by."""
        return REDUCTIONS[self.reduction]

    def show(self, made: Any, request: Request, is_exact: bool) -> None:
        """Show a map."""
        self.image.data = made
        if self.follows:
            self.fit()
        made_by, record = self.recipe, None
        if is_exact:
            record = MapRecord(
                request.ds, request.detector, made_by.quantity, made_by.vector_map
            )
        self.image.metadata = {MAP_KEY: record}

    def blank(self) -> None:
        """Show nothing: there is no detector."""
        self.image.data = np.zeros_like(self.image.data)
        self.image.metadata = {MAP_KEY: None}
