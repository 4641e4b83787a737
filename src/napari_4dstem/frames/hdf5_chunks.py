"""What must be known of an HDF5 data set to read it past the library.

Above all, where in the file its chunks are: they are numbered in C order of all there
could be, and a table tells the place of each.
"""

from __future__ import annotations

import os
import threading
from array import array
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import product
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from napari_4dstem.decode.hdf5_filters import can_undo
from napari_4dstem.errors import FormatError
from napari_4dstem.frames.hdf5_file import (
    check_filters,
    filters_of,
    lies_as_numpy,
    opened,
)
from napari_4dstem.frames.hdf5_values import pixel_type
from napari_4dstem.frames.refusals import DAMAGED, INTERRUPTED

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Data sets that are remembered. Their tables have some 32 bytes a chunk.
MAX_KEPT = 128
# The table of all chunks is read when there are so few of them, or when so large a part
# of them has been asked for; it takes some microseconds a chunk.
FEW_CHUNKS = 2**14
LARGE_PART = 1 / 16
# A frame in more pieces than this is left to the library.
MAX_PIECES = 2**18


class SigPart(NamedTuple):
    """What a chunk covers of the detector."""

    number: int  # to be added to the number of the chunk
    where: tuple[slice, ...]  # in the frame
    crop: tuple[slice, ...]  # in the chunk


@dataclass(frozen=True, eq=False)
class ChunkTable:
    """Where the chunks of a data set are.

    Attributes
    ----------
    numbers : int array, shape (n,)
        Those of the chunks that exist, ascending; in C order of all there could be.
    offsets, sizes : int array, shape (n,)
        First byte in the file, and number of bytes.
    skipped : int array, shape (n,)
        Filters that were not applied, a bit each.
    """

    numbers: NDArray[np.int64]
    offsets: NDArray[np.int64]
    sizes: NDArray[np.int64]
    skipped: NDArray[np.int64]

    def find(self, numbers: NDArray[np.int64]) -> tuple[NDArray[np.int64], ...]:
        """Return offsets, sizes, skipped filters; size -1 where there is no chunk."""
        if not len(self.numbers):
            nothing = np.zeros(len(numbers), np.int64)
            return nothing, nothing - 1, nothing
        at = np.minimum(np.searchsorted(self.numbers, numbers), len(self.numbers) - 1)
        exists = self.numbers[at] == numbers
        return self.offsets[at], np.where(exists, self.sizes[at], -1), self.skipped[at]


