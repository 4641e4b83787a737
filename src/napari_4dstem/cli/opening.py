"""Opens files for commands, and says what to type where a file does not tell enough."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from inspect import Parameter
from pathlib import Path
from typing import Any

from napari_4dstem.cli.options import flag, placeholder
from napari_4dstem.dataset import AUTO, Dataset, open_dataset
from napari_4dstem.errors import (
    FormatError,
    MissingParameterError,
    NotRecognizedError,
)
from napari_4dstem.formats import FORMATS, unmarked_formats
from napari_4dstem.formats._format import Format


def opened(filetype: str, file: Path, parameters: Mapping[str, Any]) -> Dataset:
    """Return the data set; errors say what to type instead.

    Raises
    ------
    FormatError
        If the file is not what it has to be, or a parameter is wrong.
    """
    try:
        return open_dataset(filetype, file, **parameters)
    except (MissingParameterError, NotRecognizedError) as error:
        if filetype != AUTO:
            _advise(error, FORMATS[filetype], file, parameters)
        elif file.is_file():
            for format_ in unmarked_formats(file)[:1]:
                _advise(error, format_, file, parameters)
        raise


def is_for_reader(path: Path) -> bool:
    """Whether napari knows by the suffix that we have a reader for a file."""
    return path.is_dir() or path.suffix.lower() in {
        suffix for format_ in FORMATS.values() for suffix in format_.extensions
    }


def has_form(path: Path, error: FormatError) -> bool:
    """Whether the reader asks the user for what the file does not say."""
    return isinstance(error, MissingParameterError) or any(
        path.suffix.lower() in format_.extensions for format_ in unmarked_formats(path)
    )


def _advise(
    error: FormatError, format_: Format, file: Path, parameters: Mapping[str, Any]
) -> None:
    """Say in an error what to type for a file that does not tell of itself."""
    likely = {**format_.propose(file), **parameters}
    words = ["--type", format_.name]
    for name, parameter in format_.parameters.items():
        if name not in likely and parameter.default is Parameter.empty:
            words += [flag(name), placeholder(parameter.annotation)]
    for name, value in likely.items():
        words += _typed(name, value)
    hint = f"Say what it is, perhaps: {shlex.join(words)}"
    facts = {part: getattr(error, part) for part in ("offset", "expected", "found")}
    error.args = FormatError(error.path, error.problem, hint=hint, **facts).args
    error.hint = hint


def _typed(name: str, value: Any) -> list[str]:
    """Return a parameter as one types it."""
    if isinstance(value, bool):
        return [flag(name if value else f"no_{name}")]
    if isinstance(value, Mapping):  # the files of corrections
        return [word for item in value.items() for word in _typed(*item)]
    text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return [flag(name), text]
