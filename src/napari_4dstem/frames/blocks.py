"""Frames in pieces that stay in a core's cache."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Frames that are worked on together, unless a single one is larger.
BLOCK_NBYTES = 2**19


def frames_of(
    count: int, sig_shape: tuple[int, ...], dtype: np.dtype[Any], least: int = 1
) -> Iterator[slice]:
    """Yield which of ``count`` frames make a block, at least ``least`` of them."""
    step = max(BLOCK_NBYTES // max(prod(sig_shape) * dtype.itemsize, 1), least)
    for begin in range(0, count, step):
        yield slice(begin, min(begin + step, count))


def filled(
    count: int,
    sig_shape: tuple[int, ...],
    dtype: np.dtype[Any],
    fill: Callable[[slice, NDArray[Any]], Any],
    least: int = 1,
) -> Iterator[tuple[slice, NDArray[Any]]]:
    """Yield frames that have to be made, always in the same memory.

    Parameters
    ----------
    count, sig_shape, dtype, least
        As in `frames_of`.
    fill : callable
        ``fill(where, out)`` puts these of the frames into an array.

    Yields
    ------
    where : slice
    frames : array of dtype, shape (m, *sig_shape), contiguous
        Valid until the next is asked for.
    """
    with _room() as room:
        for where in frames_of(count, sig_shape, dtype, least):
            out = room.array((where.stop - where.start, *sig_shape), dtype)
            fill(where, out)
            yield where, out


class _Room:
    """Memory that is used again and again: new pages would have to be cleared first."""

    def __init__(self) -> None:
        self.memory = np.empty(0, np.uint8)

    def array(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        """Return an array in it; the one before is lost."""
        nbytes = prod(shape) * dtype.itemsize
        if len(self.memory) < nbytes:
            self.memory = np.empty(nbytes, np.uint8)
        return self.memory[:nbytes].view(dtype).reshape(shape)


class _Spare(threading.local):
    def __init__(self) -> None:
        self.rooms: list[_Room] = []


_spare = _Spare()


@contextmanager
def _room() -> Iterator[_Room]:
    """Lend a room of this thread, which nobody else uses meanwhile."""
    rooms = _spare.rooms
    room = rooms.pop() if rooms else _Room()
    try:
        yield room
    finally:
        if not rooms and len(room.memory) <= 4 * BLOCK_NBYTES:
            rooms.append(room)
