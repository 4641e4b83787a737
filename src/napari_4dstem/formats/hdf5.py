"""HDF5: plain files, and the layouts in them that microscopists meet.

EMD (Berkeley, Prismatic, py4DSTEM), HyperSpy, NeXus, Dectris masters with their parts,
MATLAB 7.3. Frames are the last axes of one data set; of a Dectris master, of all parts.

Source: https://emdatasets.com/format; files written by emdfile, Prismatic, HyperSpy and
a Dectris ARINA; NeXus definitions NXdata and NXmx; the documentation of HDF5 and h5py.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isqrt, prod
from pathlib import Path
from typing import Any

from napari_4dstem.axes import Calibration, Sampling, sampling
from napari_4dstem.corrections import Corrections
from napari_4dstem.errors import FormatError, ParameterError
from napari_4dstem.formats._format import Description, Format
from napari_4dstem.frames.hdf5 import Hdf5Frames
from napari_4dstem.frames.hdf5_file import has_signature, opened
from napari_4dstem.frames.hdf5_pieces import DataSet, Piece, data_set, frames_of
from napari_4dstem.frames.hdf5_tree import (
    Contents,
    Found,
    NoSuchObjectError,
    attributes_of,
    first_values,
    located,
    look_around,
    missing_file,
)
from napari_4dstem.frames.layout import Gap

VELOX = re.compile(r"Data/Image/[^/]+/Data")
HYPERSPY = re.compile(r"Experiments/[^/]+/data")
# Dectris: links in a master, the files that they lead to, the file that they are in
PART = re.compile(r"(.+)/data_\d+")
PART_FILE = re.compile(r"(.+)_data_\d+(\.\w+)")
MASTER_FILE = re.compile(r"(.+)_master(\.\w+)")
SCAN_FACTS = "STEM Metadata"
ELECTRON_DETECTORS = ("ARINA", "ELA", "QUADRO", "SINGLA")
MAX_MASK_PIXELS = 2**26
# More frames than this are not missing: the number in the header is wrong.
MAX_MISSING = 2**24
# To read one frame, that much has to be decompressed: then we say so.
SLOW_NBYTES = 2**28
MAX_SHOWN = 5
COLORS = 4
# What files call a fact -> its name in our metadata, and the factor to its unit.
FACTS: dict[str, tuple[str, float | None]] = {
    "beam_energy": ("beam_energy_kV", 1),
    "accelerating_voltage": ("beam_energy_kV", 1),
    "acceleration_voltage": ("beam_energy_kV", 1),
    "high tension": ("beam_energy_kV", 1),
    "camera length": ("camera_length_m", 1),
    "acquisition_instrument/tem/camera_length": ("camera_length_m", 1e-3),
    "convergence_angle": ("convergence_mrad", 1),
    "convergence_semiangle": ("convergence_mrad", 1),
    "semiconvergence_angle": ("convergence_mrad", 1),
    "count_time": ("exposure_s", 1),
    "exposure_time": ("exposure_s", 1),
    "exposure": ("exposure_s", 1),
    "frame_time": ("dwell_s", 1),
    "dwell_time": ("dwell_s", 1),
    "data_collection_date": ("timestamp", None),
    "start_time": ("timestamp", None),
    "instrument/detector/description": ("instrument", None),
    "tem/microscope": ("instrument", None),
}
SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


def recognize(path: Path, head: bytes) -> bool:
    return has_signature(head)


def describe(
    path: Path, *, ds_path: str | None = None, sig_dims: int = 2
) -> Description:
    if sig_dims < 1:
        raise ParameterError(
            path, "sig_dims", "a frame needs an axis", expected=">= 1", found=sig_dims
        )
    contents = look_around(path)
    if ds_path is None:
        master = _master_of(path, contents)
        if master is not None:
            return _through_master(path, master, sig_dims)
    masters = _masters(contents)
    layouts = _layouts(path, contents)
    choices = _choices(contents, masters, layouts, sig_dims)
    if ds_path is None:
        name = _best(path, contents, choices, sig_dims)
    else:
        name = "/".join(part for part in ds_path.split("/") if part)
    if name in masters:
        description = _master(path, contents, name, masters[name], sig_dims)
    else:
        description = _data_set(path, contents, name, choices, sig_dims)
    notices = description.notices
    if ds_path is None:
        notices = (*_others(contents, choices, name), *notices)
    return replace(description, parameters={"ds_path": name}, notices=notices)


# ------------------------------------------------------------------ choosing a data set


def _masters(contents: Contents) -> dict[str, list[str]]:
    """Return groups of links to parts, with the names of these in order."""
    groups: dict[str, list[str]] = {}
    outside = set(contents.lost)
    for found in contents.found:
        if f"/{found.name}" != found.inner and PART.fullmatch(found.name):
            outside.add(found.name)
    for name in sorted(outside, key=lambda name: (len(name), name)):
        part = PART.fullmatch(name)
        if part:
            groups.setdefault(part[1], []).append(name)
    return groups


def _layouts(path: Path, contents: Contents) -> dict[tuple[Path, str], tuple[str, str]]:
    """Return the data sets that known layouts point to: layout, and name to use."""
    layouts: dict[tuple[Path, str], tuple[str, str]] = {}
    is_hyperspy = str(contents.facts.get("file_format", "")).lower() == "hyperspy"
    for found in contents.found:
        group, _, leaf = found.name.rpartition("/")
        attributes = contents.groups.get(group, {})
        key = found.path, found.inner
        if "emd_group_type" in attributes and leaf in ("data", "datacube"):
            layouts[key] = "EMD", found.name
        elif is_hyperspy and HYPERSPY.fullmatch(found.name):
            layouts[key] = "HyperSpy", found.name
        elif VELOX.fullmatch(found.name) and len(found.shape) == 3:
            layouts[key] = "Velox", found.name
    for group, attributes in contents.groups.items():
        signal = attributes.get("signal")
        if attributes.get("NX_class") == "NXdata" and isinstance(signal, str):
            name = f"{group}/{signal}"
            try:  # it may be a link; then what is known of its axes is beside the link
                where, inner, _ = located(path, name)
            except (NoSuchObjectError, FormatError):
                continue
            layouts.setdefault((where, inner), ("NeXus", name))
    return layouts


@dataclass(frozen=True)
class Choice:
    """What may be opened."""

    name: str
    shape: tuple[int, ...]
    layout: str
    told: str  # for people

    def rank(self, sig_dims: int) -> tuple[bool, bool, bool, int]:
        """Best is largest: known layouts first, scans of two axes, then size."""
        known = self.layout not in ("", "Velox")
        # The last axis of a color image is that of the colors.
        is_frame = self.shape[-1] > COLORS
        return known, is_frame, len(self.shape) >= sig_dims + 2, prod(self.shape)


def _choices(
    contents: Contents,
    masters: Mapping[str, Sequence[str]],
    layouts: Mapping[tuple[Path, str], tuple[str, str]],
    sig_dims: int,
) -> list[Choice]:
    choices = []
    parts = {name for names in masters.values() for name in names}
    for group, names in masters.items():
        of_master = set(names)
        found = [one for one in contents.found if one.name in of_master]
        if found and len(found[0].shape) == sig_dims + 1:
            count = sum(one.shape[0] for one in found)
            shape = (count, *found[0].shape[1:])
            told = str(replace(found[0], name=group, shape=shape))
            choices.append(Choice(group, shape, "Dectris", told))
    for one in contents.found:
        layout, name = layouts.get((one.path, one.inner), ("", one.name))
        # A last axis of 1 is that of a single image.
        if len(one.shape) <= sig_dims or one.shape[-1] == 1 or one.name in parts:
            continue
        told = str(replace(one, name=name))
        choices.append(Choice(name, one.shape, layout, told))
    return choices


def _best(
    path: Path, contents: Contents, choices: Sequence[Choice], sig_dims: int
) -> str:
    if choices:
        return max(choices, key=lambda choice: choice.rank(sig_dims)).name
    for _, error in contents.lost.values():
        raise error
    there = sorted(contents.found, key=lambda found: -prod(found.shape))
    hint = "This file has no 4D-STEM data."
    if not contents.is_complete:
        hint = "The file has very many objects: name the data set with ds_path."
    elif any(len(found.shape) > 2 for found in there):
        hint = "Name one of them with ds_path, if it holds frames nevertheless."
    raise FormatError(
        path,
        f"the HDF5 file has no data set with {sig_dims + 1} or more dimensions",
        expected=f"numbers of shape (scan, ..., detector) with {sig_dims} detector"
        " axes",
        found=_listed(map(str, there)) or "no numbers",
        hint=hint,
    )


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    more = len(names) - MAX_SHOWN
    return ", ".join(names[:MAX_SHOWN]) + f" and {more} more" * (more > 0)


def _others(contents: Contents, choices: Sequence[Choice], name: str) -> Iterator[str]:
    """Tell what else the file holds."""
    others = [choice.told for choice in choices if choice.name != name]
    if others:
        yield (
            f"The file holds several data sets. Opened: {name!r}. ds_path opens"
            f" another: {_listed(others)}."
        )
    lost = [
        file
        for link, (file, _) in contents.lost.items()
        if not link.startswith(f"{name}/")
    ]
    if lost:
        yield f"Links lead to files that are missing or damaged: {_listed(lost)}."
    if not contents.is_complete:
        yield (
            "The file has so many objects that the search for data sets was stopped;"
            " ds_path opens any."
        )


# ----------------------------------------------------------------------- one data set


def _data_set(
    path: Path,
    contents: Contents,
    name: str,
    choices: Sequence[Choice],
    sig_dims: int,
) -> Description:
    where, inner = _located(path, name, choices, contents)
    stack = VELOX.fullmatch(name) is not None and sig_dims == 2
    found = data_set(where, inner, sig_dims, frames_last=stack)
    whole = found.whole
    if not any(isinstance(piece, Piece) for piece in found.pieces):
        raise missing_file(path, found.missing[0])
    # What is known of the axes is beside the data, or beside a link to them.
    group, inner_group = name.rpartition("/")[0], inner.strip("/").rpartition("/")[0]
    nav_ndim = len(whole.nav_shape)
    ndim = nav_ndim + sig_dims
    axes, signal_ndim = _axes(path, group, ndim)
    if not any(axes) and (where, inner_group) != (path, group):
        axes, signal_ndim = _axes(where, inner_group, ndim)
    return Description(
        frames_of(found.pieces),
        whole.nav_shape,
        calibration=Calibration(axes[:nav_ndim], axes[nav_ndim:]),
        metadata=_metadata(contents.facts, group),
        companions=(path,),
        problems=tuple(_problems(path, found.pieces, found.missing)),
        notices=tuple(_notices(found, sig_dims, signal_ndim)),
    )


def _located(
    path: Path, name: str, choices: Sequence[Choice], contents: Contents
) -> tuple[Path, str]:
    """Return the file and the name of a data set; or say what else there is."""
    try:
        where, inner, kind = located(path, name)
        if kind == "data set":
            return where, inner
    except NoSuchObjectError:
        kind = ""
    there = [choice.told for choice in choices] or [str(f) for f in contents.found]
    raise ParameterError(
        path,
        "ds_path",
        f"{name!r} is a {kind}, not a data set"
        if kind
        else f"no data set {name!r} in the file",
        expected=f"a data set such as {_listed(there)}" if there else None,
        hint="Give ds_path the name of a data set, or leave it out.",
    )


def _problems(
    path: Path, pieces: Sequence[Piece | Gap], files: Sequence[str]
) -> Iterator[str]:
    if files:
        yield (
            f"{path}: linked files are missing or damaged, and the frames in them are"
            f" blank: {_listed(files)}"
        )
    lost = sum(piece.count for piece in pieces if isinstance(piece, Gap))
    # Of a layout, the core says it.
    if lost and isinstance(frames_of(pieces), Hdf5Frames):
        yield f"{path}: {lost} frames are missing and shown as blank"


def _notices(found: DataSet, sig_dims: int, signal_ndim: int | None) -> Iterator[str]:
    whole = found.whole
    if signal_ndim not in (None, 0, sig_dims):
        yield (
            f"The file says that a frame has {signal_ndim} axes, not {sig_dims}:"
            f" sig_dims={signal_ndim} opens it so."
        )
    nbytes = prod(whole.nav_chunk) * whole.frame_nbytes
    if prod(whole.nav_chunk) > 1 and nbytes > SLOW_NBYTES:
        yield (
            f"The data are stored in chunks of {whole.nav_chunk} scan positions: to"
            f" show one frame, {nbytes / 1e6:.0f} MB have to be read. Saved again in"
            " chunks of whole frames, they are much faster."
        )
    if found.is_matlab:
        yield (
            "MATLAB stores the axes of an array in reverse order. If frames look"
            " transposed, they are."
        )


def _axes(
    path: Path, group: str, ndim: int
) -> tuple[tuple[Sampling | None, ...], int | None]:
    """Return the sampling of each axis of a data set, as the group around it says.

    And of how many axes the file says that a frame is.
    """
    nothing = (None,) * ndim
    try:
        where, name, _ = located(path, group)
        with opened(where) as file:
            thing = file[name]
            if "dim0" in thing or "dim1" in thing:
                return _emd(thing, ndim), None
            if "axis-0" in thing:
                return _hyperspy(thing, ndim)
            return _nexus(thing, ndim), None
    except (NoSuchObjectError, FormatError):
        return nothing, None


def _emd(group: Any, ndim: int) -> tuple[Sampling | None, ...]:
    """Axes are vectors beside the data; py4DSTEM states its calibration as well."""
    first = 0 if "dim0" in group else 1
    axes = [_vector(group.get(f"dim{first + i}")) for i in range(ndim)]
    for holder in (group.parent, group):
        bundle = holder.get("metadatabundle/calibration")
        for letter, places in (("R", range(ndim - 2)), ("Q", range(ndim - 2, ndim))):
            size = first_values(bundle, f"{letter}_pixel_size")
            unit = first_values(bundle, f"{letter}_pixel_units")
            if size and unit:
                for i in places:
                    axes[i] = _sampling(size[0], unit[0])
    return tuple(axes)


def _hyperspy(group: Any, ndim: int) -> tuple[tuple[Sampling | None, ...], int]:
    axes, signal_ndim = [], 0
    for i in range(ndim):
        facts = attributes_of(group[f"axis-{i}"]) if f"axis-{i}" in group else {}
        axes.append(_sampling(facts.get("scale"), facts.get("units")))
        signal_ndim += str(facts.get("navigate", True)).lower() in ("false", "0")
    return tuple(axes), signal_ndim


def _nexus(group: Any, ndim: int) -> tuple[Sampling | None, ...]:
    names = attributes_of(group).get("axes")
    if isinstance(names, str):
        names = re.split("[:,]", names.strip("[]"))
    names = names if isinstance(names, list) else []
    names = [*names, *("." * ndim)][:ndim]
    return tuple(_vector(group.get(str(name))) for name in names)


def _vector(dataset: Any) -> Sampling | None:
    """Return the step of an axis that is given as its first values."""
    if dataset is None:
        return None
    values = first_values(dataset)
    unit = attributes_of(dataset).get("units")
    try:
        return _sampling(float(values[1]) - float(values[0]), unit)
    except (IndexError, TypeError, ValueError):  # one value, or text
        return None


def _sampling(scale: Any, unit: Any) -> Sampling | None:
    if not isinstance(unit, str) or not isinstance(scale, (int, float)):
        return None
    # "[n_m]" of EMD, "_None_" of HyperSpy
    unit = unit.strip("[]").replace("_", "")
    nothing = ("", "none", "<undefined>", "pixel", "pixels", "px")
    return None if unit.lower() in nothing else sampling(scale, unit)


# ------------------------------------------------------------------- Dectris and ARINA


def _master_of(path: Path, contents: Contents) -> Path | None:
    """Return the master file that a file with a part of the frames belongs to."""
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


def _through_master(path: Path, master: Path, sig_dims: int) -> Description:
    description = describe(master, sig_dims=sig_dims)
    return replace(
        description,
        companions=(*description.companions, path),
        parameters={},
        notices=(
            f"Opened with all parts, through {master.name}.",
            *description.notices,
        ),
    )


def _master(
    path: Path, contents: Contents, group: str, names: Sequence[str], sig_dims: int
) -> Description:
    """All parts, one after the other; the master says nothing about the scan."""
    by_name = {found.name: found for found in contents.found}
    parts = [by_name.get(name) for name in names]
    lost = [contents.lost[name] for name in names if name in contents.lost]
    if not any(parts):
        raise lost[0][1]
    facts = contents.facts
    companion, scan = _companion(path)
    total = _declared(facts)
    pieces = _parts(path, parts, total, sig_dims)
    count = sum(_count(piece) for piece in pieces)
    if count < total <= count + MAX_MISSING:  # it was interrupted
        count = total
    nav_shape, notices = _scan_shape(scan, count)
    while isinstance(pieces[-1], Gap):
        pieces.pop()
    sig_shape = next(p.sig_shape for p in pieces if isinstance(p, Piece))
    step = _sampling(_number(scan.get(f"{SCAN_FACTS}/Pixel Size")), "nm")
    metadata = _metadata({**facts, **scan}, group)
    name = str(metadata.get("instrument", ""))
    energy = _number(_fact(facts, "photon_energy"))
    if energy and any(known in name.upper() for known in ELECTRON_DETECTORS):
        metadata.setdefault("beam_energy_kV", energy / 1000)
    return Description(
        frames_of(pieces),
        nav_shape,
        calibration=Calibration((step,) * len(nav_shape)),
        metadata=metadata,
        corrections=_pixel_mask(contents, sig_shape),
        companions=(path, *companion),
        problems=tuple(_problems(path, pieces, [file for file, _ in lost])),
        notices=tuple(notices),
    )


def _declared(facts: Mapping[str, Any]) -> int:
    """Return the number of frames that were to be recorded; 0 if it is not known."""
    names = ("detectorSpecific/nimages", "detectorSpecific/ntrigger")
    declared = prod(_number(_fact(facts, name)) or 0 for name in names)
    return int(min(declared, 2.0**62))


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


def _parts(
    path: Path, parts: Sequence[Found | None], total: int, sig_dims: int
) -> list[Piece | Gap]:
    """Return the pieces of all parts; one that is missing keeps its place."""
    size = max(found.shape[0] for found in parts if found is not None)
    pieces: list[Piece | Gap] = []
    first: Piece | None = None
    for i, found in enumerate(parts):
        if found is None:
            # All have the same number of frames, only the last one may have fewer.
            left = total - sum(_count(piece) for piece in pieces)
            count = size if i < len(parts) - 1 else min(size, left)
            pieces += [Gap(count)] if count > 0 else []
            continue
        part = data_set(found.path, found.inner, sig_dims)
        first = first or part.whole
        expected = first.sig_shape, first.pixel
        if (part.whole.sig_shape, part.whole.pixel) != expected:
            raise FormatError(
                path,
                f"{found.name!r} does not fit the parts before it",
                expected=f"frames of {first.sig_shape}, {first.pixel}",
                found=f"{found}",
                hint="Open one part with ds_path.",
            )
        pieces += part.pieces
    return pieces


def _count(piece: Piece | Gap) -> int:
    return piece.count if isinstance(piece, Gap) else piece.part.count


def _scan_shape(
    scan: Mapping[str, Any], count: int
) -> tuple[tuple[int, ...], Iterator[str]]:
    y, x = (_number(scan.get(f"{SCAN_FACTS}/NumPixels{axis}")) for axis in "YX")
    if y and x and y >= 1 and x >= 1 and y * x <= count + MAX_MISSING:
        shape = int(y), int(x)
        if prod(shape) < count:
            ignored = f"{count - prod(shape)} frames after the scan are ignored."
            return shape, iter((ignored,))
        return shape, iter(())
    side = isqrt(count)
    if side**2 == count and side > 1:
        guess = f"The scan shape is not in the file; guessed a square: {side} x {side}."
        return (side, side), iter((guess,))
    return (count,), iter(())


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


# ---------------------------------------------------------------------------- metadata


def _metadata(facts: Mapping[str, Any], group: str) -> dict[str, Any]:
    """Return what is known, first of what is near the data; all else under header."""
    metadata: dict[str, Any] = {}
    near = [name for name in facts if name.startswith(f"{group}/")]
    for name in (*near, *facts):
        for known, (key, factor) in FACTS.items():
            if key in metadata or not f"/{name.lower()}".endswith(f"/{known}"):
                continue
            value = facts[name]
            if factor is None:
                value = str(value).strip()
            else:
                unit = str(facts.get(f"{name}/units", "s"))
                value = (_number(value) or 0) * factor * SECONDS.get(unit, 1)
                # volts, or kilovolts
                volts = key == "beam_energy_kV" and value >= 10_000
                value = value / 1000 if volts else value
            if value:
                metadata[key] = value
    metadata.setdefault("timestamp", _hyperspy_time(facts, group))
    metadata = {key: value for key, value in metadata.items() if value}
    return {**metadata, "header": dict(facts)}


def _hyperspy_time(facts: Mapping[str, Any], group: str) -> str:
    date, time = (facts.get(f"{group}/metadata/General/{k}") for k in ("date", "time"))
    return f"{date}T{time}" if date and time else ""


def _fact(facts: Mapping[str, Any], ending: str) -> Any:
    """Return the first fact whose name ends so, None if there is none."""
    return next((v for k, v in facts.items() if k.endswith(f"/{ending}")), None)


def _number(value: Any) -> float | None:
    while isinstance(value, list) and value:
        value = value[0]
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if is_number and abs(value) < 1e300 else None


FORMAT = Format(
    "hdf5",
    "HDF5 (plain, EMD, py4DSTEM, HyperSpy, NeXus, Dectris)",
    (".h5", ".hdf5", ".hspy", ".nxs", ".emd", ".hdf", ".mat"),
    recognize,
    describe,
)
