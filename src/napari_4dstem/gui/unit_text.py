"""Units as people write them."""

from __future__ import annotations

from typing import Any

_SHORT = {
    "pixel": "px",
    "milliradian": "mrad",
    "nanometer": "nm",
    "1 / nanometer": "1/nm",
}


def unit_text(unit: Any) -> str:
    """Return a unit of a layer as people write it."""
    return _SHORT.get(str(unit), str(unit))
