"""MRC: a header of 1024 bytes, maybe an extended one, and images one after another.

It is here and not in a format module, because cameras that save something else save
their dark frames and gain maps as MRC files.

Source: MRC2014 (Cheng et al., J. Struct. Biol. 192 (2015) 146) and the IMOD manual for
signed and unsigned bytes; files of Direct Electron and Velox.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_4dstem.errors import FormatError
from napari_4dstem.frames.layout import FrameLayout, FrameRun
from napari_4dstem.frames.records import (
    parse_record,
    read_head,
    read_record,
    record,
)
from napari_4dstem.frames.refusals import DAMAGED, not_a

HEADER = record(
    size=(("<i4", 3), 0),  # columns, rows, images
    mode=("<i4", 12),
    start=(("<i4", 3), 16),
    grid=(("<i4", 3), 28),  # of the unit cell; not the size of the image
    cell_angstrom=(("<f4", 3), 40),
    min_max_mean=(("<f4", 3), 76),
    space_group=("<i4", 88),
    extended_nbytes=("<i4", 92),
    extended_type=("S4", 104),
    version=("<i4", 108),
    imod_stamp=("<i4", 152),
    imod_flags=("<i4", 156),
    origin=(("<f4", 3), 196),
    mark=("S4", 208),
    machine_stamp=("S4", 212),
    rms=("<f4", 216),
    num_labels=("<i4", 220),
    labels=(("S80", 10), 224),
)
MARK = b"MAP "
BIG_ENDIAN_STAMP, LITTLE_ENDIAN_STAMP = b"\x11\x11", b"D"
ORDERS = {"<": HEADER, ">": HEADER.newbyteorder(">")}
IMOD_STAMP = 1146047817
IMOD_SIGNED_BYTES = 1
MODES = {0: "i1", 1: "i2", 2: "f4", 4: "c8", 6: "u2", 12: "f2"}
REFUSED_MODES = {3: "complex 16-bit integers", 101: "4-bit integers"}


@dataclass(frozen=True, eq=False)
class MrcStack:
    """What the header of an MRC file says.

    Attributes
    ----------
    path : Path
    header : mapping
        The fields of `HEADER`.
    dtype : dtype
        Of the pixels, with their byte order; int8 or, where IMOD says so, uint8 for
        those of one byte.
    """

    path: Path
    header: Mapping[str, Any]
    dtype: np.dtype[Any]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of images, rows and columns."""
        columns, rows, images = self.header["size"]
        return images, rows, columns

    def layout(self, dtype: np.dtype[Any] | None = None) -> FrameLayout:
        """Return where the images are; ``dtype`` is another one of the same size."""
        images, rows, columns = self.shape
        pixel = self.dtype if dtype is None else dtype
        start = HEADER.itemsize + self.header["extended_nbytes"]
        run = FrameRun(self.path, start, rows * columns * pixel.itemsize, images)
        return FrameLayout((run,), (rows, columns), pixel)


def is_mrc(head: bytes, *, marked: bool = False) -> bool:
    """Return whether the first bytes of a file are a plausible MRC header.

    Parameters
    ----------
    head : bytes
    marked : bool
        Whether there must be a ``MAP`` mark. Many real files have none.
    """
    if len(head) < HEADER.itemsize or (marked and head[208:212] != MARK):
        return False
    return any(_is_plausible(parse_record(head, fields)) for fields in ORDERS.values())


def read_mrc(path: Path) -> MrcStack:
    """Read the header of an MRC file.

    Raises
    ------
    FormatError
        If it is none, or of a kind that cannot be read.
    """
    headers = {order: read_record(path, fields) for order, fields in ORDERS.items()}
    size = path.stat().st_size
    order = _byte_order(headers, size)
    header = headers[order]
    if not _is_plausible(header) and header["mark"] != MARK:
        raise not_a(path, read_head(path), "an MRC file")
    if min(header["size"]) < 1:
        columns, rows, images = header["size"]
        raise FormatError(
            path,
            "the header has impossible sizes",
            expected="numbers above 0",
            found=f"{images} images of {rows} x {columns} pixels",
            hint=DAMAGED,
        )
    if header["mode"] not in MODES:
        kind = REFUSED_MODES.get(header["mode"], "unknown")
        raise FormatError(
            path,
            f"MRC mode {header['mode']} ({kind}) cannot be read",
            offset=12,
            expected="mode "
            + ", ".join(f"{n} ({np.dtype(t).name})" for n, t in MODES.items()),
            hint="Save the images as 16-bit integers or floating point.",
        )
    if not 0 <= header["extended_nbytes"] <= size - HEADER.itemsize:
        raise FormatError(
            path,
            "the extended header does not fit into the file",
            offset=92,
            expected=f"at most {size - HEADER.itemsize} bytes",
            found=f"{header['extended_nbytes']} bytes",
            hint="The copy was interrupted, or the file is damaged: get it again.",
        )
    kind = MODES[header["mode"]]
    if kind == "i1" and header["imod_stamp"] == IMOD_STAMP:
        kind = "i1" if header["imod_flags"] & IMOD_SIGNED_BYTES else "u1"
    return MrcStack(path, header, np.dtype(order + kind))


def _byte_order(headers: Mapping[str, Mapping[str, Any]], size: int) -> str:
    """Return the byte order, by the machine stamp or else by what makes sense."""
    stamp = headers["<"]["machine_stamp"][:2]
    first, second = (">", "<") if stamp == BIG_ENDIAN_STAMP else ("<", ">")
    if not _is_plausible(headers[first]) and _is_plausible(headers[second]):
        return second
    is_stamped = stamp == BIG_ENDIAN_STAMP or stamp[:1] == LITTLE_ENDIAN_STAMP
    if is_stamped or _fits(headers[first], size) or not _fits(headers[second], size):
        return first
    return second


def _is_plausible(header: Mapping[str, Any]) -> bool:
    return min(header["size"]) > 0 and header["mode"] in {**MODES, **REFUSED_MODES}


def _fits(header: Mapping[str, Any], size: int) -> bool:
    if not _is_plausible(header) or header["mode"] not in MODES:
        return False
    columns, rows, images = header["size"]
    itemsize = np.dtype(MODES[header["mode"]]).itemsize
    start = HEADER.itemsize + header["extended_nbytes"]
    return bool(0 < start + columns * rows * images * itemsize <= size)
