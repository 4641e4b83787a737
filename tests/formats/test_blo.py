"""BLO: blockfiles of NanoMEGAS."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import napari_4dstem as n4
from tests.formats.contract import Case, FileContract, assert_is
from tests.formats.write_blo import write_blo

SCAN = np.arange(1, 97, dtype="u1").reshape(2, 3, 4, 4)


def save_blo(folder, scan, **options):
    path = folder / "scan.blo"
    return {"path": path}, write_blo(path, scan, **options)


class TestBlo(FileContract):
    cases = (
        Case("8-bit", "blo", save_blo, dtype="u1", sig_shape=(4, 4), top=256),
        Case(
            "16-bit-big-endian",
            "blo",
            partial(save_blo, order=">", gap=7),
            dtype=">u2",
            sig_shape=(3, 3),
        ),
    )


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.blo"


@settings(deadline=None, max_examples=40)
@given(
    scan=st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 5)).flatmap(
        lambda n: hnp.arrays(st.sampled_from(["u1", "u2"]), (*n, n[2]))
    ),
    order=st.sampled_from("<>"),
    gap=st.integers(0, 5000),
)
def test_any_scan_comes_back(tmp_path_factory, scan, order, gap):
    path = tmp_path_factory.mktemp("any") / "a.blo"
    write_blo(path, scan, order=order, gap=gap)
    data_set = n4.load("auto", path)
    assert data_set.nav_shape == scan.shape[:2]
    assert_is(data_set[...], scan)


def test_calibration_comes_from_steps_screen_and_camera_length(path):
    write_blo(path, SCAN)
    calibration = n4.load("blo", path).calibration
    assert calibration.nav == ((12.9, "nm"), (12.8, "nm"))
    # 62.26 pixels a cm, 20 cm away
    assert (
        calibration.sig[0]
        == calibration.sig[1]
        == pytest.approx((1000 / 62.26 / 20, "mrad"))
    )


@pytest.mark.parametrize("unknown", ["sdp", "camera_length"])
def test_without_screen_or_camera_length_the_pixel_is_unknown(path, unknown):
    write_blo(path, SCAN, **{unknown: 0})
    assert n4.load("blo", path).calibration.sig == (None, None)


def test_header_and_notes_come_out(path):
    write_blo(path, SCAN)
    metadata = n4.load("blo", path).metadata
    assert metadata["beam_energy_kV"] == 200
    assert metadata["camera_length_m"] == 0.2
    assert metadata["timestamp"] == "2015-12-03T15:36:00.000"
    assert metadata["header"]["scan_rotation_deg"] == 25
    assert metadata["header"]["Precession angle"] == "0.9"
    assert metadata["header"]["Camera gamma"] == "on"


@pytest.mark.parametrize("time", [0.0, -5.0, np.nan, np.inf, 1e300])
def test_nonsense_in_place_of_the_time_is_no_time(path, time):
    write_blo(path, SCAN, time=time, energy=0, sx=np.nan, sy=0.0)
    data_set = n4.load("blo", path)
    assert "timestamp" not in data_set.metadata
    assert "beam_energy_kV" not in data_set.metadata
    assert data_set.calibration.nav == (None, None)


@pytest.mark.parametrize("line", ["blo bit depth:16 Bits", "BLO BIT DEPTH : 16 bits"])
def test_bit_depth_is_found_however_it_is_spelled(path, line):
    write_blo(path, SCAN.astype("u2"), notes=f"a : b\r\n{line}\r\n")
    assert n4.load("blo", path).dtype == "u2"


@pytest.mark.parametrize("notes", ["", "Blo Bit Depth: many", "Blo Bit Depth:"])
@pytest.mark.parametrize("dtype", ["u1", "u2"])
def test_without_a_bit_depth_the_size_decides_and_a_notice_tells(path, notes, dtype):
    write_blo(path, SCAN.astype(dtype), notes=notes, version=259)
    data_set = n4.load("blo", path)
    assert data_set.notices == (
        f"The notes do not tell the bit depth: {8 * int(dtype[1])} bits are taken.",
    )
    assert_is(data_set[...], SCAN.astype(dtype))


def test_other_id_opens_when_the_type_is_named(path):
    write_blo(path, SCAN, id=b"ASTAR ")
    assert_is(n4.load("blo", path)[...], SCAN)
    with pytest.raises(n4.FormatError, match="not recognized"):
        n4.load("auto", path)


def test_byte_order_may_be_given(path):
    write_blo(path, SCAN, order=">")
    assert_is(n4.load("blo", path, endianess=">")[...], SCAN)
    with pytest.raises(n4.FormatError, match="Leave out endianess"):
        n4.load("blo", path, endianess="<")
    with pytest.raises(n4.FormatError, match=r"endianess .*expected '<' or '>'"):
        n4.load("blo", path, endianess="little")


# Broken files.


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"version": 260}, r"unknown version .*\(byte 6\): .* found 260"),
        ({"version": 260, "id": b"ASTAR "}, "not a blockfile: found the bytes 41 53"),
        ({"side": 0}, r"frame_side is 0 \(byte 20\)"),
        ({"nx": 0}, r"scan_x is 0 \(byte 24\)"),
        ({"ny": 0}, r"scan_y is 0 \(byte 26\)"),
        ({"first_frame": 8}, r"inside of the header \(byte 12\)"),
        ({"first_frame": 2**32 - 1}, "no complete frame"),
        ({"side": 65535}, "impossibly large frames.* 65535 x 65535 in"),
        ({"nx": 65535, "ny": 65535}, "far larger than the data"),
    ],
)
def test_impossible_header_is_an_error(path, fields, told):
    write_blo(path, SCAN, **fields)
    with pytest.raises(n4.FormatError, match=told):
        n4.load("blo", path)


@pytest.mark.parametrize("nbytes", [1, 7, 239])
def test_incomplete_header_is_an_error(path, nbytes):
    write_blo(path, SCAN)
    path.write_bytes(path.read_bytes()[:nbytes])
    with pytest.raises(n4.FormatError, match=f"header is incomplete: .*{nbytes} bytes"):
        n4.load("blo", path)


def test_interrupted_scan_tells_how_many_frames_are_missing(path):
    ends = write_blo(path, SCAN)
    path.write_bytes(path.read_bytes()[: ends[3] + 5])
    with pytest.warns(n4.FormatWarning, match="2 frames are missing"):
        data_set = n4.load("blo", path)
    assert data_set.valid.sum() == 4
    assert_is(data_set[1, 0], SCAN[1, 0])
    assert not data_set[1, 1:].any()
