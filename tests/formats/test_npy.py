"""NPY: arrays as numpy saves them."""

from __future__ import annotations

import io
import pickle
import tracemalloc
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import napari_4dstem as n4
from tests.formats.contract import Case, FileContract, assert_is
from tests.formats.write_npy import npy_header, npy_text, write_npy

ORDERS = ("C", "F")


def save_npy(folder, scan, **options):
    path = folder / "scan.npy"
    return {"path": path}, write_npy(path, scan, **options)


class TestNpy(FileContract):
    cases = (
        Case("v1", "npy", save_npy),
        Case("v2-big-endian", "npy", partial(save_npy, version=2), dtype=">f4"),
        Case("v3-fortran", "npy", partial(save_npy, order="F", version=3), dtype=">i4"),
    )


def native(array):
    return array.astype(array.dtype.newbyteorder("="))


NUMBERS = st.one_of(
    hnp.boolean_dtypes(),
    hnp.integer_dtypes(endianness="?"),
    hnp.unsigned_integer_dtypes(endianness="?"),
    hnp.floating_dtypes(endianness="?", sizes=(16, 32, 64)),
    hnp.complex_number_dtypes(endianness="?", sizes=(64, 128)),
)


@settings(deadline=None, max_examples=100)
@given(
    array=hnp.arrays(NUMBERS, hnp.array_shapes(min_dims=2, max_dims=5, max_side=4)),
    order=st.sampled_from(ORDERS),
    version=st.sampled_from([1, 2, 3]),
    alignment=st.sampled_from([1, 16, 64]),
)
def test_any_array_comes_back(tmp_path_factory, array, order, version, alignment):
    path = tmp_path_factory.mktemp("any") / "a.npy"
    write_npy(path, array, order=order, version=version, alignment=alignment)
    data_set = n4.load("npy", path)
    assert data_set.nav_shape == (array.shape[:-2] or (1,))
    assert data_set.sig_shape == array.shape[-2:]
    assert_is(data_set[...], native(array).reshape(data_set.shape))


@settings(deadline=None, max_examples=50)
@given(
    shape=hnp.array_shapes(min_dims=3, max_dims=5, max_side=4),
    order=st.sampled_from(ORDERS),
    data=st.data(),
)
def test_sig_dims_says_which_axes_are_the_frame(tmp_path_factory, shape, order, data):
    path = tmp_path_factory.mktemp("dims") / "a.npy"
    array = np.arange(np.prod(shape)).reshape(shape)
    write_npy(path, array, order=order)
    sig_dims = data.draw(st.integers(1, len(shape) - 1))
    data_set = n4.load("npy", path, sig_dims=sig_dims)
    assert data_set.sig_shape == shape[-sig_dims:]
    assert_is(data_set[...], array)


@pytest.mark.parametrize("order", ORDERS)
def test_writer_and_numpy_agree(tmp_path, order):
    array = np.arange(120, dtype=">u2").reshape(2, 3, 4, 5)
    write_npy(tmp_path / "a.npy", array, order=order)
    assert_is(native(np.load(tmp_path / "a.npy")), native(array))
    np.save(tmp_path / "b.npy", np.asarray(array, order=order))
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()


def test_keys_may_come_in_any_order_without_blanks(tmp_path):
    path = tmp_path / "a.npy"
    text = "{'shape':(1,2,2),'descr':'<u2','fortran_order':False}"
    path.write_bytes(npy_header(text) + bytes([1, 0, 2, 0, 3, 0, 4, 0]))
    assert n4.load("npy", path)[0].tolist() == [[1, 2], [3, 4]]


def test_bytes_after_the_array_are_ignored(tmp_path):
    path = tmp_path / "a.npy"
    array = np.arange(24).reshape(2, 3, 4)
    write_npy(path, array)
    with open(path, "ab") as file:
        file.write(b"more" * 100)
    assert_is(n4.load("npy", path)[...], array)


def test_single_image_is_a_scan_of_one(tmp_path):
    image = np.arange(12).reshape(3, 4)
    write_npy(tmp_path / "a.npy", image)
    data_set = n4.load("auto", tmp_path / "a.npy")
    assert data_set.nav_shape == (1,)
    assert_is(data_set[0], image)


def test_other_sig_shape_cuts_the_stream_of_pixels(tmp_path):
    array = np.arange(50).reshape(5, 2, 5)
    write_npy(tmp_path / "a.npy", array)
    data_set = n4.load("npy", tmp_path / "a.npy", sig_shape=(4, 4))
    assert data_set.nav_shape == (3,)
    assert_is(data_set[...], np.arange(48).reshape(3, 4, 4))


def test_sig_shape_may_say_sig_dims(tmp_path):
    array = np.arange(24).reshape(2, 3, 4)
    write_npy(tmp_path / "a.npy", array)
    data_set = n4.load("npy", tmp_path / "a.npy", sig_dims=None, sig_shape=(4,))
    assert_is(data_set[...], array)


