"""Sampling and units of the scan and detector axes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple


class Sampling(NamedTuple):
    """Step of one axis: a pixel measures ``scale`` in ``unit``."""

    scale: float
    unit: str


# spelling in files -> factor and name as pint writes it
_UNITS: dict[str, tuple[float, str]] = {
    "m": (1e9, "nm"),
    "meter": (1e9, "nm"),
    "meters": (1e9, "nm"),
    "mm": (1e6, "nm"),
    "um": (1e3, "nm"),
    "µm": (1e3, "nm"),  # micro sign
    "μm": (1e3, "nm"),  # Greek mu
    "micrometer": (1e3, "nm"),
    "nm": (1.0, "nm"),
    "n_m": (1.0, "nm"),
    "nanometer": (1.0, "nm"),
    "å": (0.1, "nm"),
    "a": (0.1, "nm"),
    "angstrom": (0.1, "nm"),
    "angstroms": (0.1, "nm"),
    "pm": (1e-3, "nm"),
    "1/m": (1e-9, "1/nm"),
    "1/nm": (1.0, "1/nm"),
    "nm^-1": (1.0, "1/nm"),
    "nm-1": (1.0, "1/nm"),
    "n_m^-1": (1.0, "1/nm"),
    "1/å": (10.0, "1/nm"),
    "1/a": (10.0, "1/nm"),
    "a^-1": (10.0, "1/nm"),
    "å^-1": (10.0, "1/nm"),
    "1/angstrom": (10.0, "1/nm"),
    "rad": (1e3, "mrad"),
    "radian": (1e3, "mrad"),
    "radians": (1e3, "mrad"),
    "mrad": (1.0, "mrad"),
    "milliradian": (1.0, "mrad"),
    "urad": (1e-3, "mrad"),
    "deg": (1e3 * math.pi / 180, "mrad"),
    "degree": (1e3 * math.pi / 180, "mrad"),
    "degrees": (1e3 * math.pi / 180, "mrad"),
}


def sampling(scale: Any, unit: str) -> Sampling | None:
    """Sampling in the units of this package, from a file's number and spelling.

    Parameters
    ----------
    scale : number
        Step of a pixel. The sign is dropped: it tells a direction, not a size.
    unit : str
        As the file spells it, such as ``m``, ``Å`` or ``1/nm``.

    Returns
    -------
    Sampling or None
        In nm, 1/nm or mrad where the unit is a length, an inverse length or an
        angle, else as given. None where the number says nothing (0, NaN, infinite)
        or the unit is empty.
    """
    unit = "".join(filter(str.isprintable, unit)).strip().strip("[]").strip()
    # HyperSpy and pyxem write mathematics: $A^{-1}$
    plain = unit.replace("$", "").replace("{", "").replace("}", "")
    factor, name = _UNITS.get(plain.lower(), (1.0, unit))
    try:
        step = abs(float(scale)) * factor
    except (TypeError, ValueError, OverflowError):  # the latter: of a whole number
        return None
    return Sampling(step, name) if unit and 0 < step < math.inf else None


@dataclass(frozen=True)
class Calibration:
    """Sampling of the scan axes and of the detector axes, slowest axis first.

    Attributes
    ----------
    nav, sig : tuple of (Sampling or None)
        One entry an axis; None where the file does not know.
    """

    nav: tuple[Sampling | None, ...] = ()
    sig: tuple[Sampling | None, ...] = ()

    def fitted(self, nav_ndim: int, sig_ndim: int) -> Calibration:
        """Return the calibration for so many axes: cut or filled with None in front."""
        return Calibration(_fitted(self.nav, nav_ndim), _fitted(self.sig, sig_ndim))


def _fitted(
    axes: tuple[Sampling | None, ...], ndim: int
) -> tuple[Sampling | None, ...]:
    return ((None,) * ndim + axes)[len(axes) :] if ndim else ()
