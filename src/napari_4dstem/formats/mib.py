"""MIB: Medipix3 detectors of Quantum Detectors (Merlin).

One or many ``.mib`` files, each a plain repetition of text header and pixels, and
usually one ``.hdr`` text file of the whole acquisition.

Source: the headers of real files; MerlinEM user manual; the pixel order of raw files
(R64) was checked against hardware data recorded in both kinds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from math import isqrt
from pathlib import Path
from typing import Any

import numpy as np

from napari_4dstem.errors import FormatError
from napari_4dstem.formats._format import Description, Format, Meaning
from napari_4dstem.frames.layout import FrameLayout, FrameRun, Gap
from napari_4dstem.frames.mib_header import (
    CHIP_SELECT,
    GAIN_MODE,
    GAIN_MODES,
    INTEGER_KINDS,
    MARK,
    SHUTTER_S,
    TAIL,
    THRESHOLDS,
    TIMESTAMP,
    packing_of,
    split,
    whole,
)
from napari_4dstem.frames.mib_series import (
    Member,
    find_files,
    find_hdr,
    is_hdr,
    read_member,
    read_series,
)
from napari_4dstem.frames.refusals import no_whole_frame


def recognize(path: Path, head: bytes) -> bool:
    is_header_file = path.suffix.lower() == ".hdr" and is_hdr(head)
    return is_header_file or MARK.match(head) is not None


def describe(path: Path, *, disable_glob: bool = False) -> Description:
    opened, names = find_files(path, disable_glob)
    series, notices, problems = read_series(read_member(opened), names)
    if not any(member.count for member in series):
        raise _no_frame(series[0])
    layout = _layout(series)
    hdr_path, hdr = find_hdr(path, opened)
    nav_shape = _nav_from_hdr(hdr)
    nav_notice = ""
    if nav_shape is None:
        count = series[-1].end - series[0].header.sequence
        side = isqrt(count)
        nav_shape = (side, side) if side**2 == count else (count,)
        guess = f"{side} x {side}" if side**2 == count else f"one line of {count}"
        nav_notice = f"The scan shape is guessed: {guess}." * (count > 1)
    return Description(
        layout,
        nav_shape,
        nav_notice=nav_notice,
        metadata=_metadata(series, hdr),
        companions=() if hdr_path is None else (hdr_path,),
        problems=tuple(problems),
        notices=tuple(notices),
    )


def _no_frame(member: Member) -> FormatError:
    header = member.header
    return no_whole_frame(
        member.path,
        (header.height, header.width),
        member.stride - header.nbytes,
        header.nbytes,
        member.size,
    )


def _layout(series: list[Member]) -> FrameLayout:
    header = series[0].header
    runs: list[FrameRun | Gap] = []
    nexts = [member.header.sequence for member in series[1:]] + [None]
    for member, following in zip(series, nexts, strict=True):
        # A frame that was begun counts, unless the next file has it.
        begun = member.is_unfinished and following != member.end
        count = member.count + begun
        runs.append(FrameRun(member.path, header.nbytes, member.stride, count))
        if following is not None and following > member.header.sequence + count:
            # A lost file keeps its place.
            runs.append(Gap(following - member.header.sequence - count))
    packing = packing_of(series[0].path, header)
    if packing is not None:
        return FrameLayout(tuple(runs), packing.frame_shape, packing.dtype, packing)
    shape = (header.height, header.width)
    return FrameLayout(tuple(runs), shape, np.dtype(INTEGER_KINDS[header.kind]))


def _nav_from_hdr(hdr: Mapping[str, str]) -> tuple[int, ...] | None:
    def count(name: str) -> int:
        return whole(hdr.get(name, "")) or 0

    x, y = count("ScanX"), count("ScanY")
    if x and y:
        return (y, x)
    frames = count("Frames in Acquisition (Number)")
    line = count("Frames per Trigger (Number)")
    # One frame a trigger says nothing about the length of a line.
    if line > 1 and frames >= line:
        return (frames // line, line)
    return None


def _metadata(series: list[Member], hdr: Mapping[str, str]) -> dict[str, Any]:
    first = series[0]
    fields = first.header.fields
    metadata: dict[str, Any] = {"instrument": "Quantum Detectors Merlin (Medipix3)"}
    tail = fields[fields.index(TAIL) :] if TAIL in fields else ()
    exposure = _float(tail[2].removesuffix("ns")) if len(tail) > 2 else None
    if exposure is not None:
        metadata["exposure_s"] = exposure * 1e-9
    elif len(fields) > SHUTTER_S and _float(fields[SHUTTER_S]) is not None:
        metadata["exposure_s"] = _float(fields[SHUTTER_S])
    depth = first.header.counter_depth
    if depth is None:
        depth = whole(hdr.get("Counter Depth (number)", ""))
    if depth is not None:
        metadata["counter_depth"] = depth
    time = tail[1] if len(tail) > 1 else "".join(fields[TIMESTAMP:SHUTTER_S])
    if time:
        metadata["timestamp"] = time.replace(" ", "T")
    dwell = _dwell_s(first)
    if dwell is not None:
        metadata["dwell_s"] = dwell
    gain = fields[GAIN_MODE] if len(fields) > GAIN_MODE else ""
    metadata["header"] = {
        "sensor_layout": first.header.layout,
        "num_chips": first.header.chips,
        "chip_select": fields[CHIP_SELECT] if len(fields) > CHIP_SELECT else "",
        "pixel_type": first.header.kind,
        "gain_mode": GAIN_MODES[int(gain)] if gain in ("0", "1", "2", "3") else gain,
        "thresholds_keV": [
            value for value in map(_float, fields[THRESHOLDS]) if value is not None
        ],
        **hdr,
    }
    return metadata


def _dwell_s(member: Member) -> float | None:
    """Time between the first two frames, from their stamps."""
    if member.size < member.stride + member.header.nbytes:
        return None
    with open(member.path, "rb") as file:
        file.seek(member.stride)
        second = split(file.read(member.header.nbytes))
    try:
        times = [
            # datetime knows microseconds, the stamp has more digits
            datetime.fromisoformat(re.sub(r"(\.\d{6})\d*Z?$", r"\1", text))
            for text in (member.header.fields[TIMESTAMP], second[TIMESTAMP])
        ]
        dwell = (times[1] - times[0]).total_seconds()
    except (ValueError, IndexError, TypeError):  # one with a time zone, one without
        return None
    return dwell if dwell > 0 else None


def _float(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if np.isfinite(value) else None


FORMAT = Format(
    "mib",
    "Merlin / Medipix3 (Quantum Detectors)",
    (".mib", ".hdr"),
    recognize,
    describe,
    meanings={
        "disable_glob": Meaning(
            "Only this file", "leave out the other files of the series"
        ),
    },
)
