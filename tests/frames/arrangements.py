"""Frames in memory, however they may lie, for tests of what is computed from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

DTYPES = (
    "?", "u1", "i1", "<u2", ">u2", "<i2", ">i2", "<u4", ">u4", "<i4", ">i4",
    "<u8", ">u8", "<i8", ">i8", "<f4", ">f4", "<f8", ">f8", "<f2", "<c8",
)  # fmt: skip
# One of each way in which kernels treat them.
FEW_DTYPES = ("?", "u1", ">u2", "<i2", ">i4", "<u8", "<f4", ">f8", "<c8")


def _nav_fastest(frames: NDArray[Any]) -> NDArray[Any]:
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(frames, 0, -1)), -1, 0)


def _unaligned(frames: NDArray[Any]) -> NDArray[Any]:
    """Read-only, at an odd address, with something else between the frames."""
    stride = frames[0].nbytes + 7 if len(frames) else 7
    memory = np.full(len(frames) * stride + 1, 0xA5, np.uint8)
    shape, inner = frames.shape, np.ascontiguousarray(frames[:1]).strides[1:]
    placed = np.ndarray(shape, frames.dtype, memory, 1, (stride, *inner))
    placed[...] = frames
    placed.flags.writeable = False
    return placed


# What may have happened to frames in C order: values stay, but where they are changes.
ARRANGEMENTS: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "rows": np.ascontiguousarray,
    "columns": lambda f: np.ascontiguousarray(f.swapaxes(1, 2)).swapaxes(1, 2),
    "bottom row first": lambda f: np.ascontiguousarray(f[:, ::-1])[:, ::-1],
    "mirrored": lambda f: np.ascontiguousarray(f[:, :, ::-1])[:, :, ::-1],
    "last frame first": lambda f: np.ascontiguousarray(f[::-1])[::-1],
    "unaligned": _unaligned,
    "nav fastest": _nav_fastest,
    "every other pixel": lambda f: np.repeat(f, 2, axis=2)[:, :, ::2],
    "part of wide rows": lambda f: np.pad(f, ((0, 0), (1, 2), (3, 40)))[:, 1:-2, 3:-40],
    "the same again": lambda f: np.broadcast_to(f[:1], f.shape),
}

SHAPES = st.one_of(
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.sampled_from([(1, 1), (1, 64), (64, 1), (17, 33), (8, 40), (3, 300), (70, 5)]),
)


@st.composite
def frames(
    draw: st.DrawFn, dtypes: tuple[str, ...] = DTYPES, shapes: Any = SHAPES
) -> NDArray[Any]:
    """Draw frames of any type and shape, of large and small numbers."""
    dtype = np.dtype(draw(st.sampled_from(dtypes)))
    shape = draw(st.integers(0, 9)), *draw(shapes)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    if dtype.kind in "fc":
        values = rng.normal(100, 50, shape).astype(dtype)
    elif dtype.kind == "b":
        values = rng.random(shape) < 0.5
    else:
        limits = np.iinfo(dtype)
        values = rng.integers(limits.min, limits.max, shape, endpoint=True,
                              dtype=dtype.newbyteorder("="))  # fmt: skip
        if draw(st.booleans()):
            values[...] = limits.max if draw(st.booleans()) else limits.min
    arranged = ARRANGEMENTS[draw(st.sampled_from(sorted(ARRANGEMENTS)))]
    return arranged(values.astype(dtype)) if len(values) else values.astype(dtype)


@st.composite
def masks(
    draw: st.DrawFn, shape: tuple[int, ...], weighted: bool | None = None
) -> list[NDArray[Any]]:
    """Draw some masks: empty, full, scattered, in runs, with weights."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    found = []
    for kind in draw(st.lists(st.sampled_from("efsrw"), min_size=1, max_size=4)):
        scattered = rng.random(shape) < rng.random()
        runs = np.cumsum(rng.random(shape) < 0.05).reshape(shape) % 2 == 0
        mask = {"e": np.zeros(shape, bool), "f": np.ones(shape, bool)}.get(
            kind, scattered if kind == "s" else runs
        )
        found.append(np.where(mask, rng.normal(size=shape), 0) if kind == "w" else mask)
    if weighted is False:
        return [mask != 0 for mask in found]
    return found


def as_numbers(frames: NDArray[Any], dtype: Any) -> NDArray[Any]:
    """Return pixels as plain numpy sums them."""
    values = np.abs(frames) if frames.dtype.kind == "c" else frames
    return values.astype(dtype)
