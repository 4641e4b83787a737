"""FRMS6: pnCCD cameras."""

from __future__ import annotations

import os
import pickle
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import napari_4dstem as n4
from napari_4dstem.frames import mean_frame
from tests.formats.contract import NAV_SHAPE, Case, FileContract, assert_is
from tests.formats.write_frms6 import frms6_header, write_frms6, write_hdr, write_set

RNG = np.random.default_rng(0)
FRAMES = RNG.integers(100, 16000, (12, 8, 6)).astype("u2")
DARK = RNG.integers(0, 100, (3, 8, 6)).astype("u2")
MEAN = DARK.mean(axis=0).astype("f4")


def frames_of(scan):
    return scan.reshape(-1, *scan.shape[-2:])


def save_raw(folder, scan):
    """Save in one file, without use of the dark frames."""
    frames = frames_of(scan)
    hdr, ends = write_set(folder, frames, frames[:2], scan=NAV_SHAPE)
    path = hdr.with_name("run_001.frms6")
    return {"path": path, "enable_offset_correction": False}, ends


def save_binned(folder, scan):
    """Save in three files, with a dark frame that corrections take away again."""
    frames = frames_of(scan) + 7
    dark = np.array([6, 8, 7], "u2")[:, None, None] * np.ones(scan.shape[-2:], "u2")
    hdr, _ = write_set(
        folder, frames, dark, counts=(5, 4, 3), scan=NAV_SHAPE, binning=2
    )
    return {"path": hdr}, []


@dataclass(frozen=True)
class Binned(Case):
    """Counts as they are after correction, each row twice."""

    def make_scan(self):
        scan = RNG.integers(1, 4000, NAV_SHAPE + self.sig_shape).astype("f4")
        scan[..., 1::2, :] = scan[..., ::2, :]
        return scan


class TestRaw(FileContract):
    cases = (Case("raw", "frms6", save_raw, sig_shape=(4, 6)),)


class TestBinned(FileContract):
    cases = (Binned("binned-dark", "frms6", save_binned, "f4", sig_shape=(8, 3)),)
    test_cut_off_at_any_byte = None  # it has no frames


@pytest.fixture
def hdr(tmp_path):
    return write_set(tmp_path, FRAMES, DARK, counts=(5, 4, 3), scan=(3, 4))[0]


def raw(path, **parameters):
    return n4.load("frms6", path, enable_offset_correction=False, **parameters)


def member(hdr, number):
    return hdr.with_name(f"{hdr.stem}_{number:03d}.frms6")


# Frames.


@settings(deadline=None, max_examples=30)
@given(
    rows=st.integers(1, 4),
    columns=st.integers(1, 9),
    binning=st.sampled_from([1, 2, 4]),
    counts=st.lists(st.integers(1, 3), min_size=1, max_size=3),
    tells_count=st.booleans(),
)
def test_any_set_comes_back(
    tmp_path_factory, rows, columns, binning, counts, tells_count
):
    folder = tmp_path_factory.mktemp("any")
    shape = (sum(counts), 2 * rows, columns)
    frames = RNG.integers(0, 65536, shape).astype("u2").repeat(binning, axis=1)
    hdr, _ = write_set(
        folder, frames, frames[:1], base="a [1]", counts=counts, binning=binning
    )
    if not tells_count:
        begin = 0
        for number, count in enumerate(counts, 1):
            part = frames[begin : begin + count]
            write_frms6(member(hdr, number), part, binning=binning, count=0)
            begin += count
    data_set = raw(hdr)
    assert data_set.nav_shape == (1, len(frames))
    assert_is(data_set[0], frames)
    assert not data_set.notices


@pytest.mark.parametrize("number", [None, 0, 1, 3])
def test_every_file_opens_the_set(hdr, number):
    path = hdr if number is None else member(hdr, number)
    data_set = n4.load("auto", path)
    assert data_set.filetype == "frms6"
    assert set(data_set.files) == {hdr, *(member(hdr, n) for n in range(4))}
    assert data_set.nav_shape == (3, 4)
    assert_is(data_set[...].reshape(FRAMES.shape), FRAMES - MEAN)


def test_folder_opens_the_set(hdr):
    assert n4.load("auto", hdr.parent).nav_shape == (3, 4)


def test_files_are_in_the_order_of_their_numbers(tmp_path):
    frames = np.arange(1, 13, dtype="u2")[:, None, None] * np.ones((2, 2), "u2")
    hdr, _ = write_set(tmp_path, frames, frames[:1], counts=[1] * 12)
    for number in range(13):
        member(hdr, number).rename(tmp_path / f"run_{number}.frms6")
    assert raw(hdr)[0, :, 0, 0].tolist() == [*range(1, 13)]


