"""Frames of HDF5 data sets, past the HDF5 library as far as that is possible.

The library does all it does under one lock. So pixels that were stored as they are come
straight from the file, at the offsets that HDF5 reports, and compressed chunks are
decompressed here, in as many threads as there are cores. The rest is left to h5py:
filters that only HDF5 knows, virtual data sets, pixels of unusual layout.

A read takes three steps: `Hdf5Frames` finds the data set that holds a frame,
`hdf5_chunks` where in the file its chunks are, and `hdf5_reader` fetches them.
"""

from __future__ import annotations

import os
import pickle
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_4dstem.frames.batches import Batch
from napari_4dstem.frames.hdf5_chunks import stored_data
from napari_4dstem.frames.hdf5_reader import Reader
from napari_4dstem.frames.layout import FrameLayout, FrameRun, Gap
from napari_4dstem.frames.raw_bytes import pieces

if TYPE_CHECKING:
    from numpy.typing import NDArray


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
    origin : int, optional
        Byte of the data set's first frame, where all lie one after the other.
    """

    path: Path
    name: str
    begin: int
    count: int
    origin: int | None = None


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

    @property
    def frame_nbytes(self) -> int:
        """Bytes of a frame."""
        return prod(self.frame_shape) * self.pixel.itemsize

    @property
    def told(self) -> str:
        """What a frame is, for people."""
        return f"{' x '.join(map(str, self.frame_shape))}, {self.dtype}"

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
        first = int(np.searchsorted(self.ends, begin, side="right"))
        final = int(np.searchsorted(self.ends, end)) + 1
        lasts = self.ends[first:final].tolist()
        for part, last in zip(self.parts[first:final], lasts, strict=True):
            skipped = max(begin - (last - part.count), 0)
            count = min(end, last) - (last - part.count) - skipped
            if count <= 0:
                break
            if isinstance(part, Part):
                part = replace(part, begin=part.begin + skipped)
            parts.append(replace(part, count=count))
        return replace(self, parts=tuple(parts))

    def simplest(self) -> FrameLayout | Hdf5Frames:
        """Return a layout, if the frames can be read without HDF5."""
        runs: list[FrameRun | Gap] = []
        for part in self.parts:
            if isinstance(part, Gap):
                runs.append(part)
            elif part.origin is None:
                return self
            else:
                start = part.origin + part.begin * self.frame_nbytes
                runs.append(FrameRun(part.path, start, self.frame_nbytes, part.count))
        return FrameLayout(tuple(runs), self.frame_shape, self.pixel)

    def with_sig_shape(self, sig_shape: tuple[int, ...]) -> Hdf5Frames:
        """Return the same frames in another shape of as many pixels."""
        return replace(self, shown_shape=sig_shape)

    def with_backend(self, backend: str) -> Hdf5Frames:
        """Return the same frames, fetched in another way."""
        return replace(self, backend=backend)

    @property
    def is_complete(self) -> bool:
        """Whether all stored frames have pixels."""
        return not any(isinstance(part, Gap) for part in self.parts)

    def present(self, frames: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which of these frames have pixels, shape (n,)."""
        gaps = np.array([isinstance(part, Gap) for part in self.parts], dtype=bool)
        return ~gaps[np.searchsorted(self.ends, frames, side="right")]

    def batches(
        self, frames: NDArray[np.int64], needed: NDArray[np.bool_] | None = None
    ) -> Iterator[tuple[slice, Batch]]:
        """Yield these frames in batches, in the order of ``frames``."""
        number = np.searchsorted(self.ends, frames, side="right")
        for begin, end in pieces(np.diff(number) != 0, len(frames)):
            if begin == end:
                continue
            part = self.parts[number[begin]]
            assert isinstance(part, Part), "asked for a lost frame"
            first = int(self.ends[number[begin]]) - part.count - part.begin
            sig_ndim = len(self.frame_shape)
            stored = stored_data(part.path, part.name, sig_ndim, self.frames_last)
            reader = Reader(stored, self.sig_shape, self.backend, needed)
            for where, batch in reader.read(frames[begin:end] - first):
                yield slice(begin + where.start, begin + where.stop), batch

    def __reduce__(self) -> tuple[Any, ...]:
        # A scan may have hundreds of files with a path each.
        rows = [
            (os.fspath(part.path), part.name, part.begin, part.count, part.origin)
            if isinstance(part, Part)
            else ("", "", 0, part.count, None)
            for part in self.parts
        ]
        rest = (
            self.frame_shape, self.pixel, self.frames_last, self.grain, self.backend,
            self.shown_shape,
        )  # fmt: skip
        return _unpacked, (zlib.compress(pickle.dumps(rows)), *rest)


def _unpacked(rows: bytes, *rest: Any) -> Hdf5Frames:
    parts = tuple(
        Part(Path(path), name, begin, count, origin) if path else Gap(count)
        for path, name, begin, count, origin in pickle.loads(zlib.decompress(rows))
    )
    return Hdf5Frames(parts, *rest)
