"""NPY: an array as numpy saves it.

Source: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""

from __future__ import annotations

import ast
import re
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from napari_4dstem.errors import FormatError, ParameterError
from napari_4dstem.formats._format import Description, Format, Meaning, read_head
from napari_4dstem.frames.layout import FrameLayout, FrameRun
from napari_4dstem.frames.refusals import (
    DAMAGED,
    INTERRUPTED,
    no_whole_frame,
    not_a,
)

MAGIC = b"\x93NUMPY"
# major version: (bytes of the length field, encoding of the text)
VERSIONS = {1: (2, "latin-1"), 2: (4, "latin-1"), 3: (4, "utf-8")}
# numpy's own limit: a longer text is an attack on the parser
MAX_TEXT = 10_000
# as many axes as any numpy knows
MAX_AXES = 32
# scan lines of an array in Fortran order
MAX_RUNS = 1_000_000
KEYS = {"descr", "fortran_order", "shape"}


def recognize(path: Path, head: bytes) -> bool:
    return head.startswith(MAGIC)


def describe(
    path: Path,
    *,
    sig_dims: int | None = 2,
    sig_shape: tuple[int, ...] | None = None,
) -> Description:
    dtype, shape, fortran_order, start = _read_header(path)
    sig_dims = _checked_sig_dims(path, sig_dims, sig_shape, shape)
    nav_shape = shape[: len(shape) - sig_dims] or (1,)
    stored_shape = shape[len(shape) - sig_dims :]
    frame_nbytes = prod(stored_shape) * dtype.itemsize
    size = path.stat().st_size
    if size - start < frame_nbytes:
        raise no_whole_frame(path, stored_shape, dtype, start, size)
    metadata = {"header": {"shape": shape, "descr": dtype.str}}
    if fortran_order:
        return _fortran(path, dtype, nav_shape, stored_shape, start, sig_shape)
    if sig_shape is not None and prod(sig_shape) != prod(stored_shape):
        # another cut of the same stream of pixels
        count = prod(shape) // prod(sig_shape)
        if not count:
            raise ParameterError(
                path,
                "sig_shape",
                "sig_shape has more pixels than the whole array",
                expected=f"at most {prod(shape)} pixels",
                found=f"{prod(sig_shape)} pixels",
            )
        nav_shape = nav_shape if count == prod(nav_shape) else (count,)
        stored_shape = sig_shape
        frame_nbytes = prod(sig_shape) * dtype.itemsize
    else:
        count = prod(nav_shape)
    run = FrameRun(path, start, frame_nbytes, count)
    layout = FrameLayout((run,), sig_shape or stored_shape, dtype)
    return Description(layout, nav_shape, metadata=metadata)


def _fortran(
    path: Path,
    dtype: np.dtype[Any],
    nav_shape: tuple[int, ...],
    stored_shape: tuple[int, ...],
    start: int,
    sig_shape: tuple[int, ...] | None,
) -> Description:
    """Pixels of all frames lie side by side: the first axis is the fastest."""
    shape = nav_shape + stored_shape
    needed = start + prod(shape) * dtype.itemsize
    size = path.stat().st_size
    if size < needed:
        raise FormatError(
            path,
            "the file is shorter than the shape in its header needs, and the array"
            " is in Fortran order, so that every frame is incomplete",
            expected=f"{needed} bytes for {' x '.join(map(str, shape))} {dtype}",
            found=f"{size} bytes",
            hint=INTERRUPTED,
        )
    if sig_shape is not None and prod(sig_shape) != prod(stored_shape):
        raise ParameterError(
            path,
            "sig_shape",
            "an array in Fortran order cannot be cut into other frames",
            expected=f"sig_shape {stored_shape}",
            found=sig_shape,
            hint="Convert it once with np.ascontiguousarray.",
        )
    strides = [dtype.itemsize * prod(shape[:axis]) for axis in range(len(shape))]
    # An axis of one position has no stride worth a run of its own.
    nav = [(n, step) for n, step in zip(nav_shape, strides, strict=False) if n > 1]
    *outer, (line, stride) = nav or [(1, 0)]
    if prod(n for n, _ in outer) > MAX_RUNS:
        raise FormatError(
            path,
            "the array is in Fortran order and has too many scan lines to be read so",
            expected=f"at most {MAX_RUNS}",
            found=f"shape {shape}",
            hint="Convert it once with np.ascontiguousarray.",
        )
    starts = (
        start + sum(i * step for i, (_, step) in zip(index, outer, strict=True))
        for index in product(*(range(n) for n, _ in outer))
    )
    runs = tuple(FrameRun(path, first, stride, line) for first in starts)
    return Description(
        FrameLayout(
            runs, stored_shape, dtype, sig_strides=tuple(strides[len(nav_shape) :])
        ),
        nav_shape,
        metadata={"header": {"shape": shape, "descr": dtype.str, "order": "F"}},
        notices=(
            "The array is in Fortran order: every frame is scattered over the whole"
            " file, and reading is slow. np.ascontiguousarray converts it.",
        ),
    )


def _read_header(path: Path) -> tuple[np.dtype[Any], tuple[int, ...], bool, int]:
    head = read_head(path, 12 + MAX_TEXT)
    if not head.startswith(MAGIC):
        raise not_a(path, head, "an npy file")
    if len(head) < 12:
        raise _incomplete(path, len(head))
    version = head[6]
    if version not in VERSIONS:
        raise FormatError(
            path,
            f"unknown npy version {head[6]}.{head[7]}",
            offset=6,
            expected="1.0, 2.0 or 3.0",
            hint="Save the array again with a current numpy.",
        )
    length_nbytes, encoding = VERSIONS[version]
    begin = 8 + length_nbytes
    length = int.from_bytes(head[8:begin], "little")
    if length > MAX_TEXT:
        raise FormatError(
            path,
            "the header is too long",
            offset=8,
            expected=f"at most {MAX_TEXT} bytes",
            found=f"{length} bytes",
            hint=DAMAGED,
        )
    if len(head) < begin + length:
        raise _incomplete(path, len(head))
    text = head[begin : begin + length].decode(encoding, "replace")
    dtype, shape, fortran_order = _parse(path, text, begin)
    return dtype, shape, fortran_order, begin + length


def _parse(
    path: Path, text: str, offset: int
) -> tuple[np.dtype[Any], tuple[int, ...], bool]:
    try:
        header = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError) as error:
        raise FormatError(
            path,
            "the header cannot be read",
            offset=offset,
            expected="{'descr': ..., 'fortran_order': ..., 'shape': ...}",
            found=repr(text[:60]),
            hint=DAMAGED,
        ) from error
    if not isinstance(header, dict) or set(header) != KEYS:
        raise FormatError(
            path,
            "the header has other entries than one of numpy",
            offset=offset,
            expected=", ".join(sorted(KEYS)),
            found=repr(text[:80]),
            hint=DAMAGED,
        )
    shape = header["shape"]
    if not isinstance(header["fortran_order"], bool):
        raise FormatError(
            path,
            "the header does not tell the order of the axes",
            offset=offset,
            expected="fortran_order True or False",
            found=repr(header["fortran_order"])[:40],
            hint=DAMAGED,
        )
    if (
        not isinstance(shape, tuple)
        or not all(type(n) is int and n > 0 for n in shape)
        or len(shape) > MAX_AXES
    ):
        raise FormatError(
            path,
            "the array has an impossible shape",
            offset=offset,
            expected=f"up to {MAX_AXES} numbers above 0",
            found=repr(shape)[:80],
            hint="Nothing was recorded, or the file is damaged.",
        )
    return (
        _parse_dtype(path, header["descr"], offset),
        shape,
        bool(header["fortran_order"]),
    )


def _parse_dtype(path: Path, descr: Any, offset: int) -> np.dtype[Any]:
    # what numpy writes for numbers: nothing else is handed to its parser
    is_number = isinstance(descr, str) and re.fullmatch(r"[<>|=]?[biufc]\d{1,2}", descr)
    try:
        dtype: np.dtype[Any] | None = np.dtype(descr) if is_number else None
    except TypeError:  # such as f3
        dtype = None
    if dtype is None or dtype.kind not in "biufc":
        raise FormatError(
            path,
            "the array does not hold numbers",
            offset=offset,
            expected="an integer, float, complex or bool type",
            found=f"{descr!r}"[:80]
            + ", pickles, which are never read" * ("O" in repr(descr)),
            hint="Save the numbers alone with np.save.",
        )
    return dtype


def _incomplete(path: Path, size: int) -> FormatError:
    return FormatError(
        path,
        "the file ends within its header",
        found=f"{size} bytes",
        hint=INTERRUPTED,
    )


def _checked_sig_dims(
    path: Path,
    sig_dims: int | None,
    sig_shape: tuple[int, ...] | None,
    shape: tuple[int, ...],
) -> int:
    if sig_dims is None:
        sig_dims = 2 if sig_shape is None else len(sig_shape)
    if sig_dims < 1:
        raise ParameterError(
            path,
            "sig_dims",
            "a frame needs an axis",
            expected="sig_dims of at least 1",
            found=sig_dims,
        )
    if len(shape) < sig_dims:
        raise FormatError(
            path,
            "the array has too few dimensions",
            expected=f"at least {sig_dims} (sig_dims)",
            found=f"{len(shape)}: shape {shape}",
            hint="A 4D-STEM array is (y, x, ky, kx).",
        )
    if sig_shape is not None and sig_dims != len(sig_shape):
        raise ParameterError(
            path,
            "sig_shape",
            "sig_shape and sig_dims disagree",
            expected=f"{sig_dims} numbers",
            found=sig_shape,
        )
    return sig_dims


FORMAT = Format(
    "npy",
    "NumPy array file",
    (".npy",),
    recognize,
    describe,
    meanings={
        "sig_dims": Meaning(
            "Detector axes", "how many of the last axes are those of the detector"
        ),
    },
)
