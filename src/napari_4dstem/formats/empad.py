"""EMPAD: pixel array detector of 128 x 128 pixels, first generation.

A ``.raw`` file of frames without a header, and an ``.xml`` file that names it and tells
about the acquisition.

Source: XML files of the acquisition software 0.51, 0.7.12 and 1.2.2, and recorded data.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isqrt, prod
from pathlib import Path, PureWindowsPath
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np

from napari_4dstem.axes import Calibration, Sampling, sampling
from napari_4dstem.errors import FormatError, ParameterError
from napari_4dstem.formats._format import Description, Format, read_head
from napari_4dstem.frames.layout import FrameLayout, FrameRun
from napari_4dstem.frames.records import file_size, siblings
from napari_4dstem.frames.refusals import INTERRUPTED, SOMETHING_ELSE
from napari_4dstem.frames.safe_xml import parse_xml

DTYPE = np.dtype("<f4")
SIG_SHAPE = (128, 128)
# Two more rows of every frame hold values of the readout.
FRAME_NBYTES = 130 * 128 * DTYPE.itemsize
# Real ones have some 4000.
MAX_XML = 2**20
TYPES = ("scan", "series")
# Where a scan shape is found, those first that tell what was really recorded: the other
# ones are settings, which are there for more than one mode.
PIXELS, NAME, COUNT = "pix_x and pix_y", "name of the raw file", "count of the series"
FROM_RECORDING = (COUNT, PIXELS, NAME)


@dataclass(frozen=True)
class Candidate:
    """A scan shape, and where it was found."""

    shape: tuple[int, ...]
    source: str

    def __str__(self) -> str:
        return f"{' x '.join(map(str, self.shape))} ({self.source})"


def recognize(path: Path, head: bytes) -> bool:
    return _is_xml(head)


def by_name(path: Path, head: bytes) -> bool:
    """Return whether it is a raw file with an XML beside it that tells what it is."""
    return _is_raw(path) and _find_xml(path) is not None


def may_be(path: Path, head: bytes) -> bool:
    """Return whether it is a raw file of whole frames."""
    try:
        return _is_raw(path) and file_size(path) % FRAME_NBYTES == 0
    except FormatError:
        return False


def describe(path: Path, *, nav_shape: tuple[int, ...] | None = None) -> Description:
    read_head(path, 1)
    xml_path = _find_xml(path) if _is_raw(path) else path
    xml = None if xml_path is None else _read_xml(xml_path)
    raw_path = path if xml is None else _raw_path(path, xml)
    size = file_size(raw_path)
    count, left_over = divmod(size, FRAME_NBYTES)
    if not count:
        raise FormatError(
            raw_path,
            "the raw file is empty"
            if not size
            else "the raw file holds no complete frame",
            expected=f"at least {FRAME_NBYTES} bytes",
            found=f"{size} bytes",
            hint=INTERRUPTED,
        )
    candidates = [*_candidates(path, xml), *_from_name(raw_path.stem)]
    chosen = _choose(candidates, count)
    if chosen is None and candidates and xml is not None and nav_shape is None:
        raise ParameterError(
            path,
            "nav_shape",
            f"no scan shape fits the {count} frames of {raw_path.name}",
            expected=" or ".join(map(str, candidates)),
            found=f"{size} bytes, {count} frames of {FRAME_NBYTES} bytes",
            hint="Give nav_shape, if you know it.",
        )
    notices = (f"{left_over} bytes after the last whole frame are ignored.",)
    nav_notice = ""
    if chosen is not None and prod(chosen.shape) != count:
        nav_notice = (
            f"The raw file has {count} frames. Scan shapes found:"
            f" {', '.join(map(str, candidates))}."
        )
    elif chosen is not None and xml is None:
        nav_notice = f"The scan shape is the one in the {chosen.source}."
    shape = None if chosen is None else chosen.shape
    return Description(
        FrameLayout((FrameRun(raw_path, 0, FRAME_NBYTES, count),), SIG_SHAPE, DTYPE),
        shape,
        calibration=Calibration() if xml is None else _calibration(xml, shape),
        metadata={"instrument": "EMPAD"} | ({} if xml is None else _metadata(xml)),
        companions=() if xml_path is None else (xml_path,),
        notices=notices if left_over else (),
        nav_notice=nav_notice,
    )


def propose(path: Path) -> Mapping[str, Any]:
    """Guess the scan shape of a raw file from its name, or a square."""
    try:
        count = file_size(path) // FRAME_NBYTES
    except FormatError:
        return {}
    chosen = _choose(list(_from_name(path.stem)), count)
    if chosen is not None:
        return {"nav_shape": chosen.shape}
    side = isqrt(count)
    return {"nav_shape": (side, side)} if count and side**2 == count else {}


def _is_raw(path: Path) -> bool:
    return path.suffix.lower() == ".raw"


def _is_xml(head: bytes) -> bool:
    is_text = head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<")
    # A long list of reconstructions may stand before the name of the raw file.
    about = b"<software_version" in head and b"isoformat=" in head
    return is_text and (b"<raw_file" in head or about)


def _find_xml(raw_path: Path) -> Path | None:
    """Return the XML file in the same folder that names this raw file."""
    for path in _beside(raw_path, ".xml"):
        try:
            text = read_head(path, MAX_XML)
            name = _raw_name(path, parse_xml(path, text)) if _is_xml(text) else ""
        except FormatError:
            continue
        if name.lower() == raw_path.name.lower():
            return path
    return None


def _beside(path: Path, suffix: str) -> list[Path]:
    return [other for other in siblings(path) if other.suffix.lower() == suffix]


def _read_xml(path: Path) -> Element:
    text = read_head(path, MAX_XML + 1)
    if len(text) > MAX_XML:
        raise FormatError(
            path,
            "the XML is far too long for one of an EMPAD",
            expected=f"at most {MAX_XML} bytes",
            found=f"{file_size(path)} bytes",
            hint="Open the .raw file by itself.",
        )
    root = parse_xml(path, text)
    _raw_name(path, root)
    kind = _type(root)
    if kind not in TYPES:
        raise FormatError(
            path,
            "unknown type of acquisition in the XML",
            expected="<type> " + " or ".join(TYPES),
            found=kind[:40],
            hint="Please report this file; the .raw can be opened by itself.",
        )
    return root


def _type(root: Element) -> str:
    # Version 1.2 does not tell it.
    return root.findtext("type", "").strip().lower() or "scan"


def _raw_name(path: Path, root: Element) -> str:
    """Return the name of the raw file: the folder is that of another computer."""
    raw_file = root.find("raw_file")
    name = "" if raw_file is None else raw_file.get("filename", "")
    # which knows both / and \
    name = PureWindowsPath(name).name
    if not name:
        raise FormatError(
            path,
            "not the XML file of an EMPAD: it names no raw file",
            expected='<raw_file filename="...">',
            found=f"<{root.tag[:40]}> without it",
            hint=SOMETHING_ELSE,
        )
    return name


def _raw_path(path: Path, xml: Element) -> Path:
    if _is_raw(path):
        return path
    name = _raw_name(path, xml)
    others = _beside(path, ".raw")
    same = [p for p in others if p.name.lower() == name.lower()]
    if same:
        return path.with_name(name) if path.with_name(name) in same else same[0]
    candidates = [*_candidates(path, xml), *_from_name(name)]
    sizes = {prod(c.shape) * FRAME_NBYTES for c in candidates}
    fitting = [p.name for p in others if p.is_file() and file_size(p) in sizes]
    hint = "Copy it there."
    if len(fitting) == 1:
        hint = f"{fitting[0]} has the size that it should have: was it renamed?"
    raise FormatError(
        path,
        f"the raw file {name} named in the XML is missing",
        expected=f"it in the folder {path.parent}",
        found=f"{len(others)} other .raw files" if others else "no .raw file at all",
        hint=hint,
    )


def _candidates(path: Path, xml: Element | None) -> Iterator[Candidate]:
    """Yield the scan shapes in an XML file, likeliest first."""
    if xml is None:
        return
    series = [xml.find("count"), xml.find("scan_parameters/series_count")]
    counts = [Candidate((_number(path, e),), COUNT) for e in series if e is not None]
    if _type(xml) == "series":
        yield from counts[:1]
    by_mode = {e.get("mode", ""): e for e in xml.iterfind("scan_parameters")}
    for mode in ("acquire", "search"):
        settings = by_mode.get(mode)
        if settings is not None:
            y, x = (settings.find(f"scan_resolution_{axis}") for axis in "yx")
            if y is not None and x is not None:
                shape = (_number(path, y), _number(path, x))
                yield Candidate(shape, f"scan_parameters, {mode}")
    y, x = xml.find("pix_y"), xml.find("pix_x")
    if y is not None and x is not None:
        yield Candidate((_number(path, y), _number(path, x)), PIXELS)
    if _type(xml) != "series":
        yield from counts[:1]


def _from_name(stem: str) -> Iterator[Candidate]:
    found = re.search(r"_x(\d{1,9})_y(\d{1,9})(?!\d)", stem)
    if found and int(found[1]) and int(found[2]):
        yield Candidate((int(found[2]), int(found[1])), NAME)


def _choose(candidates: list[Candidate], count: int) -> Candidate | None:
    """Return the scan that fits, else the one that was interrupted, else None."""
    fitting = [c for c in candidates if prod(c.shape) == count]
    if fitting:
        return fitting[0]
    larger = [c for c in candidates if prod(c.shape) > count]
    return min(larger, key=lambda c: c.source not in FROM_RECORDING, default=None)


def _number(path: Path, element: Element) -> int:
    value = _float(element.text)
    if value is None or not value.is_integer() or not 1 <= value <= 2**31:
        raise FormatError(
            path,
            f"the XML has an impossible number in {element.tag}",
            expected="a whole number above 0",
            found=repr((element.text or "")[:40]),
            hint="The file was edited or is damaged: get it again.",
        )
    return int(value)


def _float(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if np.isfinite(value) else None


def _measured(xml: Element) -> dict[str, Element]:
    """Return what was read from the microscope; the names have dots."""
    measured = xml.find("iom_measurements")
    return {} if measured is None else {e.tag: e for e in measured}


def _calibration(xml: Element, shape: tuple[int, ...] | None) -> Calibration:
    measured = _measured(xml)
    pixel = measured.get("calibrated_pixelsize")
    # The file means 1/m and has it a billion times too small.
    size = None if pixel is None else _float(pixel.text)
    sig = None if size is None else sampling(size * 1e9, "1/nm")
    nav = _steps(measured, shape) if shape is not None and len(shape) == 2 else ()
    return Calibration(nav, (sig, sig))


def _steps(
    measured: Mapping[str, Element], shape: tuple[int, ...]
) -> tuple[Sampling | None, ...]:
    ny, nx = shape
    old = measured.get("optics.get_full_scan_field_of_view")
    if old is not None:
        field = [_float(text) for text in (old.text or "").strip(" []").split(",")]
        if len(field) == 2 and field[0] is not None and field[1] is not None:
            return sampling(field[1] / ny, "m"), sampling(field[0] / nx, "m")
    new = measured.get("full_scan_field_of_view")
    if new is not None:
        width, factor = _float(new.findtext("x")), _float(new.findtext("scale_factor"))
        if width and factor:
            # It is that of the longer side, and was multiplied where it should have
            # been divided.
            step = sampling(width / factor / max(shape), "m")
            return step, step
    return ()


def _metadata(xml: Element) -> dict[str, Any]:
    metadata: dict[str, Any] = {}
    time = xml.find("timestamp")
    if time is not None and time.get("isoformat"):
        metadata["timestamp"] = time.get("isoformat")
    measured = {name: _float(e.text) for name, e in _measured(xml).items()}
    found = {
        "exposure_s": (_float(xml.findtext("exposure_time")), 1000),
        "beam_energy_kV": (
            measured.get("source.get_voltage") or measured.get("high_voltage"),
            1000,
        ),
        "camera_length_m": (
            measured.get("optics.get_cameralength")
            or measured.get("nominal_camera_length"),
            1,
        ),
    }
    for name, (value, unit) in found.items():
        if value:
            metadata[name] = value / unit
    metadata["header"] = _plain(xml) | {
        f"scan_parameters {e.get('mode', '')}".strip(): _plain(e)
        for e in xml.iterfind("scan_parameters")
    }
    return metadata


def _plain(element: Element, depth: int = 3) -> Any:
    """Return text, attributes or, of an element with others inside, a dict."""
    if not len(element) or not depth:
        return (element.text or "").strip() or dict(element.attrib)
    by_tag: dict[str, list[Any]] = {}
    for child in element:
        by_tag.setdefault(child.tag, []).append(_plain(child, depth - 1))
    return {tag: v[0] if len(v) == 1 else v for tag, v in by_tag.items()}


FORMAT = Format(
    "empad",
    "EMPAD, 128 x 128 pixels",
    (".xml", ".raw"),
    recognize,
    describe,
    propose,
    may_be,
    by_name=by_name,
)
