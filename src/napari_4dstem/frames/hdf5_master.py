"""Masters of Dectris detectors (ARINA, QUADRO, EIGER), with the files of their frames.

``scan_master.h5`` holds links to ``scan_data_000001.h5`` and so on, each with some of
the frames, and what the detector says; ``scan.h5`` of an ARINA has what the microscope
says.

Source: the NeXus definition NXmx; files of a Dectris ARINA.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import isqrt, prod
from pathlib import Path
from typing import Any

from napari_4dstem.axes import Calibration
from napari_4dstem.corrections import Corrections
from napari_4dstem.errors import FormatError
from napari_4dstem.frames.hdf5 import Hdf5Frames, Part
from napari_4dstem.frames.hdf5_facts import fact, metadata_of
from napari_4dstem.frames.hdf5_file import opened
from napari_4dstem.frames.hdf5_layouts import step
from napari_4dstem.frames.hdf5_tree import (
    Contents,
    NoSuchObjectError,
    located,
    look_around,
)
from napari_4dstem.frames.hdf5_values import number_of
from napari_4dstem.frames.hdf5_virtual import data_set
from napari_4dstem.frames.layout import Gap

# Links in a master, the files that they lead to, the file that they are in.
PART = re.compile(r"(.+)/data_\d+")
PART_FILE = re.compile(r"(.+)_data_\d+(\.\w+)")
MASTER_FILE = re.compile(r"(.+)_master(\.\w+)")
SCAN_FACTS = "STEM Metadata"
ELECTRON_DETECTORS = ("ARINA", "ELA", "QUADRO", "SINGLA")
MAX_MASK_PIXELS = 2**26
# More frames than this are not missing: the number in the header is wrong.
MAX_MISSING = 2**24


@dataclass(frozen=True)
class Master:
    """All parts, one after the other, and what is known of them.

    Attributes
    ----------
    frames : Hdf5Frames
    nav_shape : tuple of int
    nav_notice : str
        How the scan shape was guessed.
    calibration : Calibration
    metadata : dict
    corrections : Corrections, optional
        The pixels that are not to be used.
    companions, missing : tuple of Path, of str
        The file with what the microscope says; parts that are missing or damaged.
    """

    frames: Hdf5Frames
    nav_shape: tuple[int, ...]
    nav_notice: str
    calibration: Calibration
    metadata: dict[str, Any]
    corrections: Corrections | None
    companions: tuple[Path, ...]
    missing: tuple[str, ...]


def master_groups(contents: Contents) -> dict[str, list[str]]:
    """Return the groups with links to parts, and the names of these in order."""
    groups: dict[str, list[str]] = {}
    outside = set(contents.lost)
    outside |= {one.name for one in contents.found if f"/{one.name}" != one.inner}
    for name in sorted(outside, key=lambda name: (len(name), name)):
        part = PART.fullmatch(name)
        if part:
            groups.setdefault(part[1], []).append(name)
    return groups


def master_of(path: Path, contents: Contents) -> Path | None:
    """Return the master that a file with a part of the frames belongs to."""
    part = PART_FILE.fullmatch(path.name)
    if part:
        master = path.with_name(f"{part[1]}_master{part[2]}")
    elif SCAN_FACTS in contents.groups and not contents.found:
        master = path.with_name(f"{path.stem}_master{path.suffix}")
    else:
        return None
    try:
        files = {found.path for found in look_around(master).found}
    except FormatError:
        return None
    return master if path in files or not part else None


def read_master(path: Path, contents: Contents, group: str, sig_dims: int) -> Master:
    """Look at all parts of a master.

    Parameters
    ----------
    path : Path
    contents : Contents
        What is in it.
    group : str
        The one with the links to the parts.
    sig_dims : int
        Number of axes of a frame.

    Raises
    ------
    FormatError
        If there is no part, or one has other frames than those before.
    """
    facts = contents.facts
    total = _declared(facts)
    frames, missing = _frames(path, group, total, sig_dims)
    count = frames.num_frames
    if count < total <= count + MAX_MISSING:  # it was interrupted
        count = total
    companions, scan = _companion(path)
    nav_shape, nav_notice = _scan_shape(scan, count)
    parts = list(frames.parts)
    while isinstance(parts[-1], Gap):
        parts.pop()
    scan_step = step(number_of(scan.get(f"{SCAN_FACTS}/Pixel Size")), "nm")
    metadata = metadata_of({**facts, **scan}, group)
    name = str(metadata.get("instrument", ""))
    energy = number_of(fact(facts, "photon_energy"))
    if energy and any(known in name.upper() for known in ELECTRON_DETECTORS):
        metadata.setdefault("beam_energy_kV", energy / 1000)
    return Master(
        replace(frames, parts=tuple(parts)),
        nav_shape,
        nav_notice,
        Calibration((scan_step,) * len(nav_shape)),
        metadata,
        _pixel_mask(contents, frames.frame_shape),
        companions,
        missing,
    )


def _declared(facts: Mapping[str, Any]) -> int:
    """Return the number of frames that were to be recorded; 0 if it is not known."""
    names = ("detectorSpecific/nimages", "detectorSpecific/ntrigger")
    declared = prod(number_of(fact(facts, name)) or 0 for name in names)
    return int(min(declared, 2.0**62))


def _frames(
    path: Path, group: str, total: int, sig_dims: int
) -> tuple[Hdf5Frames, tuple[str, ...]]:
    """Return the frames of all parts, and the files of parts that are lost."""
    found: dict[str, Hdf5Frames] = {}
    lost: dict[str, FormatError] = {}
    links = _links(path, group)
    for name, file in links.items():
        try:
            where, inner, _ = located(path, name)
            found[name] = data_set(where, inner, sig_dims).frames
        except FormatError as error:
            lost[file] = error
        except NoSuchObjectError:
            lost[file] = FormatError(
                path, f"there is no data set where {name!r} leads, in {file}"
            )
    if not found:
        raise next(iter(lost.values()))
    first = next(iter(found.values()))
    size = max(frames.num_frames for frames in found.values())
    parts: list[Part | Gap] = []
    for name in links:
        if name in found:
            _check_fit(path, name, found[name], first)
            parts += found[name].parts
            continue
        # All have the same number of frames, only the last one may have fewer.
        left = total - sum(part.count for part in parts)
        count = min(size, left) if name == list(links)[-1] else size
        parts += [Gap(count)] * (count > 0)
    return replace(first, parts=tuple(parts)), tuple(lost)


def _links(path: Path, group: str) -> dict[str, str]:
    """Return names of the links to parts, in order, and the files that they name."""
    where, inner, _ = located(path, group)
    links = {}
    with opened(where) as file:
        for key in file[inner]:
            name, link = f"{group}/{key}", file[inner].get(key, getlink=True)
            if PART.fullmatch(name):
                links[name] = str(getattr(link, "filename", where.name))
    return dict(sorted(links.items(), key=lambda item: (len(item[0]), item[0])))


def _check_fit(path: Path, name: str, part: Hdf5Frames, first: Hdf5Frames) -> None:
    if (part.frame_shape, part.pixel) != (first.frame_shape, first.pixel):
        raise FormatError(
            path,
            f"{name!r} does not fit the parts before it",
            expected=f"frames of {first.told}",
            found=part.told,
            hint="Open one part with ds_path.",
        )


def _companion(path: Path) -> tuple[tuple[Path, ...], dict[str, Any]]:
    """Return the file beside a master with facts about the scan, and the facts."""
    name = MASTER_FILE.fullmatch(path.name)
    if name:
        companion = path.with_name(name[1] + name[2])
        try:
            contents = look_around(companion)
        except FormatError:
            return (), {}
        if SCAN_FACTS in contents.groups:
            return (companion,), contents.facts
    return (), {}


def _scan_shape(scan: Mapping[str, Any], count: int) -> tuple[tuple[int, ...], str]:
    y, x = (number_of(scan.get(f"{SCAN_FACTS}/NumPixels{axis}")) for axis in "YX")
    if y and x and y >= 1 and x >= 1 and y * x <= count + MAX_MISSING:
        shape = int(y), int(x)
        after = count - prod(shape)
        return shape, f"{after} frames after the scan are ignored." * (after > 0)
    side = isqrt(count)
    if side**2 == count and side > 1:
        guess = f"guessed a square: {side} x {side}."
        return (side, side), f"The scan shape is not in the file; {guess}"
    guess = f"The scan shape is not in the file: one line of {count} frames."
    return (count,), guess * (count > 1)


def _pixel_mask(contents: Contents, sig_shape: tuple[int, ...]) -> Corrections | None:
    """Return the pixels that are not to be used: they have the largest value."""
    for found in contents.found:
        leaf = found.name.rpartition("/")[2]
        fits = found.shape == sig_shape and prod(sig_shape) <= MAX_MASK_PIXELS
        if leaf == "pixel_mask" and fits:
            try:
                with opened(found.path) as file:
                    excluded = file[found.inner][...] != 0
            except FormatError:
                continue
            if excluded.any() and not excluded.all():
                return Corrections(excluded=excluded)
    return None
