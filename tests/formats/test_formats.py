"""The list of formats, and which one a file has."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_4dstem.dataset import COMMON_PARAMETERS
from napari_4dstem.errors import FormatError, NotRecognizedError
from napari_4dstem.formats import FORMATS, identify, unmarked_formats
from napari_4dstem.formats._format import read_head
from napari_4dstem.frames import refusals
from tests.formats.contract import Contract

MARKS = [b"\x93NUMPY", b"MQ1,", b"MQ1,000001,00384,01,", b"HDR,\t\r\n", b""]


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_has_joined_the_contract(name):
    module = importlib.import_module(f"tests.formats.test_{name}")
    suites = [
        suite
        for _, suite in inspect.getmembers(module, inspect.isclass)
        if issubclass(suite, Contract) and hasattr(suite, "cases")
    ]
    tested = {case.filetype for suite in suites for case in suite.cases}
    assert tested == {name}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_has_a_module_of_its_name(name):
    module = importlib.import_module(f"napari_4dstem.formats.{name}")
    assert module.FORMAT is FORMATS[name]
    assert FORMATS[name].name == name
    assert FORMATS[name].title
    assert "Source:" in module.__doc__


@pytest.mark.parametrize("name", FORMATS)
def test_parameters_have_types(name):
    for facts in FORMATS[name].parameters.values():
        assert not isinstance(facts.annotation, str)
        assert facts.annotation is not inspect.Parameter.empty


@pytest.mark.parametrize("name", FORMATS)
def test_people_are_told_what_each_parameter_means(name):
    format_ = FORMATS[name]
    own = set(format_.parameters) - set(COMMON_PARAMETERS)
    # Forms and command lines are for files only.
    assert set(format_.meanings) == (own if format_.takes_path else set())
    for label, text in format_.meanings.values():
        assert label
        assert len(label) <= 24
        assert text
        assert not text.endswith(".")


@pytest.mark.parametrize("name", FORMATS)
@given(
    mark=st.sampled_from(MARKS),
    rest=st.binary(max_size=60),
    file=st.sampled_from(["a.npy", "a.hdr", "A.MIB", "a", ".hdr", "a.b.raw"]),
)
def test_judging_a_file_never_raises(name, mark, rest, file):
    format_ = FORMATS[name]
    for judge in filter(None, (format_.recognize, format_.by_name, format_.may_be)):
        assert judge(Path(file), mark + rest) in (True, False)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("content", [None, b"", b"a text", bytes(range(256)) * 40])
def test_a_file_of_something_else_offers_nothing(name, content, tmp_path):
    path = tmp_path / "a"
    if content is not None:
        path.write_bytes(content)
    assert FORMATS[name].choices(path) == {}
    assert FORMATS[name].choices(tmp_path) == {}


@pytest.mark.parametrize(
    ("content", "file", "name"),
    [
        (b"\x93NUMPY\1\0", "a.raw", "npy"),
        (b"MQ1,000001,00384,01,", "a.hdr.mib", "mib"),
        (b"HDR,\t\r\nScanX:\t4\r\n", "a.hdr", "mib"),
    ],
)
def test_content_decides(tmp_path, content, file, name):
    path = tmp_path / file
    path.write_bytes(content)
    assert identify(path) is FORMATS[name]


@pytest.mark.parametrize(
    ("content", "file"),
    [
        (b"lens 2 was off\n", "notes.mib"),
        (b"lens 2 was off\n", "notes.npy"),
        (b"HDR,\t\r\n", "a.txt"),
        (b"ENVI\n", "a.hdr"),
        (bytes(100), "a.bin"),
        (b"\x89PNG\r\n\x1a\n", "a.raw"),
    ],
)
def test_what_only_has_the_name_is_not_recognized(tmp_path, content, file):
    path = tmp_path / file
    path.write_bytes(content)
    with pytest.raises(NotRecognizedError, match="not recognized") as told:
        identify(path)
    assert told.value.path == str(path)
    assert "npy" in told.value.expected
    assert told.value.found == refusals.content(content).name
    offered = [format_.name for format_ in unmarked_formats(path)]
    assert all(f"load({name!r}" in told.value.hint for name in offered)


def test_head_is_the_beginning_of_the_file(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(bytes(range(256)) * 40)
    assert read_head(path) == (bytes(range(256)) * 16)
    assert read_head(path, 3) == b"\0\1\2"
    assert len(read_head(path, 99_999)) == 10_240


def test_head_of_nothing_is_an_error(tmp_path):
    (tmp_path / "empty").touch()
    for name, said in (
        ("missing", "does not exist"),
        ("empty", "is empty"),
        (".", "cannot be read"),
        ("a\0b", "cannot be read"),
        ("a" * 300, "cannot be read"),
    ):
        with pytest.raises(FormatError, match=said) as told:
            read_head(tmp_path / name)
        assert told.value.path == str(tmp_path / name)
        assert told.value.hint
