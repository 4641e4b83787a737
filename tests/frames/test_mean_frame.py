"""The mean of stored frames."""

from __future__ import annotations

import os
import pickle

import numpy as np
import pytest

from napari_4dstem.errors import FormatError
from napari_4dstem.frames import raw_bytes
from napari_4dstem.frames.layout import FrameLayout, FrameRun, Gap
from napari_4dstem.frames.mean_frame import mean_frame


@pytest.fixture
def frames():
    return np.random.default_rng(0).integers(0, 2**32, (200, 3, 4)).astype("<u4")


def layout_of(tmp_path, frames):
    frames.tofile(tmp_path / "dark")
    run = FrameRun(tmp_path / "dark", 0, frames[0].nbytes, len(frames))
    return FrameLayout((run,), frames.shape[1:], frames.dtype)


def test_mean_is_exact_before_it_becomes_float32(tmp_path, frames, monkeypatch):
    monkeypatch.setattr(raw_bytes, "BUFFER_NBYTES", 1000)
    mean = np.asarray(mean_frame(layout_of(tmp_path, frames)))
    expected = frames.sum(axis=0, dtype="u8") / 200
    np.testing.assert_array_equal(mean, expected.astype("f4"))


@pytest.mark.parametrize("dtype", ["<u2", ">i2", "<f4", ">f8"])
def test_single_frame_is_its_own_mean(tmp_path, dtype):
    frame = np.linspace(-1, 9, 12).reshape(1, 3, 4).astype(dtype)
    mean = np.asarray(mean_frame(layout_of(tmp_path, frame)))
    np.testing.assert_array_equal(mean, frame[0].astype("f4"))


def test_missing_frames_take_no_part(tmp_path, frames):
    whole = layout_of(tmp_path, frames)
    (run,) = whole.runs
    os.truncate(run.path, 10 * run.stride - 1)
    layout = FrameLayout((Gap(3), run), whole.sig_shape, whole.dtype)
    mean = np.asarray(mean_frame(layout))
    np.testing.assert_array_equal(mean, frames[:9].mean(axis=0).astype("f4"))


def test_nothing_is_read_before_the_mean_is_needed(tmp_path, frames):
    lazy = mean_frame(layout_of(tmp_path, frames))
    assert lazy.shape == (3, 4)
    assert lazy.files == (tmp_path / "dark",)
    assert len(pickle.dumps(lazy)) < 1000
    os.truncate(tmp_path / "dark", 10)
    with pytest.raises(FormatError, match="no complete frame") as told:
        np.asarray(lazy)
    assert "corrections=False" in told.value.hint
