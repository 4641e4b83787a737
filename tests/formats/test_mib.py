"""MIB: Merlin and Medipix3 detectors."""

from __future__ import annotations

import os
import shutil
import tracemalloc
import warnings
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import napari_4dstem as n4
from tests.formats.contract import (
    COUNT,
    NAV_SHAPE,
    Case,
    FileContract,
    assert_is,
    scan_of,
)
from tests.formats.write_mib import mib_header, write_hdr, write_mib, write_series

DTYPES = {1: "u1", 6: "u1", 12: "u2", 24: "u4"}
PIXELS_PER_WORD = {1: 64, 6: 8, 12: 4, 24: 4}


def save_mib(folder, scan, **options):
    path = folder / "scan.mib"
    return {"path": path}, write_mib(path, scan.reshape(-1, *scan.shape[2:]), **options)


def save_series(folder, scan):
    frames = scan.reshape(-1, *scan.shape[2:])
    second = write_series(folder, frames, (5, 4, 3), kind="U32")[1]
    return {"path": second}, []


class TestMib(FileContract):
    cases = (
        Case("u16", "mib", save_mib),
        Case(
            "r64-12bit-quad",
            "mib",
            partial(save_mib, kind="R64", depth=12, quad=True),
            sig_shape=(4, 8),
        ),
    )


class TestSeries(FileContract):
    cases = (Case("three-files", "mib", save_series, dtype="u4", top=2**32 - 1),)
    test_cut_off_at_any_byte = None  # see below


def frames_of(count, shape=(2, 4), dtype="u2", first=1):
    """Return frames that tell their number."""
    numbers = np.arange(first, first + count, dtype=dtype)
    return numbers[:, None, None] * np.ones(shape, dtype)


def numbers_of(data_set):
    """Return the numbers that the frames tell, 0 where one is missing."""
    frames = data_set[...].reshape(-1, *data_set.sig_shape)
    return [int(frame.max()) for frame in frames]


# Pixels.


@settings(deadline=None, max_examples=60)
@given(
    depth=st.sampled_from([1, 6, 12, 24]),
    quad=st.booleans(),
    rows=st.integers(1, 4),
    words=st.integers(1, 3),
    count=st.integers(1, 4),
    header_nbytes=st.sampled_from([768, 1024, 5000]),
    seed=st.integers(0, 99),
)
def test_any_raw_frames_come_back(
    tmp_path_factory, depth, quad, rows, words, count, header_nbytes, seed
):
    quad = quad and depth < 24
    width = words * PIXELS_PER_WORD[depth]
    shape = (2 * rows, 2 * width) if quad else (rows, width)
    rng = np.random.default_rng(seed)
    frames = rng.integers(0, 2**depth, (count, *shape), DTYPES[depth])
    path = tmp_path_factory.mktemp("r64") / "scan.mib"
    write_mib(
        path, frames, kind="R64", depth=depth, quad=quad, header_nbytes=header_nbytes
    )
    data_set = n4.load("mib", path, nav_shape=(count,))
    assert data_set.metadata["counter_depth"] == depth
    assert_is(data_set[...], frames)


@settings(deadline=None, max_examples=40)
@given(
    bits=st.sampled_from([8, 16, 32, 64]),
    shape=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    count=st.integers(1, 4),
    chips=st.sampled_from([1, 4]),
    layout=st.sampled_from(["1x1", "2x2", "2x2G", "Nx1", "Nx1G"]),
    tail=st.booleans(),
)
def test_any_integer_frames_come_back(
    tmp_path_factory, bits, shape, count, chips, layout, tail
):
    rng = np.random.default_rng(bits)
    frames = rng.integers(0, 2**bits, (count, *shape), f"u{bits // 8}")
    path = tmp_path_factory.mktemp("integers") / "scan.mib"
    write_mib(
        path, frames, kind=f"U{bits:02d}", chips=chips, layout=layout, tail=tail,
        header_nbytes=768,
    )  # fmt: skip
    assert_is(n4.load("mib", path, nav_shape=(count,))[...], frames)


