"""Checks of what a user may ask for."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping
from inspect import Parameter
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from napari_4dstem.axes import Sampling, sampling
from napari_4dstem.errors import MissingParameterError, ParameterError
from napari_4dstem.formats._format import Format
from napari_4dstem.frames.scan import ScanGeometry

# Accepted by load for every format.
COMMON_PARAMETERS = (
    "name",
    "nav_shape",
    "sig_shape",
    "sync_offset",
    "flyback",
    "corrections",
    "io_backend",
)
# A scan may have more positions than frames (an interrupted one), but a header or a
# typing error must not make us allocate maps that the file does not warrant.
MAX_BLANK_POSITIONS = 2**24


def sorted_parameters(
    format_: Format, path: Path | None, parameters: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the common parameters and the format's own, checked as far as possible."""
    accepted = format_.parameters
    unknown = [
        p for p in parameters if p not in accepted and p not in COMMON_PARAMETERS
    ]
    if unknown:
        raise ParameterError(
            path,
            unknown[0],
            f"unknown parameter of {format_.name}",
            expected=", ".join((*COMMON_PARAMETERS, *accepted)),
            found=", ".join(map(repr, unknown)),
        )
    given = {name: value for name, value in parameters.items() if value is not None}
    for shape in ("nav_shape", "sig_shape"):
        if shape in given:
            given[shape] = checked_shape(path, shape, given[shape])
    for number in ("sync_offset", "flyback"):
        if number in given:
            given[number] = checked_int(path, number, given[number])
    own = {name: given[name] for name in accepted if name in given}
    for name, parameter in accepted.items():
        if name in parameters and _may_be_none(parameter):
            own.setdefault(name, None)
        if parameter.annotation in (int, int | None) and own.get(name) is not None:
            own[name] = checked_int(path, name, own[name])
        choices = _choices(parameter)
        if choices and own.get(name) is not None and own[name] not in choices:
            raise ParameterError(
                path,
                name,
                f"{name} has an impossible value",
                expected=" or ".join(map(repr, choices)),
                found=repr(own[name]),
            )
        if parameter.default is Parameter.empty and own.get(name) is None:
            raise MissingParameterError(
                path,
                name,
                f"{name} must be given for {format_.name} data",
                hint=f"The file does not tell it: load({format_.name!r}, ...,"
                f" {name}=...).",
            )
    return given, own


def _may_be_none(parameter: Parameter) -> bool:
    return type(None) in get_args(parameter.annotation)


def _choices(parameter: Parameter) -> tuple[Any, ...]:
    """Return the values that a Literal in an annotation allows."""
    kinds = (parameter.annotation, *get_args(parameter.annotation))
    return tuple(
        value
        for kind in kinds
        if get_origin(kind) is Literal
        for value in get_args(kind)
    )


def checked_shape(path: Path | None, name: str, shape: Any) -> tuple[int, ...]:
    """Return a shape as a tuple of int."""
    try:
        values = tuple(operator.index(n) for n in shape)
    except TypeError:
        values = ()
    if not values or min(values) < 1:
        raise ParameterError(
            path,
            name,
            f"{name} is not a shape",
            expected="whole numbers above 0, such as (256, 256)",
            found=repr(shape),
        )
    return values


def checked_int(path: Path | None, name: str, value: Any) -> int:
    """Return a whole number, of whatever type it came."""
    try:
        return operator.index(value)
    except TypeError as error:
        raise ParameterError(
            path, name, f"{name} is not a whole number", found=repr(value)
        ) from error


def checked_axes(
    path: Path | None,
    name: str,
    axes: Iterable[tuple[float, str] | None],
    shape: tuple[int, ...],
) -> tuple[Sampling | None, ...]:
    """Return the calibration of each axis of a shape."""
    given = tuple(axis if axis is None else sampling(*axis) for axis in axes)
    if len(given) != len(shape):
        raise ParameterError(
            path,
            name,
            "the calibration does not fit the axes",
            expected=f"{len(shape)} entries (scale, unit), one an axis",
            found=len(given),
        )
    return given


def check_geometry(path: Path | None, geometry: ScanGeometry, count: int) -> None:
    """Raise ParameterError if stored frames cannot be folded so."""
    if not -count < geometry.sync_offset < count:
        raise ParameterError(
            path,
            "sync_offset",
            f"sync_offset must lie between -{count} and {count} (exclusive), the"
            " number of stored frames",
            found=geometry.sync_offset,
        )
    if geometry.flyback < 0:
        raise ParameterError(
            path, "flyback", "flyback is negative", found=geometry.flyback
        )
    if geometry.num_positions > count + MAX_BLANK_POSITIONS:
        raise ParameterError(
            path,
            "nav_shape",
            f"the scan of {times(geometry.nav_shape)} is far larger than the data",
            expected=f"about {count} positions, as many as there are frames",
            found=f"{geometry.num_positions} positions",
            hint="Give the true nav_shape.",
        )


def times(shape: Iterable[int]) -> str:
    """Return a shape for people."""
    return " x ".join(map(str, shape))
