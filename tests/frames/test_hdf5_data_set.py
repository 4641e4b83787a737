"""An HDF5 data set: where its frames are, in the file, outside, or nowhere."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

import napari_4dstem as n4
from napari_4dstem.frames.hdf5 import Hdf5Frames
from napari_4dstem.frames.hdf5_data_set import stored_set
from napari_4dstem.frames.layout import FrameLayout
from tests.formats.write_hdf5 import write_hdf5

FRAMES = np.arange(12 * 4 * 5, dtype="u2").reshape(12, 4, 5)
SCAN = FRAMES.reshape(3, 4, 4, 5)


def read(path, name="d", **parameters):
    return n4.load("hdf5", path, ds_path=name, **parameters)


def kind_of(path, name="/d"):
    return type(stored_set(path, name, 2).frames.simplest())


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({}, FrameLayout),
        ({"dtype": ">f8"}, FrameLayout),
        ({"chunks": (1, 1, 4, 5)}, Hdf5Frames),
        ({"compression": "gzip"}, Hdf5Frames),
        ({"external": [("pixels.raw", 30, h5py.h5f.UNLIMITED)]}, FrameLayout),
    ],
)
def test_frames_in_a_row_are_left_to_the_core(tmp_path, monkeypatch, options, kind):
    monkeypatch.chdir(tmp_path)  # where HDF5 creates files with pixels
    write_hdf5(tmp_path / "a.h5", SCAN, "d", **options)
    monkeypatch.chdir("/")
    assert kind_of(tmp_path / "a.h5") is kind
    np.testing.assert_array_equal(read(tmp_path / "a.h5")[...], SCAN)


def test_pixels_in_several_files_outside(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    places = [("a.raw", 8, 5 * 40), ("b.raw", 0, 4 * 40), ("c.raw", 0, 9999)]
    write_hdf5(tmp_path / "a.h5", SCAN, "d", external=places)
    monkeypatch.chdir("/")
    data = read(tmp_path / "a.h5")
    np.testing.assert_array_equal(data[...], SCAN)
    assert [path.name for path in data.files] == ["a.raw", "b.raw", "c.raw", "a.h5"]
    # 2.5 frames in the first file: HDF5 has to read them, wherever the program runs
    places = [("d.raw", 3, 100), ("e.raw", 0, 9999)]
    monkeypatch.chdir(tmp_path)
    write_hdf5(tmp_path / "odd.h5", SCAN, "d", external=places)
    monkeypatch.chdir("/")
    np.testing.assert_array_equal(read(tmp_path / "odd.h5")[...], SCAN)
    (tmp_path / "b.raw").unlink()
    with pytest.raises(n4.FormatError, match=r"b\.raw with the pixels"):
        read(tmp_path / "a.h5")


def test_short_file_outside_is_an_interrupted_acquisition(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_hdf5(tmp_path / "a.h5", SCAN, "d", external=[("a.raw", 0, 9999)])
    with open(tmp_path / "a.raw", "r+b") as file:
        file.truncate(7 * 40 + 1)
    with pytest.warns(n4.FormatWarning, match="5 frames are missing"):
        data = read(tmp_path / "a.h5")
    assert data.valid.sum() == 7


def test_data_set_that_was_never_written(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w", userblock_size=512) as file:
        file.create_dataset("d", (3, 4, 2, 2), "u2", fillvalue=5)
    assert (read(tmp_path / "a.h5")[...] == 5).all()


def test_compact_data_set(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_layout(h5py.h5d.COMPACT)
        space = h5py.h5s.create_simple(FRAMES.shape)
        found = h5py.h5d.create(
            file.id, b"d", h5py.h5t.NATIVE_UINT16, space, properties
        )
        found.write(h5py.h5s.ALL, h5py.h5s.ALL, FRAMES)
    np.testing.assert_array_equal(read(tmp_path / "a.h5")[...], FRAMES)


# What holds no frames.


@pytest.mark.parametrize(
    ("content", "sig_dims", "said"),
    [
        (np.zeros((2, 2, 2), "S3"), 2, "found text"),
        (np.zeros((2, 2, 2), [("a", "u1"), ("b", "f4")]), 2, "the columns a, b"),
        (np.zeros((2, 2, 2), [("real", "f4"), ("imag", "f8")]), 2, "real, imag"),
        (np.zeros((2, 2, 2), "(3,)u2"), 2, None),
        (np.zeros((2, 0, 2)), 2, "has no frames: found 2 x 0 x 2"),
        (np.zeros((2, 2)), 2, "no axis of '/d' is left"),
        (np.zeros((2, 2, 2)), 3, "no axis of '/d' is left"),
        (np.array(5.0), 2, "no axis of '/d' is left"),
        (h5py.Empty("f4"), 2, "no axis of '/d' is left"),
    ],
)
def test_what_holds_no_frames_is_refused(tmp_path, content, sig_dims, said):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["d"] = content
    if said is None:  # numpy gives the inner array axes of its own
        assert stored_set(tmp_path / "a.h5", "/d", sig_dims)
        return
    with pytest.raises(n4.FormatError, match=said):
        read(tmp_path / "a.h5", sig_dims=sig_dims)


def test_absurd_frames_are_refused(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("d", (2, 2**30, 2**30), "u2", chunks=(1, 64, 64))
    with pytest.raises(n4.FormatError, match="far larger than all the data"):
        read(tmp_path / "a.h5")


def test_absurd_number_of_frames_is_refused(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("d", (2**40, 2**40, 2, 2), "u2", chunks=(1, 1, 2, 2))
    with pytest.raises(n4.FormatError, match="impossible shape"):
        read(tmp_path / "a.h5")
