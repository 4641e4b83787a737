"""Frames whose parts are in several files, block by block, some of them lost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_4dstem.decode.k2_blocks import COLUMNS, BlockGrid
from napari_4dstem.errors import FormatError
from napari_4dstem.frames.batches import Batch, DenseBatch
from napari_4dstem.frames.raw_bytes import BACKENDS
from napari_4dstem.frames.records import record

if TYPE_CHECKING:
    from numpy.typing import NDArray

# The header of a block.
BLOCK = record(
    sync=(">u4", 0),
    flags=("u1", 9),
    number=(">u4", 16),
    width=(">u2", 20),
    height=(">u2", 22),
    frame_id=(">u4", 24),
    left=(">u2", 28),
    top=(">u2", 30),
    right=(">u2", 32),
    bottom=(">u2", 34),
    nbytes=(">u4", 36),
)
SYNC = 0xFFFF0055
# Frames of this many bytes are read at a time: one, of a real camera.
BATCH_NBYTES = 2**20


@dataclass(frozen=True)
class Sector:
    """The file of a sector.

    Attributes
    ----------
    path : Path
    start : int
        Byte of the first block of frame 0, or where it would be.
    lost : tuple of (int, int)
        Blocks that are missing: number, counted from frame 0 on, and how many.
    """

    path: Path
    start: int
    lost: tuple[tuple[int, int], ...] = ()

    @cached_property
    def _losses(self) -> tuple[NDArray[np.int64], ...]:
        """First and number of the blocks of each loss, and the sum of those before."""
        table = np.array(self.lost, np.int64).reshape(-1, 2)
        counts = table[:, 1]
        return table[:, 0], counts, np.cumsum(counts) - counts

    def lost_before(self, blocks: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return how many are missing of the blocks before each of these."""
        if not self.lost:
            return np.zeros_like(blocks)
        firsts, counts, before = self._losses
        which = np.searchsorted(firsts, blocks) - 1
        inside = np.minimum(blocks - firsts[which], counts[which])
        return np.where(which < 0, 0, before[which] + inside)

    def offset(self, block: int, block_nbytes: int) -> int:
        """Return the byte of the file at which a block begins."""
        passed = int(self.lost_before(np.array([block]))[0])
        return self.start + (block - passed) * block_nbytes

    def runs(self, begin: int, end: int) -> Iterator[range]:
        """Yield the blocks from ``begin`` to ``end`` that are there."""
        for first, count in self.lost:
            if first + count <= begin:
                continue
            if first >= end:
                break
            if first > begin:
                yield range(begin, first)
            begin = first + count
        if begin < end:
            yield range(begin, end)

    def from_block(self, block: int, end: int, block_nbytes: int) -> Sector:
        """Return the sector with another first block, as far as another end."""
        lost = (
            (max(first - block, 0), min(first + count, end) - max(first, block))
            for first, count in self.lost
        )
        return Sector(
            self.path,
            self.offset(block, block_nbytes),
            tuple(pair for pair in lost if pair[1] > 0),
        )


