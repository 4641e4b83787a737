"""Raw CSR: sparse frames."""

from __future__ import annotations

import tracemalloc
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import napari_4dstem as n4
from napari_4dstem.frames.batches import SparseBatch
from tests.formats.contract import COUNT, Case, FileContract, assert_is, held
from tests.formats.write_raw_csr import toml_text, write_events, write_raw_csr


def save_raw_csr(folder, scan, **options):
    path = folder / "scan.toml"
    write_raw_csr(path, scan, **options)
    return {"path": path}, []


class TestRawCsr(FileContract):
    cases = (
        Case("u2", "raw_csr", save_raw_csr),
        Case(
            "f4-big-endian",
            "raw_csr",
            partial(save_raw_csr, dtypes=(">u8", ">u2", ">f4"), skipped=3),
            dtype="f4",
        ),
    )
    test_cut_off_at_any_byte = None  # the TOML has no frames; for the others see below

    @pytest.mark.parametrize("backend", ["mmap", "buffered"])
    def test_one_file_at_a_time_is_open_while_reading(self, stored, backend):
        # The events of a batch are in two files, which are closed, but maybe mapped.
        data_set = stored.open(io_backend=backend)
        for _ in data_set.frames.source.batches(np.arange(COUNT)):
            assert len(held(data_set.files)) <= (2 if backend == "mmap" else 0)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "scan.toml"


def write(path, indptr, indices, values, nav_shape=(2,), sig_shape=(3, 4), **options):
    """Write events with the usual types, and the TOML."""
    write_events(path.parent, indptr, indices, values)
    path.write_text(toml_text(nav_shape, sig_shape, **options))


# Frames.


@settings(deadline=None, max_examples=60)
@given(
    count=st.integers(1, 6),
    sig_shape=st.tuples(st.integers(1, 4), st.integers(1, 60)),
    density=st.sampled_from([0, 0.1, 0.9]),
    dtypes=st.tuples(
        st.sampled_from(["<i4", "<u4", "<i8", "<u8", ">i8", "<u2"]),
        st.sampled_from(["u1", "<i2", "<u4", ">u8", "<i8"]),
        st.sampled_from(["u1", "<i4", ">u2", "<f4", ">f8", "<u8"]),
    ),
    skipped=st.integers(0, 3),
)
def test_any_scan_comes_back(
    tmp_path_factory, count, sig_shape, density, dtypes, skipped
):
    path = tmp_path_factory.mktemp("any") / "a.toml"
    rng = np.random.default_rng(count)
    scan = rng.integers(1, 200, (count, *sig_shape)) * (rng.random(sig_shape) < density)
    scan = scan.astype(np.dtype(dtypes[2]).newbyteorder("="))
    write_raw_csr(path, scan, dtypes=dtypes, skipped=skipped)
    data_set = n4.load("auto", path)
    assert data_set.filetype == "raw_csr"
    assert_is(data_set[...], scan)


def test_events_are_in_any_order_and_add_up(path):
    write(path, [0, 4, 5], [7, 2, 7, 0, 11], [1, 2, 3, 4, 5])
    frames = n4.load("raw_csr", path)[...].reshape(2, 12)
    assert frames.tolist() == [
        [4, 0, 2, 0, 0, 0, 0, 4, 0, 0, 0, 0],
        [0] * 11 + [5],
    ]


def test_values_that_add_up_stay_of_their_type(path):
    write_events(path.parent, [0, 2], [0, 0], [200, 100], dtypes=("i4", "i4", "u1"))
    path.write_text(toml_text((1,), (1, 2), changes={"data_dtype": '"u1"'}))
    frame = n4.load("raw_csr", path)[0]
    assert frame.dtype == np.uint8
    assert frame.tolist() == [[44, 0]]


def test_scan_without_any_event_is_blank_and_valid(path):
    write(path, [0, 0, 0], [], [])
    data_set = n4.load("raw_csr", path)
    assert data_set.valid.all()
    assert not data_set[...].any()
    assert data_set.to_dask().compute().shape == (2, 3, 4)


