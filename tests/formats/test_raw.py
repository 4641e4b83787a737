"""Raw binary: frames, and nothing that tells of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import napari_4dstem as n4
from napari_4dstem.errors import MissingParameterError
from napari_4dstem.formats import FORMATS, unmarked_formats
from tests.formats.contract import Case, FileContract, assert_is
from tests.formats.test_npy import NUMBERS, native
from tests.formats.write_raw import write_raw

FORMAT = FORMATS["raw"]


def save_raw(folder, scan, **layout):
    path = folder / "scan.raw"
    frames = scan.reshape(-1, *scan.shape[2:])
    given = {"path": path, "dtype": scan.dtype.str, "sig_shape": scan.shape[2:]}
    return given | layout, write_raw(path, frames, **layout)


class TestRaw(FileContract):
    cases = (
        Case("plain", "raw", save_raw),
        Case(
            "offset-and-gap",
            "raw",
            lambda folder, scan: save_raw(folder, scan, offset=7, frame_gap=3),
            dtype=">f8",
            sig_shape=(2, 3),
        ),
    )
    test_detect_knows_the_type = None  # nothing in a raw file tells what it is


@settings(deadline=None, max_examples=100)
@given(
    frames=hnp.arrays(NUMBERS, hnp.array_shapes(min_dims=2, max_dims=4, max_side=5)),
    offset=st.integers(0, 9),
    frame_gap=st.integers(0, 9),
)
def test_any_frames_come_back(tmp_path_factory, frames, offset, frame_gap):
    path = tmp_path_factory.mktemp("any") / "a.raw"
    write_raw(path, frames, offset=offset, frame_gap=frame_gap)
    data_set = n4.load(
        "raw",
        path,
        dtype=frames.dtype,
        sig_shape=frames.shape[1:],
        offset=offset,
        frame_gap=frame_gap,
    )
    assert data_set.nav_shape == (len(frames),)
    assert_is(data_set[...], native(frames))


@settings(deadline=None, max_examples=50)
@given(size=st.integers(1, 200), offset=st.integers(0, 20), gap=st.integers(0, 20))
def test_frames_stored_are_those_that_lie_wholly_in_the_file(
    tmp_path_factory, size, offset, gap
):
    path = tmp_path_factory.mktemp("size") / "a.raw"
    content = np.arange(size, dtype="u1")
    path.write_bytes(content.tobytes())
    begins = range(offset, size - 11, 12 + gap)
    given = {"dtype": "u1", "sig_shape": (3, 4), "offset": offset, "frame_gap": gap}
    if not begins:
        with pytest.raises(
            n4.FormatError, match="smaller than one frame of 3 x 4 uint8"
        ):
            n4.load("raw", path, **given)
        return
    data_set = n4.load("raw", path, **given)
    expected = np.array([content[begin : begin + 12] for begin in begins])
    assert_is(data_set[...], expected.reshape(-1, 3, 4))


def test_bytes_left_over_are_a_notice_not_a_warning(tmp_path):
    path = tmp_path / "a.raw"
    path.write_bytes(bytes(25))
    data_set = n4.load("raw", path, dtype="u1", sig_shape=(2, 3))
    assert data_set.nav_shape == (4,)
    assert ("notice", "1 bytes after the last whole frame are ignored.") in (
        data_set.diagnostics()
    )


@pytest.mark.parametrize("missing", ["dtype", "sig_shape"])
def test_what_only_the_user_knows_must_be_given(tmp_path, missing):
    path = tmp_path / "a.raw"
    path.write_bytes(bytes(24))
    given = {"dtype": "u1", "sig_shape": (2, 3)}
    for left in ({}, {missing: None}):
        parameters = {k: v for k, v in given.items() if k != missing} | left
        with pytest.raises(MissingParameterError, match=missing) as told:
            n4.load("raw", path, **parameters)
        assert told.value.parameter == missing
        assert told.value.path == str(path)


@pytest.mark.parametrize(
    "dtype",
    ["notatype", "O", "S3", "U3", "V4", "M8[s]", "u1,u2", "(2,3)u1", [("a", "u1")], 7,
     {"a": 1}, "", [], "u3"],
)  # fmt: skip
def test_what_is_no_number_type_is_refused(tmp_path, dtype):
    path = tmp_path / "a.raw"
    path.write_bytes(bytes(24))
    with pytest.raises(n4.FormatError, match="dtype") as told:
        n4.load("raw", path, dtype=dtype, sig_shape=(2, 3))
    assert told.value.parameter == "dtype"
    assert told.value.expected


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"sig_shape": (0, 3)}, "sig_shape is not a shape"),
        ({"sig_shape": (-2, -3)}, "sig_shape is not a shape"),
        ({"sig_shape": 6}, "sig_shape is not a shape"),
        ({"sig_shape": (100, 100)}, "smaller than one frame of 100 x 100 uint16"),
        ({"sig_shape": (2**31, 2**31)}, "smaller than one frame"),
        ({"sig_shape": (2**70, 2**70)}, "smaller than one frame"),
        ({"offset": -1}, "offset is negative"),
        ({"offset": 10**30}, "smaller than one frame"),
        ({"offset": "5"}, "offset is not a whole number"),
        ({"offset": 1.5}, "offset is not a whole number"),
        ({"frame_gap": -1}, "frame_gap is negative"),
        ({"frame_gap": None, "offset": 40}, "smaller than one frame"),
    ],
)
def test_impossible_parameter_is_refused(tmp_path, parameters, said):
    path = tmp_path / "a.raw"
    path.write_bytes(bytes(48))
    with pytest.raises(n4.FormatError, match=said) as told:
        n4.load("raw", path, **{"dtype": "u2", "sig_shape": (2, 3)} | parameters)
    assert told.value.path == str(path)


def test_enormous_gap_needs_no_second_frame(tmp_path):
    path = tmp_path / "a.raw"
    path.write_bytes(bytes(range(6)))
    data_set = n4.load("raw", path, dtype="u1", sig_shape=(2, 3), frame_gap=10**30)
    assert data_set[...].tolist() == [[[0, 1, 2], [3, 4, 5]]]


def test_nothing_is_taken_for_raw_by_itself(tmp_path):
    path = tmp_path / "scan_x2_y2.raw"
    path.write_bytes(bytes(range(24)))
    with pytest.raises(n4.FormatError, match="not recognized") as told:
        n4.detect(path)
    assert "load('raw', ...)" in told.value.hint


@pytest.mark.parametrize(
    ("content", "maybe"),
    [
        (bytes(range(256)), True),
        (b"\0" * 100, True),
        (b"plain text\r\n", False),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), False),
        (b"\x89HDF\r\n\x1a\n" + bytes(50), False),
        (b"\x93NUMPY\1\0" + bytes(50), False),
        (b"MQ1,000001,00384," + bytes(50), False),
        (b"PK\3\4" + bytes(50), False),
    ],
)
def test_raw_is_offered_for_what_is_nothing_else(tmp_path, content, maybe):
    path = tmp_path / "a.bin"
    path.write_bytes(content)
    assert (FORMAT in unmarked_formats(path)) is maybe


# Proposals from name and size.


def proposal(path, nbytes):
    with open(path, "wb") as file:
        file.truncate(nbytes)
    return dict(FORMAT.propose(path))


@pytest.mark.parametrize(
    ("name", "nbytes", "expected"),
    [
        (
            "scan_x256_y128.raw",
            256 * 128 * 130 * 128 * 4,
            {"nav_shape": (128, 256), "sig_shape": (130, 128), "dtype": "float32"},
        ),
        (
            "f32_112x112x128x128.raw",
            112 * 112 * 128 * 128 * 4,
            {"nav_shape": (112, 112), "sig_shape": (128, 128), "dtype": "float32"},
        ),
        (
            "gold 10x20x96x96.bin",
            10 * 20 * 96 * 96 * 2,
            {"nav_shape": (10, 20), "sig_shape": (96, 96), "dtype": "uint16"},
        ),
        (
            "anything.raw",
            64 * 64 * 256 * 256 * 2,
            {"nav_shape": (64, 64), "sig_shape": (256, 256), "dtype": "uint16"},
        ),
        (
            "u8_scan.raw",
            25 * 512 * 512,
            {"nav_shape": (10, 10), "sig_shape": (256, 256), "dtype": "uint8"},
        ),
        ("X_10_Y_20.raw", 7, {"nav_shape": (20, 10)}),
        ("int16.raw", 7, {"dtype": "int16"}),
        ("2x3x4x5.raw", 7, {"nav_shape": (2, 3), "sig_shape": (4, 5)}),
        ("0x3x4x5.raw", 7, {}),
        ("x0_y5.raw", 7, {}),
        ("max5_ray3.raw", 7, {}),
        ("exx5_y3.raw", 7, {}),
        ("1x2x3x4x5.raw", 7, {}),
        ("a.raw", 0, {}),
    ],
)
def test_proposal(tmp_path, name, nbytes, expected):
    assert proposal(tmp_path / name, nbytes) == expected


@settings(max_examples=200, deadline=None)
@given(
    name=st.text(
        st.sampled_from("xyXY_0123456789 fu-.x\u0663\u00b2")
        | st.characters(codec="utf-8"),
        min_size=1,
        max_size=60,
    ).filter(lambda name: not set(name) & set("/\0") and name not in (".", ".."))
)
def test_proposal_never_raises(tmp_path_factory, name):
    folder = tmp_path_factory.getbasetemp() / "names"
    folder.mkdir(exist_ok=True)
    found = proposal(folder / name, 256 * 256 * 18)
    assert set(found) <= {"nav_shape", "sig_shape", "dtype"}
    (folder / name).unlink()


def test_proposal_for_no_file_is_empty(tmp_path):
    assert FORMAT.propose(tmp_path / "2x3x4x5.raw") == {}


def test_a_proposal_opens_the_file(tmp_path):
    path = tmp_path / "scan_x3_y2.raw"
    frames = np.arange(6, dtype="u2")[:, None, None] * np.ones((64, 64), "u2")
    write_raw(path, frames)
    data_set = n4.load("raw", path, **FORMAT.propose(path))
    assert data_set.nav_shape == (2, 3)
    assert data_set[1, 2].max() == 5
