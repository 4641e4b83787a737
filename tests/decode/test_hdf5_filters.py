"""HDF5's filters, undone without HDF5."""

from __future__ import annotations

import h5py
import hdf5plugin
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_4dstem.decode import hdf5_filters
from napari_4dstem.decode.hdf5_filters import (
    DamagedChunkError,
    Scratch,
    can_undo,
    undo,
)
from napari_4dstem.frames.hdf5_file import filters_of

GZIP = {"compression": "gzip"}
KNOWN = {
    "none": {},
    "gzip": GZIP,
    "gzip, shuffled": GZIP | {"shuffle": True},
    "gzip, shuffled, with checksum": GZIP | {"shuffle": True, "fletcher32": True},
    "lzf": {"compression": "lzf"},
    "bitshuffle": hdf5plugin.Bitshuffle(),
    "bitshuffle in small blocks": hdf5plugin.Bitshuffle(nelems=128),
    "bitshuffle zstd": hdf5plugin.Bitshuffle(cname="zstd"),
    "lz4": hdf5plugin.LZ4(),
    "lz4 in small blocks": hdf5plugin.LZ4(nbytes=300),
    "zstd": hdf5plugin.Zstd(),
    "zstd, shuffled": {**hdf5plugin.Zstd(), "shuffle": True},
    "bzip2": hdf5plugin.BZip2(),
    "blosc lz4": hdf5plugin.Blosc(),
    "blosc zstd, bits shuffled": hdf5plugin.Blosc(cname="zstd", shuffle=2),
    "blosc zlib": hdf5plugin.Blosc(cname="zlib"),
}
LEFT_TO_HDF5 = {
    "blosc2": hdf5plugin.Blosc2(),
    "zfp": hdf5plugin.Zfp(reversible=True),
    "scale-offset": {"scaleoffset": 0},
    "shuffle alone": {"shuffle": True},
    "checksum alone": {"fletcher32": True},
    "bitshuffle alone": hdf5plugin.Bitshuffle(cname="none"),
}


def stored(folder, array, options):
    """Return the filters, and chunks as they are stored: (skipped, bytes)."""
    with h5py.File(folder / "a.h5", "w") as file:
        dataset = file.create_dataset(
            "a", data=array, chunks=(1, *array.shape[1:]), **options
        )
        corners = [(i, *(0 for _ in array.shape[1:])) for i in range(len(array))]
        chunks = [dataset.id.read_direct_chunk(corner) for corner in corners]
        return filters_of(dataset), chunks


def undone(filters, chunk, nbytes):
    out = np.full(nbytes, 0xA5, np.uint8)
    raw = np.frombuffer(chunk[1], np.uint8)
    undo(filters, chunk[0], raw, out, Scratch())
    return out


@settings(max_examples=20, deadline=None)
@pytest.mark.parametrize("options", KNOWN.values(), ids=KNOWN)
@given(
    dtype=st.sampled_from(["u1", "<u2", ">u4", "f4", "f8"]),
    shape=st.tuples(st.just(2), st.integers(1, 40), st.integers(1, 70)),
    most=st.sampled_from([1, 3, 200]),
)
def test_chunks_are_as_they_were_written(tmp_path_factory, options, dtype, shape, most):
    array = np.random.default_rng(most).integers(0, most, shape).astype(dtype)
    filters, chunks = stored(tmp_path_factory.mktemp("filters"), array, options)
    assert can_undo(filters)
    for chunk, frame in zip(chunks, array, strict=True):
        assert undone(filters, chunk, frame.nbytes).tobytes() == frame.tobytes()


@pytest.mark.parametrize("options", LEFT_TO_HDF5.values(), ids=LEFT_TO_HDF5)
def test_what_is_not_known_is_left_to_hdf5(tmp_path, options):
    filters, _ = stored(tmp_path, np.ones((1, 16, 16), "i4"), options)
    assert not can_undo(filters)


def test_szip_and_two_compressors_are_left_to_hdf5():
    assert not can_undo(((4, (141, 8, 32, 192)),))
    assert not can_undo(((1, (4,)), (32000, (4, 261, 512))))


def test_without_codecs_all_is_left_to_hdf5(monkeypatch):
    monkeypatch.setattr(hdf5_filters, "_codecs", lambda: None)
    assert not can_undo(((1, (4,)),))
    assert can_undo(())


def test_filters_that_were_skipped_are_skipped(tmp_path):
    noise = np.random.default_rng(0).integers(0, 2**32, (1, 9, 9), "u4")
    filters, [(skipped, raw)] = stored(tmp_path, noise, KNOWN["lzf"])
    assert skipped == 1, "noise does not get smaller: HDF5 stores it as it is"
    assert undone(filters, (skipped, raw), noise.nbytes).tobytes() == noise.tobytes()


@pytest.mark.parametrize(
    "options", [o for o in KNOWN.values() if o], ids=[k for k, o in KNOWN.items() if o]
)
def test_cut_off_chunks_are_damaged(tmp_path, options):
    array = np.random.default_rng(1).poisson(2, (1, 30, 50)).astype("u2")
    filters, [(skipped, raw)] = stored(tmp_path, array, options)
    for nbytes in (0, 1, 5, len(raw) // 2):
        with pytest.raises(DamagedChunkError):
            undone(filters, (skipped, raw[:nbytes]), array.nbytes)


@pytest.mark.parametrize("nbytes", [1, 2999, 3001])
@pytest.mark.parametrize("kind", ["bitshuffle", "lz4", "blosc lz4", "gzip, shuffled"])
def test_chunks_of_another_size_are_damaged(tmp_path, kind, nbytes):
    array = np.random.default_rng(1).poisson(2, (1, 30, 50)).astype("u2")
    filters, [chunk] = stored(tmp_path, array, KNOWN[kind])
    with pytest.raises(DamagedChunkError):
        undone(filters, chunk, nbytes)


def test_wrong_checksum_is_noticed(tmp_path):
    array = np.ones((1, 8, 8), "u2")
    options = KNOWN["gzip, shuffled, with checksum"]
    filters, [(skipped, raw)] = stored(tmp_path, array, options)
    wrong = raw[:-1] + bytes([raw[-1] ^ 1])
    with pytest.raises(DamagedChunkError, match="checksum"):
        undone(filters, (skipped, wrong), array.nbytes)
