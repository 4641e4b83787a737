"""load, detect and open_dataset: from a path to a data set."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import napari_4dstem as n4
from napari_4dstem.dataset import COMMON_PARAMETERS, open_dataset
from napari_4dstem.errors import (
    MissingParameterError,
    NotRecognizedError,
    ParameterError,
)
from napari_4dstem.formats import FORMATS
from tests.dataset.cube import CUBE
from tests.formats.contract import assert_is
from tests.formats.write_mib import write_series
from tests.formats.write_mrc import write_mrc
from tests.formats.write_npy import write_npy
from tests.formats.write_seq import write_seq


def test_auto_finds_the_type(path):
    data_set = n4.load("auto", path)
    assert data_set.filetype == "npy"
    assert data_set.path == path
    assert data_set.files == (path,)
    assert data_set.name == "gold"
    assert_is(data_set[...], CUBE)


def test_path_may_be_text_relative_or_in_the_home_folder(path, monkeypatch):
    monkeypatch.chdir(path.parent)
    monkeypatch.setenv("HOME", str(path.parent))
    monkeypatch.setenv("USERPROFILE", str(path.parent))
    for spelling in (str(path), path, "gold.npy", Path("gold.npy"), "~/gold.npy"):
        assert n4.load("auto", path=spelling).path == path


def test_data_set_survives_a_change_of_the_working_folder(path, monkeypatch):
    monkeypatch.chdir(path.parent)
    data_set = n4.load("npy", "gold.npy")
    monkeypatch.chdir("/")
    assert_is(data_set[1, 1], CUBE[1, 1])


def test_detect_gives_what_load_needs(path):
    found = n4.detect(path)
    assert found.filetype == "npy"
    assert found.parameters["nav_shape"] == (3, 4)
    assert found.parameters["sig_shape"] == (5, 6)
    assert_is(n4.load(found.filetype, path, **found.parameters)[...], CUBE)


def test_detect_of_nothing_known_says_what_was_tried(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("lens 2 was off")
    with pytest.raises(NotRecognizedError) as told:
        n4.detect(path)
    for name in ("mib", "npy", "raw"):
        assert name in told.value.expected
    assert "lens 2" in told.value.found
    assert told.value.hint


def test_filetypes_are_what_load_accepts():
    types = n4.filetypes()
    assert next(iter(types)) == "auto"
    assert set(FORMATS) < set(types)
    assert types["mib"].extensions == (".mib", ".hdr")
    assert "disable_glob" in types["mib"].parameters
    assert types["raw"].parameters[:2] == ("dtype", "sig_shape")
    assert all(filetype.description for filetype in types.values())


def test_extensions_are_lower_case_with_the_dot():
    for filetype in n4.filetypes().values():
        for extension in filetype.extensions:
            assert extension == extension.lower()
            assert extension.startswith(".")


def test_unknown_filetype_lists_the_known(path):
    with pytest.raises(ParameterError, match="unknown filetype") as told:
        n4.load("tiff", path)
    assert told.value.parameter == "filetype"
    assert "auto, mib, npy" in told.value.expected


@pytest.mark.parametrize(
    ("filetype", "given"),
    [("auto", {}), ("npy", {}), ("raw", {"dtype": "u1", "sig_shape": (2, 2)})],
)
def test_without_a_path_it_is_an_error(filetype, given):
    with pytest.raises(MissingParameterError, match="path"):
        n4.load(filetype, **given)


@pytest.mark.parametrize(
    ("parameters", "parameter"),
    [
        ({"sync_offset": 1.0}, "sync_offset"),
        ({"sync_offset": "1"}, "sync_offset"),
        ({"flyback": 0.5}, "flyback"),
        ({"flyback": -1}, "flyback"),
        ({"nav_shape": (2.5, 2)}, "nav_shape"),
        ({"nav_shape": None, "sig_shape": ()}, "sig_shape"),
        ({"io_backend": 7}, "io_backend"),
        ({"io_backend": "MMAP"}, "io_backend"),
        ({"corrections": 5}, "corrections"),
        ({"corrections": {"flat": 1}}, "corrections"),
        ({"corrections": {"dark": np.zeros((5, 5))}}, "corrections"),
        ({"dtype": "u2"}, "dtype"),
    ],
)
def test_impossible_parameter_is_named(path, parameters, parameter):
    with pytest.raises(ParameterError) as told:
        n4.load("npy", path, **parameters)
    assert told.value.parameter == parameter
    assert told.value.path in (str(path), None)


def test_numpy_numbers_and_lists_are_as_good(path):
    data_set = n4.load(
        "npy", path, nav_shape=np.array([2, 3]), sync_offset=np.int16(2), flyback=True
    )
    assert data_set.nav_shape == (2, 3)
    assert data_set.sync_offset == 2
    assert data_set.flyback == 1
    assert_is(data_set[1, 0], CUBE.reshape(12, 5, 6)[6])


def test_none_is_as_if_not_given(path):
    names = [*COMMON_PARAMETERS, "sig_dims"]
    data_set = n4.load("npy", path, **dict.fromkeys(names))
    assert_is(data_set[...], CUBE)
    assert data_set.name == "gold"
    assert data_set.corrections is None


def test_load_warns_where_open_dataset_tells(path):
    size = path.stat().st_size
    os.truncate(path, size - 1)
    data_set = open_dataset("npy", path)
    (problem,) = data_set.problems
    with pytest.warns(n4.FormatWarning) as told:
        n4.load("npy", path)
    assert [str(warning.message) for warning in told] == [problem]
    assert str(path) in problem
    assert "1 frame is missing" in problem
    assert ("problem", problem) in data_set.diagnostics()


def test_warning_points_to_the_line_that_loads(path):
    os.truncate(path, path.stat().st_size - 1)
    with pytest.warns(n4.FormatWarning) as told:
        n4.load("npy", path)
    assert told[0].filename == __file__


def test_folder_with_one_data_set_opens(path):
    (path.parent / "notes.txt").write_text("lens 2 was off")
    (path.parent / "empty.mib").touch()
    (path.parent / "raw").mkdir()
    assert n4.load("auto", path.parent).path == path
    assert n4.load("npy", path.parent).path == path


def test_folder_without_data_is_an_error(tmp_path):
    (tmp_path / "notes.txt").write_text("lens 2 was off")
    with pytest.raises(n4.FormatError, match="no file in this folder") as told:
        n4.load("auto", tmp_path)
    assert told.value.path == str(tmp_path)
    assert told.value.hint


def test_folder_with_many_data_sets_names_some(tmp_path):
    for i in range(7):
        write_npy(tmp_path / f"scan{i}.npy", CUBE)
    with pytest.raises(n4.FormatError, match="several data sets") as told:
        n4.load("auto", tmp_path)
    assert "scan0.npy" in told.value.found
    assert told.value.found.endswith(", ...")


def test_folder_of_a_series_of_files_is_one_data_set(tmp_path):
    write_series(tmp_path, CUBE.reshape(12, 5, 6), (4, 4, 4))
    assert n4.load("auto", tmp_path).num_stored_frames == 12


def test_companions_in_a_folder_are_no_data_sets(tmp_path):
    frames = CUBE.reshape(12, 5, 6)
    write_seq(tmp_path / "scan.seq.seq", frames)
    # both sort before it, and are images as well
    write_mrc(tmp_path / "scan.seq.dark.mrc", frames[:1])
    write_mrc(tmp_path / "scan.seq.gain.mrc", frames[:1].astype("f4"))
    data_set = n4.load("auto", tmp_path)
    assert data_set.path == tmp_path / "scan.seq.seq"
    assert len(data_set.files) == 3


def test_missing_folder_is_an_error(tmp_path):
    with pytest.raises(n4.FormatError, match="does not exist"):
        n4.load("auto", tmp_path / "nowhere")
