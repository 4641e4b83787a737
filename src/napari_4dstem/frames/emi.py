"""EMI: what TIA tells about a microscope, in XML between binary data.

Source: the files beside recorded series.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from math import isfinite
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

from napari_4dstem.frames.safe_xml import parse_xml, xml_pieces

ACCELERATING_VOLTAGE = "ExperimentalConditions/MicroscopeConditions/AcceleratingVoltage"
MONTHS = (
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
)  # fmt: skip


@dataclass(frozen=True)
class Acquisition:
    """How a series was recorded.

    Attributes
    ----------
    metadata : dict
        What has a key of its own.
    header : dict
        All settings, as text.
    shows_pattern : bool
        Whether it is a diffraction pattern, from a camera.
    """

    metadata: dict[str, Any] = field(default_factory=dict)
    header: dict[str, Any] = field(default_factory=dict)
    shows_pattern: bool = False


def read_emi(path: Path, number: int) -> Acquisition:
    """Return what an .emi file tells about the series ``_<number>.ser``.

    Empty where it tells nothing.

    Raises
    ------
    FormatError
        If the file cannot be read, or its XML is broken.
    """
    for k, text in enumerate(xml_pieces(path, "ObjectInfo"), 1):
        if k == number:
            # A sign that is no UTF-8 must not spoil the rest.
            valid = text.decode("utf-8", "replace").encode()
            return _acquisition(parse_xml(path, valid))
    return Acquisition()


def _acquisition(info: Element) -> Acquisition:
    settings = {
        _text(row, "Label"): f"{_text(row, 'Value')} {_text(row, 'Unit')}".strip()
        for row in info.iterfind("ExperimentalDescription/Root/Data")
    }
    of_camera = info.find("AcquireInfo/CameraNamePath") is not None
    metadata = {
        "instrument": settings.get("Microscope", "").removeprefix("Microscope "),
        "timestamp": _date(_text(info, "AcquireDate")),
        "beam_energy_kV": _float(_text(info, ACCELERATING_VOLTAGE), 1000)
        or _float(settings.get("High tension", "").removesuffix("kV")),
        "camera_length_m": _float(settings.get("Camera length", "").removesuffix("m")),
        # of a scanned image it is the time of one pixel
        "exposure_s": _float(_text(info, "AcquireInfo/DwellTimePath"))
        if of_camera
        else None,
    }
    more = {e.tag: (e.text or "").strip() for e in info.iterfind("AcquireInfo/*")}
    more |= {name: _text(info, name) for name in ("AcquireDate", "Manufacturer")}
    return Acquisition(
        {name: value for name, value in metadata.items() if value},
        settings | {name: value for name, value in more.items() if value},
        of_camera and settings.get("Mode", "").endswith("Diffraction"),
    )


def _text(element: Element, path: str) -> str:
    return element.findtext(path, "").strip()


def _float(text: str, divisor: float = 1) -> float | None:
    try:
        value = float(text) / divisor
    except ValueError:
        return None
    return value if isfinite(value) else None


def _date(text: str) -> str | None:
    """Read ``Thu Apr 25 09:30:09 2019``, whatever the language of this computer."""
    found = re.fullmatch(r"\w+ (\w+) +(\d+) +(\d+):(\d+):(\d+) +(\d+)", text)
    if found is None or found[1] not in MONTHS:
        return None
    try:
        day, hour, minute, second, year = map(int, found.groups()[1:])
        date = datetime(year, MONTHS.index(found[1]) + 1, day, hour, minute, second)
    except (ValueError, OverflowError):
        return None
    return date.isoformat()