class StoredData:
    """An HDF5 data set. Shared by all threads of a process.

    Attributes
    ----------
    path : Path
    name : str
    shape, chunk : tuple of int
        No chunk where the data set is not in chunks.
    nav_shape, sig_shape, nav_chunk, sig_chunk : tuple of int
        Their parts.
    axes : tuple of int
        Axes in the order of ours: those of the scan first.
    in_order : bool
        Whether that is the order of the file.
    filters : tuple of (int, tuple of int)
    h5_type, pixel : dtype
        As h5py sees the pixels, and as we do.
    chunk_nbytes, shared : int
        Bytes of a chunk, and frames of which it holds a part.
    fill : array, shape ()
        What chunks hold that were never written.
    is_outside : bool
        Whether its pixels are in other files, which hold nothing else.
    is_plain : bool
        Whether it is in chunks that can be read without the library.
    """

    def __init__(self, path: Path, name: str, sig_ndim: int, frames_last: bool) -> None:
        self.path, self.name = path, name
        with opened(path) as file:
            dataset = file[name]
            self.is_outside = bool(dataset.external)
            self.shape = tuple(map(int, dataset.shape))
            self.chunk = tuple(map(int, dataset.chunks or ()))
            self.h5_type: np.dtype[Any] = dataset.dtype
            self.pixel = pixel_type(dataset) or self.h5_type
            self.fill = np.array(dataset.fillvalue, self.h5_type).view(self.pixel)
            self.filters = filters_of(dataset)
            check_filters(path, name, self.filters)
            is_plain = bool(self.chunk) and lies_as_numpy(dataset)
            self._user_block = int(file.userblock_size)
        nav, sig = split_axes(len(self.shape), sig_ndim, frames_last)
        axes = range(len(self.shape))
        self.axes = (*axes[nav], *axes[sig])
        self.in_order = self.axes == (*axes,)
        self.nav_shape, self.sig_shape = self.shape[nav], self.shape[sig]
        self.nav_chunk, self.sig_chunk = self.chunk[nav], self.chunk[sig]
        self.chunk_nbytes = prod(self.chunk) * self.pixel.itemsize
        self.shared = prod(self.nav_chunk)
        self.is_plain = is_plain and can_undo(self.filters) and self._is_countable
        self._asked = 0
        self._table: ChunkTable | None = None
        self._has_no_table = False
        self._reading = threading.Lock()

    def open(self, file: Any) -> Any:
        """Return the data set in an open file."""
        import h5py

        if not self.is_outside:
            return file[self.name]
        # Such files are beside this one, not where the program runs.
        access = h5py.h5p.create(h5py.h5p.DATASET_ACCESS)
        access.set_efile_prefix(b"${ORIGIN}")
        return h5py.Dataset(h5py.h5d.open(file.id, self.name.encode(), access))

    @property
    def is_shared(self) -> bool:
        """Whether a chunk holds parts of several frames."""
        return self.shared > 1

    @property
    def _is_countable(self) -> bool:
        nav_ndim = len(self.nav_shape)
        pieces = prod(self._grid[axis] for axis in self.axes[nav_ndim:])
        return pieces <= MAX_PIECES and prod(self._grid) < 2**62

    @property
    def has_whole_frames(self) -> bool:
        """Whether frames lie in the chunks as numpy would store them."""
        whole = self.in_order and self.sig_chunk == self.sig_shape
        return self.is_plain and whole and not self.filters

    @cached_property
    def _grid(self) -> tuple[int, ...]:
        """Number of chunks along each axis of the file."""
        return tuple(-(-n // c) for n, c in zip(self.shape, self.chunk, strict=True))

    @cached_property
    def _file_steps(self) -> tuple[int, ...]:
        return tuple(prod(self._grid[axis + 1 :]) for axis in range(len(self._grid)))

    @cached_property
    def steps(self) -> tuple[int, ...]:
        """By how much the number of a chunk grows along the axes, in our order."""
        return tuple(self._file_steps[axis] for axis in self.axes)

    @cached_property
    def sig_parts(self) -> tuple[SigPart, ...]:
        """What the chunks at one place of the scan cover of the detector."""
        steps = self.steps[len(self.nav_shape) :]
        sides = [
            [(i * step, at, min(at + c, n)) for i, at in enumerate(range(0, n, c))]
            for n, c, step in zip(self.sig_shape, self.sig_chunk, steps, strict=True)
        ]
        return tuple(
            SigPart(
                sum(number for number, _, _ in corner),
                tuple(slice(begin, end) for _, begin, end in corner),
                tuple(slice(0, end - begin) for _, begin, end in corner),
            )
            for corner in product(*sides)
        )

    def chunks_of(
        self, frames: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the chunk of each frame's first pixel, and the frame's place in it."""
        numbers = np.zeros(len(frames), np.int64)
        places = np.zeros(len(frames), np.int64)
        if self.chunk:
            index = np.unravel_index(frames, self.nav_shape)
            for i, c, step in zip(index, self.nav_chunk, self.steps, strict=False):
                numbers += i // c * step
                places = places * c + i % c
        return numbers, places

    def corner(self, number: int) -> tuple[int, ...]:
        """Index of the first pixel of a chunk, in the order of the file."""
        index = []
        for step, c in zip(self._file_steps, self.chunk, strict=True):
            i, number = divmod(number, step)
            index.append(i * c)
        return tuple(index)

    def table(self, asked: int) -> ChunkTable | None:
        """Return the table of chunks, if it is there or worth reading.

        Parameters
        ----------
        asked : int
            Number of chunks that are needed now.
        """
        self._asked += asked
        total = prod(self._grid)
        worth = total <= FEW_CHUNKS or self._asked > total * LARGE_PART
        if worth and self._table is None and not self._has_no_table:
            with self._reading:
                if self._table is None and not self._has_no_table:
                    self._table = self._read_table()
                    self._has_no_table = self._table is None
        return self._table

    def _read_table(self) -> ChunkTable | None:
        numbers = array("Q")
        with opened(self.path) as file:
            found = self.open(file).id
            if not hasattr(found, "chunk_iter"):  # HDF5 before 1.14
                return None
            found.chunk_iter(lambda chunk: numbers.extend((*chunk[0], *chunk[1:])))
            rows = np.array(numbers, np.uint64).reshape(-1, len(self.chunk) + 3)
            shift = self._shift(found, rows) if len(rows) else 0
        if shift is None:
            return None
        self._check(rows)
        *corners, skipped, offsets, sizes = rows.astype(np.int64).T
        number = np.zeros(len(rows), np.int64)
        for at, c, step in zip(corners, self.chunk, self._file_steps, strict=True):
            number += at // c * step
        order = np.argsort(number, kind="stable")
        return ChunkTable(
            number[order], offsets[order] + shift, sizes[order], skipped[order]
        )

    def _shift(self, found: Any, rows: NDArray[np.uint64]) -> int | None:
        """Return what is to be added to offsets, None if they cannot be trusted.

        HDF5 before 1.14.4 forgets the user block.
        """
        if not self._user_block:
            return 0
        *corner, _, offset, _ = rows[0].tolist()
        raw = found.read_direct_chunk(tuple(corner))[1]
        with open(self.path, "rb") as file:
            for shift in (0, self._user_block):
                file.seek(offset + shift)
                if file.read(len(raw)) == raw:
                    return shift
        return None

    def _check(self, rows: NDArray[np.uint64]) -> None:
        """Refuse chunks that cannot be; HDF5 may crash over them."""
        size = self.path.stat().st_size
        limit = np.uint64(size)
        skipped, offsets, sizes = rows[:, -3], rows[:, -2], rows[:, -1]
        beyond = (offsets > limit) | (sizes > limit) | (offsets + sizes > limit)
        wrong = (skipped >= 2 ** len(self.filters)) | (sizes == 0)
        if not self.filters:
            wrong |= sizes != self.chunk_nbytes
        if not (beyond | wrong).any():
            return
        first = int(np.argmax(beyond | wrong))
        raise FormatError(
            self.path,
            f"a chunk of {self.name!r} lies beyond the end of the file"
            if beyond[first]
            else f"the place of a chunk of {self.name!r} is impossible",
            offset=int(offsets[first]),
            expected=f"a file of {size} bytes"
            if beyond[first]
            else "some bytes"
            if self.filters
            else f"{self.chunk_nbytes} bytes",
            found=f"{sizes[first]} bytes",
            hint=INTERRUPTED if beyond[first] else DAMAGED,
        )


def split_axes(ndim: int, sig_ndim: int, frames_last: bool) -> tuple[slice, slice]:
    """Return which axes of a data set are those of the scan, and of the detector."""
    if frames_last:
        return slice(sig_ndim, ndim), slice(0, sig_ndim)
    return slice(0, ndim - sig_ndim), slice(ndim - sig_ndim, ndim)


def stored_data(path: Path, name: str, sig_ndim: int, frames_last: bool) -> StoredData:
    """Return what is known of a data set; found once, and anew if the file changes."""
    try:
        state = os.stat(path)
    except OSError as error:
        raise FormatError(
            path,
            f"cannot be read ({error.strerror or error})",
            hint="Check that the file is still there and that you may read it.",
        ) from error
    version = state.st_size, state.st_mtime_ns
    return _kept(path, name, sig_ndim, frames_last, version)


@lru_cache(MAX_KEPT)
def _kept(
    path: Path, name: str, sig_ndim: int, frames_last: bool, _version: tuple[int, int]
) -> StoredData:
    return StoredData(path, name, sig_ndim, frames_last)