def test_one_chip_of_a_quad_assembly_is_a_single_chip(tmp_path):
    frames = frames_of(2, (3, 8))
    write_mib(tmp_path / "a.mib", frames, kind="R64", layout="2x2")
    assert_is(n4.load("mib", tmp_path / "a.mib", nav_shape=(2,))[...], frames)


def test_raw_frames_do_not_depend_on_the_backend(tmp_path):
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 2**24, (5, 3, 8), "u4")
    write_mib(tmp_path / "a.mib", frames, kind="R64", depth=24)
    for backend in ("mmap", "buffered"):
        path = tmp_path / "a.mib"
        data_set = n4.load("mib", path, nav_shape=(5,), io_backend=backend)
        assert_is(data_set[...], frames)
        assert_is(data_set[::-1, 1:], frames[::-1, 1:])


# Series.


@pytest.mark.parametrize("opened", ["scan3.mib", "scan10.mib", "scan.hdr"])
def test_any_member_and_the_hdr_open_the_whole_series(tmp_path, opened):
    write_series(tmp_path, frames_of(36), (3,) * 12)
    write_hdr(tmp_path / "scan.hdr", {"ScanX": 9, "ScanY": 4})
    data_set = n4.load("auto", tmp_path / opened)
    assert data_set.nav_shape == (4, 9)
    assert numbers_of(data_set) == list(range(1, 37))
    assert [file.name for file in data_set.files] == [
        *(f"scan{number}.mib" for number in range(1, 13)),
        "scan.hdr",
    ]


def test_headers_tell_the_order_not_the_names(tmp_path):
    for name, first in (("scan1", 5), ("scan2", 1), ("scan10", 3)):
        write_mib(tmp_path / f"{name}.mib", frames_of(2, first=first), first=first)
    data_set = n4.load("mib", tmp_path / "scan1.mib")
    assert numbers_of(data_set) == [1, 2, 3, 4, 5, 6]
    names = [file.name for file in data_set.files]
    assert names == ["scan2.mib", "scan10.mib", "scan1.mib"]


def test_endings_and_names_match_in_any_case(tmp_path):
    one, other = write_series(tmp_path, frames_of(4), (2, 2), stem="Scan_00")
    one.rename(tmp_path / "Scan_001.MIB")
    write_hdr(tmp_path / "Scan.HDR", {"ScanX": 2, "ScanY": 2})
    for opened in (tmp_path / "Scan_001.MIB", other):
        data_set = n4.load("auto", opened)
        assert numbers_of(data_set) == [1, 2, 3, 4]
        assert data_set.metadata["header"]["ScanX"] == "2"


def test_signs_in_the_path_mean_themselves(tmp_path):
    folder = tmp_path / "*[1-9] {a}?\u00e9"
    folder.mkdir()
    path, _ = write_series(folder, frames_of(4), (2, 2), stem="sc*n[1](.)")
    write_mib(folder / "scan[1](.)3.mib", frames_of(2, first=5), first=5)
    assert numbers_of(n4.load("mib", path)) == [1, 2, 3, 4]


def test_disable_glob_opens_the_given_file_only(tmp_path):
    paths = write_series(tmp_path, frames_of(6), (2, 2, 2))
    data_set = n4.load("mib", paths[1], disable_glob=True)
    assert data_set.files == (paths[1],)
    assert numbers_of(data_set) == [3, 4]
    assert data_set.parameters["disable_glob"] is True


def test_names_that_only_begin_alike_are_another_acquisition(tmp_path):
    write_mib(tmp_path / "Rows_256.mib", frames_of(1))
    write_mib(tmp_path / "Rows_256RAW.mib", frames_of(1))
    write_mib(tmp_path / "Rows_25_6.mib", frames_of(1))
    data_set = n4.load("mib", tmp_path / "Rows_256.mib")
    assert [file.name for file in data_set.files] == ["Rows_256.mib"]
    assert "left out" not in " ".join(data_set.notices)


