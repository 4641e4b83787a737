"""Folded frames of a pnCCD: both halves of the detector side by side in a row.

The halves are read out in opposite directions, and rows may be binned. A stored frame
``F`` of H rows and W columns becomes a frame of 2 H rows and W / 2 columns, whose rows
are then repeated ``binning`` times::

    stored  | left | right |        frame  | left              |
                                           | right, by 180 deg |

Source: LiberTEM (``io/dataset/frms6.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Folded"]

PIXEL, WORD = np.dtype("<u2"), np.dtype("<u8")


@dataclass(frozen=True, slots=True)
class Folded:
    """Two halves of uint16 pixels, the right one rotated by 180 degrees.

    Attributes
    ----------
    stored_width, stored_height : int
        Columns and rows as the file header gives them.
    binning : int
        How many rows of the detector were added up to a stored one. Every row comes
        out as often; values stay as they are.

    Raises
    ------
    ValueError
        If the width is odd or a number is not above 0.
    """

    stored_width: int
    stored_height: int
    binning: int = 1

    def __post_init__(self) -> None:
        if self.stored_width % 2:
            raise ValueError(f"two halves have an even width, not {self.stored_width}")
        if min(self.stored_width, self.stored_height, self.binning) < 1:
            raise ValueError(
                f"frames have pixels; the header says {self.stored_width} x"
                f" {self.stored_height}, binned by {self.binning}"
            )

    @property
    def frame_shape(self) -> tuple[int, int]:
        """Shape ``(ky, kx)`` of a decoded frame."""
        return 2 * self.stored_height * self.binning, self.stored_width // 2

    @property
    def dtype(self) -> np.dtype[Any]:
        """Native-endian type of the decoded pixels."""
        return PIXEL.newbyteorder("=")

    @property
    def frame_nbytes(self) -> int:
        """Stored bytes of a frame, without its header."""
        return self.stored_height * self.stored_width * PIXEL.itemsize

    def decode(self, packed: NDArray[np.uint8], out: NDArray[Any]) -> None:
        """Decode a batch of frames into an array; see `Packing`."""
        from napari_4dstem.decode import folded_kernels as kernels

        in_words = self.stored_width // 2 % 4 == 0
        unfold = kernels.unfold_words if in_words else kernels.unfold_pixels
        unit = WORD if in_words else PIXEL
        width = self.stored_width * PIXEL.itemsize // unit.itemsize
        stored = packed.view(unit).reshape(len(packed), self.stored_height, width)
        unfold(stored, self.binning, out.view(unit))

    @property
    def stored_pixel(self) -> np.dtype[Any]:
        """Type of the stored pixels."""
        return PIXEL

    @property
    def words_are_reversed(self) -> bool:
        """Whether decoding is to reverse the bytes of each word; see `Packing`."""
        return False

    def stored_masks(
        self, masks: NDArray[np.bool_]
    ) -> list[tuple[int, NDArray[np.uint8]]]:
        """Return masks over stored bytes, one for each time that a row is repeated.

        See `Packing`.
        """
        top, bottom = np.split(masks, 2, axis=1)
        rows = np.concatenate([top, bottom[:, ::-1, ::-1]], axis=2)
        return [
            (1, np.repeat(once.reshape(len(masks), -1), 2, axis=1) * np.uint8(0xFF))
            for once in (rows[:, i :: self.binning] for i in range(self.binning))
        ]
