"""XML from strangers."""

from __future__ import annotations

import pickle

import pytest

from napari_4dstem.errors import FormatError
from napari_4dstem.frames import safe_xml
from napari_4dstem.frames.safe_xml import parse_xml, xml_pieces


def test_elements_attributes_and_text_come_out(tmp_path):
    root = parse_xml(tmp_path, '<a x="1">ä<b.c>t</b.c>&lt;</a>'.encode())
    assert (root.tag, root.get("x"), root.text) == ("a", "1", "ä")
    assert root.findtext("b.c") == "t"
    assert root[0].tail == "<"


def test_encoding_is_that_of_the_declaration(tmp_path):
    text = '<?xml version="1.0" encoding="latin-1"?><a>µ</a>'
    assert parse_xml(tmp_path, text.encode("latin-1")).text == "µ"
    assert parse_xml(tmp_path, "<a>µ</a>".encode("utf-16")).text == "µ"


BILLION = (
    '<!DOCTYPE r [<!ENTITY a "aaaaaaaaaa">'
    + "".join(
        f'<!ENTITY {b} "{f"&{a};" * 10}">'
        for a, b in zip("abcdefg", "bcdefgh", strict=True)
    )
    + "]><r>&h;</r>"
)


@pytest.mark.parametrize(
    "text",
    [
        BILLION,
        '<!DOCTYPE r [<!ENTITY a SYSTEM "file:///etc/hostname">]><r>&a;</r>',
        '<!DOCTYPE r [<!ENTITY % a SYSTEM "http://localhost/">%a;]><r/>',
        f'<!DOCTYPE r [<!ATTLIST b c CDATA "{"x" * 1000}">]><r>{"<b/>" * 9}</r>',
        '<!DOCTYPE r SYSTEM "r.dtd"><r/>',
    ],
)
def test_entities_and_document_types_are_refused(tmp_path, text):
    with pytest.raises(FormatError, match=r"DOCTYPE.* is not read \(byte"):
        parse_xml(tmp_path, text.encode())


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"<a>",
        b"<a></b>",
        b"<a>&nbsp;</a>",
        b"<a>\xff</a>",
        b"<a>\0</a>",
        b'<?xml version="1.0" encoding="utf-99"?><a/>',
        b'<?xml version="1.0" encoding="shift_jis"?><a/>',
        b"<a>" * 100_000,
    ],
)
def test_text_that_is_no_xml_is_an_error(tmp_path, text):
    with pytest.raises(FormatError, match="the XML is incomplete or damaged") as told:
        parse_xml(tmp_path, text)
    assert str(tmp_path) in str(told.value)
    assert str(pickle.loads(pickle.dumps(told.value))) == str(told.value)


def test_depth_is_no_trouble(tmp_path):
    depth = 100_000
    root = parse_xml(tmp_path, b"<a>" * depth + b"</a>" * depth)
    assert sum(1 for _ in root.iter()) == depth


@pytest.mark.parametrize("piece", [16, 40, 2**20])
def test_pieces_are_found_wherever_they_are_cut(tmp_path, monkeypatch, piece):
    monkeypatch.setattr(safe_xml, "MAX_PIECE", piece)
    path = tmp_path / "a.bin"
    for before in range(20):
        path.write_bytes(b"\xff" * before + b"<I>1</I>\0\0<I>22</I><I></I></I><I>")
        assert list(xml_pieces(path, "I")) == [b"<I>1</I>", b"<I>22</I>", b"<I></I>"]


def test_piece_without_an_end_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(safe_xml, "MAX_PIECE", 100)
    path = tmp_path / "a.bin"
    path.write_bytes(b"<I>1</I>" + b"<I>" * 1000 + b"</I>")
    assert list(xml_pieces(path, "I")) == [b"<I>1</I>"]


def test_no_more_is_searched_than_said(tmp_path, monkeypatch):
    monkeypatch.setattr(safe_xml, "MAX_PIECE", 10)
    monkeypatch.setattr(safe_xml, "MAX_SEARCHED", 100)
    path = tmp_path / "a.bin"
    path.write_bytes(bytes(50) + b"<I>1</I>" + bytes(100) + b"<I>2</I>")
    assert list(xml_pieces(path, "I")) == [b"<I>1</I>"]


def test_file_that_cannot_be_read_is_an_error(tmp_path):
    with pytest.raises(FormatError, match="cannot be read"):
        list(xml_pieces(tmp_path, "I"))
