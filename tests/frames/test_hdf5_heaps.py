"""Heaps of HDF5 files that cannot be read to the end are noticed before HDF5 hangs."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

import napari_4dstem as n4
from napari_4dstem.frames import hdf5_heaps
from napari_4dstem.frames.hdf5_heaps import attributes_are_sound, values_are_sound

SCAN = np.arange(2 * 3 * 4 * 5, dtype="u2").reshape(2, 3, 4, 5)
TEXTS = 4  # so few attributes lie in the header of an object


@pytest.fixture(params=[("earliest", 0), ("earliest", 512), ("latest", 0)])
def path(request, tmp_path):
    libver, userblock = request.param
    path = tmp_path / "a.h5"
    with h5py.File(path, "w", libver=libver, userblock_size=userblock) as file:
        file["scan"] = SCAN
        file["text"] = "some text"
        group = file.create_group("group")
        for i in range(TEXTS):
            group.attrs[f"text {i}"] = f"value {i}"
        group.attrs["texts"] = ["a", "bb", "ccc"]
        group.attrs["number"] = 5
    return path


def damage(path, entry):
    """Put zeros into the heap, from one of its entries on."""
    content = bytearray(path.read_bytes())
    heap = content.index(b"GCOL")
    begin = heap + 16 + 32 * entry
    content[begin : heap + 4096] = bytes(heap + 4096 - begin)
    path.write_bytes(content)


@pytest.mark.parametrize("size", [2**64 - 1, 2**64 - 16, 2**32])
def test_text_longer_than_its_heap_is_left_alone(path, size):
    content = bytearray(path.read_bytes())
    first = content.index(b"GCOL") + 16
    content[first + 8 : first + 16] = size.to_bytes(8, "little")
    path.write_bytes(content)
    assert soundness(path) == (False, False)
    np.testing.assert_array_equal(n4.load("hdf5", path)[...], SCAN)


def soundness(path):
    with h5py.File(path) as file:
        return attributes_are_sound(file["group"]), values_are_sound(file["text"])


def test_sound_texts_are_read(path):
    assert soundness(path) == (True, True)
    header = n4.load("hdf5", path).metadata["header"]
    assert header["text"] == "some text"
    assert header["group/text 2"] == "value 2"
    assert header["group/texts"] == ["a", "bb", "ccc"]


@pytest.mark.parametrize("entry", [0, 1, 5])
def test_heap_without_end_is_left_alone(path, entry):
    damage(path, entry)
    assert soundness(path) == (False, False)
    data = n4.load("hdf5", path)
    np.testing.assert_array_equal(data[...], SCAN)
    assert data.metadata["header"] == {"group/number": 5}


def test_attributes_in_several_blocks_of_a_header(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for i in range(20):
            file.attrs[f"number {i}"] = np.arange(100)
        file.attrs["text"] = "x"
        file["scan"] = SCAN
    damage(tmp_path / "a.h5", 0)
    with h5py.File(tmp_path / "a.h5") as file:
        assert not attributes_are_sound(file)


@pytest.mark.parametrize("content", [b"", b"OHDR", b"OHDR\2\x3f", b"\1", bytes(64)])
def test_headers_of_nonsense_end(tmp_path, content):
    path = tmp_path / "a"
    path.write_bytes(content)
    with open(path, "rb") as file:
        raw = hdf5_heaps._File(file.fileno(), 0)
        messages = hdf5_heaps._messages(raw, 0)
        assert len(list(messages)) <= len(content)


def test_header_that_goes_on_with_itself_ends(tmp_path):
    block = bytes.fromhex("10001000 00000000") + hdf5_heaps.BLOCK.pack(16, 24)
    header = bytes([1, 0, 1, 0, 1, 0, 0, 0, 24, 0, 0, 0, 0, 0, 0, 0]) + block
    # where the block says that the header goes on, that block is
    (tmp_path / "a").write_bytes(header)
    with open(tmp_path / "a", "rb") as file:
        raw = hdf5_heaps._File(file.fileno(), 0)
        assert len(list(hdf5_heaps._messages(raw, 0))) == 1


@pytest.mark.parametrize("body", [b"", bytes(8), b"\3" + bytes(20), b"\xff" * 30])
def test_attributes_of_nonsense_refer_to_nothing(body):
    assert hdf5_heaps._references(body) == b""


@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_list_of_sources_without_end_is_refused(tmp_path, libver):
    path = tmp_path / "a.h5"
    layout = h5py.VirtualLayout(SCAN.shape, SCAN.dtype)
    layout[...] = h5py.VirtualSource(".", "scan", SCAN.shape)
    with h5py.File(path, "w", libver=libver) as file:
        file["scan"] = SCAN
        file.create_virtual_dataset("all", layout)
    np.testing.assert_array_equal(n4.load("hdf5", path, ds_path="all")[...], SCAN)
    damage(path, 0)
    with pytest.raises(n4.FormatError, match="the list of its sources is damaged"):
        n4.load("hdf5", path, ds_path="all")
    data = n4.load("hdf5", path)
    np.testing.assert_array_equal(data[...], SCAN)
    assert "damaged, in this file or linked to it: all" in data.notices[0]


@pytest.mark.parametrize("at", [9, 40, -6, -1])
def test_list_of_sources_that_was_changed_is_refused(tmp_path, at):
    path = tmp_path / "a.h5"
    layout = h5py.VirtualLayout(SCAN.shape, SCAN.dtype)
    layout[...] = h5py.VirtualSource(".", "scan", SCAN.shape)
    with h5py.File(path, "w", libver="latest") as file:
        file["scan"] = SCAN
        file.create_virtual_dataset("all", layout)
    content = bytearray(path.read_bytes())
    begin = content.index(b"GCOL") + 32
    end = begin + int.from_bytes(content[begin - 8 : begin], "little")
    # HDF5 may crash over it: it looks at the checksum last
    content[end + at if at < 0 else begin + at] ^= 0x40
    path.write_bytes(content)
    with pytest.raises(n4.FormatError, match="the list of its sources is damaged"):
        n4.load("hdf5", path, ds_path="all")
