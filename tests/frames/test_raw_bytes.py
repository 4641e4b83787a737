"""Bytes of files: the same through every backend, in any layout."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_4dstem.errors import FormatError
from napari_4dstem.frames import file_bytes, raw_bytes
from napari_4dstem.frames.file_bytes import choose_backend
from napari_4dstem.frames.layout import FrameLayout, FrameRun, Gap, runs_at
from napari_4dstem.frames.raw_bytes import RawFrames

BACKENDS = ("mmap", "buffered", "direct")


def skip_without(backend, path):
    try:
        choose_backend(backend, (path,))
    except FormatError as error:
        pytest.skip(str(error))


def read(source, frames):
    """Return these frames, put together from the batches."""
    frames = np.asarray(frames, dtype=np.int64)
    out = np.zeros((len(frames), *source.sig_shape), source.dtype)
    seen = np.zeros(len(frames), int)
    for where, batch in source.batches(frames):
        out[where] = batch.dense()
        seen[where] += 1
    assert (seen == 1).all()
    return out


@pytest.fixture(scope="module")
def noise(tmp_path_factory):
    """A file of noise: its path and its bytes."""
    path = tmp_path_factory.mktemp("noise") / "noise.bin"
    content = np.random.default_rng(0).integers(0, 256, 4_000_001, "u1")
    path.write_bytes(content.tobytes())
    return path, content


LAYOUTS = st.sampled_from(
    [
        ("rows from the top", "<u2", (3, 4), None),
        ("rows from the bottom", ">u2", (3, 4), (-8, 2)),
        ("mirrored", "<i4", (3, 4), (16, -4)),
        ("turned by 180 degrees", "u1", (3, 4), (-4, -1)),
        ("columns first", ">u2", (3, 4), (2, 6)),
        ("every other pixel", "<u2", (3, 4), (40, 4)),
        ("far apart", ">i2", (3, 4), (90_001, 30_003)),
        ("one axis", ">u4", (5,), (-12,)),
        ("scattered over megabytes", "u1", (2, 3), (1_000_003, 400_009)),
        ("scattered and mirrored", ">u2", (2, 3), (1_000_003, -400_009)),
    ]
)


@pytest.mark.parametrize("backend", BACKENDS)
@settings(deadline=None, max_examples=40)
@given(
    layout=LAYOUTS,
    offsets=st.lists(st.integers(1_000_000, 1_200_000), min_size=1, max_size=8)
    | st.builds(
        lambda start, stride, count: [start + i * stride for i in range(count)],
        st.integers(1_000_000, 1_001_000),
        st.integers(1, 30_000),
        st.integers(1, 20),
    ),
    data=st.data(),
)
def test_pixels_are_where_offsets_and_strides_say(
    noise, backend, layout, offsets, data
):
    path, content = noise
    skip_without(backend, path)
    _, dtype, sig_shape, strides = layout
    dtype = np.dtype(dtype)
    source = RawFrames(
        FrameLayout(tuple(runs_at(path, offsets)), sig_shape, dtype, None, strides),
        backend,
    )
    steps = strides or tuple(
        dtype.itemsize * int(np.prod(sig_shape[i + 1 :])) for i in range(len(sig_shape))
    )
    expected = np.zeros((len(offsets), *sig_shape), dtype.newbyteorder("="))
    for frame, offset in zip(expected, offsets, strict=True):
        for pixel in np.ndindex(sig_shape):
            at = offset + sum(i * s for i, s in zip(pixel, steps, strict=True))
            frame[pixel] = content[at : at + dtype.itemsize].view(dtype)[0]
    wanted = data.draw(st.lists(st.integers(0, len(offsets) - 1), max_size=12))
    np.testing.assert_array_equal(read(source, wanted), expected[wanted])
    every = range(len(offsets))
    np.testing.assert_array_equal(read(source, every), expected)


CROPS = (
    (),
    (1,),
    (0, 2),
    (slice(1, None), slice(None, None, -2)),
    (slice(None), slice(2, 2)),
    (-1, slice(3, 0, -1)),
)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("crop", CROPS, ids=str)
@pytest.mark.parametrize(
    "strides", [(90_001, 30_003), (400_009, -2000), (40, 4), (2, 100_001)], ids=str
)
def test_scattered_frames_give_any_part_of_the_detector(noise, backend, crop, strides):
    path, content = noise
    skip_without(backend, path)
    run = FrameRun(path, 1_000_000, 2, 500)
    layout = FrameLayout((run,), (2, 4), np.dtype("<u2"), None, strides)
    assert layout.is_scattered
    whole = np.ndarray((500, 2, 4), "<u2", content, 1_000_000, (2, *strides))
    for shape in ((2, 4), (4, 2)):
        source = RawFrames(layout, backend).with_sig_shape(shape)
        part = tuple(c if isinstance(c, slice) or c < 2 else 1 for c in crop)
        expected = whole.reshape(500, *shape)[:, *part]
        for where, batch in source.batches(np.arange(500)):
            got = batch.cropped(part).dense()
            np.testing.assert_array_equal(got, expected[where])


def test_a_pixel_of_scattered_frames_is_a_short_read(noise):
    path, _ = noise
    run = FrameRun(path, 0, 1, 1000)
    layout = FrameLayout((run,), (20, 30), np.dtype("u1"), None, (30_000, 1000))
    source = RawFrames(layout, "buffered")
    read = []

    def counting(begin, end):
        read.append(end - begin)
        return view(begin, end)

    for _, batch in source.batches(np.arange(1000)):
        view = batch.view
        replace(batch, view=counting).cropped((5, 7)).dense()
    assert read == [1000]


@pytest.mark.parametrize("backend", BACKENDS)
def test_frame_at_the_very_end_of_a_file_is_read(noise, backend):
    path, content = noise
    skip_without(backend, path)
    run = FrameRun(path, len(content) - 999, 1000, 1)
    source = RawFrames(FrameLayout((run,), (999,), np.dtype("u1")), backend)
    np.testing.assert_array_equal(read(source, [0])[0], content[-999:])


@pytest.mark.parametrize("backend", ["buffered", "direct"])
def test_buffers_are_small(noise, backend):
    path, _ = noise
    skip_without(backend, path)
    run = FrameRun(path, 0, 1000, 3000)
    source = RawFrames(FrameLayout((run,), (1000,), np.dtype("u1")), backend)
    sizes = [batch.frames.nbytes for _, batch in source.batches(np.arange(3000))]
    assert sum(sizes) == 3_000_000
    assert max(sizes) <= raw_bytes.BUFFER_NBYTES


@pytest.mark.parametrize("backend", BACKENDS)
def test_gaps_between_frames_are_not_read(tmp_path, backend):
    path = tmp_path / "sparse.bin"
    with open(path, "wb") as file:
        for i in range(3):
            file.seek(i * 10**10)
            file.write(bytes([i + 1]) * 12)
    skip_without(backend, path)
    run = FrameRun(path, 0, 10**10, 3)
    source = RawFrames(FrameLayout((run,), (3, 4), np.dtype("u1")), backend)
    assert read(source, [0, 1, 2]).max(axis=(1, 2)).tolist() == [1, 2, 3]


def test_lost_frames_are_not_present(noise):
    path, _ = noise
    runs = (Gap(2), FrameRun(path, 0, 12, 3), Gap(1), FrameRun(path, 50, 12, 1))
    source = RawFrames(FrameLayout(runs, (12,), np.dtype("u1")), "mmap")
    expected = [False, False, True, True, True, False, True]
    assert source.num_frames == 7
    assert source.present(np.arange(7)).tolist() == expected
    assert source.present(np.array([6, 0, 2])).tolist() == [True, False, True]
    assert source.between(1, 6).present(np.arange(5)).tolist() == expected[1:6]


def test_frames_may_be_shown_in_another_shape(noise):
    path, _ = noise
    run = FrameRun(path, 50, 12, 2)
    layout = FrameLayout((run,), (3, 4), np.dtype("u1"), None, (-4, 1))
    shown = RawFrames(layout, "mmap").with_sig_shape((2, 6))
    assert shown.sig_shape == (2, 6)
    plain = read(RawFrames(layout, "mmap"), [0, 1])
    np.testing.assert_array_equal(read(shown, [0, 1]), plain.reshape(2, 2, 6))


# Many files.

SERIES = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
import numpy as np
import dask, napari_4dstem as n4
from concurrent.futures import ThreadPoolExecutor

data_set = n4.load("mib", sys.argv[1], nav_shape=(20, 30), io_backend=sys.argv[2])
numbers = np.arange(1, 601).reshape(20, 30)
assert len(data_set.files) == 300
assert (data_set[...].max(axis=(2, 3)) == numbers).all()
assert (data_set.to_dask(chunks=(1, 1, -1, -1)).max(axis=(2, 3)) == numbers).all()
kept = [data_set[y, x] for y in range(20) for x in range(30)]
with ThreadPoolExecutor(16) as pool:
    lines = list(pool.map(lambda y: data_set[y].max(axis=(1, 2)), range(20)))
assert (np.array(lines) == numbers).all()
print("read")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no RLIMIT_NOFILE")
@pytest.mark.parametrize("backend", ["mmap", "buffered"])
def test_series_of_300_files_needs_few_open_at_a_time(tmp_path, backend):
    from tests.formats.write_mib import write_series

    frames = np.arange(1, 601, dtype="u2")[:, None, None] * np.ones((2, 2), "u2")
    first, *_ = write_series(tmp_path, frames, (2,) * 300)
    done = subprocess.run(
        [sys.executable, "-c", SERIES, str(first), backend],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "read\n", done.stderr


# Choice of the backend.

Partition = namedtuple("Partition", "mountpoint fstype opts")


def mounts(monkeypatch, *partitions):
    monkeypatch.setattr(psutil, "disk_partitions", lambda all: list(partitions))
    file_bytes._mount_is_remote.cache_clear()
    monkeypatch.setattr(
        file_bytes,
        "_mount_is_remote",
        file_bytes._mount_is_remote.__wrapped__,
    )


@pytest.mark.parametrize(
    ("fstype", "opts", "backend"),
    [
        ("ext4", "rw,relatime", "mmap"),
        ("apfs", "rw,local", "mmap"),
        ("nfs4", "rw", "buffered"),
        ("CIFS", "rw", "buffered"),
        ("fuse.sshfs", "rw", "buffered"),
        ("lustre", "rw", "buffered"),
        ("NTFS", "rw,remote", "buffered"),
    ],
)
def test_auto_maps_local_files_only(tmp_path, monkeypatch, fstype, opts, backend):
    folder = tmp_path.resolve()
    mounts(
        monkeypatch,
        Partition("/", "ext4", "rw"),
        Partition(str(folder), fstype, opts),
        Partition(f"{folder}-2", "nfs", "rw"),
    )
    assert choose_backend("auto", (folder / "a.mib",)) == backend


def test_auto_follows_links_to_other_file_systems(tmp_path, monkeypatch):
    (tmp_path / "server").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "server")
    server = Partition(str((tmp_path / "server").resolve()), "nfs", "rw")
    mounts(monkeypatch, Partition("/", "ext4", "rw"), server)
    assert choose_backend("auto", (tmp_path / "link" / "a.mib",)) == "buffered"
    assert choose_backend("auto", (tmp_path / "a.mib",)) == "mmap"


def test_auto_does_without_a_list_of_mounts(tmp_path, monkeypatch):
    def refuse(all):
        raise PermissionError

    mounts(monkeypatch)
    monkeypatch.setattr(psutil, "disk_partitions", refuse)
    assert choose_backend("auto", (tmp_path / "a.mib",)) == "mmap"


def test_named_backend_is_taken_as_it_is():
    assert choose_backend("mmap", (Path("/net/a"),)) == "mmap"
    assert choose_backend("buffered", ()) == "buffered"


def test_unknown_backend_is_an_error():
    with pytest.raises(FormatError, match="unknown io_backend") as told:
        choose_backend("fast", ())
    assert "'direct'" in told.value.expected


def test_direct_without_o_direct_is_a_clear_error(noise, monkeypatch):
    monkeypatch.delattr(os, "O_DIRECT", raising=False)
    with pytest.raises(FormatError, match="this system has no direct I/O") as told:
        choose_backend("direct", (noise[0],))
    assert "auto" in told.value.hint


@pytest.mark.parametrize("call", ["open", "preadv"])
def test_direct_on_a_file_system_without_it_is_a_clear_error(noise, monkeypatch, call):
    def refuse(*args, **kwargs):
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "O_DIRECT", getattr(os, "O_DIRECT", 0), raising=False)
    monkeypatch.setattr(os, call, refuse, raising=False)
    with pytest.raises(FormatError, match="file system has no direct I/O") as told:
        choose_backend("direct", (noise[0],))
    assert str(noise[0]) in str(told.value)


@pytest.mark.parametrize("backend", ["buffered", "direct"])
def test_read_error_is_a_format_error(noise, monkeypatch, backend):
    path, _ = noise
    skip_without(backend, path)
    layout = FrameLayout((FrameRun(path, 0, 10, 5),), (10,), np.dtype("u1"))

    def fail(*args):
        raise OSError(errno.EIO, "Input/output error")

    class BrokenDisk(io.FileIO):
        readinto = fail

    monkeypatch.setattr(file_bytes, "_opened", BrokenDisk)
    monkeypatch.setattr(os, "preadv", fail, raising=False)
    with pytest.raises(FormatError, match="Input/output error") as told:
        read(RawFrames(layout, backend), [0, 1])
    assert told.value.path == str(path)