@pytest.mark.parametrize(
    "other",
    [{"kind": "U32"}, {"header_nbytes": 512}, {"layout": "2x2"}, {"depth": 6}],
    ids=str,
)
def test_alien_siblings_are_left_out_and_said_so(tmp_path, other):
    path, _ = write_series(tmp_path, frames_of(4), (2, 2))
    write_mib(tmp_path / "scan3.mib", frames_of(2, first=5), first=5, **other)
    data_set = n4.load("mib", path)
    assert numbers_of(data_set) == [1, 2, 3, 4]
    assert any("scan3.mib" in notice for notice in data_set.notices)


def test_sibling_of_another_frame_size_is_left_out(tmp_path):
    path, _ = write_series(tmp_path, frames_of(4), (2, 2))
    write_mib(tmp_path / "scan3.mib", frames_of(2, (4, 2), first=5), first=5)
    assert numbers_of(n4.load("mib", path)) == [1, 2, 3, 4]


def test_sibling_that_restarts_at_1_is_left_out_and_said_so(tmp_path):
    paths = write_series(tmp_path, frames_of(4), (2, 2))
    write_mib(tmp_path / "scan3.mib", frames_of(3, first=101))
    for opened, numbers in (
        (paths[0], [1, 2, 3, 4]),
        (paths[1], [1, 2, 3, 4]),
        (tmp_path / "scan3.mib", [101, 102, 103]),
    ):
        data_set = n4.load("mib", opened)
        assert numbers_of(data_set) == numbers
        assert any("left out" in notice for notice in data_set.notices)


def test_series_far_away_is_another_acquisition(tmp_path):
    path, _ = write_series(tmp_path, frames_of(4), (2, 2))
    write_mib(tmp_path / "scan3.mib", frames_of(2), first=10**15)
    data_set = n4.load("mib", path)
    assert numbers_of(data_set) == [1, 2, 3, 4]
    assert any("scan3.mib" in notice for notice in data_set.notices)


@pytest.mark.parametrize("content", [b"", b"notes\n", b"MQ1,000005,003", b"\0" * 999])
def test_unreadable_member_is_left_out_with_a_warning(tmp_path, content):
    path, _ = write_series(tmp_path, frames_of(4), (2, 2))
    (tmp_path / "scan3.mib").write_bytes(content)
    with pytest.warns(n4.FormatWarning, match=r"scan3\.mib"):
        data_set = n4.load("mib", path)
    assert numbers_of(data_set) == [1, 2, 3, 4]


@pytest.mark.parametrize("opened", [0, 2])
def test_lost_file_keeps_its_place_and_warns(tmp_path, opened):
    paths = write_series(tmp_path, frames_of(9), (3, 2, 4))
    paths[1].unlink()
    with pytest.warns(n4.FormatWarning, match="2 .*missing") as told:
        data_set = n4.load("mib", paths[opened], nav_shape=(3, 3))
    assert len(told) == 1
    assert data_set.num_stored_frames == 9
    assert numbers_of(data_set) == [1, 2, 3, 0, 0, 6, 7, 8, 9]
    assert data_set.valid.ravel().tolist() == [True] * 3 + [False] * 2 + [True] * 4
    assert numbers_of(data_set.with_scan(sync_offset=4)) == [0, 6, 7, 8, 9, 0, 0, 0, 0]


def test_many_lost_files_are_one_warning(tmp_path):
    paths = write_series(tmp_path, frames_of(40), (1,) * 40)
    for path in paths[1::2]:
        path.unlink()
    with pytest.warns(n4.FormatWarning, match="19 .*missing") as told:
        n4.load("mib", paths[0], nav_shape=(39,))
    assert len(told) == 1


def test_first_file_lost_begins_with_the_next(tmp_path):
    paths = write_series(tmp_path, frames_of(6), (2, 2, 2))
    paths[0].unlink()
    assert numbers_of(n4.load("mib", paths[1])) == [3, 4, 5, 6]


