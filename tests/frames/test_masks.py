"""Sums within masks: the same as in plain numpy, however frames lie in memory."""

from __future__ import annotations

import ctypes
import mmap
import pickle
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_4dstem.decode.mask_table import BLOCK, MAX_RUN
from napari_4dstem.frames.accumulators import FrameMaximum, FrameSpread, FrameSum
from napari_4dstem.frames.batches import DenseBatch
from napari_4dstem.frames.masks import Masks
from tests.frames.arrangements import FEW_DTYPES, as_numbers, frames, masks


def summed(stored, arrays):
    """Return the sums of the kernels."""
    compiled = Masks(arrays)
    out = np.full((len(stored), len(arrays)), 77, compiled.sum_dtype(stored.dtype))
    DenseBatch(stored).masked_sums(compiled, out)
    return out


def summed_in_numpy(stored, arrays):
    dtype = Masks(arrays).sum_dtype(stored.dtype)
    sums = np.zeros((len(stored), len(arrays)), dtype)
    for k, mask in enumerate(arrays):
        inside = mask != 0
        weights = mask[inside].astype(dtype)
        picked = as_numbers(stored[:, inside], dtype)
        sums[:, k] = (picked * weights).sum(axis=1, dtype=dtype)
    return sums


def assert_same(found, expected, scale):
    assert found.dtype == expected.dtype
    if found.dtype.kind == "f":
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9 * scale)
    else:
        np.testing.assert_array_equal(found, expected)


@settings(deadline=None, max_examples=400)  # the first of a type compiles
@given(data=st.data())
def test_sums_equal_plain_numpy(data):
    weighted = data.draw(st.booleans())
    stored = data.draw(frames(FEW_DTYPES) if weighted else frames())
    arrays = data.draw(masks(stored.shape[1:], None if weighted else False))
    with np.errstate(over="ignore"):
        expected = summed_in_numpy(stored, arrays)
    scale = np.abs(as_numbers(stored, "f8")).max(initial=1) * stored[:1].size
    assert_same(summed(stored, arrays), expected, scale)


@pytest.mark.parametrize("dtype", ["u1", ">u2", "<i2", "i1", ">u4", "<i4"])
@pytest.mark.parametrize("extreme", ["min", "max"])
def test_sums_of_large_frames_do_not_overflow(dtype, extreme):
    value = getattr(np.iinfo(dtype), extreme)
    stored = np.full((2, 700, 900), value, dtype)
    mask = np.ones((700, 900), bool)
    mask[:, 5] = False
    found = summed(stored, [mask, ~mask, mask | ~mask])
    pixels = [700 * 899, 700, 700 * 900]
    assert found.tolist() == [[int(value) * n for n in pixels]] * 2


@pytest.mark.parametrize("dtype", ["<f4", ">f8", "<c8", "<f2"])
@pytest.mark.parametrize("weighted", [False, True])
def test_nan_counts_under_the_mask_only(dtype, weighted):
    stored = np.ones((3, 40, 40), dtype)
    stored[0, 3, 3], stored[1, 20, 20] = np.nan, np.nan
    stored[1, 3, 4] = np.inf
    mask = np.ones((40, 40), bool)
    mask[3] = False
    found = summed(stored, [mask * 0.5 if weighted else mask])[:, 0]
    expected = 39 * 40 * (0.5 if weighted else 1)
    np.testing.assert_array_equal(found, [expected, np.nan, expected])


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no mprotect")
@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (7, 9), (16, 64), (13, 31)])
@pytest.mark.parametrize("dtype", ["u1", "<u2"])
def test_nothing_beyond_the_frames_is_read(shape, dtype):
    # the pages before and after cannot be read: the process would end here
    size, pages = mmap.PAGESIZE, mmap.mmap(-1, 3 * mmap.PAGESIZE)
    inside = np.frombuffer(pages, np.uint8)[size : 2 * size]
    inside[:] = 1
    protect = ctypes.CDLL(None).mprotect
    protect.argtypes = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
    for page in (inside.ctypes.data - size, inside.ctypes.data + size):
        assert protect(page, size, 0) == 0
    dtype = np.dtype(dtype)
    pixels = int(np.prod(shape))
    count = size // (pixels * dtype.itemsize)
    mask = np.ones(shape, bool)
    expected = [[pixels * (1 if dtype.itemsize == 1 else 0x0101)] * 2] * count
    for stored in (inside[: count * pixels * dtype.itemsize], inside):
        stored = stored[len(stored) - count * pixels * dtype.itemsize :].view(dtype)
        stored = stored.reshape(count, *shape)
        assert summed(stored, [mask, mask]).tolist() == expected
        DenseBatch(stored).moments(None, np.zeros((count, 3), "u8"))
        for kind in (FrameSum, FrameSpread, FrameMaximum):
            kind(shape, dtype).add(stored)