def test_fortran_order_is_read_right_and_said_to_be_slow(tmp_path):
    write_npy(tmp_path / "a.npy", np.ones((2, 2, 3, 3)), order="F")
    (notice,) = n4.load("npy", tmp_path / "a.npy").notices
    assert "slow" in notice
    assert "ascontiguousarray" in notice


@pytest.mark.parametrize("backend", ["mmap", "buffered", "direct"])
def test_fortran_frames_scattered_over_a_large_file_are_gathered(tmp_path, backend):
    path = tmp_path / "large.npy"
    shape, small = (2, 2000, 4, 700), (2, 2000, 4, 2)
    known = np.random.default_rng(0).integers(0, 65536, small).astype("u2")
    text = npy_text(np.broadcast_to(np.uint16(0), shape), order="F")
    with open(path, "wb") as file:
        file.write(npy_header(text))
        file.write(known.tobytes("F"))  # the first two pixels of every line
        file.truncate(file.tell() + 2 * (np.prod(shape) - known.size))
    try:
        data_set = n4.load("npy", path, io_backend=backend)
    except n4.FormatError as error:
        pytest.skip(str(error))
    assert_is(data_set[1, 1990:, :, :2], known[1, 1990:])
    assert not data_set[1, 1999, :, 2:].any()


def test_header_facts_are_in_the_metadata(tmp_path):
    write_npy(tmp_path / "a.npy", np.ones((2, 3, 4), ">f4"))
    header = n4.load("npy", tmp_path / "a.npy").metadata["header"]
    assert header == {"shape": (2, 3, 4), "descr": ">f4"}


# Bad files.


def refusal(path, content, **parameters):
    """Return the error that a file of this content gives."""
    path.write_bytes(content)
    with pytest.raises(n4.FormatError) as told:
        n4.load("npy", path, **parameters)
    return told.value


def text_of(descr="'<u2'", order="False", shape="(2, 2, 2)"):
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}}}\n"


class Pickled:
    """Tells when it is loaded."""

    def __reduce__(self):
        return pytest.fail, ("a pickle was loaded",)


def test_pickles_are_never_read(tmp_path):
    content = io.BytesIO()
    np.save(content, np.array([[[Pickled()]]], dtype=object), allow_pickle=True)
    error = refusal(tmp_path / "a.npy", content.getvalue())
    assert "pickles, which are never read" in str(error)
    assert "np.save" in error.hint
    error = refusal(tmp_path / "b.npy", pickle.dumps(Pickled()))
    assert "not an npy file" in str(error)


@pytest.mark.parametrize(
    "descr",
    [
        "'|O'", "'|S4'", "'<U4'", "'<M8[s]'", "'|V8'", "[('a', '<u2')]",
        "[('O', '|O')]", "'nonsense'", "5", "None", "('<u2', (2,))", "''", "True", "{}",
        "'(2,'", "'04'", "'xTT1,,'", "'V8,| '", "'a5'", "'f3'", "'\\x00'",
    ],
)  # fmt: skip
def test_what_is_no_number_is_refused(tmp_path, descr):
    content = npy_header(text_of(descr=descr)) + bytes(64)
    error = refusal(tmp_path / "a.npy", content)
    assert "does not hold numbers" in str(error)
    assert "integer, float, complex or bool" in error.expected
    assert error.path == str(tmp_path / "a.npy")


@pytest.mark.parametrize(
    "shape",
    ["(0, 2, 2)", "(-1, 2, 2)", "(2.0, 2, 2)", "(True, 2, 2)", "[2, 2, 2]", "8"],
)
def test_impossible_shape_is_refused(tmp_path, shape):
    error = refusal(tmp_path / "a.npy", npy_header(text_of(shape=shape)) + bytes(64))
    assert "impossible shape" in str(error)
    assert "numbers above 0" in error.expected


@pytest.mark.parametrize("shape", ["()", "(8,)"])
def test_too_few_dimensions_are_refused(tmp_path, shape):
    error = refusal(tmp_path / "a.npy", npy_header(text_of(shape=shape)) + bytes(64))
    assert "too few dimensions" in str(error)
    assert "(y, x, ky, kx)" in error.hint


@pytest.mark.parametrize(
    "text",
    [
        "{'descr': '<u2', 'fortran_order': False, 'shape': (2, 2, 2)",
        "__import__('os').abort()",
        "{'descr': '<u2', 'fortran_order': False, 'shape': (2, 2, 2), 'x': abs(1)}",
        "{'descr': '<u2', 'fortran_order': False, 'shape': (2, 2, 10**9)}",
        "{'descr': '\\d', 'fortran_order': 1if, 'shape': (2, 2, 2)}",
        "\0",
        "(" * 9000,
        "-" * 9000 + "1",
        "[" * 4000 + "]" * 4000,
        "\xe9",
    ],
)
@pytest.mark.parametrize("version", [1, 3])
def test_header_that_is_no_dict_of_literals_is_refused(tmp_path, text, version):
    error = refusal(tmp_path / "a.npy", npy_header(text, version=version) + bytes(64))
    assert "not a Python dict of literals" in str(error) or "dict" in str(error)
    assert error.offset == (10 if version == 1 else 12)


