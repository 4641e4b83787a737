"""Frames as events."""

from __future__ import annotations

import numpy as np
import pytest

from napari_4dstem.frames import sparse
from napari_4dstem.frames.sparse import NumberFile, SparseFrames

COUNTS = [3, 0, 5, 1, 1, 0, 4, 2]


@pytest.fixture
def source(tmp_path):
    """Events that tell their number."""
    total = sum(COUNTS)
    numbers = (np.cumsum([0, *COUNTS]), np.arange(total) % 6, np.arange(1, total + 1))
    files = []
    for name, values in zip("abc", numbers, strict=True):
        values.astype("<i4").tofile(tmp_path / name)
        files.append(NumberFile(tmp_path / name, np.dtype("<i4"), len(values)))
    return SparseFrames(tmp_path / "toml", *files, (2, 3), 0, len(COUNTS))


def dense(source, frames):
    """Return frames by number, batch by batch."""
    frames = np.asarray(frames)
    out = np.full((len(frames), 2, 3), -1)
    sizes = []
    for where, batch in source.batches(frames):
        out[where] = batch.dense()
        sizes.append(len(batch.indptr) - 1)
    return out, sizes


def test_batches_end_after_so_many_events(source, monkeypatch):
    whole, sizes = dense(source, range(8))
    assert sizes == [8]
    monkeypatch.setattr(sparse, "MAX_EVENTS", 4)
    cut, sizes = dense(source, range(8))
    assert sizes == [2, 1, 3, 1, 1]  # one frame has more events than that
    np.testing.assert_array_equal(cut, whole)
    monkeypatch.setattr(sparse, "MAX_FRAMES", 3)
    cut, sizes = dense(source, range(8))
    assert max(sizes) == 3
    np.testing.assert_array_equal(cut, whole)


def test_frames_come_in_the_order_asked_for(source):
    whole, _ = dense(source, range(8))
    for frames in ([7, 0, 1, 5], [2, 2], []):
        np.testing.assert_array_equal(dense(source, frames)[0], whole[frames])


def test_part_of_the_frames_is_a_source_of_its_own(source):
    whole, _ = dense(source, range(8))
    part = source.between(2, 7).between(1, 4)
    assert part.num_frames == 3
    np.testing.assert_array_equal(dense(part, range(3))[0], whole[3:6])


@pytest.mark.parametrize("backend", ["mmap", "buffered"])
def test_backends_agree(source, backend):
    whole, _ = dense(source, range(8))
    other = source.with_backend(backend)
    np.testing.assert_array_equal(dense(other, range(8))[0], whole)


def test_events_are_native_and_begin_at_zero(source):
    ((_, batch),) = source.between(2, 4).batches(np.arange(2))
    assert batch.indptr.tolist() == [0, 5, 6]
    assert batch.values.tolist() == [4, 5, 6, 7, 8, 9]
    assert batch.values.dtype.isnative
