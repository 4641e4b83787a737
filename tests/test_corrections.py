"""Dark frame, gain map, excluded pixels."""

from __future__ import annotations

import os
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_4dstem.corrections import MAX_KEPT, Corrections, LazyFrame
from napari_4dstem.errors import FormatError


def patched(frame, excluded):
    """Replace excluded pixels by the mean of the good ones around, one by one."""
    result = frame.astype("f4")
    for ky, kx in np.argwhere(excluded):
        for reach in range(1, max(frame.shape)):
            near = np.s_[
                max(ky - reach, 0) : ky + reach + 1, max(kx - reach, 0) : kx + reach + 1
            ]
            good = frame[near][~excluded[near]]
            if good.size:
                result[ky, kx] = good.astype("f4").mean()
                break
        else:
            result[ky, kx] = 0
    return result


def test_dark_is_subtracted_before_the_gain():
    frames = np.array([[[10, 20], [30, 40]]], "u2")
    dark = np.array([[1, 2], [3, 50]], "f4")
    gain = np.array([[2, 1], [0.5, 3]], "f4")
    corrected = Corrections(dark, gain).apply(frames)
    assert corrected.dtype == np.float32
    assert corrected.tolist() == [[[18, 18], [13.5, -30]]]


def test_input_stays_as_it_was():
    frames = np.ones((2, 3, 3), "f4")
    excluded = np.zeros((3, 3), bool)
    excluded[1, 1] = True
    Corrections(np.ones((3, 3), "f4"), None, excluded).apply(frames)
    assert (frames == 1).all()


@given(
    shape=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    count=st.integers(0, 3),
    data=st.data(),
)
def test_excluded_pixels_become_the_mean_of_good_neighbors(shape, count, data):
    excluded = data.draw(hnp.arrays(bool, shape))
    frames = np.random.default_rng(0).integers(0, 1000, (count, *shape), "u2")
    expected = [patched(frame, excluded) for frame in frames]
    corrected = Corrections(excluded=excluded).apply(frames)
    assert corrected.shape == frames.shape
    if count:
        np.testing.assert_allclose(corrected, expected, rtol=1e-6)


def test_detector_without_good_pixels_is_zero():
    corrected = Corrections(excluded=np.ones((3, 3), bool)).apply(np.ones((2, 3, 3)))
    assert not corrected.any()


def test_one_axis_and_blocks_of_a_scan_are_corrected_too():
    excluded = np.array([False, True, False])
    corrected = Corrections(excluded=excluded).apply(
        np.array([[[1, 9, 3], [2, 9, 4]], [[5, 9, 5], [0, 9, 1]]])
    )
    assert corrected[..., 1].tolist() == [[2, 3], [5, 0.5]]


def test_pickle_corrects_alike():
    excluded = np.zeros((4, 4), bool)
    excluded[0, 0] = True
    corrections = Corrections(excluded=excluded)
    frames = np.arange(16.0).reshape(1, 4, 4)
    expected = corrections.apply(frames)
    again = pickle.loads(pickle.dumps(corrections))
    np.testing.assert_array_equal(again.apply(frames), expected)


@pytest.mark.parametrize("dtype", ["u1", "u8", "i4", "f2", "f8", "?", ">u2"])
def test_every_real_type_comes_out_as_float32(dtype):
    frames = np.ones((1, 2, 2), dtype)
    corrected = Corrections(gain=np.full((2, 2), 2, "f4")).apply(frames)
    assert corrected.dtype == np.float32
    assert (corrected == 2).all()


def test_large_excluded_areas_are_patched_from_their_rim():
    excluded = np.zeros((512, 512), bool)
    excluded[100:400, 150:450] = True
    frame = np.full((1, 512, 512), 3, "u2")
    frame[0, excluded] = 60_000
    assert (Corrections(excluded=excluded).apply(frame) == 3).all()


