"""FRMS6 sets from arrays: a text file, and files of folded frames.

Source: LiberTEM (``io/dataset/frms6.py``).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

START = int(datetime(2015, 12, 3, 12, 0, tzinfo=UTC).timestamp())


def folded(frame: NDArray[Any], binning: int = 1) -> NDArray[np.uint16]:
    """Return a frame as it is stored; of binned rows there is one each."""
    rows = frame[::binning]
    half = len(rows) // 2
    return np.hstack([rows[:half], np.rot90(rows[half:], 2)]).astype("<u2")


def frms6_header(
    width: int,
    height: int,
    count: int,
    *,
    nbytes: int = 1024,
    frame_header_nbytes: int = 64,
    version: int = 6,
) -> bytes:
    """Return the header of a file; width and height are those of a folded frame."""
    begin = struct.pack("<HH3xB80s", nbytes, frame_header_nbytes, version, b"gold")
    return begin + struct.pack("<HH928xI", width, height, count)


def write_frms6(
    path: Path,
    frames: NDArray[Any],
    *,
    binning: int = 1,
    first: int = 0,
    count: int | None = None,
    **fields: Any,
) -> list[int]:
    """Write one file, its first frame numbered ``first``; return the frames' ends."""
    height, width = folded(frames[0], binning).shape
    count = len(frames) if count is None else count
    content = bytearray(frms6_header(width, height, count, **fields))
    ends = []
    for number, frame in enumerate(frames, first):
        content += struct.pack("<4xIII48x", START, 1000 * number, number)
        content += folded(frame, binning).tobytes()
        ends.append(len(content))
    path.write_bytes(content)
    return ends


def write_hdr(
    path: Path,
    scan: tuple[int, int],
    signal_frames: int,
    *,
    binning: int = 1,
    window: tuple[int, int] = (4, 6),
    section: str = "measurementInfo",
    **changes: str | None,
) -> None:
    """Write the text file; a change of None leaves the key out."""
    values: dict[str, str | None] = {
        "measurementID": "gold",
        "darkFrames": "4",
        "dwellTimeMicroSeconds": "1500",
        "gain": "16",
        "signalFrames": str(signal_frames),
        "stemImageSize": f"{scan[0]}x{scan[1]}",
        "readoutMode": f'"bin: {binning}, windowing: {window[0]} x {window[1]}"',
    }
    lines = [f"{k} = {v}" for k, v in (values | changes).items() if v is not None]
    path.write_text("\n".join([f"[{section}]", *lines, ""]))


def write_set(
    folder: Path,
    frames: NDArray[Any],
    dark: NDArray[Any],
    *,
    base: str = "run",
    counts: Sequence[int] | None = None,
    scan: tuple[int, int] | None = None,
    binning: int = 1,
    **changes: Any,
) -> tuple[Path, list[int]]:
    """Write a whole set with so many frames in each file.

    Returns
    -------
    hdr : Path
    ends : list of int
        Byte after each frame of the last file.
    """
    rows, columns = frames.shape[1:]
    hdr = folder / f"{base}.hdr"
    write_hdr(
        hdr, scan or (1, len(frames)), len(frames), binning=binning,
        window=(rows // 2, columns), **changes,
    )  # fmt: skip
    write_frms6(folder / f"{base}_000.frms6", dark, binning=binning)
    ends, begin = [], 0
    for number, count in enumerate(counts or (len(frames),), 1):
        path = folder / f"{base}_{number:03d}.frms6"
        part = frames[begin : begin + count]
        ends = write_frms6(path, part, binning=binning, first=begin)
        begin += count
    return hdr, ends
