"""TVIPS: streams of the cameras of that maker (TemCam, EM-MENU).

Files ``<name>_000.tvips``, ``<name>_001.tvips`` and on, of which only the first begins
with a header; every frame has a header of its own.

Source: the layout as public readers describe it; files that they wrote and read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from napari_4dstem.axes import Calibration, sampling
from napari_4dstem.errors import FormatError
from napari_4dstem.formats._format import (
    Description,
    Format,
    read_head,
    read_record,
    record,
)
from napari_4dstem.frames.layout import FrameLayout, FrameRun
from napari_4dstem.frames.records import file_size, parse_record, siblings
from napari_4dstem.frames.refusals import (
    DAMAGED,
    INTERRUPTED,
    no_whole_frame,
    not_a,
)

SERIES = record(
    nbytes=("<i4", 0),
    version=("<i4", 4),
    width=("<i4", 8),
    height=("<i4", 12),
    bits=("<i4", 16),
    offset=(("<i4", 2), 20),
    binning=(("<i4", 2), 28),
    pixel_size=("<i4", 36),  # nm, or 1/nm of a diffraction pattern
    high_tension_kV=("<i4", 40),
    magnification=("<i4", 44),
    frame_header=("<i4", 48),
)
SERIES_NBYTES = 256
# A frame's header is as long as the series header says, and ends anywhere in this.
SCAN_AT = 68
FRAME = record(
    counter=("<u4", 0),
    seconds=("<u4", 4),
    milliseconds=("<u4", 8),
    faraday_cup=("<f4", 16),
    magnification=("<u4", 20),  # camera length in mm of a diffraction pattern
    mode=("<u4", 24),
    stage_nm=(("<f4", 3), 28),
    stage_deg=(("<f4", 2), 40),
    objective=("<f4", 64),
    # scan position, x and y
    scan=(("<f4", 2), SCAN_AT),
)
FRAME_HEADER_V1 = 12
MODES = {1: "imaging", 2: "diffraction"}
IMAGING, DIFFRACTION = MODES
PIXEL_TYPES = {8: "<u1", 16: "<u2"}
# Frames that are looked at for the beginning of the scan, and then for its line length.
MAX_LOOKED_AT = 4096
# Frames that a file may have lost at its end, by the counter in the next one.
MAX_LOST = 10_000
NAME = re.compile(r"(.*_)(\d{3}|[1-9]\d{3,8})")


@dataclass(frozen=True)
class Member:
    """A file of the series.

    Attributes
    ----------
    path : Path
    start : int
        Byte of the first frame's header.
    count : int
        Number of complete frames.
    rest : int
        Bytes after them.
    """

    path: Path
    start: int
    count: int
    rest: int


def recognize(path: Path, head: bytes) -> bool:
    return _is_first(head)


def by_name(path: Path, head: bytes) -> bool:
    """Return whether it is called a later file of a series: those have no mark."""
    name = NAME.fullmatch(path.stem)
    return path.suffix.lower() == ".tvips" and name is not None and int(name[2]) > 0


def describe(path: Path) -> Description:
    read_head(path, 1)
    paths = _files(path)
    series = _read_series(paths[0])
    frame_header = series["frame_header"]
    if series["version"] == 1:
        frame_header = FRAME_HEADER_V1  # whatever the file says
    dtype = np.dtype(PIXEL_TYPES[series["bits"]])
    sig_shape = (series["height"], series["width"])
    stride = frame_header + sig_shape[0] * sig_shape[1] * dtype.itemsize
    members = []
    for member_path in paths:
        start = SERIES_NBYTES if member_path == paths[0] else 0
        nbytes = max(file_size(member_path) - start, 0)
        members.append(Member(member_path, start, *divmod(nbytes, stride)))
    count = sum(member.count for member in members)
    if not count:
        start = SERIES_NBYTES + frame_header
        raise no_whole_frame(paths[0], sig_shape, dtype, start, file_size(paths[0]))
    runs = tuple(
        FrameRun(member.path, member.start + frame_header, stride, promised)
        for member, promised in zip(members, _promised(members), strict=True)
    )
    first = _frame_header(members, stride, frame_header)
    nav_shape, sync_offset = None, 0
    if frame_header >= FRAME.itemsize:
        nav_shape, sync_offset = _find_scan(members, stride, count)
    return Description(
        FrameLayout(runs, sig_shape, dtype),
        nav_shape,
        sync_offset,
        calibration=_calibration(series, first),
        metadata=_metadata(series, first, _interval_s(members[0], stride)),
        nav_notice=_nav_notice(nav_shape, sync_offset),
    )


def _is_first(head: bytes) -> bool:
    if len(head) < SERIES.itemsize:
        return False
    series = parse_record(head, SERIES)
    return series["nbytes"] == SERIES_NBYTES and series["version"] in (1, 2)


def _files(path: Path) -> list[Path]:
    """Return the files of a series, of which any may be given."""
    name = NAME.fullmatch(path.stem)
    if name is None:
        return [path]
    prefix, number = name[1], int(name[2])
    numbered = _numbered(path, prefix)
    # A first file may have been given another number, and be followed by others.
    firsts = [n for n in numbered if _is_first(_head_of(numbered[n]))]
    begin = max((n for n in firsts if n <= number), default=None)
    if begin is None:
        if 0 in numbered:
            return [numbered[0]]  # and its header tells what is wrong
        raise FormatError(
            path,
            "the first file of the series, which has its header, is missing",
            expected=f"{prefix}000{path.suffix} in the same folder",
            hint="Copy all files of the series into one folder.",
        )
    end = min((n for n in firsts if n > begin), default=max(numbered) + 1)
    series = [n for n in numbered if begin <= n < end]
    for one, other in pairwise(series):
        if other != one + 1:
            raise FormatError(
                path,
                f"the file {prefix}{one + 1:03}{path.suffix} of the series is missing",
                expected=f"it between {numbered[one].name} and {numbered[other].name}",
                hint="Copy all files of the series into one folder.",
            )
    return [numbered[n] for n in series]


def _numbered(path: Path, prefix: str) -> dict[int, Path]:
    """Return the files with the same name but for the number, in their order."""
    numbered: dict[int, Path] = {}
    for other in siblings(path):
        name = NAME.fullmatch(other.stem)
        if name is None or name[1] != prefix or other.suffix.lower() != ".tvips":
            continue
        # of two that differ in upper and lower case, the one that is like the given
        if int(name[2]) not in numbered or other.suffix == path.suffix:
            numbered[int(name[2])] = other
    return dict(sorted(numbered.items()))


def _head_of(path: Path) -> bytes:
    try:
        return read_head(path, SERIES.itemsize)
    except FormatError:
        return b""


def _read_series(path: Path) -> dict[str, Any]:
    series = read_record(path, SERIES)
    if series["nbytes"] != SERIES_NBYTES:
        raise not_a(path, _head_of(path), "the first file of a TVIPS series")
    if series["version"] not in (1, 2):
        raise FormatError(
            path,
            f"unknown TVIPS version {series['version']}",
            offset=4,
            expected="1 or 2",
            hint="Please report this file.",
        )
    if file_size(path) < SERIES_NBYTES:
        raise FormatError(
            path,
            "the header of the series is incomplete",
            expected=f"{SERIES_NBYTES} bytes",
            found=f"{file_size(path)} bytes",
            hint=INTERRUPTED,
        )
    if series["bits"] not in PIXEL_TYPES:
        raise FormatError(
            path,
            "unknown number of bits per pixel",
            offset=16,
            expected=" or ".join(map(str, PIXEL_TYPES)),
            found=series["bits"],
            hint="Please report this file.",
        )
    least = {"width": (8, 1), "height": (12, 1)}
    if series["version"] == 2:
        least["frame_header"] = (48, FRAME_HEADER_V1)
    for name, (offset, value) in least.items():
        if series[name] < value:
            raise FormatError(
                path,
                f"the {name.replace('_', ' ')} in the header is impossible",
                offset=offset,
                expected=f"at least {value}",
                found=series[name],
                hint=DAMAGED,
            )
    return series


def _promised(members: list[Member]) -> Iterator[int]:
    """Yield how many frames each file should have: more than there are if it is cut."""
    for member, following in zip(members, [*members[1:], None], strict=True):
        count = member.count + bool(member.rest)
        if member.rest and following is not None:
            # Frames are counted through all files, by most writers.
            counters = [_counter(member), _counter(following)]
            lost = counters[1] - counters[0] - member.count
            if 0 < lost <= MAX_LOST:
                count = member.count + lost
        yield count


def _counter(member: Member) -> int:
    data = read_head(member.path, 4, member.start)
    return int.from_bytes(data, "little")


def _frame_header(
    members: list[Member], stride: int, frame_header: int
) -> dict[str, Any]:
    """Return what the header of the first frame tells, which may be short."""
    first = next(member for member in members if member.count)
    nbytes = min(frame_header, FRAME.itemsize)
    data = read_head(first.path, nbytes, first.start).ljust(FRAME.itemsize, b"\0")
    ends = {
        name: kind.itemsize + offset
        for name, (kind, offset, *_) in (FRAME.fields or {}).items()
    }
    header = parse_record(data, FRAME)
    return {name: value for name, value in header.items() if ends[name] <= nbytes}


def _positions(members: list[Member], stride: int) -> Iterator[tuple[float, float]]:
    """Yield the scan position (y, x) of each frame."""
    for member in members:
        try:
            with open(member.path, "rb") as file:
                for number in range(member.count):
                    file.seek(member.start + number * stride + SCAN_AT)
                    x, y = np.frombuffer(file.read(8), "<f4").tolist()
                    yield y, x
        except (OSError, ValueError) as error:
            raise FormatError(
                member.path,
                f"the header of a frame cannot be read ({error})",
                hint="Check that the file is still there and whole.",
            ) from error


def _find_scan(
    members: list[Member], stride: int, count: int
) -> tuple[tuple[int, ...] | None, int]:
    """Return the scan shape, None if unknown, and where the scan begins.

    Frames before the scan stand at (0, 0) as its first one does.
    """
    positions = enumerate(_positions(members, stride))
    begin, was_at_origin = None, False
    for number, position in islice(positions, MAX_LOOKED_AT):
        if was_at_origin and position == (0, 1):
            begin = number - 1
            break
        was_at_origin |= position == (0, 0)
    if begin is None:
        return None, 0
    largest = 1.0
    for _, (_, x) in islice(positions, MAX_LOOKED_AT):
        if x < largest and isfinite(largest):
            width = int(largest) + 1
            height = (count - begin) // width
            return ((height, width) if height else None), begin
        largest = max(largest, x)
    return None, begin


def _interval_s(member: Member, stride: int) -> float | None:
    """Time between two frames, from the first and the last of a file."""
    if member.count < 2:
        return None
    last = member.start + (member.count - 1) * stride
    times = []
    for at in (member.start, last):
        data = read_head(member.path, FRAME.itemsize, at).ljust(FRAME.itemsize, b"\0")
        frame = parse_record(data, FRAME)
        times.append(frame["seconds"] * 1000 + frame["milliseconds"])
    interval_ms = (times[1] - times[0]) / (member.count - 1)
    return interval_ms / 1000 if interval_ms > 0 else None


def _calibration(series: Mapping[str, Any], first: Mapping[str, Any]) -> Calibration:
    # 0 and 1 stand for nothing, and for a pattern a whole number of 1/nm is no size.
    if first.get("mode") != IMAGING or series["pixel_size"] < 2:
        return Calibration()
    return Calibration(sig=(sampling(series["pixel_size"], "nm"),) * 2)


def _metadata(
    series: Mapping[str, Any], first: Mapping[str, Any], interval_s: float | None
) -> dict[str, Any]:
    metadata: dict[str, Any] = {"instrument": "TVIPS"}
    if series["high_tension_kV"] > 0:
        metadata["beam_energy_kV"] = series["high_tension_kV"]
    if first.get("mode") == DIFFRACTION and series["magnification"] > 0:
        metadata["camera_length_m"] = series["magnification"] / 1000
    if first["seconds"]:
        time = datetime.fromtimestamp(first["seconds"], UTC)
        time += timedelta(milliseconds=first["milliseconds"])
        metadata["timestamp"] = time.isoformat(timespec="milliseconds")
    if interval_s is not None:
        metadata["dwell_s"] = interval_s
    of_frame = ("faraday_cup", "stage_nm", "stage_deg", "objective")
    metadata["header"] = {
        **{name: value for name, value in series.items() if name != "nbytes"},
        **{name: first[name] for name in of_frame if name in first},
    }
    if "mode" in first:
        metadata["header"]["mode"] = MODES.get(first["mode"], first["mode"])
    return metadata


def _nav_notice(nav_shape: tuple[int, ...] | None, sync_offset: int) -> str:
    if nav_shape is None:
        return ""
    text = "Scan shape and beginning are those of the positions in the frames' headers"
    return f"{text}: {sync_offset} frames before the scan."


FORMAT = Format(
    "tvips", "TVIPS camera stream", (".tvips",), recognize, describe, by_name=by_name
)
