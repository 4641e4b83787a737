"""dask arrays that others made."""

from __future__ import annotations

import dask
import dask.array as da
import numpy as np
import pytest

import napari_4dstem as n4
from tests.formats.contract import Case, Contract, assert_is


def in_odd_chunks(folder, scan):
    return {"data": da.from_array(scan, chunks=((1, 2), (3, 1), (2, 1), (4, 1)))}, []


@pytest.fixture(autouse=True)
def _without_threads():
    """Many small scans are computed here."""
    with dask.config.set(scheduler="synchronous"):
        yield


class TestDask(Contract):
    cases = (Case("chunks", "dask", in_odd_chunks, dtype=">i4"),)
    # It has chunks of its own, which dask alone slices and computes.
    test_automatic_chunks_hold_whole_frames = None
    test_one_frame_out_of_dask_reads_one_frame = None
    test_opening_and_reading_leaves_nothing_behind = None


def counting(computed):
    """Return a lazy scan that tells which chunks it computes."""

    def chunk(block_info):
        where = block_info[None]["chunk-location"][:2]
        computed.append(tuple(map(int, where)))
        return np.full((1, 1, 4, 4), 10 * where[0] + where[1])

    chunks = ((1,) * 3, (1,) * 4, (4,), (4,))
    return da.map_blocks(chunk, chunks=chunks, dtype=np.int64, meta=np.empty((0,) * 4))


def test_only_what_is_asked_for_is_computed():
    computed = []
    data_set = n4.load("dask", data=counting(computed))
    assert not computed
    assert (data_set[2, 1] == 21).all()
    assert computed == [(2, 1)]
    assert (data_set.to_dask()[1, 3].compute() == 13).all()
    assert computed == [(2, 1), (1, 3)]


@pytest.mark.parametrize(
    ("scan", "stored"),
    [
        ({"sync_offset": 1}, (1, 2)),
        ({"nav_shape": (2, 6)}, (1, 3)),
        ({"flyback": 1}, (1, 2)),
    ],
)
def test_only_what_is_asked_for_is_computed_in_another_scan(scan, stored):
    computed = []
    data_set = n4.load("dask", data=counting(computed)).with_scan(**scan)
    assert_is(data_set[1, 1], np.full((4, 4), 10 * stored[0] + stored[1]))
    assert computed == [stored]


def test_its_own_array_comes_back():
    array = da.zeros((3, 4, 5, 6), chunks=(1, 2, 5, 3))
    assert n4.load("dask", data=array).to_dask() is array


def test_sig_dims_says_which_axes_are_the_frame():
    array = np.arange(120).reshape(2, 3, 4, 5)
    for sig_dims in (1, 3, 4):
        data_set = n4.load("dask", data=da.from_array(array), sig_dims=sig_dims)
        assert data_set.sig_shape == array.shape[4 - sig_dims :]
        assert_is(data_set[...].ravel(), array.ravel())


def test_corrections_apply_to_whole_frames():
    array = np.arange(240.0).reshape(3, 4, 4, 5)
    lazy = da.from_array(array, chunks=(2, 2, 3, 2))
    excluded = np.zeros((4, 5), bool)
    excluded[2, 2:4] = True
    data_set = n4.load("dask", data=lazy).with_corrections(excluded=excluded)
    assert_is(data_set.to_dask().compute(), data_set[...])
    assert data_set.dtype == np.float32


@pytest.mark.parametrize("data", [np.zeros((2, 2, 2)), None, "text"])
def test_what_is_no_dask_array_is_refused(data):
    with pytest.raises(n4.FormatError, match=r"not a dask array|data must be given"):
        n4.load("dask", data=data)


def test_unknown_chunk_sizes_are_refused():
    array = da.ones((4, 3, 3))
    with pytest.raises(n4.FormatError, match="unknown size") as told:
        n4.load("dask", data=array[array[:, 0, 0] > 0])
    assert "compute_chunk_sizes" in told.value.hint


@pytest.mark.parametrize("dtype", ["O", "S3", "M8[s]"])
def test_what_is_no_number_is_refused(dtype):
    with pytest.raises(n4.FormatError, match="does not hold numbers"):
        n4.load("dask", data=da.empty((2, 2, 2), chunks=2, dtype=dtype))


@pytest.mark.parametrize(
    ("shape", "sig_dims"), [((3,), 2), ((2, 2, 2), 4), ((2, 2, 2), 0), ((2, 0, 2), 2)]
)
def test_what_cannot_be_cut_into_frames_is_refused(shape, sig_dims):
    with pytest.raises(n4.FormatError, match="cannot be cut into frames"):
        n4.load("dask", data=da.zeros(shape), sig_dims=sig_dims)
