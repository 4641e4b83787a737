"""TVIPS: streams of TemCam cameras."""

from __future__ import annotations

import math
import os
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import napari_4dstem as n4
from tests.formats.contract import Case, FileContract, assert_is
from tests.formats.write_tvips import write_series, write_tvips

NAN, INF = math.nan, math.inf


def save_tvips(folder, scan, **options):
    path = folder / "rec_000.tvips"
    frames = scan.reshape(-1, *scan.shape[2:])
    return {"path": path}, write_tvips(path, frames, **options)


def save_series(folder, scan):
    frames = scan.reshape(-1, *scan.shape[2:])
    return {"path": write_series(folder, frames, (5, 4, 3))[1]}, []


class TestTvips(FileContract):
    cases = (
        Case("v2-8-bit", "tvips", save_tvips, dtype="u1", top=256),
        Case("v1", "tvips", partial(save_tvips, version=1, frame_header=0)),
    )


class TestSeries(FileContract):
    cases = (Case("three-files", "tvips", save_series),)
    test_cut_off_at_any_byte = None  # see below
    test_empty_file_is_an_error = None


def numbered(count, shape=(3, 2)):
    """Return frames that tell their number, from 1."""
    return np.arange(1, count + 1, dtype="u2")[:, None, None] * np.ones(shape, "u2")


def numbers_of(data_set):
    return data_set[...].reshape(-1, 6)[:, 0].tolist()


def raster(height, width):
    return [(float(y), float(x)) for y in range(height) for x in range(width)]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "rec_000.tvips"


@settings(deadline=None, max_examples=40)
@given(
    bits=st.sampled_from([8, 16]),
    shape=st.tuples(*[st.integers(1, 6)] * 3),
    version=st.sampled_from([1, 2]),
    frame_header=st.sampled_from([12, 60, 76, 108, 160, 5000]),
    seed=st.integers(0, 9),
)
def test_any_frames_come_back(
    tmp_path_factory, bits, shape, version, frame_header, seed
):
    path = tmp_path_factory.mktemp("any") / "a_000.tvips"
    frames = np.random.default_rng(seed).integers(0, 2**bits, shape, f"u{bits // 8}")
    write_tvips(path, frames, version=version, frame_header=frame_header)
    data_set = n4.load("auto", path)
    assert data_set.nav_shape == shape[:1]
    assert data_set.sync_offset == 0
    assert_is(data_set[...], frames)


# Series.


@pytest.mark.parametrize("opened", [0, 1, 2])
def test_any_file_opens_the_series(tmp_path, opened):
    paths = write_series(tmp_path, numbered(9), (4, 3, 2))
    data_set = n4.load("auto", paths[opened])
    assert data_set.files == tuple(paths)
    assert numbers_of(data_set) == list(range(1, 10))
    assert n4.load("auto", tmp_path).files == tuple(paths)


def test_other_names_do_not_belong_to_the_series(tmp_path):
    paths = write_series(tmp_path, numbered(5), (3, 2))
    for name in ("rec_extra.tvips", "rec_2_000.tvips", "rec_01.tvips", "Rec_002.tvips"):
        write_tvips(tmp_path / name, numbered(1))
    (tmp_path / "rec_003.tif").touch()
    assert n4.load("tvips", paths[0]).files == tuple(paths)


def test_name_without_a_number_is_one_file(tmp_path):
    write_series(tmp_path, numbered(5), (3, 2))
    path = tmp_path / "rec.TVIPS"
    write_tvips(path, numbered(2))
    assert n4.load("auto", path).files == (path,)


def test_series_that_were_numbered_on_stay_apart(tmp_path):
    first = write_series(tmp_path, numbered(5), (3, 2))
    second = write_series(tmp_path, numbered(4), (2, 2), begin=2)
    for paths in (first, second):
        for path in paths:
            assert n4.load("auto", path).files == tuple(paths)


def test_thousand_files_and_more_keep_their_order(tmp_path):
    counts = (1,) * 3
    paths = write_series(tmp_path, numbered(3), counts, begin=998)
    assert paths[2].name == "rec_1000.tvips"
    assert numbers_of(n4.load("tvips", paths[2])) == [1, 2, 3]


