"""What is in an HDF5 file: its data sets, and the small facts that it states."""

from __future__ import annotations

import os
import time
from collections import deque
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from napari_4dstem.errors import FormatError
from napari_4dstem.frames.hdf5_file import H5_ERRORS, linked_file, opened

# A look around takes no longer: a file may have 100 000 groups.
MAX_SECONDS = 3.0
# Groups in groups, links after links, files linked from linked files.
MAX_DEPTH, MAX_LINKS, MAX_FILES = 32, 32, 4
# Facts of a file that are kept, numbers in one fact, letters in one text.
MAX_FACTS, MAX_NUMBERS, MAX_LETTERS = 500, 16, 1000
# No axis has more pixels in a chunk.
MAX_VECTOR = 2**20
# So many members of a group are looked at before those of other groups.
MANY = 256
COMPLEX_NAMES = (("r", "i"), ("real", "imag"), ("re", "im"))


class NoSuchObjectError(Exception):
    """The file has no object of this name."""


@dataclass(frozen=True)
class Found:
    """A data set of numbers.

    Attributes
    ----------
    name : str
        In the file that was looked at, without a slash in front.
    path, inner : Path, str
        The file that it is really in, and its name there.
    shape : tuple of int
    pixel : dtype
    """

    name: str
    path: Path
    inner: str
    shape: tuple[int, ...]
    pixel: np.dtype[Any]

    def __str__(self) -> str:
        sides = " x ".join(map(str, self.shape)) or "one number"
        return f"{self.name!r} ({sides}, {self.pixel.newbyteorder('=')})"


@dataclass
class Contents:
    """What a look around found.

    Attributes
    ----------
    found : list of Found
        By name; what has several, once.
    groups : dict
        Attributes of the groups, by name.
    lost : dict
        Links into files that do not exist or are damaged: name of the link -> name of
        the file, and the error that it gives.
    facts : dict
        Small attributes and data sets of the file itself, by name.
    is_complete : bool
        Whether there was time for everything.
    """

    found: list[Found] = field(default_factory=list)
    groups: dict[str, dict[str, Any]] = field(default_factory=dict)
    lost: dict[str, tuple[str, FormatError]] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    is_complete: bool = True


def look_around(path: Path) -> Contents:
    """Look through a whole file, and through its links into others."""
    contents = Contents()
    _Look(contents).into(path)
    contents.found.sort(key=lambda found: found.name.split("/"))
    return contents


# The group, the name in there, the name in the file that is looked at.
Member = tuple[Any, str, str]


class _Look:
    """A walk through files: each object once, groups before what is in them."""

    def __init__(self, contents: Contents) -> None:
        self.contents = contents
        self.deadline = time.monotonic() + MAX_SECONDS
        self.seen: set[tuple[str, int]] = set()

    def into(
        self, path: Path, start: str = "/", name: str = "", depth: int = 0
    ) -> None:
        with opened(path) as file:
            real = os.path.realpath(path)
            # Most members of groups that have very many wait: they are no scans.
            now, later = deque[Member]([(None, start, name)]), deque[Member]()
            while now or later:
                if time.monotonic() > self.deadline:
                    self.contents.is_complete = False
                    return
                group, key, name = (now or later).popleft()
                if group is None:
                    thing = file[start]
                else:
                    thing = self._member(path, group, key, name, depth)
                if thing is None or not self._is_new(real, thing):
                    continue
                if hasattr(thing, "shape"):
                    self._keep(name, path, thing)
                if not depth and len(self.contents.facts) < MAX_FACTS:
                    self._note(name, thing)
                if hasattr(thing, "keys") and name.count("/") < MAX_DEPTH:
                    self.contents.groups[name] = attributes_of(thing)
                    prefix = f"{name}/" if name else ""
                    inside = [
                        (thing, key, prefix + key)
                        for key in thing
                        if not key.startswith("#")  # what MATLAB hides
                    ]
                    now += inside[:MANY]
                    later += inside[MANY:]

    def _member(
        self, path: Path, group: Any, key: str, name: str, depth: int
    ) -> Any | None:
        """Return a member of a group; None if it is elsewhere."""
        import h5py

        try:
            link = group.get(key, getlink=True)
            if isinstance(link, h5py.HardLink):
                return group[key]
            if isinstance(link, h5py.ExternalLink):
                self._follow(path, name, link, depth)
            # A soft link leads to what has another name as well.
        except H5_ERRORS:  # damaged: there may be others
            pass
        return None

    def _follow(self, path: Path, name: str, link: Any, depth: int) -> None:
        target = linked_file(path, link.filename)
        try:
            if target is None:
                raise missing_file(path, link.filename)
            if depth < MAX_FILES:
                self.into(target, link.path, name, depth + 1)
        except FormatError as error:
            self.contents.lost[name] = link.filename, error

    def _is_new(self, real: str, thing: Any) -> bool:
        import h5py

        identity = real, int(h5py.h5o.get_info(thing.id).addr)
        if identity in self.seen:
            return False
        self.seen.add(identity)
        return True

    def _keep(self, name: str, path: Path, dataset: Any) -> None:
        pixel = pixel_type(dataset)
        shape: tuple[int, ...] = tuple(map(int, dataset.id.shape or ()))
        if pixel is not None and prod(shape) > 0:
            found = Found(name, path, str(dataset.name), shape, pixel)
            self.contents.found.append(found)

    def _note(self, name: str, thing: Any) -> None:
        facts = self.contents.facts
        if hasattr(thing, "shape"):
            value = small_value(thing)
            if value is not None:
                facts[name] = value
        for key, value in attributes_of(thing).items():
            facts[f"{name}/{key}" if name else key] = value


