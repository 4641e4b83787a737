"""Sampling and units of axes."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_4dstem.axes import (
    Calibration,
    Sampling,
    as_unit,
    electron_wavelength_nm,
    sampling,
)


@pytest.mark.parametrize(
    ("scale", "unit", "expected"),
    [
        (0.5, "nm", (0.5, "nm")),
        (2e-10, "m", (0.2, "nm")),
        (2, "Å", (0.2, "nm")),
        (2, "A", (0.2, "nm")),
        (2, "angstrom", (0.2, "nm")),
        (50, "pm", (0.05, "nm")),
        (0.1, "µm", (100, "nm")),
        (0.1, "μm", (100, "nm")),
        (0.1, "um", (100, "nm")),
        (0.02, "1/nm", (0.02, "1/nm")),
        (0.02, "1/Å", (0.2, "1/nm")),
        (0.02, "A^-1", (0.2, "1/nm")),
        (0.02, "n_m^-1", (0.02, "1/nm")),
        (0.02, "$A^{-1}$", (0.2, "1/nm")),
        (0.02, "$nm^{-1}$", (0.02, "1/nm")),
        (2, "$U_{x}$", (2, "$U_{x}$")),
        (5e7, "1/m", (0.05, "1/nm")),
        (1e-3, "rad", (1, "mrad")),
        (0.5, "mrad", (0.5, "mrad")),
        (180, "deg", (1000 * math.pi, "mrad")),
        (-0.5, "nm", (0.5, "nm")),
        ("0.5", " [nm] ", (0.5, "nm")),
        (3, "V", (3, "V")),
        (3, "Channels", (3, "Channels")),
    ],
)
def test_sampling_comes_in_the_units_of_the_package(scale, unit, expected):
    found = sampling(scale, unit)
    assert found is not None
    assert found.scale == pytest.approx(expected[0])
    assert found.unit == expected[1]


@pytest.mark.parametrize(
    ("scale", "unit"),
    [
        (0, "nm"),
        (math.nan, "nm"),
        (math.inf, "nm"),
        (-math.inf, "nm"),
        (None, "nm"),
        ("one", "nm"),
        ([1, 2], "nm"),
        (1, ""),
        (1, "  "),
        (1, "[]"),
        (1, "\0\x1b"),
        (1e307, "m"),  # more nanometers than a number can tell
        (5e-324, "urad"),
        (10**400, "nm"),
    ],
)
def test_sampling_that_says_nothing_is_none(scale, unit):
    assert sampling(scale, unit) is None


def test_signs_that_cannot_be_printed_are_left_out_of_a_unit():
    assert sampling(2, "n\0m\x1b") == Sampling(2.0, "nm")


@given(st.floats(), st.text(max_size=5))
def test_sampling_is_none_or_above_zero(scale, unit):
    found = sampling(scale, unit)
    assert found is None or (found.scale > 0 and math.isfinite(found.scale))


NM, MRAD = Sampling(0.1, "nm"), Sampling(1.0, "mrad")


@pytest.mark.parametrize(
    ("axes", "ndim", "fitted"),
    [
        ((NM, MRAD), 2, (NM, MRAD)),
        ((NM, MRAD), 1, (MRAD,)),
        ((NM, MRAD), 3, (None, NM, MRAD)),
        ((), 2, (None, None)),
        ((NM,), 0, ()),
        ((None, NM), 2, (None, NM)),
    ],
)
def test_calibration_keeps_the_fast_axes_when_it_is_fitted(axes, ndim, fitted):
    assert Calibration(nav=axes).fitted(ndim, 0).nav == fitted
    assert Calibration(sig=axes).fitted(0, ndim).sig == fitted


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("1/pm", (2000, "1/nm")),
        ("pm^-1", (2000, "1/nm")),
        ("\\AA", (0.2, "nm")),
        ("1/\\AA", (20, "1/nm")),
        ("µm-1", (0.002, "1/nm")),
        ("micron", (2000, "nm")),
    ],
)
def test_units_in_any_spelling(unit, expected):
    found = sampling(2, unit)
    assert found.unit == expected[1]
    assert found.scale == pytest.approx(expected[0])


@pytest.mark.parametrize(
    ("kv", "pm"), [(60, 4.8661), (80, 4.1757), (200, 2.5079), (300, 1.9687)]
)  # fmt: skip
def test_wavelength_is_that_of_the_tables(kv: float, pm: float) -> None:
    # Reimer and Kohl, "Transmission Electron Microscopy", and de Graef's tables
    assert electron_wavelength_nm(kv) * 1e3 == pytest.approx(pm, abs=2e-4)


def test_angle_over_wavelength_is_the_spatial_frequency() -> None:
    found = as_unit(Sampling(2.5079, "mrad"), "1/nm", 200)
    assert found is not None
    assert found.unit == "1/nm"
    assert found.scale == pytest.approx(1, abs=1e-4)
    back = as_unit(found, "mrad", 200)
    assert back is not None
    assert back.scale == pytest.approx(2.5079)


def test_units_that_have_no_conversion_give_none() -> None:
    assert as_unit(Sampling(1, "mrad"), "1/nm", None) is None
    assert as_unit(Sampling(1, "nm"), "1/nm", 200) is None
    assert as_unit(Sampling(1, "mrad"), "mrad", None) == Sampling(1, "mrad")
