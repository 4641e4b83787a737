"""SEQ: Norpix StreamPix sequences."""

from __future__ import annotations

import pickle
import tracemalloc
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import napari_4dstem as n4
from tests.formats.contract import Case, FileContract, assert_is
from tests.formats.write_mrc import write_mrc
from tests.formats.write_seq import (
    defect_map,
    seq_header,
    write_defects,
    write_seq,
    write_settings,
)

FRAMES = np.random.default_rng(0).integers(0, 4000, (6, 8, 10)).astype("u2")
DARK = np.linspace(0, 100, 80, dtype="f4").reshape(8, 10)
GAIN = np.linspace(0.5, 2, 80, dtype="f4").reshape(8, 10)


def save_seq(folder, scan, **options):
    path = folder / "scan.seq"
    frames = scan.reshape(-1, *scan.shape[-2:])
    return {"path": path}, write_seq(path, frames, **options)


class TestSeq(FileContract):
    cases = (
        Case("u2-padded", "seq", partial(save_seq, padding=26)),
        Case("u1-old", "seq", partial(save_seq, version=4), dtype="u1", top=256),
    )


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "scan.seq"
    write_seq(path, FRAMES)
    return path


def beside(path, ending):
    return path.with_name(f"{path.name.removesuffix('.seq')}.seq.{ending}")


# Frames.


@settings(deadline=None, max_examples=40)
@given(
    dtype=st.sampled_from(["u1", "u2", "u4"]),
    shape=st.tuples(*[st.integers(1, 5)] * 3),
    version=st.sampled_from([3, 4, 5, 6]),
    padding=st.integers(0, 300),
    stamped=st.booleans(),
)
def test_any_sequence_comes_back(
    tmp_path_factory, dtype, shape, version, padding, stamped
):
    path = tmp_path_factory.mktemp("any") / "a.seq"
    frames = np.random.default_rng(0).integers(0, 250, shape).astype(dtype)
    write_seq(path, frames, version=version, padding=padding, stamped=stamped)
    data_set = n4.load("auto", path)
    assert data_set.filetype == "seq"
    assert data_set.nav_shape == shape[:1]
    assert_is(data_set[...], frames)


def test_stopped_recording_has_the_frames_that_are_there(path):
    write_seq(path, FRAMES, allocated=5000)
    data_set = n4.load("seq", path)
    assert data_set.nav_shape == (6,)
    assert data_set.valid.all()
    assert "6 of 5000 planned" in data_set.notices[0]


def test_frame_that_is_cut_off_is_blank(path):
    with open(path, "r+b") as file:
        file.truncate(path.stat().st_size - 20)
    with pytest.warns(n4.FormatWarning, match="1 frame is missing"):
        data_set = n4.load("seq", path)
    assert data_set.valid.tolist() == [True] * 5 + [False]


def test_last_frame_may_lack_its_padding(path):
    end = write_seq(path, FRAMES, padding=400)[-1]
    with open(path, "r+b") as file:
        file.truncate(end)
    data_set = n4.load("seq", path)
    assert_is(data_set[...], FRAMES)


@pytest.mark.parametrize("allocated", [0, 3, 6])
def test_bytes_after_all_frames_are_ignored(path, allocated):
    write_seq(path, FRAMES, allocated=allocated)
    with open(path, "ab") as file:
        file.write(b"index" * 7)
    data_set = n4.load("seq", path)
    assert data_set.valid.all()
    assert_is(data_set[...], FRAMES)


def test_time_stamps_tell_when_and_how_fast(path):
    metadata = n4.load("seq", path).metadata
    assert metadata["timestamp"] == "2020-05-17T08:30:00+00:00"
    assert metadata["dwell_s"] == 0.0025
    header = metadata["header"]
    assert header["description"] == "gold"
    assert header["real_bit_depth"] == 12
    assert header["frame_rate_hz"] == 400
    write_seq(path, FRAMES, stamped=False)
    assert set(n4.load("seq", path).metadata) == {"header"}
    write_seq(path, FRAMES, version=4)
    assert n4.load("seq", path).metadata["dwell_s"] == 0.002  # no microseconds


# What lies beside it.


@pytest.mark.parametrize("name", ["scan.seq", "scan.seq.seq"])
def test_companions_are_found_and_not_applied(tmp_path, name):
    path = tmp_path / name
    write_seq(path, FRAMES)
    write_mrc(tmp_path / "scan.seq.dark.mrc", DARK[None])
    write_mrc(tmp_path / "scan.seq.gain.mrc", GAIN[None])
    data_set = n4.load("seq", path)
    assert data_set.files == (
        path,
        tmp_path / "scan.seq.dark.mrc",
        tmp_path / "scan.seq.gain.mrc",
    )
    assert data_set.corrections is None
    assert_is(data_set[...], FRAMES)
    assert "dark frame, gain map" in data_set.notices[-1]
    assert "corrections=True" in data_set.notices[-1]
    assert_is(np.asarray(data_set.found_corrections.dark), DARK)
    assert_is(np.asarray(data_set.found_corrections.gain), GAIN)


