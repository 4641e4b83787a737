"""Sums over the pixels of frames in memory, read as they lie."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_4dstem.decode.mask_table import BLOCK, TILE
from napari_4dstem.frames.blocks import frames_of
from napari_4dstem.frames.lanes import (
    address_of,
    kind_of,
    lanes_of,
    lie_side_by_side,
    short_sum_dtype,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_4dstem.decode import Packing
    from napari_4dstem.decode.mask_table import MaskTable
    from napari_4dstem.frames.lanes import Lanes
    from napari_4dstem.frames.masks import Masks


def masked_sums(frames: NDArray[Any], masks: Masks, out: NDArray[Any]) -> None:
    """Sum the pixels of every frame within each mask.

    Parameters
    ----------
    frames : array, shape (n, *sig_shape)
        Any byte order, any strides.
    masks : Masks
    out : array of ``masks.sum_dtype``, shape (n, k)
    """
    if not frames.size:
        out[...] = 0
    elif not is_number(frames.dtype):
        for where in frames_of(len(frames), frames.shape[1:], frames.dtype):
            masked_sums(as_numbers(frames[where]), masks, out[where])
    elif not out.flags.c_contiguous:
        sums = np.empty(out.shape, out.dtype)
        masked_sums(frames, masks, sums)
        out[...] = sums
    else:
        lanes = None if lie_side_by_side(frames) else lanes_of(frames)
        if lanes is None:
            _sum_pixels(frames, masks, out)
        elif lanes.nbytes >= BLOCK:
            first, stride = address_of(frames), frames.strides[0]
            sum_lanes(first, stride, masks.table(lanes), kind_of(lanes.pixel), out)
        else:
            _sum_tiny(frames, masks, lanes, out)


def _sum_tiny(
    frames: NDArray[Any], masks: Masks, lanes: Lanes, out: NDArray[Any]
) -> None:
    """Sum frames of less than a block of bytes: each gets a block."""
    table, kind = masks.table(lanes), kind_of(lanes.pixel)
    for where in frames_of(len(frames), (BLOCK,), np.dtype(np.uint8)):
        blocks = np.zeros((where.stop - where.start, BLOCK), np.uint8)
        lanes.view(blocks.view(lanes.pixel))[...] = frames[where]
        sum_lanes(address_of(blocks), BLOCK, table, kind, out[where])


def packed_sums(
    packed: NDArray[np.uint8], packing: Packing, masks: Masks, out: NDArray[Any]
) -> None:
    """Sum the pixels of packed frames within masks without weights.

    Parameters
    ----------
    packed : uint8 array, shape (n, packing.frame_nbytes)
    packing : Packing
    masks : Masks
    out : uint64 array, shape (n, k)
    """
    if packing.frame_nbytes < BLOCK:
        packed = np.pad(packed, ((0, 0), (0, BLOCK - packing.frame_nbytes)))
    pixel = packing.stored_pixel
    kind = (np.bool_(False), None) if pixel is None else kind_of(pixel)
    out[...] = 0
    if not len(packed):
        return
    part = np.empty(out.shape, np.uint64)
    for factor, table in masks.stored(packing):
        sum_lanes(address_of(packed), packed.strides[0], table, kind, part)
        out += part * np.uint64(factor)


def event_sums(
    indptr: NDArray[np.int64],
    indices: NDArray[Any],
    values: NDArray[Any],
    weights: NDArray[Any],
    out: NDArray[Any],
) -> None:
    """Sum frames of events.

    Parameters
    ----------
    indptr, indices, values
        As in a `SparseBatch`.
    weights : array, shape (pixels, k)
        Of each pixel.
    out : uint64, int64 or float64 array, shape (n, k)
    """
    from napari_4dstem.decode.pixel_kernels import sum_events

    indices, values = np.ascontiguousarray(indices), np.ascontiguousarray(values)
    sums = np.empty(out.shape, out.dtype)
    sum_events(
        np.ascontiguousarray(indptr, np.int64),
        address_of(indices[np.newaxis]),
        kind_of(indices.dtype),
        address_of(values[np.newaxis]),
        kind_of(values.dtype),
        weights,
        sums,
    )
    out[...] = sums


def is_number(dtype: np.dtype[Any]) -> bool:
    """Whether kernels know pixels of this type."""
    return dtype.kind in "biu" or dtype.newbyteorder("=").char in "fd"


def as_numbers(frames: NDArray[Any]) -> NDArray[Any]:
    """Return a copy as float32 or float64, of complex pixels their magnitude."""
    if frames.dtype.kind == "c":
        frames = np.abs(frames)
    return frames.astype(np.float32 if frames.itemsize <= 4 else np.float64)


def sum_lanes(
    address: int,
    stride: int,
    table: MaskTable,
    kind: tuple[Any, bool | None],
    out: NDArray[Any],
) -> None:
    """Sum frames in one piece within the masks of a table.

    Parameters
    ----------
    address, stride : int
        Of the lowest pixel of the first frame; bytes to the next frame.
    table : MaskTable
    kind : tuple
        See `kind_of`; a bool is a single bit.
    out : uint64, int64 or float64 array, shape (n, k), contiguous
    """
    from napari_4dstem.decode.block_sums_kernels import sum_blocks

    sums = out if out.dtype == np.float64 else out.view(np.uint64)
    weights = table.weights
    sum_blocks(
        address,
        stride,
        table.runs,
        table.bounds,
        table.masks,
        weights,
        (*kind, True if weights.size else None),
        sums,
    )
    number = kind[0]
    if isinstance(number, np.signedinteger) and number.itemsize < 8 and sums is not out:
        out -= table.counts << (8 * number.itemsize - 1)  # -128 was counted as 0


def _sum_pixels(frames: NDArray[Any], masks: Masks, out: NDArray[Any]) -> None:
    """Sum frames whose pixels do not lie together, a pixel of all at a time."""
    from napari_4dstem.decode.pixel_kernels import sum_pixels

    positions, bounds, weights = masks.pixels
    offsets = positions @ np.array(frames.strides[1:], np.int64)
    done = 0
    if frames.strides[0] == frames.itemsize and not weights.size:
        done = len(frames) - len(frames) % (BLOCK // frames.itemsize)
    if done:
        _sum_side_by_side(frames[:done], offsets, bounds, out[:done])
    rest = frames[done:]
    if len(rest):
        first, stride = rest.__array_interface__["data"][0], rest.strides[0]
        kind = kind_of(frames.dtype)
        sum_pixels(first, stride, offsets, bounds, weights, kind, out[done:])


def _sum_side_by_side(
    frames: NDArray[Any],
    offsets: NDArray[np.int64],
    bounds: NDArray[np.int64],
    out: NDArray[Any],
) -> None:
    """Sum frames that lie side by side, in whole blocks of them."""
    from napari_4dstem.decode.across_kernels import sum_side_by_side

    axes = zip(frames.shape[1:], frames.strides[1:], strict=True)
    step = min(abs(stride) for n, stride in axes if n > 1)
    runs, ends = [np.empty((0, 3), np.int64)], [0]
    for begin, end in pairwise(bounds.tolist()):
        pixels = np.sort(offsets[begin:end])
        is_next = np.diff(pixels) == step
        starts = np.flatnonzero(np.append(np.ones(int(end > begin), bool), ~is_next))
        counts = np.diff(np.append(starts, end - begin))
        runs.append(np.stack([pixels[starts], np.full_like(counts, step), counts], 1))
        ends.append(ends[-1] + len(counts))
    lanes = BLOCK // frames.itemsize
    total = np.zeros((out.shape[1], len(frames) // lanes, lanes), out.dtype)
    short = short_sum_dtype(frames.dtype)
    sum_side_by_side(
        frames.__array_interface__["data"][0],
        np.concatenate(runs),
        np.array(ends),
        np.empty((min(TILE, total.shape[1]), lanes), short),
        kind_of(frames.dtype),
        total,
    )
    out[...] = total.reshape(len(total), -1).T
