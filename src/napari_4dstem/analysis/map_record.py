"""What a map of the scan was made of and how, so that it can be made again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_4dstem.analysis.center_of_mass import center_of_mass
from napari_4dstem.analysis.color_wheel import color_wheel
from napari_4dstem.analysis.descan import descan
from napari_4dstem.analysis.max_image import max_image
from napari_4dstem.analysis.phase import phase
from napari_4dstem.analysis.rotation import rotate
from napari_4dstem.analysis.vector_maps import angle, curl, divergence, magnitude
from napari_4dstem.analysis.virtual_image import virtual_image
from napari_4dstem.errors import ParameterError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from napari_4dstem.analysis.detectors import Detector
    from napari_4dstem.dataset import Dataset

QUANTITIES: dict[str, Callable[..., NDArray[Any]]] = {
    "sum": virtual_image,
    "max": max_image,
    "com": center_of_mass,
}
NO_DESCAN = "none"
DESCANS = (NO_DESCAN, "mean", "plane")
COMPONENTS = ("y", "x")
OF_VECTORS = {"magnitude": magnitude, "angle": angle}
OF_SLOPES = {"divergence": divergence, "curl": curl, "phase": phase}
WHEEL = "color_wheel"
OUTPUTS = (*COMPONENTS, *OF_VECTORS, *OF_SLOPES, WHEEL)


@dataclass(frozen=True)
class VectorMap:
    """What is made of the center of mass of every frame.

    Attributes
    ----------
    output : str
        "y", "x", "magnitude", "angle", "divergence", "curl", "phase" or "color_wheel".
    descan : str or (float, float)
        What is subtracted: "none", "mean", "plane", or a position ``(ky, kx)`` in the
        unit of `pixel`.
    degrees : float
    flip_y : bool
        As of `rotate`.
    pixel : (float, float)
        Size of a pixel of the detector along ky and kx: the unit of the vectors.
    scan_step : (float, float)
        Along y and x, in any unit.
    """

    output: str = "magnitude"
    descan: str | tuple[float, float] = NO_DESCAN
    degrees: float = 0.0
    flip_y: bool = False
    pixel: tuple[float, float] = (1.0, 1.0)
    scan_step: tuple[float, float] = (1.0, 1.0)

    def __post_init__(self) -> None:
        _check("output", self.output, OUTPUTS)
        if isinstance(self.descan, str):
            _check("descan", self.descan, DESCANS)

    @property
    def is_turned(self) -> bool:
        """Whether there is a rotation or a flip at all."""
        return self.degrees != 0 or self.flip_y

    def vectors(self, com: ArrayLike) -> NDArray[np.float64]:
        """Return deflections in scan axes, shape (*nav_shape, 2).

        Parameters
        ----------
        com : array, shape (*nav_shape, 2)
            Centers of mass in pixels.
        """
        vectors = np.asarray(com, np.float64) * self.pixel
        if self.descan != NO_DESCAN:
            vectors = descan(vectors, self.descan)
        if self.is_turned:
            vectors = rotate(vectors, self.degrees, self.flip_y)
        return vectors

    def image(self, com: ArrayLike) -> NDArray[Any]:
        """Return the map: shape nav_shape; of colors (*nav_shape, 3).

        Parameters
        ----------
        com : array, shape (*nav_shape, 2)
            Centers of mass in pixels.
        """
        return self.image_of(self.vectors(com))

    def image_of(self, vectors: NDArray[np.float64]) -> NDArray[Any]:
        """Return the map of what `vectors` has made, where several maps share it."""
        if self.output in COMPONENTS:
            component: NDArray[Any] = vectors[..., COMPONENTS.index(self.output)]
            return component
        if self.output in OF_VECTORS:
            return OF_VECTORS[self.output](vectors)
        if self.output in OF_SLOPES:
            return OF_SLOPES[self.output](vectors, self.scan_step)
        return color_wheel(vectors).image


@dataclass(frozen=True, eq=False)
class MapRecord:
    """What a map of the scan was made of and how.

    Layers with a map have it under ``layer.metadata["napari_4dstem_map"]``.

    Attributes
    ----------
    data_set : Dataset
        In its scan geometry, with its calibration and corrections.
    detector : Detector or None
        None: all pixels.
    quantity : "sum", "max" or "com"
        What is measured of each frame: `virtual_image`, `max_image` or
        `center_of_mass`.
    vector_map : VectorMap, optional
        What is made of centers of mass; None gives these themselves.
    """

    data_set: Dataset
    detector: Detector | None
    quantity: str = "sum"
    vector_map: VectorMap | None = None

    def __post_init__(self) -> None:
        _check("quantity", self.quantity, tuple(QUANTITIES))
        if self.quantity == "sum" and self.detector is None:
            raise ParameterError(
                None, "detector", "a sum needs a detector", hint="Give one."
            )
        if self.quantity != "com" and self.vector_map is not None:
            raise ParameterError(
                None,
                "vector_map",
                "only centers of mass are vectors",
                expected="quantity 'com'",
                found=repr(self.quantity),
            )

    def measure(self, **options: Any) -> NDArray[Any]:
        """Return what is measured of the frames. Reads them.

        Parameters
        ----------
        **options
            ``progress``, ``cancel``, ``scheduler``: see `run`.
        """
        return QUANTITIES[self.quantity](self.data_set, self.detector, **options)

    def image(self, measured: NDArray[Any]) -> NDArray[Any]:
        """Return the map that is made of what was measured."""
        return measured if self.vector_map is None else self.vector_map.image(measured)

    def compute(self, **options: Any) -> NDArray[Any]:
        """Return the map. Reads the frames.

        Parameters
        ----------
        **options
            ``progress``, ``cancel``, ``scheduler``: see `run`.
        """
        return self.image(self.measure(**options))


def _check(name: str, value: object, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ParameterError(
            None,
            name,
            f"the {name} of a map cannot be that",
            expected=", ".join(map(repr, known)),
            found=repr(value),
        )
