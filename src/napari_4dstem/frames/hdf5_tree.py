"""What is in an HDF5 file: its data sets, and the small facts that it states.

`look_around` walks through a file and those that its links lead to; `located` follows
one name to the object that it means. HDF5 itself follows no link of ours: it would
look for linked files elsewhere, and some circles crash it.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from napari_4dstem.errors import FormatError
from napari_4dstem.frames import hdf5_heaps
from napari_4dstem.frames.hdf5_file import (
    H5_ERRORS,
    linked_file,
    opened,
    unreadable,
)
from napari_4dstem.frames.hdf5_values import (
    attributes_of,
    pixel_type,
    small_value,
    times,
)
from napari_4dstem.frames.refusals import DAMAGED

# A look around takes no longer: a file may have 100 000 groups.
MAX_SECONDS = 3.0
# Groups in groups, links after links, files linked from linked files.
MAX_DEPTH, MAX_LINKS, MAX_FILES = 32, 32, 4
# Facts of a file that are kept.
MAX_FACTS = 500
# So many members of a group are looked at before those of other groups.
MANY = 256
# A copy of another file's header, of any length.
LAST = "original_metadata"


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
        shape = times(self.shape) or "one number"
        return f"{self.name!r} ({shape}, {self.pixel.newbyteorder('=')})"


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
        What is damaged, and links into files that do not exist or are damaged: its
        name -> the name, or that of the file, and the error that it gives.
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
    _Look(contents).into(path, "/", "", 0)
    contents.found.sort(key=lambda found: found.name.split("/"))
    return contents


class Member(NamedTuple):
    """Something in a group that is still to be looked at."""

    group: Any
    key: str
    name: str  # in the file that is looked at


class _Look:
    """A walk through files: each object once, groups before what is in them."""

    def __init__(self, contents: Contents) -> None:
        self.contents = contents
        self.deadline = time.monotonic() + MAX_SECONDS
        self.seen: set[tuple[str, int]] = set()

    def into(self, path: Path, start: str, name: str, depth: int) -> None:
        """Look at an object that no link leads away from, and all that is in it."""
        with opened(path) as file:
            real = os.path.realpath(path)
            # Most members of groups that have very many wait: they are no scans.
            now, later = deque([Member(file, start, name)]), deque[Member]()
            while now or later:
                if time.monotonic() > self.deadline:
                    self.contents.is_complete = False
                    return
                member = (now or later).popleft()
                thing = self._opened(path, member, depth)
                if thing is None or not self._is_new(real, thing):
                    continue
                if hasattr(thing, "shape"):
                    self._keep(member.name, path, thing)
                attributes = attributes_of(thing)
                if not depth and len(self.contents.facts) < MAX_FACTS:
                    self._note(member.name, thing, attributes)
                if hasattr(thing, "keys") and member.name.count("/") < MAX_DEPTH:
                    self.contents.groups[member.name] = attributes
                    for i, inside in enumerate(_members(thing, member.name)):
                        wait = i >= MANY or inside.key == LAST
                        (later if wait else now).append(inside)

    def _opened(self, path: Path, member: Member, depth: int) -> Any | None:
        """Return a member of a group; None if it is elsewhere."""
        import h5py

        group, key, name = member
        try:
            link = None if key == "/" else group.get(key, getlink=True)
            if isinstance(link, h5py.ExternalLink):
                self._follow(path, name, link, depth)
            elif not isinstance(link, h5py.SoftLink):
                return hdf5_heaps.member(group, key)
            # A soft link leads to what has another name as well.
        except H5_ERRORS as error:  # damaged: there may be others
            self.contents.lost[name] = name, unreadable(path, error)
        return None

    def _follow(self, path: Path, name: str, link: Any, depth: int) -> None:
        try:
            where, inner, _ = located(*linked(path, link))
            if depth < MAX_FILES:
                self.into(where, inner, name, depth + 1)
        except NoSuchObjectError:
            pass
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

    def _note(self, name: str, thing: Any, attributes: dict[str, Any]) -> None:
        facts = self.contents.facts
        if hasattr(thing, "shape"):
            value = small_value(thing)
            if value is not None:
                facts[name] = value
        for key, value in attributes.items():
            facts[f"{name}/{key}" if name else key] = value


def _members(group: Any, name: str) -> Iterator[Member]:
    prefix = f"{name}/" if name else ""
    for key in group:
        # A name that is no text cannot be told to us; "#": what MATLAB hides.
        if isinstance(key, str) and not key.startswith("#"):
            yield Member(group, key, prefix + key)


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
            path, inner = linked(path, link)
            name = f"{inner}/{rest}"
        elif link.path.startswith("/"):
            name = f"{link.path}/{rest}"
        else:
            name = f"{before}/{link.path}/{rest}"
    raise FormatError(
        path, f"the links at {name[:80].strip('/')!r} lead in a circle", hint=DAMAGED
    )


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
            thing = hdf5_heaps.member(thing, part)
        if hasattr(thing, "keys"):
            return "group"
        if thing is not None:
            return "data set" if hasattr(thing, "shape") else "data type"
    raise NoSuchObjectError


def linked(path: Path, link: Any) -> tuple[Path, str]:
    """Return the file and the name that an external link in ``path`` means.

    Raises
    ------
    FormatError
        If there is no such file.
    """
    target = linked_file(path, link.filename)
    if target is None:
        raise missing_file(path, link.filename)
    return target, str(link.path)


def missing_file(path: Path, linked: str) -> FormatError:
    """Return the error for a link to a file that does not exist."""
    return FormatError(
        path,
        f"the linked file {linked} is missing",
        expected=f"it in the folder {path.parent}",
        hint="Copy it there: this file only says where the data are.",
    )
