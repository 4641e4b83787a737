"""Dark frame, gain map and excluded pixels of a detector."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Corrections:
    """What a detector does to a frame, to be undone.

    ``(raw - dark) * gain`` in float32; then each excluded pixel becomes the mean of
    the good ones among its neighbors.

    Attributes
    ----------
    dark, gain : float32 array, shape sig_shape, optional
    excluded : bool array, shape sig_shape, optional
        True where a pixel is not to be used.
    """

    dark: NDArray[np.float32] | None = None
    gain: NDArray[np.float32] | None = None
    excluded: NDArray[np.bool_] | None = None

    def apply(self, frames: NDArray[Any]) -> NDArray[np.float32]:
        """Return corrected frames.

        Parameters
        ----------
        frames : array, shape (..., *sig_shape)

        Returns
        -------
        float32 array, shape (..., *sig_shape)
        """
        corrected = frames.astype(np.float32)
        if self.dark is not None:
            corrected -= self.dark
        if self.gain is not None:
            corrected *= self.gain
        if self.excluded is not None:
            self._patch(corrected)
        return corrected

    def _patch(self, frames: NDArray[np.float32]) -> None:
        excluded = np.asarray(self.excluded)
        flat = frames.reshape(*frames.shape[: frames.ndim - excluded.ndim], -1)
        for target, good in self._neighbors:
            flat[..., target] = flat[..., good].mean(axis=-1) if len(good) else 0

    @cached_property
    def _neighbors(self) -> list[tuple[int, NDArray[np.int64]]]:
        """Each excluded pixel with the good ones near it, as flat indices."""
        excluded = np.asarray(self.excluded)
        return [
            (
                int(np.ravel_multi_index(tuple(pixel), excluded.shape)),
                _good_neighbors(tuple(pixel.tolist()), excluded),
            )
            for pixel in np.argwhere(excluded)
        ]


def _good_neighbors(
    pixel: tuple[int, ...], excluded: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Flat indices of the good pixels in the smallest square that has any."""
    for reach in range(1, max(excluded.shape, default=0)):
        ranges = [
            range(max(i - reach, 0), min(i + reach + 1, n))
            for i, n in zip(pixel, excluded.shape, strict=True)
        ]
        good = [
            np.ravel_multi_index(neighbor, excluded.shape)
            for neighbor in product(*ranges)
            if not excluded[neighbor]
        ]
        if good:
            return np.array(good, dtype=np.int64)
    return np.array([], dtype=np.int64)
