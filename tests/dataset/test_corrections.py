"""Dark frame, gain map and excluded pixels as users give them."""

from __future__ import annotations

import os
import pickle

import numpy as np
import pytest

import napari_4dstem as n4
from napari_4dstem.errors import ParameterError
from tests.dataset.cube import CUBE
from tests.formats.contract import assert_is
from tests.formats.write_mib import write_series
from tests.formats.write_npy import write_npy


def test_with_corrections_gives_float32(path):
    dark, excluded = np.full((5, 6), 0.5), np.zeros((5, 6), bool)
    excluded[0, 0] = True
    data_set = n4.load("npy", path, sync_offset=-1)
    corrected = data_set.with_corrections(dark=dark, excluded=excluded)
    assert corrected.dtype == np.float32
    assert not corrected[0, 0].any()
    expected = CUBE[0, 0] - np.float32(0.5)
    assert_is(corrected[0, 1][1:], expected[1:])
    assert corrected[0, 1, 0, 0] == pytest.approx(
        (expected[0, 1] + expected[1, 0] + expected[1, 1]) / 3
    )
    assert_is(corrected.to_dask().compute(), corrected[...])
    assert data_set.dtype == CUBE.dtype


def test_corrections_of_one_data_set_fit_another(path):
    excluded = np.zeros((5, 6), bool)
    excluded[0, 0] = True
    data_set = n4.load("npy", path).with_corrections(excluded=excluded)
    frame = data_set[1, 1]  # what this needs must not hinder the next
    other = n4.load("npy", path, corrections=data_set.corrections)
    assert_is(other[1, 1], frame)


def test_with_corrections_of_nothing_takes_them_away(path):
    data_set = n4.load("npy", path).with_corrections(dark=np.ones((5, 6)))
    assert_is(data_set.with_corrections()[...], CUBE)


def test_nothing_selected_of_corrected_frames_is_empty(path):
    data_set = n4.load("npy", path).with_corrections(excluded=np.eye(5, 6, dtype=bool))
    assert data_set[1:1].shape == (0, 4, 5, 6)


@pytest.mark.parametrize("kind", ["dark", "gain", "excluded"])
def test_corrections_of_another_detector_are_an_error(path, kind):
    with pytest.raises(ParameterError, match=f"{kind} does not fit") as told:
        n4.load("npy", path).with_corrections(**{kind: np.zeros((6, 5))})
    assert "(5, 6)" in told.value.expected
    assert "(6, 5)" in told.value.found


@pytest.mark.parametrize(
    ("corrections", "problem"),
    [
        (5, "not understood"),
        ({"flat": np.ones((5, 6))}, "not understood"),
        ({"gain": np.ones((5, 6), "c8")}, "gain must consist of real numbers"),
        ({"dark": [["a"] * 6] * 5}, "dark must consist of real numbers"),
        ({"gain": np.full((5, 6), np.nan)}, "gain has pixels that are not finite"),
        ({"dark": np.full((5, 6), 1e60)}, "dark has pixels that are not finite"),
        ({"excluded": 7}, "excluded does not fit the detector"),
        (n4.Corrections(dark=np.ones((2, 2), "f4")), "dark does not fit the detector"),
    ],
)
def test_what_cannot_correct_is_named(path, corrections, problem):
    with pytest.raises(ParameterError, match=problem) as told:
        n4.load("npy", path, corrections=corrections)
    assert told.value.parameter == "corrections"
    assert told.value.path == str(path)
    assert told.value.found


@pytest.mark.parametrize("wanted", [False, None, {}, {"dark": None}, n4.Corrections()])
def test_no_corrections_leave_pixels_as_they_are(path, wanted):
    data_set = n4.load("npy", path, corrections=wanted)
    assert data_set.corrections is None
    assert_is(data_set[...], CUBE)


def test_array_of_the_user_is_copied(path):
    dark = np.ones((5, 6), "f4")
    data_set = n4.load("npy", path, corrections={"dark": dark})
    dark[...] = 100
    assert_is(data_set[...], CUBE - np.float32(1))


def test_excluded_pixels_may_be_numbers(path):
    excluded = np.zeros((5, 6), bool)
    excluded[2, 3] = True
    as_numbers = excluded * np.uint8(255)
    expected = n4.load("npy", path).with_corrections(excluded=excluded)
    given = n4.load("npy", path).with_corrections(excluded=as_numbers)
    assert_is(given[...], expected[...])


