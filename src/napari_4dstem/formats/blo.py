"""BLO: blockfile of NanoMEGAS (ASTAR, precession diffraction).

One file: a header with notes, a virtual bright field image, and for every scan
position a tag of six bytes and a square pattern.

Source: the layout as public readers describe it, checked against a recorded file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from math import isfinite
from pathlib import Path
from typing import Any, Literal

import numpy as np

from napari_4dstem.axes import Calibration, Sampling, sampling
from napari_4dstem.errors import FormatError
from napari_4dstem.formats._format import (
    Description,
    Format,
    Meaning,
    read_head,
    read_record,
    record,
)
from napari_4dstem.frames.layout import FrameLayout, FrameRun
from napari_4dstem.frames.refusals import DAMAGED, no_whole_frame, not_a

ByteOrder = Literal["<", ">"]
ID = b"IMGBLO"
HEADER = record(
    id=("S6", 0),
    version=("<u2", 6),
    bright_field_at=("<u4", 8),
    first_frame=("<u4", 12),
    frame_side=("<u2", 20),
    pattern_rotation=("<u2", 22),
    scan_x=("<u2", 24),
    scan_y=("<u2", 26),
    scan_rotation=("<u2", 28),  # 0.01 degrees
    step_x_nm=("<f8", 30),
    step_y_nm=("<f8", 38),
    beam_energy_V=("<u4", 46),
    pixels_per_cm=("<u2", 50),  # times 100
    camera_length=("<u4", 52),  # 0.1 mm
    acquired=("<f8", 56),  # days
    centering=(("<f8", 8), 64),
    distortion=(("<f8", 14), 128),
)
NOTES = 240  # byte at which they begin; they end before the bright field image
MAX_NOTES = 2**16
VERSIONS = {258, 259}
# The first version whose notes tell the bit depth.
WITH_DEPTH = 259
FRAME_TAG = 6  # bytes: a marker, then the running frame number
DAY_ZERO = datetime(1899, 12, 30)


def recognize(path: Path, head: bytes) -> bool:
    return head.startswith(ID)


def describe(path: Path, *, endianess: ByteOrder | None = None) -> Description:
    header, order = _read_header(path, endianess)
    notes = _read_notes(path, header["bright_field_at"])
    side = header["frame_side"]
    nav_shape = (header["scan_y"], header["scan_x"])
    count = nav_shape[0] * nav_shape[1]
    start = header["first_frame"] + FRAME_TAG
    size = path.stat().st_size
    depth = _depth(header, notes)
    notices = []
    if depth is None:
        # The only sign of 16 bits is a file of exactly that size.
        is_wide = size == header["first_frame"] + count * (FRAME_TAG + 2 * side**2)
        depth = 16 if is_wide else 8
        notices.append(f"The notes do not tell the bit depth: {depth} bits are taken.")
    dtype = np.dtype(f"{order}u{depth // 8}")
    nbytes = side**2 * dtype.itemsize
    if start + nbytes > size:
        raise no_whole_frame(path, (side, side), dtype, start, size)
    run = FrameRun(path, start, FRAME_TAG + nbytes, count)
    return Description(
        FrameLayout((run,), (side, side), dtype),
        nav_shape,
        calibration=_calibration(header),
        metadata=_metadata(header, notes),
        notices=tuple(notices),
    )


def _read_header(
    path: Path, endianess: ByteOrder | None
) -> tuple[dict[str, Any], ByteOrder]:
    """Return the header and its byte order."""
    orders: tuple[ByteOrder, ...] = ("<", ">") if endianess is None else (endianess,)
    for order in orders:
        header = read_record(path, HEADER.newbyteorder(order))
        if header["version"] in VERSIONS:
            break
    else:
        head = read_head(path)
        if not head.startswith(ID):
            raise not_a(path, head, "a blockfile")
        raise FormatError(
            path,
            "unknown version of the blockfile",
            offset=6,
            expected=" or ".join(map(str, sorted(VERSIONS))),
            found=int.from_bytes(head[6:8], "big" if endianess == ">" else "little"),
            hint="Please report this file."
            if endianess is None
            else "Leave out endianess: it is found.",
        )
    for name, at in (("frame_side", 20), ("scan_x", 24), ("scan_y", 26)):
        if not header[name]:
            raise FormatError(
                path,
                f"the header says that there are no frames: {name} is 0",
                offset=at,
                hint=DAMAGED,
            )
    if header["first_frame"] < NOTES:
        raise FormatError(
            path,
            "the frames begin inside of the header",
            offset=12,
            expected=f"byte {NOTES} or later",
            found=f"byte {header['first_frame']}",
            hint=DAMAGED,
        )
    return header, order


def _read_notes(path: Path, end: int) -> dict[str, str]:
    """Read lines ``key : value``."""
    nbytes = min(max(end, NOTES), NOTES + MAX_NOTES)
    text = read_head(path, nbytes)[NOTES:].partition(b"\0")[0].decode("latin-1")
    pairs = (line.partition(":") for line in text.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs if key.strip()}


def _depth(header: Mapping[str, Any], notes: Mapping[str, str]) -> int | None:
    """Bits of a pixel; None where the notes should tell and do not."""
    if header["version"] < WITH_DEPTH:
        return 8
    depths = (value for key, value in notes.items() if key.lower() == "blo bit depth")
    found = re.match(r"(8|16)\s*bits?\b", next(depths, ""), re.IGNORECASE)
    return int(found[1]) if found else None


def _calibration(header: Mapping[str, Any]) -> Calibration:
    nav = (sampling(header["step_y_nm"], "nm"), sampling(header["step_x_nm"], "nm"))
    return Calibration(nav, (_pixel(header),) * 2)


def _pixel(header: Mapping[str, Any]) -> Sampling | None:
    """Angle of a pixel, from its size on the screen and the camera length."""
    per_cm, length = header["pixels_per_cm"] / 100, header["camera_length"] * 0.01
    return sampling(1 / per_cm / length, "rad") if per_cm and length else None


def _metadata(header: Mapping[str, Any], notes: Mapping[str, str]) -> dict[str, Any]:
    metadata: dict[str, Any] = {"instrument": "NanoMEGAS"}
    if header["beam_energy_V"]:
        metadata["beam_energy_kV"] = header["beam_energy_V"] / 1000
    if header["camera_length"]:
        metadata["camera_length_m"] = header["camera_length"] / 10_000
    days = header["acquired"]
    if isfinite(days) and 0 < days < 1e6:
        time = DAY_ZERO + timedelta(days=days)
        metadata["timestamp"] = time.isoformat(timespec="milliseconds")
    scaled = {
        "pixels_per_cm": header["pixels_per_cm"] / 100,
        "scan_rotation_deg": header["scan_rotation"] / 100,
    }
    plain = (
        "version",
        "pattern_rotation",
        "bright_field_at",
        "centering",
        "distortion",
    )
    metadata["header"] = {name: header[name] for name in plain} | scaled | dict(notes)
    return metadata


FORMAT = Format(
    "blo",
    "NanoMEGAS blockfile",
    (".blo",),
    recognize,
    describe,
    meanings={
        "endianess": Meaning(
            "Byte order", '"<" or ">", where the file\'s own mark is wrong'
        ),
    },
)
