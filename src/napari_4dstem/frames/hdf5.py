"""Frames of HDF5 data sets, past the HDF5 library as far as that is possible.

The library does all it does under one lock. So pixels that were stored as they are come
straight from the file, at the offsets that HDF5 reports, and compressed chunks are
decompressed here, in as many threads as there are cores. The rest is left to h5py:
filters that only HDF5 knows, virtual data sets, pixels of unusual layout.
"""

from __future__ import annotations

import os
import pickle
import threading
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from napari_4dstem.decode.hdf5_filters import DamagedChunkError, undo
from napari_4dstem.frames.batches import Batch, DenseBatch
from napari_4dstem.frames.hdf5_chunks import (
    ChunkTable,
    SigPart,
    StoredData,
    stored_data,
)
from napari_4dstem.frames.hdf5_file import H5_ERRORS, opened
from napari_4dstem.frames.layout import FrameLayout, Gap, runs_at
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


@dataclass(frozen=True, slots=True)
class Part:
    """Frames of a data set that follow each other in C order.

    Attributes
    ----------
    path : Path
        The file that holds the data set, at the end of all links.
    name : str
        Of the data set in this file.
    begin, count : int
        Number of the first frame, and of frames.
    """

    path: Path
    name: str
    begin: int
    count: int


@dataclass(frozen=True)
class Hdf5Frames:
    """Frames of one HDF5 data set, or of several one after the other.

    Attributes
    ----------
    parts : tuple of Part and Gap
    frame_shape : tuple of int
        Shape of a frame.
    pixel : dtype
        Type of the stored pixels, with their byte order.
    frames_last : bool
        Whether the axes of the scan are the last ones of the data set.
    grain : tuple of int
        Scan shape of a chunk: these frames are read together.
    backend : str
        "mmap", "buffered" or "direct".
    shown_shape : tuple of int, optional
        Another shape of as many pixels in which the frames are handed out.
    """

    parts: tuple[Part | Gap, ...]
    frame_shape: tuple[int, ...]
    pixel: np.dtype[Any]
    frames_last: bool = False
    grain: tuple[int, ...] = ()
    backend: str = "mmap"
    shown_shape: tuple[int, ...] | None = None
    lazy: None = None

    @property
    def num_frames(self) -> int:
        """Number of frames, lost ones included."""
        return sum(part.count for part in self.parts)

    @property
    def sig_shape(self) -> tuple[int, ...]:
        """Shape of a frame as it is handed out."""
        return self.shown_shape or self.frame_shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Native-endian type of the pixels."""
        return self.pixel.newbyteorder("=")

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """The files that hold the data sets."""
        paths = (part.path for part in self.parts if isinstance(part, Part))
        return tuple(dict.fromkeys(paths))

    @cached_property
    def ends(self) -> NDArray[np.int64]:
        """Number one past the last frame of each part."""
        return np.cumsum([part.count for part in self.parts], dtype=np.int64)

    def between(self, begin: int, end: int) -> Hdf5Frames:
        """Return the source of frames ``begin`` to ``end`` alone."""
        parts: list[Part | Gap] = []
        for part, last in zip(self.parts, self.ends.tolist(), strict=True):
            skipped = max(begin - (last - part.count), 0)
            count = min(end, last) - (last - part.count) - skipped
            if count <= 0:
                continue
            if isinstance(part, Part):
                part = replace(part, begin=part.begin + skipped)
            parts.append(replace(part, count=count))
        return replace(self, parts=tuple(parts))

    def with_sig_shape(self, sig_shape: tuple[int, ...]) -> Hdf5Frames:
        """Return the same frames in another shape of as many pixels."""
        return replace(self, shown_shape=sig_shape)

    def with_backend(self, backend: str) -> Hdf5Frames:
        """Return the same frames, fetched in another way."""
        return replace(self, backend=backend)

    def present(self, frames: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which of these frames have pixels, shape (n,)."""
        gaps = np.array([isinstance(part, Gap) for part in self.parts], dtype=bool)
        return ~gaps[np.searchsorted(self.ends, frames, side="right")]

    def batches(self, frames: NDArray[np.int64]) -> Iterator[tuple[slice, Batch]]:
        """Yield these frames in batches, in the order of ``frames``."""
        number = np.searchsorted(self.ends, frames, side="right")
        for begin, end in pieces(np.diff(number) != 0, len(frames)):
            if begin == end:
                continue
            part = self.parts[number[begin]]
            assert isinstance(part, Part), "asked for a lost frame"
            first = int(self.ends[number[begin]]) - part.count - part.begin
            for where, found in self._read(part, frames[begin:end] - first):
                shown = found.reshape(len(found), *self.sig_shape)
                yield slice(begin + where.start, begin + where.stop), DenseBatch(shown)

    def _read(
        self, part: Part, frames: NDArray[np.int64]
    ) -> Iterator[tuple[slice, NDArray[Any]]]:
        sig_ndim = len(self.frame_shape)
        stored = stored_data(part.path, part.name, sig_ndim, self.frames_last)
        reader = _Reader(stored, self.pixel, self.backend)
        if not stored.is_plain:
            return reader.by_library(frames)
        if stored.has_whole_frames:
            return reader.in_place(frames)
        return reader.by_chunks(frames)

    def __reduce__(self) -> tuple[Any, ...]:
        # A scan may have hundreds of files with a path each.
        rows = [
            (os.fspath(part.path), part.name, part.begin, part.count)
            if isinstance(part, Part)
            else ("", "", 0, part.count)
            for part in self.parts
        ]
        rest = (
            self.frame_shape, self.pixel, self.frames_last, self.grain, self.backend,
            self.shown_shape,
        )  # fmt: skip
        return _unpacked, (zlib.compress(pickle.dumps(rows)), *rest)