@pytest.mark.parametrize("cut", [0, 1, 2])
@pytest.mark.parametrize("opened", [0, 1, 2])
def test_member_cut_off_anywhere_leaves_the_others_in_place(tmp_path, opened, cut):
    frames = list(frames_of(COUNT))
    paths = write_series(tmp_path, frames, (5, 4, 3))
    begin, count = ((0, 5), (5, 4), (9, 3))[cut]
    size = paths[cut].stat().st_size
    frame_nbytes = size // count
    for nbytes in range(size - 1, -1, -29):
        os.truncate(paths[cut], nbytes)
        whole = nbytes // frame_nbytes
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            try:
                data_set = n4.load("mib", paths[opened], nav_shape=NAV_SHAPE)
            except n4.FormatError:
                assert opened == cut
                assert whole == 0
                continue
        assert {warning.category for warning in told} == {n4.FormatWarning}
        left = list(frames)
        left[begin + whole : begin + count] = [None] * (count - whole)
        if cut == 0 and nbytes < 384:
            left = left[5:]  # nothing tells where the others begin
        scan, valid = scan_of(left, NAV_SHAPE)
        assert_is(data_set[...], scan)
        assert_is(data_set.valid, valid)


def test_many_files_cut_off_are_few_warnings(tmp_path):
    paths = write_series(tmp_path, frames_of(80), (2,) * 40)
    for path in paths:
        os.truncate(path, path.stat().st_size - 1)
    with pytest.warns(n4.FormatWarning, match="missing") as told:
        data_set = n4.load("mib", paths[0], nav_shape=(8, 10))
    assert len(told) <= 5
    assert data_set.valid.sum() == 40


# The text file of the acquisition.


@pytest.mark.parametrize(
    ("lines", "nav_shape"),
    [
        ({"ScanX": 3, "ScanY": 4}, (4, 3)),
        ({"ScanX": 0, "ScanY": 4}, (12,)),
        ({"ScanX": "", "ScanY": "four"}, (12,)),
        ({"ScanX": "-3", "ScanY": "-4"}, (12,)),
        ({"ScanX": "9" * 5000, "ScanY": ""}, (12,)),
        (
            {
                "Frames in Acquisition (Number)": 12,
                "Frames per Trigger (Number)": 4,
            },
            (3, 4),
        ),
        (
            {
                "Frames in Acquisition (Number)": 12,
                "Frames per Trigger (Number)": 4,
                "ScanX": 2,
                "ScanY": 6,
            },
            (6, 2),
        ),
        (
            {"Frames in Acquisition (Number)": 12, "Frames per Trigger (Number)": 1},
            (12,),
        ),
        (
            {"Frames in Acquisition (Number)": 0, "Frames per Trigger (Number)": 0},
            (12,),
        ),
        (
            {"Frames in Acquisition (Number)": 0, "Frames per Trigger (Number)": 4},
            (12,),
        ),
        ({}, (12,)),
    ],
)
@pytest.mark.parametrize("newline", ["\r\n", "\n"])
def test_scan_shape_comes_from_the_hdr(tmp_path, lines, nav_shape, newline):
    write_mib(tmp_path / "scan.mib", frames_of(12))
    write_hdr(tmp_path / "scan.hdr", lines, newline=newline)
    for opened in ("scan.mib", "scan.hdr"):
        data_set = n4.load("auto", tmp_path / opened)
        assert data_set.filetype == "mib"
        assert data_set.nav_shape == nav_shape
        assert numbers_of(data_set) == list(range(1, 13))
        assert tmp_path / "scan.hdr" in data_set.files


def test_user_knows_better_than_the_hdr(tmp_path):
    write_mib(tmp_path / "scan.mib", frames_of(12))
    write_hdr(tmp_path / "scan.hdr", {"ScanX": 3, "ScanY": 4})
    data_set = n4.load("mib", tmp_path / "scan.hdr", nav_shape=(2, 6))
    assert data_set.nav_shape == (2, 6)


