"""Frames of HDF5 data sets, read past the library or by it."""

from __future__ import annotations

import pickle
import threading

import h5py
import hdf5plugin
import numpy as np
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_4dstem.errors import FormatError
from napari_4dstem.frames import hdf5_assembly, hdf5_chunks, hdf5_reader, in_threads
from napari_4dstem.frames.hdf5 import Hdf5Frames, Part
from napari_4dstem.frames.layout import Gap

CODECS = [
    {},
    {"compression": "gzip", "shuffle": True},
    {"compression": "lzf"},
    dict(hdf5plugin.Bitshuffle()),
    dict(hdf5plugin.Blosc2()),  # only HDF5 knows it
    {"shuffle": True},
]


def write(path, array, **options):
    with h5py.File(path, "w", userblock_size=options.pop("userblock_size", 0)) as file:
        file.create_dataset("d", data=array, **options)


def source_of(path, array, sig_ndim=2, **facts):
    """Return the frames of all of a data set."""
    frames_last = facts.get("frames_last", False)
    nav, sig = hdf5_chunks.split_axes(array.ndim, sig_ndim, frames_last)
    count = int(np.prod(array.shape[nav]))
    part = Part(path, "d", 0, count)
    return Hdf5Frames((part,), array.shape[sig], array.dtype, **facts)


def read(source, numbers):
    """Return frames one by one as they come in batches."""
    out = np.zeros((len(numbers), *source.sig_shape), source.dtype)
    for where, batch in source.batches(np.asarray(numbers, np.int64)):
        out[where] = batch.dense()
    return out


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_data_set_in_any_chunks(tmp_path_factory, data):
    shape = data.draw(st.lists(st.integers(1, 7), min_size=2, max_size=5).map(tuple))
    sig_ndim = data.draw(st.integers(1, len(shape) - 1))
    chunks = tuple(data.draw(st.integers(1, n)) for n in shape)
    dtype = data.draw(st.sampled_from(["u1", "<u2", ">u2", "f4", "?", "c8", "f2"]))
    codec = data.draw(st.sampled_from(CODECS))
    frames_last = data.draw(st.booleans())
    array = np.random.default_rng(len(shape)).integers(0, 9, shape).astype(dtype)
    path = tmp_path_factory.mktemp("any") / "a.h5"
    write(path, array, chunks=chunks, **codec)
    backend = data.draw(st.sampled_from(["mmap", "buffered"]))
    source = source_of(path, array, sig_ndim, frames_last=frames_last, backend=backend)
    truth = array
    if frames_last:
        truth = np.moveaxis(array, range(sig_ndim), range(-sig_ndim, 0))
    truth = truth.reshape(-1, *source.frame_shape)
    numbers = data.draw(st.lists(st.integers(0, len(truth) - 1), min_size=1))
    few = data.draw(st.sampled_from([0, 10**6]), label="chunks worth a table")
    small = data.draw(st.sampled_from([1, 100, 10**7]), label="bytes of a group")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hdf5_chunks, "FEW_CHUNKS", few)
        patch.setattr(hdf5_chunks, "LARGE_PART", 100 if few == 0 else 0)
        patch.setattr(hdf5_reader, "GROUP_NBYTES", small)
        patch.setattr(hdf5_reader, "LARGE_GROUP_NBYTES", 2 * small)
        patch.setattr(hdf5_assembly, "RAW_NBYTES", small)
        patch.setattr(in_threads, "THREAD_NBYTES", 1)
        np.testing.assert_array_equal(read(source, numbers), truth[numbers])
        everything = np.arange(len(truth))
        np.testing.assert_array_equal(read(source, everything), truth)
        crop = data.draw(hnp.basic_indices(source.frame_shape, allow_ellipsis=False))
        crop = crop if isinstance(crop, tuple) else (crop,)
        for where, batch in source.batches(everything):
            found = batch.cropped(crop).dense()
            np.testing.assert_array_equal(found, truth[where][:, *crop])


