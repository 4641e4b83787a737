"""SEQ: Norpix StreamPix sequences, of Direct Electron and other cameras.

One file of evenly spaced images, each with a time stamp behind it. Beside it may lie a
dark frame and a gain map (MRC), camera settings (binary) and maps of bad pixels (XML).

Source: the reader of PIMS for the sequence, LiberTEM for what lies beside it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_4dstem.corrections import Corrections, LazyFrame
from napari_4dstem.errors import FormatError
from napari_4dstem.formats._format import (
    Description,
    Format,
    read_head,
    read_record,
    record,
)
from napari_4dstem.frames.layout import FrameLayout, FrameRun, fit_to_files
from napari_4dstem.frames.mean_frame import mean_frame
from napari_4dstem.frames.mrc_stack import read_mrc
from napari_4dstem.frames.records import beside
from napari_4dstem.frames.refusals import DAMAGED, no_whole_frame, not_a
from napari_4dstem.frames.safe_xml import parse_xml

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from numpy.typing import NDArray

HEADER = record(
    magic=("<u4", 0),
    version=("<i4", 28),
    description=("V512", 36),
    width=("<u4", 548),
    height=("<u4", 552),
    bit_depth=("<u4", 556),
    real_bit_depth=("<u4", 560),
    image_format=("<u4", 568),
    allocated_frames=("<u4", 572),
    origin=("<u4", 576),
    stride=("<u4", 580),  # "true image size"
    frame_rate_hz=("<f8", 584),
    compression=("<u4", 620),
    reference_time_s=("<u4", 624),
)
HEADER_OFFSETS = {name: entry[1] for name, entry in (HEADER.fields or {}).items()}
MAGIC = 0xFEED
MONOCHROME = 100
DTYPES = {8: "u1", 16: "<u2", 32: "<u4"}
# From version 5 on (StreamPix 6) the first image and the time stamps are elsewhere.
FIRST_IMAGE, FIRST_IMAGE_BEFORE_5 = 8192, 1024
STAMP = record(s=("<u4", 0), ms=("<u2", 4), us=("<u2", 6))
STAMP_BEFORE_5 = record(s=("<u4", 0), ms=("<u2", 4))

SETTINGS = record(
    unbinned_width=("<i4", 290),
    unbinned_height=("<i4", 294),
    offset_x=("<i4", 298),
    offset_y=("<i4", 302),
    hardware_binning=("<i4", 306),
    bit_mode=("<i4", 310),
    frame_rate_hz=("<i4", 314),
    rotation_mode=("<i4", 318),
    flip_mode=("<i4", 322),
    okra_mode=("?", 326),
)
MAX_XML = 2**24


def recognize(path: Path, head: bytes) -> bool:
    return head.startswith(MAGIC.to_bytes(4, "little"))


def describe(path: Path) -> Description:
    header = _read_header(path)
    is_old = header["version"] < 5
    start = FIRST_IMAGE_BEFORE_5 if is_old else FIRST_IMAGE
    shape = (header["height"], header["width"])
    size = path.stat().st_size
    if size < start + header["image_nbytes"]:
        raise no_whole_frame(path, shape, DTYPES[header["bit_depth"]], start, size)
    whole, rest = divmod(size - start, header["stride"])
    # What is left is the beginning of one more frame, unless all are there.
    is_cut = rest > 0 and (whole < header["allocated_frames"] or not whole)
    run = FrameRun(path, start, header["stride"], whole + is_cut)
    moments = _moments(run, header, STAMP_BEFORE_5 if is_old else STAMP)
    beside = _beside(path, shape)
    notices: tuple[str, ...] = ()
    if header["allocated_frames"] > run.count:
        notices = (
            f"The recording has {run.count} of {header['allocated_frames']} planned"
            " frames: it was stopped.",
        )
    return Description(
        FrameLayout((run,), shape, np.dtype(DTYPES[header["bit_depth"]])),
        metadata=_metadata(header, moments, beside.settings),
        corrections=beside.corrections,
        companions=tuple(beside.files),
        problems=tuple(beside.problems),
        notices=notices,
    )


def _read_header(path: Path) -> dict[str, Any]:
    header = read_record(path, HEADER)

    def check(
        good: bool, name: str, problem: str, expected: Any, hint: str | None = None
    ) -> None:
        if not good:
            raise FormatError(
                path,
                problem,
                offset=HEADER_OFFSETS[name],
                expected=expected,
                found=header[name],
                hint=hint,
            )

    if header["magic"] != MAGIC:
        raise not_a(path, read_head(path), "a StreamPix sequence (SEQ)")
    check(
        header["compression"] == 0,
        "compression",
        "the sequence is compressed",
        "0, no compression",
        "Save the sequence uncompressed with StreamPix.",
    )
    check(
        header["image_format"] == MONOCHROME,
        "image_format",
        "the image format is not monochrome",
        MONOCHROME,
        "Save the sequence as monochrome with StreamPix.",
    )
    depths = ", ".join(map(str, DTYPES))
    check(
        header["bit_depth"] in DTYPES,
        "bit_depth",
        "unknown bits per pixel",
        f"one of {depths}",
        "Save the sequence with 8 or 16 bits with StreamPix.",
    )
    for name in ("width", "height"):
        check(header[name] > 0, name, f"impossible {name}", "above 0", DAMAGED)
    nbytes = header["width"] * header["height"] * header["bit_depth"] // 8
    check(
        header["stride"] >= nbytes,
        "stride",
        "the true image size in the header is too small for images of"
        f" {header['height']} x {header['width']} pixels",
        f"at least {nbytes} bytes",
        DAMAGED,
    )
    return header | {"image_nbytes": nbytes}


def _moments(
    run: FrameRun, header: Mapping[str, Any], stamp: np.dtype[Any]
) -> list[datetime]:
    """Return when the first two images were taken, as far as they tell."""
    moments = []
    has_stamps = header["stride"] >= header["image_nbytes"] + stamp.itemsize
    for number in range(min(run.count, 2) if has_stamps else 0):
        at = run.start + number * run.stride + header["image_nbytes"]
        try:
            told = read_record(run.path, stamp, at)
        except FormatError:  # the file is cut off there
            break
        if told["s"]:
            moment = datetime.fromtimestamp(told["s"], UTC)
            elapsed = timedelta(milliseconds=told["ms"], microseconds=told.get("us", 0))
            moments.append(moment + elapsed)
    return moments


def _metadata(
    header: Mapping[str, Any], moments: list[datetime], settings: Mapping[str, Any]
) -> dict[str, Any]:
    metadata: dict[str, Any] = {}
    if moments:
        metadata["timestamp"] = moments[0].isoformat()
    if len(moments) == 2 and moments[1] > moments[0]:
        metadata["dwell_s"] = (moments[1] - moments[0]).total_seconds()
    text = header["description"].decode("utf-16-le", "replace").partition("\0")[0]
    metadata["header"] = {
        **{name: value for name, value in header.items() if name != "magic"},
        "description": text,
        **({"camera_settings": settings} if settings else {}),
    }
    return metadata


@dataclass
class _Beside:
    """What lies beside a sequence, as far as it fits; problems tell of the rest."""

    files: list[Path] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    corrections: Corrections | None = None


def _beside(path: Path, shape: tuple[int, int]) -> _Beside:
    found = _Beside()
    # LiberTEM's writer of names: also scan.seq.seq has a scan.seq.dark.mrc
    base = re.sub(r"(?i)(\.seq){1,2}$", "", path.name)

    def read(ending: str, reader: Callable[..., Any], *arguments: Any) -> Any:
        file = beside(path, f"{base}.seq.{ending}")
        if not file.is_file():
            return None
        found.files.append(file)
        try:
            return reader(file, *arguments)
        except FormatError as error:
            found.problems.append(f"{error} It is left out.")
            return None

    dark = read("dark.mrc", _read_frame, shape)
    gain = read("gain.mrc", _read_frame, shape)
    found.settings = read("metadata", read_record, SETTINGS) or {}
    excluded = None
    if found.settings:
        excluded = read("Config.Metadata.xml", _read_defects, found.settings, shape)
    if not (dark is None and gain is None and excluded is None):
        found.corrections = Corrections(dark, gain, excluded)
    return found


def _read_frame(path: Path, shape: tuple[int, int]) -> LazyFrame:
    """Return a dark frame or gain map, of which only the header is read."""
    stack = read_mrc(path)
    layout = stack.layout()
    fitted, _ = fit_to_files(layout)
    if stack.shape != (1, *shape) or stack.dtype.kind == "c" or not fitted.num_frames:
        raise FormatError(
            path,
            "this correction does not fit the sequence",
            expected=f"one whole image of {shape[0]} x {shape[1]} real numbers",
            found=f"{fitted.num_frames} of {stack.shape[0]} images of {stack.shape[1]}"
            f" x {stack.shape[2]} {stack.dtype.name}",
        )
    return mean_frame(layout)


def _read_defects(
    path: Path, settings: Mapping[str, Any], shape: tuple[int, int]
) -> NDArray[np.bool_] | None:
    """Return which pixels of a frame are bad, None if all are good.

    The file has a map of the whole sensor for each binning; a frame is a part of it.
    """
    size = path.stat().st_size
    if size > MAX_XML:
        raise FormatError(
            path,
            "the XML is far too long",
            expected=f"at most {MAX_XML} bytes",
            found=f"{size} bytes",
        )
    is_binned = settings["hardware_binning"] > 1
    maps = [
        element
        for element in parse_xml(path, read_head(path, MAX_XML)).iter("BadPixelMap")
        if (_whole(element, "Binning", 1) > 1) == is_binned
    ]
    if not maps:
        return None
    sensor = max(maps, key=lambda element: _whole(element, "Columns"))
    names = ("offset_y", "offset_x", "unbinned_height", "unbinned_width")
    y, x, height, width = (settings[name] // (1 + is_binned) for name in names)
    rows, columns = _whole(sensor, "Rows"), _whole(sensor, "Columns")
    fits = min(y, x) >= 0 and y + height <= rows and x + width <= columns
    if (height, width) != shape or not fits:
        raise FormatError(
            path,
            "the map of bad pixels does not fit the sequence",
            expected=f"{shape[0]} x {shape[1]} pixels of a sensor of {rows} x"
            f" {columns}",
            found=f"{height} x {width} at ({y}, {x}) in the camera settings",
        )
    excluded = np.zeros(shape, bool)
    for defect in sensor.iter("Defect"):
        part = (_span(defect, "Row", y, height), _span(defect, "Column", x, width))
        if part != (None, None):
            excluded[tuple(slice(None) if s is None else s for s in part)] = True
    return excluded if excluded.any() else None


def _span(defect: Element, name: str, origin: int, length: int) -> slice | None:
    """Return the part of an axis that is bad, in pixels of the frame; None: unsaid."""
    text = defect.get(name) or defect.get(f"{name}s")
    if text is None:
        return None
    first, _, last = text.partition("-")
    try:
        begin, end = int(first) - origin, int(last or first) + 1 - origin
    except ValueError:
        return slice(0, 0)
    return slice(min(max(begin, 0), length), min(max(end, 0), length))


def _whole(element: Element, name: str, default: int = 0) -> int:
    try:
        return int(element.get(name, default))
    except ValueError:
        return default


FORMAT = Format("seq", "Norpix StreamPix sequence", (".seq",), recognize, describe)
