"""One request for frames of an HDF5 data set, read past the library or by it.

Three ways, the first that is possible: frames that lie in the file as they are come
as views of it; frames in compressed or smaller chunks are put together by
`hdf5_assembly`; the rest is read by h5py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_4dstem.frames.batches import Batch, DenseBatch, InBlocks
from napari_4dstem.frames.file_bytes import BACKENDS
from napari_4dstem.frames.hdf5_assembly import Fill, Window, assembled
from napari_4dstem.frames.hdf5_chunks import StoredData
from napari_4dstem.frames.hdf5_file import H5_ERRORS, opened, unreadable
from napari_4dstem.frames.raw_bytes import BUFFER_NBYTES, pieces

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Frames that are put together at a time: enough for some threads, and still in a cache.
GROUP_NBYTES = 2**23
# More, where fewer would mean to decompress the same chunk many times.
LARGE_GROUP_NBYTES = 2**27
# Chunk cache of the library, for what is left to it.
CACHE = {"rdcc_nbytes": 2**28, "rdcc_nslots": 19_997}

Batches = Iterator[tuple[slice, Batch]]


@dataclass(frozen=True, eq=False, slots=True)
class AssembledBatch(InBlocks):
    """Frames that are put together when they are asked for, where they are wanted.

    Attributes
    ----------
    fill : callable
        ``fill(out, window)`` puts a part of the detector into an array.
    room : callable
        ``room(count)`` gives an array for whole frames.
    count : int
    frame_shape, sig_shape : tuple of int
        Of a frame as it is stored, and as it is wanted.
    pixel : dtype
        As stored.
    """

    fill: Callable[[NDArray[Any], Window], None]
    room: Callable[[int], NDArray[Any]]
    count: int
    frame_shape: tuple[int, ...]
    sig_shape: tuple[int, ...]
    pixel: np.dtype[Any]

    def __len__(self) -> int:
        return self.count

    def cropped(self, crop: tuple[slice | int, ...]) -> DenseBatch:
        """Return a part of the detector; chunks without any of it are not read."""
        if self.sig_shape != self.frame_shape:
            return DenseBatch(self.dense()[:, *crop])
        keys = crop + (slice(None),) * (len(self.frame_shape) - len(crop))
        sides = [_window(k, n) for k, n in zip(keys, self.frame_shape, strict=True)]
        window = tuple(side for side, _ in sides)
        shape = tuple(side.stop - side.start for side in window)
        pixels = np.empty((self.count, *shape), self.pixel)
        self.fill(pixels, window)
        return DenseBatch(pixels[:, *(rest for _, rest in sides)])

    def dense(self, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Return the pixels in native byte order, shape (n, *sig_shape)."""
        whole = tuple(slice(0, n) for n in self.frame_shape)
        if out is not None and out.dtype == self.pixel and out.flags.c_contiguous:
            self.fill(out.reshape(self.count, *self.frame_shape), whole)
            return out
        place = self.room(self.count)
        self.fill(place, whole)
        return DenseBatch(place.reshape(self.count, *self.sig_shape)).dense(out)


def _window(key: slice | int, n: int) -> tuple[slice, slice | int]:
    """Return the range of an axis that an index needs, and the index in there."""
    if not isinstance(key, slice):
        i = range(n)[key]
        return slice(i, i + 1), 0
    picked = range(n)[key]
    if not picked:
        return slice(0, 0), slice(0, 0)
    low, high = min(picked[0], picked[-1]), max(picked[0], picked[-1]) + 1
    return slice(low, high), slice(None, None, picked.step)