@settings(max_examples=40, deadline=None)
@given(
    written=st.sets(st.integers(0, 11)),
    chunks=st.sampled_from([(1, 4, 4), (1, 2, 3), (2, 4, 4)]),
    codec=st.sampled_from(CODECS),
    few=st.sampled_from([0, 10**6]),
)
def test_chunks_that_were_never_written_hold_the_fill_value(
    tmp_path_factory, written, chunks, codec, few
):
    path = tmp_path_factory.mktemp("fill") / "a.h5"
    truth = np.full((12, 4, 4), 7, ">i2")
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset(
            "d", truth.shape, truth.dtype, chunks=chunks, fillvalue=7, **codec
        )
        for i in sorted(written):
            dataset[i] = truth[i] = i
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hdf5_chunks, "FEW_CHUNKS", few)
        source = source_of(path, truth)
        np.testing.assert_array_equal(read(source, range(12)), truth)


def indices():
    """Yield the ways in which HDF5 keeps the places of chunks."""
    early = h5py.h5d.ALLOC_TIME_EARLY
    yield "B-tree 1", "earliest", {}, None
    yield "single chunk", "latest", {"chunks": (7, 5, 6)}, None
    yield "implicit", "latest", {}, early
    yield "fixed array", "latest", {}, None
    yield "extensible array", "latest", {"maxshape": (None, 5, 6)}, None
    yield "B-tree 2", "latest", {"maxshape": (None, None, 6)}, None


@pytest.mark.parametrize("codec", [{}, {"compression": "gzip"}])
@pytest.mark.parametrize(
    ("libver", "options", "allocation"),
    [way[1:] for way in indices()],
    ids=[way[0] for way in indices()],
)
def test_every_way_to_keep_the_places_of_chunks(
    tmp_path, libver, options, allocation, codec
):
    array = np.arange(7 * 30, dtype="u2").reshape(7, 5, 6)
    options = {"chunks": (2, 5, 4)} | options | codec
    with h5py.File(tmp_path / "a.h5", "w", libver=libver) as file:
        if allocation is not None:
            properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            properties.set_alloc_time(allocation)
            options["dcpl"] = properties
        file.create_dataset("d", data=array, **options)
    source = source_of(tmp_path / "a.h5", array)
    np.testing.assert_array_equal(read(source, range(7)), array)
    assert hdf5_chunks.stored_data(tmp_path / "a.h5", "d", 2, False)._table is not None


def test_chunk_that_cannot_be_is_refused(tmp_path):
    path = tmp_path / "a.h5"
    array = np.ones((4, 8, 8), "u2")
    write(path, array, chunks=(1, 8, 8), compression="gzip")
    stored = hdf5_chunks.stored_data(path, "d", 2, False)
    good = np.array([[0, 0, 0, 0, 100, 20]], np.uint64)
    stored._check(good)
    for column, value, said in (
        (3, 2, "is impossible"),
        (4, 2**63, "beyond the end of the file"),
        (5, 0, "is impossible"),
        (5, 2**32, "beyond the end of the file"),
    ):
        bad = good.copy()
        bad[0, column] = value
        with pytest.raises(FormatError, match=f"a chunk of 'd' .*{said}"):
            stored._check(bad)


@pytest.mark.parametrize("codec", CODECS[:2])
@pytest.mark.parametrize("chunks", [(1, 5, 6), (2, 2, 4)])
def test_user_block_before_chunks(tmp_path, codec, chunks):
    array = np.arange(120, dtype="u2").reshape(4, 5, 6)
    write(tmp_path / "a.h5", array, chunks=chunks, userblock_size=1024, **codec)
    source = source_of(tmp_path / "a.h5", array)
    np.testing.assert_array_equal(read(source, range(4)), array)


def test_user_block_that_hdf5_forgot(tmp_path, monkeypatch):
    array = np.arange(120, dtype="u2").reshape(4, 5, 6)
    path = tmp_path / "a.h5"
    write(path, array, chunks=(1, 5, 6), compression="gzip", userblock_size=1024)
    stored = hdf5_chunks.stored_data(path, "d", 2, False)
    with h5py.File(path) as file:
        found = file["d"].id
        table = []
        found.chunk_iter(table.append)
        rows = [(*c.chunk_offset, 0, c.byte_offset, c.size) for c in table]
        right = np.array(rows, np.uint64)
        assert stored._shift(found, right) == 0
        assert stored._shift(found, right - np.uint64([0, 0, 0, 0, 1024, 0])) == 1024
        assert stored._shift(found, right + np.uint64([0, 0, 0, 0, 1, 0])) is None


