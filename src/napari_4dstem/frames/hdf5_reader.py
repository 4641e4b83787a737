"""One request for frames of an HDF5 data set, read past the library or by it."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from napari_4dstem.decode.hdf5_filters import DamagedChunkError, undo
from napari_4dstem.frames.batches import Batch, DenseBatch
from napari_4dstem.frames.hdf5_chunks import ChunkTable, SigPart, StoredData
from napari_4dstem.frames.hdf5_file import H5_ERRORS, opened, unreadable
from napari_4dstem.frames.layout import FrameLayout, runs_at
from napari_4dstem.frames.raw_bytes import BACKENDS, RawFrames, View, pieces

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_4dstem.decode.hdf5_filters import Bytes

# Frames that are put together at a time: enough for some threads, and still in a cache.
GROUP_NBYTES = 2**23
# More, where fewer would mean to decompress the same chunk many times.
LARGE_GROUP_NBYTES = 2**27
# Stored bytes that are fetched at a time.
RAW_NBYTES = 2**26
# So many frames at a time are looked up that lie in the file as they are.
MAX_LOOKED_UP = 2**14
# Chunk cache of the library, for what is left to it.
CACHE = {"rdcc_nbytes": 2**28, "rdcc_nslots": 19_997}
# Less than this is not worth a thread.
THREAD_NBYTES = 2**19


class Chunk(NamedTuple):
    """A chunk as it is stored."""

    raw: Bytes | None  # None: it was never written
    skipped: int = 0  # filters that were not applied, a bit each
    is_found: bool = True


class Task(NamedTuple):
    """What a chunk is needed for."""

    number: int
    # (one, other, first): frames ``one`` to ``other`` are those from ``first`` on in it
    runs: list[tuple[int, int, int]]
    part: SigPart


# Part of the detector.
Window = tuple[slice, ...]
Fetch = Callable[[list[Task]], Iterator[list[tuple[Task, Chunk]]]]
Each = Callable[[Callable[..., None], Iterable[tuple[Any, ...]]], None]
Batches = Iterator[tuple[slice, Batch]]


@dataclass(frozen=True, eq=False, slots=True)
class AssembledBatch:
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
    pixel : dtype
        Type of the stored pixels, with their byte order.
    sig_shape : tuple of int
        Shape in which the frames are wanted; as many pixels as they have.
    backend : str
        "mmap", "buffered" or "direct".
    """

    def __init__(
        self,
        stored: StoredData,
        pixel: np.dtype[Any],
        sig_shape: tuple[int, ...],
        backend: str,
    ) -> None:
        self.stored, self.pixel, self.backend = stored, pixel, backend
        self.sig_shape = sig_shape
        self.frame_nbytes = prod(stored.sig_shape) * pixel.itemsize
        self.chunk_nbytes = prod(stored.chunk) * pixel.itemsize
        self.nav_count = prod(stored.nav_chunk)
        self.is_shared = self.nav_count > 1
        self.buffer = np.empty((0, *stored.sig_shape), pixel)

    def read(self, frames: NDArray[np.int64]) -> Batches:
        """Yield frames of the data set in batches, in this order."""
        if not self.stored.is_plain:
            yield from self._by_library(frames)
        elif not self.stored.has_whole_frames:
            yield from self._by_chunks(frames)
        else:
            for begin in range(0, len(frames), MAX_LOOKED_UP):
                wanted = frames[begin : begin + MAX_LOOKED_UP]
                for where, batch in self._in_place(wanted):
                    yield slice(begin + where.start, begin + where.stop), batch

    def _in_place(self, frames: NDArray[np.int64]) -> Batches:
        """Frames that lie in the file as they are."""
        stored = self.stored
        table = stored.table(len(frames))
        if table is None:
            yield from self._by_library(frames)
            return
        numbers, places = self._chunks(frames)
        offsets, sizes, _ = table.find(numbers)
        if (sizes != self.chunk_nbytes).any():  # some were never written
            yield from self._by_chunks(frames)
            return
        runs = tuple(runs_at(stored.path, offsets + places * self.frame_nbytes))
        layout = FrameLayout(runs, stored.sig_shape, self.pixel)
        source = RawFrames(layout, self.backend, self.sig_shape)
        yield from source.batches(np.arange(len(frames)))

    def _by_chunks(self, frames: NDArray[np.int64]) -> Batches:
        """Frames put together from chunks, without the library."""
        numbers, places = self._chunks(frames)
        needed = np.unique(numbers) if self.is_shared else numbers
        needed = np.add.outer(needed, self.stored.part_numbers).ravel()
        nbytes = len(needed) * self.chunk_nbytes
        with self._fetching(needed) as fetch, _threads(nbytes) as each:

            def put_together(group: slice, out: NDArray[Any], window: Window) -> None:
                tasks = self._tasks(numbers[group], places[group], window)
                for fetched in fetch(tasks):
                    each(self._place, ((out, *one) for one in fetched))

            for begin, end in self._groups(numbers):
                yield self._batch(begin, end, put_together)

    def _by_library(self, frames: NDArray[np.int64]) -> Batches:
        """Frames that h5py reads."""
        with opened(self.stored.path, **CACHE) as file:
            dataset = file[self.stored.name]

            def read(group: slice, out: NDArray[Any], window: Window) -> None:
                wanted = frames[group]
                for one, other in pieces(np.diff(wanted) != 1, len(wanted)):
                    first, last = int(wanted[one]), int(wanted[one]) + other - one
                    for box in _boxes(first, last, self.stored.nav_shape):
                        end = one + prod(side.stop - side.start for side in box)
                        self._read_box(dataset, (*box, *window), out[one:end])
                        one = end

            for begin, end in self._groups(self._chunks(frames)[0]):
                yield self._batch(begin, end, read)

    def _batch(
        self,
        begin: int,
        end: int,
        fill: Callable[[slice, NDArray[Any], Window], None],
    ) -> tuple[slice, Batch]:
        group, shape = slice(begin, end), self.stored.sig_shape
        return group, AssembledBatch(
            partial(fill, group), self._room, end - begin, shape, self.sig_shape,
            self.pixel,
        )  # fmt: skip

    def _chunks(
        self, frames: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the chunk of each frame's first pixel, and the frame's place in it."""
        stored = self.stored
        numbers = np.zeros(len(frames), np.int64)
        places = np.zeros(len(frames), np.int64)
        if stored.chunk:
            index = np.unravel_index(frames, stored.nav_shape)
            for i, c, step in zip(index, stored.nav_chunk, stored.steps, strict=False):
                numbers += i // c * step
                places = places * c + i % c
        return numbers, places

    def _groups(self, numbers: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
        """Cut a request into groups of frames; if possible, no chunk is in two."""
        count = len(numbers)
        step = max(1, GROUP_NBYTES // self.frame_nbytes)
        if not self.is_shared:
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

    def _room(self, count: int) -> NDArray[Any]:
        if len(self.buffer) < count:
            self.buffer = np.empty((count, *self.stored.sig_shape), self.pixel)
        return self.buffer[:count]

    def _tasks(
        self, numbers: NDArray[np.int64], places: NDArray[np.int64], window: Window
    ) -> list[Task]:
        """Return what each chunk is needed for."""
        if self.is_shared:
            runs_of_chunks = list(_runs(numbers, places))
        else:
            runs_of_chunks = [
                (number, [(i, i + 1, 0)]) for i, number in enumerate(numbers.tolist())
            ]
        parts = tuple(_clipped(self.stored.sig_parts, window))
        return [
            Task(number + part.number, runs, part)
            for number, runs in runs_of_chunks
            for part in parts
        ]

    @contextmanager
    def _fetching(self, needed: NDArray[np.int64]) -> Iterator[Fetch]:
        """Open the file, and yield a function that fetches the chunks needed."""
        stored = self.stored
        table = stored.table(len(needed))
        if table is not None:
            span = _span(*table.find(needed)[:2])
            with BACKENDS[self.backend](stored.path, *(span or (0, 1))) as view:
                yield lambda tasks: self._at_offsets(view, table, tasks)
            return
        # The table is not worth reading: the library finds these few chunks.
        step = max(1, RAW_NBYTES // self.chunk_nbytes)
        with opened(stored.path) as file:
            found = file[stored.name].id
            yield lambda tasks: (
                [(task, self._one_by_one(found, task)) for task in tasks[i : i + step]]
                for i in range(0, len(tasks), step)
            )

    def _at_offsets(
        self, view: View, table: ChunkTable, tasks: list[Task]
    ) -> Iterator[list[tuple[Task, Chunk]]]:
        numbers = np.array([task.number for task in tasks], np.int64)
        offsets, sizes, skipped = table.find(numbers)
        blocks = np.cumsum(np.maximum(sizes, 0)) // RAW_NBYTES
        for begin, end in pieces(np.diff(blocks) != 0, len(tasks)):
            block = slice(begin, end)
            raws = self._raws(view, offsets[block], sizes[block])
            chunks = map(Chunk, raws, skipped[block].tolist())
            yield list(zip(tasks[block], chunks, strict=True))

    def _raws(
        self, view: View, offsets: NDArray[np.int64], sizes: NDArray[np.int64]
    ) -> list[Bytes | None]:
        pairs = list(zip(offsets.tolist(), sizes.tolist(), strict=True))
        first, last = _span(offsets, sizes) or (0, 0)
        if last - first > 2 * int(np.maximum(sizes, 0).sum()) or first == last:
            return [view(at, at + n) if n >= 0 else None for at, n in pairs]
        # They lie close together, and are read together.
        span = view(first, last)
        return [
            span[at - first : at - first + n] if n >= 0 else None for at, n in pairs
        ]

    def _one_by_one(self, found: Any, task: Task) -> Chunk:
        try:
            skipped, raw = found.read_direct_chunk(self.stored.corner(task.number))
        except H5_ERRORS:  # never written, or damaged: the library knows which
            return Chunk(None, is_found=False)
        return Chunk(np.frombuffer(raw, np.uint8), int(skipped))

    def _place(self, out: NDArray[Any], task: Task, chunk: Chunk) -> None:
        """Put the pixels of a chunk where they belong."""
        stored = self.stored
        if chunk.raw is None and chunk.is_found:
            fill = stored.fill.view(self.pixel)
            for one, other, _ in task.runs:
                out[one:other, *task.part.where] = fill
            return
        try:
            data = self._undone(out, task, chunk)
        except DamagedChunkError:
            data = self._from_library(task.number)
        if data is None:
            return
        pixels = data.view(self.pixel).reshape(stored.chunk).transpose(stored.axes)
        pixels = pixels.reshape(-1, *stored.sig_chunk)
        for one, other, first in task.runs:
            found = pixels[first : first + other - one, *task.part.crop]
            out[one:other, *task.part.where] = found

    def _undone(self, out: NDArray[Any], task: Task, chunk: Chunk) -> Bytes | None:
        """Return the bytes of a chunk; None if they are in their place already."""
        stored = self.stored
        if chunk.raw is None:
            raise DamagedChunkError("not found")
        if not stored.filters:
            if chunk.raw.size != self.chunk_nbytes:
                raise DamagedChunkError("of another size")
            return chunk.raw
        (one, other, _), *more = task.runs
        is_whole = out.shape[1:] == stored.sig_shape == stored.sig_chunk
        if is_whole and stored.in_order and not more and other - one == self.nav_count:
            place = out[one:other].reshape(-1).view(np.uint8)
            undo(stored.filters, chunk.skipped, chunk.raw, place)
            return None
        data = np.empty(self.chunk_nbytes, np.uint8)
        undo(stored.filters, chunk.skipped, chunk.raw, data)
        return data

    def _from_library(self, number: int) -> Bytes:
        stored = self.stored
        corner = stored.corner(number)
        ends = zip(corner, stored.chunk, stored.shape, strict=True)
        box = tuple(slice(i, min(i + c, n)) for i, c, n in ends)
        chunk = np.zeros(stored.chunk, self.pixel)
        with opened(stored.path) as file:
            found = file[stored.name][box].view(self.pixel)
        chunk[tuple(slice(0, n) for n in found.shape)] = found
        return chunk.reshape(-1).view(np.uint8)

    def _read_box(
        self, dataset: Any, box: tuple[slice, ...], out: NDArray[Any]
    ) -> None:
        stored = self.stored
        if not out.size:
            return
        where = tuple(box[stored.axes.index(i)] for i in range(len(box)))
        shape = tuple(side.stop - side.start for side in box)
        try:
            if stored.in_order:
                # Into its place, in the type of the file: HDF5's conversions are slow.
                dataset.read_direct(out.view(stored.h5_type).reshape(shape), where)
            else:
                found = dataset[where].view(self.pixel).transpose(stored.axes)
                out[...] = found.reshape(out.shape)
        except H5_ERRORS as error:
            raise unreadable(stored.path, error) from error


def _clipped(parts: Iterable[SigPart], window: Window) -> Iterator[SigPart]:
    """Yield what parts of the detector have in common with a window."""
    for number, where, _ in parts:
        sides = [
            (max(side.start, w.start), min(side.stop, w.stop), side.start, w.start)
            for side, w in zip(where, window, strict=True)
        ]
        if all(begin < end for begin, end, _, _ in sides):
            yield SigPart(
                number,
                tuple(slice(begin - w, end - w) for begin, end, _, w in sides),
                tuple(slice(begin - c, end - c) for begin, end, c, _ in sides),
            )


def _span(
    offsets: NDArray[np.int64], sizes: NDArray[np.int64]
) -> tuple[int, int] | None:
    """Return first and one past last byte of chunks, None if there are none."""
    exists = sizes > 0
    if not exists.any():
        return None
    return int(offsets[exists].min()), int((offsets + sizes)[exists].max())


def _runs(
    numbers: NDArray[np.int64], places: NDArray[np.int64]
) -> Iterator[tuple[int, list[tuple[int, int, int]]]]:
    """Yield each chunk with the runs of frames that it is needed for."""
    order = np.argsort(numbers, kind="stable")
    for begin, end in pieces(np.diff(numbers[order]) != 0, len(order)):
        rows = order[begin:end]
        at = places[rows]
        breaks = (np.diff(rows) != 1) | (np.diff(at) != 1)
        runs = [
            (int(rows[one]), int(rows[one]) + other - one, int(at[one]))
            for one, other in pieces(breaks, len(rows))
        ]
        yield int(numbers[rows[0]]), runs


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


# Helpers that all requests together may have, beside the threads that make them.
_idle = threading.BoundedSemaphore(max(1, (os.cpu_count() or 1) - 1))


@contextmanager
def _threads(nbytes: int) -> Iterator[Each]:
    """Yield ``each(function, items)``: this thread calls it for each, with helpers.

    Parameters
    ----------
    nbytes : int
        Amount of work, which says whether helpers pay.
    """
    helpers = 0
    while helpers < nbytes // THREAD_NBYTES and _idle.acquire(blocking=False):
        helpers += 1
    try:
        with ThreadPoolExecutor(max(helpers, 1)) as pool:

            def each(
                function: Callable[..., None], items: Iterable[tuple[Any, ...]]
            ) -> None:
                queue = deque(items)
                try:
                    others = [
                        pool.submit(_work, function, queue) for _ in range(helpers)
                    ]
                    _work(function, queue)
                    for other in others:
                        other.result()
                finally:
                    queue.clear()

            yield each
    finally:
        for _ in range(helpers):
            _idle.release()


def _work(function: Callable[..., None], queue: deque[tuple[Any, ...]]) -> None:
    while True:
        try:
            item = queue.popleft()
        except IndexError:
            return
        function(*item)