def test_sums_go_into_any_part_of_an_array():
    stored = np.arange(60, dtype="u2").reshape(5, 3, 4)
    out = np.zeros((5, 4), "u8")
    DenseBatch(stored).masked_sums(Masks([np.ones((3, 4), bool)] * 2), out[:, ::2])
    expected = stored.sum(axis=(1, 2))
    np.testing.assert_array_equal(out, np.stack([expected, 0 * expected] * 2, axis=1))


def test_masks_know_what_they_need():
    some = Masks([np.eye(3, dtype=bool), [[0, 0, 2.5], [0, 0, 0], [0, 0, 0]]])
    np.testing.assert_array_equal(some.needed, [[1, 0, 1], [0, 1, 0], [0, 0, 1]])
    assert len(some) == 2
    assert some.sig_shape == (3, 3)
    assert some.counts.tolist() == [3, 1]
    assert not some.are_binary
    assert some.sum_dtype(np.dtype("u2")) == np.float64
    assert Masks([np.eye(3, dtype=bool)]).sum_dtype(np.dtype("i1")) == np.int64
    assert Masks([np.eye(3, dtype=bool)]).sum_dtype(np.dtype("?")) == np.uint64


def test_masks_do_not_follow_the_array_they_were_made_of():
    array = np.ones((2, 2), bool)
    some = Masks([array])
    array[0] = False
    assert some.arrays[0].all()
    with pytest.raises(ValueError, match="read-only"):
        some.arrays[0][0] = False


def test_masks_of_different_shapes_are_refused():
    with pytest.raises(ValueError, match="one shape"):
        Masks([np.ones((2, 2), bool), np.ones((2, 3), bool)])


def test_masks_pickle_without_what_was_compiled():
    some = Masks([np.ones((64, 64), bool)])
    before = len(pickle.dumps(some))
    DenseBatch(np.zeros((1, 64, 64), "u2")).masked_sums(some, np.zeros((1, 1), "u8"))
    assert len(pickle.dumps(some)) == before
    assert pickle.loads(pickle.dumps(some)).arrays[0].all()


def test_table_is_made_once_for_frames_that_lie_alike(monkeypatch):
    made = []
    make = Masks._table
    monkeypatch.setattr(
        Masks, "_table", lambda self, lanes: made.append(lanes) or make(self, lanes)
    )
    some, out = Masks([np.eye(40, dtype=bool)]), np.zeros((2, 1), "u8")
    for stored in (np.zeros((2, 40, 40), "u2"), np.ones((2, 40, 40), "u2")):
        DenseBatch(stored).masked_sums(some, out)
    assert out.tolist() == [[40], [40]]
    assert len(made) == 1
    DenseBatch(np.zeros((2, 40, 40), ">u2")).masked_sums(some, out)
    assert len(made) == 2


def test_whole_frames_need_no_masks_and_edges_few():
    from napari_4dstem.frames.lanes import lanes_of

    lanes = lanes_of(np.zeros((1, 256, 256), "u2"))
    full = Masks([np.ones((256, 256), bool)]).table(lanes)
    assert full.masks.nbytes == 0
    assert full.runs[:, 1].sum() == 256 * 512 // BLOCK
    assert full.runs[:, 1].max() <= MAX_RUN
    y, x = np.mgrid[:256, :256] - 127.5
    disk = Masks([y**2 + x**2 <= 20**2]).table(lanes)
    assert disk.runs[:, 1].sum() * BLOCK < 3 * 40 * 40 * 2
