"""Virtual HDF5 data sets: read from the sources, where the frames are."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

import napari_4dstem as n4
from napari_4dstem.frames.hdf5 import Hdf5Frames
from napari_4dstem.frames.hdf5_virtual import data_set
from napari_4dstem.frames.layout import FrameLayout
from tests.formats.write_hdf5 import write_hdf5

FRAMES = np.arange(12 * 4 * 5, dtype="u2").reshape(12, 4, 5)
SCAN = FRAMES.reshape(3, 4, 4, 5)


def read(path, name="d", **parameters):
    return n4.load("hdf5", path, ds_path=name, **parameters)


def kind_of(path, name="/d"):
    return type(data_set(path, name, 2).frames.simplest())


def write_parts(folder, counts=(5, 4, 3), **options):
    """Write the frames as parts, and return a virtual source for each."""
    sources = []
    ends = np.cumsum(counts)
    for i, (count, end) in enumerate(zip(counts, ends, strict=True)):
        part = FRAMES[end - count : end]
        write_hdf5(folder / f"p{i}.h5", part, "x", **options)
        sources.append(h5py.VirtualSource(f"p{i}.h5", "x", shape=part.shape))
    return sources


def write_virtual(path, mapping, shape=FRAMES.shape, dtype="u2"):
    layout = h5py.VirtualLayout(shape, dtype)
    for where, source in mapping:
        layout[where] = source
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("d", layout, fillvalue=9)


def one_after_the_other(sources, counts=(5, 4, 3)):
    ends = np.cumsum(counts).tolist()
    return [
        (slice(end - count, end), source)
        for count, end, source in zip(counts, ends, sources, strict=True)
    ]


@pytest.mark.parametrize(
    ("options", "kind"), [({}, FrameLayout), ({"compression": "lzf"}, Hdf5Frames)]
)
def test_virtual_data_set_of_parts_is_read_from_the_parts(tmp_path, options, kind):
    path = tmp_path / "all.h5"
    write_virtual(path, one_after_the_other(write_parts(tmp_path, **options)))
    assert kind_of(path) is kind
    data = read(path)
    np.testing.assert_array_equal(data[...], FRAMES)
    names = [file.name for file in data.files]
    assert names == ["p0.h5", "p1.h5", "p2.h5", "all.h5"]


def test_lines_of_a_scan_may_be_parts_of_parts(tmp_path):
    sources = write_parts(tmp_path, (6, 6))
    mapping = [(0, sources[1][:4]), (1, sources[0][2:]), (2, sources[0][1:5])]
    write_virtual(tmp_path / "all.h5", mapping, SCAN.shape)
    assert kind_of(tmp_path / "all.h5") is FrameLayout
    expected = np.stack([FRAMES[6:10], FRAMES[2:6], FRAMES[1:5]])
    np.testing.assert_array_equal(read(tmp_path / "all.h5")[...], expected)


def test_frames_one_by_one_are_joined(tmp_path):
    write_hdf5(tmp_path / "p.h5", SCAN, "x")
    source = h5py.VirtualSource("p.h5", "x", shape=SCAN.shape)
    mapping = [(i, source[i // 4, i % 4]) for i in range(12)]
    write_virtual(tmp_path / "all.h5", mapping)
    (part,) = data_set(tmp_path / "all.h5", "/d", 2).frames.parts
    assert part.count == 12
    np.testing.assert_array_equal(read(tmp_path / "all.h5")[...], FRAMES)


def test_sources_in_the_same_file_and_virtual_ones(tmp_path):
    path = tmp_path / "all.h5"
    layout = h5py.VirtualLayout(FRAMES.shape, "u2")
    layout[:] = h5py.VirtualSource(".", "x", shape=FRAMES.shape)
    with h5py.File(path, "w") as file:
        file["x"] = FRAMES
        for name in ("v0", "v1", "v2", "v3", "v4"):
            file.create_virtual_dataset(name, layout)
            layout = h5py.VirtualLayout(FRAMES.shape, "u2")
            layout[:] = h5py.VirtualSource(".", name, shape=FRAMES.shape)
    assert kind_of(path, "/v4") is FrameLayout
    for name in ("v0", "v4"):
        np.testing.assert_array_equal(read(path, name)[...], FRAMES)


def test_missing_source_leaves_its_place_blank(tmp_path):
    path = tmp_path / "all.h5"
    write_virtual(path, one_after_the_other(write_parts(tmp_path)))
    (tmp_path / "p1.h5").unlink()
    with pytest.warns(n4.FormatWarning, match=r"missing.*p1\.h5"):
        data = read(path)
    assert data.num_stored_frames == 12
    assert data.valid.tolist() == [True] * 5 + [False] * 4 + [True] * 3
    np.testing.assert_array_equal(data[5:9], np.zeros((4, 4, 5), "u2"))
    np.testing.assert_array_equal(data[9:], FRAMES[9:])
    for name in ("p0.h5", "p2.h5"):
        (tmp_path / name).unlink()
    with pytest.raises(n4.FormatError, match=r"none of p0\.h5, p1\.h5, p2\.h5"):
        read(path)


@pytest.mark.parametrize("options", [{}, {"chunks": (1, 4, 5)}])
def test_source_that_is_shorter_than_promised(tmp_path, options):
    path = tmp_path / "all.h5"
    write_virtual(path, one_after_the_other(write_parts(tmp_path, **options)))
    write_hdf5(tmp_path / "p1.h5", FRAMES[5:7], "x", **options)
    with pytest.warns(n4.FormatWarning, match="2 .*frames .*missing"):
        data = read(path)
    assert data.valid.tolist() == [True] * 7 + [False] * 2 + [True] * 3


def test_damaged_source_is_named_and_blank(tmp_path):
    path = tmp_path / "all.h5"
    write_virtual(path, one_after_the_other(write_parts(tmp_path)))
    (tmp_path / "p1.h5").write_bytes(b"nothing")
    with pytest.warns(n4.FormatWarning, match=r"damaged.*p1\.h5"):
        data = read(path)
    assert data.valid.tolist() == [True] * 5 + [False] * 4 + [True] * 3


def test_source_data_sets_that_do_not_exist(tmp_path):
    write_hdf5(tmp_path / "p.h5", FRAMES, "x")
    source = h5py.VirtualSource("p.h5", "other", shape=FRAMES.shape)
    write_virtual(tmp_path / "all.h5", [(slice(0, 12), source)])
    with pytest.raises(n4.FormatError, match=r"none of other in p\.h5"):
        read(tmp_path / "all.h5")


@pytest.mark.parametrize("options", [{}, {"compression": "gzip"}])
def test_stacked_images(tmp_path, options):
    for i, frame in enumerate(FRAMES):
        write_hdf5(tmp_path / f"{i}.h5", frame[np.newaxis], "x", **options)
        with h5py.File(tmp_path / f"{i}.h5", "r+") as file:
            file.create_dataset("image", data=frame, **options)
    images = [h5py.VirtualSource(f"{i}.h5", "image", (4, 5)) for i in range(12)]
    write_virtual(tmp_path / "all.h5", list(enumerate(images)))
    np.testing.assert_array_equal(read(tmp_path / "all.h5")[...], FRAMES)


@pytest.mark.parametrize("length", [1, 2, 3])
@pytest.mark.parametrize("where", [np.s_[:], np.s_[:, :2]])
def test_circles_are_refused(tmp_path, length, where):
    """HDF5 crashes over them."""
    for i in range(length):
        layout = h5py.VirtualLayout(FRAMES.shape, "u2")
        following = f"{(i + 1) % length}.h5"
        source = h5py.VirtualSource(following, "d", shape=FRAMES.shape)
        layout[where] = source[where]
        with h5py.File(tmp_path / f"{i}.h5", "w") as file:
            file.create_virtual_dataset("d", layout)
    with pytest.raises(n4.FormatError, match="leads in a circle"):
        read(tmp_path / "0.h5")


def odd_mappings(sources):
    yield [(np.s_[0:10:2], sources[0])]  # every second frame
    yield [(np.s_[:5, :2], sources[0][:, :2])]  # the upper half of frames
    yield [(np.s_[6:11], sources[0])]  # not all
    yield [(np.s_[:5], sources[0]), (np.s_[3:7], sources[1])]  # some twice


@pytest.mark.parametrize("which", range(4))
def test_other_mappings_are_left_to_hdf5(tmp_path, which):
    path = tmp_path / "all.h5"
    mapping = list(odd_mappings(write_parts(tmp_path)))[which]
    write_virtual(path, mapping)
    assert kind_of(path) is Hdf5Frames
    with h5py.File(path) as file:
        expected = file["d"][...]
    assert 9 in expected, "the fill value"
    np.testing.assert_array_equal(read(path)[...], expected)


def test_other_pixels_are_left_to_hdf5(tmp_path):
    path = tmp_path / "all.h5"
    mapping = one_after_the_other(write_parts(tmp_path))
    write_virtual(path, mapping, dtype="f4")
    assert kind_of(path) is Hdf5Frames
    assert read(path).dtype == np.float32
    np.testing.assert_array_equal(read(path)[...], FRAMES.astype("f4"))


def test_unlimited_sources_are_left_to_hdf5(tmp_path):
    path = tmp_path / "all.h5"
    for i in range(3):
        write_hdf5(tmp_path / f"p-{i}.h5", FRAMES[4 * i : 4 * i + 4], "x")
    unlimited = h5py.h5s.UNLIMITED
    with h5py.File(path, "w", libver="latest") as file:
        space = h5py.h5s.create_simple((12, 4, 5), (unlimited, 4, 5))
        source = h5py.h5s.create_simple((4, 4, 5))
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        place = space.copy()
        place.select_hyperslab((0, 0, 0), (unlimited, 1, 1), (4, 4, 5), (4, 4, 5))
        properties.set_virtual(place, b"p-%b.h5", b"x", source)
        kind = h5py.h5t.NATIVE_UINT16
        h5py.h5d.create(file.id, b"d", kind, space, properties)
    assert kind_of(path) is Hdf5Frames
    np.testing.assert_array_equal(read(path)[...], FRAMES)
