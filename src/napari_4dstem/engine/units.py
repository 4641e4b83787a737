"""How the work is cut: parts of the scan, in the order in which they are done."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from napari_4dstem.frames.chunk_shape import automatic_chunks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_4dstem.frames.scan import ScanFrames

# (begin, end) along each scan axis.
Region: TypeAlias = tuple[tuple[int, int], ...]
Order: TypeAlias = Literal["file", "coarse"]

# Pixels of a unit, in bytes: far more than it costs to hand it out, and still many to a
# file, so that all threads are done at the same time. Nobody asks whether the work was
# cancelled while the pixels of a mapped file come from the disk.
MAX_UNIT_NBYTES = 2**25
MIN_UNIT_NBYTES = 2**22
UNITS_PER_THREAD = 8
LINE_NBYTES = 64
# Every so many positions along each scan axis are done first.
COARSE_STEP = 8


@dataclass(frozen=True)
class Unit:
    """A part of the scan that one thread does in one go.

    Attributes
    ----------
    region : tuple of (int, int)
        Begin and end along each scan axis.
    grid : bool, optional
        True: only every `COARSE_STEP`-th position along each axis; False: only the
        others; None: all.
    """

    region: Region
    grid: bool | None = None

    def positions(
        self, nav_shape: tuple[int, ...], roi: NDArray[np.bool_] | None
    ) -> NDArray[np.int64]:
        """Return the flat scan positions, growing.

        Parameters
        ----------
        nav_shape : tuple of int
        roi : bool array, shape nav_shape, optional
            Positions that count.
        """
        sides = [np.arange(begin, end) for begin, end in self.region]
        if self.grid:
            sides = [side[side % COARSE_STEP == 0] for side in sides]
        flat = np.zeros((), np.int64)
        for side, n in zip(sides, nav_shape, strict=True):
            flat = flat[..., np.newaxis] * n + side
        if roi is None and self.grid is not False:
            return flat.ravel()
        wanted = np.ones(flat.shape, bool)
        if self.grid is False:
            on_grid = np.ones((), bool)
            for side in sides:
                on_grid = on_grid[..., np.newaxis] & (side % COARSE_STEP == 0)
            wanted &= ~on_grid
        if roi is not None:
            wanted &= roi[np.ix_(*sides)]
        return flat.ravel() if wanted.all() else flat[wanted]


def units(
    frames: ScanFrames,
    threads: int,
    order: Order = "file",
    needed: NDArray[np.bool_] | None = None,
) -> list[Unit]:
    """Return the units that make up a scan.

    Parameters
    ----------
    frames : ScanFrames
    threads : int
        How many work at a time.
    needed : bool array, shape sig_shape, optional
        Pixels that are looked at: the fewer, the more frames to a unit.
    order : "file" or "coarse"
        "coarse": first a grid of positions all over the scan, then the others. Where
        frames are stored together in chunks, whole chunks far from each other first.
    """
    if not prod(frames.nav_shape):
        return []
    total = prod(frames.shape) * frames.source.dtype.itemsize
    share = _touched(frames, needed)
    wanted = int(total * share) // (threads * UNITS_PER_THREAD)
    nbytes = int(min(max(wanted, MIN_UNIT_NBYTES), MAX_UNIT_NBYTES) / share)
    regions = list(_regions(frames, nbytes))
    if order == "file":
        return [Unit(region) for region in regions]
    if prod(frames.source.grain) > 1:
        return [Unit(regions[i]) for i in _spread(len(regions))]
    grid = [Unit(region, True) for region in _regions(frames, nbytes * COARSE_STEP**2)]
    return grid + [Unit(region, False) for region in regions]


def _touched(frames: ScanFrames, needed: NDArray[np.bool_] | None) -> float:
    """Return the share of the lines of memory that hold needed pixels, at least 1 %.

    All of them where frames are read as a whole.
    """
    source = frames.source
    if needed is None or source.lazy is not None or prod(source.grain) > 1:
        return 1.0
    line = np.arange(0, needed.size, max(LINE_NBYTES // source.dtype.itemsize, 1))
    if not line.size:
        return 1.0
    return max(float(np.logical_or.reduceat(needed.ravel(), line).mean()), 0.01)


def _regions(frames: ScanFrames, nbytes: int) -> Iterator[Region]:
    nav_shape = frames.nav_shape
    shape: tuple[Any, ...] = automatic_chunks(
        nav_shape,
        frames.source.sig_shape,
        frames.source.dtype.itemsize,
        frames.source.grain,
        nbytes,
    )[: len(nav_shape)]
    sides = (
        [(i, min(i + step, n)) for i in range(0, n, step)]
        for n, step in zip(nav_shape, shape, strict=True)
    )
    yield from product(*sides)


def _spread(count: int) -> list[int]:
    """Return ``range(count)`` in an order in which each part soon has one."""
    bits = max(count - 1, 0).bit_length()
    mirrored = (int(f"{i:0{bits}b}"[::-1] or "0", 2) for i in range(2**bits))
    return [i for i in mirrored if i < count]
