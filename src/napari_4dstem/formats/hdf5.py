"""HDF5: plain files, and the layouts in them that microscopists meet.

EMD (Berkeley, Prismatic, py4DSTEM), HyperSpy, NeXus, Dectris masters with their parts,
MATLAB 7.3. Frames are the last axes of one data set; of a Dectris master, of all parts.

A look around finds the data sets; the best is chosen, or the one that is asked for;
then its frames are found, and what is known of its axes.

Source: the documentation of HDF5 and h5py; those of the layouts are named in
`frames.hdf5_layouts` and `frames.hdf5_master`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

from napari_4dstem.axes import Calibration
from napari_4dstem.errors import FormatError, ParameterError
from napari_4dstem.formats._format import Choice, Description, Format, Meaning
from napari_4dstem.frames.hdf5 import Hdf5Frames, Part
from napari_4dstem.frames.hdf5_data_set import DataSet
from napari_4dstem.frames.hdf5_facts import metadata_of
from napari_4dstem.frames.hdf5_file import has_signature
from napari_4dstem.frames.hdf5_layouts import axes_beside, has_frames_last, known_names
from napari_4dstem.frames.hdf5_master import master_groups, master_of, read_master
from napari_4dstem.frames.hdf5_tree import (
    Contents,
    Found,
    NoSuchObjectError,
    located,
    look_around,
)
from napari_4dstem.frames.hdf5_values import times
from napari_4dstem.frames.hdf5_virtual import data_set
from napari_4dstem.frames.layout import Gap

# To read one frame, that much has to be decompressed: then we say so.
SLOW_NBYTES = 2**28
MAX_SHOWN = 5
MAX_CHOICES = 100
COLORS = 4


def recognize(path: Path, head: bytes) -> bool:
    return has_signature(head)


def describe(
    path: Path, *, ds_path: str | None = None, sig_dims: int = 2
) -> Description:
    if sig_dims < 1:
        raise ParameterError(
            path,
            "sig_dims",
            "sig_dims says how many axes a frame has",
            expected="at least 1",
            found=sig_dims,
        )
    contents = look_around(path)
    if ds_path is None:
        master = master_of(path, contents)
        if master is not None:
            return _through_master(path, master, sig_dims)
    scans = _scans(path, contents, sig_dims)
    if ds_path is None:
        name = _best(path, contents, scans, sig_dims)
    else:
        name = "/".join(part for part in ds_path.split("/") if part)
    if name in master_groups(contents):
        description = _master(path, contents, name, sig_dims)
    else:
        description = _data_set(path, contents, name, scans, sig_dims)
    notices = description.notices
    if ds_path is None:
        notices = (*_others(contents, scans, name), *notices)
    return replace(description, parameters={"ds_path": name}, notices=notices)


def choices(path: Path) -> Mapping[str, Sequence[Choice]]:
    try:
        contents = look_around(path)
        if master_of(path, contents) is not None:
            return {}
        scans = _scans(path, contents, sig_dims=2)
    except FormatError:
        return {}
    if len(scans) < 2:
        return {}
    best = scans[0].rank[:-1]
    return {
        "ds_path": [
            Choice(scan.name, scan.label, is_likely=scan.rank[:-1] == best)
            for scan in scans[:MAX_CHOICES]
        ]
    }


# ------------------------------------------------------------------ choosing a data set


@dataclass(frozen=True)
class Scan:
    """A data set, or a master with its parts, that may be opened.

    Attributes
    ----------
    found : Found
        Under the name by which to open it.
    sig_dims : int
    is_known : bool
        Whether a layout points to it.
    """

    found: Found
    sig_dims: int
    is_known: bool

    @property
    def name(self) -> str:
        """Name by which to open it."""
        return self.found.name

    @property
    def rank(self) -> tuple[bool, bool, bool, int]:
        """The best has the largest: known layouts, scans of two axes, then size."""
        shape = self.found.shape
        # The last axis of a color image is that of the colors.
        is_frame = shape[-1] > COLORS
        return self.is_known, is_frame, len(shape) >= self.sig_dims + 2, prod(shape)

    @property
    def label(self) -> str:
        """Name, shape and type, for people."""
        shape = list(map(str, self.found.shape))
        nav, sig = (
            ", ".join(shape[: -self.sig_dims]),
            ", ".join(shape[-self.sig_dims :]),
        )
        return f"{self.name}  ({nav} | {sig}) {self.found.pixel.newbyteorder('=')}"


def _scans(path: Path, contents: Contents, sig_dims: int) -> list[Scan]:
    """Return what may be opened, the best first."""
    scans = []
    masters = master_groups(contents)
    by_name = {one.name: one for one in contents.found}
    for group, names in masters.items():
        parts = [by_name.pop(name) for name in names if name in by_name]
        if parts and len(parts[0].shape) == sig_dims + 1:
            count = sum(one.shape[0] for one in parts)
            shape = (count, *parts[0].shape[1:])
            scans.append(
                Scan(replace(parts[0], name=group, shape=shape), sig_dims, True)
            )
    known = known_names(path, contents)
    for one in by_name.values():
        # A last axis of 1 is that of a single image.
        if len(one.shape) > sig_dims and one.shape[-1] > 1:
            name = known.get((one.path, one.inner))
            found = replace(one, name=name or one.name)
            scans.append(Scan(found, sig_dims, name is not None))
    return sorted(scans, key=lambda scan: scan.rank, reverse=True)


def _best(path: Path, contents: Contents, scans: Sequence[Scan], sig_dims: int) -> str:
    if scans:
        return scans[0].name
    for _, error in contents.lost.values():
        raise error
    there = sorted(contents.found, key=lambda found: -prod(found.shape))
    hint = "This file has no 4D-STEM data."
    lacking = f"with {sig_dims + 1} or more dimensions"
    if not contents.is_complete:
        hint = "The file has very many objects: name the data set with ds_path."
    elif any(len(found.shape) > sig_dims for found in there):
        hint = "Name one of them with ds_path, if it holds frames nevertheless."
        lacking = "that looks like frames of a scan"
    raise FormatError(
        path,
        f"the HDF5 file has no data set {lacking}",
        expected=f"numbers of shape (scan, ..., detector) with {sig_dims} detector"
        " axes of more than one pixel",
        found=_listed(map(str, there)) or "no numbers",
        hint=hint,
    )


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    more = len(names) - MAX_SHOWN
    return ", ".join(names[:MAX_SHOWN]) + f" and {more} more" * (more > 0)


def _others(contents: Contents, scans: Sequence[Scan], name: str) -> Iterator[str]:
    """Tell what else the file holds."""
    others = [str(scan.found) for scan in scans if scan.name != name]
    if others:
        yield (
            f"The file holds several data sets. Opened: {name!r}. Another can"
            f" be chosen (ds_path): {_listed(others)}."
        )
    lost = [
        file
        for link, (file, _) in contents.lost.items()
        if not link.startswith(f"{name}/")
    ]
    if lost:
        yield f"Missing or damaged, in this file or linked to it: {_listed(lost)}."
    if not contents.is_complete:
        yield (
            "The file has so many objects that the search for data sets was stopped;"
            " any can be named (ds_path)."
        )


# ----------------------------------------------------------------------- one data set


def _data_set(
    path: Path, contents: Contents, name: str, scans: Sequence[Scan], sig_dims: int
) -> Description:
    where, inner = _located(path, name, scans, contents)
    stack = has_frames_last(name) and sig_dims == 2
    found = data_set(where, inner, sig_dims, frames_last=stack)
    if not any(isinstance(part, Part) for part in found.frames.parts):
        raise FormatError(
            path,
            f"all that the virtual data set {name!r} is made of is missing or damaged",
            expected=f"it in the folder {where.parent}",
            found=f"none of {_listed(found.missing)}",
            hint="Copy it there: this file only says where the data are.",
        )
    # What is known of the axes is beside the data, or beside a link to them.
    group, inner_group = name.rpartition("/")[0], inner.strip("/").rpartition("/")[0]
    nav_ndim = len(found.nav_shape)
    axes = axes_beside(path, group, nav_ndim + sig_dims)
    if not any(axes.samplings) and (where, inner_group) != (path, group):
        axes = axes_beside(where, inner_group, nav_ndim + sig_dims)
    return Description(
        found.frames.simplest(),
        found.nav_shape,
        calibration=Calibration(axes.samplings[:nav_ndim], axes.samplings[nav_ndim:]),
        metadata=metadata_of(contents.facts, group),
        companions=(path,),
        problems=tuple(_problems(path, found.frames, found.missing)),
        notices=tuple(_notices(found, sig_dims, axes.sig_ndim)),
    )


def _located(
    path: Path, name: str, scans: Sequence[Scan], contents: Contents
) -> tuple[Path, str]:
    """Return the file and the name of a data set; or say what else there is."""
    try:
        where, inner, kind = located(path, name)
        if kind == "data set":
            return where, inner
    except NoSuchObjectError:
        kind = ""
    there = [str(scan.found) for scan in scans] or [str(f) for f in contents.found]
    raise ParameterError(
        path,
        "ds_path",
        f"{name!r} is a {kind}, not a data set"
        if kind
        else f"no data set {name!r} in the file",
        expected=f"a data set such as {_listed(there)}" if there else None,
        hint="Give ds_path the name of a data set, or leave it out.",
    )


def _problems(path: Path, frames: Hdf5Frames, files: Sequence[str]) -> Iterator[str]:
    if files:
        yield (
            f"{path}: linked files are missing or damaged, and the frames in them are"
            f" blank: {_listed(files)}"
        )
    lost = sum(part.count for part in frames.parts if isinstance(part, Gap))
    # Of a layout, the core says it.
    if lost and isinstance(frames.simplest(), Hdf5Frames):
        yield f"{path}: {lost} frames are missing and shown as blank"


def _notices(found: DataSet, sig_dims: int, said: int) -> Iterator[str]:
    if said not in (0, sig_dims):
        yield (
            f"The file says that a frame has {said} axes, not {sig_dims}:"
            f" sig_dims={said} opens it so."
        )
    grain = found.frames.grain
    nbytes = prod(grain) * found.frames.frame_nbytes
    if grain and nbytes > SLOW_NBYTES:
        yield (
            f"The data are stored in chunks of {times(grain)} scan positions: to"
            f" show one frame, {nbytes / 1e6:.0f} MB have to be read. Saved again in"
            " chunks of whole frames, they are much faster."
        )
    if found.is_matlab:
        yield (
            "MATLAB stores the axes of an array in reverse order. If frames look"
            " transposed, they are."
        )


# ------------------------------------------------------------------- Dectris and ARINA


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


def _master(path: Path, contents: Contents, group: str, sig_dims: int) -> Description:
    master = read_master(path, contents, group, sig_dims)
    return Description(
        master.frames.simplest(),
        master.nav_shape,
        calibration=master.calibration,
        metadata=master.metadata,
        corrections=master.corrections,
        companions=(path, *master.companions),
        problems=tuple(_problems(path, master.frames, master.missing)),
        nav_notice=master.nav_notice,
    )


FORMAT = Format(
    "hdf5",
    "HDF5 (plain, EMD, py4DSTEM, HyperSpy, NeXus, Dectris)",
    (".h5", ".hdf5", ".hspy", ".nxs", ".emd", ".hdf", ".mat"),
    recognize,
    describe,
    choices=choices,
    meanings={
        "ds_path": Meaning(
            "Data set", "its name in the file; by default the largest scan"
        ),
        "sig_dims": Meaning(
            "Detector axes", "how many of the last axes are those of the detector"
        ),
    },
)
