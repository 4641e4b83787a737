"""What an analysis is handed: batches of frames."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_4dstem.decode.r64 import R64
from napari_4dstem.frames.batches import DenseBatch, PackedBatch, SparseBatch


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
