"""A scan as a dask array. Loaded late: importing dask.array takes its time."""

from __future__ import annotations

import uuid
from math import prod
from typing import Any

import dask.array as da
import numpy as np
from dask.array.core import getter, normalize_chunks
from dask.blockwise import blockwise
from dask.highlevelgraph import HighLevelGraph
from dask.layers import ArrayBlockwiseDep

from napari_4dstem.errors import ParameterError
from napari_4dstem.frames.scan import ScanFrames, ScanGeometry

# Large enough to hide the scheduler's work, small enough to have several at a time.
CHUNK_NBYTES = 2**25
# For frames that are stored together, more.
MAX_GRAIN_NBYTES = 2**27
MAX_CHUNKS = 100_000
# Of tiny frames, fewer bytes: each frame costs bookkeeping, too.
MAX_FRAMES = 2**18


def automatic_chunks(
    nav_shape: tuple[int, ...],
    sig_shape: tuple[int, ...],
    itemsize: int,
    grain: tuple[int, ...] = (),
) -> tuple[int, ...]:
    """Return a chunk shape of whole frames: part of a line, or some whole lines.

    Parameters
    ----------
    nav_shape, sig_shape : tuple of int
    itemsize : int
        Bytes of a pixel.
    grain : tuple of int, optional
        Scan shape of frames that are read together: see `FrameSource`. Chunks consist
        of whole grains, unless a grain is far too large.
    """
    frame_nbytes = prod(sig_shape) * itemsize
    grain = _fitting(grain, nav_shape, MAX_GRAIN_NBYTES // frame_nbytes)
    grains = tuple(-(-n // g) for n, g in zip(nav_shape, grain, strict=True))
    frames = min(max(CHUNK_NBYTES // frame_nbytes, 1), MAX_FRAMES)
    number = max(frames // prod(grain), 1)
    while True:
        shape: list[int] = []
        left = number
        for n in reversed(grains):
            parts = -(-n // min(left, n))
            shape.insert(0, -(-n // parts))
            left = max(1, left // n) if parts == 1 else 1
        count = prod(-(-n // c) for n, c in zip(grains, shape, strict=True))
        if count <= MAX_CHUNKS:
            sides = zip(shape, grain, nav_shape, strict=True)
            return (*(min(c * g, n) for c, g, n in sides), *sig_shape)
        number *= 2


def _fitting(
    grain: tuple[int, ...], nav_shape: tuple[int, ...], most: int
) -> tuple[int, ...]:
    """Return a grain for the axes of a scan, cut to some number of frames."""
    sides = ((1,) * len(nav_shape) + grain)[-len(nav_shape) :]
    fitting = [min(g, n) for g, n in zip(sides, nav_shape, strict=True)]
    for axis in range(len(fitting)):
        if prod(fitting) > most:
            fitting[axis] = 1
    return tuple(fitting)


class _Blocks(ArrayBlockwiseDep):
    """The frames that each chunk needs, and no more."""

    def __init__(self, chunks: tuple[tuple[int, ...], ...], frames: ScanFrames) -> None:
        super().__init__(chunks)
        self.frames = frames
        self.starts = [np.cumsum((0, *c)).tolist() for c in chunks]

    def __getitem__(self, index: tuple[int, ...]) -> ScanFrames:
        nav = zip(index, self.starts[: len(self.frames.nav_shape)], strict=False)
        return self.frames.block(tuple(slice(s[i], s[i + 1]) for i, s in nav))


class _Inside(ArrayBlockwiseDep):
    """The slices of each chunk: all of its block, and its part of the detector."""

    def __init__(self, chunks: tuple[tuple[int, ...], ...], nav_ndim: int) -> None:
        super().__init__(chunks)
        self.nav_ndim = nav_ndim
        self.starts = [np.cumsum((0, *c)).tolist() for c in chunks]

    def __getitem__(self, index: tuple[int, ...]) -> tuple[slice, ...]:
        bounds = [(s[i], s[i + 1]) for i, s in zip(index, self.starts, strict=True)]
        nav = [slice(0, end - begin) for begin, end in bounds[: self.nav_ndim]]
        sig = [slice(begin, end) for begin, end in bounds[self.nav_ndim :]]
        return (*nav, *sig)


def to_dask(frames: ScanFrames, name: str, chunks: Any = "auto") -> Any:
    """Return a lazy dask array of nav + sig axes.

    Every task holds only what its chunk needs, and opens files where it runs.
    """
    nav_ndim = len(frames.nav_shape)
    if isinstance(chunks, str) and chunks == "auto":
        chunks = automatic_chunks(
            frames.nav_shape,
            frames.source.sig_shape,
            frames.dtype.itemsize,
            frames.source.grain,
        )
        if frames.source.lazy is not None:
            return _folded(frames)
    chunks = normalize_chunks(chunks, frames.shape, dtype=frames.dtype)
    count = prod(len(c) for c in chunks)
    if count > MAX_CHUNKS:
        raise ParameterError(
            None,
            "chunks",
            "too many chunks",
            expected=f"at most {MAX_CHUNKS}",
            found=count,
            hint="Ask for larger chunks, or for chunks='auto'.",
        )
    if frames.source.lazy is not None:
        return _folded(frames).rechunk(chunks)
    axes = tuple(range(frames.ndim))
    # A name of its own each time: a file may have changed since the last one.
    key = f"{name}-{uuid.uuid4().hex}"
    # The function and form that dask's optimizer knows, so that slicing a frame
    # out of a chunk reads that frame only.
    layer = blockwise(
        getter,
        key,
        axes,
        _Blocks(chunks, frames),
        axes,
        _Inside(chunks, nav_ndim),
        axes,
        numblocks={},
    )
    graph = HighLevelGraph.from_collections(key, layer)
    return da.Array(graph, key, chunks, dtype=frames.dtype)


def _folded(frames: ScanFrames) -> Any:
    """Fold frames that are a dask array already into the scan, with dask alone."""
    array = frames.source.lazy
    assert array is not None, "only for sources that are a dask array"
    sig_shape, geometry = frames.source.sig_shape, frames.geometry
    sig_axes = range(array.ndim - len(sig_shape), array.ndim)
    if frames.corrections is not None:
        array = array.rechunk(dict.fromkeys(sig_axes, -1)).map_blocks(
            frames.corrections.apply, dtype=frames.dtype
        )
    elif array.dtype != frames.dtype:
        array = array.astype(frames.dtype)
    if geometry == ScanGeometry(array.shape[: array.ndim - len(sig_shape)]):
        return array
    line = geometry.nav_shape[-1]
    lines = geometry.num_positions // line
    total = lines * (line + geometry.flyback)
    flat = array.reshape(frames.source.num_frames, *sig_shape)
    before = min(max(-geometry.sync_offset, 0), total)
    skipped = max(geometry.sync_offset, 0)
    flat = flat[skipped : skipped + total - before]
    after = total - before - flat.shape[0]
    parts = [
        da.zeros((before, *sig_shape), dtype=frames.dtype),
        flat,
        da.zeros((after, *sig_shape), dtype=frames.dtype),
    ]
    folded = da.concatenate([part for part in parts if part.shape[0]])
    folded = folded.reshape(lines, line + geometry.flyback, *sig_shape)
    return folded[:, :line].reshape(*geometry.nav_shape, *sig_shape)
