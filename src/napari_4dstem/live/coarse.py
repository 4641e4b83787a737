"""From coarse to fine: a few positions all over the scan first, shown as blocks."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_4dstem.dataset import Dataset

# Blocks of the coarsest image, at least.
BLOCKS = 16


def cells(ds: Dataset) -> list[NDArray[np.int64]]:
    """Return of each index along each scan axis the cell that it lies in.

    Frames of a cell are stored together: to read all takes hardly longer than one.
    """
    nav_shape = ds.nav_shape
    grain = ((1,) * len(nav_shape) + ds.frames.source.grain)[-len(nav_shape) :]
    return [np.arange(n) // g for n, g in zip(nav_shape, grain, strict=True)]


def steps_of(ds: Dataset) -> list[int]:
    """Return from cell to cell of each grid, the coarsest first; powers of 2."""
    sides = [int(cell[-1]) + 1 for cell in cells(ds)]
    step, found = 2, []
    while prod(-(-side // step) for side in sides) >= BLOCKS and step <= max(sides):
        found.append(step)
        step *= 2
    return found[::-1]


def grids(ds: Dataset) -> Iterator[NDArray[np.bool_]]:
    """Yield the stored frames of finer and finer grids, bool, shape (n,)."""
    along = cells(ds)
    geometry, count = ds.frames.geometry, ds.num_stored_frames
    for step in steps_of(ds):
        on_grid = np.ones((), bool)
        for cell in along:
            on_grid = on_grid[..., np.newaxis] & (cell % step == 0)
        stored = geometry.stored(np.flatnonzero(on_grid))
        frames = np.zeros(count, bool)
        frames[stored[(stored >= 0) & (stored < count)]] = True
        yield frames


def in_blocks(
    ds: Dataset, values: NDArray[Any], known: NDArray[np.bool_]
) -> NDArray[Any]:
    """Return a map in which positions that are not known show a known neighbor.

    Parameters
    ----------
    ds : Dataset
    values : array, shape (*nav_shape, k)
    known : bool array, shape nav_shape

    Returns
    -------
    array, shape (*nav_shape, k)
        0 where there is nothing to show.
    """
    shown = np.where(known[..., np.newaxis], values, 0).astype(values.dtype)
    missing = ~known
    along = cells(ds)
    for step in reversed(steps_of(ds)):
        if not missing.any():
            break
        # the first position of the block, but the same one within the cell
        origin = [
            np.arange(len(cell)) - np.searchsorted(cell, cell)
            + np.searchsorted(cell, cell // step * step)
            for cell in along
        ]  # fmt: skip
        block = np.ix_(*origin)
        found = missing & known[block]
        shown[found] = values[block][found]
        missing &= ~found
    return shown
