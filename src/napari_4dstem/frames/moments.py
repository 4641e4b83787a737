"""Sums of the pixels of frames in memory, plain and times their position."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_4dstem.decode.mask_table import BLOCK
from napari_4dstem.frames.blocks import frames_of
from napari_4dstem.frames.lanes import kind_of, short_sum_dtype, sum_dtype
from napari_4dstem.frames.masks import Masks
from napari_4dstem.frames.sums import as_numbers, is_number, masked_sums

if TYPE_CHECKING:
    from numpy.typing import NDArray

# So many pixels of 16 bits have a sum of 32 bits.
SHORT = 2**16


def moments(frames: NDArray[Any], masks: Masks | None, out: NDArray[Any]) -> None:
    """Sum the pixels of every frame, plain and times their position.

    Parameters
    ----------
    frames : array, shape (n, ky, kx)
        Any byte order, any strides.
    masks : Masks or None
        The first one counts; None: all pixels.
    out : array of ``masks.sum_dtype``, shape (n, 3)
        Sums of I, ky * I and kx * I.
    """
    masks = everywhere(frames.shape[1:]) if masks is None else masks
    if not frames.size:
        out[...] = 0
        return
    if not is_number(frames.dtype):
        for where in frames_of(len(frames), frames.shape[1:], frames.dtype):
            moments(as_numbers(frames[where]), masks, out[where])
        return
    if masks.arrays[0].dtype != bool:
        masked_sums(frames, masks.times_position, out)
        return
    near = [axis for axis in (2, 1) if abs(frames.strides[axis]) == frames.itemsize]
    is_tall = frames.itemsize <= 2 and max(frames.shape[1:]) > SHORT
    if near and frames.shape[near[0]] * frames.itemsize >= BLOCK and not is_tall:
        _sum_rows(frames, masks, near[0] == 1, out)
        return
    width = max(frames.shape[2], BLOCK // frames.itemsize)
    # numbers of 64 bits have sums of as many
    dtype = np.dtype(f"{sum_dtype(frames.dtype).kind}8") if is_tall else frames.dtype
    for where in frames_of(len(frames), (*frames.shape[1:2], width), frames.dtype):
        part = frames[where]
        padded = np.zeros((*part.shape[:2], width), dtype)
        padded[..., : part.shape[2]] = part
        _sum_rows(padded, masks.widened(width), False, out[where])


def moments_of_words(
    frames: NDArray[Any], masks: Masks | None, out: NDArray[Any]
) -> bool:
    """Sum the pixels of frames whose words of 64 bits have their bytes reversed.

    Parameters
    ----------
    frames : array of native byte order, shape (n, ky, kx)
        As they lie in memory; a row is a whole number of words.
    masks, out
        See `moments`.

    Returns
    -------
    bool
        False if nothing was done: for weights, no frames, and rows that are too short
        or too long.
    """
    masks = everywhere(frames.shape[1:]) if masks is None else masks
    fits = frames.shape[2] * frames.itemsize >= BLOCK and max(frames.shape[1:]) <= SHORT
    if not frames.size or not fits or masks.arrays[0].dtype != bool:
        return False
    _sum_rows(frames, masks, False, out, (frames.dtype.type(0), np.uint64(0)))
    return True


def _sum_rows(
    frames: NDArray[Any],
    masks: Masks,
    is_turned: bool,
    out: NDArray[Any],
    kind: tuple[Any, Any] | None = None,
) -> None:
    from napari_4dstem.decode.moments_kernels import sum_moments
    from napari_4dstem.decode.vectors import AT_ONCE

    if is_turned:
        frames = frames.swapaxes(1, 2)
    is_mirrored = frames.strides[2] < 0
    if is_mirrored:
        frames = frames[:, :, ::-1]
    is_dealt = frames.dtype.kind != "f" and frames.itemsize <= 2
    table = masks.rows(
        is_turned, is_mirrored, frames.itemsize, frames.strides[1], is_dealt
    )
    places = frames.shape[2] - 1 - table.places if is_mirrored else table.places
    wide = sum_dtype(frames.dtype)
    sums = np.empty((len(frames), 3), wide)
    sum_moments(
        frames.__array_interface__["data"][0],
        frames.strides[0],
        table.runs,
        table.masks,
        places,
        np.empty((AT_ONCE, places.size), short_sum_dtype(frames.dtype)),
        kind or kind_of(frames.dtype),
        sums,
    )
    out[...] = sums[:, [0, 2, 1]] if is_turned else sums


@lru_cache(8)
def everywhere(sig_shape: tuple[int, ...]) -> Masks:
    """Return the mask of all pixels."""
    return Masks([np.ones(sig_shape, bool)])
