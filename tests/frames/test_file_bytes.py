"""Maps of files that are kept: as fast as memory, and never of another file."""

from __future__ import annotations

import gc
import os
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import psutil
import pytest

from napari_4dstem.errors import FormatError
from napari_4dstem.frames import file_bytes
from napari_4dstem.frames.file_bytes import FileMaps
from napari_4dstem.frames.layout import FrameLayout, FrameRun
from napari_4dstem.frames.raw_bytes import RawFrames

pytestmark = pytest.mark.skipif(
    sys.platform == "win32",
    reason="Windows: maps are not kept, a mapped file could not be deleted",
)


def source_of(path, frames):
    path.write_bytes(frames.tobytes())
    run = FrameRun(path, 0, frames[0].nbytes, len(frames))
    return RawFrames(FrameLayout((run,), frames.shape[1:], frames.dtype), "mmap")


def batch_of(source, numbers=(0, 1)):
    ((_, batch),) = source.batches(np.array(numbers))
    return batch.frames


def address(array):
    return array.__array_interface__["data"][0]


def maps_of(path):
    if not psutil.LINUX:
        pytest.skip("only Linux tells what is mapped")
    return [
        m for m in psutil.Process().memory_maps(grouped=False) if m.path == str(path)
    ]


@pytest.fixture
def frames():
    return np.random.default_rng(0).integers(0, 2**16, (8, 40, 50), "u2")


def test_all_requests_and_relatives_use_one_map(tmp_path, frames):
    source = source_of(tmp_path / "a.raw", frames)
    first = address(batch_of(source))
    relatives = [
        source,
        source.between(0, 3),
        source.with_sig_shape((50, 40)),
        source.with_backend("mmap"),
    ]
    assert {address(batch_of(relative)) for relative in relatives} == {first}
    assert len(maps_of(tmp_path / "a.raw")) == 1
    np.testing.assert_array_equal(batch_of(source), frames[:2])


def test_no_file_is_open_while_it_is_mapped(tmp_path, frames):
    source = source_of(tmp_path / "a.raw", frames)
    batch = batch_of(source)
    opened = [file.path for file in psutil.Process().open_files()]
    assert str(tmp_path / "a.raw") not in opened
    assert batch[0, 0, 0] == frames[0, 0, 0]


def test_map_goes_with_the_last_who_uses_it(tmp_path, frames):
    source = source_of(tmp_path / "a.raw", frames)
    batch, part = batch_of(source), source.between(2, 4)
    del source
    gc.collect()
    assert maps_of(tmp_path / "a.raw")
    del part
    gc.collect()
    np.testing.assert_array_equal(batch, frames[:2])
    del batch
    gc.collect()
    assert not maps_of(tmp_path / "a.raw")


def test_map_is_not_pickled(tmp_path, frames):
    source = source_of(tmp_path / "a.raw", frames)
    batch_of(source)
    again = pickle.loads(pickle.dumps(source))
    assert again == source
    assert len(pickle.dumps(source)) < 1000
    np.testing.assert_array_equal(batch_of(again), frames[:2])


def test_file_that_was_written_anew_is_mapped_anew(tmp_path, frames):
    path = tmp_path / "a.raw"
    source = source_of(path, frames)
    old = batch_of(source)
    (tmp_path / "b.raw").write_bytes((frames + 1).tobytes())
    os.replace(tmp_path / "b.raw", path)
    np.testing.assert_array_equal(batch_of(source), frames[:2] + 1)
    np.testing.assert_array_equal(old, frames[:2])


@pytest.mark.parametrize("nbytes", [0, 4096, 7 * 4000])
def test_file_that_was_cut_short_is_an_error(tmp_path, frames, nbytes):
    path = tmp_path / "a.raw"
    source = source_of(path, frames)
    batch_of(source)
    os.truncate(path, nbytes)
    with pytest.raises(FormatError, match="become shorter") as told:
        batch_of(source, (6, 7))
    assert told.value.path == str(path)
    # frames that are still there
    if nbytes > 8000:
        np.testing.assert_array_equal(batch_of(source), frames[:2])


def test_file_that_is_gone_is_an_error(tmp_path, frames):
    source = source_of(tmp_path / "a.raw", frames)
    batch_of(source)
    (tmp_path / "a.raw").unlink()
    with pytest.raises(FormatError, match="cannot be read"):
        batch_of(source)


def test_file_that_cannot_be_mapped_is_an_error(tmp_path, frames, monkeypatch):
    def refuse(*args):
        raise OSError(12, "Cannot allocate memory")

    source = source_of(tmp_path / "a.raw", frames)
    monkeypatch.setattr(file_bytes, "_Pages", refuse)
    with pytest.raises(FormatError, match="Cannot allocate memory") as told:
        batch_of(source)
    assert "buffered" in told.value.hint


def test_few_maps_of_a_long_series_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(file_bytes, "MAX_MAPS", 3)
    maps = FileMaps()
    for i in range(10):
        path = tmp_path / f"{i}.raw"
        path.write_bytes(bytes([i]) * 10)
        with maps.opened("mmap", path, 0, 10) as view:
            assert (view(2, 4) == i).all()
    kept = [i for i in range(10) if maps_of(tmp_path / f"{i}.raw")]
    assert len(kept) <= 4  # and the one that was read last


def test_threads_share_a_map(tmp_path, frames):
    source = source_of(tmp_path / "a.raw", frames)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: address(batch_of(source)), range(64)))
    assert len(set(found)) == 1