def test_found_corrections_are_applied_on_demand(path):
    write_mrc(beside(path, "dark.mrc"), DARK[None])
    write_mrc(beside(path, "gain.mrc"), GAIN[None])
    data_set = n4.load("seq", path, corrections=True)
    assert_is(data_set[...], (FRAMES - DARK) * GAIN)
    assert_is(data_set.to_dask().compute(), data_set[...])
    assert len(pickle.dumps(data_set)) < 3000
    again = n4.load("seq", path, **data_set.parameters)
    assert_is(again[...], data_set[...])


@pytest.mark.parametrize("dtype", ["u2", ">i2", "f2"])
def test_dark_frame_may_be_of_any_real_type(path, dtype):
    dark = np.arange(80).reshape(1, 8, 10).astype(dtype)
    write_mrc(beside(path, "dark.mrc"), dark)
    data_set = n4.load("seq", path, corrections=True)
    assert_is(data_set[...], FRAMES - dark.astype("f4"))


def test_only_headers_of_companions_are_read_at_first(path):
    write_mrc(beside(path, "dark.mrc"), DARK[None])
    data_set = n4.load("seq", path, corrections=True)
    beside(path, "dark.mrc").unlink()
    with pytest.raises(n4.FormatError, match="corrections cannot be read") as told:
        data_set[0]
    assert "corrections=False" in told.value.hint


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((1, 10, 8), "f4"),
        np.zeros((2, 8, 10), "f4"),
        np.zeros((1, 8, 10), "c8"),
    ],
)
def test_companion_that_does_not_fit_is_left_out_with_a_warning(path, image):
    write_mrc(beside(path, "dark.mrc"), image)
    with pytest.warns(n4.FormatWarning, match="does not fit the sequence") as told:
        data_set = n4.load("seq", path, corrections=True)
    assert "scan.seq.dark.mrc" in str(told[0].message)
    assert_is(data_set[...], FRAMES)


@pytest.mark.parametrize("nbytes", [0, 700, 1100])
def test_companion_that_is_cut_off_is_left_out_with_a_warning(path, nbytes):
    write_mrc(beside(path, "gain.mrc"), GAIN[None])
    content = beside(path, "gain.mrc").read_bytes()
    beside(path, "gain.mrc").write_bytes(content[:nbytes])
    with pytest.warns(n4.FormatWarning, match="left out"):
        data_set = n4.load("seq", path)
    assert data_set.found_corrections is None


# Bad pixels.


def excluded_by(path, maps, size=(8, 10), **settings):
    """Return which pixels are excluded, as a list of (y, x)."""
    write_settings(beside(path, "metadata"), size, **settings)
    write_defects(beside(path, "Config.Metadata.xml"), maps)
    found = n4.load("seq", path).found_corrections
    return [] if found is None else np.argwhere(found.excluded).tolist()


def test_defects_are_rows_columns_and_pixels_of_the_sensor(path):
    def defects(*texts):
        return excluded_by(path, [defect_map(20, 30, texts)], offset=(4, 6))

    row = [[2, x] for x in range(10)]
    assert defects('Row="6"') == row
    assert defects('Column="7"') == [[y, 1] for y in range(8)]
    assert defects('Row="5" Column="7"') == [[1, 1]]
    assert defects('Rows="5-6"') == [[1, x] for x in range(10)] + row
    assert defects('Columns="14-99999999999"') == [
        [y, x] for y in range(8) for x in (8, 9)
    ]
    assert defects('Rows="4-5" Column="6"', 'Row="11" Columns="15-15"') == [
        [0, 0],
        [1, 0],
        [7, 9],
    ]
    for outside in ('Row="3"', 'Column="16"', 'Rows="12-19"', 'Row="x"', ""):
        assert defects(outside) == []


def test_map_is_that_of_the_binning_and_the_largest(path):
    maps = [
        defect_map(16, 20, ['Row="1" Column="1"'], Binning=1),
        defect_map(16, 24, ['Row="2" Column="2"']),
        defect_map(16, 24, ['Row="3" Column="3"']),
        defect_map(8, 10, ['Row="4" Column="4"'], Binning=2),
        defect_map(8, 12, ['Row="5" Column="5"'], Binning=4),
    ]
    assert excluded_by(path, maps) == [[2, 2]]
    assert excluded_by(path, maps, size=(16, 20), binning=2) == [[5, 5]]
    assert excluded_by(path, maps[3:]) == []