def test_hdr_in_another_encoding_is_read(tmp_path):
    write_mib(tmp_path / "scan.mib", frames_of(6))
    lines = {"Remark": "M\u00fcller, 5 \u00b5m", "ScanX": 3, "ScanY": 2, "No value": ""}
    write_hdr(tmp_path / "scan.hdr", lines, magic="HDR,")
    data_set = n4.load("mib", tmp_path / "scan.mib")
    assert data_set.nav_shape == (2, 3)
    assert "ller" in data_set.metadata["header"]["Remark"]


def test_interrupted_acquisition_opens_with_one_warning(tmp_path):
    write_mib(tmp_path / "scan.mib", frames_of(10))
    write_hdr(tmp_path / "scan.hdr", {"ScanX": 4, "ScanY": 4})
    with pytest.warns(n4.FormatWarning, match="the last 6 are missing") as told:
        data_set = n4.load("mib", tmp_path / "scan.mib")
    assert len(told) == 1
    assert data_set.valid.sum() == 10


def test_guessed_square_is_in_the_diagnostics_and_no_warning(tmp_path):
    write_mib(tmp_path / "scan.mib", frames_of(9))
    data_set = n4.load("mib", tmp_path / "scan.mib")
    assert data_set.nav_shape == (3, 3)
    assert any(
        name == "notice" and "guessed: 3 x 3" in value
        for name, value in data_set.diagnostics()
    )


def test_a_given_scan_shape_is_not_called_a_guess(tmp_path):
    write_mib(tmp_path / "scan.mib", frames_of(9))
    data_set = n4.load("mib", tmp_path / "scan.mib", nav_shape=(1, 9))
    assert not any("guess" in notice for notice in data_set.notices)


def test_number_of_frames_that_is_no_square_is_one_line_and_told(tmp_path):
    write_mib(tmp_path / "scan.mib", frames_of(7))
    data_set = n4.load("mib", tmp_path / "scan.mib")
    assert data_set.nav_shape == (7,)
    assert any("one line of 7" in notice for notice in data_set.notices)


def test_single_image_is_a_scan_of_1_by_1(tmp_path):
    write_mib(tmp_path / "scan.mib", frames_of(1))
    assert n4.load("mib", tmp_path / "scan.mib").nav_shape == (1, 1)


def test_hdr_alone_is_an_error(tmp_path):
    write_hdr(tmp_path / "scan.hdr", {})
    write_mib(tmp_path / "other.mib", frames_of(1))
    with pytest.raises(n4.FormatError, match=r"no \.mib file belongs to") as told:
        n4.load("auto", tmp_path / "scan.hdr")
    assert "scan.mib" in told.value.expected
    assert told.value.hint


def test_hdr_of_other_software_is_not_ours(tmp_path):
    path = tmp_path / "scan.hdr"
    path.write_text("ENVI\nsamples = 4\n")
    write_mib(tmp_path / "scan.mib", frames_of(4))
    with pytest.raises(n4.FormatError, match="not recognized"):
        n4.detect(path)
    with pytest.raises(n4.FormatError, match=r"not the \.hdr file of a Merlin") as e:
        n4.load("mib", path)
    assert "ENVI" in e.value.found
    data_set = n4.load("mib", tmp_path / "scan.mib")
    assert path not in data_set.files


def test_folder_of_one_series_opens(tmp_path):
    write_series(tmp_path, frames_of(4), (2, 2))
    write_hdr(tmp_path / "scan.hdr", {})
    (tmp_path / "notes.txt").write_text("lens 2 was off")
    assert numbers_of(n4.load("auto", tmp_path)) == [1, 2, 3, 4]


def test_folder_of_two_acquisitions_is_an_error_that_names_them(tmp_path):
    write_series(tmp_path, frames_of(4), (2, 2))
    write_mib(tmp_path / "overview.mib", frames_of(1))
    with pytest.raises(n4.FormatError, match="several data sets") as told:
        n4.load("auto", tmp_path)
    assert "overview.mib" in told.value.found
    assert "scan" in told.value.found


# What the header says.


