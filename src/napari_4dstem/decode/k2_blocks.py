"""Blocks of 12-bit pixels, as the Gatan K2 IS camera writes them.

A frame is eight sectors side by side, each in a file of its own. A sector is a grid of
blocks that come row by row, each row from right to left. A block is a header and rows
of 16 pixels: a stream of bits, 12 a pixel, lowest first (three bytes ``ab cd ef`` are
the pixels ``dab`` and ``efc``).

Source: LiberTEM (``io/dataset/k2is.py``), with synthetic sets that LiberTEM reads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["BlockGrid"]

COLUMNS = 16  # of a block: 24 bytes, or three words of 64 bits
WORD = np.dtype("<u8")


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

    def places(self, rows: range, columns: range) -> list[range]:
        """Return where in the order of a sector its blocks with some pixels are.

        Parameters
        ----------
        rows, columns : range
            Of the pixels, within the sector; neither is empty.
        """
        first, last = columns[0] // COLUMNS, columns[-1] // COLUMNS
        if first == 0 and last == self.across - 1 and len(rows) == self.frame_shape[0]:
            return [range(self.blocks)]
        begin, end = self.across - 1 - last, self.across - first
        return [
            range(row * self.across + begin, row * self.across + end)
            for row in range(rows[0] // self.rows, rows[-1] // self.rows + 1)
        ]

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
