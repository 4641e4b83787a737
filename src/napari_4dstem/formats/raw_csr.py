"""Raw CSR: sparse frames, three files of numbers that a TOML file names.

Source: LiberTEM (``io/dataset/raw_csr.py``).
"""

from __future__ import annotations

import re
import tomllib
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from napari_4dstem.errors import FormatError
from napari_4dstem.formats._format import Description, Format, read_head
from napari_4dstem.frames.records import beside
from napari_4dstem.frames.refusals import INTERRUPTED
from napari_4dstem.frames.sparse import NumberFile, SparseFrames

NAME = "raw_csr"
MARK = re.compile(
    rb"""^\s*["']?filetype["']?\s*=\s*["']raw_csr["']""", re.IGNORECASE | re.MULTILINE
)
MAX_TOML = 2**20
MAX_AXES = 8
# A frame may be empty, so that no file tells whether its size is absurd. This is twice
# each side of the largest detectors.
MAX_PIXELS = 2**26
CORRECT = "Correct the TOML file in a text editor."


def recognize(path: Path, head: bytes) -> bool:
    return MARK.search(head) is not None


def describe(path: Path) -> Description:
    params, section = _read_toml(path)
    nav_shape = _shape(path, params, "nav_shape")
    sig_shape = _shape(path, params, "sig_shape")
    if prod(sig_shape) > MAX_PIXELS:
        raise FormatError(
            path,
            "sig_shape is impossible for a detector",
            expected=f"at most {MAX_PIXELS} pixels",
            found=" x ".join(map(str, sig_shape)),
            hint=CORRECT,
        )
    indptr = _number_file(path, section, "indptr", "iu")
    indices = _number_file(path, section, "indices", "iu")
    values = _number_file(path, section, "data", "biuf")
    if indices.count != values.count:
        raise FormatError(
            path,
            "there are not as many indices as values",
            expected="one of each for every event",
            found=f"{indices.count} in {indices.path.name}, {values.count} in"
            f" {values.path.name}",
            hint="A copy was interrupted, or a type in the TOML is wrong.",
        )
    if indptr.count < 2:
        raise FormatError(
            path,
            f"{indptr.path.name} tells of no frame",
            expected="a number for each frame, and one more",
            found=f"{indptr.count} numbers",
            hint=INTERRUPTED,
        )
    frames = SparseFrames(path, indptr, indices, values, sig_shape, 0, indptr.count - 1)
    frames.check_ends()
    return Description(
        frames,
        nav_shape,
        metadata={"header": {**params, **section}},
        companions=(path,),
    )


def _read_toml(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the sections ``params`` and that of the format."""
    head = read_head(path, MAX_TOML + 1)
    if len(head) > MAX_TOML:
        raise FormatError(
            path,
            "the file is far too large for one in TOML",
            expected=f"at most {MAX_TOML} bytes",
            hint="Open the .toml file that names the three others.",
        )
    try:
        content = tomllib.loads(head.decode())
    except (ValueError, RecursionError) as error:  # also of an encoding or a number
        raise FormatError(
            path,
            f"the file cannot be read as TOML ({error})",
            hint="Correct it in a text editor."
            if path.suffix.lower() == ".toml"
            else "Open the .toml file that names the three others.",
        ) from error
    params = _table(path, content, "params")
    filetype = _value(path, params, "filetype", str)
    if filetype.lower() != NAME:
        raise FormatError(
            path,
            "the TOML describes data of another type",
            expected=f'filetype = "{NAME}"',
            found=f'"{filetype[:40]}"',
            hint="Only sparse data of this type can be opened by their TOML file.",
        )
    # LiberTEM wants the section spelled like the value.
    named = [name for name in content if name.lower() == NAME]
    name = filetype if filetype in named or not named else named[0]
    return params, _table(path, content, name)


def _table(path: Path, content: dict[str, Any], name: str) -> dict[str, Any]:
    table = content.get(name)
    if not isinstance(table, dict):
        raise FormatError(
            path,
            f"the section [{name}] is missing",
            found=", ".join(f"[{n}]" for n in [*content][:5]) or "no section",
            hint=CORRECT,
        )
    return table


def _value(path: Path, table: dict[str, Any], key: str, kind: type) -> Any:
    if key not in table:
        raise FormatError(
            path,
            f"{key} is missing",
            found=f"only {', '.join([*table][:10])}" if table else "an empty section",
            hint=CORRECT,
        )
    if not isinstance(table[key], kind):
        raise FormatError(
            path,
            f"{key} has an impossible value",
            expected="text" if kind is str else "a list of whole numbers above 0",
            found=repr(table[key])[:60],
            hint=CORRECT,
        )
    return table[key]


def _shape(path: Path, params: dict[str, Any], key: str) -> tuple[int, ...]:
    shape = _value(path, params, key, list)
    if not 0 < len(shape) <= MAX_AXES or not all(
        type(n) is int and n > 0 for n in shape
    ):
        raise FormatError(
            path,
            f"{key} has an impossible value",
            expected=f"up to {MAX_AXES} whole numbers above 0",
            found=repr(shape)[:60],
            hint=CORRECT,
        )
    return tuple(shape)


def _number_file(
    path: Path, section: dict[str, Any], part: str, kinds: str
) -> NumberFile:
    text = _value(path, section, f"{part}_dtype", str)
    try:
        dtype = np.dtype(text)
    except (TypeError, ValueError, SyntaxError):
        dtype = None
    if dtype is None or dtype.kind not in kinds:
        raise FormatError(
            path,
            f"{part}_dtype is no type of such numbers",
            expected="a name that numpy knows, such as '<i4'",
            found=repr(text[:40]),
            hint=CORRECT,
        )
    name = _value(path, section, f"{part}_file", str)
    try:
        file = path.parent / name
        if not file.is_file():  # moved, or copied in upper case
            file = beside(path, Path(name).name)
        is_there, size = file.is_file(), file.stat().st_size
    except (OSError, ValueError):  # a name that no file can have
        is_there = False
    if not is_there:
        raise FormatError(
            path,
            f"the file {name[:200]} is missing, which the TOML names as {part}_file",
            expected=f"it in the folder {path.parent}",
            hint="Copy it there, or correct its name in the TOML.",
        )
    if size % dtype.itemsize:
        raise FormatError(
            path,
            f"{name} does not hold whole numbers of the type {dtype}",
            expected=f"a multiple of {dtype.itemsize} bytes",
            found=f"{size} bytes",
            hint="The copy was interrupted, or the type in the TOML is wrong.",
        )
    return NumberFile(file, dtype, size // dtype.itemsize)


FORMAT = Format("raw_csr", "Raw CSR (sparse)", (".toml",), recognize, describe)