def test_frames_that_are_not_there_are_blank(path):
    write(path, [0, 1, 2], [0, 0], [7, 8], nav_shape=(2, 2))
    with pytest.warns(n4.FormatWarning, match="the last 2 are missing"):
        data_set = n4.load("raw_csr", path)
    assert data_set.valid.tolist() == [[True, True], [False, False]]
    assert data_set[..., 0, 0].tolist() == [[7, 8], [0, 0]]


def test_frames_stay_sparse_until_someone_wants_them_dense(path):
    write(path, [0, 2, 2], [5, 1], [3, 4])
    (batch,) = [b for _, b in n4.load("raw_csr", path).frames.source.batches([0, 1])]
    assert isinstance(batch, SparseBatch)
    assert batch.indptr.tolist() == [0, 2, 2]
    assert batch.indices.tolist() == [5, 1]
    assert batch.values.tolist() == [3, 4]


def test_files_may_be_in_other_folders(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    write_events(tmp_path / "a" / "b", [0, 1], [2], [3])
    path = tmp_path / "a" / "scan.toml"
    names = {"indptr": "rows", "indices": "pixels", "data": "values"}
    changes = {f"{part}_file": f'"b/{name}.dat"' for part, name in names.items()}
    path.write_text(toml_text((1,), (1, 4), changes=changes))
    data_set = n4.load("auto", tmp_path / "a")
    assert data_set[0].tolist() == [[0, 0, 3, 0]]
    assert data_set.files == (
        *(tmp_path / "a" / "b" / f"{name}.dat" for name in names.values()),
        path,
    )


@pytest.mark.parametrize(
    ("filetype", "section"),
    [("RAW_CSR", "RAW_CSR"), ("Raw_CSR", "raw_csr"), ("raw_csr", "RAW_CSR")],
)
def test_filetype_and_section_are_compared_without_case(path, filetype, section):
    write(path, [0, 1, 1], [0], [1], filetype=filetype, section=section)
    assert n4.detect(path).filetype == "raw_csr"
    assert n4.load("auto", path)[0, 0, 0] == 1


def test_header_facts_are_in_the_metadata(path):
    write(path, [0, 1, 1], [0], [1])
    header = n4.load("raw_csr", path).metadata["header"]
    assert header["indptr_file"] == "rows.dat"
    assert header["sig_shape"] == [3, 4]


def test_name_does_not_count(tmp_path):
    write(tmp_path / "scan.txt", [0, 1, 1], [0], [1])
    assert n4.detect(tmp_path / "scan.txt").filetype == "raw_csr"


@pytest.mark.parametrize("text", ["[tool.ruff]\n", 'filetype = "raw"\n', ""])
def test_other_toml_is_not_recognized(path, text):
    path.write_text("a = 1\n" + text)
    with pytest.raises(n4.FormatError, match="not recognized"):
        n4.detect(path)


# Bad files.


def refusal(path):
    """Return the error of opening and reading a scan."""
    tracemalloc.start()
    try:
        with pytest.raises(n4.FormatError) as told:
            n4.load("raw_csr", path)[...]
        assert tracemalloc.get_traced_memory()[1] < 10 * 2**20
    finally:
        tracemalloc.stop()
    assert str(path) in str(told.value)
    return told.value


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"filetype": None}, "filetype is missing"),
        ({"filetype": "5"}, "filetype has an impossible value"),
        ({"filetype": '"mib"'}, "describes data of another type"),
        ({"nav_shape": None}, "nav_shape is missing"),
        ({"nav_shape": "[]"}, "nav_shape has an impossible value"),
        ({"nav_shape": "[2, 0]"}, "nav_shape has an impossible value"),
        ({"nav_shape": "[2.0]"}, "nav_shape has an impossible value"),
        ({"nav_shape": "[true]"}, "nav_shape has an impossible value"),
        ({"nav_shape": "2"}, "nav_shape has an impossible value"),
        ({"nav_shape": f"[{2**62}, {2**62}]"}, "far larger than the data"),
        ({"sig_shape": None}, "sig_shape is missing"),
        ({"sig_shape": str([1] * 9)}, "sig_shape has an impossible value"),
        (
            {"sig_shape": "[2147483648, 2147483648]"},
            "sig_shape is impossible for a detector",
        ),
        ({"indices_dtype": None}, "indices_dtype is missing"),
        ({"indices_dtype": '"f4"'}, "indices_dtype is no type of such numbers"),
        ({"indptr_dtype": '"none"'}, "indptr_dtype is no type of such numbers"),
        ({"data_dtype": '"O"'}, "data_dtype is no type of such numbers"),
        ({"data_dtype": '"<i4,<i4"'}, "data_dtype is no type of such numbers"),
        (
            {"data_dtype": '"<i8"'},
            "values.dat does not hold whole numbers of the type int64",
        ),
        ({"data_dtype": '"u1"'}, "not as many indices as values"),
        ({"data_file": None}, "data_file is missing"),
        ({"data_file": '"gone.dat"'}, "the file gone.dat is missing"),
        ({"data_file": '"."'}, "the file . is missing"),
        ({"data_file": '"a\\u0000b"'}, "is missing"),
        ({"data_file": f'"{"a" * 5000}"'}, "is missing"),
    ],
)
def test_impossible_toml_is_refused(path, changes, said):
    write(path, [0, 2, 3], [0, 1, 2], [1, 2, 3], changes=changes)
    assert said in refusal(path).problem


