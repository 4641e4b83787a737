"""Where the pixels of every frame are: plain data, no reading.

A format module describes its files as runs of evenly spaced frames. Everything else
(fetching the bytes, missing frames, files that are cut off) follows from that.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_4dstem.decode import Packing


@dataclass(frozen=True, slots=True)
class FrameRun:
    """Evenly spaced frames in one file.

    Attributes
    ----------
    path : Path
    start : int
        Byte of the first pixel of the first frame.
    stride : int
        Bytes from one frame to the next.
    count : int
        Number of frames that should be there; the file may turn out to be shorter.
    """

    path: Path
    start: int
    stride: int
    count: int


@dataclass(frozen=True, slots=True)
class Gap:
    """Frames that were recorded and lost: they keep their place, but have no pixels."""

    count: int


def runs_at(path: Path, offsets: Sequence[int] | NDArray[np.int64]) -> list[FrameRun]:
    """Return the fewest runs for frames that begin at any ``offsets`` of one file.

    Parameters
    ----------
    path : Path
    offsets : sequence of int, shape (n,)
        Byte of the first pixel of each frame, in the order of the frames.
    """
    table = np.asarray(offsets, dtype=np.int64)
    steps = np.diff(table)
    # one past the last of the steps that equal each of them
    changes = [*(np.flatnonzero(np.diff(steps)) + 1).tolist(), len(steps)]
    runs = []
    begin = change = 0
    while begin < len(table):
        stride = int(steps[begin]) if begin < len(steps) else 0
        end = begin + 1
        if stride > 0:
            while changes[change] <= begin:
                change += 1
            end = changes[change] + 1
        runs.append(FrameRun(path, int(table[begin]), stride, end - begin))
        begin = end
    return runs


@dataclass(frozen=True)
class FrameLayout:
    """Where the frames are, in the order of recording.

    Attributes
    ----------
    runs : tuple of FrameRun and Gap
    sig_shape : tuple of int
        Shape of one frame, slowest axis first.
    dtype : dtype
        Type of the stored pixels, with their byte order; of the decoded pixels where
        there is a packing.
    decode : Packing, optional
        How pixels are packed into bytes. None: they lie as numpy would store them.
    sig_strides : tuple of int, optional
        Bytes from pixel to pixel along each detector axis; may be negative (a frame
        stored bottom row first) or larger than a frame (pixels of many frames side
        by side). None: C order without gaps.
    """

    runs: tuple[FrameRun | Gap, ...]
    sig_shape: tuple[int, ...]
    dtype: np.dtype[Any]
    decode: Packing | None = None
    sig_strides: tuple[int, ...] | None = None

    @cached_property
    def num_frames(self) -> int:
        """Number of frames, lost ones in gaps included."""
        return sum(run.count for run in self.runs)

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """The files, each once, in the order of the frames."""
        paths = (run.path for run in self.runs if isinstance(run, FrameRun))
        return tuple(dict.fromkeys(paths))

    @cached_property
    def extent(self) -> tuple[int, int]:
        """Bytes of a frame, relative to its first pixel: first, and one past last."""
        if self.decode is not None:
            return 0, self.decode.frame_nbytes
        if self.sig_strides is None:
            return 0, prod(self.sig_shape) * self.dtype.itemsize
        reach = [
            (n - 1) * stride
            for n, stride in zip(self.sig_shape, self.sig_strides, strict=True)
        ]
        last = sum(r for r in reach if r > 0) + self.dtype.itemsize
        return sum(r for r in reach if r < 0), last

    @cached_property
    def frame_nbytes(self) -> int:
        """Bytes of a frame, without any others in between."""
        if self.decode is not None:
            return self.decode.frame_nbytes
        return prod(self.sig_shape) * self.dtype.itemsize

    @cached_property
    def is_scattered(self) -> bool:
        """Whether most of what lies between the pixels of a frame is something else."""
        before, after = self.extent
        return after - before > 2 * self.frame_nbytes

    @cached_property
    def ends(self) -> NDArray[np.int64]:
        """Index one past the last frame of each run."""
        return np.cumsum([run.count for run in self.runs], dtype=np.int64)

    @cached_property
    def are_gaps(self) -> NDArray[np.bool_]:
        """Whether each run is a gap."""
        return np.array([isinstance(run, Gap) for run in self.runs], dtype=bool)

    def between(self, begin: int, end: int) -> FrameLayout:
        """Return the layout of frames ``begin`` to ``end`` (exclusive) alone."""
        runs: list[FrameRun | Gap] = []
        first = int(np.searchsorted(self.ends, begin, side="right"))
        final = int(np.searchsorted(self.ends, end)) + 1
        lasts = self.ends[first:final].tolist()
        for run, last in zip(self.runs[first:final], lasts, strict=True):
            skipped = max(begin - (last - run.count), 0)
            count = min(end, last) - (last - run.count) - skipped
            if count <= 0:
                break
            if isinstance(run, FrameRun):
                start = run.start + skipped * run.stride
                runs.append(FrameRun(run.path, start, run.stride, count))
            else:
                runs.append(Gap(count))
        return replace(self, runs=tuple(runs))

    def complete_frames(self, run: FrameRun, file_size: int) -> int:
        """Return how many frames of ``run`` lie wholly inside a file of this size."""
        before, after = self.extent
        if run.start + before < 0 or run.start + after > file_size:
            return 0
        if run.stride <= 0:
            return run.count
        return min(run.count, (file_size - run.start - after) // run.stride + 1)

    def __reduce__(self) -> tuple[Any, ...]:
        # A series has thousands of runs in one folder: columns are far smaller
        # than as many objects with a path each.
        return _unpacked, (
            _packed(self.runs),
            self.sig_shape,
            self.dtype,
            self.decode,
            self.sig_strides,
        )


def _packed(runs: Iterable[FrameRun | Gap]) -> tuple[str, bytes, bytes]:
    runs = tuple(runs)
    paths = list(dict.fromkeys(run.path for run in runs if isinstance(run, FrameRun)))
    number = {path: i for i, path in enumerate(paths)}
    folder = os.fspath(paths[0].parent) if paths else ""
    names = [
        path.name if os.fspath(path.parent) == folder else os.fspath(path)
        for path in paths
    ]
    table = np.array(
        [
            (number[run.path], run.start, run.stride, run.count)
            if isinstance(run, FrameRun)
            else (-1, 0, 0, run.count)
            for run in runs
        ],
        dtype=np.int64,
    )
    names_bytes = "\0".join(names).encode("utf-8", "surrogateescape")
    return folder, zlib.compress(names_bytes), zlib.compress(table.tobytes())


def _unpacked(packed: tuple[str, bytes, bytes], *rest: Any) -> FrameLayout:
    folder, names, table = packed
    text = zlib.decompress(names).decode("utf-8", "surrogateescape")
    paths = [Path(folder, name) for name in text.split("\0")]
    rows = np.frombuffer(zlib.decompress(table), dtype=np.int64).reshape(-1, 4)
    runs = tuple(
        FrameRun(paths[number], start, stride, count) if number >= 0 else Gap(count)
        for number, start, stride, count in rows.tolist()
    )
    return FrameLayout(runs, *rest)


def fit_to_files(layout: FrameLayout) -> tuple[FrameLayout, list[str]]:
    """Compare a layout with the sizes of its files.

    Parameters
    ----------
    layout : FrameLayout
        What should be there.

    Returns
    -------
    layout : FrameLayout
        What is there: frames beyond the end of a file become gaps, and disappear at
        the end of the last file.
    problems : list of str
        A sentence about lost frames, and one about files that are too short.
    """
    sizes = {path: path.stat().st_size for path in layout.files}
    runs: list[FrameRun | Gap] = []
    too_short: dict[Path, int] = {}
    for path, group in groupby(layout.runs, lambda run: getattr(run, "path", None)):
        of_file = list(group)
        if path is None:
            runs += of_file
            continue
        fitted = list(_complete_parts(layout, of_file, sizes[path]))
        runs += fitted
        missing = sum(run.count for run in fitted if isinstance(run, Gap))
        if missing:
            too_short[path] = too_short.get(path, 0) + missing
    while runs and isinstance(runs[-1], Gap):
        runs.pop()
    return replace(layout, runs=tuple(runs)), [
        *_lost(layout),
        *_ended_early(too_short, sizes),
    ]


def _lost(layout: FrameLayout) -> Iterator[str]:
    runs = list(layout.runs)
    after = 0
    while runs and isinstance(runs[-1], Gap):
        after += runs.pop().count
    lost = sum(run.count for run in runs if isinstance(run, Gap))
    if lost:
        yield (
            f"{layout.files[0]}: {lost} of the frames between this file and"
            f" {layout.files[-1].name} are missing (a lost file?) and shown as blank"
        )
    if after:
        yield (
            f"{layout.files[-1]}: {after} frames after this file are missing (a lost"
            " file?) and shown as blank"
        )


def _ended_early(
    missing: Mapping[Path, int], sizes: Mapping[Path, int]
) -> Iterator[str]:
    if not missing:
        return
    path, *others = missing
    count = sum(missing.values())
    yield (
        f"{path}: the file ends too early, after {sizes[path]} bytes"
        + f", and so do {len(others)} other files" * bool(others)
        + f"; {count} {'frame is' if count == 1 else 'frames are'} missing (blank"
        " where the scan has a place for it)"
    )


def _complete_parts(
    layout: FrameLayout, runs: list[FrameRun | Gap], file_size: int
) -> Iterator[FrameRun | Gap]:
    for run in runs:
        if not isinstance(run, FrameRun):
            yield run
            continue
        complete = layout.complete_frames(run, file_size)
        if complete:
            yield replace(run, count=complete)
        if complete < run.count:
            yield Gap(run.count - complete)
