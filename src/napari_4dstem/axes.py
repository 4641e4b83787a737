"""Sampling and units of the scan and detector axes.

Source of the constants: CODATA 2022, https://physics.nist.gov/cuu/Constants.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple


class Sampling(NamedTuple):
    """Step of one axis: a pixel measures ``scale`` in ``unit``."""

    scale: float
    unit: str


# spelling in files -> nm
_LENGTHS = {
    **dict.fromkeys(("m", "meter", "meters"), 1e9),
    **dict.fromkeys(("mm", "millimeter"), 1e6),
    **dict.fromkeys(("um", "µm", "μm", "micrometer", "micron"), 1e3),  # two signs
    **dict.fromkeys(("nm", "n_m", "nanometer", "nanometers"), 1.0),
    **dict.fromkeys(("å", "a", "aa", "angstrom", "angstroms"), 0.1),  # \AA in TeX
    **dict.fromkeys(("pm", "picometer"), 1e-3),
}
# spelling in files -> mrad
_ANGLES = {
    **dict.fromkeys(("rad", "radian", "radians"), 1e3),
    **dict.fromkeys(("mrad", "milliradian", "milliradians"), 1.0),
    **dict.fromkeys(("urad", "µrad", "μrad"), 1e-3),
    **dict.fromkeys(("deg", "degree", "degrees"), 1e3 * math.pi / 180),
}
# spelling in files -> factor and name as pint writes it
_UNITS = {
    **{name: (factor, "nm") for name, factor in _LENGTHS.items()},
    **{name: (factor, "mrad") for name, factor in _ANGLES.items()},
    **{
        spelling.format(name): (1 / factor, "1/nm")
        for name, factor in _LENGTHS.items()
        for spelling in ("1/{}", "{}^-1", "{}-1", "{}^(-1)")
    },
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
    plain = "".join(letter for letter in unit if letter not in "$\\{} ")
    factor, name = _UNITS.get(plain.lower(), (1.0, unit))
    try:
        step = abs(float(scale)) * factor
    except (TypeError, ValueError, OverflowError):  # the latter: of a whole number
        return None
    return Sampling(step, name) if unit and 0 < step < math.inf else None


PLANCK_J_S = 6.62607015e-34  # exact, as the next two
CHARGE_C = 1.602176634e-19
LIGHT_M_PER_S = 299_792_458.0
ELECTRON_KG = 9.1093837139e-31


def electron_wavelength_nm(beam_energy_kv: float) -> float:
    """Return the wavelength of electrons, relativistically, from their energy."""
    energy = beam_energy_kv * 1e3 * CHARGE_C
    rest_energy = ELECTRON_KG * LIGHT_M_PER_S**2
    # of the momentum times the speed of light
    squared = energy * (energy + 2 * rest_energy)
    return PLANCK_J_S * LIGHT_M_PER_S / math.sqrt(squared) * 1e9


def as_unit(axis: Sampling, unit: str, beam_energy_kv: float | None) -> Sampling | None:
    """Return a sampling of the detector in mrad or 1/nm.

    Parameters
    ----------
    axis : Sampling
    unit : "mrad" or "1/nm"
    beam_energy_kv : float or None
        Its wavelength makes one out of the other.

    Returns
    -------
    Sampling or None
        None where that is not known, or the unit is another one.
    """
    if axis.unit == unit:
        return axis
    if beam_energy_kv is None:
        return None
    factor = 1e3 * electron_wavelength_nm(beam_energy_kv)  # mrad in 1/nm
    if (axis.unit, unit) == ("1/nm", "mrad"):
        return Sampling(axis.scale * factor, unit)
    if (axis.unit, unit) == ("mrad", "1/nm"):
        return Sampling(axis.scale / factor, unit)
    return None


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