def test_table_of_chunks_is_read_when_it_pays(tmp_path, monkeypatch):
    monkeypatch.setattr(hdf5_chunks, "FEW_CHUNKS", 10)
    array = np.arange(100 * 4, dtype="u2").reshape(100, 2, 2)
    write(tmp_path / "a.h5", array, chunks=(1, 2, 2), compression="gzip")
    source = source_of(tmp_path / "a.h5", array)
    stored = hdf5_chunks.stored_data(tmp_path / "a.h5", "d", 2, False)
    for i in range(6):
        np.testing.assert_array_equal(read(source, [i]), array[i : i + 1])
        assert stored._table is None
    np.testing.assert_array_equal(read(source, [50]), array[50:51])
    assert stored._table is not None


def test_pixels_in_odd_bits_are_left_to_hdf5(tmp_path):
    path = tmp_path / "a.h5"
    array = np.arange(4 * 6, dtype="u2").reshape(4, 2, 3)
    with h5py.File(path, "w") as file:
        kind = h5py.h5t.STD_U16LE.copy()
        kind.set_precision(12)
        kind.set_offset(4)
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_chunk((1, 2, 3))
        space = h5py.h5s.create_simple(array.shape)
        dataset = h5py.h5d.create(file.id, b"d", kind, space, properties)
        dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, array)
    assert not hdf5_chunks.stored_data(path, "d", 2, False).is_plain
    np.testing.assert_array_equal(read(source_of(path, array), range(4)), array)


def test_complex_numbers_of_matlab(tmp_path):
    path = tmp_path / "a.h5"
    array = (np.arange(24) * (1 + 2j)).astype("c8").reshape(4, 2, 3)
    pairs = array.view([("real", "f4"), ("imag", "f4")])
    for options in ({"chunks": (1, 2, 3)}, {"chunks": (3, 1, 2), "shuffle": True}):
        write(path, pairs, **options)
        np.testing.assert_array_equal(read(source_of(path, array), range(4)), array)


@pytest.mark.parametrize(
    "options", [hdf5plugin.Bitshuffle(), hdf5plugin.LZ4(), hdf5plugin.Blosc()]
)
def test_damaged_chunk_is_kept_from_filters_that_trust_it(tmp_path, options):
    """HDF5's own code for these filters crashes over some damage."""
    path = tmp_path / "a.h5"
    array = np.random.default_rng(0).poisson(3, (4, 64, 64)).astype("u2")
    write(path, array, chunks=(1, 64, 64), **options)
    with h5py.File(path) as file:
        chunk = file["d"].id.get_chunk_info(2)
    with open(path, "r+b") as file:
        file.seek(chunk.byte_offset + 12)
        file.write(b"\xff" * 100)
    with pytest.raises(FormatError, match=r"a chunk of 'd' is damaged \("):
        read(source_of(path, array), [1, 2])


@pytest.mark.parametrize("codec", [{"compression": "gzip"}, dict(hdf5plugin.Blosc2())])
def test_damaged_chunk_is_an_error(tmp_path, codec):
    path = tmp_path / "a.h5"
    array = np.random.default_rng(0).poisson(3, (4, 8, 8)).astype("u2")
    write(path, array, chunks=(1, 8, 8), **codec)
    with h5py.File(path) as file:
        chunk = file["d"].id.get_chunk_info(2)
    with open(path, "r+b") as file:
        file.seek(chunk.byte_offset)
        file.write(bytes(chunk.size))
    source = source_of(path, array)
    np.testing.assert_array_equal(read(source, [0, 1, 3]), array[[0, 1, 3]])
    with pytest.raises(FormatError, match=r"a\.h5: HDF5 cannot read the file"):
        read(source, [1, 2])


@pytest.mark.parametrize("codec", CODECS)
def test_parts_follow_each_other(tmp_path, codec):
    array = np.arange(10 * 6, dtype="u2").reshape(10, 2, 3)
    write(tmp_path / "a.h5", array[:4], chunks=(1, 2, 3), **codec)
    write(tmp_path / "b.h5", array[4:], chunks=(2, 2, 3), **codec)
    a, b = (tmp_path / name for name in ("a.h5", "b.h5"))
    parts = (Part(a, "d", 1, 3), Gap(2), Part(b, "d", 0, 5))
    source = Hdf5Frames(parts, (2, 3), array.dtype)
    assert source.num_frames == 10
    assert source.files == (a, b)
    present = source.present(np.arange(10))
    assert present.tolist() == [True] * 3 + [False] * 2 + [True] * 5
    np.testing.assert_array_equal(read(source, [9, 8, 0, 2, 5]), array[[8, 7, 1, 3, 4]])
    middle = pickle.loads(pickle.dumps(source.between(2, 7)))
    assert middle.parts == (Part(a, "d", 3, 1), Gap(2), Part(b, "d", 0, 2))
    np.testing.assert_array_equal(read(middle, [0, 4]), array[[3, 5]])