def test_other_sets_in_the_folder_do_not_count(hdr, tmp_path):
    for base in ("run_(2)", "run_1", "Run", "run.b", "xrun"):
        write_set(tmp_path, FRAMES[:2], DARK, base=base, scan=(1, 2))
    assert_is(raw(hdr)[...].reshape(FRAMES.shape), FRAMES)
    assert n4.load("frms6", tmp_path / "run_1_001.frms6").nav_shape == (1, 2)


def test_frames_beyond_those_of_the_hdr_are_ignored(hdr):
    write_hdr(hdr, (2, 4), 7)
    with pytest.warns(n4.FormatWarning, match="7 frames are stored"):
        data_set = raw(hdr)
    assert data_set.num_stored_frames == 7
    assert data_set.valid.ravel().tolist() == [True] * 7 + [False]
    assert_is(data_set[...].reshape(8, 8, 6)[:7], FRAMES[:7])


def test_fewer_frames_than_positions_are_no_problem_of_the_file(hdr):
    write_hdr(hdr, (4, 4), 12)
    with pytest.warns(n4.FormatWarning, match="the last 4 are missing"):
        assert raw(hdr).valid.sum() == 12


def test_last_file_lost_leaves_blanks_and_warns(hdr):
    member(hdr, 3).unlink()
    with pytest.warns(n4.FormatWarning, match=r"3 frames after this file are missing"):
        data_set = raw(hdr)
    assert data_set.nav_shape == (3, 4)
    assert data_set.valid.sum() == 9


def test_file_cut_off_in_the_middle_of_the_set_keeps_its_place(hdr):
    os.truncate(member(hdr, 2), member(hdr, 2).stat().st_size - 1)
    with pytest.warns(n4.FormatWarning, match="1 frame is missing"):
        data_set = raw(hdr)
    assert np.flatnonzero(~data_set.valid.ravel()).tolist() == [8]
    assert_is(data_set[-1, -1], FRAMES[-1])


def test_metadata(hdr):
    metadata = raw(hdr).metadata
    assert metadata["dwell_s"] == metadata["exposure_s"] == 0.0015
    assert metadata["timestamp"] == "2015-12-03T12:00:00+00:00"
    assert metadata["instrument"] == "PNDetector pnCCD"
    assert metadata["header"]["binning"] == 1
    assert metadata["header"]["window"] == (4, 6)
    assert metadata["header"]["gain"] == "16"


def test_window_that_contradicts_the_frames_is_told(hdr):
    write_hdr(hdr, (3, 4), 12, binning=2, window=(4, 6))
    assert "binning of 2 may be wrong" in raw(hdr).notices[0]


# Corrections.


def test_dark_frames_are_subtracted_unless_switched_off(hdr):
    data_set = n4.load("frms6", hdr)
    assert data_set.dtype == np.float32
    assert_is(data_set[...].reshape(FRAMES.shape), FRAMES - MEAN)
    for switched_off in (raw(hdr), n4.load("frms6", hdr, corrections=False)):
        assert switched_off.corrections is None
        assert_is(switched_off[...].reshape(FRAMES.shape), FRAMES)
    assert raw(hdr).found_corrections is None
    assert n4.load("frms6", hdr, corrections=False).found_corrections is not None


def test_positions_without_a_frame_stay_zero(hdr):
    data_set = n4.load("frms6", hdr, sync_offset=-5)
    assert not data_set[...].reshape(FRAMES.shape)[:5].any()


def test_dark_frame_is_computed_once_when_the_first_frame_is_read(hdr, monkeypatch):
    computed = []

    def counted(layout, compute=mean_frame._mean):
        computed.append(layout.files)
        return compute(layout)

    monkeypatch.setattr(mean_frame, "_mean", counted)
    data_set = n4.load("frms6", hdr)
    assert not computed
    with ThreadPoolExecutor(8) as pool:
        list(
            pool.map(data_set.__getitem__, [(y, x) for y in range(3) for x in range(4)])
        )
    data_set.to_dask(chunks=(1, 1, -1, -1)).compute()
    assert computed == [(member(hdr, 0),)]


def test_dark_frame_is_computed_once_for_all_copies(hdr, monkeypatch):
    data_set = n4.load("frms6", hdr)
    frame = data_set[0, 0]
    pickled = pickle.dumps(data_set)
    assert len(pickled) < 2048
    monkeypatch.setattr(mean_frame, "RawFrames", None)  # it cannot be computed again
    assert_is(pickle.loads(pickled)[0, 0], frame)


