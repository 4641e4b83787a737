"""What is made of centers of mass: several maps at once, and what turned them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_4dstem.analysis.color_wheel import ColorWheel, color_wheel
from napari_4dstem.analysis.map_record import WHEEL, VectorMap
from napari_4dstem.analysis.rotation import Rotation, estimate_rotation, rotate
from napari_4dstem.errors import FormatError

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Made:
    """What a recipe has made.

    Attributes
    ----------
    images : dict
        By name of the output.
    turned : VectorMap
        How the vectors were turned for them.
    wheel : ColorWheel or None
    rotation : Rotation or None
        Where it was estimated.
    problem : FormatError or None
        Why an image is blank, or the rotation was not found.
    blank : frozenset of str
        Outputs that cannot be made.
    """

    images: dict[str, NDArray[Any]]
    turned: VectorMap
    wheel: ColorWheel | None
    rotation: Rotation | None
    problem: FormatError | None
    blank: frozenset[str] = frozenset()


@dataclass(frozen=True)
class VectorRecipe:
    """Makes several maps of the same centers of mass.

    Attributes
    ----------
    vector_map : VectorMap
        Of any output.
    outputs : tuple of str
    estimates : bool
        Whether rotation and flip are to be estimated first.
    """

    vector_map: VectorMap
    outputs: tuple[str, ...]
    estimates: bool = False
    quantity: str = "com"

    def make(self, com: NDArray[np.float64]) -> Made:
        """Make all maps. What cannot be made is blank."""
        turned, rotation, problem = self.vector_map, None, None
        try:
            if not np.isfinite(com).any():
                raise FormatError(
                    None,
                    "there is no centre of mass: all frames hold nothing within the"
                    " detector",
                    hint="Move the detector, or take all pixels.",
                )
            vectors = replace(turned, degrees=0.0, flip_y=False).vectors(com)
        except FormatError as error:
            problem = error
            vectors = np.full(com.shape, np.nan)
        blank = set(self.outputs if problem is not None else ())
        if self.estimates and problem is None:
            try:
                rotation = estimate_rotation(vectors, scan_step=turned.scan_step)
            except FormatError as error:
                problem = error
            else:
                turned = replace(
                    turned, degrees=rotation.degrees, flip_y=rotation.flip_y
                )
        if turned.is_turned:
            vectors = rotate(vectors, turned.degrees, turned.flip_y)
        images: dict[str, NDArray[Any]] = {}
        wheel = color_wheel(vectors) if WHEEL in self.outputs else None
        for output in self.outputs:
            try:
                images[output] = (
                    wheel.image
                    if wheel is not None and output == WHEEL
                    else replace(turned, output=output).image_of(vectors)
                )
            except FormatError as error:  # such as a slope along a single line
                problem = problem or error
                blank.add(output)
                images[output] = np.full(com.shape[:-1], np.nan)
        return Made(images, turned, wheel, rotation, problem, frozenset(blank))
