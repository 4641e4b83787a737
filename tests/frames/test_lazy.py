"""A scan as a dask array."""

from __future__ import annotations

import os
import pickle
from math import prod

import cloudpickle
import dask.array as da
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import napari_4dstem as n4
from napari_4dstem.frames.arrays import ArrayFrames
from napari_4dstem.frames.chunk_shape import (
    CHUNK_NBYTES,
    MAX_CHUNKS,
    MAX_GRAIN_NBYTES,
    automatic_chunks,
)
from napari_4dstem.frames.raw_bytes import RawFrames
from tests.formats.write_mib import write_series

MB = 10**6


@settings(max_examples=500)
@given(
    nav_shape=st.lists(st.integers(1, 5000), min_size=1, max_size=4).map(tuple),
    sig_shape=st.lists(st.integers(1, 5000), min_size=1, max_size=3).map(tuple),
    itemsize=st.sampled_from([1, 2, 4, 8, 16]),
)
def test_automatic_chunks_are_whole_frames_and_not_too_many(
    nav_shape, sig_shape, itemsize
):
    chunks = automatic_chunks(nav_shape, sig_shape, itemsize)
    assert chunks[len(nav_shape) :] == sig_shape
    nav = chunks[: len(nav_shape)]
    assert all(1 <= c <= n for c, n in zip(nav, nav_shape, strict=True))
    count = prod(-(-n // c) for n, c in zip(nav_shape, nav, strict=True))
    assert count <= MAX_CHUNKS
    # Frames in a row: above a whole axis, below an axis of single positions.
    (cut,) = [i for i, c in enumerate(nav) if 1 < c < nav_shape[i]][:1] or [None]
    if cut is not None:
        assert set(nav[:cut]) <= {1}
        assert nav[cut + 1 :] == nav_shape[cut + 1 :]


@settings(max_examples=300)
@given(
    nav_shape=st.lists(st.integers(1, 5000), min_size=1, max_size=4).map(tuple),
    grain=st.lists(st.integers(1, 300), max_size=5).map(tuple),
    frame_nbytes=st.integers(1, 2**28),
)
def test_automatic_chunks_are_whole_grains(nav_shape, grain, frame_nbytes):
    nav = automatic_chunks(nav_shape, (frame_nbytes,), 1, grain)[:-1]
    count = prod(-(-n // c) for n, c in zip(nav_shape, nav, strict=True))
    assert count <= MAX_CHUNKS
    sides = ((1,) * len(nav_shape) + grain)[-len(nav_shape) :]
    sides = [min(g, n) for g, n in zip(sides, nav_shape, strict=True)]
    if prod(sides) * frame_nbytes <= MAX_GRAIN_NBYTES:
        for c, g, n in zip(nav, sides, nav_shape, strict=True):
            assert c == n or c % g == 0


def test_far_too_large_grains_are_cut():
    assert automatic_chunks((64, 64), (2**18,), 4, (64, 64)) == (1, 64, 2**18)
    assert automatic_chunks((64, 64), (2**28,), 4, (64, 64)) == (1, 1, 2**28)


@settings(max_examples=300)
@given(
    nav_shape=st.tuples(st.integers(1, 2000), st.integers(1, 2000)),
    sig_shape=st.tuples(st.integers(64, 2048), st.integers(64, 2048)),
    itemsize=st.sampled_from([1, 2, 4]),
)
def test_automatic_chunks_have_16_to_64_megabytes(nav_shape, sig_shape, itemsize):
    chunks = automatic_chunks(nav_shape, sig_shape, itemsize)
    frame = prod(sig_shape) * itemsize
    nbytes = prod(chunks) * itemsize
    total = prod(nav_shape) * frame
    count = prod(-(-n // c) for n, c in zip(nav_shape, chunks[:2], strict=True))
    assert min(16 * MB, total) <= nbytes + frame
    assert nbytes <= 64 * MB or nbytes == frame or 2 * count > MAX_CHUNKS


@pytest.fixture(scope="module")
def huge(tmp_path_factory):
    """A sparse file of 2 TB, with a single pixel that is not 0."""
    path = tmp_path_factory.mktemp("huge") / "huge.raw"
    frame = 256 * 256 * 2
    with open(path, "wb") as file:
        file.truncate(4000 * 4000 * frame)
        file.seek((2345 * 4000 + 3210) * frame + 10)
        file.write(b"\7")
    return n4.load(
        "raw", path, nav_shape=(4000, 4000), sig_shape=(256, 256), dtype="u2"
    )


def test_terabytes_are_chunks_of_16_to_64_megabytes(huge):
    lazy = huge.to_dask()
    assert lazy.shape == (4000, 4000, 256, 256)
    assert 16 * MB <= prod(lazy.chunksize) * 2 <= 64 * MB
    assert lazy.npartitions <= MAX_CHUNKS


def test_frame_out_of_terabytes_is_the_only_one_read(huge, monkeypatch):
    read = []
    batches = RawFrames.batches

    def counted(self, frames):
        read.extend(frames)
        return batches(self, frames)

    monkeypatch.setattr(RawFrames, "batches", counted)
    frame = huge.to_dask()[2345, 3210].compute(scheduler="synchronous")
    assert frame[0, 5] == 7
    assert np.count_nonzero(frame) == 1
    assert len(read) == 1


def test_slice_of_terabytes_keeps_a_small_graph(huge):
    import dask

    line = huge.to_dask()[17, :, 0, 0]
    (optimized,) = dask.optimize(line)
    tasks = dict(optimized.__dask_graph__())
    assert len(tasks) <= 100
    assert max(len(cloudpickle.dumps(task)) for task in tasks.values()) < 2500


def test_tasks_of_a_long_series_know_their_files_only(tmp_path):
    frames = np.arange(1, 401, dtype="u2")[:, None, None] * np.ones((2, 2), "u2")
    first, *_ = write_series(tmp_path, frames, (1,) * 400)
    lazy = n4.load("mib", first).to_dask(chunks=(1, 5, -1, -1))
    tasks = dict(lazy.__dask_graph__())
    assert len(tasks) == 80
    assert max(len(cloudpickle.dumps(task)) for task in tasks.values()) < 2500
    assert (lazy.max(axis=(2, 3)).compute().ravel() == np.arange(1, 401)).all()


def test_every_array_has_a_name_of_its_own(tmp_path):
    path = tmp_path / "a.raw"
    path.write_bytes(bytes(24))

    def opened():
        return n4.load("raw", path, dtype="u1", sig_shape=(2, 3)).to_dask()

    before = opened()
    path.write_bytes(bytes([1] * 24))
    assert opened().name != before.name
    assert int((opened() + 0).sum().compute()) == 24


def test_whole_scan_in_one_chunk(tmp_path):
    path = tmp_path / "a.raw"
    path.write_bytes(os.urandom(24))
    data_set = n4.load("raw", path, dtype="u1", sig_shape=(2, 3), nav_shape=(2, 2))
    for chunks in (-1, (2, 2, 2, 3), "auto", {0: -1, 1: -1}):
        lazy = data_set.to_dask(chunks=chunks)
        assert lazy.npartitions == 1
        np.testing.assert_array_equal(lazy.compute(), data_set[...])


def test_chunk_limit_is_what_the_contract_says():
    assert MAX_CHUNKS == 100_000
    assert 16 * MB <= CHUNK_NBYTES <= 64 * MB


# Corrections.


@pytest.fixture
def corrected():
    """A scan in memory, corrected by pixels in memory."""
    rng = np.random.default_rng(0)
    data_set = n4.load("memory", data=rng.integers(0, 999, (4, 6, 256, 256), "u2"))
    dark, gain = rng.random((2, 256, 256))
    return data_set.with_corrections(dark=dark, gain=gain)


def test_dark_and_gain_are_in_a_graph_once(corrected, tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((4, 6, 256, 256), "u2"))
    parts = {"dark": corrected.corrections.dark, "gain": corrected.corrections.gain}
    data_set = n4.load("npy", tmp_path / "a.npy", corrections=parts)
    lazy = data_set.to_dask(chunks=(1, 3, -1, -1))
    *tasks, shared = sorted(
        len(cloudpickle.dumps(task)) for task in dict(lazy.__dask_graph__()).values()
    )
    assert len(tasks) == 8
    assert max(tasks) < 2500
    assert shared < 2 * 256 * 256 * 4 + 2500
    assert len(cloudpickle.dumps(lazy)) < shared + 20_000
    assert len(pickle.dumps(data_set)) < shared + 2500


def test_dark_and_gain_of_a_dask_array_are_in_a_graph_once(corrected):
    frames = da.zeros((4, 6, 256, 256), dtype="u2", chunks=(1, 3, -1, -1))
    parts = {"dark": corrected.corrections.dark, "gain": corrected.corrections.gain}
    lazy = n4.load("dask", data=frames, corrections=parts).to_dask()
    *tasks, shared = sorted(
        len(cloudpickle.dumps(task)) for task in dict(lazy.__dask_graph__()).values()
    )
    assert max(tasks) < 2500
    assert shared < 2 * 256 * 256 * 4 + 2500
    expected = (0 - corrected.corrections.dark) * corrected.corrections.gain
    np.testing.assert_array_equal(lazy[1, 2].compute(), expected)


def test_corrected_chunks_equal_corrected_frames(corrected):
    expected = corrected[...]
    for chunks in ("auto", (1, 4, -1, -1), (3, 1, 100, 200)):
        lazy = corrected.to_dask(chunks=chunks)
        assert lazy.dtype == np.float32
        np.testing.assert_array_equal(lazy.compute(), expected)
        np.testing.assert_array_equal(lazy[2, 1:4, 7].compute(), expected[2, 1:4, 7])


def test_corrected_frame_is_the_only_one_read(corrected, monkeypatch):
    read = []
    batches = ArrayFrames.batches

    def counted(self, frames):
        read.extend(frames)
        return batches(self, frames)

    monkeypatch.setattr(ArrayFrames, "batches", counted)
    lazy = corrected.to_dask()
    assert lazy.npartitions == 1
    frame = lazy[2, 3].compute(scheduler="synchronous")
    assert read == [15]
    np.testing.assert_array_equal(frame, corrected[2, 3])
