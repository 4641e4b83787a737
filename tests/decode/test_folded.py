"""Folded frames of a pnCCD, beside the same thing in plain numpy."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_4dstem.decode.folded import Folded


def decoded(packing, packed):
    out = np.full((len(packed), *packing.frame_shape), 0xAAAA, packing.dtype)
    packing.decode(packed, out)
    return out


def decoded_in_numpy(packing, packed):
    shape = (len(packed), packing.stored_height, packing.stored_width)
    stored = np.ascontiguousarray(packed).view("<u2").reshape(shape)
    left, right = np.split(stored, 2, axis=2)
    frames = np.concatenate([left, right[:, ::-1, ::-1]], axis=1)
    return np.repeat(frames, packing.binning, axis=1)


@settings(deadline=None)  # the first call compiles
@given(
    rows=st.integers(1, 5),
    columns=st.integers(1, 9) | st.sampled_from([12, 16]),
    binning=st.integers(1, 4),
    n=st.integers(0, 4),
    start=st.integers(0, 9),
    gap=st.integers(0, 9),
    step=st.sampled_from([1, 2, -1]),
    read_only=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_decode_equals_plain_numpy(
    rows, columns, binning, n, start, gap, step, read_only, seed
):
    packing = Folded(2 * columns, rows, binning)
    stride = packing.frame_nbytes + gap
    file = np.random.default_rng(seed).integers(0, 256, start + n * stride, np.uint8)
    packed = file[start:].reshape(n, stride)[::step, gap:]
    packed.flags.writeable = not read_only
    np.testing.assert_array_equal(
        decoded(packing, packed), decoded_in_numpy(packing, packed)
    )


def test_right_half_comes_below_rotated_by_180_degrees():
    stored = np.array([[1, 2, 8, 7], [3, 4, 6, 5]], "<u2")
    packed = stored.reshape(1, -1).view(np.uint8)
    frame = decoded(Folded(4, 2), packed)[0]
    assert frame.tolist() == [[1, 2], [3, 4], [5, 6], [7, 8]]


def test_binned_rows_are_repeated_and_not_divided():
    packed = np.array([[1, 2, 9, 6]], "<u2").view(np.uint8)
    frame = decoded(Folded(4, 1, binning=2), packed)[0]
    assert frame.tolist() == [[1, 2], [1, 2], [6, 9], [6, 9]]


def test_full_detector_is_square():
    packing = Folded(528, 132)
    assert packing.frame_shape == (264, 264)
    assert packing.frame_nbytes == 2 * 264 * 264
    assert packing.dtype == np.uint16
    assert packing.dtype.isnative
    assert Folded(528, 33, binning=4).frame_shape == (264, 264)


def test_packing_is_plain_data():
    packing = Folded(528, 33, binning=4)
    assert pickle.loads(pickle.dumps(packing)) == packing
    assert hash(packing) == hash(Folded(528, 33, binning=4))


@pytest.mark.parametrize("numbers", [(5, 2, 1), (0, 2, 1), (4, 0, 1), (4, 2, 0)])
def test_impossible_numbers_are_refused(numbers):
    with pytest.raises(ValueError, match=r"even width|frames have pixels"):
        Folded(*numbers)
