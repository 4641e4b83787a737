"""Frames whose parts are in several files, block by block, some of them lost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_4dstem.decode.k2_blocks import COLUMNS, ROWS, BlockGrid, corners
from napari_4dstem.errors import FormatError
from napari_4dstem.frames.batches import Batch, DenseBatch, InBlocks
from napari_4dstem.frames.blocks import filled
from napari_4dstem.frames.file_bytes import FileMaps
from napari_4dstem.frames.lanes import address_of
from napari_4dstem.frames.records import record
from napari_4dstem.frames.refusals import DAMAGED

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_4dstem.frames.masks import Masks

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
# Frames of this many bytes are read at a time: four, of a real camera.
BATCH_NBYTES = 2**25


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
        return int(self.offsets(np.array([block]), block_nbytes)[0])

    def offsets(
        self, blocks: NDArray[np.int64], block_nbytes: int
    ) -> NDArray[np.int64]:
        """Return the bytes of the file at which blocks begin."""
        there = blocks - self.lost_before(blocks) if self.lost else blocks
        return self.start + there * block_nbytes

    def without_lost(self, table: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return rows (any, first block, number of blocks) without blocks that miss."""
        rows = [
            (frame, run.start, len(run))
            for frame, first, count in table.tolist()
            for run in self.runs(first, first + count)
        ]
        return np.array(rows, np.int64).reshape(-1, 3)

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
    maps : FileMaps
        Shared by what is made of these frames.
    """

    sectors: tuple[Sector, ...]
    grid: BlockGrid
    num_frames: int
    first_number: int | None
    backend: str = "mmap"
    shown_shape: tuple[int, ...] | None = None
    maps: FileMaps = field(default_factory=FileMaps, compare=False, repr=False)
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

    @property
    def is_complete(self) -> bool:
        """Whether all stored frames have pixels, be it of one sector only."""
        return any(not sector.lost for sector in self.sectors)

    def present(self, frames: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which of these stored frames have pixels: a block of any sector."""
        if self.is_complete:
            return np.ones(len(frames), dtype=bool)
        present = np.zeros(len(frames), dtype=bool)
        blocks = self.grid.blocks
        for sector in self.sectors:
            before = sector.lost_before(frames * blocks)
            present |= sector.lost_before((frames + 1) * blocks) - before < blocks
        return present

    def batches(
        self, frames: NDArray[np.int64], needed: NDArray[np.bool_] | None = None
    ) -> Iterator[tuple[slice, Batch]]:
        """Yield these stored frames in batches, in the order of ``frames``."""
        frame_nbytes = prod(self.grid.frame_shape) * self.dtype.itemsize
        step = max(1, BATCH_NBYTES // frame_nbytes)
        for begin in range(0, len(frames), step):
            where = slice(begin, min(begin + step, len(frames)))
            yield where, SectorBatch(self, frames[where], needed)


@dataclass(frozen=True, eq=False, slots=True)
class SectorBatch(InBlocks):
    """Frames that are read, a file after another, when they are asked for.

    Attributes
    ----------
    source : SectorFrames
    frames : int array, shape (n,)
    needed : bool array, shape source.sig_shape, optional
        Blocks without any of these pixels are not read.
    """

    source: SectorFrames
    frames: NDArray[np.int64]
    needed: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.frames)

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
            wanted = np.zeros(grid.frame_shape, bool)
            wanted[rows.start : rows.stop, columns.start : columns.stop] = True
            self._decode(frames, grid.touched(wanted))
        return DenseBatch(frames[:, *crop])

    def dense(self, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Return the pixels, shape (n, *sig_shape); 0 where they are not needed."""
        grid = self.source.grid
        shape = (len(self.frames), *grid.frame_shape)
        in_place = (
            out is not None and out.dtype == grid.dtype and out.flags.c_contiguous
        )
        frames = out.reshape(shape) if out is not None and in_place else None
        if frames is None:
            frames = np.empty(shape, grid.dtype)
        wanted = np.ones((grid.sectors, grid.blocks), bool)
        if self.needed is not None:
            wanted = grid.touched(self.needed.reshape(grid.frame_shape))
            if not wanted.all():
                frames[...] = 0
        self._decode(frames, wanted)
        if out is None:
            return frames.reshape(len(frames), *self.source.sig_shape)
        if not in_place:
            np.copyto(out, frames.reshape(out.shape))
        return out

    def dense_blocks(self) -> Iterator[tuple[slice, NDArray[Any]]]:
        """Decode some frames at a time."""
        return filled(
            len(self),
            self.source.sig_shape,
            self.source.dtype,
            lambda where, out: replace(self, frames=self.frames[where]).dense(out),
        )

    def masked_sums(self, masks: Masks, out: NDArray[Any]) -> None:
        """Sum the pixels within each mask; without weights nothing is decoded."""
        if not masks.are_binary or self.source.grid.rows < ROWS:
            weighted = replace(self, needed=masks.needed)
            InBlocks.masked_sums(weighted, masks, out)
            return
        from napari_4dstem.decode.k2_blocks_kernels import sum_packed

        grid = self.source.grid
        table = masks.in_blocks(grid)
        sums = np.zeros(out.shape, np.uint64)
        for parts in self._parts(table.touched):
            sum_packed(
                parts.addresses,
                parts.table,
                grid.block_nbytes,
                grid.header_nbytes,
                table.bounds[parts.number],
                table.runs,
                table.masks,
                sums,
            )
        out[...] = sums

    def moments(self, masks: Masks | None, out: NDArray[Any]) -> None:
        """Sum the pixels of every frame, plain and times their position."""
        within = self if masks is None else replace(self, needed=masks.needed)
        InBlocks.moments(within, masks, out)

    def _decode(self, out: NDArray[np.uint16], wanted: NDArray[np.bool_]) -> None:
        """Read blocks, shape (sectors, blocks), into the frames."""
        grid = self.source.grid
        for number, sector in enumerate(self.source.sectors):
            if sector.lost:
                for frame in out:
                    _clear(frame, grid, number, np.flatnonzero(wanted[number]))
        for parts in self._parts(wanted):
            for part, (frame, block, _) in enumerate(parts.table.tolist()):
                packed = parts.packed(part, grid.block_nbytes)
                grid.decode(packed, parts.number, block % grid.blocks, out[frame])

    def _parts(self, wanted: NDArray[np.bool_]) -> Iterator[Parts]:
        """Yield what is there of the wanted blocks, shape (sectors, blocks)."""
        source, grid = self.source, self.source.grid
        padded = np.zeros((grid.sectors, grid.blocks + 2), bool)
        padded[:, 1:-1] = wanted
        owner, edges = np.nonzero(padded[:, 1:] != padded[:, :-1])
        begins, counts = edges[::2], edges[1::2] - edges[::2]
        for number, sector in enumerate(source.sectors):
            places = begins[owner[::2] == number]
            if not len(places):
                continue
            frame = np.repeat(np.arange(len(self.frames)), len(places))
            blocks = self.frames[:, np.newaxis] * grid.blocks + places
            count = np.tile(counts[owner[::2] == number], len(self.frames))
            table = np.stack([frame, blocks.ravel(), count], axis=1)
            if sector.lost:
                table = sector.without_lost(table)
            if len(table):
                yield self._part(number, sector, table)

    def _part(self, number: int, sector: Sector, table: NDArray[np.int64]) -> Parts:
        """Read parts of a sector: index of the frame, first block and number."""
        source, nbytes = self.source, self.source.grid.block_nbytes
        first, count = table[:, 1], table[:, 2]
        begins = sector.offsets(first, nbytes)
        ends = begins + count * nbytes
        lowest, highest = int(begins.min()), int(ends.max())
        opened = source.maps.opened(source.backend, sector.path, lowest, highest)
        with opened as view:
            if source.backend == "mmap":
                memory = view(lowest, highest)
                addresses = begins + (address_of(memory[np.newaxis]) - lowest)
                stored = [memory]
            else:
                spans = zip(begins.tolist(), ends.tolist(), strict=True)
                stored = [view(begin, end) for begin, end in spans]
                addresses = np.array([address_of(s[np.newaxis]) for s in stored])
        parts = Parts(number, sector, table, begins, addresses, stored)
        parts.check(source)
        return parts


@dataclass(frozen=True, eq=False, slots=True)
class Parts:
    """Parts of the file of a sector in memory: blocks that follow each other.

    Attributes
    ----------
    number : int
        Of the sector, from the left.
    sector : Sector
    table : int64 array, shape (p, 3)
        Index of the frame, first block, counted from frame 0 on, and how many.
    offsets, addresses : int64 array, shape (p,)
        Byte of the file, and where that is in memory.
    stored : list of uint8 array
        What is at the addresses, which lives as long as these.
    """

    number: int
    sector: Sector
    table: NDArray[np.int64]
    offsets: NDArray[np.int64]
    addresses: NDArray[np.int64]
    stored: list[NDArray[np.uint8]]

    def packed(self, part: int, block_nbytes: int) -> NDArray[np.uint8]:
        """Return the bytes of a part."""
        if len(self.stored) > 1:
            return self.stored[part]
        begin = int(self.offsets[part] - self.offsets.min())
        return self.stored[0][begin : begin + int(self.table[part, 2]) * block_nbytes]

    def check(self, source: SectorFrames) -> None:
        """See that blocks are those that are expected: files may have been damaged."""
        from napari_4dstem.decode.k2_blocks_kernels import first_wrong

        grid = source.grid
        number = -1 if source.first_number is None else source.first_number
        nbytes = grid.block_nbytes
        found = first_wrong(
            self.addresses, self.table, nbytes, corners(grid), SYNC, number
        )
        if found >= 0:
            self._refuse(found, source)

    def _refuse(self, part: int, source: SectorFrames) -> None:
        grid = source.grid
        _, first, count = self.table[part].tolist()
        blocks = range(first, first + count)
        stored = self.packed(part, grid.block_nbytes).reshape(count, -1)
        headers = stored[:, : BLOCK.itemsize].copy().view(BLOCK)[:, 0]
        places = [grid.corner(block % grid.blocks) for block in blocks]
        good = headers["sync"] == SYNC
        good &= headers["top"] == [top for top, _ in places]
        good &= headers["left"] == [left for _, left in places]
        if source.first_number is not None:
            expected = (source.first_number + np.arange(first, first + count)) % 2**32
            good &= headers["number"] == expected
        wrong = int(np.argmin(good))
        raise FormatError(
            self.sector.path,
            "a block is not the one that belongs here",
            offset=int(self.offsets[part]) + wrong * grid.block_nbytes,
            expected=f"row {places[wrong][0]}, column {places[wrong][1]} of frame"
            f" {blocks[wrong] // grid.blocks}",
            found=_told(headers[wrong]),
            hint=DAMAGED,
        )


def _extent(key: slice | int, n: int) -> range:
    """The indices between the first and the last one that are asked for."""
    picked = range(n)[key] if isinstance(key, slice) else [range(n)[key]]
    return range(min(picked), max(picked) + 1) if picked else range(0)


def _clear(
    frame: NDArray[np.uint16], grid: BlockGrid, number: int, places: NDArray[np.int64]
) -> None:
    for place in places.tolist():
        top, left = grid.corner(place)
        left += number * grid.sector_width
        frame[top : top + grid.rows, left : left + COLUMNS] = 0


def _told(header: Any) -> str:
    if header["sync"] != SYNC:
        return f"no block (sync word {int(header['sync']):08x})"
    return (
        f"row {header['top']}, column {header['left']}, block number {header['number']}"
    )