@pytest.mark.parametrize(
    "text", ["{}", "[1, 2]", "7", "{'descr': '<u2', 'shape': (2, 2, 2)}", "{1: 2}"]
)
def test_header_with_wrong_keys_is_refused(tmp_path, text):
    error = refusal(tmp_path / "a.npy", npy_header(text) + bytes(64))
    assert "other entries" in str(error)
    assert error.expected == "descr, fortran_order, shape"


def test_header_in_no_encoding_is_refused(tmp_path):
    content = bytearray(npy_header(text_of(), version=3) + bytes(64))
    content[14] = 0xFF
    assert "other entries" in str(refusal(tmp_path / "a.npy", bytes(content)))


def test_unknown_version_is_refused(tmp_path):
    error = refusal(tmp_path / "a.npy", npy_header(text_of(), version=9, minor=1))
    assert "unknown npy version 9.1 (byte 6)" in str(error)
    assert error.expected == "1.0, 2.0 or 3.0"


def test_overlong_header_is_refused_unread(tmp_path):
    content = npy_header(text_of(), version=2, length=2**32 - 1) + bytes(64)
    error = refusal(tmp_path / "a.npy", content)
    assert "too long (byte 8)" in str(error)
    assert "4294967295" in error.found


def test_header_longer_than_the_file_is_refused(tmp_path):
    error = refusal(tmp_path / "a.npy", npy_header(text_of(), length=9000))
    assert "ends within its header" in str(error)


@pytest.mark.parametrize("order", ["False", "True"])
@pytest.mark.parametrize(
    "shape",
    [
        f"({2**40}, {2**40}, {2**40})",
        f"({10**30}, 2, 2)",
        f"(2, {2**62}, {2**62})",
        f"({2**62}, 1, 1)",
        f"(1, {'1, ' * 1000})",
    ],
)
def test_absurd_shape_allocates_nothing(tmp_path, shape, order):
    content = npy_header(text_of(order=order, shape=shape)) + bytes(8)
    tracemalloc.start()
    try:
        error = refusal(tmp_path / "a.npy", content)
        assert tracemalloc.get_traced_memory()[1] < 10 * 2**20
    finally:
        tracemalloc.stop()
    assert "a.npy" in str(error)


def test_fortran_array_of_very_many_lines_is_refused(tmp_path):
    path = tmp_path / "sparse.npy"
    head = npy_header(text_of(order="True", shape=f"({10**9}, 2, 2, 2)"))
    path.write_bytes(head)
    with open(path, "r+b") as file:
        file.truncate(len(head) + 16 * 10**9)
    tracemalloc.start()
    try:
        with pytest.raises(n4.FormatError, match="ascontiguousarray"):
            n4.load("npy", path)
        assert tracemalloc.get_traced_memory()[1] < 10 * 2**20
    finally:
        tracemalloc.stop()


def test_file_without_a_whole_frame_tells_both_sizes(tmp_path):
    content = npy_header(text_of(shape="(4, 100, 100)"))
    error = refusal(tmp_path / "a.npy", content + bytes(500))
    assert str(len(content) + 20_000) in error.expected
    assert f"{len(content) + 500} bytes" in error.found


def test_npz_is_not_npy(tmp_path):
    np.savez(tmp_path / "a.npz", a=np.ones((2, 2, 2)))
    with pytest.raises(n4.FormatError, match="not recognized"):
        n4.load("auto", tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"sig_dims": 0}, "a frame needs an axis"),
        ({"sig_dims": 4}, "too few dimensions"),
        ({"sig_dims": "2"}, "sig_dims is not a whole number"),
        ({"sig_dims": 2.0}, "sig_dims is not a whole number"),
        ({"sig_dims": 2, "sig_shape": (9,)}, "sig_shape and sig_dims disagree"),
        ({"sig_shape": (90, 90)}, "more pixels than the whole array"),
        ({"sig_shape": (2**40, 2**40)}, "more pixels than the whole array"),
    ],
)
def test_impossible_parameter_is_refused(tmp_path, parameters, said):
    write_npy(tmp_path / "a.npy", np.ones((3, 3, 3)))
    with pytest.raises(n4.FormatError, match=said):
        n4.load("npy", tmp_path / "a.npy", **parameters)


def test_fortran_order_cannot_be_cut_into_other_frames(tmp_path):
    write_npy(tmp_path / "a.npy", np.ones((3, 3, 4)), order="F")
    with pytest.raises(n4.FormatError, match="cannot be cut") as told:
        n4.load("npy", tmp_path / "a.npy", sig_shape=(2, 2))
    assert "ascontiguousarray" in told.value.hint


@pytest.mark.parametrize("order", ["'x'", "None", "1"])
def test_order_that_is_neither_true_nor_false_is_refused(tmp_path, order):
    path = tmp_path / "scan.npy"
    path.write_bytes(npy_header(text_of(order=order)) + bytes(64))
    with pytest.raises(n4.FormatError, match="expected fortran_order True or False"):
        n4.load("npy", path)