def test_offset_of_a_binned_frame_is_in_pixels_of_the_sensor(path):
    maps = [defect_map(10, 14, ['Row="4" Column="5"'], Binning=2)]
    found = excluded_by(path, maps, size=(16, 20), offset=(4, 6), binning=2)
    assert found == [[2, 2]]


@pytest.mark.parametrize(
    ("size", "offset"), [((8, 10), (0, 1)), ((8, 10), (-1, 0)), ((8, 9), (0, 0))]
)
def test_map_that_does_not_fit_is_left_out_with_a_warning(path, size, offset):
    with pytest.warns(n4.FormatWarning, match="map of bad pixels does not fit"):
        assert (
            excluded_by(path, [defect_map(8, 10, ['Row="1"'])], size, offset=offset)
            == []
        )


def test_excluded_pixels_become_the_mean_of_their_neighbors(path):
    excluded_by(path, [defect_map(8, 10, ['Row="3" Column="4"'])])
    data_set = n4.load("seq", path, corrections=True)
    near = FRAMES[:, 2:5, 3:6].astype("f4").sum((1, 2)) - FRAMES[:, 3, 4]
    np.testing.assert_allclose(data_set[:, 3, 4], near / 8)


def test_map_of_bad_pixels_needs_the_camera_settings(path):
    write_defects(beside(path, "Config.Metadata.xml"), [defect_map(8, 10, ['Row="1"'])])
    assert n4.load("seq", path).found_corrections is None


BOMB = '<!DOCTYPE a [<!ENTITY b "bbbbbbbb"><!ENTITY c "&b;&b;&b;&b;">]><a>&c;&c;</a>'


@pytest.mark.parametrize("text", ["", "<a", "no XML", BOMB, "<a/>" * 2])
def test_xml_that_cannot_be_read_is_left_out_with_a_warning(path, text):
    write_settings(beside(path, "metadata"), (8, 10))
    beside(path, "Config.Metadata.xml").write_text(text)
    with pytest.warns(n4.FormatWarning, match="left out"):
        assert n4.load("seq", path).found_corrections is None


def test_settings_that_are_cut_off_are_left_out_with_a_warning(path):
    write_settings(beside(path, "metadata"), (8, 10))
    content = beside(path, "metadata").read_bytes()
    beside(path, "metadata").write_bytes(content[:300])
    with pytest.warns(n4.FormatWarning, match="header is incomplete"):
        n4.load("seq", path)


# Bad files.


def refusal(path, header, rest=bytes(1000)):
    path.write_bytes(header + rest)
    tracemalloc.start()
    try:
        with pytest.raises(n4.FormatError) as told:
            n4.load("seq", path)
        assert tracemalloc.get_traced_memory()[1] < 10 * 2**20
    finally:
        tracemalloc.stop()
    assert str(path) in str(told.value)
    return told.value


@pytest.mark.parametrize(
    ("numbers", "fields", "said", "offset", "found"),
    [
        ((4, 4, 16, 40), {"compression": 1}, "compressed", 620, 1),
        ((4, 4, 16, 40), {"image_format": 101}, "monochrome", 568, 101),
        ((4, 4, 12, 40), {}, "unknown bits per pixel", 556, 12),
        ((0, 4, 16, 40), {}, "impossible width", 548, 0),
        ((4, 0, 16, 40), {}, "impossible height", 552, 0),
        ((4, 4, 16, 31), {}, "too small for images of 4 x 4", 580, 31),
        ((4, 4, 16, 0), {}, "too small for images of 4 x 4", 580, 0),
        ((2**32 - 1, 2**32 - 1, 32, 40), {}, "too small for images", 580, 40),
    ],
)
def test_what_cannot_be_read_is_refused(path, numbers, fields, said, offset, found):
    error = refusal(path, seq_header(*numbers, **fields))
    assert said in error.problem
    assert error.offset == offset
    assert error.found == found


def test_another_mark_is_refused(path):
    error = refusal(path, seq_header(4, 4, 16, 40, magic=0xFEEE))
    assert "not a StreamPix sequence" in error.problem
    assert error.found.startswith("the bytes ee fe 00 00")


def test_file_without_a_whole_frame_tells_both_sizes(path):
    error = refusal(path, seq_header(40, 40, 16, 2**32 - 1))
    assert "no complete frame" in error.problem
    assert error.expected.startswith(f"at least {8192 + 3200} bytes")
    assert error.found == "9192 bytes"


def test_short_header_tells_both_sizes(path):
    error = refusal(path, seq_header(4, 4, 16, 40)[:500], b"")
    assert "header is incomplete" in error.problem
    assert error.found == "500 bytes"


def test_name_alone_is_not_enough(path):
    path.write_bytes(b"something else" * 1000)
    with pytest.raises(n4.FormatError, match="not recognized"):
        n4.detect(path)
