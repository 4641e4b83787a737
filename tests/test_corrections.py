"""Dark frame, gain map, excluded pixels."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_4dstem.corrections import Corrections


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