def test_dark_frames_that_change_are_read_again(hdr):
    data_set = n4.load("frms6", hdr)
    assert_is(data_set[0, 0], FRAMES[0] - MEAN)
    write_frms6(member(hdr, 0), DARK[:1])
    assert_is(data_set[0, 0], FRAMES[0] - DARK[0].astype("f4"))


def test_dark_frames_that_are_cut_off_are_told(hdr):
    os.truncate(member(hdr, 0), member(hdr, 0).stat().st_size - 1)
    with pytest.warns(n4.FormatWarning, match="the mean of 2 instead of 3 frames"):
        data_set = n4.load("frms6", hdr)
    mean = DARK[:2].mean(axis=0).astype("f4")
    assert_is(data_set[0, 0], FRAMES[0] - mean)


GAIN = np.linspace(0.5, 2, 48).reshape(8, 6)


def write_csv(path, gain):
    """Write a line for each column of the detector."""
    path.write_text("\n".join(";".join(map(repr, c)) + ";" for c in gain.T.tolist()))


def test_gain_map_multiplies_after_the_subtraction(hdr, tmp_path):
    write_csv(tmp_path / "gain.csv", GAIN)
    for path in (tmp_path / "gain.csv", str(tmp_path / "gain.csv")):
        data_set = n4.load("frms6", hdr, gain_map_path=path)
        expected = (FRAMES - MEAN) * GAIN.astype("f4")
        assert_is(data_set[...].reshape(FRAMES.shape), expected)
    assert tmp_path / "gain.csv" in data_set.files
    again = n4.load("frms6", hdr, **data_set.parameters)
    assert_is(again[0, 0], data_set[0, 0])


def test_gain_map_that_is_given_applies_without_dark_frames_too(hdr, tmp_path):
    write_csv(tmp_path / "gain.csv", GAIN)
    member(hdr, 0).unlink()
    data_set = raw(hdr, gain_map_path=tmp_path / "gain.csv")
    assert_is(data_set[0, 0], FRAMES[0] * GAIN.astype("f4"))


def test_gain_map_of_another_detector_is_refused(hdr, tmp_path):
    write_csv(tmp_path / "gain.csv", GAIN.T)
    with pytest.raises(n4.FormatError, match="does not fit the detector") as told:
        n4.load("frms6", hdr, gain_map_path=tmp_path / "gain.csv")
    assert str(tmp_path / "gain.csv") in str(told.value)


@pytest.mark.parametrize("path", [5, ["a.csv"]])
def test_gain_map_path_that_is_no_path_is_refused(hdr, path):
    with pytest.raises(n4.FormatError, match="gain_map_path is not a path"):
        n4.load("frms6", hdr, gain_map_path=path)


# Recognition.


@pytest.mark.parametrize(
    "text", ["ENVI\nsamples = 10\n", "HDR,\t\r\n", "[other]\n", ""]
)
def test_hdr_files_of_others_are_not_recognized_as_ours(tmp_path, text):
    path = tmp_path / "a.hdr"
    path.write_text(text)
    with pytest.raises(n4.FormatError) as told:
        n4.load("auto", path)
    assert "measurementInfo" not in str(told.value)


# Bad sets.


def refusal(path, **parameters):
    tracemalloc.start()
    try:
        with pytest.raises(n4.FormatError) as told:
            n4.load("frms6", path, **parameters)
        assert tracemalloc.get_traced_memory()[1] < 10 * 2**20
    finally:
        tracemalloc.stop()
    return told.value


def test_missing_hdr_is_named(hdr):
    hdr.unlink()
    error = refusal(member(hdr, 1))
    assert "the file run.hdr is missing" in error.problem


def test_hdr_without_frames_is_refused(hdr):
    for number in (1, 2, 3):
        member(hdr, number).unlink()
    assert refusal(hdr).found == "only the dark frames"
    member(hdr, 0).unlink()
    error = refusal(hdr)
    assert error.found == "no .frms6 file of this name"
    assert "run_001.frms6" in error.expected


def test_file_missing_in_the_middle_is_named(hdr):
    member(hdr, 2).unlink()
    assert "the file run_002.frms6 is missing" in refusal(hdr).problem


def test_missing_dark_frames_are_an_error_with_a_way_out(hdr):
    member(hdr, 0).unlink()
    error = refusal(hdr)
    assert "run_000.frms6 with the dark frames is missing" in error.problem
    assert "enable_offset_correction=False" in error.hint
    assert_is(raw(hdr)[0, 0], FRAMES[0])