def test_header_facts_are_in_the_metadata(tmp_path):
    write_mib(tmp_path / "scan.mib", frames_of(2))
    write_hdr(tmp_path / "scan.hdr", {"Chip ID": "W556_B4"})
    metadata = n4.load("mib", tmp_path / "scan.mib").metadata
    assert metadata["exposure_s"] == pytest.approx(1.5e-3)
    assert metadata["dwell_s"] == pytest.approx(2e-3)
    assert metadata["counter_depth"] == 12
    assert metadata["timestamp"] == "2021-04-15T14:43:00.835428401Z"
    assert "Merlin" in metadata["instrument"]
    header = metadata["header"]
    assert header["thresholds_keV"][:2] == [40.0, 511.0]
    assert len(header["thresholds_keV"]) == 8
    assert header["gain_mode"] == "LGM"
    assert header["sensor_layout"] == "1x1"
    assert header["chip_select"] == "01"
    assert header["Chip ID"] == "W556_B4"


def test_old_header_tells_what_it_can(tmp_path):
    write_mib(tmp_path / "scan.mib", frames_of(2), tail=False)
    metadata = n4.load("mib", tmp_path / "scan.mib").metadata
    assert metadata["exposure_s"] == pytest.approx(1e-3)
    assert metadata["timestamp"] == "2021-04-15T14:43:00.835428"
    assert "counter_depth" not in metadata


@pytest.mark.parametrize(
    "stamp", [b"2021-04-15 14:43:01+02:00 ", b"yesterday" + b" " * 17, b"9" * 26]
)
def test_strange_time_stamps_are_no_problem(tmp_path, stamp):
    path = tmp_path / "scan.mib"
    write_mib(path, frames_of(2))
    content = path.read_bytes()
    at = content.rindex(b"2021-04-15 14:43")
    path.write_bytes(content[:at] + stamp + content[at + 26 :])
    data_set = n4.load("mib", path)
    assert "dwell_s" not in data_set.metadata
    assert numbers_of(data_set) == [1, 2]


# Bad files.


def refusal(path, content, **parameters):
    """Return the error that a file of this content gives."""
    path.write_bytes(content)
    with pytest.raises(n4.FormatError) as told:
        n4.load("mib", path, **parameters)
    assert told.value.path == str(path)
    return told.value


def header_with(**changes):
    """Return a header in which fields, by their number, say something else."""
    fields = mib_header(1, 8, 8, "U16").rstrip(b"\0").split(b",")
    for number, value in changes.items():
        fields[int(number[1:])] = value
    return b",".join(fields).ljust(384, b"\0")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"f1": b"one"}, "sequence number"),
        ({"f2": b"00000"}, "header size"),
        ({"f2": b"99999"}, "header size"),
        ({"f2": b"-0384"}, "header size"),
        ({"f3": b"00"}, "number of chips"),
        ({"f4": b"0"}, "width"),
        ({"f4": b"-8"}, "width"),
        ({"f4": b"9" * 40}, "width"),
        ({"f5": b"0.5"}, "height"),
        ({"f5": b""}, "height"),
        ({"f5": b"\xb2"}, "height"),
    ],
)
def test_impossible_number_is_refused(tmp_path, changes, said):
    content = header_with(**changes) + bytes(1000)
    error = refusal(tmp_path / "a.mib", content)
    assert f"impossible {said}" in str(error)
    assert "a number from" in error.expected
    assert error.found


@pytest.mark.parametrize("field", ["f1", "f3", "f4", "f5", "f25"])
def test_number_of_many_digits_is_refused(tmp_path, field):
    fields = mib_header(1, 8, 8, "R64").rstrip(b"\0").split(b",")
    fields[2] = b"65000"
    # field 25 stands for the counter depth behind the tail's mark
    at = fields.index(b"MQ1A") + 3 if field == "f25" else int(field[1:])
    fields[at] = b"9" * 6000
    refusal(tmp_path / "a.mib", b",".join(fields).ljust(65000, b"\0") + bytes(1000))


