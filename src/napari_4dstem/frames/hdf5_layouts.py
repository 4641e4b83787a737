"""Layouts of HDF5 files that microscopists meet: where the scan is, and its axes.

Each knows its data sets by their names and the attributes around them. What is known of
the axes is in the group beside the data, in one of three ways.

Source: https://emdatasets.com/format; files written by emdfile, Prismatic, HyperSpy and
Velox; the NeXus definition NXdata.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

from napari_4dstem.axes import Sampling, sampling
from napari_4dstem.errors import FormatError
from napari_4dstem.frames.hdf5_file import opened
from napari_4dstem.frames.hdf5_tree import Contents, Found, NoSuchObjectError, located
from napari_4dstem.frames.hdf5_values import attributes_of, first_values

# Frames are stacked along the last axis here; most files have no series, but images.
VELOX = re.compile(r"Data/Image/[^/]+/Data")
HYPERSPY = re.compile(r"Experiments/[^/]+/data")
NO_UNITS = ("", "none", "<undefined>", "pixel", "pixels", "px")


class Axes(NamedTuple):
    """What a file knows of the axes of a data set.

    Attributes
    ----------
    samplings : tuple of (Sampling or None)
    sig_ndim : int
        How many axes a frame has; 0 where the file does not say.
    """

    samplings: tuple[Sampling | None, ...]
    sig_ndim: int = 0


def known_names(path: Path, contents: Contents) -> dict[tuple[Path, str], str]:
    """Return the data sets that layouts point to.

    Returns
    -------
    dict
        The file and the name in it -> the name by which the layout knows it: it may be
        a link, and then what is known of the axes is beside that.
    """
    names = {
        (found.path, found.inner): found.name
        for found in contents.found
        if _is_emd(contents, found) or _is_hyperspy(contents, found)
    }
    for group, attributes in contents.groups.items():
        signal = attributes.get("signal")
        if attributes.get("NX_class") == "NXdata" and isinstance(signal, str):
            name = f"{group}/{signal}"
            try:
                where, inner, _ = located(path, name)
            except (NoSuchObjectError, FormatError):
                continue
            names.setdefault((where, inner), name)
    return names


def _is_emd(contents: Contents, found: Found) -> bool:
    group, _, leaf = found.name.rpartition("/")
    is_group = "emd_group_type" in contents.groups.get(group, {})
    return is_group and leaf in ("data", "datacube")


def _is_hyperspy(contents: Contents, found: Found) -> bool:
    said = str(contents.facts.get("file_format", "")).lower()
    return said == "hyperspy" and HYPERSPY.fullmatch(found.name) is not None


def has_frames_last(name: str) -> bool:
    """Whether frames are stacked along the last axis of a data set of this name."""
    return VELOX.fullmatch(name) is not None


# -------------------------------------------------------------------------------- axes


def axes_beside(path: Path, group: str, ndim: int) -> Axes:
    """Return what a group knows of the axes of the data set in it."""
    try:
        where, name, _ = located(path, group)
        with opened(where) as file:
            thing = file[name]
            if "dim0" in thing or "dim1" in thing:
                return Axes(_emd_axes(thing, ndim))
            if "axis-0" in thing:
                return _hyperspy_axes(thing, ndim)
            return Axes(_nexus_axes(thing, ndim))
    except (NoSuchObjectError, FormatError):
        return Axes((None,) * ndim)


def _emd_axes(group: Any, ndim: int) -> tuple[Sampling | None, ...]:
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
                    axes[i] = step(size[0], unit[0])
    return tuple(axes)


def _hyperspy_axes(group: Any, ndim: int) -> Axes:
    """Axes are groups beside the data, and tell whether they are of the scan."""
    facts = [
        attributes_of(group[name]) if (name := f"axis-{i}") in group else {}
        for i in range(ndim)
    ]
    samplings = tuple(step(one.get("scale"), one.get("units")) for one in facts)
    of_frame = [str(one.get("navigate")).lower() in ("false", "0") for one in facts]
    return Axes(samplings, sum(of_frame))


def _nexus_axes(group: Any, ndim: int) -> tuple[Sampling | None, ...]:
    """Axes are vectors beside the data, and the group tells their names."""
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
        return step(float(values[1]) - float(values[0]), unit)
    except (IndexError, TypeError, ValueError):  # one value, or text
        return None


def step(scale: Any, unit: Any) -> Sampling | None:
    """Return the sampling of an axis, None where a file says nothing of use."""
    if not isinstance(unit, str) or not isinstance(scale, (int, float)):
        return None
    # "[n_m]" of EMD, "_None_" of HyperSpy
    unit = unit.strip("[]").replace("_", "")
    return None if unit.lower() in NO_UNITS else sampling(scale, unit)
