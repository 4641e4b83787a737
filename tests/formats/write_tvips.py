"""TVIPS streams from arrays: a header of 256 bytes, then one before every frame.

Source: the layout as other readers describe it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

SERIES = (
    "size", "version", "width", "height", "bits", "xoff", "yoff", "xbin", "ybin",
    "pixel_size", "ht", "mag", "frame_header",
)  # fmt: skip
USUAL = {
    "size": 256, "version": 2, "xoff": 0, "yoff": 0, "xbin": 2, "ybin": 1,
    "pixel_size": 55, "ht": 200, "mag": 800, "frame_header": 108,
}  # fmt: skip
START = 1_700_000_000  # 2023-11-14T22:13:20 UTC
INTERVAL_MS = 10


def frame_header(
    number: int, nbytes: int, position: tuple[float, float] | None, mode: int
) -> bytes:
    """Return the header of a frame, cut off where it has to end; position is (y, x)."""
    ms = number * INTERVAL_MS
    y, x = position or (0.0, 0.0)
    header = struct.pack("<3I", number, START + ms // 1000, ms % 1000)
    header += struct.pack("<If2I", 0, 0.25, 800, mode)
    header += struct.pack("<5f", 1.5, -2.5, 3.5, 10, -5)
    header += struct.pack("<I4f", number + 1, 20, 21, 0, 0.93)
    header += struct.pack("<2f", x, y)
    return header.ljust(nbytes, b"\xee")[:nbytes]


def write_tvips(
    path: Path,
    frames: NDArray[Any],
    *,
    first: int = 0,
    positions: Sequence[tuple[float, float]] | None = None,
    mode: int = 2,
    continues: bool = False,
    **fields: int,
) -> list[int]:
    """Write one file, its first frame numbered ``first``; return the frames' ends.

    ``continues``: it is not the first of its series. ``fields`` of the header may lie.
    """
    _, height, width = frames.shape
    about = USUAL | {"width": width, "height": height, "bits": 8 * frames.itemsize}
    about |= fields
    content = bytearray()
    if not continues:
        content += struct.pack("<13i", *(about[name] for name in SERIES))
        content += (b"TVIPS " * 34)[:204]
    nbytes = 12 if about["version"] == 1 else about["frame_header"]
    ends = []
    for i, frame in enumerate(frames):
        position = None if positions is None else positions[i]
        content += frame_header(first + i, nbytes, position, mode)
        content += frame.astype(frame.dtype.newbyteorder("<")).tobytes()
        ends.append(len(content))
    path.write_bytes(content)
    return ends


def write_series(
    folder: Path,
    frames: NDArray[Any],
    counts: Sequence[int],
    *,
    positions: Sequence[tuple[float, float]] | None = None,
    begin: int = 0,
    **options: Any,
) -> list[Path]:
    """Write ``rec_000.tvips``, ``rec_001.tvips`` ... with so many frames each."""
    paths = []
    first = 0
    for number, count in enumerate(counts, begin):
        path = folder / f"rec_{number:03}.tvips"
        part = slice(first, first + count)
        write_tvips(
            path,
            frames[part],
            first=first,
            positions=None if positions is None else positions[part],
            continues=number > begin,
            **options,
        )
        paths.append(path)
        first += count
    return paths
