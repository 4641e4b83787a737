"""Tables of header fields, and the first bytes of files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from napari_4dstem.errors import FormatError
from napari_4dstem.frames.refusals import INTERRUPTED

# A format recognizes a file by this many bytes of its beginning.
HEAD_NBYTES = 4096


def record(**fields: tuple[Any, int]) -> np.dtype[Any]:
    """Return a table of header fields: name = (numpy type, byte offset)."""
    return np.dtype(
        {
            "names": list(fields),
            "formats": [kind for kind, _ in fields.values()],
            "offsets": [offset for _, offset in fields.values()],
        }
    )


def read_record(path: Path, fields: np.dtype[Any], offset: int = 0) -> dict[str, Any]:
    """Read a table of header fields.

    Parameters
    ----------
    path : Path
    fields : dtype
        Made by `record`.
    offset : int
        Byte of the file at which the table begins.

    Returns
    -------
    dict
        Plain Python values: numbers that cannot overflow, bytes, lists.

    Raises
    ------
    FormatError
        If the file cannot be read or ends within the table.
    """
    data = read_head(path, fields.itemsize, offset)
    if len(data) < fields.itemsize:
        raise FormatError(
            path,
            "the header is incomplete",
            expected=f"at least {offset + fields.itemsize} bytes",
            found=f"{path.stat().st_size} bytes",
            hint=INTERRUPTED,
        )
    return parse_record(data, fields)


def parse_record(data: bytes, fields: np.dtype[Any]) -> dict[str, Any]:
    """Return the fields of a table at the beginning of ``data``, as `read_record`."""
    values = np.frombuffer(data, fields, count=1)[0]
    return {name: values[name].tolist() for name in fields.names or ()}


def read_head(path: Path, nbytes: int = HEAD_NBYTES, offset: int = 0) -> bytes:
    """Return the first bytes of a file, or those from ``offset`` on.

    Raises
    ------
    FormatError
        If there is no such file, it cannot be read, or it is empty.
    """
    try:
        with open(path, "rb") as file:
            if offset:
                file.seek(offset)
            head = file.read(nbytes)
    except FileNotFoundError as error:
        raise FormatError(
            path, "the file does not exist", hint="Check folder and spelling."
        ) from error
    except (OSError, ValueError) as error:  # ValueError: NUL in the name
        raise FormatError(
            path,
            f"the file cannot be read ({getattr(error, 'strerror', None) or error})",
            hint="Check that it is a file and that you may read it.",
        ) from error
    if not head and not offset:
        raise FormatError(
            path,
            "the file is empty",
            hint=INTERRUPTED,
        )
    return head


def file_size(path: Path) -> int:
    """Return the bytes of a file that belongs to the one that is opened.

    Raises
    ------
    FormatError
        If it is not there or cannot be looked at.
    """
    try:
        return path.stat().st_size
    except OSError as error:
        raise FormatError(
            path,
            f"the file cannot be read ({error.strerror or error})",
            hint="Check that it is there and that you may read it.",
        ) from error


def siblings(path: Path) -> list[Path]:
    """Return what lies in the folder of a file, in the order of the names.

    Only the file itself if the folder cannot be listed.
    """
    try:
        names = sorted(os.listdir(path.parent))
    except OSError:
        return [path]
    return [path.with_name(name) for name in names]


def beside(path: Path, name: str) -> Path:
    """Return the file of a name beside another one, written in any case.

    Where there is none, the path that it would have.
    """
    exact = path.with_name(name)
    if exact.is_file():
        return exact
    same = (p for p in siblings(path) if p.name.lower() == name.lower())
    return next(same, exact)
