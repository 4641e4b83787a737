"""Frames as events in three files: pointers, pixel indices and values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_4dstem.errors import FormatError
from napari_4dstem.frames.batches import Batch, SparseBatch
from napari_4dstem.frames.file_bytes import FileMaps
from napari_4dstem.frames.raw_bytes import pieces

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Events of a batch, unless a single frame has more.
MAX_EVENTS = 2**20
# Frames whose pointers are read together.
MAX_FRAMES = 2**18


@dataclass(frozen=True)
class NumberFile:
    """A file of nothing but numbers.

    Attributes
    ----------
    path : Path
    dtype : dtype
        With its byte order.
    count : int
        How many numbers there are.
    """

    path: Path
    dtype: np.dtype[Any]
    count: int

    def read(self, maps: FileMaps, backend: str, begin: int, end: int) -> NDArray[Any]:
        """Return the numbers from ``begin`` to ``end``, native-endian."""
        if begin >= end:
            return np.empty(0, self.dtype.newbyteorder("="))
        first, last = begin * self.dtype.itemsize, end * self.dtype.itemsize
        with maps.opened(backend, self.path, first, last) as view:
            stored = view(first, last).view(self.dtype)
        return np.asarray(stored, self.dtype.newbyteorder("="))


@dataclass(frozen=True)
class SparseFrames:
    """Frames that are stored as events.

    The events of frame i are those from ``indptr[i]`` to ``indptr[i + 1]``: pixel
    ``indices[j]`` of it has ``values[j]`` more. All that is read is checked first.

    Attributes
    ----------
    path : Path
        The file that names the others, for messages.
    indptr, indices, values : NumberFile
    sig_shape : tuple of int
    first, num_frames : int
        The part of the frames that this source has.
    backend : str
        "mmap", "buffered" or "direct".
    maps : FileMaps
        Shared by what is made of these frames.
    """

    path: Path
    indptr: NumberFile
    indices: NumberFile
    values: NumberFile
    sig_shape: tuple[int, ...]
    first: int
    num_frames: int
    backend: str = "buffered"
    maps: FileMaps = field(default_factory=FileMaps, compare=False, repr=False)
    lazy: None = None
    grain: tuple[int, ...] = ()

    @property
    def dtype(self) -> np.dtype[Any]:
        """Native-endian type of the pixels."""
        return self.values.dtype.newbyteorder("=")

    @property
    def files(self) -> tuple[Path, ...]:
        """The files of pointers, indices and values."""
        return self.indptr.path, self.indices.path, self.values.path

    @property
    def is_complete(self) -> bool:
        """Whether all stored frames have pixels: yes."""
        return True

    def present(self, frames: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which of these frames have pixels: all, also those without events."""
        return np.ones(len(frames), dtype=bool)

    def between(self, begin: int, end: int) -> SparseFrames:
        """Return the source of stored frames ``begin`` to ``end`` alone."""
        return replace(self, first=self.first + begin, num_frames=end - begin)

    def with_sig_shape(self, sig_shape: tuple[int, ...]) -> SparseFrames:
        """Return the same frames in another shape of as many pixels."""
        return replace(self, sig_shape=sig_shape)

    def with_backend(self, backend: str) -> SparseFrames:
        """Return the same frames, fetched in another way."""
        return replace(self, backend=backend)

    def check_ends(self) -> None:
        """Check the first and the last pointer, the cheapest test of all files.

        Raises
        ------
        FormatError
        """
        self._pointers(self.first, 0)
        self._pointers(self.first + self.num_frames, 0)

    def batches(
        self, frames: NDArray[np.int64], needed: NDArray[np.bool_] | None = None
    ) -> Iterator[tuple[slice, Batch]]:
        """Yield these frames in batches of about a million events."""
        for begin, end in pieces(np.diff(frames) != 1, len(frames), MAX_FRAMES):
            first = self.first + int(frames[begin])
            indptr = self._pointers(first, end - begin)
            one = 0
            while one < end - begin:
                most = indptr[one] + MAX_EVENTS
                other = max(int(np.searchsorted(indptr, most, "right")) - 1, one + 1)
                batch = self._batch(indptr[one : other + 1], first + one)
                yield slice(begin + one, begin + other), batch
                one = other

    def _pointers(self, first: int, count: int) -> NDArray[np.int64]:
        read = self.indptr.read(self.maps, self.backend, first, first + count + 1)
        # one that is too large for a signed number becomes negative here
        indptr = read.astype(np.int64)
        wrong = np.diff(indptr, prepend=0) < 0
        wrong |= indptr > self.indices.count
        if wrong.any():
            at = int(np.argmax(wrong))
            raise FormatError(
                self.path,
                f"{self.indptr.path.name} does not tell where frame {first + at} is",
                expected=f"a number from {indptr[at - 1] if at else 0} (the one before)"
                f" to {self.indices.count} (the events there are)",
                found=int(read[at]),
                hint="The file is damaged, or its type in the TOML is wrong.",
            )
        return indptr

    def _batch(self, indptr: NDArray[np.int64], first: int) -> SparseBatch:
        begin, end = indptr[0].item(), indptr[-1].item()
        indices = self.indices.read(self.maps, self.backend, begin, end)
        size = prod(self.sig_shape)
        if len(indices) and not (indices.min() >= 0 and indices.max() < size):
            at = int(np.argmax((indices < 0) | (indices >= size)))
            frame = first + int(np.searchsorted(indptr, begin + at, "right")) - 1
            raise FormatError(
                self.path,
                f"{self.indices.path.name} has a pixel outside of frame {frame}",
                expected=f"an index from 0 to {size - 1}, of"
                f" {' x '.join(map(str, self.sig_shape))} pixels",
                found=int(indices[at]),
                hint="The file is damaged, or the TOML has a wrong sig_shape or type.",
            )
        if indices.dtype == np.uint64:
            indices = indices.astype(np.int64)
        values = self.values.read(self.maps, self.backend, begin, end)
        return SparseBatch(indptr - begin, indices, values, self.sig_shape)
