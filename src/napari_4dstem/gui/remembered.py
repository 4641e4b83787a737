"""With which parameters the user opened a file: so that he says it once."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs

MAX_FILES = 500
PROGRAM = "napari-4dstem"


@dataclass(frozen=True)
class Remembered:
    """How a file was opened the last time.

    Attributes
    ----------
    filetype : str
    parameters : dict
    is_same_file : bool
        False if another file lies there now, as far as its size tells.
    """

    filetype: str
    parameters: dict[str, Any]
    is_same_file: bool


def store() -> Path:
    """Return the file in which it is kept."""
    return platformdirs.user_config_path(PROGRAM, appauthor=False) / "opened_files.json"


def recall(path: Path) -> Remembered | None:
    """Return how a file was opened the last time, None if never."""
    entry = _read().get(_key(path))
    if entry is None:
        return None
    filetype, parameters = entry.get("filetype"), entry.get("parameters")
    if not isinstance(filetype, str) or not isinstance(parameters, dict):
        return None
    return Remembered(
        filetype,
        {name: _from_json(value) for name, value in parameters.items()},
        entry.get("size") == _size(path),
    )


def remember(path: Path, filetype: str, parameters: Mapping[str, Any]) -> None:
    """Keep how a file was opened. The files of long ago are forgotten."""
    entries = _read()
    entries.pop(_key(path), None)
    entries[_key(path)] = {
        "size": _size(path),
        "filetype": filetype,
        "parameters": {name: _to_json(value) for name, value in parameters.items()},
    }
    _write(dict(list(entries.items())[-MAX_FILES:]))


def forget(path: Path) -> None:
    """Open the file as if it were the first time."""
    entries = _read()
    if entries.pop(_key(path), None) is not None:
        _write(entries)


def _key(path: Path) -> str:
    return os.path.abspath(path)


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size if path.is_file() else None
    except OSError:
        return None


def _read() -> dict[str, dict[str, Any]]:
    try:
        files = json.loads(store().read_text(encoding="utf-8"))["files"]
        return {path: entry for path, entry in files.items() if isinstance(entry, dict)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}  # not there yet, or spoiled: nothing worth an error


def _write(entries: Mapping[str, Any]) -> None:
    target = store()
    text = json.dumps({"version": 1, "files": entries}, indent=1)
    beside = target.with_name(f"{target.name}.{os.getpid()}")
    # A folder that cannot be written to is no reason not to open a file.
    with contextlib.suppress(OSError):
        target.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(text, encoding="utf-8")
        beside.replace(target)


def _to_json(value: Any) -> Any:
    if isinstance(value, np.dtype):
        return value.str
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, os.PathLike):
        return os.path.abspath(os.path.expanduser(value))
    if isinstance(value, Mapping):
        return {name: _to_json(item) for name, item in value.items()}
    return list(map(_to_json, value)) if isinstance(value, (tuple, list)) else value


def _from_json(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
