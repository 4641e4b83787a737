"""SEQ files from arrays, and what lies beside them.

Source: the readers of PIMS and LiberTEM.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

START = int(datetime(2020, 5, 17, 8, 30, tzinfo=UTC).timestamp())
DWELL_US = 2500


def seq_header(
    width: int,
    height: int,
    bits: int,
    stride: int,
    *,
    magic: int = 0xFEED,
    version: int = 5,
    allocated: int = 0,
    image_format: int = 100,
    compression: int = 0,
    description: str = "gold",
) -> bytes:
    """Return all that comes before the first image."""
    header = bytearray(8192 if version >= 5 else 1024)
    struct.pack_into(
        "<I24si", header, 0, magic, "Norpix seq".encode("utf-16-le"), version
    )
    struct.pack_into("<i512s", header, 32, 1024, description.encode("utf-16-le"))
    nbytes = min(width * height * bits // 8, 2**32 - 1)
    fields = (width, height, bits, 12, nbytes, image_format, allocated, 0, stride)
    struct.pack_into("<9Id", header, 548, *fields, 400.0)
    struct.pack_into("<I", header, 620, compression)
    return bytes(header)


def write_seq(
    path: Path,
    frames: NDArray[Any],
    *,
    version: int = 5,
    padding: int = 0,
    allocated: int | None = None,
    stamped: bool = True,
    **fields: Any,
) -> list[int]:
    """Write a sequence, and return the byte after the pixels of each frame."""
    count, height, width = frames.shape
    stamp_nbytes = (8 if version >= 5 else 6) if stamped else 0
    stride = frames[0].nbytes + stamp_nbytes + padding
    content = bytearray(
        seq_header(
            width, height, 8 * frames.itemsize, stride, version=version,
            allocated=count if allocated is None else allocated, **fields,
        )
    )  # fmt: skip
    ends = []
    for number, frame in enumerate(frames):
        content += frame.astype(frame.dtype.newbyteorder("<")).tobytes()
        ends.append(len(content))
        elapsed_us = number * DWELL_US
        stamp = struct.pack("<IHH", START, elapsed_us // 1000, elapsed_us % 1000)
        content += stamp[:stamp_nbytes] + bytes(padding)
    path.write_bytes(content)
    return ends


def write_settings(
    path: Path,
    size: tuple[int, int],
    *,
    offset: tuple[int, int] = (0, 0),
    binning: int = 1,
) -> None:
    """Write ``.seq.metadata``; size and offset are (y, x) in pixels of the sensor."""
    numbers = (45, 1, *size[::-1], *offset[::-1], binning, 12, 400, 0, 0)
    path.write_bytes(bytes(282) + struct.pack("<11i?", *numbers, False))


def defect_map(rows: int, columns: int, defects: Sequence[str], **options: Any) -> str:
    """Return a map of bad pixels; a defect is text such as ``Row="3"``."""
    extra = "".join(f' {name}="{value}"' for name, value in options.items())
    inside = "".join(f"<Defect {defect}/>" for defect in defects)
    return (
        f'<BadPixelMap Rows="{rows}" Columns="{columns}"{extra}>{inside}</BadPixelMap>'
    )


def write_defects(path: Path, maps: Sequence[str]) -> None:
    """Write ``.seq.Config.Metadata.xml``."""
    inside = "".join(maps)
    path.write_text(
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Configuration><BadPixels>{inside}</BadPixels></Configuration>"
    )
