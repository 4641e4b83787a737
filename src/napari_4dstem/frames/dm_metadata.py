"""What the tags of DigitalMicrograph say of microscope and acquisition.

Source: tags in recorded files, and as public readers name them. The time stamps were
checked against each other in files from three time zones.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from napari_4dstem.frames.dm_tags import as_plain, number, text

# Windows counts tenths of microseconds since 1601; these are 1980 and 2100.
WINDOWS_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
MIN_TICKS, MAX_TICKS = 1.196e17, 1.575e17

# name in the metadata, place in the tags, factor
_QUANTITIES: tuple[tuple[str, tuple[str, ...], float], ...] = (
    ("exposure_s", ("Acquisition", "Parameters", "High Level", "Exposure (s)"), 1),
    ("exposure_s", ("Acquisition", "Frame", "Sequence", "Exposure Time (ns)"), 1e-9),
    ("exposure_s", ("Acquisition", "Exposure (s)"), 1),
    ("exposure_s", ("EELS", "Acquisition", "Exposure (s)"), 1),
    ("exposure_s", ("DataBar", "Exposure Time (s)"), 1),
    ("dwell_s", ("SI", "Acquisition", "Pixel time (s)"), 1),
    ("dwell_s", ("DigiScan", "Sample Time"), 1e-6),
    ("beam_energy_kV", ("Microscope Info", "Voltage"), 1e-3),
    ("camera_length_m", ("Microscope Info", "STEM Camera Length"), 1e-3),
    (
        "convergence_mrad",
        ("EELS", "Experimental Conditions", "Convergence semi-angle (mrad)"),
        1,
    ),
    ("convergence_mrad", ("EELS", "Convergence semi-angle (mrad)"), 1),
)
_INSTRUMENT = (
    ("Microscope Info", "Microscope"),
    ("Session Info", "Microscope"),
    ("Microscope Info", "Name"),
)
_CAMERA = (("Acquisition", "Device", "Name"), ("DataBar", "Device Name"))


def metadata(tags: Any) -> dict[str, Any]:
    """Return what the tags of an image say of microscope and acquisition.

    Parameters
    ----------
    tags : dict
        ``ImageTags`` of an image.

    Returns
    -------
    dict
        The keys that all formats have in common; all tags under "header".
    """
    found: dict[str, Any] = {}
    for name, place, factor in _QUANTITIES:
        value = number(tags, *place)
        if value is not None and value > 0:
            found.setdefault(name, value * factor)
    named = (
        next(filter(None, (text(tags, *place) for place in places)), "")
        for places in (_INSTRUMENT, _CAMERA)
    )
    instrument = ", ".join(filter(None, named))
    if instrument:
        found["instrument"] = instrument
    timestamp = _timestamp(tags)
    if timestamp:
        found["timestamp"] = timestamp
    tags = tags if isinstance(tags, Mapping) else {}
    plain = {str(label): as_plain(tag) for label, tag in tags.items()}
    return {**found, "header": {k: tag for k, tag in plain.items() if tag is not None}}


def _timestamp(tags: Any) -> str | None:
    """Local time of the acquisition, with its distance from UTC.

    Date and time are kept as text in the style of the computer's country, and in UTC as
    Windows counts: which is day, which is month follows from both together.
    """
    clock = _clock(text(tags, "DataBar", "Acquisition Time"))
    ticks = number(tags, "DataBar", "Acquisition Time (OS)")
    if ticks is None or not MIN_TICKS < ticks < MAX_TICKS:
        return None
    utc = WINDOWS_EPOCH + timedelta(microseconds=round(ticks / 10))
    if clock is None:
        return utc.isoformat(timespec="seconds")
    seconds = clock - (utc.hour * 3600 + utc.minute * 60 + utc.second)
    # the nearest quarter of an hour, between -12 h and +12 h
    quarters = (round(seconds / 900) + 48) % 96 - 48
    if abs((seconds - quarters * 900 + 43200) % 86400 - 43200) > 60:
        return utc.isoformat(timespec="seconds")  # the clocks say different times
    zone = timezone(timedelta(minutes=15 * quarters))
    return utc.astimezone(zone).isoformat(timespec="seconds")


def _clock(words: str) -> int | None:
    """Seconds since midnight of a text like 3:32:41 PM."""
    parts = re.fullmatch(r"(\d{1,2})[:.](\d\d)[:.](\d\d)(?: ?([AP])M)?", words, re.I)
    if parts is None:
        return None
    hour, minute, second = (int(part) for part in parts.groups()[:3])
    if parts[4]:
        hour = hour % 12 + 12 * (parts[4].upper() == "P")
    return hour * 3600 + minute * 60 + second