class Reader:
    """One request for frames of one data set.

    Parameters
    ----------
    stored : StoredData
    sig_shape : tuple of int
        Shape in which the frames are wanted; as many pixels as they have.
    backend : str
        "mmap", "buffered" or "direct".
    needed : bool array, shape sig_shape, optional
        Pixels that matter.
    """

    def __init__(
        self,
        stored: StoredData,
        sig_shape: tuple[int, ...],
        backend: str,
        needed: NDArray[np.bool_] | None = None,
    ) -> None:
        self.stored, self.sig_shape, self.backend = stored, sig_shape, backend
        self.needed = None if needed is None else needed.reshape(stored.sig_shape)
        self.frame_nbytes = prod(stored.sig_shape) * stored.pixel.itemsize
        self.buffer = np.empty((0, *stored.sig_shape), stored.pixel)

    def read(self, frames: NDArray[np.int64]) -> Batches:
        """Yield frames of the data set in batches, in this order."""
        begins = self._begins(frames) if self.stored.has_whole_frames else None
        if begins is not None:
            yield from self._in_place(begins)
            return
        if self.stored.is_plain:
            filling = assembled(self.stored, self.backend, frames, self.needed)
        else:
            filling = by_library(self.stored, frames)
        with filling as fill:
            for begin, end in self._groups(self.stored.chunks_of(frames)[0]):
                yield slice(begin, end), self._batch(slice(begin, end), fill)

    def _begins(self, frames: NDArray[np.int64]) -> NDArray[np.int64] | None:
        """Return the first byte of each frame, None if that is not known."""
        table = self.stored.table(len(frames))
        if table is None:
            return None
        numbers, places = self.stored.chunks_of(frames)
        offsets, sizes, _ = table.find(numbers)
        is_there = sizes >= 0  # or it was never written
        return offsets + places * self.frame_nbytes if is_there.all() else None

    def _in_place(self, begins: NDArray[np.int64]) -> Batches:
        """Frames that lie in the file as they are."""
        stored, nbytes = self.stored, self.frame_nbytes
        limit = None if self.backend == "mmap" else max(1, BUFFER_NBYTES // nbytes)
        span = int(begins.min()), int(begins.max()) + nbytes
        with BACKENDS[self.backend](stored.path, *span) as view:
            for one, other in pieces(np.diff(begins) != nbytes, len(begins), limit):
                first = int(begins[one])
                raw = view(first, first + (other - one) * nbytes)
                frames = raw.view(stored.pixel).reshape(-1, *self.sig_shape)
                yield slice(one, other), DenseBatch(frames)

    def _batch(self, group: slice, fill: Fill) -> AssembledBatch:
        stored = self.stored
        return AssembledBatch(
            partial(fill, group), self._room, group.stop - group.start,
            stored.sig_shape, self.sig_shape, stored.pixel,
        )  # fmt: skip

    def _room(self, count: int) -> NDArray[Any]:
        if len(self.buffer) < count:
            self.buffer = np.empty((count, *self.stored.sig_shape), self.stored.pixel)
        return self.buffer[:count]

    def _groups(self, numbers: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
        """Cut a request into groups of frames; if possible, no chunk is in two."""
        count = len(numbers)
        step = max(1, GROUP_NBYTES // self.frame_nbytes)
        if not self.stored.is_shared:
            for begin in range(0, count, step):
                yield begin, min(begin + step, count)
            return
        most = max(1, LARGE_GROUP_NBYTES // self.frame_nbytes)
        _, which = np.unique(numbers, return_inverse=True)
        last = np.zeros(count, np.int64)
        np.maximum.at(last, which, np.arange(count))
        cuts = (
            np.flatnonzero(np.maximum.accumulate(last[which]) == np.arange(count)) + 1
        )
        begin = 0
        while begin < count:
            at = int(np.searchsorted(cuts, begin + step, "right"))
            end = int(cuts[at - 1]) if at else 0
            if end <= begin:
                end = min(int(cuts[at]), begin + most)
            yield begin, end
            begin = end


# -------------------------------------------------------------------------- by library


@contextmanager
def by_library(stored: StoredData, frames: NDArray[np.int64]) -> Iterator[Fill]:
    """Open a data set, and yield a function by which h5py fills in these frames."""
    if stored.chunk:
        stored.table(len(frames))  # refuses what is damaged
    with opened(stored.path, **CACHE) as file:
        dataset = stored.open(file)

        def fill(group: slice, out: NDArray[Any], window: Window) -> None:
            wanted = frames[group]
            for one, other in pieces(np.diff(wanted) != 1, len(wanted)):
                first, last = int(wanted[one]), int(wanted[one]) + other - one
                for box in _boxes(first, last, stored.nav_shape):
                    end = one + prod(side.stop - side.start for side in box)
                    _read_box(stored, dataset, (*box, *window), out[one:end])
                    one = end

        yield fill


def _boxes(
    first: int, last: int, shape: tuple[int, ...]
) -> Iterator[tuple[slice, ...]]:
    """Yield the boxes that flat positions ``first`` to ``last`` consist of."""
    if len(shape) == 1:
        yield (slice(first, last),)
        return
    inner = prod(shape[1:])
    while first < last:
        row, begin = divmod(first, inner)
        if begin or last - first < inner:
            end = min(last, (row + 1) * inner)
            for box in _boxes(begin, begin + end - first, shape[1:]):
                yield slice(row, row + 1), *box
        else:
            rows = (last - first) // inner
            end = first + rows * inner
            yield slice(row, row + rows), *(slice(0, n) for n in shape[1:])
        first = end


def _read_box(
    stored: StoredData, dataset: Any, box: tuple[slice, ...], out: NDArray[Any]
) -> None:
    if not out.size:
        return
    where = tuple(box[stored.axes.index(i)] for i in range(len(box)))
    shape = tuple(side.stop - side.start for side in box)
    try:
        if stored.in_order:
            # Into its place, in the type of the file: HDF5's conversions are slow.
            dataset.read_direct(out.view(stored.h5_type).reshape(shape), where)
        else:
            found = dataset[where].view(stored.pixel).transpose(stored.axes)
            out[...] = found.reshape(out.shape)
    except H5_ERRORS as error:
        raise unreadable(stored.path, error) from error