def located(path: Path, name: str) -> tuple[Path, str, str]:
    """Follow all links to an object.

    Returns
    -------
    path : Path
        The file that it is in.
    name : str
        In this file, with a slash in front.
    kind : str
        "data set", "group" or "data type".

    Raises
    ------
    NoSuchObjectError
    FormatError
        If a link leads to a file that does not exist, or in a circle.
    """
    import h5py

    for _ in range(MAX_LINKS):
        parts = [part for part in name.split("/") if part not in ("", ".")]
        found = _as_far_as_a_link(path, parts)
        if isinstance(found, str):
            return path, "/" + "/".join(parts), found
        link, before, rest = found
        if isinstance(link, h5py.ExternalLink):
            target = linked_file(path, link.filename)
            if target is None:
                raise missing_file(path, link.filename)
            path, name = target, f"{link.path}/{rest}"
        elif link.path.startswith("/"):
            name = f"{link.path}/{rest}"
        else:
            name = f"{before}/{link.path}/{rest}"
    raise FormatError(path, f"the links at {name[:80]!r} lead in a circle")


def _as_far_as_a_link(path: Path, parts: list[str]) -> str | tuple[Any, str, str]:
    """Return the kind of an object, or a link on the way with what is around it."""
    import h5py

    with opened(path) as file:
        thing = file["/"]
        for i, part in enumerate(parts):
            link = thing.get(part, getlink=True) if hasattr(thing, "keys") else None
            if link is None:
                thing = None
                break
            if not isinstance(link, h5py.HardLink):
                return link, "/".join(parts[:i]), "/".join(parts[i + 1 :])
            thing = thing[part]
        if hasattr(thing, "keys"):
            return "group"
        if thing is not None:
            return "data set" if hasattr(thing, "shape") else "data type"
    raise NoSuchObjectError


def missing_file(path: Path, linked: str) -> FormatError:
    """Return the error for a link to a file that does not exist."""
    return FormatError(
        path,
        f"the linked file {linked} is missing",
        expected=f"it in the folder {path.parent}",
        hint="Copy it there: this file only says where the data are.",
    )


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


def attributes_of(thing: Any) -> dict[str, Any]:
    """Return the small attributes of a group or data set, as plain values."""
    attributes = {}
    try:
        for name in thing.attrs:
            value = _plain(thing.attrs.get_id(name), thing.attrs, name)
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
        values = plain(dataset[:2] if dataset.shape else dataset[()])
    except (*H5_ERRORS, TypeError, AttributeError):
        return []
    return values if isinstance(values, list) else [values]


def small_value(dataset: Any) -> Any:
    """Return what is in a small data set as a plain value, None if it is not small."""
    return _plain(dataset.id, dataset, ())


def _plain(facts: Any, container: Any, key: Any) -> Any:
    try:
        if facts.shape is None or prod(facts.shape) > MAX_NUMBERS:
            return None
        if facts.dtype.itemsize > MAX_LETTERS or facts.dtype.kind not in "biufcSUO":
            return None
        return plain(container[key])
    except (*H5_ERRORS, TypeError):
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
