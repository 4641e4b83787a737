"""Masks as the kernels of `napari_4dstem.decode.block_sums_kernels` take them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Bytes that kernels look at together, and how many of them make the longest run.
BLOCK = 64
MAX_RUN = 2**7
# Blocks of one frame after the other, and then the next ones: sums over frames stay in
# the cache.
TILE = 2**7
# Several masks are applied to so much of a frame, and then to the next piece: each byte
# comes from memory once.
BAND_BLOCKS = 2**4
# Of a single mask, holes of so many blocks are read too: one run is faster than two,
# unless that makes it so many times as much to read.
HOLE_BLOCKS = 3
MAX_HOLES = 1.6
# So many full blocks in a row go without a mask.
FULL_BLOCKS = 8


@dataclass(frozen=True, eq=False, slots=True)
class MaskTable:
    """Some masks over the bytes of a frame.

    Attributes
    ----------
    runs : int64 array, shape (r, 3)
        First byte of the frame, number of blocks, and the first of their rows in
        ``masks``; -1: all pixels.
    bounds : int64 array, shape (bands, k + 1, 2)
        The first of the runs of each mask in each band of the frame, and one past the
        last; of all masks together in the end.
    masks : uint8 array, shape (m, 64)
    weights : float64 array, shape (m, lanes of a block), or (0, 0)
    counts : int64 array, shape (k,)
        Pixels of each mask.
    """

    runs: NDArray[np.int64]
    bounds: NDArray[np.int64]
    masks: NDArray[np.uint8]
    weights: NDArray[np.float64]
    counts: NDArray[np.int64]


def mask_table(
    masks: NDArray[np.uint8],
    counts: NDArray[np.int64],
    weights: NDArray[np.float64] | None = None,
) -> MaskTable:
    """Return the table of some masks.

    Parameters
    ----------
    masks : uint8 array, shape (k, nbytes)
        The bits of a frame that count; at least a block.
    counts : int64 array, shape (k,)
        Pixels of each mask.
    weights : float64 array, shape (k, lanes), optional
        Of each lane of a frame.
    """
    nbytes, last = masks.shape[1], -(-masks.shape[1] // BLOCK) - 1
    apart = nbytes % BLOCK != 0
    band, hole = (BAND_BLOCKS, 0) if len(masks) > 1 else (last + 1, HOLE_BLOCKS)
    found, rows, weight_rows, used = [], [], [], 0
    union = [np.bitwise_or.reduce(masks, axis=0)] * (len(masks) > 1)
    for k, mask in enumerate([*masks, *union]):
        blocks = _in_blocks(mask, BLOCK)
        codes: NDArray[np.int8] = np.any(blocks, axis=1).astype(np.int8)
        if weights is None:
            codes += (blocks == 0xFF).all(axis=1)
        codes = _joined(codes, hole)
        begin, end = _runs(codes, apart, band)
        is_masked = (codes == 1) & (k < len(masks))
        row = np.where(is_masked[begin], used + _number_before(is_masked)[begin], -1)
        start = np.where(apart & (begin == last), nbytes - BLOCK, begin * BLOCK)
        which = np.full_like(begin, k)
        found.append(np.stack([begin // band, which, start, end - begin, row], axis=1))
        used += int(np.count_nonzero(is_masked))
        rows.append(blocks[is_masked])
        if weights is not None and k < len(masks):
            lanes = weights.shape[1] * BLOCK // nbytes
            weight_rows.append(_in_blocks(weights[k], lanes)[is_masked])
    runs = np.concatenate(found)
    runs = runs[np.lexsort((runs[:, 2], runs[:, 1], runs[:, 0]))]
    number = np.zeros((last // band + 1, len(masks) + 1), np.int64)
    np.add.at(number, (runs[:, 0], runs[:, 1]), 1)
    ends = np.cumsum(number).reshape(number.shape)
    return MaskTable(
        np.ascontiguousarray(runs[:, 2:], np.int64),
        np.stack([ends - number, ends], axis=-1),
        np.concatenate(rows),
        np.concatenate(weight_rows) if weight_rows else np.empty((0, 0)),
        counts,
    )


def _in_blocks(row: NDArray[Any], width: int) -> NDArray[Any]:
    """Cut a row into blocks; the last one ends with it.

    What the last block shares with the one before it is 0 there.
    """
    count = -(-len(row) // width)
    blocks = np.zeros((count, width), row.dtype)
    rest = len(row) - (count - 1) * width
    blocks[:-1] = row[: len(row) - rest].reshape(-1, width)
    blocks[-1, width - rest :] = row[len(row) - rest :]
    return blocks


def _joined(codes: NDArray[np.int8], hole: int) -> NDArray[np.int8]:
    """Return what kind of run each block is to be in.

    Parameters
    ----------
    codes : int8 array, shape (n,)
        0: empty blocks, 1: full in part, 2: full.
    hole : int
        So many empty blocks in a row are read too, if they are not most of it.
    """
    begin, end = _stretches(codes != 0)
    inside = (begin > 0) & (end < len(codes))
    is_hole = (codes[begin] == 0) & inside & (end - begin <= hole)
    filled = np.where(np.repeat(is_hole, end - begin), np.int8(1), codes)
    most = MAX_HOLES if hole <= HOLE_BLOCKS else np.inf
    if np.count_nonzero(filled) <= most * np.count_nonzero(codes):
        codes = filled
    begin, end = _stretches(codes == 2)
    is_short = (codes[begin] == 2) & (end - begin < FULL_BLOCKS)
    return np.where(np.repeat(is_short, end - begin), np.int8(1), codes)


def _runs(
    codes: NDArray[np.int8], apart: bool, band: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return begins and ends of the runs of a mask.

    Parameters
    ----------
    codes : int8 array, shape (n,)
        See `_joined`.
    apart : bool
        Whether the last block is a run of its own.
    band : int
        Blocks after which a run ends: not more than `MAX_RUN`, or at least n.
    """
    begin, end = _stretches(codes, apart)
    begin, end = begin[codes[begin] > 0], end[codes[begin] > 0]
    step = min(band, MAX_RUN)
    first = begin // band * band if band <= MAX_RUN else begin
    counts = -(-(end - first) // step)
    of_run = np.repeat(np.arange(len(begin)), counts)
    part = np.arange(len(of_run)) - np.repeat(np.cumsum(counts) - counts, counts)
    cuts = first[of_run] + part * step
    return np.maximum(cuts, begin[of_run]), np.minimum(cuts + step, end[of_run])


def _number_before(flags: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return how many are set before each."""
    return np.cumsum(flags) - flags


def _stretches(
    values: NDArray[Any], apart: bool = False
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return begins and ends of equal values, the last one apart if need be."""
    is_first = np.append(True, values[1:] != values[:-1])
    is_first[-1] |= apart
    begin = np.flatnonzero(is_first)
    return begin, np.append(begin[1:], len(values))


@dataclass(frozen=True, eq=False, slots=True)
class RowTable:
    """A mask over the rows of a frame.

    Attributes
    ----------
    runs : int64 array, shape (r, 5)
        First byte of the frame, number of blocks, the first of their rows in ``masks``,
        row and slot of the first pixel.
    masks : uint8 array, shape (m, 64)
    places : int64 array, shape (s,)
        The column of each slot: each block of a row has slots of its own, in the order
        in which the kernel deals its pixels.
    """

    runs: NDArray[np.int64]
    masks: NDArray[np.uint8]
    places: NDArray[np.int64]


def row_table(
    mask: NDArray[np.bool_], itemsize: int, stride: int, is_dealt: bool
) -> RowTable:
    """Return the table of a mask.

    Parameters
    ----------
    mask : bool array, shape (rows, columns)
        Rows of at least a block.
    itemsize, stride : int
        Bytes of a pixel, and from one row to the next.
    is_dealt : bool
        Whether the kernel deals the pixels of a block: see `Lane.dealt`.
    """
    lanes = BLOCK // itemsize
    runs, rows, used = [], [], 0
    last = -(-mask.shape[1] // lanes) - 1
    apart = mask.shape[1] % lanes != 0
    # in the order of memory, which the processor foresees
    for y in np.flatnonzero(mask.any(axis=1))[:: 1 if stride > 0 else -1].tolist():
        blocks = _in_blocks(mask[y], lanes)
        codes = _joined(np.any(blocks, axis=1).astype(np.int8), last)
        for begin, end in zip(*_runs(codes, apart, last + 1), strict=True):
            x = mask.shape[1] - lanes if begin == last and apart else begin * lanes
            runs.append(
                (y * stride + x * itemsize, end - begin, used, y, begin * lanes)
            )
            rows.append(np.repeat(blocks[begin:end], itemsize, axis=1))
            used += end - begin
    return RowTable(
        np.array(runs, np.int64).reshape(-1, 5),
        np.concatenate([np.zeros((0, BLOCK), bool), *rows]) * np.uint8(0xFF),
        _places(mask.shape[1], lanes, 4 // itemsize if is_dealt else 1),
    )


def _places(width: int, lanes: int, hands: int) -> NDArray[np.int64]:
    """Return the columns of the slots of all blocks of a row, dealt to some hands."""
    begins = np.append(np.arange(0, width - lanes, lanes), width - lanes)
    order = np.arange(lanes).reshape(-1, hands).T.ravel()
    return (begins[:, np.newaxis] + order).ravel().astype(np.int64)
