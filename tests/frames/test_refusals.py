"""Why a file is refused: what it is instead, and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_4dstem.frames.refusals import (
    DAMAGED,
    INTERRUPTED,
    SOMETHING_ELSE,
    UNPACK,
    content,
    is_text,
    known_content,
    no_whole_frame,
    not_a,
)

PATH = Path("a.mib")


@pytest.mark.parametrize(
    ("head", "name", "advice"),
    [
        (b"PK\3\4" + bytes(50), "a ZIP archive", UNPACK),
        (b"II*\0" + bytes(50), "a TIFF image", ""),
        (b"\n<!DOCTYPE HTML><html>", "a web page", "The download went wrong"),
        (b"version https://git-lfs.github.com/spec/v1", "a placeholder", "git lfs"),
        (bytes(50), "nothing but zeros", INTERRUPTED),
        (b"\r\n  pressure 3 Pa\r\n", "text, 'pressure 3 Pa'", ""),
        (b"x" * 100, f"text, '{'x' * 40}...'", ""),
        (b"\1\2abcdefgh", "the bytes 01 02 61 62 63 64 65 66", ""),
        (b"", "text, ''", ""),
    ],
)
def test_content_is_told_in_words(head, name, advice):
    found = content(head)
    assert found.name.startswith(name)
    assert advice in found.advice
    assert bool(advice) == bool(found.advice)


@pytest.mark.parametrize("head", [bytes(range(256)), b"text", b"", bytes(9)])
def test_most_files_begin_with_no_mark(head):
    assert known_content(head) is None


def test_text_is_what_can_be_typed():
    assert is_text(b"a\tb\r\n")
    assert not is_text(b"a\0b")
    assert not is_text("µ".encode())


def test_another_file_is_told_with_advice():
    assert str(not_a(PATH, b"\x93NUMPY\1", "a MIB file")).startswith(
        "a.mib: not a MIB file: found a NumPy array file (npy). Open it with"
    )
    assert not_a(PATH, b"notes", "a MIB file").hint == SOMETHING_ELSE


@pytest.mark.parametrize(
    ("pixel", "expected"),
    [
        (">u2", "at least 108 bytes for a frame of 3 x 4 uint16"),
        (30, "at least 114 bytes for a frame of 3 x 4 pixels"),
    ],
)
def test_file_shorter_than_a_frame_was_interrupted(pixel, expected):
    error = no_whole_frame(PATH, (3, 4), pixel, 84, 100)
    assert error.expected == expected
    assert error.found == "100 bytes"
    assert error.hint == INTERRUPTED


def test_frame_larger_than_any_detector_is_a_damaged_header():
    error = no_whole_frame(PATH, (4, 2**31), "u1", 84, 100)
    assert "4 x 2147483648" in error.found
    assert error.hint == DAMAGED