def test_missing_first_file_is_named(tmp_path):
    paths = write_series(tmp_path, numbered(5), (3, 2))
    paths[0].unlink()
    with pytest.raises(n4.FormatError, match=r"first file .*expected rec_000\.tvips"):
        n4.load("auto", paths[1])


def test_file_missing_in_the_middle_is_named(tmp_path):
    paths = write_series(tmp_path, numbered(8), (2, 2, 2, 2))
    paths[2].unlink()
    for path in (paths[0], paths[1], paths[3]):
        with pytest.raises(n4.FormatError, match=r"rec_002\.tvips of the series"):
            n4.load("auto", path)


def test_frames_lost_at_the_end_of_a_file_keep_their_place(tmp_path):
    paths = write_series(tmp_path, numbered(10), (4, 4, 2))
    stride = 108 + 12
    os.truncate(paths[1], stride + 5)
    with pytest.warns(n4.FormatWarning, match="3 frames are missing"):
        data_set = n4.load("tvips", paths[0])
    assert numbers_of(data_set) == [1, 2, 3, 4, 5, 0, 0, 0, 9, 10]
    assert data_set.num_stored_frames == 10


def test_counter_that_does_not_count_is_not_believed(tmp_path):
    frames = numbered(5)
    write_tvips(tmp_path / "a_000.tvips", frames[:3])
    write_tvips(tmp_path / "a_001.tvips", frames[3:], continues=True, first=0)
    os.truncate(tmp_path / "a_000.tvips", 256 + 2 * 120 + 1)
    with pytest.warns(n4.FormatWarning, match="1 frame is missing"):
        data_set = n4.load("tvips", tmp_path / "a_000.tvips")
    assert numbers_of(data_set) == [1, 2, 0, 4, 5]


def test_empty_last_file_adds_nothing(tmp_path):
    paths = write_series(tmp_path, numbered(3), (3, 0))
    assert paths[1].stat().st_size == 0
    assert numbers_of(n4.load("tvips", paths[0])) == [1, 2, 3]


# The scan.


@pytest.mark.parametrize("idle", [0, 1, 5])
@pytest.mark.parametrize("after", [0, 2])
def test_scan_is_found_by_its_positions(path, idle, after):
    positions = [(0.0, 0.0)] * idle + raster(3, 4) + [(2.0, 3.0)] * after
    write_tvips(path, numbered(len(positions)), positions=positions)
    data_set = n4.load("tvips", path)
    assert data_set.nav_shape == (3, 4)
    assert data_set.sync_offset == idle
    assert numbers_of(data_set) == list(range(idle + 1, idle + 13))
    assert data_set.notices
    assert n4.detect(path).parameters["sync_offset"] == idle


def test_scan_may_begin_in_a_later_file(tmp_path):
    positions = [(0.0, 0.0)] * 4 + raster(2, 3)
    paths = write_series(tmp_path, numbered(10), (3, 2, 5), positions=positions)
    data_set = n4.load("tvips", paths[1])
    assert (data_set.nav_shape, data_set.sync_offset) == ((2, 3), 4)


def test_given_parameters_win_one_by_one(path):
    positions = [(0.0, 0.0)] * 2 + raster(3, 4)
    write_tvips(path, numbered(14), positions=positions)
    data_set = n4.load("tvips", path, nav_shape=(2, 5))
    assert (data_set.nav_shape, data_set.sync_offset) == ((2, 5), 2)
    data_set = n4.load("tvips", path, sync_offset=0)
    assert (data_set.nav_shape, data_set.sync_offset) == ((3, 4), 0)


@pytest.mark.parametrize(
    ("positions", "sync_offset"),
    [
        ([(0, 0)] * 6, 0),
        ([(1, 1)] * 6, 0),
        ([(0, 0), *raster(1, 5)], 1),  # one line that does not end
        ([(NAN, NAN), (INF, -INF), (1e30, 1e30), (0, NAN), (0, INF), (-1, -1)], 0),
        ([(0, 0), (0, 1), (0, INF), (0, 0), (0, 1), (0, 2)], 0),
        ([(0, 0), (0, 1), (0, 1e30), (0, 0), (0, 1), (0, 2)], 0),
        ([(0, 0), (0, 1), (NAN, NAN), (0, 2), (0, 3), (0, 4)], 0),
    ],
)
def test_positions_that_tell_no_scan_give_one_line(path, positions, sync_offset):
    write_tvips(path, numbered(6), positions=positions)
    data_set = n4.load("tvips", path)
    assert (data_set.nav_shape, data_set.sync_offset) == ((6,), sync_offset)


