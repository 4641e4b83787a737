"""FRMS6: pnCCD cameras of PNDetector.

A text file ``scan.hdr`` and ``scan_000.frms6``, ``scan_001.frms6``, ...: the first has
dark frames, the others the scan.

Source: LiberTEM (``io/dataset/frms6.py``).
"""

from __future__ import annotations

import configparser
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from napari_4dstem.corrections import Corrections, LazyFrame
from napari_4dstem.decode.folded import Folded
from napari_4dstem.errors import FormatError, ParameterError
from napari_4dstem.formats._format import (
    Description,
    Format,
    read_head,
    read_record,
    record,
)
from napari_4dstem.frames.gain_map import gain_map
from napari_4dstem.frames.layout import FrameLayout, FrameRun, Gap, fit_to_files
from napari_4dstem.frames.mean_frame import mean_frame

FILE_HEADER = record(
    nbytes=("<u2", 0),
    frame_header_nbytes=("<u2", 2),
    version=("u1", 7),
    width=("<u2", 88),
    height=("<u2", 90),
    num_frames=("<u4", 1020),
)
FRAME_HEADER = record(time_s=("<u4", 4), time_us=("<u4", 8), number=("<u4", 12))
NBYTES, FRAME_HEADER_NBYTES, VERSION = 1024, 64, 6
BINNINGS = (1, 2, 4, 8)

SECTION = "measurementInfo"
MAX_HDR = 2**20
NUMBER = r"\s*([0-9]{1,9})\s*"
READOUT_MODE = re.compile(rf'"?\s*bin:{NUMBER},\s*windowing:{NUMBER}x{NUMBER}"?')
IMAGE_SIZE = re.compile(f"{NUMBER}x{NUMBER}")
WHOLE = re.compile(NUMBER)


@dataclass(frozen=True)
class Member:
    """A file of frames; ``count`` tells how many should be in it."""

    path: Path
    width: int
    height: int
    count: int

    @property
    def stride(self) -> int:
        """Bytes from frame to frame."""
        return FRAME_HEADER_NBYTES + 2 * self.width * self.height

    def run(self, most: int | None = None) -> FrameRun:
        """Return the frames, at most so many."""
        count = self.count if most is None else min(self.count, most)
        return FrameRun(self.path, NBYTES + FRAME_HEADER_NBYTES, self.stride, count)


def recognize(path: Path, head: bytes) -> bool:
    if path.suffix.lower() == ".hdr":
        return re.search(rb"(?im)^\s*\[measurementInfo\]", head) is not None
    mark = NBYTES.to_bytes(2, "little") + FRAME_HEADER_NBYTES.to_bytes(2, "little")
    is_marked = head.startswith(mark) and head[7:8] == bytes([VERSION])
    return is_marked or path.suffix.lower() == ".frms6"


def describe(
    path: Path,
    *,
    enable_offset_correction: bool = True,
    gain_map_path: str | Path | None = None,
) -> Description:
    read_head(path, 1)
    hdr_path, files = _files(path)
    hdr = _read_hdr(hdr_path)
    members = _signal_members(hdr_path, files, hdr)
    packing = Folded(members[0].width, members[0].height, hdr["binning"])

    def layout(runs: list[FrameRun | Gap]) -> FrameLayout:
        return FrameLayout(tuple(runs), packing.frame_shape, packing.dtype, packing)

    runs: list[FrameRun | Gap] = []
    left = hdr["signal_frames"]
    for member in members:
        if left:
            runs.append(member.run(left))
            left -= runs[-1].count
    if left:
        runs.append(Gap(left))
    dark: LazyFrame | None = None
    problems: list[str] = []
    if enable_offset_correction:
        member = _dark_member(hdr_path, files, hdr, members[0])
        dark, problems = _dark_frame(layout([member.run()]))
    gain = None
    if gain_map_path is not None:
        gain_path = _given_path(path, gain_map_path)
        gain = gain_map(gain_path, packing.frame_shape)
    found = Corrections(dark, gain)
    window = (members[0].height * hdr["binning"], packing.frame_shape[1])
    notices: tuple[str, ...] = ()
    if window != hdr["window"]:
        notices = (
            f"{hdr_path.name} tells of windows of {hdr['window']} pixels, the frames"
            f" have {window}: the binning of {hdr['binning']} may be wrong.",
        )
    return Description(
        layout(runs),
        hdr["image_size"],
        metadata=_metadata(hdr, members[0]),
        corrections=None if found.shape is None else found,
        corrections_on=True,
        companions=(hdr_path, *([files[0]] if 0 in files else []))
        + (() if gain is None else gain.files),
        problems=tuple(problems),
        notices=notices,
    )


