"""Blocks of 12-bit pixels, as the Gatan K2 IS camera writes them.

A frame is eight sectors side by side, each in a file of its own. A sector is a grid of
blocks that come row by row, each row from right to left. A block is a header and rows
of 16 pixels: a stream of bits, 12 a pixel, lowest first (three bytes ``ab cd ef`` are
the pixels ``dab`` and ``efc``).

Source: LiberTEM (``io/dataset/k2is.py``), with synthetic sets that LiberTEM reads.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["BlockGrid"]

COLUMNS = 16  # of a block: 24 bytes, or three words of 64 bits
WORD = np.dtype("<u8")
# Rows that are summed together: as many as make whole vectors of 64 bytes.
ROWS = 8
FULL_WORD = np.uint64(0x0101010101010101)  # eight pixels that count


@dataclass(frozen=True, slots=True)
class BlockGrid:
    """How the blocks of a sector lie in the frame.

    Attributes
    ----------
    rows : int
        Pixel rows of a block.
    down, across : int
        Blocks in a sector.
    sectors : int
        Sectors in a frame.
    header_nbytes : int
        Bytes in front of the pixels of a block; a multiple of 8.
    """

    rows: int = 930
    down: int = 2
    across: int = 16
    sectors: int = 8
    header_nbytes: int = 40

    @property
    def frame_shape(self) -> tuple[int, int]:
        """Shape ``(ky, kx)`` of a frame."""
        return self.down * self.rows, self.sectors * self.sector_width

    @property
    def dtype(self) -> np.dtype[Any]:
        """Native-endian type of the decoded pixels."""
        return np.dtype(np.uint16)

    @property
    def sector_width(self) -> int:
        """Columns of a sector."""
        return self.across * COLUMNS

    @property
    def blocks(self) -> int:
        """Blocks of a sector in one frame."""
        return self.down * self.across

    @property
    def block_nbytes(self) -> int:
        """Bytes of a block, its header included."""
        return self.header_nbytes + self.rows * COLUMNS * 12 // 8

    def corner(self, place: int) -> tuple[int, int]:
        """First row and column, within the sector, of the ``place``-th block."""
        row, column = divmod(place, self.across)
        return row * self.rows, (self.across - 1 - column) * COLUMNS

    def in_blocks(self, frame: NDArray[Any]) -> NDArray[Any]:
        """Return the pixels of a frame in the order of the file.

        Parameters
        ----------
        frame : array, shape frame_shape

        Returns
        -------
        array, shape (sectors, blocks, rows, 16)
            A view where that is possible.
        """
        shape = (self.down, self.rows, self.sectors, self.across, COLUMNS)
        parts = frame.reshape(shape)[:, :, :, ::-1].transpose(2, 0, 3, 1, 4)
        return parts.reshape(self.sectors, self.blocks, self.rows, COLUMNS)

    def touched(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return which blocks have pixels of a mask, shape (sectors, blocks)."""
        words = np.ascontiguousarray(mask).view(np.uint64)
        words = words.reshape(self.down, self.rows, -1, 2)
        used = np.bitwise_or.reduce(words, axis=1).any(axis=-1)  # (down, columns)
        used = used.reshape(self.down, self.sectors, self.across)[:, :, ::-1]
        touched: NDArray[np.bool_] = used.swapaxes(0, 1)
        return touched.reshape(self.sectors, self.blocks)

    def decode(
        self,
        packed: NDArray[np.uint8],
        sector: int,
        place: int,
        out: NDArray[np.uint16],
    ) -> None:
        """Decode blocks that follow each other into their place in a frame.

        Parameters
        ----------
        packed : uint8 array, shape (n * block_nbytes,)
            Blocks with their headers; contiguous, maybe read-only, at any address.
        sector : int
            Number of the sector, from the left.
        place : int
            Where in the order of the sector the first of the blocks is.
        out : uint16 array, shape frame_shape
            C-contiguous. Only the pixels of these blocks are overwritten.
        """
        from napari_4dstem.decode.k2_blocks_kernels import unpack_blocks

        blocks = packed.view(WORD).reshape(-1, self.block_nbytes // WORD.itemsize)
        left = sector * self.sector_width
        pixels = out.view(WORD)[:, left // 4 : (left + self.sector_width) // 4]
        grid = (self.header_nbytes // WORD.itemsize, self.rows, self.across)
        unpack_blocks(blocks, place, *grid, pixels)


@lru_cache(4)
def corners(grid: BlockGrid) -> NDArray[np.int64]:
    """Return row and column, within the sector, of all blocks, shape (blocks, 2)."""
    return np.array([grid.corner(place) for place in range(grid.blocks)], np.int64)


@dataclass(frozen=True, eq=False, slots=True)
class BlockMasks:
    """Some masks over the blocks of all sectors, eight rows of a block at a time.

    Attributes
    ----------
    runs : int64 array, shape (r, 3)
        First row of a block, number of times eight rows, and the first of them in
        ``masks``; -1: all pixels.
    bounds : int64 array, shape (sectors, blocks, k, 2)
        The first of the runs of a block in each mask, and one past the last.
    masks : uint64 array, shape (m, 8, 3)
        The bits that count of eight rows of 16 pixels.
    touched : bool array, shape (sectors, blocks)
        Which blocks have pixels of any mask.
    """

    runs: NDArray[np.int64]
    bounds: NDArray[np.int64]
    masks: NDArray[np.uint64]
    touched: NDArray[np.bool_]


def block_masks(grid: BlockGrid, masks: NDArray[np.bool_]) -> BlockMasks:
    """Return masks over the blocks of all sectors.

    Parameters
    ----------
    grid : BlockGrid
        With blocks of at least eight rows.
    masks : bool array, shape (k, *grid.frame_shape)
    """
    groups = -(-grid.rows // ROWS)
    starts = np.minimum(np.arange(groups) * ROWS, grid.rows - ROWS)
    twice = groups * ROWS - grid.rows  # rows that the last two groups share
    runs, rows, bounds = [], [], []
    used = end = 0
    for mask in masks:
        pixels = grid.in_blocks(mask).reshape(-1, grid.rows, COLUMNS)
        in_groups = pixels[:, starts[:, np.newaxis] + np.arange(ROWS)]
        in_groups[:, -1, :twice] = False
        # eight pixels at a time: a frame has millions
        words = in_groups.reshape(*in_groups.shape[:2], -1).view(np.uint64)
        codes: NDArray[np.int8] = np.add(
            words.any(axis=-1), (words == FULL_WORD).all(axis=-1), dtype=np.int8
        )
        begins = np.ones(codes.shape, bool)
        begins[:, 1:] = codes[:, 1:] != codes[:, :-1]
        begins[:, -1] |= twice > 0
        block, group = np.nonzero(begins)
        count = np.diff(np.append(np.flatnonzero(begins), codes.size))
        code = codes[block, group]
        masked = np.where(code == 1, count, 0)
        row = np.where(code == 1, used + np.cumsum(masked) - masked, -1)
        runs.append(np.stack([starts[group], count, row], axis=1)[code > 0])
        number = np.bincount(block[code > 0], minlength=len(codes))
        ends = end + np.cumsum(number)
        bounds.append(np.stack([ends - number, ends], axis=1))
        bits = np.repeat(in_groups[codes == 1], 12, axis=-1)
        rows.append(np.packbits(bits, axis=-1, bitorder="little").view(WORD))
        end, used = int(ends[-1]), used + len(bits)
    table = np.stack(bounds, axis=1).reshape(grid.sectors, grid.blocks, len(masks), 2)
    touched: NDArray[np.bool_] = np.any(table[..., 1] > table[..., 0], axis=-1)
    return BlockMasks(
        np.concatenate(runs).astype(np.int64),
        table.astype(np.int64),
        np.concatenate(rows).astype(np.uint64),
        touched,
    )