def test_dark_file_without_a_whole_frame_is_an_error_with_a_way_out(hdr):
    os.truncate(member(hdr, 0), 1100)
    error = refusal(hdr)
    assert "no complete dark frame" in error.problem
    assert "enable_offset_correction=False" in error.hint


def test_two_files_of_a_number_are_refused(hdr):
    write_frms6(hdr.with_name("run_1.frms6"), FRAMES[:2])
    assert "two files have the number 1" in refusal(hdr).problem


def test_name_that_belongs_to_no_set_is_refused(tmp_path):
    path = tmp_path / "frames.frms6"
    write_frms6(path, FRAMES)
    assert "not that of a file of a recording" in refusal(path).problem


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"section": "other"}, r"section [measurementInfo] is missing"),
        ({"signalFrames": None}, "signalFrames is missing"),
        ({"signalFrames": "-3"}, "signalFrames cannot be read"),
        ({"signalFrames": "9" * 5000}, "signalFrames cannot be read"),
        ({"signalFrames": "0"}, "settings are impossible"),
        ({"stemImageSize": None}, "stemImageSize is missing"),
        ({"stemImageSize": "3"}, "stemImageSize cannot be read"),
        ({"stemImageSize": "3x0"}, "settings are impossible"),
        ({"stemImageSize": "999999999x999999999"}, "far larger than the data"),
        ({"readoutMode": None}, "readoutMode is missing"),
        ({"readoutMode": '"bin: 1"'}, "readoutMode cannot be read"),
        ({"binning": 0}, "settings are impossible"),
        ({"binning": 10**8}, "settings are impossible"),
    ],
)
def test_impossible_settings_are_refused(hdr, changes, said):
    write_hdr(hdr, (3, 4), 12, **changes)
    error = refusal(hdr)
    assert said in error.problem
    assert error.path == str(hdr)


def test_keys_and_section_may_be_in_any_case_and_twice(hdr):
    write_hdr(hdr, (3, 4), 12)
    text = hdr.read_text()
    hdr.write_text(
        text.upper().replace("BIN:", "bin:").replace("WINDOWING", "windowing")
    )
    hdr.write_text(hdr.read_text().replace("3X4", "3x4").replace(" X ", " x "))
    assert n4.load("auto", hdr).nav_shape == (3, 4)
    hdr.write_text(text + "signalFrames = 8\n")
    with pytest.warns(n4.FormatWarning, match="missing"):
        assert raw(hdr).num_stored_frames == 8


@pytest.mark.parametrize("text", ["[a\nb", "[measurementInfo]\nnonsense\n", "a = 3\n"])
def test_hdr_that_is_no_list_of_settings_is_refused(hdr, text):
    hdr.write_text(text)
    assert "settings cannot be read" in refusal(hdr).problem


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"version": 5}, 5),
        ({"nbytes": 1000}, "the bytes e8 03 40 00 00 00 00 06"),
        ({"frame_header_nbytes": 0}, "the bytes 00 04 00 00 00 00 00 06"),
    ],
)
@pytest.mark.parametrize("number", [0, 2])
def test_other_headers_are_refused_by_the_name_of_the_file(hdr, number, fields, found):
    write_frms6(member(hdr, number), FRAMES[:2], **fields)
    error = refusal(hdr)
    assert error.path == str(member(hdr, number))
    assert error.found == found


@pytest.mark.parametrize("size", [(5, 4), (0, 4), (6, 0)])
def test_impossible_frames_are_refused(hdr, size):
    member(hdr, 1).write_bytes(frms6_header(*size, 0) + bytes(1000))
    error = refusal(hdr)
    assert error.found == f"width {size[0]}, height {size[1]}"
    assert error.offset == 88


@pytest.mark.parametrize(("number", "named"), [(0, 1), (2, 2)])
def test_files_of_another_frame_size_are_refused(hdr, number, named):
    write_frms6(member(hdr, number), np.zeros((2, 4, 6), "u2"))
    error = refusal(hdr)
    assert "another size" in error.problem
    assert error.path == str(member(hdr, named))


@pytest.mark.parametrize("number", [0, 1])
def test_absurd_number_of_frames_is_refused(hdr, number):
    write_frms6(member(hdr, number), FRAMES[:3], count=2**32 - 1)
    error = refusal(hdr)
    assert error.path == str(member(hdr, number))
    assert error.offset == 1020
    assert error.expected.startswith("at most ")


def test_empty_file_of_a_set_is_named(hdr):
    member(hdr, 2).write_bytes(b"")
    error = refusal(hdr)
    assert error.path == str(member(hdr, 2))
    assert "empty" in error.problem