def _files(path: Path) -> tuple[Path, dict[int, Path]]:
    """Return the ``.hdr``, and the files of the set by number."""
    suffix = path.suffix.lower()
    name = re.fullmatch(r"(.+)_[0-9]{1,9}\.frms6", path.name, re.IGNORECASE | re.DOTALL)
    if suffix != ".hdr" and name is None:
        raise FormatError(
            path,
            "the name is not that of a file of a set",
            expected="a name such as scan_001.frms6, or scan.hdr",
            found=path.name,
        )
    base = path.stem if name is None else name[1]
    pattern = re.compile(re.escape(base) + r"_([0-9]{1,9})\.(?i:frms6)")
    hdr_path = path if suffix == ".hdr" else path.with_name(f"{base}.hdr")
    files: dict[int, Path] = {}
    with os.scandir(path.parent) as entries:
        for entry in entries:
            if match := pattern.fullmatch(entry.name):
                file = path.with_name(entry.name)
                if files.setdefault(int(match[1]), file) != file:
                    raise FormatError(
                        file,
                        f"two files have the number {int(match[1])}",
                        found=f"{files[int(match[1])].name} as well",
                        hint="Move away the one that does not belong to the set.",
                    )
            elif entry.name.lower() == f"{base}.hdr".lower() and suffix != ".hdr":
                hdr_path = path.with_name(entry.name)
    if not hdr_path.is_file():
        raise FormatError(
            path,
            f"the file {hdr_path.name} of the set is missing",
            expected=f"{hdr_path.name} beside it: it tells the size of the scan",
            hint="Copy it into the same folder.",
        )
    return hdr_path, files


def _read_hdr(path: Path) -> dict[str, Any]:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(read_head(path, MAX_HDR).decode("latin-1"))
    except configparser.Error as error:
        raise FormatError(
            path, f"the file is no list of settings ({error.message.splitlines()[0]})"
        ) from error
    names = {name.lower(): name for name in parser.sections()}
    if SECTION.lower() not in names:
        raise FormatError(
            path,
            f"the section [{SECTION}] is missing",
            found=", ".join(f"[{n}]" for n in parser.sections()[:5]) or "no section",
            hint="It is not the .hdr of a pnCCD camera, or it was edited.",
        )
    section = dict(parser[names[SECTION.lower()]])

    def matched(key: str, pattern: re.Pattern[str], expected: str) -> list[int]:
        text = section.get(key.lower())
        match = pattern.fullmatch(text.strip()) if text is not None else None
        if match is None:
            raise FormatError(
                path,
                f"{key} is missing" if text is None else f"{key} cannot be read",
                expected=expected,
                found=None if text is None else repr(text[:60]),
            )
        return [int(number) for number in match.groups()]

    mode = matched("readoutMode", READOUT_MODE, '"bin: 1, windowing: 132 x 264"')
    image_size = matched("stemImageSize", IMAGE_SIZE, "such as 256x256")
    (signal_frames,) = matched("signalFrames", WHOLE, "a number")
    if mode[0] not in BINNINGS or not signal_frames or not min(image_size):
        raise FormatError(
            path,
            "the settings are impossible",
            expected=f"signalFrames and stemImageSize above 0, bin one of {BINNINGS}",
            found=f"{signal_frames}, {image_size[0]}x{image_size[1]}, {mode[0]}",
        )
    return {
        "binning": mode[0],
        "image_size": tuple(image_size),
        "window": tuple(mode[1:]),
        "signal_frames": signal_frames,
        "dark_frames": _whole(section, "darkFrames"),
        "dwell_us": _whole(section, "dwellTimeMicroSeconds"),
        "section": section,
    }


def _whole(section: Mapping[str, str], key: str) -> int:
    match = WHOLE.fullmatch(section.get(key.lower(), "").strip())
    return int(match[1]) if match else 0


def _signal_members(
    hdr_path: Path, files: Mapping[int, Path], hdr: Mapping[str, Any]
) -> list[Member]:
    numbers = sorted(number for number in files if number)
    if not numbers:
        raise FormatError(
            hdr_path,
            "there are no files with frames of the scan",
            expected=f"{hdr_path.stem}_001.frms6 and so on beside it",
            found="only the dark frames" if files else "no .frms6 file of this name",
            hint="Copy them into the same folder.",
        )
    for number, there in enumerate(numbers, 1):
        if number != there:
            name = f"{hdr_path.stem}_{number:03d}.frms6"
            raise FormatError(
                hdr_path,
                f"the file {name} of the set is missing",
                found=f"{len(numbers)} files, up to {files[numbers[-1]].name}",
                hint="Copy it into the same folder.",
            )
    members = [_read_member(files[number]) for number in numbers]
    for member in members:
        _check_count(member, hdr["signal_frames"])
        _check_size(member, members[0])
    return members