@dataclass(frozen=True)
class SectorFrames:
    """Frames of which each file has a sector.

    Attributes
    ----------
    sectors : tuple of Sector
        From left to right.
    grid : BlockGrid
    num_frames : int
    first_number : int or None
        Number that the first block of frame 0 has in its header; None: they are not
        to be relied on.
    backend : str
        "mmap", "buffered" or "direct".
    shown_shape : tuple of int, optional
        Another shape of as many pixels in which the frames are handed out.
    """

    sectors: tuple[Sector, ...]
    grid: BlockGrid
    num_frames: int
    first_number: int | None
    backend: str = "mmap"
    shown_shape: tuple[int, ...] | None = None
    lazy: None = None
    grain: tuple[int, ...] = ()

    @property
    def sig_shape(self) -> tuple[int, ...]:
        """Shape of a frame."""
        return self.shown_shape or self.grid.frame_shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Native-endian type of the pixels."""
        return self.grid.dtype

    @property
    def files(self) -> tuple[Path, ...]:
        """The files, from left to right."""
        return tuple(sector.path for sector in self.sectors)

    def between(self, begin: int, end: int) -> SectorFrames:
        """Return the source of stored frames ``begin`` to ``end`` alone."""
        blocks = self.grid.blocks
        sectors = tuple(
            sector.from_block(begin * blocks, end * blocks, self.grid.block_nbytes)
            for sector in self.sectors
        )
        number = self.first_number
        if number is not None:
            number = (number + begin * blocks) % 2**32
        return replace(
            self, sectors=sectors, num_frames=end - begin, first_number=number
        )

    def with_backend(self, backend: str) -> SectorFrames:
        """Return the same frames, fetched in this way."""
        return replace(self, backend=backend)

    def with_sig_shape(self, sig_shape: tuple[int, ...]) -> SectorFrames:
        """Return the same frames in another shape of as many pixels."""
        return replace(self, shown_shape=sig_shape)

    def present(self, frames: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which of these stored frames have pixels: a block of any sector."""
        present = np.zeros(len(frames), dtype=bool)
        blocks = self.grid.blocks
        for sector in self.sectors:
            if not sector.lost:
                return np.ones(len(frames), dtype=bool)
            before = sector.lost_before(frames * blocks)
            present |= sector.lost_before((frames + 1) * blocks) - before < blocks
        return present

    def batches(self, frames: NDArray[np.int64]) -> Iterator[tuple[slice, Batch]]:
        """Yield these stored frames in batches, in the order of ``frames``."""
        frame_nbytes = prod(self.grid.frame_shape) * self.dtype.itemsize
        step = max(1, BATCH_NBYTES // frame_nbytes)
        for begin in range(0, len(frames), step):
            where = slice(begin, min(begin + step, len(frames)))
            yield where, SectorBatch(self, frames[where])


@dataclass(frozen=True, eq=False, slots=True)
class SectorBatch:
    """Frames that are read, a file after another, when they are asked for.

    Attributes
    ----------
    source : SectorFrames
    frames : int array, shape (n,)
    """

    source: SectorFrames
    frames: NDArray[np.int64]

    def cropped(self, crop: tuple[slice | int, ...]) -> DenseBatch:
        """Return a part of the detector; reads the blocks with pixels in it."""
        grid = self.source.grid
        if self.source.sig_shape != grid.frame_shape:
            return DenseBatch(self.dense()[:, *crop])
        keys = (*crop, slice(None))[:2]
        rows, columns = (
            _extent(key, n) for key, n in zip(keys, grid.frame_shape, strict=True)
        )
        frames = np.empty((len(self.frames), *grid.frame_shape), grid.dtype)
        if rows and columns:
            self._read(frames, rows, columns)
        return DenseBatch(frames[:, *crop])

    def dense(self, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Return the pixels, shape (n, *sig_shape)."""
        grid = self.source.grid
        shape = (len(self.frames), *grid.frame_shape)
        in_place = (
            out is not None and out.dtype == grid.dtype and out.flags.c_contiguous
        )
        frames = np.empty(shape, grid.dtype)
        if out is not None and in_place:
            frames = out.reshape(shape)
        self._read(frames, range(shape[1]), range(shape[2]))
        if out is None:
            return frames.reshape(len(frames), *self.source.sig_shape)
        if not in_place:
            np.copyto(out, frames.reshape(out.shape))
        return out

    def _read(self, out: NDArray[np.uint16], rows: range, columns: range) -> None:
        """Read the blocks that have some of these pixels."""
        source, width = self.source, self.source.grid.sector_width
        for number, sector in enumerate(source.sectors):
            left = number * width
            inside = range(
                max(columns.start - left, 0), min(columns.stop - left, width)
            )
            if inside:
                places = source.grid.places(rows, inside)
                self._read_sector(out, number, sector, places)

    def _read_sector(
        self,
        out: NDArray[np.uint16],
        number: int,
        sector: Sector,
        places: list[range],
    ) -> None:
        source, grid = self.source, self.source.grid
        firsts = self.frames * grid.blocks
        wanted = [
            (i, range(first + part.start, first + part.stop))
            for i, first in enumerate(firsts.tolist())
            for part in places
        ]
        parts = []  # index of the frame, blocks, byte where they begin
        for i, blocks in wanted:
            if sector.lost:
                _clear(out[i], grid, number, range(blocks.start, blocks.stop))
            for run in sector.runs(blocks.start, blocks.stop):
                at = sector.offset(run.start, grid.block_nbytes)
                parts.append((i, run, at))
        if not parts:
            return
        lowest = min(at for _, _, at in parts)
        highest = max(at + len(run) * grid.block_nbytes for _, run, at in parts)
        with BACKENDS[source.backend](sector.path, lowest, highest) as view:
            for i, run, at in parts:
                packed = view(at, at + len(run) * grid.block_nbytes)
                _check(sector.path, at, packed, run, source)
                grid.decode(packed, number, run.start % grid.blocks, out[i])


def _extent(key: slice | int, n: int) -> range:
    """The indices between the first and the last one that are asked for."""
    picked = range(n)[key] if isinstance(key, slice) else [range(n)[key]]
    return range(min(picked), max(picked) + 1) if picked else range(0)


def _clear(
    frame: NDArray[np.uint16], grid: BlockGrid, number: int, blocks: range
) -> None:
    for block in blocks:
        top, left = grid.corner(block % grid.blocks)
        left += number * grid.sector_width
        frame[top : top + grid.rows, left : left + COLUMNS] = 0


def _check(
    path: Path, at: int, packed: NDArray[np.uint8], run: range, source: SectorFrames
) -> None:
    """See that blocks are those that are expected: files may have been damaged."""
    grid = source.grid
    headers = packed.reshape(len(run), -1)[:, : BLOCK.itemsize].copy().view(BLOCK)[:, 0]
    corners = [grid.corner(block % grid.blocks) for block in run]
    good = headers["sync"] == SYNC
    good &= headers["top"] == [top for top, _ in corners]
    good &= headers["left"] == [left for _, left in corners]
    if source.first_number is not None:
        expected = (source.first_number + np.arange(run.start, run.stop)) % 2**32
        good &= headers["number"] == expected
    if not good.all():
        wrong = int(np.argmin(good))
        raise FormatError(
            path,
            "a block is not the one that belongs here",
            offset=at + wrong * grid.block_nbytes,
            expected=f"row {corners[wrong][0]}, column {corners[wrong][1]} of frame"
            f" {run[wrong] // grid.blocks}",
            found=_told(headers[wrong]),
            hint="The file is damaged: copy it again.",
        )


def _told(header: Any) -> str:
    if header["sync"] != SYNC:
        return f"no block (sync word {int(header['sync']):08x})"
    return (
        f"row {header['top']}, column {header['left']}, block number {header['number']}"
    )
