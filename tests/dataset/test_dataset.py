"""Dataset: what is the same for every format."""

from __future__ import annotations

import os
import pickle

import numpy as np
import pytest

import napari_4dstem as n4
from napari_4dstem.dataset import open_dataset
from napari_4dstem.errors import ParameterError
from tests.dataset.cube import CUBE
from tests.formats.contract import assert_is
from tests.formats.write_mib import write_mib
from tests.formats.write_npy import write_npy


def test_with_scan_keeps_what_is_not_said(path):
    data_set = n4.load("npy", path, nav_shape=(2, 5), sync_offset=1, flyback=1)
    assert data_set.with_scan().parameters == data_set.parameters
    other = data_set.with_scan(nav_shape=(5,))
    assert (other.nav_shape, other.sync_offset, other.flyback) == ((5,), 1, 1)
    other = data_set.with_scan(sync_offset=0)
    assert (other.nav_shape, other.sync_offset, other.flyback) == ((2, 5), 0, 1)
    assert data_set.sync_offset == 1


def test_with_scan_keeps_the_calibration_of_the_fast_axes(path):
    data_set = n4.load("npy", path).with_calibration(nav=[(2, "nm"), (1, "nm")])
    assert data_set.with_scan(nav_shape=(12,)).calibration.nav == ((1, "nm"),)
    nav = data_set.with_scan(nav_shape=(2, 2, 3)).calibration.nav
    assert nav == (None, (2, "nm"), (1, "nm"))


@pytest.mark.filterwarnings("ignore::napari_4dstem.FormatWarning")
@pytest.mark.parametrize("cut", [0, 1])
@pytest.mark.parametrize(
    "scan", [{}, {"nav_shape": (2, 5)}, {"nav_shape": (4, 5)}, {"sync_offset": 2}]
)
def test_with_scan_tells_what_load_tells(path, cut, scan):
    os.truncate(path, path.stat().st_size - cut)
    first = n4.load("npy", path, nav_shape=(7, 7), sync_offset=-1)
    wanted = {"nav_shape": (3, 4), "sync_offset": 0} | scan
    again = n4.load("npy", path, **wanted)
    assert first.with_scan(**wanted).problems == again.problems
    assert first.problems != again.problems
    assert len(again.problems) == cut + (scan.get("nav_shape") == (4, 5))


def test_guess_of_the_scan_shape_is_forgotten_when_it_is_given(tmp_path):
    write_mib(tmp_path / "scan.mib", CUBE.reshape(12, 5, 6)[:9])
    guessed = n4.load("mib", tmp_path / "scan.mib")
    assert "guessed: 3 x 3" in guessed.notices[-1]
    assert guessed.with_scan(sync_offset=1).notices == guessed.notices
    assert not guessed.with_scan(nav_shape=(3, 3)).notices
    assert not n4.load("mib", tmp_path / "scan.mib", nav_shape=(3, 3)).notices


def test_problems_and_notices_outlive_other_changes(tmp_path):
    path = tmp_path / "scan.mib"
    write_mib(path, CUBE.reshape(12, 5, 6)[:9])
    os.truncate(path, path.stat().st_size - 1)
    data_set = open_dataset("mib", path)
    assert data_set.problems
    assert data_set.notices
    for changed in (
        data_set.with_calibration(nav=[None] * len(data_set.nav_shape)),
        data_set.with_corrections(dark=np.ones((5, 6))),
        pickle.loads(pickle.dumps(data_set)),
    ):
        assert changed.problems == data_set.problems
        assert changed.notices == data_set.notices


@pytest.mark.parametrize(
    "scan",
    [
        {"nav_shape": (0, 3)},
        {"nav_shape": (2**40,)},
        {"sync_offset": 12},
        {"sync_offset": 0.5},
        {"flyback": -1},
    ],
)
def test_with_scan_refuses_what_load_refuses(path, scan):
    with pytest.raises(ParameterError, match=next(iter(scan))) as told:
        n4.load("npy", path).with_scan(**scan)
    assert told.value.parameter == next(iter(scan))


def test_with_calibration_converts_to_the_units_of_the_package(path):
    data_set = n4.load("npy", path).with_calibration(
        nav=[(1e-10, "m"), None], sig=[(0.1, "1/Å"), (1, "mrad")]
    )
    assert data_set.calibration.nav[0].scale == pytest.approx(0.1)
    assert data_set.calibration.nav[0].unit == "nm"
    assert data_set.calibration.nav[1] is None
    assert data_set.calibration.sig == ((1, "1/nm"), (1, "mrad"))
    kept = data_set.with_calibration(nav=[(1, "nm"), (1, "nm")])
    assert kept.calibration.sig == data_set.calibration.sig


@pytest.mark.parametrize("axes", [{"nav": [(1, "nm")]}, {"sig": [None] * 3}])
def test_calibration_of_other_axes_is_an_error(path, axes):
    with pytest.raises(ParameterError, match="does not fit the axes"):
        n4.load("npy", path).with_calibration(**axes)


def test_pickle_says_the_same(path):
    data_set = n4.load("npy", path, nav_shape=(2, 6), sync_offset=1, name="a")
    again = pickle.loads(pickle.dumps(data_set))
    assert again.parameters == data_set.parameters
    assert again.diagnostics() == data_set.diagnostics()
    assert repr(again) == repr(data_set)


def test_repr_tells_shapes_type_and_size(path):
    assert repr(n4.load("npy", path)) == (
        "<Dataset 'gold': npy, 3 x 4 | 5 x 6 uint16, 720 B>"
    )


def test_diagnostics_are_pairs_of_text(tmp_path):
    write_mib(tmp_path / "scan.mib", CUBE.reshape(12, 5, 6)[:9])
    data_set = n4.load("mib", tmp_path / "scan.mib", sync_offset=-2)
    rows = data_set.diagnostics()
    assert all(isinstance(part, str) and part for row in rows for part in row)
    told = dict(rows)
    assert told["frames stored"] == "9"
    assert told["scan positions without a frame"] == "2"
    assert told["dtype"] == "uint16"
    assert told["file size"] == "3.996 kB"
    assert told["io_backend"] in ("mmap", "buffered")
    assert told["calibration nav"] == "unknown"
    assert told["exposure_s"] == "0.0015"


def test_data_set_cannot_be_changed(path):
    data_set = n4.load("npy", path)
    with pytest.raises(AttributeError):
        data_set.name = "other"
    with pytest.raises(ValueError, match="read-only"):
        data_set.valid[0, 0] = False


def test_what_was_read_belongs_to_the_caller(path):
    data_set = n4.load("npy", path, io_backend="mmap")
    for key in (..., (0, 0), (slice(0, 2), 1)):
        data_set[key][...] = 0
    assert_is(data_set[...], CUBE)


def test_scan_and_detector_of_any_number_of_axes(tmp_path):
    array = np.arange(2 * 3 * 2 * 2 * 3 * 2).reshape(2, 3, 2, 2, 3, 2)
    write_npy(tmp_path / "a.npy", array)
    data_set = n4.load("npy", tmp_path / "a.npy", sig_dims=3)
    assert data_set.shape == array.shape
    assert_is(data_set[1, 2, 0], array[1, 2, 0])
    assert_is(data_set.to_dask()[:, 1, 1, 0].compute(), array[:, 1, 1, 0])