def test_a_thousand_parts_pickle_small(tmp_path):
    parts = tuple(
        Part(tmp_path / f"scan_data_{i:06d}.h5", "/entry/data/data", 0, 1000)
        for i in range(1000)
    )
    source = Hdf5Frames(parts, (192, 192), np.dtype("u4"))
    assert len(pickle.dumps(source)) < 20_000
    assert len(pickle.dumps(source.between(5000, 5512))) < 1000
    assert pickle.loads(pickle.dumps(source)) == source


@pytest.mark.parametrize("codec", [{"compression": "gzip"}, dict(hdf5plugin.Zfp())])
def test_frames_go_where_they_are_wanted(tmp_path, codec):
    array = np.arange(240, dtype="f4").reshape(10, 4, 6)
    write(tmp_path / "a.h5", array, chunks=(2, 2, 3), **codec)
    source = source_of(tmp_path / "a.h5", array)
    with h5py.File(tmp_path / "a.h5") as file:
        array = file["d"][...]
    outs = [np.empty((10, 4, 6), "f4"), np.empty((10, 4, 6), "f8"),
            np.empty((6, 4, 10), "f4").T]  # fmt: skip
    for out in outs:
        for where, batch in source.batches(np.arange(10)):
            part = out[where]
            assert batch.dense(part) is part
        np.testing.assert_array_equal(out, array)
    array = array.reshape(10, 3, 8)
    for where, batch in source.with_sig_shape((3, 8)).batches(np.arange(10)):
        np.testing.assert_array_equal(batch.dense(), array[where])
        cropped = batch.cropped((slice(1, None), 5)).dense()
        np.testing.assert_array_equal(cropped, array[where, 1:, 5])


def test_only_chunks_in_the_crop_are_read(tmp_path, monkeypatch):
    array = np.arange(4 * 64, dtype="u2").reshape(4, 8, 8)
    write(tmp_path / "a.h5", array, chunks=(4, 2, 2), compression="gzip")
    undone = []
    undo = hdf5_assembly.undo

    def counted(*arguments):
        undone.append(1)
        undo(*arguments)

    monkeypatch.setattr(hdf5_assembly, "undo", counted)
    source = source_of(tmp_path / "a.h5", array)
    for _, batch in source.batches(np.arange(4)):
        assert not undone
        found = batch.cropped((slice(1, 4), 6)).dense()
        np.testing.assert_array_equal(found, array[:, 1:4, 6])
        assert len(undone) == 2
        batch.dense()
        assert len(undone) == 18


def test_only_chunks_with_needed_pixels_are_read(tmp_path, monkeypatch):
    array = np.arange(4 * 64, dtype="u2").reshape(4, 8, 8)
    write(tmp_path / "a.h5", array, chunks=(1, 2, 8), compression="gzip")
    undone = []
    undo = hdf5_assembly.undo

    def counted(*arguments):
        undone.append(1)
        undo(*arguments)

    monkeypatch.setattr(hdf5_assembly, "undo", counted)
    source = source_of(tmp_path / "a.h5", array)
    for shape in ((8, 8), (4, 16)):
        undone.clear()
        needed = np.zeros((8, 8), bool)
        needed[1, 3] = needed[4, 7] = True
        shown = source.with_sig_shape(shape)
        batches = shown.batches(np.arange(4), needed.reshape(shape))
        found = np.concatenate([batch.dense() for _, batch in batches])
        picked = found.reshape(4, 8, 8)[:, needed]
        np.testing.assert_array_equal(picked, array[:, needed])
        assert len(undone) == 8


