"""Frames of an HDF5 data set put together from its chunks, without the library.

Chunks are fetched as they are stored, some at a time; threads undo their filters and
put their pixels in place. A chunk that our filters cannot undo is left to the library,
which knows whether it is damaged, unless it would crash over that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from napari_4dstem.decode.hdf5_filters import TRUSTING, DamagedChunkError, Scratch, undo
from napari_4dstem.errors import FormatError
from napari_4dstem.frames.file_bytes import BACKENDS, View
from napari_4dstem.frames.hdf5_chunks import ChunkTable, SigPart, StoredData
from napari_4dstem.frames.hdf5_file import H5_ERRORS, opened
from napari_4dstem.frames.in_threads import helpers
from napari_4dstem.frames.raw_bytes import pieces
from napari_4dstem.frames.refusals import DAMAGED

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_4dstem.decode.hdf5_filters import Bytes

# Stored bytes that are fetched at a time.
RAW_NBYTES = 2**26

# Part of the detector.
Window = tuple[slice, ...]
# ``fill(group, out, window)``: puts the pixels of some frames into an array.
Fill = Callable[[slice, "NDArray[Any]", Window], None]


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


@contextmanager
def assembled(
    stored: StoredData,
    backend: str,
    frames: NDArray[np.int64],
    needed: NDArray[np.bool_] | None,
) -> Iterator[Fill]:
    """Open a data set, and yield a function that fills in some of these frames.

    Parameters
    ----------
    stored : StoredData
    backend : str
        "mmap", "buffered" or "direct".
    frames : int array, shape (n,)
    needed : bool array, shape stored.sig_shape, optional
        Pixels that matter; chunks without any are not read.
    """
    numbers, places = stored.chunks_of(frames)
    parts = [p for p in stored.sig_parts if needed is None or needed[p.where].any()]
    first = np.unique(numbers) if stored.is_shared else numbers
    of_parts = np.array([part.number for part in parts], np.int64)
    wanted = np.add.outer(first, of_parts).ravel()
    place = _Placing(stored)
    with (
        _fetching(stored, backend, wanted) as fetch,
        helpers(len(wanted) * stored.chunk_nbytes) as each,
    ):

        def fill(group: slice, out: NDArray[Any], window: Window) -> None:
            clipped = list(_clipped(parts, window))
            runs = _runs(stored.is_shared, numbers[group], places[group])
            tasks = [
                Task(number + part.number, of_chunk, part)
                for number, of_chunk in runs
                for part in clipped
            ]
            for fetched in fetch(tasks):
                each(place, ((out, *one) for one in fetched))

        yield fill


def _runs(
    is_shared: bool, numbers: NDArray[np.int64], places: NDArray[np.int64]
) -> Iterator[tuple[int, list[tuple[int, int, int]]]]:
    """Yield each chunk with the runs of frames that it is needed for."""
    if not is_shared:
        for i, number in enumerate(numbers.tolist()):
            yield number, [(i, i + 1, 0)]
        return
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


# ---------------------------------------------------------------------------- fetching


@contextmanager
def _fetching(
    stored: StoredData, backend: str, wanted: NDArray[np.int64]
) -> Iterator[Fetch]:
    """Open the file, and yield a function that fetches the chunks that are wanted."""
    table = stored.table(len(wanted))
    if table is not None:
        span = _span(*table.find(wanted)[:2])
        with BACKENDS[backend](stored.path, *(span or (0, 1))) as view:
            yield lambda tasks: _at_offsets(view, table, tasks)
        return
    # The table is not worth reading: the library finds these few chunks.
    step = max(1, RAW_NBYTES // stored.chunk_nbytes)
    with opened(stored.path) as file:
        found = file[stored.name].id
        yield lambda tasks: (
            [(task, _by_number(stored, found, task)) for task in tasks[i : i + step]]
            for i in range(0, len(tasks), step)
        )


def _at_offsets(
    view: View, table: ChunkTable, tasks: list[Task]
) -> Iterator[list[tuple[Task, Chunk]]]:
    numbers = np.array([task.number for task in tasks], np.int64)
    offsets, sizes, skipped = table.find(numbers)
    blocks = np.cumsum(np.maximum(sizes, 0)) // RAW_NBYTES
    for begin, end in pieces(np.diff(blocks) != 0, len(tasks)):
        block = slice(begin, end)
        raws = _raws(view, offsets[block], sizes[block])
        chunks = map(Chunk, raws, skipped[block].tolist())
        yield list(zip(tasks[block], chunks, strict=True))


def _raws(
    view: View, offsets: NDArray[np.int64], sizes: NDArray[np.int64]
) -> list[Bytes | None]:
    pairs = list(zip(offsets.tolist(), sizes.tolist(), strict=True))
    first, last = _span(offsets, sizes) or (0, 0)
    if last - first > 2 * int(np.maximum(sizes, 0).sum()) or first == last:
        return [view(at, at + n) if n >= 0 else None for at, n in pairs]
    # They lie close together, and are read together.
    span = view(first, last)
    return [span[at - first : at - first + n] if n >= 0 else None for at, n in pairs]


def _span(
    offsets: NDArray[np.int64], sizes: NDArray[np.int64]
) -> tuple[int, int] | None:
    """Return first and one past last byte of chunks, None if there are none."""
    exists = sizes > 0
    if not exists.any():
        return None
    return int(offsets[exists].min()), int((offsets + sizes)[exists].max())


def _by_number(stored: StoredData, found: Any, task: Task) -> Chunk:
    try:
        skipped, raw = found.read_direct_chunk(stored.corner(task.number))
    except H5_ERRORS:  # never written, or damaged: the library knows which
        return Chunk(None, is_found=False)
    if not raw or (not stored.filters and len(raw) != stored.chunk_nbytes):
        raise FormatError(
            stored.path,
            f"a chunk of {stored.name!r} has an impossible size",
            expected="some bytes" if stored.filters else f"{stored.chunk_nbytes} bytes",
            found=f"{len(raw)} bytes",
            hint=DAMAGED,
        )
    return Chunk(np.frombuffer(raw, np.uint8), int(skipped))


# ----------------------------------------------------------------------------- placing


class _Placing:
    """Undoes the filters of chunks and puts their pixels where they belong."""

    def __init__(self, stored: StoredData) -> None:
        self.stored = stored
        self.scratch = Scratch()

    def __call__(self, out: NDArray[Any], task: Task, chunk: Chunk) -> None:
        stored = self.stored
        if chunk.raw is None and chunk.is_found:
            for one, other, _ in task.runs:
                out[one:other, *task.part.where] = stored.fill
            return
        try:
            data = self._undone(out, task, chunk)
        except DamagedChunkError as error:
            trusting = any(code in TRUSTING for code, _ in stored.filters)
            if trusting and chunk.raw is not None:
                raise FormatError(
                    stored.path,
                    f"a chunk of {stored.name!r} is damaged ({error})",
                    hint=DAMAGED,
                ) from error
            data = self._from_library(task.number)
        if data is None:
            return
        pixels = data.view(stored.pixel).reshape(stored.chunk).transpose(stored.axes)
        pixels = pixels.reshape(-1, *stored.sig_chunk)
        for one, other, first in task.runs:
            found = pixels[first : first + other - one, *task.part.crop]
            target = out[one:other, *task.part.where]
            if stored.in_order:  # whole rows are quicker than their pixels
                row = np.dtype(f"V{target.shape[-1] * target.itemsize}")
                target, found = target.view(row), found.view(row)
            target[...] = found

    def _undone(self, out: NDArray[Any], task: Task, chunk: Chunk) -> Bytes | None:
        """Return the bytes of a chunk; None if they are in their place already."""
        stored = self.stored
        if chunk.raw is None:
            raise DamagedChunkError("not found")
        if not stored.filters:
            return chunk.raw
        (one, other, _), *more = task.runs
        is_whole = out.shape[1:] == stored.sig_shape == stored.sig_chunk
        if is_whole and stored.in_order and not more and other - one == stored.shared:
            place = out[one:other].reshape(-1).view(np.uint8)
            undo(stored.filters, chunk.skipped, chunk.raw, place, self.scratch)
            return None
        data = self.scratch.take("chunk", stored.chunk_nbytes)
        undo(stored.filters, chunk.skipped, chunk.raw, data, self.scratch)
        return data

    def _from_library(self, number: int) -> Bytes:
        stored = self.stored
        corner = stored.corner(number)
        ends = zip(corner, stored.chunk, stored.shape, strict=True)
        box = tuple(slice(i, min(i + c, n)) for i, c, n in ends)
        chunk = np.zeros(stored.chunk, stored.pixel)
        with opened(stored.path) as file:
            found = file[stored.name][box].view(stored.pixel)
        chunk[tuple(slice(0, n) for n in found.shape)] = found
        return chunk.reshape(-1).view(np.uint8)
