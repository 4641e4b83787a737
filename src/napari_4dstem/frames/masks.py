"""Masks over the pixels of a frame, in the form in which kernels use them."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_4dstem.decode.k2_blocks import BlockGrid, BlockMasks, block_masks
from napari_4dstem.decode.mask_table import (
    BLOCK,
    MaskTable,
    RowTable,
    mask_table,
    row_table,
)
from napari_4dstem.frames.lanes import Lanes, sum_dtype

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from napari_4dstem.decode import Packing


class Masks:
    """Some masks of one shape: binary or with weights. Immutable, safe in threads.

    Parameters
    ----------
    arrays : iterable of array, shape sig_shape
        bool, or real weights. Where a weight is 0 the pixel is not looked at.

    Attributes
    ----------
    arrays : tuple of array, shape sig_shape
        bool or float64, read-only.
    sig_shape : tuple of int

    Raises
    ------
    ValueError
        If they differ in shape.
    """

    def __init__(self, arrays: Iterable[ArrayLike]) -> None:
        self.arrays = tuple(_frozen(array) for array in arrays)
        shapes = {array.shape for array in self.arrays}
        if len(shapes) > 1:
            raise ValueError("masks are arrays of one shape")
        self.sig_shape: tuple[int, ...] = shapes.pop() if shapes else ()
        # Made when they are first needed, by one thread: the others would only be in
        # its way.
        self._making = threading.Lock()
        self._tables: dict[Lanes, MaskTable] = {}
        self._stored: dict[Packing, list[tuple[int, MaskTable]]] = {}
        self._blocks: dict[BlockGrid, BlockMasks] = {}
        self._wide: dict[int, Masks] = {}
        self._rows: dict[tuple[bool, bool, int, int, bool], RowTable] = {}

    def __len__(self) -> int:
        return len(self.arrays)

    def __reduce__(self) -> tuple[Any, ...]:
        return Masks, (self.arrays,)

    @cached_property
    def are_binary(self) -> bool:
        """Whether no mask has weights."""
        return all(array.dtype == bool for array in self.arrays)

    @cached_property
    def needed(self) -> NDArray[np.bool_]:
        """Pixels of any mask, bool, shape sig_shape."""
        needed = np.zeros(self.sig_shape, bool)
        for array in self.arrays:
            needed |= array != 0
        needed.flags.writeable = False
        return needed

    def sum_dtype(self, dtype: np.dtype[Any]) -> np.dtype[Any]:
        """Return the type of sums of such pixels: exact for integers without weights.

        uint64, int64 or float64.
        """
        return sum_dtype(dtype) if self.are_binary else np.dtype(np.float64)

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """Pixels of each mask, shape (k,)."""
        return np.array([np.count_nonzero(a) for a in self.arrays], np.int64)

    @cached_property
    def pixels(
        self,
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """The pixels of all masks, one after the other.

        Indices, shape (p, axes); where those of mask i begin and end, shape (k + 1,);
        and their weights, shape (p,), or (0,) where all are 1.
        """
        found = [np.argwhere(array) for array in self.arrays]
        weights = [array[array != 0] for array in self.arrays]
        bounds = np.concatenate([[0], np.cumsum(self.counts)])
        return (
            np.concatenate(found).astype(np.int64),
            bounds.astype(np.int64),
            np.empty(0) if self.are_binary else np.concatenate(weights).astype("f8"),
        )

    def table(self, lanes: Lanes) -> MaskTable:
        """Return the masks as they lie over a frame whose pixels lie like this."""
        with self._making:
            table = self._tables.get(lanes)
            if table is None:
                table = self._tables[lanes] = self._table(lanes)
        return table

    @cached_property
    def weights(self) -> NDArray[Any]:
        """What counts for each pixel, uint8 or float64, shape (pixels, k)."""
        kind = np.uint8 if self.are_binary else np.float64
        return np.stack([array.ravel() for array in self.arrays], axis=1).astype(kind)

    @cached_property
    def position_weights(self) -> NDArray[Any]:
        """The first mask, and it times row and column, shape (pixels, 3)."""
        of_first = self.times_position.weights
        return of_first.astype(np.uint32) if self.arrays[0].dtype == bool else of_first

    @cached_property
    def times_position(self) -> Masks:
        """The first mask, and it times the row and the column of each pixel."""
        weights = self.arrays[0].astype(np.float64)
        ky, kx = np.indices(self.sig_shape)
        return Masks([weights, weights * ky, weights * kx])

    def widened(self, width: int) -> Masks:
        """Return the first mask with rows of so many pixels, 0 at the end."""
        mask = self.arrays[0]
        if mask.shape[1] == width:
            return self
        found = self._wide.get(width)
        if found is None:
            wide = np.pad(mask, ((0, 0), (0, width - mask.shape[1])))
            found = self._wide[width] = Masks([wide])
        return found

    def rows(
        self,
        is_turned: bool,
        is_mirrored: bool,
        itemsize: int,
        stride: int,
        is_dealt: bool,
    ) -> RowTable:
        """Return the first mask over the rows of a frame.

        Parameters
        ----------
        is_turned : bool
            Whether the rows in memory are the columns of the frame.
        is_mirrored : bool
            Whether the first pixel in memory is the last one of a row.
        itemsize, stride : int
            Bytes of a pixel, and from one row to the next.
        is_dealt : bool
            See `row_table`.
        """
        key = is_turned, is_mirrored, itemsize, stride, is_dealt
        with self._making:
            table = self._rows.get(key)
            if table is None:
                mask = self.arrays[0].T if is_turned else self.arrays[0]
                mask = mask[:, ::-1] if is_mirrored else mask
                table = self._rows[key] = row_table(mask, itemsize, stride, is_dealt)
        return table

    def in_blocks(self, grid: BlockGrid) -> BlockMasks:
        """Return the masks over the blocks of sectors; for masks without weights."""
        with self._making:
            found = self._blocks.get(grid)
            if found is None:
                arrays = np.stack(self.arrays).reshape(-1, *grid.frame_shape)
                found = self._blocks[grid] = block_masks(grid, arrays)
        return found

    def stored(self, packing: Packing) -> list[tuple[int, MaskTable]]:
        """Return the masks over packed bytes; for masks without weights.

        Returns
        -------
        list of (factor, table)
            The sum of a mask is that of all tables, each times its factor.
        """
        with self._making:
            tables = self._stored.get(packing)
            if tables is None:
                shape = (len(self), *packing.frame_shape)
                rest = max(BLOCK - packing.frame_nbytes, 0)
                tables = self._stored[packing] = [
                    (factor, mask_table(np.pad(m, ((0, 0), (0, rest))), self.counts))
                    for factor, m in packing.stored_masks(
                        np.stack(self.arrays).reshape(shape)
                    )
                ]
        return tables

    def _table(self, lanes: Lanes) -> MaskTable:
        arrays = np.stack(self.arrays)
        itemsize = lanes.pixel.itemsize
        # frames of less than a block are put into one
        rest = max(BLOCK // itemsize - lanes.count, 0)
        within = np.pad(lanes.placed(arrays != 0), ((0, 0), (0, rest)))
        masks = np.repeat(within, itemsize, axis=1) * np.uint8(0xFF)
        if self.are_binary:
            return mask_table(masks, self.counts)
        weights = np.pad(lanes.placed(arrays.astype("f8")), ((0, 0), (0, rest)))
        return mask_table(masks, self.counts, weights)


def _frozen(array: ArrayLike) -> NDArray[Any]:
    given = np.asarray(array)
    frozen = np.array(given, dtype=bool if given.dtype == bool else np.float64)
    frozen.flags.writeable = False
    return frozen
