"""Facts of an HDF5 file under the names of our metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from napari_4dstem.frames.hdf5_values import number_of

# What files call a fact -> its name in our metadata, and the factor to its unit; no
# factor for text.
FACTS: dict[str, tuple[str, float | None]] = {
    "beam_energy": ("beam_energy_kV", 1),
    "accelerating_voltage": ("beam_energy_kV", 1),
    "acceleration_voltage": ("beam_energy_kV", 1),
    "high tension": ("beam_energy_kV", 1),
    "camera length": ("camera_length_m", 1),
    "acquisition_instrument/tem/camera_length": ("camera_length_m", 1e-3),
    "convergence_angle": ("convergence_mrad", 1),
    "convergence_semiangle": ("convergence_mrad", 1),
    "semiconvergence_angle": ("convergence_mrad", 1),
    "count_time": ("exposure_s", 1),
    "exposure_time": ("exposure_s", 1),
    "exposure": ("exposure_s", 1),
    "frame_time": ("dwell_s", 1),
    "dwell_time": ("dwell_s", 1),
    "data_collection_date": ("timestamp", None),
    "start_time": ("timestamp", None),
    "instrument/detector/description": ("instrument", None),
    "tem/microscope": ("instrument", None),
}
SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
# No microscope has so many kilovolts: these are volts.
LEAST_VOLTS = 10_000


def metadata_of(facts: Mapping[str, Any], group: str) -> dict[str, Any]:
    """Return what is known under our names, all else under ``header``.

    Parameters
    ----------
    facts : mapping
        Those of the file, by name.
    group : str
        The group with the data: of several facts, the one in there counts.
    """
    metadata: dict[str, Any] = {}
    near = [name for name in facts if name.startswith(f"{group}/")]
    for name in (*near, *facts):
        for known, (key, factor) in FACTS.items():
            if key not in metadata and f"/{name.lower()}".endswith(f"/{known}"):
                value = _value(facts, name, key, factor)
                metadata |= {key: value} if value else {}
    date, time = (facts.get(f"{group}/metadata/General/{k}") for k in ("date", "time"))
    if date and time:  # HyperSpy
        metadata.setdefault("timestamp", f"{date}T{time}")
    return {**metadata, "header": dict(facts)}


def _value(
    facts: Mapping[str, Any], name: str, key: str, factor: float | None
) -> str | float:
    if factor is None:
        return str(facts[name]).strip()
    unit = str(facts.get(f"{name}/units", "s"))
    value = (number_of(facts[name]) or 0.0) * factor * SECONDS.get(unit, 1.0)
    are_volts = key == "beam_energy_kV" and value >= LEAST_VOLTS
    return value / 1000 if are_volts else value


def fact(facts: Mapping[str, Any], ending: str) -> Any:
    """Return the first fact whose name ends so, None if there is none."""
    return next((v for k, v in facts.items() if k.endswith(f"/{ending}")), None)
