"""HDF5 files: opened whatever others do with them."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager

import h5py
import numpy as np
import pytest

import napari_4dstem as n4
from napari_4dstem.frames import hdf5_file
from napari_4dstem.frames.hdf5_file import (
    SIGNATURE,
    check_filters,
    has_signature,
    linked_file,
    opened,
)

SCAN = np.arange(3 * 4 * 5 * 6, dtype="u2").reshape(3, 4, 5, 6)


@pytest.fixture(
    params=[
        {},
        {"chunks": (1, 2, 5, 6), "compression": "gzip"},
        {"chunks": (1, 2, 5, 6), "shuffle": True},  # read by HDF5
    ]
)
def path(request, tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("d", data=SCAN, **request.param)
    return tmp_path / "a.h5"


@contextmanager
def open_in_another_process(path, mode, locking):
    code = (
        "import sys, h5py\n"
        f"with h5py.File(sys.argv[1], {mode!r}, locking={locking}) as file:\n"
        "    print('open', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout.readline() == "open\n"
        try:
            yield
        finally:
            process.stdin.close()


@pytest.mark.parametrize("mode", ["r", "r+"])
@pytest.mark.parametrize("locking", [True, False, None, "best-effort"])
def test_file_that_is_open_in_this_process(path, mode, locking):
    with h5py.File(path, mode, locking=locking) as file:
        theirs = file["d"]
        data_set = n4.load("hdf5", path)
        np.testing.assert_array_equal(data_set[...], SCAN)
        np.testing.assert_array_equal(theirs[...], SCAN)
    np.testing.assert_array_equal(data_set[1, 2], SCAN[1, 2])


@pytest.mark.parametrize("locking", [True, False])
def test_file_that_another_process_reads(path, locking):
    with open_in_another_process(path, "r", locking):
        np.testing.assert_array_equal(n4.load("hdf5", path)[...], SCAN)


def test_we_do_not_lock(path):
    with opened(path), open_in_another_process(path, "r+", True):
        pass


def test_file_that_is_written_for_readers_opens(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w", libver="latest") as file:
        dataset = file.create_dataset(
            "d", data=SCAN, chunks=(1, 1, 5, 6), maxshape=(None, 4, 5, 6)
        )
        file.swmr_mode = True
        code = (
            "import sys, napari_4dstem as n4\n"
            "print(n4.load('hdf5', sys.argv[1])[...].sum())"
        )
        for count in (3, 4):
            dataset.resize((count, 4, 5, 6))
            dataset[count - 1] = SCAN[2]
            dataset.flush()
            done = subprocess.run(
                [sys.executable, "-c", code, str(path)],
                capture_output=True,
                text=True,
                check=True,
            )
            expected = SCAN.sum() + (count - 3) * SCAN[2].sum()
            assert int(done.stdout) == expected


def test_file_that_a_crashed_program_left_open_says_so(tmp_path):
    path = tmp_path / "a.h5"
    code = (
        "import sys, os, h5py\n"
        "file = h5py.File(sys.argv[1], 'w', libver='latest')\n"
        "file['d'] = [[[1]]]\n"
        "file.flush()\n"
        "os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)
    with pytest.raises(n4.FormatError, match="open for writing") as told:
        n4.load("hdf5", path)
    assert "h5clear" in told.value.hint


def test_truncated_file_tells_both_sizes(path):
    size = path.stat().st_size
    with open(path, "r+b") as file:
        file.truncate(size - 100)
    with pytest.raises(n4.FormatError, match="truncated") as told:
        n4.load("hdf5", path)
    assert told.value.expected.startswith(f"{size} bytes")
    assert told.value.found == f"{size - 100} bytes"


def test_what_hdf5_says_comes_out_in_one_line(tmp_path):
    path = tmp_path / "a.h5"
    path.write_bytes(SIGNATURE + b"\xee" * 2000)
    with pytest.raises(n4.FormatError, match="HDF5 cannot read the file") as told:
        n4.load("hdf5", path)
    assert "\n" not in str(told.value)
    assert "damaged" in told.value.hint


@pytest.mark.parametrize("place", [0, 512, 1024, 2048])
def test_signature_may_come_after_a_user_block(place):
    assert has_signature(bytes(place) + SIGNATURE)
    assert not has_signature(bytes(place + 1) + SIGNATURE)
    assert not has_signature(bytes(place) + SIGNATURE[:-1])


@pytest.mark.parametrize("filters", [((1, (4,)),), ((2, ()), (32008, ()), (32013, ()))])
def test_filters_of_hdf5plugin_are_there(tmp_path, filters):
    check_filters(tmp_path, "d", filters)


@pytest.mark.parametrize(
    ("code", "name", "has_plugins", "hint"),
    [
        (32123, "HDF5 filter 32123", True, "hdf5plugin does not have it"),
        (32014, r"32014 \(fpzip\)", True, "hdf5plugin does not have it"),
        (32123, "HDF5 filter 32123", False, "pip install hdf5plugin"),
    ],
)
def test_unknown_filter_is_named(tmp_path, monkeypatch, code, name, has_plugins, hint):
    monkeypatch.setattr(hdf5_file, "_register_plugins", lambda: has_plugins)
    with pytest.raises(n4.FormatError, match=name) as told:
        check_filters(tmp_path / "a.h5", "d", ((code, ()),))
    assert hint in told.value.hint


def test_linked_file_is_beside_the_one_that_names_it(tmp_path):
    (tmp_path / "raw").mkdir()
    for name in ("raw/part.h5", "moved.h5"):
        (tmp_path / name).touch()
    master = tmp_path / "master.h5"
    assert linked_file(master, "raw/part.h5") == tmp_path / "raw/part.h5"
    assert linked_file(master, "/data/then/moved.h5") == tmp_path / "moved.h5"
    assert linked_file(master, "C:\\then\\moved.h5") == tmp_path / "moved.h5"
    assert linked_file(master, "nothing.h5") is None
    assert linked_file(master, "raw") is None
    assert linked_file(master, "\0") is None


@pytest.mark.parametrize("userblock", [0, 512])
def test_block_of_the_driver_beyond_the_end_is_refused(tmp_path, userblock):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w", userblock_size=userblock) as file:
        file["d"] = SCAN
    content = bytearray(path.read_bytes())
    address = userblock + 48
    assert content[address : address + 8] == b"\xff" * 8
    for begin, nbytes in ((800, 2**32 - 1), (len(content), 0), (2**63, 0)):
        content[address : address + 8] = begin.to_bytes(8, "little")
        content[userblock + 804 : userblock + 808] = nbytes.to_bytes(4, "little")
        path.write_bytes(content)
        with (
            pytest.raises(n4.FormatError, match="within the block of its driver"),
            opened(path),
        ):
            pass
