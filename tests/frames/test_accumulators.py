"""Statistics of every pixel: the same as in plain numpy, in parts and merged."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_4dstem.decode.r64 import R64
from napari_4dstem.frames import accumulators
from napari_4dstem.frames.accumulators import FrameMaximum, FrameSpread, FrameSum
from napari_4dstem.frames.batches import DenseBatch, PackedBatch, SparseBatch
from tests.frames.arrangements import FEW_DTYPES, as_numbers, frames


@st.composite
def accumulated(draw, kind):
    """Draw frames, and what an accumulator has of them in two parts."""
    stored = draw(frames(FEW_DTYPES))
    one, other = (kind(stored.shape[1:], stored.dtype) for _ in range(2))
    cuts = sorted(draw(st.lists(st.integers(0, len(stored)), min_size=2, max_size=2)))
    one.add(stored[: cuts[0]])
    other.add(DenseBatch(stored[cuts[0] : cuts[1]]))
    one.add(stored[cuts[1] :])
    return stored, pickle.loads(pickle.dumps(one)).merge(other)


@settings(deadline=None, max_examples=150)  # the first of a type compiles
@given(accumulated(FrameSum))
def test_sum_equals_plain_numpy(drawn):
    stored, found = drawn
    assert found.count == len(stored)
    dtype = found.total.dtype
    with np.errstate(over="ignore"):
        expected = as_numbers(stored, dtype).sum(axis=0, dtype=dtype)
    if dtype.kind == "f":
        np.testing.assert_allclose(found.total, expected, rtol=1e-12)
    else:
        np.testing.assert_array_equal(found.total, expected)


@settings(deadline=None, max_examples=150)  # the first of a type compiles
@given(accumulated(FrameSpread))
def test_spread_equals_plain_numpy(drawn):
    stored, found = drawn
    if not len(stored):
        assert np.isnan(found.std()).all()
        return
    values = as_numbers(stored, "f8")
    scale = np.abs(values).max()
    np.testing.assert_allclose(found.mean, values.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(
        found.std(), values.std(axis=0), rtol=1e-9, atol=1e-12 * scale
    )


@settings(deadline=None, max_examples=150)  # the first of a type compiles
@given(accumulated(FrameMaximum))
def test_maximum_equals_plain_numpy(drawn):
    stored, found = drawn
    assert found.count == len(stored)
    if len(stored):
        values = np.abs(stored) if stored.dtype.kind == "c" else stored
        np.testing.assert_array_equal(found.maximum, values.max(axis=0))
        assert found.maximum.dtype == values.dtype.newbyteorder("=")


@pytest.mark.parametrize("at", [0, 2, 5, 6])
@pytest.mark.parametrize("shape", [(3, 5), (20, 21)])
def test_pixel_that_is_nan_once_has_no_maximum(shape, at):
    stored = np.arange(7, dtype="f4").reshape(7, 1, 1) * np.ones(shape, "f4")
    stored[at, 1, 1] = stored[at, -1, -1] = np.nan
    found = FrameMaximum(shape, stored.dtype)
    found.add(stored)
    np.testing.assert_array_equal(found.maximum, stored.max(axis=0))


@pytest.mark.parametrize("dtype", ["<f4", ">f8", "<u4"])
def test_spread_is_small_far_from_zero(dtype):
    noise = np.random.default_rng(0).integers(0, 2, (1000, 8, 9))
    offset = 10_000_000
    found = FrameSpread((8, 9), np.dtype(dtype))
    for i in range(0, 1000, 100):
        found.add((noise[i : i + 100] + offset).astype(dtype))
    np.testing.assert_allclose(found.std(), noise.std(axis=0), rtol=1e-12)


def test_spread_of_more_frames_than_are_summed_at_a_time(monkeypatch):
    monkeypatch.setattr(accumulators, "MOST_FRAMES", 10)
    stored = np.random.default_rng(0).integers(0, 2**16, (64, 5, 30), "u2")
    found = FrameSpread((5, 30), stored.dtype)
    for begin, end in ((0, 7), (7, 9), (9, 64)):
        found.add(stored[begin:end])
    np.testing.assert_allclose(found.std(), stored.std(axis=0), rtol=1e-12)
    np.testing.assert_allclose(found.mean, stored.mean(axis=0), rtol=1e-12)


@pytest.mark.parametrize("value", [-(2**15), 2**15 - 1])
def test_extreme_numbers_are_summed_exactly(value):
    count = accumulators.MOST_FRAMES + 3
    stored = np.broadcast_to(np.int16(value), (count, 4, 8))
    found, spread = FrameSum((4, 8), stored.dtype), FrameSpread((4, 8), stored.dtype)
    row = np.ascontiguousarray(stored[:1])
    repeated = np.lib.stride_tricks.as_strided(row, stored.shape, (0, *row.strides[1:]))
    found.add(repeated)
    spread.add(repeated)
    assert (found.total == value * count).all()
    assert (spread.mean == value).all()
    assert (spread.m2 == 0).all()


def test_packed_frames_are_added_in_pieces():
    packing = R64(12, 256, 200)
    packed = np.random.default_rng(0).integers(0, 256, (11, packing.frame_nbytes), "u1")
    batch = PackedBatch(packed, packing, packing.frame_shape)
    found = FrameSum(packing.frame_shape, packing.dtype)
    found.add(batch)
    assert len(list(batch.dense_blocks())) > 1
    np.testing.assert_array_equal(found.total, batch.dense().sum(axis=0, dtype="u8"))


@st.composite
def events(draw):
    """Draw frames as events, some of them of one pixel, and the same frames dense."""
    dtype = np.dtype(draw(st.sampled_from(["<u2", ">u4", "i2", "u1", "f4", ">f8"])))
    count, sig_shape = draw(st.integers(1, 6)), (2, 3)
    hits = draw(st.lists(st.integers(0, 9), min_size=count, max_size=count))
    indptr = np.cumsum([0, *hits])
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    indices = rng.integers(0, 6, indptr[-1]).astype("u2")
    values = rng.integers(1, 9, indptr[-1])
    values = (values - 5 if dtype.kind in "if" else values).astype(dtype)
    dense = np.zeros((count, 6), dtype.newbyteorder("="))
    np.add.at(dense, (np.repeat(np.arange(count), hits), indices), values)
    batch = SparseBatch(indptr, indices, values, sig_shape)
    return batch, dense.reshape(count, *sig_shape)


@settings(deadline=None, max_examples=150)
@given(drawn=events(), again=events())
def test_events_count_like_the_frames_they_make_up(drawn, again):
    for kind in (FrameSum, FrameSpread, FrameMaximum):
        batches, dense = zip(drawn, again, strict=True)
        if dense[0].dtype != dense[1].dtype:
            batches, dense = batches[:1], dense[:1]
        sparse, plain = (kind((2, 3), dense[0].dtype) for _ in range(2))
        for batch, stored in zip(batches, dense, strict=True):
            sparse.add(batch)
            plain.add(stored)
        assert sparse.count == plain.count
        for name in ("total", "mean", "m2", "maximum"):
            if hasattr(plain, name):
                np.testing.assert_allclose(
                    getattr(sparse, name), getattr(plain, name), rtol=1e-12, atol=1e-12
                )


def test_events_never_become_frames(monkeypatch):
    batch = SparseBatch(
        np.array([0, 2, 2]), np.array([0, 5]), np.array([1, 2], "u2"), (2, 3)
    )
    for way in ("dense", "dense_blocks"):
        monkeypatch.setattr(SparseBatch, way, None)
    for kind in (FrameSum, FrameSpread, FrameMaximum):
        state = kind((2, 3), np.dtype("u2"))
        state.add(batch)
        assert state.count == 2
