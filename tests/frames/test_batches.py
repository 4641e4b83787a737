"""What an analysis is handed: batches of frames."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_4dstem.decode.folded import Folded
from napari_4dstem.decode.r64 import R64
from napari_4dstem.frames import blocks
from napari_4dstem.frames.batches import DenseBatch, PackedBatch, SparseBatch
from napari_4dstem.frames.masks import Masks
from tests.frames.arrangements import frames, masks


@given(
    events=st.lists(
        st.lists(st.tuples(st.integers(0, 11), st.integers(0, 9)), max_size=6),
        max_size=5,
    ),
    skipped=st.integers(0, 3),
    out_type=st.sampled_from([None, "u4", "f8"]),
)
def test_sparse_frames_add_up_their_events(events, skipped, out_type):
    expected = np.zeros((len(events), 3, 4), "u4")
    for frame, of_frame in zip(expected, events, strict=True):
        for index, value in of_frame:
            frame.flat[index] += value
    flat = [(0, 7)] * skipped + [event for of_frame in events for event in of_frame]
    indices, values = np.array(flat, dtype="u4").reshape(-1, 2).T
    indptr = np.cumsum([skipped, *map(len, events)])
    batch = SparseBatch(indptr, indices, values.astype(">u4"), (3, 4))
    if out_type is None:
        frames = batch.dense()
        assert frames.dtype == np.dtype("u4")
    else:
        frames = np.full(expected.shape, 5, out_type)
        assert batch.dense(frames) is frames
    np.testing.assert_array_equal(frames, expected)
    np.testing.assert_array_equal(
        batch.cropped((1, slice(1, 3))).dense(), expected[:, 1, 1:3]
    )


@pytest.mark.parametrize("dtype", ["<u2", ">u2", ">f4", "?"])
def test_dense_frames_come_out_native(dtype):
    stored = np.frombuffer(bytes(range(1, 145)), "u1")[1:97].view(dtype)
    stored = stored.reshape(-1, 2, 3)[::-1]
    frames = DenseBatch(stored).dense()
    assert frames.dtype == np.dtype(dtype).newbyteorder("=")
    np.testing.assert_array_equal(frames, stored)
    out = np.empty(stored.shape)
    assert DenseBatch(stored).dense(out) is out
    np.testing.assert_array_equal(out, stored)


@pytest.mark.parametrize("dtype", ["<u2", ">f4"])
@pytest.mark.parametrize("sig_shape", [(3, 4), (1, 5), (4, 1), (7,), (2, 3, 2)])
@pytest.mark.parametrize("count", [1, 2, 100_000])
def test_frames_that_lie_side_by_side_come_out_one_after_another(
    dtype, sig_shape, count
):
    stored = np.arange(np.prod(sig_shape) * count).reshape(*sig_shape, count)
    frames = np.moveaxis(stored.astype(dtype), -1, 0)
    dense = DenseBatch(frames).dense()
    assert dense.dtype == np.dtype(dtype).newbyteorder("=")
    np.testing.assert_array_equal(dense, frames)
    out = np.empty((2 * count, *sig_shape))[::2]
    assert DenseBatch(frames).dense(out) is out
    np.testing.assert_array_equal(out, frames)


@pytest.mark.parametrize("out_type", ["u2", ">u2", "f4"])
@pytest.mark.parametrize("step", [1, 2])
def test_packed_frames_are_decoded_into_any_array(out_type, step):
    packing = R64(12, 8, 2)
    packed = np.zeros((3, packing.frame_nbytes), "u1")
    packed[:, 7] = [1, 2, 3]  # the first pixel
    batch = PackedBatch(packed, packing, (4, 4))
    expected = np.zeros((3, 4, 4))
    expected[:, 0, 0] = [1, 2, 3]
    out = np.full((3, 4, 4 * step), 9, out_type)[..., ::step]
    assert batch.dense(out) is out
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(batch.dense(), expected)
    np.testing.assert_array_equal(batch.cropped((0, 0)).dense(), [1, 2, 3])


def assert_computes_as_if_dense(batch, arrays):
    """Compare what a batch computes with the same of its dense frames."""
    dense, compiled = DenseBatch(batch.dense()), Masks(arrays)
    dtype = compiled.sum_dtype(dense.frames.dtype)
    for name, size in (("masked_sums", len(arrays)), ("moments", 3)):
        if name == "moments":
            dtype = Masks(arrays[:1]).sum_dtype(dense.frames.dtype)
        found, expected = (np.full((len(batch), size), 77, dtype) for _ in range(2))
        getattr(batch, name)(compiled, found)
        getattr(dense, name)(compiled, expected)
        if dtype.kind == "f":
            scale = np.abs(expected).max(initial=1)
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9 * scale)
        else:
            np.testing.assert_array_equal(found, expected)


PACKINGS = st.one_of(
    st.builds(
        lambda depth, rows, words: R64(
            depth, words * {1: 64, 6: 8, 12: 4, 24: 8}[depth], rows
        ),
        st.sampled_from([1, 6, 12, 24]),
        st.integers(1, 9),
        st.integers(1, 19),
    ),
    st.builds(
        lambda depth, rows, words: R64(
            depth, 4 * words * {1: 64, 6: 8, 12: 4}[depth], rows, quad=True
        ),
        st.sampled_from([1, 6, 12]),
        st.integers(1, 5),
        st.integers(1, 3),
    ),
    st.builds(
        lambda columns, rows, binning: Folded(2 * columns, rows, binning),
        st.integers(1, 20),
        st.integers(1, 9),
        st.integers(1, 3),
    ),
)


@settings(deadline=None)  # the first of a type compiles
@given(packing=PACKINGS, data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_packed_frames_are_summed_as_if_decoded(packing, data, seed):
    rng = np.random.default_rng(seed)
    count, gap = data.draw(st.integers(0, 6)), data.draw(st.integers(0, 3))
    stored = rng.integers(0, 256, (count, packing.frame_nbytes + gap), "u1")[:, gap:]
    stored.flags.writeable = False
    shape = data.draw(st.sampled_from([packing.frame_shape, packing.frame_shape[::-1]]))
    batch = PackedBatch(stored, packing, shape)
    assert_computes_as_if_dense(batch, data.draw(masks(shape)))


@settings(deadline=None)  # the first of a type compiles
@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_events_are_summed_as_if_dense(data, seed):
    rng = np.random.default_rng(seed)
    shape = data.draw(st.sampled_from([(1, 1), (5, 7), (12, 20)]))
    counts = data.draw(st.lists(st.integers(0, 30), max_size=5))
    indptr = np.cumsum([data.draw(st.integers(0, 3)), *counts])
    indices = rng.integers(0, shape[0] * shape[1], indptr[-1])
    indices = indices.astype(data.draw(st.sampled_from(["u2", "u4", "i8"])))
    values = rng.integers(0, 9, indptr[-1])
    values = values.astype(data.draw(st.sampled_from(["u1", ">u4", "i2", "f4"])))
    batch = SparseBatch(indptr, indices, values, shape)
    assert_computes_as_if_dense(batch, data.draw(masks(shape)))


def test_event_that_is_nan_counts_under_the_mask_only():
    batch = SparseBatch(
        np.array([0, 2, 3]), np.array([0, 3, 0]), np.array([np.nan, 2, 3]), (2, 2)
    )
    sums = np.zeros((2, 2))
    batch.masked_sums(Masks([np.array([[0, 1], [1, 1]]) > 0, np.eye(2) > 0]), sums)
    np.testing.assert_array_equal(sums, [[2, np.nan], [0, 3]])


def test_sums_of_events_do_not_overflow():
    batch = SparseBatch(
        np.array([0, 4]), np.arange(4, dtype="u4"), np.full(4, 2**32 - 1, "u4"), (2, 2)
    )
    sums = np.zeros((1, 1), "u8")
    batch.masked_sums(Masks([np.ones((2, 2), bool)]), sums)
    assert sums[0, 0] == 4 * (2**32 - 1)


@settings(deadline=None)
@given(frames())
def test_blocks_are_the_frames_in_pieces(stored):
    seen = np.zeros(len(stored), int)
    for where, block in DenseBatch(stored).dense_blocks():
        np.testing.assert_array_equal(block, stored[where])
        seen[where] += 1
    assert (seen == 1).all()


def test_blocks_fit_into_the_cache_and_use_the_same_memory_again():
    packing = R64(12, 256, 256)
    batch = PackedBatch(np.zeros((13, packing.frame_nbytes), "u1"), packing, (256, 256))
    found = [(block.nbytes, block.ctypes.data) for _, block in batch.dense_blocks()]
    assert sum(nbytes for nbytes, _ in found) == 13 * 2 * 256**2
    assert max(nbytes for nbytes, _ in found) <= blocks.BLOCK_NBYTES
    assert len({address for _, address in found}) == 1


def test_blocks_of_two_batches_do_not_get_into_each_other():
    packing = R64(6, 8, 1)
    one, other = (
        PackedBatch(np.full((2, 8), value, "u1"), packing, (1, 8)) for value in (1, 2)
    )
    for (_, a), (_, b) in zip(one.dense_blocks(), other.dense_blocks(), strict=True):
        assert (a == 1).all()
        assert (b == 2).all()


def test_views_of_frames_are_not_copied():
    stored = np.zeros((3, 4, 5), ">u2")[:, ::-1]
    ((_, block),) = DenseBatch(stored).dense_blocks()
    assert np.shares_memory(block, stored)
    assert block.dtype == stored.dtype
