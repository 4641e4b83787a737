"""Headers of the frames of MIB files: comma-separated text before the pixels.

Source: the headers of real files; MerlinEM user manual.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_4dstem.decode.r64 import R64
from napari_4dstem.errors import FormatError
from napari_4dstem.frames.records import read_head
from napari_4dstem.frames.refusals import DAMAGED, INTERRUPTED, not_a

# fields of the comma-separated header of every frame
SEQUENCE, HEADER_SIZE, CHIPS, WIDTH, HEIGHT, KIND, LAYOUT, CHIP_SELECT = range(1, 9)
TIMESTAMP, SHUTTER_S, GAIN_MODE = 9, 10, 13
THRESHOLDS = slice(14, 22)
# the optional tail begins with this field; then UTC time, shutter in ns, depth
TAIL = "MQ1A"
GAIN_MODES = ("SLGM", "LGM", "HGM", "SHGM")
INTEGER_KINDS = {"U08": ">u1", "U16": ">u2", "U32": ">u4", "U64": ">u8"}
COUNTER_DEPTHS = (1, 6, 12, 24)
# Real headers have 384 (one chip) or 768 bytes (four chips).
MAX_HEADER = 65536
MARK = re.compile(rb"MQ1,\d+,\d{5},")


@dataclass(frozen=True)
class Header:
    """The header of one frame, as far as it tells where the pixels are.

    Attributes
    ----------
    sequence : int
        Running number of the frame.
    nbytes : int
        Bytes of the header.
    chips : int
    width, height : int
        In pixels, as the header has them; `packing_of` knows the shape of raw frames.
    kind : str
        Of the pixels, a key of `INTEGER_KINDS` or "R64".
    layout : str
        How the chips are arranged, as "2x2".
    counter_depth : int or None
        In bits; None if the header does not say.
    fields : tuple of str
        All of it.
    """

    sequence: int
    nbytes: int
    chips: int
    width: int
    height: int
    kind: str
    layout: str
    counter_depth: int | None
    fields: tuple[str, ...]

    @property
    def geometry(self) -> tuple[Any, ...]:
        """What all files of one acquisition have in common."""
        return (
            self.nbytes, self.chips, self.width, self.height, self.kind, self.layout,
            self.counter_depth,
        )  # fmt: skip


def read_header(path: Path) -> Header:
    """Read the header of the first frame of a file.

    Raises
    ------
    FormatError
        If it is no such file, or the header is damaged or cut off.
    """
    head = read_head(path)
    if not head.startswith(b"MQ1,"):
        raise not_a(path, head, "a MIB file")
    fields = _fields(path, head)
    nbytes = _number(path, fields, HEADER_SIZE, 1, MAX_HEADER)
    if nbytes > len(head):
        head = read_head(path, nbytes)
    if nbytes > len(head):
        raise FormatError(
            path,
            "the header is incomplete",
            expected=f"{nbytes} bytes",
            found=f"{len(head)} bytes",
            hint=INTERRUPTED,
        )
    # Old firmware writes no tail: the last number is a DAC value then.
    fields = _fields(path, head[:nbytes])
    depth = None
    if TAIL in fields:
        depth_at = fields.index(TAIL) + 3
        depth = whole(fields[depth_at]) if depth_at < len(fields) else None
    return Header(
        sequence=_number(path, fields, SEQUENCE, 0),
        nbytes=nbytes,
        chips=_number(path, fields, CHIPS, 1),
        width=_number(path, fields, WIDTH, 1),
        height=_number(path, fields, HEIGHT, 1),
        kind=fields[KIND],
        layout=fields[LAYOUT],
        counter_depth=depth,
        fields=fields,
    )


def _fields(path: Path, head: bytes) -> tuple[str, ...]:
    fields = split(head)
    if len(fields) <= LAYOUT:
        raise FormatError(
            path,
            "the header is incomplete",
            expected=f"more than {LAYOUT} fields",
            found=f"{len(fields)} fields in {len(head)} bytes",
            hint=INTERRUPTED,
        )
    return fields


def split(head: bytes) -> tuple[str, ...]:
    """Return the fields of a header, without the zeros that follow them."""
    fields = head.decode("latin-1").split(",")
    return tuple(field.strip() for field in fields if "\0" not in field)


FIELD_NAMES = {
    SEQUENCE: "sequence number", HEADER_SIZE: "header size", CHIPS: "number of chips",
    WIDTH: "width", HEIGHT: "height",
}  # fmt: skip


def _number(
    path: Path, fields: tuple[str, ...], at: int, least: int, most: int = 2**63
) -> int:
    value = whole(fields[at])
    if value is None or not least <= value <= most:
        raise FormatError(
            path,
            f"the header has an impossible {FIELD_NAMES[at]} (field {at})",
            expected=f"a number from {least} to {most}",
            found=repr(fields[at][:40]),
            hint=DAMAGED,
        )
    return value


def whole(text: str) -> int | None:
    """Return a field as a whole number, None if it is none."""
    # Python refuses to convert thousands of digits, and no count has that many.
    return int(text) if text.isdecimal() and len(text) < 20 else None


def packing_of(path: Path, header: Header) -> R64 | None:
    """Return the packing of raw frames, None for integers.

    Raises
    ------
    FormatError
        If the kind of the pixels, the counter depth or the arrangement of the chips is
        not known, or the rows of raw frames have an impossible width.
    """
    if header.kind in INTEGER_KINDS:
        return None
    if header.kind != "R64":
        raise FormatError(
            path,
            "unknown pixel type",
            expected=f"{', '.join(INTEGER_KINDS)} or R64",
            found=header.kind,
            hint="Please report this file.",
        )
    if header.counter_depth not in COUNTER_DEPTHS:
        raise FormatError(
            path,
            "raw data (R64) of unknown counter depth",
            expected=f"{', '.join(map(str, COUNTER_DEPTHS))} bits, in the {TAIL} part"
            " of the header",
            found="no such part"
            if header.counter_depth is None
            else f"{header.counter_depth} bits",
            hint="Old firmware does not tell it: save as U08, U16 or U32.",
        )
    quad = header.chips == 4 and header.layout.startswith("2x2")
    if (header.chips > 1 and not quad) or (quad and header.counter_depth == 24):
        raise FormatError(
            path,
            "raw data (R64) of this arrangement of chips cannot be read",
            expected="one chip, or four chips as 2x2 with up to 12 bits",
            found=f"{header.chips} chips as {header.layout} with"
            f" {header.counter_depth} bits",
            hint="The order of the chips is not known: save as U16 or U32, or send us"
            " the file.",
        )
    pixels_in_a_word = {1: 64, 6: 8, 12: 4, 24: 4}[header.counter_depth]
    parts = 4 if quad else 2 if header.counter_depth == 24 else 1
    if header.width % (pixels_in_a_word * parts):
        raise FormatError(
            path,
            "the rows of raw data (R64) have an impossible width",
            expected=f"a multiple of {pixels_in_a_word * parts} pixels",
            found=f"{header.width} pixels",
            hint=DAMAGED,
        )
    return R64(header.counter_depth, header.width, header.height, quad)


def pixel_nbytes(path: Path, header: Header) -> int:
    """Return the stored bytes of the pixels of a frame.

    Raises
    ------
    FormatError
        As `packing_of`.
    """
    packing = packing_of(path, header)
    if packing is not None:
        return packing.frame_nbytes
    itemsize = np.dtype(INTEGER_KINDS[header.kind]).itemsize
    return header.width * header.height * itemsize
