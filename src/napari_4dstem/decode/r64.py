"""Raw words of Merlin and Medipix3 detectors: the pixel kind ``R64`` of a MIB file.

A row is a run of big-endian 64-bit words. The first pixel of a word is in its least
significant bits:

===== ============== =============== ======
depth bits per pixel pixels per word dtype
===== ============== =============== ======
1     1              64              uint8
6     8              8               uint8
12    16             4               uint16
24    two planes of  4 in a plane    uint32
      the 12-bit kind
===== ============== =============== ======

24 bits: the header gives twice the width of the chip, as both planes together have. The
plane with the upper 12 bits of all pixels comes first.

Quad: the header gives a row of four chips. A stored row holds one row of each, chip 4
first; in the frame they are two by two, and chips 3 and 4 are rotated by 180 degrees::

    stored  | 4 | 3 | 2 | 1 |       frame  | 1 | 2 |
                                           | 3 | 4 |

Source: LiberTEM (``io/dataset/mib.py``), LiberTEM-rs (``libertem_qd_mpx``), and frames
of a Merlin in the test data of RosettaSciIO, where raw and integer files of single and
quad chips are side by side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["R64"]

BITS_PER_PIXEL = {1: 1, 6: 8, 12: 16, 24: 16}  # of a stored pixel, by counter depth
DTYPES: dict[int, np.dtype[Any]] = {
    1: np.dtype(np.uint8),
    6: np.dtype(np.uint8),
    12: np.dtype(np.uint16),
    24: np.dtype(np.uint32),
}
WORD = np.dtype("<u8")  # big-endian in the file: the kernels see to that

# Row and column of chips in the frame, for every chip of a stored row.
SINGLE = np.array([[0, 0]], np.int64)
QUAD = np.array([[1, 1], [1, 0], [0, 1], [0, 0]], np.int64)


@dataclass(frozen=True, slots=True)
class R64:
    """Raw Medipix3 words, of one chip or of four.

    Attributes
    ----------
    counter_depth : int
        Bits of the counter of a pixel: 1, 6, 12 or 24.
    stored_width, stored_height : int
        Pixels and rows as the frame header gives them.
    quad : bool
        Whether four chips are read out.

    Raises
    ------
    ValueError
        If the counter depth is unknown, for 24 bits of four chips, whose order is not
        known, and for a row of a chip that is not a whole number of words.
    """

    counter_depth: int
    stored_width: int
    stored_height: int
    quad: bool = False

    def __post_init__(self) -> None:
        if self.counter_depth not in BITS_PER_PIXEL:
            raise ValueError(
                f"R64 has counter depths of 1, 6, 12 and 24 bits, not"
                f" {self.counter_depth}"
            )
        if self.quad and self.counter_depth == 24:
            raise ValueError("the layout of 24-bit R64 frames of four chips is unknown")
        if self.stored_width < 1 or self.stored_height < 1:
            raise ValueError(
                f"R64 frames have pixels; the header says {self.stored_width} x"
                f" {self.stored_height}"
            )
        step = self._pieces * (64 // BITS_PER_PIXEL[self.counter_depth])
        if self.stored_width % step:
            raise ValueError(
                f"rows of these R64 frames are a multiple of {step} pixels wide, not"
                f" {self.stored_width}"
            )

    @property
    def _pieces(self) -> int:
        """Chips, or planes, that the stored width counts."""
        if self.quad:
            return len(QUAD)
        return 2 if self.counter_depth == 24 else 1

    @property
    def _words(self) -> int:
        """Words in one row of one chip."""
        bits = self.stored_width // self._pieces * BITS_PER_PIXEL[self.counter_depth]
        return bits // 64

    @property
    def frame_shape(self) -> tuple[int, int]:
        """Shape ``(ky, kx)`` of a decoded frame."""
        if self.quad:
            return 2 * self.stored_height, self.stored_width // 2
        return self.stored_height, self.stored_width // self._pieces

    @property
    def dtype(self) -> np.dtype[Any]:
        """Native-endian type of the decoded pixels."""
        return DTYPES[self.counter_depth]

    @property
    def frame_nbytes(self) -> int:
        """Stored bytes of a frame, without its header."""
        return self.stored_height * self._pieces * self._words * WORD.itemsize

    def decode(self, packed: NDArray[np.uint8], out: NDArray[Any]) -> None:
        """Decode a batch of frames into an array; see `Packing`."""
        from napari_4dstem.decode import r64_kernels as kernels

        n, rows, words = len(packed), self.stored_height, self._words
        stored, pixels = packed.view(WORD), out.view(WORD)
        if self.counter_depth == 24:
            planes = stored.reshape(n, 2, rows, words)
            kernels.join_planes(planes, pixels.reshape(n, rows, words, 2))
            return
        places = QUAD if self.quad else SINGLE
        chip_rows, chip_columns = (2, 2) if self.quad else (1, 1)
        stored = stored.reshape(n, rows, len(places), words)
        shape = (n, chip_rows * rows, chip_columns, words)
        if self.counter_depth == 1:
            kernels.spread_bits(stored, places, pixels.reshape(*shape, 8))
        else:
            nbytes = self.dtype.itemsize
            kernels.order_pixels(stored, places, nbytes, pixels.reshape(shape))

    @property
    def stored_pixel(self) -> np.dtype[Any] | None:
        """Type of the stored unsigned numbers; None: single bits."""
        return {1: None, 6: np.dtype("u1")}.get(self.counter_depth, np.dtype(">u2"))

    @property
    def words_are_reversed(self) -> bool:
        """Whether decoding is to reverse the bytes of each word; see `Packing`."""
        return self.counter_depth in (6, 12) and not self.quad

    def stored_masks(
        self, masks: NDArray[np.bool_]
    ) -> list[tuple[int, NDArray[np.uint8]]]:
        """Return masks over stored bytes; see `Packing`."""
        rows = masks
        if self.quad:
            top, bottom = np.split(masks, 2, axis=1)
            upper = np.split(top, 2, axis=2)[::-1]
            rows = np.concatenate([bottom[:, ::-1, ::-1], *upper], axis=2)
        bits = BITS_PER_PIXEL[self.counter_depth]
        words = rows.reshape(len(masks), -1, 64 // bits)[..., ::-1]
        lanes = words.reshape(len(masks), -1)
        if bits == 1:
            return [(1, np.packbits(lanes, axis=1))]
        stored = np.repeat(lanes, bits // 8, axis=1) * np.uint8(0xFF)
        if self.counter_depth != 24:
            return [(1, stored)]
        other = np.zeros_like(stored)
        planes = [(stored, other), (other, stored)]
        return [
            (factor, np.concatenate(plane, axis=1))
            for factor, plane in zip((2**12, 1), planes, strict=True)
        ]
