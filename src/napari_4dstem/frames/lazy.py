"""A scan as a dask array. Loaded late: importing dask.array takes its time."""

from __future__ import annotations

import uuid
from math import prod
from typing import Any

import dask.array as da
import numpy as np
from dask.array.core import getter, normalize_chunks
from dask.blockwise import blockwise
from dask.delayed import delayed
from dask.highlevelgraph import HighLevelGraph
from dask.layers import ArrayBlockwiseDep
from numpy.typing import NDArray

from napari_4dstem.corrections import Corrections
from napari_4dstem.errors import ParameterError
from napari_4dstem.frames.chunk_shape import MAX_CHUNKS, automatic_chunks
from napari_4dstem.frames.scan import ScanFrames, ScanGeometry


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
    if frames.corrections is not None and not frames.corrections.is_small:
        # Pixels of a dark frame or a gain map: once in a graph, not in every task.
        return da.from_array(frames, chunks, key, meta=np.empty(0, frames.dtype))
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


def _corrected(frames: NDArray[Any], corrections: Corrections) -> NDArray[np.float32]:
    return corrections.apply(frames)


def _folded(frames: ScanFrames) -> Any:
    """Fold frames that are a dask array already into the scan, with dask alone."""
    array = frames.source.lazy
    assert array is not None, "only for sources that are a dask array"
    sig_shape, geometry = frames.source.sig_shape, frames.geometry
    sig_axes = range(array.ndim - len(sig_shape), array.ndim)
    if frames.corrections is not None:
        array = array.rechunk(dict.fromkeys(sig_axes, -1)).map_blocks(
            _corrected,
            delayed(frames.corrections, traverse=False),  # once in a graph
            dtype=frames.dtype,
            meta=np.empty(0, frames.dtype),
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
