"""Gain maps in CSV and MATLAB files."""

from __future__ import annotations

import struct
import tracemalloc
import zlib

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_4dstem.errors import FormatError
from napari_4dstem.frames.gain_map import gain_map

SHAPE = (4, 3)
GAIN = np.linspace(0.5, 2, 12).reshape(SHAPE)
KINDS = {"i1": 1, "u1": 2, "i2": 3, "u2": 4, "i4": 5, "u4": 6, "f4": 7, "f8": 9}


def element(order, kind, content, *, small=False):
    """Return a data element of MATLAB 5, small ones in one word if wanted."""
    if small and len(content) <= 4:
        word = struct.pack(order + "I", len(content) << 16 | kind)
        return word + content.ljust(4, b"\0")
    padded = content.ljust(-(-len(content) // 8) * 8, b"\0")
    return struct.pack(order + "2I", kind, len(content)) + padded


def variable(name, values, *, order="<", compressed=False, flags=6):
    """Return a numeric variable; columns are stored one after another."""
    kind = values.dtype.str[1:]
    inside = (
        element(order, 6, struct.pack(order + "2I", flags, 0))
        + element(order, 5, struct.pack(f"{order}{values.ndim}i", *values.shape))
        + element(order, 1, name.encode(), small=True)
        + element(
            order, KINDS[kind], values.astype(order + kind).tobytes("F"), small=True
        )
    )
    matrix = struct.pack(order + "2I", 14, len(inside)) + inside
    if not compressed:
        return matrix
    packed = zlib.compress(matrix)
    return struct.pack(order + "2I", 15, len(packed)) + packed


def write_mat(path, *variables, order="<"):
    head = b"MATLAB 5.0 MAT-file, by hand".ljust(124)
    mark = struct.pack(order + "H", 0x0100) + (b"IM" if order == "<" else b"MI")
    path.write_bytes(head + mark + b"".join(variables))


def read(path, shape=SHAPE):
    tracemalloc.start()
    try:
        pixels = np.asarray(gain_map(path, shape))
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()
    return pixels


def refusal(path, shape=SHAPE):
    with pytest.raises(FormatError) as told:
        read(path, shape)
    assert str(path) in str(told.value)
    return told.value


# MATLAB.


@settings(deadline=None, max_examples=40)
@given(
    order=st.sampled_from("<>"),
    compressed=st.booleans(),
    kind=st.sampled_from([*KINDS]),
    shape=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    others=st.lists(st.sampled_from(["a", "Gain", "a_rather_long_name"]), max_size=3),
)
def test_matlab_variable_is_found(
    tmp_path_factory, order, compressed, kind, shape, others
):
    path = tmp_path_factory.mktemp("mat") / "gain.mat"
    values = np.arange(shape[0] * shape[1]).reshape(shape).astype(kind)
    options = {"order": order, "compressed": compressed}
    before = [variable(name, np.ones((50, 40)), **options) for name in others]
    wanted = variable("GainMap", values, **options)
    write_mat(path, *before, wanted, order=order)
    np.testing.assert_array_equal(read(path, shape), values.astype("f4"))


def test_matlab_7_3_is_hdf5(tmp_path):
    path = tmp_path / "gain.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        file["GainMap"] = GAIN.T
    with open(path, "r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file")
    np.testing.assert_array_equal(read(path), GAIN.astype("f4"))
    assert "does not fit" in refusal(path, (3, 4)).problem


def test_matlab_file_without_the_variable_names_those_it_has(tmp_path):
    path = tmp_path / "gain.mat"
    write_mat(path, variable("gainmap", GAIN), variable("b", GAIN))
    assert refusal(path).found == "gainmap, b"
    write_mat(path)
    assert refusal(path).found == "no variable"


def test_map_of_another_shape_is_refused(tmp_path):
    path = tmp_path / "gain.mat"
    for values in (GAIN.T, GAIN.reshape(2, 2, 3), GAIN[:3]):
        write_mat(path, variable("GainMap", values))
        error = refusal(path)
        assert error.expected == "4 x 3 numbers"
        assert error.found == " x ".join(map(str, values.shape))


def test_huge_variables_are_not_unpacked(tmp_path):
    path = tmp_path / "gain.mat"
    huge = variable("a", np.zeros((4000, 2000)), compressed=True)
    write_mat(path, huge, variable("GainMap", GAIN))
    np.testing.assert_array_equal(read(path), GAIN.astype("f4"))
    write_mat(path, variable("GainMap", np.zeros((4000, 2000)), compressed=True))
    assert refusal(path).found == "4000 x 2000"


def test_noise_that_does_not_compress_is_read_whole(tmp_path):
    path = tmp_path / "gain.mat"
    noise = np.random.default_rng(0).random((264, 264))
    write_mat(path, variable("GainMap", noise, compressed=True))
    np.testing.assert_array_equal(read(path, (264, 264)), noise.astype("f4"))


def test_matlab_file_cut_off_at_any_byte_is_an_error(tmp_path):
    path = tmp_path / "gain.mat"
    for compressed in (False, True):
        write_mat(path, variable("GainMap", GAIN, compressed=compressed))
        whole = path.read_bytes()
        # what ends a compressed variable is not needed
        for nbytes in range(len(whole) - 12 * compressed):
            path.write_bytes(whole[:nbytes])
            refusal(path)


@settings(deadline=None, max_examples=100)
@given(
    compressed=st.booleans(),
    changes=st.dictionaries(st.integers(120, 330), st.integers(0, 255), min_size=1),
)
def test_garbled_matlab_file_is_an_error_or_opens(
    tmp_path_factory, compressed, changes
):
    path = tmp_path_factory.mktemp("garbled") / "gain.mat"
    write_mat(path, variable("GainMap", GAIN, compressed=compressed))
    content = bytearray(path.read_bytes())
    for at, byte in changes.items():
        content[at % len(content)] = byte
    path.write_bytes(content)
    told = str(path)
    try:
        assert read(path).shape == SHAPE
    except FormatError as error:
        told = str(error)
    assert str(path) in told


def test_very_many_variables_are_no_long_loop(tmp_path):
    path = tmp_path / "gain.mat"
    write_mat(path, struct.pack("<2I", 14, 0) * 10**6)
    assert "no variable GainMap" in refusal(path).problem


# CSV.


def test_line_of_csv_is_a_column_of_the_detector(tmp_path):
    path = tmp_path / "gain.csv"
    for end in (";\n", "\n", " ; \r\n", ";\n\n"):
        lines = (";".join(map(str, column)) + end for column in GAIN.T.tolist())
        path.write_bytes(b"\xef\xbb\xbf" * (end == "\n") + "".join(lines).encode())
        np.testing.assert_array_equal(read(path), GAIN.astype("f4"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1;2;3;4\n" * 4, "does not fit"),
        ("1;2;3\n" * 4, "does not fit"),
        ("1;2;3;4\n1;2;3\n", "line 2 has another length"),
        ("1;2;3;4\n1;x;3;4\n", "line 2 has something that is no number"),
        ("1,2,3,4\n", "line 1 has something that is no number"),
        ("\n;\n", "does not fit"),
        ("", "empty"),
        ("1;2;3;4\n" * 1000, "too large"),
    ],
)
def test_csv_that_is_no_map_is_refused(tmp_path, text, said):
    path = tmp_path / "gain.csv"
    path.write_text(text)
    assert said in refusal(path).problem


@pytest.mark.parametrize("name", ["gain.txt", "gain", "gain.tif"])
def test_other_types_are_refused(tmp_path, name):
    path = tmp_path / name
    path.write_text("1;2")
    assert ".csv or .mat" in refusal(path).expected


def test_missing_file_is_an_error(tmp_path):
    with pytest.raises(FormatError, match="cannot be read"):
        gain_map(tmp_path / "gain.csv", SHAPE)


@pytest.mark.parametrize("content", [b"text", b"MATLAB 7.3 MAT-file" + bytes(600)])
def test_what_is_no_matlab_file_is_refused(tmp_path, content):
    path = tmp_path / "gain.mat"
    path.write_bytes(content)
    assert "MATLAB" in refusal(path).problem
