"""Acquisitions of a Merlin: the MIB files of one series, and their ``.hdr`` file.

Source: the files of real acquisitions; MerlinEM user manual.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from napari_4dstem.errors import FormatError
from napari_4dstem.frames.mib_header import (
    MARK,
    MAX_HEADER,
    Header,
    pixel_nbytes,
    read_header,
)
from napari_4dstem.frames.records import beside, read_head
from napari_4dstem.frames.refusals import not_a

# Numbers missing in a series for more frames than this, beyond those there are,
# mean another acquisition, not lost files.
MAX_GAP = 10_000


@dataclass(frozen=True)
class Member:
    """A file of a series.

    Attributes
    ----------
    path : Path
    size : int
        Bytes of the file.
    header : Header
        That of its first frame.
    stride : int
        Bytes from one frame to the next.
    """

    path: Path
    size: int
    header: Header
    stride: int

    @property
    def count(self) -> int:
        """Number of complete frames."""
        return self.size // self.stride

    @property
    def is_unfinished(self) -> bool:
        """Whether a part of a frame follows the last complete one."""
        return self.size % self.stride > 0

    @property
    def end(self) -> int:
        """Sequence number one past the last complete frame."""
        return self.header.sequence + self.count


def find_files(path: Path, disable_glob: bool) -> tuple[Path, dict[Path, int]]:
    """Return the file to begin with, and those named like a series with their number.

    From ``scan.hdr`` a series is ``scan<digits or nothing>.mib``, from ``scan7.mib``
    it is ``scan<digits>.mib``.

    Parameters
    ----------
    path : Path
        A ``.mib`` file or the ``.hdr`` file.
    disable_glob : bool
        Whether to look for no others.

    Raises
    ------
    FormatError
        If the file cannot be read, is an ``.hdr`` file of something else, or one
        without any ``.mib`` file.
    """
    head = read_head(path)
    if MARK.match(head) or path.suffix.lower() != ".hdr":
        prefix = re.sub(r"\d+$", "", path.stem)
        return path, ({} if disable_glob else _named(path.parent, prefix, r"\d+"))
    if not is_hdr(head):
        raise not_a(path, head, "the .hdr file of a Merlin")
    names = _named(path.parent, path.stem, r"\d*")
    if not names:
        raise FormatError(
            path,
            "no .mib file belongs to this .hdr",
            expected=f"{path.stem}.mib or {path.stem}1.mib beside it",
            hint="Copy the .mib files into the same folder.",
        )
    # the plain name first, else the lowest number
    opened = min(names, key=lambda name: (names[name], name.name))
    return opened, ({} if disable_glob else names)


def _named(folder: Path, prefix: str, digits: str) -> dict[Path, int]:
    pattern = re.compile(re.escape(prefix) + rf"({digits})\.mib", re.IGNORECASE)
    with os.scandir(folder) as entries:
        matches = ((entry.name, pattern.fullmatch(entry.name)) for entry in entries)
        return {folder / name: int(m[1] or -1) for name, m in matches if m}


def read_member(path: Path) -> Member:
    """Read the first header of a file.

    Raises
    ------
    FormatError
        If it cannot be read, or its pixels are of an unknown kind.
    """
    header = read_header(path)
    stride = header.nbytes + pixel_nbytes(path, header)
    return Member(path, path.stat().st_size, header, stride)


def read_series(
    first: Member, names: Mapping[Path, int]
) -> tuple[list[Member], list[str], list[str]]:
    """Read which files are of the acquisition of ``first``.

    Parameters
    ----------
    first : Member
    names : mapping
        Files named like the series, with their number.

    Returns
    -------
    members : list of Member
        By sequence number.
    notices : list of str
        About files of other acquisitions.
    problems : list of str
        With files that may be of this one.
    """
    members, unreadable = [first], []
    for path in names:
        if path == first.path:
            continue
        try:
            members.append(read_member(path))
        except FormatError:
            unreadable.append(path)
    of_kind = [m for m in members if m.header.geometry == first.header.geometry]
    order = sorted(of_kind, key=lambda m: (m.header.sequence, m.path.name))
    if any(_overlap(a, b) for a, b in itertools.pairwise(order)):
        # Numbers begin again somewhere: several acquisitions have the same prefix,
        # each in one piece when sorted by name.
        by_name = sorted(of_kind, key=lambda m: names.get(m.path, -1))
        group = next(g for g in _acquisitions(by_name) if first in g)
        order = sorted(group, key=lambda m: m.header.sequence)
    order = _near(order, first)
    taken = {id(member) for member in order}
    left_out = [m.path for m in members if id(m) not in taken]
    notices, problems = [], []
    if left_out:
        notices.append(
            f"{len(left_out)} files with a similar name belong to another"
            f" acquisition and were left out: {_listed(left_out)}"
        )
    if unreadable:
        problems.append(
            f"{first.path.parent}: the name is of the series, but the header cannot be"
            f" read of {_listed(unreadable)}; frames in there are missing"
        )
    return order, notices, problems


def _listed(paths: list[Path]) -> str:
    names = sorted(path.name for path in paths)
    return ", ".join(names[:3]) + ", ..." * (len(names) > 3)


def _overlap(a: Member, b: Member) -> bool:
    return b.header.sequence < a.end


def _acquisitions(members: list[Member]) -> Iterator[list[Member]]:
    group: list[Member] = []
    for member in members:
        if group and _overlap(group[-1], member):
            yield group
            group = []
        group.append(member)
    yield group


def _near(order: list[Member], first: Member) -> list[Member]:
    """Cut a series where so many numbers are missing that no file can be lost."""
    limit = MAX_GAP + 10 * sum(member.count for member in order)
    at = order.index(first)
    begin, end = at, at + 1
    while begin and order[begin].header.sequence - order[begin - 1].end <= limit:
        begin -= 1
    while end < len(order) and order[end].header.sequence - order[end - 1].end <= limit:
        end += 1
    return order[begin:end]


def is_hdr(head: bytes) -> bool:
    """Return whether the first bytes of a file are those of an ``.hdr`` file."""
    return re.match(rb"(?:\xef\xbb\xbf)?HDR,?[ \t]*\r?\n", head) is not None


def find_hdr(path: Path, opened: Path) -> tuple[Path | None, dict[str, str]]:
    """Return the ``.hdr`` of the acquisition: the one opened, or beside the file.

    Parameters
    ----------
    path : Path
        What the user opened.
    opened : Path
        The ``.mib`` file to begin with.

    Returns
    -------
    path : Path or None
        None if there is no such file.
    values : dict
        What it says, by name, as text.

    Raises
    ------
    FormatError
        If the one that the user opened cannot be read, or the one beside it no more.
    """
    if path != opened:
        return path, _parse_hdr(path)
    prefix = re.sub(r"\d+$", "", opened.stem)
    for stem in dict.fromkeys((opened.stem, prefix, prefix.rstrip("_-"))):
        candidate = beside(opened, f"{stem}.hdr")
        if stem and candidate.is_file():
            try:
                is_ours = is_hdr(read_head(candidate))
            except FormatError:
                continue
            if is_ours:
                return candidate, _parse_hdr(candidate)
    return None, {}


def _parse_hdr(path: Path) -> dict[str, str]:
    """Read lines ``Name:<TAB>value``; the names end with remarks in brackets."""
    pairs = {}
    for line in read_head(path, MAX_HEADER).decode("utf-8", "replace").splitlines():
        name, tab, value = line.partition("\t")
        if tab and name.endswith(":"):
            pairs[name.rstrip(":").strip()] = value.strip()
    return pairs
