"""MIB: Medipix3 detectors of Quantum Detectors (Merlin).

One or many ``.mib`` files, each a plain repetition of text header and pixels, and
usually one ``.hdr`` text file of the whole acquisition.

Source: the headers of real files; MerlinEM user manual; the pixel order of raw files
(R64) was checked against hardware data recorded in both kinds.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from math import isqrt
from pathlib import Path
from typing import Any

import numpy as np

from napari_4dstem.errors import FormatError
from napari_4dstem.formats._format import Description, Format, Meaning, read_head
from napari_4dstem.frames.layout import FrameLayout, FrameRun, Gap
from napari_4dstem.frames.mib_header import (
    CHIP_SELECT,
    GAIN_MODE,
    GAIN_MODES,
    INTEGER_KINDS,
    MARK,
    MAX_HEADER,
    SHUTTER_S,
    TAIL,
    THRESHOLDS,
    TIMESTAMP,
    Header,
    packing_of,
    pixel_nbytes,
    read_header,
    split,
    whole,
)
from napari_4dstem.frames.records import beside
from napari_4dstem.frames.refusals import (
    no_whole_frame,
    not_a,
)

# Numbers missing in a series for more frames than this, beyond those there are,
# mean another acquisition, not lost files.
MAX_GAP = 10_000


@dataclass(frozen=True)
class Member:
    """A file of a series."""

    path: Path
    size: int
    header: Header
    stride: int

    @property
    def count(self) -> int:
        """Number of complete frames."""
        return self.size // self.stride

    @property
    def is_unfinished(self) -> bool:
        """Whether a part of a frame follows the last complete one."""
        return self.size % self.stride > 0

    @property
    def end(self) -> int:
        """Sequence number one past the last complete frame."""
        return self.header.sequence + self.count


def recognize(path: Path, head: bytes) -> bool:
    is_header_file = path.suffix.lower() == ".hdr" and _is_hdr(head)
    return is_header_file or MARK.match(head) is not None


def describe(path: Path, *, disable_glob: bool = False) -> Description:
    opened, names = _files(path, disable_glob)
    series, notices, problems = _series(_member(opened), names)
    if not any(member.count for member in series):
        raise _no_frame(series[0])
    layout = _layout(series)
    hdr_path, hdr = _find_hdr(path, opened)
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


def _files(path: Path, disable_glob: bool) -> tuple[Path, dict[Path, int]]:
    """Return the file to begin with, and those named like a series with their number.

    From ``scan.hdr`` a series is ``scan<digits or nothing>.mib``, from ``scan7.mib``
    it is ``scan<digits>.mib``.
    """
    head = read_head(path)
    if MARK.match(head) or path.suffix.lower() != ".hdr":
        prefix = re.sub(r"\d+$", "", path.stem)
        return path, ({} if disable_glob else _named(path.parent, prefix, r"\d+"))
    if not _is_hdr(head):
        raise not_a(path, head, "the .hdr file of a Merlin")
    names = _named(path.parent, path.stem, r"\d*")
    if not names:
        raise FormatError(
            path,
            "no .mib file belongs to this .hdr",
            expected=f"{path.stem}.mib or {path.stem}1.mib beside it",
            hint="Copy the .mib files into the same folder.",
        )
    # the plain name first, else the lowest number
    opened = min(names, key=lambda name: (names[name], name.name))
    return opened, ({} if disable_glob else names)


def _named(folder: Path, prefix: str, digits: str) -> dict[Path, int]:
    pattern = re.compile(re.escape(prefix) + rf"({digits})\.mib", re.IGNORECASE)
    with os.scandir(folder) as entries:
        matches = ((entry.name, pattern.fullmatch(entry.name)) for entry in entries)
        return {folder / name: int(m[1] or -1) for name, m in matches if m}


def _member(path: Path) -> Member:
    header = read_header(path)
    stride = header.nbytes + pixel_nbytes(path, header)
    return Member(path, path.stat().st_size, header, stride)


def _no_frame(member: Member) -> FormatError:
    header = member.header
    return no_whole_frame(
        member.path,
        (header.height, header.width),
        member.stride - header.nbytes,
        header.nbytes,
        member.size,
    )


def _series(
    first: Member, names: Mapping[Path, int]
) -> tuple[list[Member], list[str], list[str]]:
    """Return the files of the acquisition of ``first``, by sequence number.

    And notices about files of other acquisitions, and problems with those that may
    be of this one.
    """
    members, unreadable = [first], []
    for path in names:
        if path == first.path:
            continue
        try:
            members.append(_member(path))
        except FormatError:
            unreadable.append(path)
    of_kind = [m for m in members if m.header.geometry == first.header.geometry]
    order = sorted(of_kind, key=lambda m: (m.header.sequence, m.path.name))
    if any(_overlap(a, b) for a, b in itertools.pairwise(order)):
        # Numbers begin again somewhere: several acquisitions have the same prefix,
        # each in one piece when sorted by name.
        by_name = sorted(of_kind, key=lambda m: names.get(m.path, -1))
        group = next(g for g in _acquisitions(by_name) if first in g)
        order = sorted(group, key=lambda m: m.header.sequence)
    order = _near(order, first)
    taken = {id(member) for member in order}
    left_out = [m.path for m in members if id(m) not in taken]
    notices, problems = [], []
    if left_out:
        notices.append(
            f"{len(left_out)} files with a similar name belong to another"
            f" acquisition and were left out: {_listed(left_out)}"
        )
    if unreadable:
        problems.append(
            f"{first.path.parent}: the name is of the series, but the header cannot be"
            f" read of {_listed(unreadable)}; frames in there are missing"
        )
    return order, notices, problems


def _listed(paths: list[Path]) -> str:
    names = sorted(path.name for path in paths)
    return ", ".join(names[:3]) + ", ..." * (len(names) > 3)


def _overlap(a: Member, b: Member) -> bool:
    return b.header.sequence < a.end


def _acquisitions(members: list[Member]) -> Iterator[list[Member]]:
    group: list[Member] = []
    for member in members:
        if group and _overlap(group[-1], member):
            yield group
            group = []
        group.append(member)
    yield group


def _near(order: list[Member], first: Member) -> list[Member]:
    """Cut a series where so many numbers are missing that no file can be lost."""
    limit = MAX_GAP + 10 * sum(member.count for member in order)
    at = order.index(first)
    begin, end = at, at + 1
    while begin and order[begin].header.sequence - order[begin - 1].end <= limit:
        begin -= 1
    while end < len(order) and order[end].header.sequence - order[end - 1].end <= limit:
        end += 1
    return order[begin:end]


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


def _is_hdr(head: bytes) -> bool:
    return re.match(rb"(?:\xef\xbb\xbf)?HDR,?[ \t]*\r?\n", head) is not None


def _find_hdr(path: Path, opened: Path) -> tuple[Path | None, dict[str, str]]:
    """Return the ``.hdr`` of the acquisition: the one opened, or beside the file."""
    if path != opened:
        return path, _parse_hdr(path)
    prefix = re.sub(r"\d+$", "", opened.stem)
    for stem in dict.fromkeys((opened.stem, prefix, prefix.rstrip("_-"))):
        candidate = beside(opened, f"{stem}.hdr")
        if stem and candidate.is_file():
            try:
                is_hdr = _is_hdr(read_head(candidate))
            except FormatError:
                continue
            if is_hdr:
                return candidate, _parse_hdr(candidate)
    return None, {}


def _parse_hdr(path: Path) -> dict[str, str]:
    """Read lines ``Name:<TAB>value``; the names end with remarks in brackets."""
    pairs = {}
    for line in read_head(path, MAX_HEADER).decode("utf-8", "replace").splitlines():
        name, tab, value = line.partition("\t")
        if tab and name.endswith(":"):
            pairs[name.rstrip(":").strip()] = value.strip()
    return pairs


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
