"""MRC: stacks of images, of Direct Electron, Velox and others.

Beside a movie of Direct Electron lies a text file ``<prefix>_info.txt``, which knows
the scan; the prefix begins with date and number.

Source: `napari_4dstem.frames.mrc_stack` for the images; an info file of DE-Server 2.7;
for the extended header of FEI a file of Velox 3.7, and mrcfile.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from math import prod
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from napari_4dstem.axes import Calibration, Sampling, sampling
from napari_4dstem.errors import FormatError, ParameterError
from napari_4dstem.formats._format import (
    Description,
    Format,
    Meaning,
    read_head,
    read_record,
    record,
)
from napari_4dstem.frames.mrc_stack import HEADER, MrcStack, is_mrc, read_mrc
from napari_4dstem.frames.records import beside
from napari_4dstem.frames.refusals import no_whole_frame

PixelType = Literal["int8", "uint8"]

# What FEI says of the first image: type, byte, and the bit that says it is filled in.
FEI_FIELDS = {
    "timestamp_days": ("<f8", 12, "mask_1", 0),
    "microscope": ("S16", 20, "mask_1", 1),
    "serial_number": ("S16", 36, "mask_1", 2),
    "application": ("S16", 52, "mask_1", 3),
    "application_version": ("S16", 68, "mask_1", 4),
    "voltage_V": ("<f8", 84, "mask_1", 5),
    "pixel_size_x_m": ("<f8", 156, "mask_1", 14),
    "pixel_size_y_m": ("<f8", 164, "mask_1", 15),
    "magnification": ("<f8", 289, "mask_1", 31),
    "camera_length_m": ("<f8", 301, "mask_2", 0),
    "convergence_rad": ("<f8", 329, "mask_2", 4),
    "integration_time_s": ("<f8", 419, "mask_2", 16),
    "camera": ("S16", 435, "mask_2", 19),
    "stem_detector": ("S16", 519, "mask_3", 7),
    "dwell_s": ("<f8", 571, "mask_3", 15),
    "frame_time_s": ("<f8", 579, "mask_3", 16),
    "field_of_view_x_m": ("<f8", 603, "mask_3", 21),
    "field_of_view_y_m": ("<f8", 611, "mask_3", 22),
}
FEI_RECORD = record(
    nbytes=("<i4", 0),
    mask_1=("<u4", 8),
    mask_2=("<u4", 297),
    mask_3=("<u4", 490),
    **{name: (kind, offset) for name, (kind, offset, _, _) in FEI_FIELDS.items()},
)
FEI_NBYTES = {b"FEI1": 768, b"FEI2": 888}
FEI_DAY_0 = datetime(1899, 12, 30)

DE_PREFIX = re.compile(r"[0-9]{8}_[0-9]{5}")
# Images of the camera; others are made from them, one pixel a scan position.
DE_CAMERA_IMAGES = ("_movie", "_final")
MAX_INFO = 2**20


def recognize(path: Path, head: bytes) -> bool:
    return is_mrc(head, marked=True)


def by_name(path: Path, head: bytes) -> bool:
    """Return whether it is called an MRC file and has such sizes; many lack a mark."""
    return path.suffix.lower() in FORMAT.extensions and is_mrc(head)


def describe(path: Path, *, pixel_type: PixelType | None = None) -> Description:
    stack = read_mrc(path)
    _check_first_frame(stack)
    info_path = _find_info(path)
    info = {} if info_path is None else _read_info(info_path)
    pixel, notices = _pixel(stack, info, pixel_type)
    of_camera = path.stem.endswith(DE_CAMERA_IMAGES)
    nav_shape, nav_notice = None, ""
    if info and of_camera:
        nav_shape, nav_notice = _scan_shape(info, stack.shape[0])
    return Description(
        stack.layout(pixel),
        nav_shape,
        calibration=_calibration(stack, info, of_camera, len(nav_shape or ())),
        metadata=_metadata(stack, info),
        companions=() if info_path is None else (info_path,),
        notices=tuple(notices),
        nav_notice=nav_notice,
    )


def _check_first_frame(stack: MrcStack) -> None:
    start = HEADER.itemsize + stack.header["extended_nbytes"]
    size, shape = stack.path.stat().st_size, stack.shape[1:]
    if start + prod(shape) * stack.dtype.itemsize > size:
        raise no_whole_frame(stack.path, shape, stack.dtype, start, size)


def _pixel(
    stack: MrcStack, info: Mapping[str, str], wanted: str | None
) -> tuple[np.dtype[Any], list[str]]:
    """Return the type of the pixels; whether bytes have a sign is told by no header."""
    if wanted is not None:
        if wanted not in get_args(PixelType) or stack.header["mode"] != 0:
            raise ParameterError(
                stack.path,
                "pixel_type",
                "pixel_type says whether pixels of one byte have a sign",
                expected=f"{' or '.join(map(repr, get_args(PixelType)))}, for mode 0",
                found=f"{wanted!r}, for mode {stack.header['mode']}",
                hint="Leave it out."
                if stack.header["mode"]
                else "Choose one of these.",
            )
        return np.dtype(wanted), []
    pixel = stack.dtype
    is_counting = "Counting" in info.get("Image Processing - Mode", "")
    if is_counting and info.get("Autosave Counted Movie Pixel Format") == "uint8":
        pixel = np.dtype("u1")
    if pixel == np.uint8:
        return pixel, [
            "Pixels of one byte are taken as uint8, as the software that wrote them"
            " does; pixel_type='int8' takes them as signed."
        ]
    return pixel, []


def _find_info(path: Path) -> Path | None:
    """Return the info file of Direct Electron: of the same date and number."""
    if not DE_PREFIX.match(path.name):
        return None
    words = path.stem.split("_")
    for count in range(len(words), 1, -1):
        info = beside(path, "_".join(words[:count]) + "_info.txt")
        if info.is_file():
            return info
    return None


def _read_info(path: Path) -> dict[str, str]:
    try:
        text = read_head(path, MAX_INFO).decode("utf-8", "replace")
    except FormatError:
        return {}
    pairs = (line.partition("=") for line in text.splitlines())
    return {name.strip(): value.strip() for name, equals, value in pairs if equals}


def _scan_shape(
    info: Mapping[str, str], count: int
) -> tuple[tuple[int, ...] | None, str]:
    """Return the scan shape of ``count`` images, and what is worth knowing."""
    if info.get("Scan - Enable") != "Enable":
        return None, ""
    kind = info.get("Scan - Type")
    if kind != "Raster":
        return None, f"The scan is no raster but {kind!r}: its positions are not read."
    part = "ROI Size" if info.get("Scan - ROI Enable") == "Enable" else "Size"
    y, x = (_whole(info, f"Scan - {part} {axis}") for axis in "YX")
    repeats = _whole(info, "Scan - Repeats") or 1
    together = _whole(info, "Scan - Camera Frames Per Point") or 1
    if not y or not x:
        return None, ""
    nav_shape = (repeats,) * (repeats > 1) + (y, x) + (together,) * (together > 1)
    if prod(nav_shape) == count:
        return nav_shape, ""
    if count == 1:  # the sum of all images
        return None, ""
    shape = " x ".join(map(str, nav_shape))
    return None, (
        f"The info file tells of a scan of {shape}, which are not the {count} images of"
        " this file: give nav_shape."
    )


def _calibration(
    stack: MrcStack, info: Mapping[str, str], of_camera: bool, nav_ndim: int
) -> Calibration:
    step = tuple(
        sampling(_number(info, f"Specimen Pixel Size {axis} (nanometers)"), "nm")
        for axis in "YX"
    )
    if info.get("Scan - Enable") != "Enable":
        return Calibration(sig=_pixel_size(stack))
    if not of_camera:
        return Calibration(sig=step)
    has_frames_of_points = (_whole(info, "Scan - Camera Frames Per Point") or 1) > 1
    return Calibration(
        step + (None,) * (nav_ndim > 2 and has_frames_of_points),
        tuple(
            sampling(_number(info, f"Diffraction Pixel Size {axis}"), "1/nm")
            for axis in "YX"
        ),
    )


def _pixel_size(stack: MrcStack) -> tuple[Sampling | None, ...]:
    """Return what the header says; some write negative lengths, some none."""
    grid, cell = stack.header["grid"], stack.header["cell_angstrom"]
    return tuple(
        sampling(cell[axis] / grid[axis], "angstrom") if grid[axis] else None
        for axis in (1, 0)
    )


def _metadata(stack: MrcStack, info: Mapping[str, str]) -> dict[str, Any]:
    fei = _read_fei(stack)
    header = {
        name: value.decode("latin-1").strip("\0 ") if name == "extended_type" else value
        for name, value in stack.header.items()
        if name not in ("mark", "machine_stamp", "labels", "imod_stamp", "imod_flags")
    }
    labels = stack.header["labels"][: max(stack.header["num_labels"], 0)]
    header["labels"] = [label.decode("latin-1").strip("\0 ") for label in labels]
    known = [*_known_to_fei(fei).items(), *_known_to_de(info).items()]
    return {
        **{name: value for name, value in known if value},
        "header": {**header, **fei, **info},
    }


def _known_to_de(info: Mapping[str, str]) -> dict[str, Any]:
    frame_s = (_number(info, "Frame Exposure Time (nanoseconds)") or 0) * 1e-9
    rate = _number(info, "Frames Per Second")
    exposure_s = frame_s or (1 / rate if rate else 0)
    camera = info.get("Camera Model")
    return {
        "exposure_s": exposure_s * (_whole(info, "Autosave Movie Sum Count") or 1),
        "dwell_s": (_number(info, "Scan - Dwell Time (microseconds)") or 0) * 1e-6,
        "beam_energy_kV": (_number(info, "Instrument Accelerating Voltage (V)") or 0)
        / 1e3,
        "camera_length_m": (
            _number(info, "Instrument Project Camera Length (centimeters)") or 0
        )
        / 100,
        "timestamp": _since(
            datetime.fromtimestamp(0, UTC),
            seconds=_number(info, "Timestamp (seconds since Epoch)"),
        ),
        "instrument": f"Direct Electron {camera}" if camera else None,
    }


def _read_fei(stack: MrcStack) -> dict[str, Any]:
    """Return what the extended header says of the first image; little-endian only."""
    nbytes = FEI_NBYTES.get(stack.header["extended_type"])
    if nbytes is None or stack.header["extended_nbytes"] < nbytes:
        return {}
    fields = read_record(stack.path, FEI_RECORD, HEADER.itemsize)
    if fields["nbytes"] != nbytes:
        return {}
    return {
        name: value.decode("latin-1") if isinstance(value, bytes) else value
        for name, (_, _, mask, bit) in FEI_FIELDS.items()
        if fields[mask] >> bit & 1 and (value := fields[name])
    }


def _known_to_fei(fei: Mapping[str, Any]) -> dict[str, Any]:
    names = (fei.get("microscope"), fei.get("serial_number"))
    known = {
        "exposure_s": fei.get("integration_time_s"),
        "dwell_s": fei.get("dwell_s"),
        "beam_energy_kV": fei.get("voltage_V", 0) / 1e3,
        "camera_length_m": fei.get("camera_length_m"),
        "convergence_mrad": fei.get("convergence_rad", 0) * 1e3,
    }
    return {
        **{name: value for name, value in known.items() if value and 0 < value < 1e6},
        "timestamp": _since(FEI_DAY_0, days=fei.get("timestamp_days")),
        "instrument": " ".join(name for name in names if name),
    }


def _since(begin: datetime, **elapsed: float | None) -> str | None:
    (amount,) = elapsed.values()
    if not amount:
        return None
    try:
        moment = begin + timedelta(**dict.fromkeys(elapsed, amount))
    except (OverflowError, ValueError):  # too far away, or not a number
        return None
    return moment.isoformat(timespec="seconds")


def _number(info: Mapping[str, str], name: str) -> float | None:
    try:
        value = float(info[name])
    except (KeyError, ValueError):
        return None
    return value if math.isfinite(value) and value > 0 else None


def _whole(info: Mapping[str, str], name: str) -> int | None:
    text = info.get(name, "")
    return int(text) if text.isdecimal() and len(text) < 10 else None


FORMAT = Format(
    "mrc",
    "MRC stack",
    (".mrc", ".mrcs"),
    recognize,
    describe,
    meanings={
        "pixel_type": Meaning(
            "Pixel type",
            "whether pixels of one byte have a sign, where the file does not tell",
        ),
    },
    by_name=by_name,
)