# One for each filter of hdf5plugin, with its number, and a type of pixel that it takes.
FILTERS = {
    "bitshuffle": (32008, hdf5plugin.Bitshuffle(), "u2"),
    "blosc": (32001, hdf5plugin.Blosc(), "u2"),
    "blosc2": (32026, hdf5plugin.Blosc2(), "u2"),
    "bzip2": (307, hdf5plugin.BZip2(), "u2"),
    "lz4": (32004, hdf5plugin.LZ4(), "u2"),
    "zstd": (32015, hdf5plugin.Zstd(), "u2"),
    "fcidecomp": (32018, hdf5plugin.FciDecomp(), "u2"),
    "sz": (32017, hdf5plugin.SZ(absolute=0.1), "f4"),
    "sz3": (32024, hdf5plugin.SZ3(absolute=0.1), "f4"),
    "zfp": (32013, hdf5plugin.Zfp(), "f4"),
    "sperr": (32028, hdf5plugin.Sperr(rate=8), "f4"),
}
if hasattr(hdf5plugin, "Htj2k"):  # since hdf5plugin 6
    FILTERS["htj2k"] = (32033, hdf5plugin.Htj2k(), "u2")


@pytest.mark.parametrize("name", FILTERS)
def test_every_filter_of_hdf5plugin(tmp_path, name):
    number, options, dtype = FILTERS[name]
    array = np.random.default_rng(0).poisson(20, (4, 64, 64)).astype(dtype)
    write(tmp_path / "a.h5", array, chunks=(1, 64, 64), **options)
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["d"].id.get_create_plist().get_filter(0)[0] == number
        array = file["d"][...]  # some lose a little
    np.testing.assert_array_equal(
        read(source_of(tmp_path / "a.h5", array), range(4)), array
    )


def test_no_filter_of_hdf5plugin_is_forgotten():
    known = {type(options) for _, options, _ in FILTERS.values()}
    assert set(hdf5plugin.get_filters()) <= known


def test_whole_frames_come_as_they_lie_in_the_file(tmp_path):
    array = np.arange(60, dtype="u2").reshape(10, 2, 3)
    write(tmp_path / "a.h5", array, chunks=(2, 2, 3))
    batches = list(source_of(tmp_path / "a.h5", array).batches(np.arange(10)))
    assert all(not batch.frames.flags.owndata for _, batch in batches)
    assert all(not batch.frames.flags.writeable for _, batch in batches)


def test_helpers_end_with_the_request(tmp_path, monkeypatch):
    monkeypatch.setattr(in_threads, "THREAD_NBYTES", 1)
    idle = threading.BoundedSemaphore(3)
    monkeypatch.setattr(in_threads, "_idle", idle)
    array = np.ones((64, 8, 8), "u2")
    write(tmp_path / "a.h5", array, chunks=(1, 8, 8), compression="gzip")
    source = source_of(tmp_path / "a.h5", array)

    def helpers():
        return {t for t in threading.enumerate() if t.name.startswith(in_threads.NAME)}

    others = helpers()  # of requests of other tests, if any is still at it
    batches = source.batches(np.arange(64))
    next(batches)[1].dense()
    of_this_one = helpers() - others
    assert of_this_one
    batches.close()
    assert not of_this_one & helpers()
    assert idle._value == 3
    files = {file.path for file in psutil.Process().open_files()}
    assert str(tmp_path / "a.h5") not in files


def test_errors_in_helpers_come_out(tmp_path, monkeypatch):
    monkeypatch.setattr(in_threads, "THREAD_NBYTES", 1)

    def fail(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(hdf5_assembly, "undo", fail)
    array = np.ones((64, 8, 8), "u2")
    write(tmp_path / "a.h5", array, chunks=(1, 8, 8), compression="gzip")
    with pytest.raises(ZeroDivisionError):
        read(source_of(tmp_path / "a.h5", array), range(64))


@settings(max_examples=100)
@given(data=st.data())
def test_boxes_hold_a_range_of_positions_in_order(data):
    shape = data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=4).map(tuple))
    numbers = np.arange(np.prod(shape)).reshape(shape)
    first = data.draw(st.integers(0, numbers.size))
    last = data.draw(st.integers(first, numbers.size))
    boxes = list(hdf5_reader._boxes(first, last, shape))
    found = [i for box in boxes for i in numbers[box].ravel().tolist()]
    assert found == list(range(first, last))
    assert len(boxes) <= 2 * len(shape)
