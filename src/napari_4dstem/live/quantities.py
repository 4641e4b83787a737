"""What a map shows of each frame: a sum, a center of mass, a maximum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_4dstem.analysis.center_of_mass import centers, moments
from napari_4dstem.analysis.detectors import Mask
from napari_4dstem.analysis.max_image import Largest
from napari_4dstem.analysis.virtual_image import masked_sums
from napari_4dstem.engine import PerFrame
from napari_4dstem.errors import ParameterError
from napari_4dstem.frames.lanes import is_long

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_4dstem.dataset import Dataset
    from napari_4dstem.frames.batches import Batch


@dataclass(frozen=True, eq=False)
class Sums:
    """Sums within a mask.

    Attributes
    ----------
    ds : Dataset
        All frames, in stored order.
    """

    ds: Dataset

    def measured(self, masks: Sequence[NDArray[Any]]) -> tuple[PerFrame, ...]:
        """Return reductions that together give the values for some masks."""
        return (masked_sums(self.ds, masks),)

    def values(self, measured: Sequence[PerFrame], batch: Batch) -> NDArray[Any]:
        """Return the values of each frame for each mask, shape (n, masks, k)."""
        return measured[0].values(batch)[..., np.newaxis]

    def subtracts(self, masks: Sequence[NDArray[Any]]) -> bool:
        """Whether values of masks can be subtracted without any rounding."""
        is_exact = self.ds.frames.source.dtype.kind in "biu"
        is_exact &= self.ds.corrections is None
        return is_exact and all(mask.dtype == bool for mask in masks)

    def weights(self, mask: NDArray[Any]) -> list[NDArray[Any]] | None:
        """Return weights of pixels whose sums are the values; None: there are none."""
        return [mask]

    def image(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return the map, from values of shape (*nav_shape, k)."""
        return values[..., 0]


@dataclass(frozen=True, eq=False)
class Centers(Sums):
    """Centers of mass within a mask; the values are moments."""

    def measured(self, masks: Sequence[NDArray[Any]]) -> tuple[PerFrame, ...]:
        """Return reductions that together give the values for some masks."""
        return tuple(moments(self.ds, Mask(mask)) for mask in masks)

    def values(self, measured: Sequence[PerFrame], batch: Batch) -> NDArray[Any]:
        """Return the values of each frame for each mask, shape (n, masks, 3)."""
        return np.stack([part.values(batch) for part in measured], axis=1)

    def subtracts(self, masks: Sequence[NDArray[Any]]) -> bool:
        """Whether moments can be subtracted: those of 64 bits are rounded."""
        return super().subtracts(masks) and not is_long(self.ds.frames.source.dtype)

    def weights(self, mask: NDArray[Any]) -> list[NDArray[Any]] | None:
        """Return weights of pixels whose sums are the values."""
        ky, kx = np.indices(mask.shape)
        return [mask, mask * ky, mask * kx]

    def image(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return the map, from values of shape (*nav_shape, 3)."""
        return centers(values)


@dataclass(frozen=True, eq=False)
class Maxima(Sums):
    """The largest pixel within a mask; 0 where the mask is empty."""

    def measured(self, masks: Sequence[NDArray[Any]]) -> tuple[PerFrame, ...]:
        """Return reductions that together give the values for some masks."""
        dtype = np.abs(np.empty(0, self.ds.dtype)).dtype
        return tuple(
            Largest(nav_shape=self.ds.nav_shape, mask=mask != 0, dtype=dtype)
            for mask in masks
        )

    def values(self, measured: Sequence[PerFrame], batch: Batch) -> NDArray[Any]:
        """Return the values of each frame for each mask, shape (n, masks, 1)."""
        found = np.stack([part.values(batch) for part in measured], axis=1)
        return found[..., np.newaxis]

    def subtracts(self, masks: Sequence[NDArray[Any]]) -> bool:
        """Whether values of masks can be subtracted: no."""
        return False

    def weights(self, mask: NDArray[Any]) -> list[NDArray[Any]] | None:
        """Return nothing: a sum over a bin does not tell its largest pixel."""
        return None


QUANTITIES: dict[str, type[Sums]] = {"sum": Sums, "com": Centers, "max": Maxima}


def quantity(ds: Dataset, name: str) -> Sums:
    """Return what a map shows, by its name."""
    if name not in QUANTITIES:
        raise ParameterError(
            None,
            "reduction",
            "unknown reduction",
            expected=", ".join(repr(known) for known in QUANTITIES),
            found=repr(name),
        )
    return QUANTITIES[name](ds)
