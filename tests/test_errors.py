"""Errors tell which file, where, what was expected, what was found, what to do."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import pytest

from napari_4dstem.errors import (
    FormatError,
    FormatWarning,
    MissingParameterError,
    NotRecognizedError,
    ParameterError,
)

FULL = FormatError(
    Path("/data/a.mib"),
    "unknown pixel type",
    offset=6,
    expected="U08 or U16",
    found="X99",
    hint="Please report this file.",
)


def test_message_has_all_parts():
    assert str(FULL) == (
        "/data/a.mib: unknown pixel type (byte 6): expected U08 or U16, found X99."
        " Please report this file."
    )


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (FormatError(None, "too small"), "too small."),
        (FormatError("a", "empty"), "a: empty."),
        (FormatError("a", "What is it?"), "a: What is it?"),
        (FormatError("a", "odd", offset=0), "a: odd."),
        (FormatError("a", "odd", offset=7), "a: odd (byte 7)."),
        (FormatError("a", "odd", found=0), "a: odd: found 0."),
        (FormatError("a", "odd", expected=False), "a: odd: expected False."),
        (FormatError("a", "odd", hint="Try."), "a: odd. Try."),
        (ParameterError("a", "dtype", "odd", found=1), "a: odd: found 1."),
    ],
)
def test_message_leaves_out_what_is_not_known(error, message):
    assert str(error) == message


def test_parts_are_attributes():
    assert FULL.path == "/data/a.mib"
    assert FULL.problem == "unknown pixel type"
    assert FULL.offset == 6
    assert FULL.expected == "U08 or U16"
    assert FULL.found == "X99"
    assert FULL.hint == "Please report this file."


@pytest.mark.parametrize(
    "error",
    [
        FULL,
        NotRecognizedError("a", "what?", hint="Look."),
        ParameterError("a", "dtype", "unknown", found="u3"),
        MissingParameterError(None, "dtype", "must be given"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_travel_between_processes(error):
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(again) is type(error)
        assert str(again) == str(error)
        assert vars(again) == vars(error)


@pytest.mark.parametrize(
    "kind", [NotRecognizedError, ParameterError, MissingParameterError]
)
def test_every_error_is_a_format_error_and_a_value_error(kind):
    assert issubclass(kind, FormatError)
    assert issubclass(kind, ValueError)


def test_warning_is_a_user_warning():
    assert issubclass(FormatWarning, UserWarning)
