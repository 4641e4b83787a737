"""Gain maps that people keep as tables: CSV and MATLAB files.

Source: LiberTEM (``io/dataset/frms6.py``) for the CSV; "MAT-File Format" (MathWorks)
for files of MATLAB 5 to 7, those of 7.3 are HDF5.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_4dstem.corrections import LazyFrame
from napari_4dstem.errors import FormatError
from napari_4dstem.frames.records import read_head
from napari_4dstem.frames.refusals import DAMAGED, INTERRUPTED

VARIABLE = "GainMap"
# A number as text has no more characters than this, a row no more than one separator.
CSV_NUMBER_NBYTES = 40

# MATLAB 5: kinds of elements and of numbers
COMPRESSED, MATRIX = 15, 14
NUMBERS = {
    1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8",
    13: "u8",
}  # fmt: skip
MAT_HEADER_NBYTES = 128
MAX_VARIABLES = 1000


def gain_map(path: Path, shape: tuple[int, ...]) -> LazyFrame:
    """Return the gain map in a file, which is checked now and kept only on demand.

    Parameters
    ----------
    path : Path
        ``.csv``: numbers separated by semicolons, a line for each column of the
        detector. ``.mat``: a variable ``GainMap`` of the shape of a frame.
    shape : tuple of int
        Shape of a frame.

    Raises
    ------
    FormatError
        If it cannot be read or has another shape.
    """
    lazy = LazyFrame(_read, (path, shape), shape, (path,))
    np.asarray(lazy)
    return lazy


def _read(path: Path, shape: tuple[int, ...]) -> NDArray[np.float64]:
    kind = path.suffix.lower()
    if kind not in (".csv", ".mat"):
        raise FormatError(
            path,
            "a gain map of this type cannot be read",
            expected="a .csv or .mat file",
            found=kind or "a name without an ending",
            hint="Save it as one of these.",
        )
    head = read_head(path)
    if kind == ".csv":
        values = _read_csv(path, shape)
    elif head.startswith(b"MATLAB 7.3"):
        values = _read_hdf5(path, shape)
    else:
        values = _read_matlab_5(path, head, shape)
    if values.shape != shape:
        raise _wrong_shape(path, shape, values.shape)
    return values


def _wrong_shape(
    path: Path, shape: tuple[int, ...], found: tuple[int, ...]
) -> FormatError:
    return FormatError(
        path,
        "the gain map does not fit the detector",
        expected=f"{' x '.join(map(str, shape))} numbers",
        found=" x ".join(map(str, found)),
        hint="It belongs to another detector, binning or window.",
    )


def _no_variable(path: Path, names: list[str]) -> FormatError:
    return FormatError(
        path,
        f"the file has no variable {VARIABLE}",
        expected=f"{VARIABLE}, a matrix of real numbers",
        found=", ".join(names[:5]) or "no variable",
        hint="Save the gain map under this name.",
    )


def _read_csv(path: Path, shape: tuple[int, ...]) -> NDArray[np.float64]:
    limit = (CSV_NUMBER_NBYTES + 1) * (prod(shape) + shape[-1])
    if path.stat().st_size > limit:
        raise FormatError(
            path,
            "the file is too large for a gain map",
            expected=f"{prod(shape)} numbers in at most {limit} bytes",
            found=f"{path.stat().st_size} bytes",
            hint="It belongs to another detector, binning or window.",
        )
    rows: list[list[float]] = []
    text = read_head(path, limit).decode("utf-8-sig", "replace")
    for number, line in enumerate(text.splitlines(), 1):
        try:
            row = [float(field) for field in line.split(";") if field.strip()]
        except ValueError as error:
            raise FormatError(
                path,
                f"line {number} has something that is no number",
                expected="numbers separated by semicolons",
                found=f'"{line[:40]}"',
                hint="Save the gain map as such a CSV file.",
            ) from error
        if row and rows and len(row) != len(rows[0]):
            raise FormatError(
                path,
                f"line {number} has another length than those before",
                expected=f"{len(rows[0])} numbers",
                found=f"{len(row)} numbers",
                hint="The file was edited or is damaged.",
            )
        rows += [row] if row else []
    # A line is a column of the detector.
    return np.array(rows, np.float64).T


def _read_hdf5(path: Path, shape: tuple[int, ...]) -> NDArray[np.float64]:
    import h5py

    try:
        with h5py.File(path) as file:
            found = file.get(VARIABLE)
            if not isinstance(found, h5py.Dataset) or found.dtype.kind not in "iuf":
                raise _no_variable(path, [*map(str, file)])
            # MATLAB's first axis is the last one here
            if found.shape[::-1] != shape:
                raise _wrong_shape(path, shape, found.shape[::-1])
            return np.asarray(found[()], np.float64).T
    except FormatError:
        raise
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise FormatError(
            path,
            f"the file cannot be read as one of MATLAB 7.3 ({error})",
            hint=DAMAGED,
        ) from error


def _read_matlab_5(
    path: Path, head: bytes, shape: tuple[int, ...]
) -> NDArray[np.float64]:
    order = {b"IM": "<", b"MI": ">"}.get(head[126:128])
    if order is None:
        raise FormatError(
            path,
            "not a MATLAB file",
            offset=126,
            expected="IM or MI, as versions 5 to 7 write",
            found=repr(head[126:128].decode("latin-1")),
            hint="Save it with MATLAB 5 or newer, or as CSV.",
        )
    # Flags, shape and name come first; compressed noise is larger than noise.
    limit = 1024 + 9 * prod(shape)
    names = []
    for matrix in _matrices(path, order, limit):
        name, dims, values = _parsed(matrix, order)
        if name == VARIABLE and values is not None:
            if dims != shape:
                raise _wrong_shape(path, shape, dims)
            if len(values) < prod(shape):
                raise FormatError(
                    path,
                    "the gain map is incomplete",
                    expected=f"{prod(shape)} numbers",
                    found=f"{len(values)}",
                    hint=INTERRUPTED,
                )
            return values[: prod(shape)].reshape(shape, order="F").astype(np.float64)
        names += [name] if name else []
    raise _no_variable(path, names)


def _matrices(path: Path, order: str, limit: int) -> Iterator[bytes]:
    """Yield the content of each variable, as far as it may be a gain map."""
    size = path.stat().st_size
    at = MAT_HEADER_NBYTES
    for _ in range(MAX_VARIABLES):
        if at + 8 > size:
            return
        kind, nbytes = np.frombuffer(read_head(path, 8, at), order + "u4").tolist()
        content = read_head(path, min(nbytes, limit), at + 8)
        if kind == COMPRESSED:
            try:
                content = zlib.decompressobj().decompress(content, limit + 8)
            except zlib.error:
                return
            if len(content) < 8:
                return
            (kind,) = np.frombuffer(content[:4], order + "u4").tolist()
            content = content[8:]
        if kind != MATRIX:
            return
        yield content
        at += 8 + nbytes


def _parsed(
    matrix: bytes, order: str
) -> tuple[str, tuple[int, ...], NDArray[Any] | None]:
    """Return name, shape and numbers of a matrix; None where it has no numbers."""
    parts = [*_elements(matrix, order, 4)]
    if len(parts) < 4:
        return "", (), None
    _flags, (_, dims), (_, name), (kind, values) = parts
    shape = tuple(np.frombuffer(dims[: len(dims) // 4 * 4], order + "i4").tolist())
    text = name.decode("latin-1")
    if kind not in NUMBERS:
        return text, shape, None
    number = np.dtype(order + NUMBERS[kind])
    whole = len(values) // number.itemsize * number.itemsize
    return text, shape, np.frombuffer(values[:whole], number)


def _elements(content: bytes, order: str, count: int) -> Iterator[tuple[int, bytes]]:
    at = 0
    for _ in range(count):
        if at + 8 > len(content):
            return
        kind, nbytes = np.frombuffer(content[at : at + 8], order + "u4").tolist()
        if kind >> 16:  # a small element: kind, length and up to four bytes in one
            yield kind & 0xFFFF, content[at + 4 : at + 4 + min(kind >> 16, 4)]
            at += 8
        else:
            yield kind, content[at + 8 : at + 8 + nbytes]
            at += 8 + -(-nbytes // 8) * 8
