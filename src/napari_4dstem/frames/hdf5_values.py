"""Small things in HDF5 files as plain values: attributes, numbers, types, shapes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache, partial
from math import prod
from typing import Any

import numpy as np

from napari_4dstem.frames.hdf5_file import H5_ERRORS
from napari_4dstem.frames.hdf5_heaps import attributes_are_sound, values_are_sound

# Numbers in one fact, letters in one text.
MAX_NUMBERS, MAX_LETTERS = 16, 1000
# No axis has more pixels in a chunk.
MAX_VECTOR = 2**20
COMPLEX_NAMES = (("r", "i"), ("real", "imag"), ("re", "im"))


def times(shape: Iterable[int]) -> str:
    """Return a shape for people."""
    return " x ".join(map(str, shape))


def pixel_type(dataset: Any) -> np.dtype[Any] | None:
    """Return the type of the numbers in a data set, None if they are none."""
    try:
        kind: np.dtype[Any] = dataset.id.dtype
    except (TypeError, ValueError, RuntimeError):  # none that numpy knows
        return None
    if kind.kind in "biufc":
        return np.dtype(kind.str)  # without what h5py notes in it
    fields = kind.fields
    if fields and tuple(map(str.lower, fields)) in COMPLEX_NAMES:
        (real, first), (imaginary, second) = (f[:2] for f in fields.values())
        size = real.itemsize
        floats = real == imaginary and real.kind == "f" and size in (4, 8)
        if floats and (first, second, kind.itemsize) == (0, size, 2 * size):
            return np.dtype(f"{real.byteorder}c{2 * size}")
    return None


def told_type(dataset: Any) -> str:
    """Return the type of what is in a data set, in words."""
    import h5py

    try:
        kind = dataset.dtype
    except (TypeError, ValueError, RuntimeError):
        return "values of a type that numpy does not know"
    if kind.fields:
        return f"a table with the columns {', '.join(kind.fields)}"
    if h5py.check_ref_dtype(kind):
        return "references to other objects"
    if h5py.check_vlen_dtype(kind):
        return "lists of any length"
    if kind.kind in "SU" or h5py.check_string_dtype(kind):
        return "text"
    return str(kind)


def attributes_of(thing: Any) -> dict[str, Any]:
    """Return the small attributes of a group or data set, as plain values."""
    attributes = {}
    sound = cache(partial(attributes_are_sound, thing))
    try:
        for name in thing.attrs:
            value = _plain(thing.attrs.get_id(name), thing.attrs, name, sound)
            if value is not None:
                attributes[str(name)] = value
    except H5_ERRORS:  # damaged
        pass
    return attributes


def first_values(thing: Any, name: str = "") -> list[Any]:
    """Return the first two values of a small data set, or of one in a group.

    Nothing if there is none.
    """
    try:
        dataset = thing[name] if name else thing
        if len(dataset.shape) > 1 or (dataset.chunks or (0,))[0] > MAX_VECTOR:
            return []
        if dataset.dtype.kind == "O" and not values_are_sound(dataset):
            return []
        values = plain(dataset[:2] if dataset.shape else dataset[()])
    except (*H5_ERRORS, AttributeError):
        return []
    return values if isinstance(values, list) else [values]


def small_value(dataset: Any) -> Any:
    """Return what is in a small data set as a plain value, None if it is not small."""
    return _plain(dataset.id, dataset, (), partial(values_are_sound, dataset))


def _plain(
    facts: Any, container: Any, key: Any, texts_are_sound: Callable[[], bool]
) -> Any:
    try:
        if facts.shape is None or prod(facts.shape) > MAX_NUMBERS:
            return None
        if facts.dtype.itemsize > MAX_LETTERS or facts.dtype.kind not in "biufcSUO":
            return None
        if facts.dtype.kind == "O" and not texts_are_sound():
            return None
        return plain(container[key])
    except H5_ERRORS:
        return None


def plain(value: Any) -> Any:
    """Return a value of h5py as Python knows it; None if it cannot be kept so."""
    if isinstance(value, (np.ndarray, np.generic)):
        value = value.tolist()
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, str):
        return value[:MAX_LETTERS]
    return value if isinstance(value, (bool, int, float, complex)) else None


def number_of(value: Any) -> float | None:
    """Return the first number of a plain value, None if there is none."""
    while isinstance(value, list) and value:
        value = value[0]
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if is_number and abs(value) < 1e300 else None
