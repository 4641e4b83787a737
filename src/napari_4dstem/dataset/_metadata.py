"""What a file says of the microscope, where it can be true."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from numbers import Real
from typing import Any

QUANTITIES = (
    "exposure_s",
    "dwell_s",
    "beam_energy_kV",
    "camera_length_m",
    "convergence_mrad",
)


def checked_metadata(said: Mapping[str, Any]) -> dict[str, Any]:
    """Return metadata whose common keys hold what other programs can rely on.

    Parameters
    ----------
    said : mapping
        As a format says it.

    Returns
    -------
    dict
        Quantities are finite, the time stamp is ISO 8601. What is not stays under
        "header", for people.
    """
    doubtful = {
        key: value
        for key, value in said.items()
        if (key in QUANTITIES and not _is_quantity(value))
        or (key == "timestamp" and not _is_time(value))
    }
    metadata = {key: value for key, value in said.items() if key not in doubtful}
    if doubtful:
        metadata["header"] = {**said.get("header", {}), **doubtful}
    return metadata


def _is_quantity(value: Any) -> bool:
    return isinstance(value, Real) and math.isfinite(value)


def _is_time(value: Any) -> bool:
    try:
        datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return False
    return True
