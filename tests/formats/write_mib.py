"""MIB files from arrays: a text header and big-endian pixels for every frame.

Source: headers of real Merlin files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

DACS = ",".join(["3RX", "068", "511"] + ["000"] * 25)
START = datetime(2021, 4, 15, 14, 43, 0, 835428)
DWELL = timedelta(milliseconds=2)

HDR_LINES = {
    "Time and Date Stamp (day, mnth, yr, hr, min, s)": "15/04/2021 14:43:00",
    "Chip ID": "W556_B4, - , - , - ",
    "Assembly Size (NX1, 2X2)": "   1x1",
    "Counter Depth (number)": "12",
    "Gain": "SLGM",
    "Sensor Bias (V)": "120 V",
    "Medipix Clock (MHz)": "120MHz",
    "Software Version": "1.5.0.197",
}


def mib_header(
    sequence: int,
    width: int,
    height: int,
    kind: str,
    *,
    nbytes: int = 384,
    chips: int = 1,
    layout: str = "1x1",
    depth: int | None = 12,
    tail: bool = True,
) -> bytes:
    """Return the header of one frame, padded with NUL."""
    time = START + (sequence % 10**6 - 1) * DWELL
    fields = [
        "MQ1", f"{sequence:06d}", f"{nbytes:05d}", f"{chips:02d}", f"{width:04d}",
        f"{height:04d}", kind, f"{layout:>6}", f"{2**chips - 1:02X}",
        f"{time:%Y-%m-%d %H:%M:%S.%f}", "0.001000", "0", "0", "1",
        "4.000000E+1", "5.110000E+2", *["0.000000E+0"] * 6, *[DACS] * chips,
    ]  # fmt: skip
    if tail:
        fields += ["MQ1A", f"{time:%Y-%m-%dT%H:%M:%S.%f}401Z", "1500000ns", str(depth)]
    text = ",".join([*fields, ""]).encode()
    assert len(text) <= nbytes, "the header is too small for its text"
    return text.ljust(nbytes, b"\0")


def raw_rows(rows: NDArray[Any], depth: int) -> bytes:
    """Return pixels as words: the first pixel of each in the lowest bits."""
    if depth == 1:
        octets = np.packbits(rows.astype(bool), axis=-1, bitorder="little")
        return octets.reshape(-1, 8)[:, ::-1].tobytes()
    if depth == 6:
        return rows.astype("u1").reshape(-1, 8)[:, ::-1].tobytes()
    return rows.astype(">u2").reshape(-1, 4)[:, ::-1].tobytes()


def raw_frame(frame: NDArray[Any], depth: int, quad: bool) -> tuple[bytes, int, int]:
    """Return the bytes of a raw frame, with width and height as its header has it."""
    height, width = frame.shape
    if quad:
        (top_left, top_right), (bottom_left, bottom_right) = (
            np.hsplit(half, 2) for half in np.vsplit(frame, 2)
        )
        chips = [bottom_right[::-1, ::-1], bottom_left[::-1, ::-1], top_right, top_left]
        return raw_rows(np.hstack(chips), depth), 2 * width, height // 2
    if depth == 24:
        planes = raw_rows(frame >> 12, 12) + raw_rows(frame & 0xFFF, 12)
        return planes, 2 * width, height
    return raw_rows(frame, depth), width, height


def write_mib(
    path: Path,
    frames: Sequence[Any],
    *,
    kind: str = "U16",
    depth: int = 12,
    quad: bool = False,
    first: int = 1,
    header_nbytes: int | None = None,
    **fields: Any,
) -> list[int]:
    """Write one file, its first frame numbered ``first``; return the frames' ends."""
    header_nbytes = header_nbytes or (768 if quad else 384)
    if quad:
        fields = {"chips": 4, "layout": "2x2"} | fields
    content, ends = bytearray(), []
    for sequence, frame in enumerate(frames, first):
        if kind == "R64":
            pixels, width, height = raw_frame(frame, depth, quad)
        else:
            height, width = frame.shape
            pixels = frame.astype(f">u{int(kind[1:]) // 8}").tobytes()
        content += mib_header(
            sequence, width, height, kind, nbytes=header_nbytes, depth=depth, **fields
        )
        content += pixels
        ends.append(len(content))
    path.write_bytes(content)
    return ends


def write_series(
    folder: Path,
    frames: Sequence[Any],
    counts: Sequence[int],
    *,
    stem: str = "scan",
    first: int = 1,
    **options: Any,
) -> list[Path]:
    """Write ``scan1.mib``, ``scan2.mib`` ... with so many frames each."""
    paths = []
    begin = 0
    for number, count in enumerate(counts, 1):
        path = folder / f"{stem}{number}.mib"
        write_mib(path, frames[begin : begin + count], first=first + begin, **options)
        paths.append(path)
        begin += count
    return paths


def write_hdr(
    path: Path,
    lines: Mapping[str, Any],
    *,
    newline: str = "\r\n",
    nbytes: int = 2048,
    magic: str = "HDR,\t",
) -> None:
    """Write the text file of an acquisition, with ``lines`` beside the usual ones."""
    text = [f"{name}:\t{value}" for name, value in (HDR_LINES | dict(lines)).items()]
    content = newline.join([magic, *text, "End\t"])
    path.write_bytes(content.encode("latin-1").ljust(nbytes))