@pytest.mark.parametrize("frame_header", [12, 60, 75])
def test_pixels_are_not_taken_for_positions(path, frame_header):
    # bytes 68 to 75 of each frame, read as positions, are a scan of 2 x 3
    frames = np.zeros((6, 3, 100), "u1")
    at = 68 - frame_header
    for frame, (y, x) in zip(frames.reshape(6, -1), raster(2, 3), strict=True):
        frame[max(at, 0) : at + 8] = np.array([x, y], "<f4").view("u1")[max(-at, 0) :]
    write_tvips(path, frames, frame_header=frame_header)
    data_set = n4.load("tvips", path)
    assert data_set.nav_shape == (6,)
    assert_is(data_set[...], frames)


# Metadata.


def test_metadata_of_a_diffraction_pattern(path):
    write_tvips(path, numbered(5))
    data_set = n4.load("tvips", path)
    metadata = data_set.metadata
    assert metadata["beam_energy_kV"] == 200
    assert metadata["camera_length_m"] == 0.8
    assert metadata["timestamp"] == "2023-11-14T22:13:20.000+00:00"
    assert metadata["dwell_s"] == pytest.approx(0.01)
    assert metadata["header"]["mode"] == "diffraction"
    assert metadata["header"]["binning"] == [2, 1]
    assert metadata["header"]["pixel_size"] == 55
    assert metadata["header"]["stage_nm"] == [1.5, -2.5, 3.5]
    assert data_set.calibration.sig == (None, None)


def test_pixel_size_of_an_image_is_its_calibration(path):
    write_tvips(path, numbered(1), mode=1)
    data_set = n4.load("tvips", path)
    assert data_set.calibration.sig == ((55, "nm"), (55, "nm"))
    assert "camera_length_m" not in data_set.metadata
    assert "dwell_s" not in data_set.metadata
    write_tvips(path, numbered(1), mode=1, pixel_size=1)
    assert n4.load("tvips", path).calibration.sig == (None, None)


def test_short_frame_headers_tell_less(path):
    write_tvips(path, numbered(2), version=1, ht=0)
    metadata = n4.load("tvips", path).metadata
    assert metadata["timestamp"] == "2023-11-14T22:13:20.000+00:00"
    assert not {"beam_energy_kV", "camera_length_m"} & set(metadata)
    assert "mode" not in metadata["header"]


# Broken files.


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"size": 999}, "not the first file .* found the bytes e7 03 00 00"),
        ({"version": 3}, r"unknown TVIPS version 3 \(byte 4\)"),
        ({"bits": 12}, r"bits per pixel \(byte 16\): expected 8 or 16, found 12"),
        ({"width": 0}, r"the width .*\(byte 8\)"),
        ({"height": -4}, r"the height .*\(byte 12\)"),
        ({"frame_header": 11}, r"frame header .*\(byte 48\): expected at least 12"),
        ({"frame_header": 2**31 - 1}, "no complete frame"),
        (
            {"width": 2**31 - 1, "height": 2**31 - 1},
            "impossibly large frames.* 2147483647 x 2147483647",
        ),
    ],
)
def test_impossible_header_is_an_error(path, fields, told):
    frames = numbered(2)
    write_tvips(path, frames)
    intact = path.read_bytes()
    write_tvips(path, frames[:0], **fields)
    path.write_bytes(path.read_bytes() + intact[256:])
    with pytest.raises(n4.FormatError, match=told):
        n4.load("tvips", path)


@pytest.mark.parametrize("nbytes", [1, 51, 52, 255])
def test_incomplete_header_is_an_error(path, nbytes):
    write_tvips(path, numbered(2))
    os.truncate(path, nbytes)
    with pytest.raises(n4.FormatError, match=f"incomplete: .* found {nbytes} bytes"):
        n4.load("tvips", path)


def test_other_content_with_the_name_is_not_recognized(path):
    path.write_bytes(b"TVIPS " * 100)
    with pytest.raises(n4.FormatError, match="not recognized"):
        n4.load("auto", path)