def test_frames_may_be_shown_in_another_shape():
    excluded = np.zeros((2, 3), bool)
    excluded[0, 1] = True
    corrections = Corrections(np.arange(6, dtype="f4").reshape(2, 3), None, excluded)
    frames = np.arange(24.0).reshape(2, 2, 2, 3)
    expected = corrections.apply(frames)
    for shape in ((4, 6), (2, 2, 6), (4, 3, 2)):
        corrected = corrections.apply(frames.reshape(shape))
        np.testing.assert_array_equal(corrected, expected.reshape(shape))


def test_what_there_is_is_told():
    dark, excluded = np.zeros((2, 2), "f4"), np.eye(2, dtype=bool)
    assert str(Corrections(dark)) == "dark frame"
    assert str(Corrections(dark, dark, excluded)) == (
        "dark frame, gain map, 2 excluded pixels"
    )
    assert str(Corrections()) == "none"
    assert Corrections().shape is None
    assert Corrections(excluded=excluded).shape == (2, 2)


def test_nothing_to_correct_gives_float32():
    assert Corrections().apply(np.ones((2, 3, 4), "u1")).dtype == np.float32


def test_pickle_is_small_whatever_was_needed_meanwhile():
    excluded = np.zeros((1000, 1001), bool)
    excluded[17] = excluded[:, 400] = True
    corrections = Corrections(excluded=excluded)
    corrections.apply(np.ones((1, 1000, 1001), "u1"))
    pickled = pickle.dumps(corrections)
    assert len(pickled) < 2000
    np.testing.assert_array_equal(pickle.loads(pickled).excluded, excluded)


# Read when needed.

reads = []


def counted(path, factor):
    reads.append(path)
    return np.full((2, 3), factor * len(path.read_bytes()), "u1")


@pytest.fixture
def lazy(tmp_path):
    reads.clear()
    path = tmp_path / "dark"
    path.write_bytes(b"abc")
    return LazyFrame(counted, (path, 2), (2, 3), (path,))


def test_lazy_frame_is_read_when_it_is_needed_and_once(lazy):
    corrections = Corrections(dark=lazy)
    assert corrections.shape == (2, 3)
    assert not reads
    frames = np.full((4, 2, 3), 10, "u2")
    with ThreadPoolExecutor(8) as pool:
        corrected = list(pool.map(corrections.apply, [frames] * 20))
    assert all((frame == 4).all() for frame in corrected)
    copy = pickle.loads(pickle.dumps(corrections))
    assert (copy.apply(frames) == 4).all()
    assert len(reads) == 1
    assert len(pickle.dumps(corrections)) < 300


def test_lazy_frame_is_float32_and_cannot_be_changed(lazy):
    pixels = np.asarray(lazy)
    assert pixels.dtype == np.float32
    assert not pixels.flags.writeable
    changed = np.array(lazy, "f8")
    changed[...] = 0
    assert (np.asarray(lazy) == 6).all()


def test_lazy_frame_is_read_anew_when_its_file_has_changed(lazy):
    assert (np.asarray(lazy) == 6).all()
    lazy.files[0].write_bytes(b"abcde")
    assert (np.asarray(lazy) == 10).all()


def test_few_lazy_frames_are_kept(lazy):
    for factor in range(MAX_KEPT + 1):
        np.asarray(LazyFrame(counted, (lazy.files[0], factor), (2, 3), lazy.files))
    assert len(reads) == MAX_KEPT + 1
    np.asarray(LazyFrame(counted, (lazy.files[0], 0), (2, 3), lazy.files))
    assert len(reads) == MAX_KEPT + 2


def test_lost_file_of_a_lazy_frame_is_an_error_with_a_way_out(lazy):
    os.unlink(lazy.files[0])
    with pytest.raises(FormatError, match="cannot be read") as told:
        Corrections(gain=lazy).apply(np.ones((1, 2, 3)))
    assert str(lazy.files[0]) in str(told.value)
    assert "corrections=False" in told.value.hint


def test_failed_read_is_tried_again(lazy):
    broken = LazyFrame(counted, (lazy.files[0], None), (2, 3), lazy.files)
    for _ in range(2):
        with pytest.raises(TypeError):
            np.asarray(broken)
    assert len(reads) == 2