@pytest.mark.parametrize(
    "content",
    [
        b"[params\n",
        b'[params]\nfiletype = "raw_csr"\n\xff\n',
        b"a = " + b"[" * 100_000,
        b"a = " + b"9" * 5000,
        b"a = 2020-13-99\n",
    ],
)
def test_what_is_no_toml_is_refused(path, content):
    path.write_bytes(content)
    assert "cannot be read as TOML" in refusal(path).problem


def test_line_of_the_mistake_is_told(path):
    path.write_text('[params]\nfiletype = "raw_csr"\nnav_shape = \n')
    assert "line 3" in refusal(path).problem


@pytest.mark.parametrize("text", ["a = 1\n", "params = 3\n"])
def test_missing_section_is_named(path, text):
    path.write_text(text)
    assert "[params] is missing" in refusal(path).problem
    path.write_text('[params]\nfiletype = "raw_csr"\nnav_shape=[1]\nsig_shape=[1]\n')
    assert "[raw_csr] is missing" in refusal(path).problem


def test_huge_toml_is_refused_unread(path):
    path.write_bytes(b"#" * 2**21)
    assert "far too large" in refusal(path).problem


@pytest.mark.parametrize("indptr", [[], [0]])
def test_no_frame_at_all_is_refused(path, indptr):
    write(path, indptr, [1], [1])
    assert "rows.dat tells of no frame" in refusal(path).problem


@pytest.mark.parametrize(
    ("indptr", "number", "found"),
    [
        ([-1, 1, 3], 0, -1),
        ([0, 1, 4], 2, 4),
        ([0, 3, 1], 2, 1),
        ([2, 0, 3], 1, 0),
        ([0, 9, 3], 1, 9),
    ],
)
def test_impossible_pointer_is_an_error(path, indptr, number, found):
    write(path, indptr, [0, 1, 2], [1, 2, 3])
    error = refusal(path)
    assert f"rows.dat does not tell where frame {number} is" in error.problem
    assert error.found == found


def test_pointer_too_large_for_a_signed_number_is_an_error(path):
    write(path, [0, 1, 3], [0, 1, 2], [1, 2, 3], changes={"indptr_dtype": '"<u8"'})
    np.array([0, 2**64 - 1, 3], "<u8").tofile(path.with_name("rows.dat"))
    assert refusal(path).found == 2**64 - 1


@pytest.mark.parametrize("index", [-1, 12, 700])
@pytest.mark.parametrize(("at", "frame"), [(0, 0), (1, 0), (2, 3)])
def test_pixel_outside_of_the_frame_is_an_error(path, index, at, frame):
    indices = [1, 2, 3]
    indices[at] = index
    write(path, [0, 2, 2, 2, 3], indices, [1, 2, 3], nav_shape=(4,))
    error = refusal(path)
    assert f"outside of frame {frame}" in error.problem
    assert error.found == index
    assert error.expected.startswith("an index from 0 to 11")


def test_frames_without_the_damage_can_be_read(path):
    write(path, [0, 1, 2], [1, 99], [5, 6])
    assert n4.load("raw_csr", path)[0].sum() == 5
