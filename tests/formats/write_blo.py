"""Blockfiles from arrays: 240 bytes of header, notes, a bright field image, blocks.

Source: the header of a real file.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

BRIGHT_FIELD_AT = 0x1000
# byte of the header, and type
FIELDS = {
    "id": (0, "6s"),
    "version": (6, "H"),
    "bright_field_at": (8, "I"),
    "first_frame": (12, "I"),
    "side": (20, "H"),
    "pattern_rotation": (22, "H"),
    "nx": (24, "H"),
    "ny": (26, "H"),
    "scan_rotation": (28, "H"),
    "sx": (30, "d"),
    "sy": (38, "d"),
    "energy": (46, "I"),
    "sdp": (50, "H"),
    "camera_length": (52, "I"),
    "time": (56, "d"),
}
USUAL = {
    "id": b"IMGBLO",
    "bright_field_at": BRIGHT_FIELD_AT,
    "scan_rotation": 2500,
    "sx": 12.8,
    "sy": 12.9,
    "energy": 200_000,
    "sdp": 6226,
    "camera_length": 2000,
    "time": 42341.65,
}


def blo_header(order: str, fields: Mapping[str, Any]) -> bytes:
    """Return the header up to the notes."""
    header = bytearray(240)
    for name, value in fields.items():
        at, kind = FIELDS[name]
        struct.pack_into(order + kind, header, at, value)
    struct.pack_into(order + "I", header, 16, 131141)
    return bytes(header)


def write_blo(
    path: Path,
    scan: NDArray[Any],
    *,
    order: str = "<",
    notes: str | None = None,
    gap: int = 0,
    **fields: Any,
) -> list[int]:
    """Write a scan (ny, nx, side, side); return the frames' ends.

    16 bit frames make a file of version 1.3, which tells so in its notes. ``gap``
    bytes lie between the bright field image and the frames; ``fields`` may lie.
    """
    ny, nx, side, _ = scan.shape
    is_wide = scan.dtype.itemsize == 2
    if notes is None:
        depth = "Blo Version: 1.3\r\nBlo Bit Depth: 16 bits\r\n" if is_wide else ""
        notes = depth + "Precession angle : 0.9\r\nCamera gamma : on"
    first_frame = BRIGHT_FIELD_AT + nx * ny + gap
    fields = (
        USUAL
        | {"version": 259 if is_wide else 258, "first_frame": first_frame}
        | {"side": side, "nx": nx, "ny": ny}
        | fields
    )
    content = bytearray(blo_header(order, fields) + notes.encode("latin-1"))
    content = content.ljust(BRIGHT_FIELD_AT, b"\0")
    content += bytes(nx * ny + gap)
    ends = []
    for number, frame in enumerate(scan.reshape(-1, side, side)):
        content += b"\xaa\x55" + struct.pack(order + "I", number)
        content += frame.astype(scan.dtype.newbyteorder(order)).tobytes()
        ends.append(len(content))
    path.write_bytes(content)
    return ends
