"""Paths as users give them, and in which order."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from napari_4dstem.errors import ParameterError


def natural_order(paths: Iterable[Path]) -> list[Path]:
    """Sort files by name as people do: ``a9.dm4`` before ``a10.dm4``."""

    def key(path: Path) -> list[tuple[int, str]]:
        words = re.findall(r"\d+|\D+", path.name.lower())
        return [(int(w), "") if w.isdecimal() else (-1, w) for w in words]

    return sorted(paths, key=lambda path: (key(path), path))


def absolute(path: str | os.PathLike[str]) -> Path:
    """Return a path that holds wherever the process goes."""
    return Path(os.path.abspath(os.path.expanduser(path)))


def checked_files(path: Path | None, files: Any) -> tuple[str, ...]:
    """Return a list of files with absolute names; ``path`` is one of them, if given."""
    if files is None:
        return ()
    is_list = not isinstance(files, (str, bytes)) and isinstance(files, Iterable)
    members = list(files) if is_list else []
    if not is_list or not all(isinstance(f, (str, os.PathLike)) for f in members):
        raise ParameterError(
            path, "files", "files is not a list of paths", found=repr(files)[:80]
        )
    if not members:
        raise ParameterError(path, "files", "no files are given", expected="some paths")
    checked = [absolute(file) for file in members]
    if path is not None and path not in checked:
        raise ParameterError(
            path,
            "files",
            "path is none of the files",
            found=f"{len(checked)} files, the first {checked[0]}",
            hint="files alone is enough.",
        )
    return tuple(map(str, checked))