def _dark_member(
    hdr_path: Path, files: Mapping[int, Path], hdr: Mapping[str, Any], first: Member
) -> Member:
    if 0 not in files:
        raise FormatError(
            hdr_path,
            f"the file {hdr_path.stem}_000.frms6 with the dark frames is missing",
            hint="Copy it into the same folder, or open the data as they are:"
            " enable_offset_correction=False.",
        )
    member = _read_member(files[0])
    _check_count(member, hdr["dark_frames"])
    _check_size(first, member)
    return member


def _dark_frame(layout: FrameLayout) -> tuple[LazyFrame, list[str]]:
    fitted, _ = fit_to_files(layout)
    (path,) = layout.files
    if not fitted.num_frames:
        raise FormatError(
            path,
            "the file holds no complete dark frame",
            hint="Get the file again, or open the data as they are:"
            " enable_offset_correction=False.",
        )
    missing = layout.num_frames - fitted.num_frames
    problem = (
        f"{path}: the file ends too early; the dark frame is the mean of"
        f" {fitted.num_frames} instead of {layout.num_frames} frames, {missing} are"
        " missing"
    )
    return mean_frame(layout), [problem] * bool(missing)


def _read_member(path: Path) -> Member:
    header = read_record(path, FILE_HEADER)
    marks = header["nbytes"], header["frame_header_nbytes"], header["version"]
    if marks != (NBYTES, FRAME_HEADER_NBYTES, VERSION):
        raise FormatError(
            path,
            "not an FRMS6 file",
            offset=0,
            expected=f"headers of {NBYTES} and {FRAME_HEADER_NBYTES} bytes, version"
            f" {VERSION}",
            found=f"{marks[0]} and {marks[1]} bytes, version {marks[2]}",
        )
    width, height = header["width"], header["height"]
    if not width or not height or width % 2:
        raise FormatError(
            path,
            "the frames have an impossible size",
            offset=88,
            expected="an even width and a height above 0",
            found=f"{width} x {height}",
            hint="The file is damaged: get it again.",
        )
    member = Member(path, width, height, header["num_frames"])
    if member.count:
        return member
    # Older files do not tell: then there are as many as there is room for.
    room = max(path.stat().st_size - NBYTES, 0)
    return replace(member, count=-(-room // member.stride))


def _check_count(member: Member, recorded: int) -> None:
    """Refuse a number of frames that is neither in the file nor was ever recorded."""
    room = max(member.path.stat().st_size - NBYTES, 0) // member.stride
    if member.count > max(recorded, room + 1):
        raise FormatError(
            member.path,
            "the number of frames in the header fits neither the file nor the .hdr",
            offset=1020,
            expected=f"{room} frames, for which there is room",
            found=member.count,
            hint="The file is damaged: get it again.",
        )


def _check_size(member: Member, first: Member) -> None:
    if (member.width, member.height) != (first.width, first.height):
        raise FormatError(
            member.path,
            "the frames have another size than those of the other files",
            offset=88,
            expected=f"{first.width} x {first.height}, as in {first.path.name}",
            found=f"{member.width} x {member.height}",
            hint="Files of two acquisitions were mixed up.",
        )


def _given_path(path: Path, gain_map_path: Any) -> Path:
    try:
        return Path(os.path.abspath(os.path.expanduser(gain_map_path)))
    except TypeError as error:
        raise ParameterError(
            path,
            "gain_map_path",
            "gain_map_path is not a path",
            found=repr(gain_map_path),
        ) from error


def _metadata(hdr: Mapping[str, Any], first: Member) -> dict[str, Any]:
    metadata: dict[str, Any] = {"instrument": "PNDetector pnCCD"}
    if hdr["dwell_us"]:
        metadata["exposure_s"] = metadata["dwell_s"] = hdr["dwell_us"] * 1e-6
    try:
        told = read_record(first.path, FRAME_HEADER, NBYTES)
    except FormatError:  # the file is cut off there
        told = {"time_s": 0}
    if told["time_s"]:
        moment = datetime.fromtimestamp(told["time_s"], UTC)
        moment += timedelta(microseconds=told["time_us"])
        metadata["timestamp"] = moment.isoformat()
    read_out = {name: hdr[name] for name in ("binning", "window")}
    metadata["header"] = {**hdr["section"], **read_out}
    return metadata


FORMAT = Format(
    "frms6", "PNDetector pnCCD (FRMS6)", (".frms6", ".hdr"), recognize, describe
)
