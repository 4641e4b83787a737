"""Frames that are the same every time, and what plain numpy makes of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK = 32  # frames made at once
RINGS = 5
SHIFT = 7  # pixels by which each block is turned against the one before it


@dataclass(frozen=True)
class Scan:
    """A scan of a disk that is brighter than the rest, with Poisson noise.

    Attributes
    ----------
    nav_shape, sig_shape : tuple of int
    dtype : str
    top : int
        Largest value; the fewer, the more is noise.
    """

    nav_shape: tuple[int, int]
    sig_shape: tuple[int, int]
    dtype: str = "u2"
    top: int = 4095

    @property
    def count(self) -> int:
        """Number of frames."""
        return prod(self.nav_shape)

    @property
    def nbytes(self) -> int:
        """Logical bytes: pixels of the type in which a reader gives them."""
        return self.count * prod(self.sig_shape) * np.dtype(self.dtype).itemsize

    @property
    def center(self) -> tuple[float, float]:
        """Of all detectors, pixels ``(y, x)``."""
        return self.sig_shape[0] / 2, self.sig_shape[1] / 2

    @property
    def radii(self) -> tuple[float, float]:
        """Of the annulus: a sixth and a third of the width."""
        return self.sig_shape[1] / 6, self.sig_shape[1] / 3

    @property
    def rings(self) -> list[tuple[float, float]]:
        """Inner and outer radius of disjoint rings that make up the annulus."""
        edges = np.linspace(*self.radii, RINGS + 1)
        return [(float(a), float(b)) for a, b in pairwise(edges)]

    @cached_property
    def _block(self) -> NDArray[Any]:
        rng = np.random.default_rng(4)
        height, width = self.sig_shape
        y, x = np.indices(self.sig_shape)
        distance = np.hypot(y - self.center[0], x - self.center[1])
        mean = np.where(distance < width / 5, 0.4, 0.05) * min(self.top, 1000)
        frames = rng.poisson(mean, (BLOCK, height, width))
        return np.minimum(frames, self.top).astype(self.dtype)

    def blocks(self) -> Iterator[NDArray[Any]]:
        """Yield all frames in the order of the scan, some at a time."""
        for i in range(0, self.count, BLOCK):
            turned = np.roll(self._block, SHIFT * (i // BLOCK), axis=-1)
            yield turned[: self.count - i]

    def frames(self) -> NDArray[Any]:
        """Return all frames, shape ``(n, ky, kx)``."""
        return np.concatenate(list(self.blocks()), dtype=self.dtype)

    def scan(self) -> NDArray[Any]:
        """Return all frames, shape ``(y, x, ky, kx)``."""
        return self.frames().reshape(self.nav_shape + self.sig_shape)

    def annulus_mask(self, inner: float, outer: float) -> NDArray[np.bool_]:
        """Return the pixels whose distance from the center is in (inner, outer]."""
        y, x = np.indices(self.sig_shape)
        distance = np.hypot(y - self.center[0], x - self.center[1])
        return (inner < distance) & (distance <= outer)

    @cached_property
    def expected(self) -> dict[str, NDArray[Any]]:
        """What numpy finds, by the name of the analysis."""
        y, x = np.indices(self.sig_shape)
        masks = [self.annulus_mask(*self.radii), *map(self._ring, self.rings)]
        weights = [np.ones(self.sig_shape), y, x, *masks]
        matrix = np.stack([w.ravel() for w in weights], axis=1).astype(np.float64)
        sums = []
        total, squares = 0.0, 0.0
        for block in self.blocks():
            numbers = block.reshape(len(block), -1).astype(np.float64)
            sums.append(numbers @ matrix)
            total = total + numbers.sum(axis=0)
            squares = squares + (numbers**2).sum(axis=0)
        full, by_y, by_x, annulus, *rings = np.concatenate(sums).T
        folded = self.nav_shape
        mean = total / self.count
        return {
            "annulus": annulus.reshape(folded),
            "full": full.reshape(folded),
            "five": np.reshape(rings, (RINGS, *folded)),
            "com": np.stack([by_y / full, by_x / full], axis=-1).reshape(*folded, 2),
            "std": np.sqrt(squares / self.count - mean**2).reshape(self.sig_shape),
        }

    def _ring(self, radii: tuple[float, float]) -> NDArray[np.bool_]:
        return self.annulus_mask(*radii)
