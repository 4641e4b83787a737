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
    Meaning,
    read_head,
    read_record,
    record,
)
from napari_4dstem.frames.gain_map import gain_map
from napari_4dstem.frames.layout import FrameLayout, FrameRun, Gap, fit_to_files
from napari_4dstem.frames.mean_frame import mean_frame
from napari_4dstem.frames.refusals import DAMAGED, not_a

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
HDR_MARK = re.compile(rb"(?im)^\s*\[measurementInfo\]")
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
    if path.suffix.lower() == ".hdr" and HDR_MARK.search(head):
        return True
    mark = NBYTES.to_bytes(2, "little") + FRAME_HEADER_NBYTES.to_bytes(2, "little")
    return head.startswith(mark) and head[7:8] == bytes([VERSION])


def by_name(path: Path, head: bytes) -> bool:
    """Return whether it is called a data file: its header may be damaged."""
    return path.suffix.lower() == ".frms6"


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
            "the name is not that of a file of a recording",
            expected="a name such as scan_001.frms6, or scan.hdr",
            found=path.name,
            hint="Give it the name back that it had.",
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
                        hint="Move away the one that does not belong to the recording.",
                    )
            elif entry.name.lower() == f"{base}.hdr".lower() and suffix != ".hdr":
                hdr_path = path.with_name(entry.name)
    if not hdr_path.is_file():
        raise FormatError(
            path,
            f"the file {hdr_path.name} is missing, which tells the size of the scan",
            expected=f"it in the folder {path.parent}",
            hint="Copy it there.",
        )
    return hdr_path, files


def _read_hdr(path: Path) -> dict[str, Any]:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(read_head(path, MAX_HDR).decode("latin-1"))
    except configparser.Error as error:
        raise FormatError(
            path,
            f"the settings cannot be read ({error.message.splitlines()[0]})",
            hint="It is not the .hdr of a pnCCD camera, or it was edited.",
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
                expected=f"{key} = {expected}",
                found=None if text is None else text[:60],
                hint="The file was edited or is damaged: get it again.",
            )
        return [int(number) for number in match.groups()]

    mode = matched("readoutMode", READOUT_MODE, '"bin: 1, windowing: 132 x 264"')
    image_size = matched("stemImageSize", IMAGE_SIZE, "256x256")
    (signal_frames,) = matched("signalFrames", WHOLE, "65536")
    if mode[0] not in BINNINGS or not signal_frames or not min(image_size):
        raise FormatError(
            path,
            "the settings are impossible",
            expected="signalFrames and stemImageSize above 0, a binning of"
            f" {', '.join(map(str, BINNINGS))}",
            found=f"signalFrames {signal_frames}, stemImageSize"
            f" {image_size[0]}x{image_size[1]}, binning {mode[0]}",
            hint="The file was edited or is damaged: get it again.",
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
            expected=f"{hdr_path.stem}_001.frms6 and so on in the same folder",
            found="only the dark frames" if files else "no .frms6 file of this name",
            hint="Copy them into the same folder.",
        )
    for number, there in enumerate(numbers, 1):
        if number != there:
            name = f"{hdr_path.stem}_{number:03d}.frms6"
            raise FormatError(
                hdr_path,
                f"the file {name} is missing",
                expected=f"all files up to {files[numbers[-1]].name}",
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
    if marks[:2] != (NBYTES, FRAME_HEADER_NBYTES):
        raise not_a(path, read_head(path), "an FRMS6 file")
    if marks[2] != VERSION:
        raise FormatError(
            path,
            "unknown version of the FRMS6 file",
            offset=7,
            expected=VERSION,
            found=marks[2],
            hint="Please report this file.",
        )
    width, height = header["width"], header["height"]
    if not width or not height or width % 2:
        raise FormatError(
            path,
            "the frames have an impossible size",
            offset=88,
            expected="an even width and a height above 0",
            found=f"width {width}, height {height}",
            hint=DAMAGED,
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
            "the number of frames in the header is impossible",
            offset=1020,
            expected=f"at most {max(recorded, room)}, by the .hdr and the size of the"
            " file",
            found=member.count,
            hint=DAMAGED,
        )


def _check_size(member: Member, first: Member) -> None:
    if (member.width, member.height) != (first.width, first.height):
        raise FormatError(
            member.path,
            "the frames have another size than those of the other files",
            offset=88,
            expected=f"{first.height} x {first.width}, as in {first.path.name}",
            found=f"{member.height} x {member.width}",
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
            hint="Give the path of a .csv or .mat file.",
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
    "frms6",
    "PNDetector pnCCD (FRMS6)",
    (".frms6", ".hdr"),
    recognize,
    describe,
    meanings={
        "enable_offset_correction": Meaning(
            "Subtract dark frame",
            "the mean of the frames that the camera took in the dark is subtracted",
        ),
        "gain_map_path": Meaning(
            "Gain map file",
            "a gain map, .csv or .mat, by which the frames are multiplied",
        ),
    },
    by_name=by_name,
)
