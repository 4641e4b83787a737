"""``napari-4dstem info``: prints what is known about a file."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from napari_4dstem.cli import options
from napari_4dstem.cli.messages import OK, say
from napari_4dstem.cli.opening import opened
from napari_4dstem.dataset import Dataset
from napari_4dstem.errors import FormatError
from napari_4dstem.formats import FORMATS


def info(file: Path, filetype: str, as_json: bool, **parameters: Any) -> int:
    """Print what is known about a file."""
    try:
        data_set = opened(filetype, file, parameters)
        rows = data_set.diagnostics()
    except (FormatError, OSError) as error:
        if as_json:
            print(to_json(_error_report(error)))
        raise
    if as_json:
        print(to_json(_report(data_set)))
        return OK
    rows = [(name, value) for name, value in rows if name != "problem"]
    rows += _choice_rows(data_set)
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"{name:{width}}  {value}")
    sys.stdout.flush()  # before what goes to stderr
    for problem in data_set.problems:
        say(f"warning: {problem}")
    return OK


def add_to(commands: Any) -> None:
    """Add the command to those of the program."""
    command = options.with_examples(
        commands.add_parser,
        """\
        napari-4dstem info scan.mib
        napari-4dstem info scan.mib --nav-shape 128,256 --sync-offset -3
        napari-4dstem info scan.raw --type raw --dtype uint16 --sig-shape 256,256
        napari-4dstem info scan.hdr --json | jq .nav_shape
        """,
        name="info",
        help="print what is in a file",
        description="Print what is in a file: scan and detector shape, type of the"
        " pixels, calibration, what the instrument noted, what was guessed, what is"
        " missing and what else the file offers. Only headers are read. The exit code"
        " is 0, or 1 after an error, or 2 if the command is not understood.",
    )
    command.add_argument("file", metavar="FILE", type=Path, help=options.ANY_FILE)
    command.add_argument(
        "--json",
        dest="as_json",
        action="store_true",
        help="print one JSON object instead; after an error one with the key 'error'"
        " (the message goes to stderr as well)",
    )
    options.add_parameters(command)
    command.set_defaults(command=info)


def _choices(data_set: Dataset) -> Mapping[str, Any]:
    if data_set.path is None:
        return {}
    return FORMATS[data_set.filetype].choices(data_set.path)


def _choice_rows(data_set: Dataset) -> Iterator[tuple[str, str]]:
    """Tell what else the file offers, as one would type it."""
    for name, choices in _choices(data_set).items():
        for choice in choices:
            yield f"offers {options.flag(name)}", choice.label


def _report(data_set: Dataset) -> dict[str, Any]:
    """Return what is known about a data set, for other programs."""
    return {
        "path": data_set.path,
        "name": data_set.name,
        "filetype": data_set.filetype,
        "files": data_set.files,
        "nav_shape": data_set.nav_shape,
        "sig_shape": data_set.sig_shape,
        "dtype": data_set.dtype,
        "num_stored_frames": data_set.num_stored_frames,
        "num_valid": data_set.frames.num_valid(),
        "sync_offset": data_set.sync_offset,
        "flyback": data_set.flyback,
        "calibration": {
            "nav": [axis and axis._asdict() for axis in data_set.calibration.nav],
            "sig": [axis and axis._asdict() for axis in data_set.calibration.sig],
        },
        "metadata": data_set.metadata,
        "notices": data_set.notices,
        "problems": data_set.problems,
        "parameters": data_set.parameters,
        "choices": {
            name: [{"value": one.value, "label": one.label} for one in choices]
            for name, choices in _choices(data_set).items()
        },
    }


def _error_report(error: Exception) -> dict[str, Any]:
    parts = ("path", "parameter", "offset", "expected", "found", "hint")
    return {
        "error": str(error),
        "kind": type(error).__name__,
        **{part: getattr(error, part, None) for part in parts},
    }


def to_json(value: Any) -> str:
    """Return anything as JSON, as near as that comes to it."""
    return json.dumps(_json_safe(value), indent=2, allow_nan=False)


def _json_safe(value: Any) -> Any:
    """Return the nearest that JSON has; null for numbers that are none."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): _json_safe(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_json_safe(item) for item in value]
    if isinstance(value, bytes):
        return value.decode("latin-1")
    return str(value)
