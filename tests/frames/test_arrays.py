"""Frames that are arrays already."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_4dstem.frames.arrays import ArrayFrames, DaskFrames, in_frames
from tests.formats.contract import assert_is

CUBE = np.arange(120, dtype=">i2").reshape(2, 3, 4, 5)
FRAMES = CUBE.reshape(6, 4, 5).astype("i2")
UNMERGEABLE = np.ascontiguousarray(CUBE.transpose(1, 0, 2, 3)).transpose(1, 0, 2, 3)

SOURCES = {
    "merged": ArrayFrames(in_frames(CUBE, 2), (4, 5)),
    "views": ArrayFrames(in_frames(UNMERGEABLE, 2), (4, 5)),
    "dask": DaskFrames(da.from_array(CUBE, chunks=(1, 2, 3, 4)), (4, 5)),
}


@pytest.fixture(params=SOURCES)
def source(request):
    return SOURCES[request.param]


def read(source, frames):
    batches = list(source.batches(np.asarray(frames, dtype=np.int64)))
    assert [where for where, _ in batches] == [slice(0, len(frames))]
    return batches[0][1].dense()


def test_frames_are_merged_without_a_copy():
    assert in_frames(CUBE, 2).shape == (6, 4, 5)
    assert np.shares_memory(in_frames(CUBE, 2), CUBE)


def test_what_cannot_be_merged_stays_as_it_is():
    assert in_frames(UNMERGEABLE, 2) is UNMERGEABLE


def test_source_tells_what_it_has(source):
    assert source.num_frames == 6
    assert source.sig_shape == (4, 5)
    assert source.dtype == np.dtype("i2")
    assert source.files == ()
    assert source.present(np.arange(6)).all()


def test_source_gives_any_frames(source):
    for wanted in ([0], [2, 3, 4], [5, 0, 0, 3], range(6)):
        assert_is(read(source, wanted), FRAMES[list(wanted)])
    assert not list(source.batches(np.array([], dtype=np.int64)))


@settings(max_examples=20, deadline=None)
@given(bounds=st.tuples(st.integers(0, 6), st.integers(0, 6)).map(sorted))
@pytest.mark.parametrize("name", SOURCES)
def test_between_is_a_slice(name, bounds):
    begin, end = bounds
    part = SOURCES[name].between(begin, end)
    assert part.num_frames == end - begin
    if end > begin:
        assert_is(read(part, range(end - begin)), FRAMES[begin:end])


def test_frames_may_have_another_shape(source):
    other = source.with_sig_shape((10, 2))
    assert other.sig_shape == (10, 2)
    assert_is(read(other, [4, 1]), FRAMES.reshape(6, 10, 2)[[4, 1]])


def test_only_dask_is_lazy():
    assert SOURCES["merged"].lazy is None
    assert SOURCES["dask"].lazy is SOURCES["dask"].array