def _unpacked(rows: bytes, *rest: Any) -> Hdf5Frames:
    parts = tuple(
        Part(Path(path), name, begin, count) if path else Gap(count)
        for path, name, begin, count in pickle.loads(zlib.decompress(rows))
    )
    return Hdf5Frames(parts, *rest)


# ---------------------------------------------------------------------------- reading


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


Fetch = Callable[[list[Task]], Iterator[list[tuple[Task, Chunk]]]]
Each = Callable[[Callable[..., None], Iterable[tuple[Any, ...]]], None]


class _Reader:
    """One request for frames of one data set."""

    def __init__(self, stored: StoredData, pixel: np.dtype[Any], backend: str) -> None:
        self.stored, self.pixel, self.backend = stored, pixel, backend
        self.frame_nbytes = prod(stored.sig_shape) * pixel.itemsize
        self.chunk_nbytes = prod(stored.chunk) * pixel.itemsize
        self.is_shared = prod(stored.nav_chunk) > 1
        self.buffer = np.empty((0, *stored.sig_shape), pixel)

    def in_place(
        self, frames: NDArray[np.int64]
    ) -> Iterator[tuple[slice, NDArray[Any]]]:
        """Yield frames that lie in the file as they are."""
        for begin in range(0, len(frames), MAX_LOOKED_UP):
            wanted = frames[begin : begin + MAX_LOOKED_UP]
            for where, found in self._in_place(wanted):
                yield slice(begin + where.start, begin + where.stop), found

    def _in_place(
        self, frames: NDArray[np.int64]
    ) -> Iterator[tuple[slice, NDArray[Any]]]:
        stored = self.stored
        table = stored.table(len(frames))
        if table is None:
            yield from self.by_library(frames)
            return
        numbers, places = self._chunks(frames)
        offsets, sizes, _ = table.find(numbers)
        if (sizes != self.chunk_nbytes).any():  # some were never written
            yield from self.by_chunks(frames)
            return
        runs = tuple(runs_at(stored.path, offsets + places * self.frame_nbytes))
        layout = FrameLayout(runs, stored.sig_shape, self.pixel)
        for where, batch in RawFrames(layout, self.backend).batches(
            np.arange(len(frames))
        ):
            assert isinstance(batch, DenseBatch), "nothing is packed"
            yield where, batch.frames

    def by_chunks(
        self, frames: NDArray[np.int64]
    ) -> Iterator[tuple[slice, NDArray[Any]]]:
        """Yield frames put together from chunks, without the library."""
        numbers, places = self._chunks(frames)
        needed = np.unique(numbers) if self.is_shared else numbers
        needed = np.add.outer(needed, self.stored.part_numbers).ravel()
        with (
            self._fetching(needed) as fetch,
            _threads(len(needed) * self.chunk_nbytes) as each,
        ):
            for begin, end in self._groups(numbers):
                out = self._room(end - begin)
                tasks = self._tasks(numbers[begin:end], places[begin:end])
                for fetched in fetch(tasks):
                    each(self._place, ((out, *one) for one in fetched))
                yield slice(begin, end), out

    def by_library(
        self, frames: NDArray[np.int64]
    ) -> Iterator[tuple[slice, NDArray[Any]]]:
        """Yield frames that h5py reads."""
        stored = self.stored
        with opened(stored.path, **CACHE) as file:
            dataset = file[stored.name]
            for begin, end in self._groups(self._chunks(frames)[0]):
                out = self._room(end - begin)
                wanted = frames[begin:end]
                for one, other in pieces(np.diff(wanted) != 1, len(wanted)):
                    first = int(wanted[one])
                    for box in _boxes(first, first + other - one, stored.nav_shape):
                        last = one + prod(side.stop - side.start for side in box)
                        self._read_box(dataset, box, out[one:last])
                        one = last
                yield slice(begin, end), out

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
        self, numbers: NDArray[np.int64], places: NDArray[np.int64]
    ) -> list[Task]:
        """Return what each chunk is needed for."""
        if self.is_shared:
            runs_of_chunks = list(_runs(numbers, places))
        else:
            runs_of_chunks = [
                (number, [(i, i + 1, 0)]) for i, number in enumerate(numbers.tolist())
            ]
        return [
            Task(number + part.number, runs, part)
            for number, runs in runs_of_chunks
            for part in self.stored.sig_parts
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
        fits = stored.in_order and not more and stored.sig_chunk == stored.sig_shape
        if fits and other - one == prod(stored.nav_chunk):
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
        sides = (*box, *(slice(0, n) for n in stored.sig_shape))
        where = tuple(sides[stored.axes.index(i)] for i in range(len(sides)))
        if stored.in_order:
            # Into its place, in the type of the file: HDF5's conversions are slow.
            shape = tuple(side.stop - side.start for side in sides)
            dataset.read_direct(out.view(stored.h5_type).reshape(shape), where)
        else:
            found = dataset[where].view(self.pixel).transpose(stored.axes)
            out[...] = found.reshape(out.shape)


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
