"""load, detect and Dataset: what is the same for every format."""

from __future__ import annotations

import os
import pickle
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import napari_4dstem as n4
from napari_4dstem.axes import Calibration, Sampling
from napari_4dstem.dataset import COMMON_PARAMETERS, open_dataset
from napari_4dstem.errors import (
    MissingParameterError,
    NotRecognizedError,
    ParameterError,
)
from napari_4dstem.formats import FORMATS
from napari_4dstem.formats._format import Description, Format
from napari_4dstem.frames.layout import FrameLayout, FrameRun
from tests.formats.contract import assert_is
from tests.formats.write_mib import write_mib, write_series
from tests.formats.write_npy import write_npy

CUBE = np.arange(1, 361, dtype="u2").reshape(3, 4, 5, 6)


@pytest.fixture
def path(tmp_path):
    """An npy file of 3 x 4 frames of 5 x 6 pixels."""
    path = tmp_path / "gold.npy"
    write_npy(path, CUBE)
    return path


@pytest.fixture
def described(monkeypatch, tmp_path):
    """Add a format ``toy`` that says what a test wants it to say."""
    path = tmp_path / "scan.toy"
    path.write_bytes(b"TOY!" + CUBE.tobytes())
    run = FrameRun(path, 4, 60, 12)
    layout = FrameLayout((run,), (5, 6), CUBE.dtype)

    def use(**facts):
        description = Description(**{"frames": layout} | facts)

        def describe(path: Path, *, knob: int = 1, note: str | None = None):
            return description

        toy = Format(
            "toy", "Toy", (".toy",), lambda path, head: head[:4] == b"TOY!", describe
        )
        monkeypatch.setitem(FORMATS, "toy", toy)
        return path

    use.layout = layout
    return use


# load and detect.


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


# Folders.


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


def test_missing_folder_is_an_error(tmp_path):
    with pytest.raises(n4.FormatError, match="does not exist"):
        n4.load("auto", tmp_path / "nowhere")


# What a format says.


def test_the_file_says_where_the_scan_begins(described):
    path = described(nav_shape=(2, 4), sync_offset=3)
    frames = CUBE.reshape(12, 5, 6)
    assert n4.load("auto", path).sync_offset == 3
    assert_is(n4.load("auto", path)[0, 0], frames[3])
    for said in (0, -2):
        data_set = n4.load("auto", path, sync_offset=said)
        assert data_set.sync_offset == said
        assert_is(data_set[1, 0], frames[4 + said])


def test_the_file_says_all_else(described, tmp_path):
    beside = tmp_path / "scan.xml"
    beside.touch()
    nm, mrad = Sampling(0.5, "nm"), Sampling(2.0, "mrad")
    path = described(
        nav_shape=(3, 4),
        calibration=Calibration((nm, nm), (mrad, None)),
        metadata={"beam_energy_kV": 200.0, "header": {"detail": 1}},
        companions=(beside,),
        parameters={"knob": 5},
        notices=("The scan shape is guessed.",),
    )
    data_set = n4.load("auto", path)
    assert data_set.calibration.nav == (nm, nm)
    assert data_set.calibration.sig == (mrad, None)
    assert data_set.metadata["beam_energy_kV"] == 200
    assert data_set.files == (path, beside)
    assert data_set.parameters["knob"] == 5
    told = dict(data_set.diagnostics())
    assert told["beam_energy_kV"] == "200.0"
    assert told["calibration nav"] == "0.5 nm, 0.5 nm"
    assert told["calibration sig"] == "2 mrad, unknown"
    assert told["notice"] == "The scan shape is guessed."
    assert "header" not in told


def test_user_knows_better_than_the_format(described):
    path = described(parameters={"knob": 5})
    assert n4.load("toy", path, knob=7).parameters["knob"] == 7


def test_none_is_the_default_unless_the_format_takes_it(described):
    path = described()
    assert "knob" not in n4.load("toy", path, knob=None).own_parameters
    assert n4.load("toy", path, note=None).own_parameters == {"note": None}


@pytest.mark.parametrize("on", [True, False])
def test_corrections_of_the_file_are_applied_as_the_format_says(described, on):
    dark = np.full((5, 6), 1, "f4")
    corrections = n4.Corrections(dark=dark)
    path = described(corrections=corrections, corrections_on=on, nav_shape=(3, 4))
    corrected = CUBE - dark
    data_set = n4.load("toy", path)
    assert data_set.dtype == (np.float32 if on else np.uint16)
    assert_is(data_set[...], corrected if on else CUBE)
    assert_is(n4.load("toy", path, corrections=True)[...], corrected)
    data_set = n4.load("toy", path, corrections=False)
    assert data_set.corrections is None
    assert_is(data_set[...], CUBE)
    assert any("not applied" in notice for notice in data_set.notices)
    data_set = n4.load("toy", path, corrections={"gain": np.full((5, 6), 2)})
    assert_is(data_set[...], CUBE * np.float32(2))


def test_absurd_number_of_lost_frames_is_refused(described):
    run = FrameRun(Path(described()), 4, 60, 10**15)
    absurd = replace(described.layout, runs=(run, replace(run, count=1)))
    tracemalloc.start()
    try:
        with pytest.raises(n4.FormatError, match="far more frames are missing"):
            n4.load("toy", described(frames=absurd))
        assert tracemalloc.get_traced_memory()[1] < 10 * 2**20
    finally:
        tracemalloc.stop()


# Other scans.


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


# Calibration and corrections.


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


# A data set as a thing.


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