@pytest.mark.parametrize("size", [2**31, 2**62])
@pytest.mark.parametrize("kind", [b"U16", b"R64"])
def test_absurd_frame_allocates_nothing(tmp_path, size, kind):
    side = str(size).encode()
    tracemalloc.start()
    try:
        content = header_with(f4=side, f5=side, f6=kind) + bytes(1000)
        error = refusal(tmp_path / "a.mib", content)
        assert tracemalloc.get_traced_memory()[1] < 10 * 2**20
    finally:
        tracemalloc.stop()
    assert "impossibly large frames" in str(error)
    assert error.found.endswith("in a file of 1384 bytes")


@pytest.mark.parametrize(
    ("content", "said", "expected"),
    [
        (b"notes about a scan", "not a MIB file", "None"),
        (b"MQ1,000001,00384,01", "header is incomplete", "fields"),
        (header_with()[:300], "header is incomplete", "384 bytes"),
        (header_with(), "no complete frame", "512 bytes"),
        (header_with(f6=b"X99") + bytes(128), "unknown pixel type", "U08"),
        (header_with(f6=b"U01") + bytes(128), "unknown pixel type", "R64"),
        (
            mib_header(1, 8, 8, "R64", tail=False) + bytes(128),
            "unknown counter depth",
            "MQ1A",
        ),
        (
            mib_header(1, 8, 8, "R64", depth=5) + bytes(128),
            "unknown counter depth",
            "12",
        ),
        (
            mib_header(1, 8, 8, "R64", depth=None) + bytes(128),
            "unknown counter depth",
            "12",
        ),
        (mib_header(1, 9, 8, "R64") + bytes(144), "impossible width", "4 pixels"),
        (
            mib_header(1, 12, 8, "R64", chips=4, layout="2x2", nbytes=768) + bytes(192),
            "impossible width",
            "16 pixels",
        ),
    ],
)
def test_bad_file_tells_what_is_wrong(tmp_path, content, said, expected):
    error = refusal(tmp_path / "a.mib", content)
    assert said in str(error)
    assert expected in str(error.expected)
    assert error.found


@pytest.mark.parametrize(
    ("chips", "layout", "depth"), [(4, "Nx1", 12), (2, "Nx1", 6), (4, "2x2", 24)]
)
def test_raw_frames_of_unknown_chip_order_are_refused(tmp_path, chips, layout, depth):
    header = mib_header(
        1, 16, 4, "R64", chips=chips, layout=layout, depth=depth, nbytes=768
    )
    error = refusal(tmp_path / "a.mib", header + bytes(1024))
    assert "arrangement of chips cannot be read" in str(error)
    assert layout in error.found
    assert "U16" in error.hint


def test_sig_shape_must_have_the_pixels_of_a_frame(tmp_path):
    write_mib(tmp_path / "a.mib", frames_of(4, (6, 8)))
    with pytest.raises(n4.FormatError, match="48 pixels") as told:
        n4.load("mib", tmp_path / "a.mib", sig_shape=(5, 5))
    assert told.value.found == "25 pixels"


def test_text_named_mib_is_not_recognized(tmp_path):
    path = tmp_path / "notes.mib"
    path.write_text("lens 2 was off\n")
    with pytest.raises(n4.FormatError, match="not recognized") as told:
        n4.load("auto", path)
    assert "lens 2" in told.value.found


def test_mib_of_any_name_is_recognized(tmp_path):
    write_mib(tmp_path / "scan.dat", frames_of(4))
    assert n4.detect(tmp_path / "scan.dat").filetype == "mib"


def test_series_moved_elsewhere_says_which_file_is_gone(tmp_path):
    paths = write_series(tmp_path, frames_of(4), (2, 2))
    data_set = n4.load("mib", paths[0])
    shutil.move(paths[1], tmp_path / "elsewhere.mib")
    assert data_set[0, 0].max() == 1
    with pytest.raises(n4.FormatError, match=r"scan2\.mib: cannot be read"):
        data_set[1, 1]
