"""Arrays in memory."""

from __future__ import annotations

import numpy as np
import pytest

import napari_4dstem as n4
from tests.formats.contract import Case, Contract, assert_is


def as_it_is(folder, scan):
    return {"data": scan}, []


def detector_first(folder, scan):
    """Return an array whose scan axes cannot be merged without a copy."""
    stored = np.ascontiguousarray(scan.transpose(3, 1, 0, 2))
    return {"data": stored.transpose(2, 1, 3, 0)}, []


class TestMemory(Contract):
    cases = (
        Case("array", "memory", as_it_is, dtype="f4"),
        Case("views", "memory", detector_first, dtype=">i2"),
    )


@pytest.mark.parametrize(
    ("shape", "sig_dims", "nav_shape"),
    [
        ((2, 3, 4, 5), 2, (2, 3)),
        ((2, 3, 4, 5), 1, (2, 3, 4)),
        ((2, 3, 4, 5), 3, (2,)),
        ((2, 3, 4, 5), 4, (1,)),
        ((7,), 1, (1,)),
    ],
)
def test_sig_dims_says_which_axes_are_the_frame(shape, sig_dims, nav_shape):
    array = np.arange(np.prod(shape)).reshape(shape)
    data_set = n4.load("memory", data=array, sig_dims=sig_dims)
    assert data_set.nav_shape == nav_shape
    assert data_set.sig_shape == shape[len(shape) - sig_dims :]
    assert_is(data_set[...], array.reshape(nav_shape + data_set.sig_shape))


def test_the_array_is_not_copied():
    array = np.zeros((4, 4, 8, 8), "u2")
    data_set = n4.load("memory", data=array)
    array[1, 2] = 7
    assert (data_set[1, 2] == 7).all()


def test_what_was_read_is_not_the_array():
    array = np.zeros((4, 4, 8, 8), "u2")
    frame = n4.load("memory", data=array)[1, 2]
    frame[...] = 7
    assert not array.any()


def test_memory_map_is_not_read_when_it_is_opened(tmp_path):
    path = tmp_path / "map"
    huge = np.memmap(path, "u2", "w+", shape=(300, 200, 256, 256))
    for data in (huge, huge.transpose(1, 0, 3, 2), huge[::-1, :, ::2]):
        data_set = n4.load("memory", data=data)
        assert data_set.shape == data.shape
        assert data_set[-1, -1].shape == data.shape[2:]
    assert path.stat().st_blocks * 512 < 2**20


def test_a_list_is_an_array():
    assert n4.load("memory", data=[[[1, 2]], [[3, 4]]])[1].tolist() == [[3, 4]]


@pytest.mark.parametrize(
    "data",
    [np.array([["a"]]), np.array([[None]]), "text", np.zeros((2, 2), "M8[s]"), dict],
)
def test_what_is_no_number_is_refused(data):
    with pytest.raises(n4.FormatError, match="does not hold numbers") as told:
        n4.load("memory", data=data)
    assert "integer, float, complex or bool" in told.value.expected
    assert told.value.path is None


@pytest.mark.parametrize(
    ("shape", "sig_dims"),
    [((3,), 2), ((), 1), ((2, 2, 2), 4), ((2, 2, 2), 0), ((2, 2), -1), ((2, 0, 2), 2)],
)
def test_what_cannot_be_cut_into_frames_is_refused(shape, sig_dims):
    with pytest.raises(n4.FormatError, match="cannot be cut into frames") as told:
        n4.load("memory", data=np.zeros(shape), sig_dims=sig_dims)
    assert str(shape) in told.value.found


def test_a_path_is_refused(tmp_path):
    with pytest.raises(n4.FormatError, match="takes data, not a path"):
        n4.load("memory", tmp_path / "a", data=np.zeros((2, 2, 2)))


def test_data_must_be_given():
    with pytest.raises(n4.FormatError, match="data must be given"):
        n4.load("memory")