# Files.


def saved(folder, **arrays):
    for name, array in arrays.items():
        write_npy(folder / f"{name}.npy", array)
    return {name: folder / f"{name}.npy" for name in arrays}


def test_files_correct_as_their_pixels_do(path, tmp_path):
    rng = np.random.default_rng(0)
    arrays = {
        "dark": rng.normal(size=(5, 6)),
        "gain": rng.normal(size=(5, 6)).astype(">f4"),
        "excluded": np.eye(5, 6, dtype="u1"),
    }
    expected = n4.load("npy", path, corrections=arrays)
    given = n4.load("npy", path, corrections=saved(tmp_path, **arrays))
    assert str(given.corrections) == "dark frame, gain map, 5 excluded pixels"
    assert_is(given[...], expected[...])
    assert_is(given.to_dask(chunks=(1, 2, -1, -1)).compute(), expected[...])
    again = n4.load("npy", path, **given.parameters)
    assert_is(again[...], expected[...])


def test_dark_frame_is_the_mean_of_the_frames_in_a_file(path, tmp_path):
    frames = np.random.default_rng(0).integers(0, 99, (3, 2, 5, 6))
    files = saved(tmp_path, dark=frames)
    given = n4.load("npy", path).with_corrections(**files)
    assert_is(given[...], CUBE - frames.mean((0, 1)).astype("f4"))


def test_file_is_found_from_another_folder_and_process(path, tmp_path, monkeypatch):
    dark = np.ones((5, 6), "u1")
    saved(tmp_path, dark=dark)
    monkeypatch.chdir(tmp_path)
    data_set = n4.load("npy", path, corrections={"dark": "dark.npy"})
    monkeypatch.chdir("/")
    pickled = pickle.dumps(data_set)
    assert len(pickled) < 2048
    assert_is(pickle.loads(pickled)[...], CUBE - np.float32(1))


def test_file_of_another_detector_is_named(path, tmp_path):
    files = saved(tmp_path, gain=np.ones((6, 5)))
    with pytest.raises(ParameterError, match="gain does not fit") as told:
        n4.load("npy", path, corrections=files)
    assert str(files["gain"]) in told.value.found


def test_file_with_pixels_that_are_no_numbers_is_named(path, tmp_path):
    gain = np.ones((5, 6))
    gain[1, 2] = np.nan
    files = saved(tmp_path, gain=gain, dark=np.ones((5, 6), "c8"))
    with pytest.raises(n4.FormatError, match="1 of 30 infinite or not") as told:
        n4.load("npy", path, corrections={"gain": files["gain"]})
    assert told.value.path == str(files["gain"])
    with pytest.raises(n4.FormatError, match="expected real numbers") as told:
        n4.load("npy", path, corrections={"dark": files["dark"]})
    assert told.value.path == str(files["dark"])


def test_file_that_is_not_there_or_nothing_known_is_named(path, tmp_path):
    with pytest.raises(n4.FormatError, match="does not exist") as told:
        n4.load("npy", path, corrections={"dark": tmp_path / "dark.npy"})
    assert told.value.path == str(tmp_path / "dark.npy")
    (tmp_path / "notes.txt").write_text("lens 2 was off")
    with pytest.raises(n4.FormatError, match="not recognized") as told:
        n4.load("npy", path, corrections={"dark": tmp_path / "notes.txt"})
    assert told.value.path == str(tmp_path / "notes.txt")


def test_file_that_is_gone_later_is_named(path, tmp_path):
    files = saved(tmp_path, dark=np.ones((5, 6)))
    data_set = n4.load("npy", path, corrections=files)
    os.unlink(files["dark"])
    with pytest.raises(n4.FormatError, match=r"dark\.npy.*cannot be read"):
        data_set[0, 0]


def test_one_of_several_files_is_no_dark_frame(tmp_path, path):
    dark = write_series(tmp_path, np.ones((2, 5, 6), "u2"), [1, 1])[0]
    with pytest.raises(n4.FormatError, match=r"belong together.*scan2\.mib"):
        n4.load("npy", path, corrections={"dark": dark})
