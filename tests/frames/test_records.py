"""Tables of header fields, and what else is asked of files."""

from __future__ import annotations

import numpy as np
import pytest

from napari_4dstem.errors import FormatError
from napari_4dstem.frames.records import (
    beside,
    file_size,
    read_head,
    read_record,
    record,
    siblings,
)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(bytes(range(20)))
    return path


def test_fields_come_out_as_plain_python(path):
    fields = record(number=("<u4", 1), text=("S2", 6), pair=(("u1", 2), 9))
    values = read_record(path, fields, 2)
    assert values == {"number": 0x06050403, "text": b"\x08\x09", "pair": [11, 12]}
    assert type(values["number"]) is int
    assert fields.itemsize == 11


def test_table_beyond_the_end_is_an_error(path):
    fields = record(number=("<u8", 0))
    assert read_record(path, fields, 12)
    with pytest.raises(FormatError, match="expected at least 21 bytes, found 20 bytes"):
        read_record(path, fields, 13)


def test_head_may_begin_anywhere(path):
    assert read_head(path, 3) == b"\0\1\2"
    assert read_head(path, 3, 18) == b"\x12\x13"
    assert read_head(path, 3, 99) == b""


def test_size_of_what_is_not_there_is_an_error(path, tmp_path):
    assert file_size(path) == 20
    with pytest.raises(FormatError, match=r"b\.bin: the file cannot be read"):
        file_size(tmp_path / "b.bin")


def test_siblings_are_in_the_order_of_the_names(path, tmp_path):
    for name in ("c", "B", "b.bin"):
        (tmp_path / name).touch()
    assert [p.name for p in siblings(path)] == ["B", "a.bin", "b.bin", "c"]


def test_file_in_a_folder_that_cannot_be_listed_is_alone(tmp_path):
    path = tmp_path / "nothing" / "a.bin"
    assert siblings(path) == [path]


def test_record_is_a_numpy_type():
    assert isinstance(record(a=("<u2", 4)), np.dtype)


def test_file_beside_another_is_found_in_any_case(tmp_path):
    opened = tmp_path / "SCAN.MIB"
    assert beside(opened, "scan.hdr") == tmp_path / "scan.hdr"
    (tmp_path / "SCAN.HDR").touch()
    assert beside(opened, "scan.hdr") == tmp_path / "SCAN.HDR"
    (tmp_path / "scan.hdr").touch()
    assert beside(opened, "scan.hdr").samefile(tmp_path / "scan.hdr")
