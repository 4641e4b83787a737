"""load and detect: from a name to a data set."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_4dstem.dataset._assembling import assembled
from napari_4dstem.dataset._dataset import Dataset
from napari_4dstem.dataset._parameters import sorted_parameters
from napari_4dstem.dataset._paths import absolute, checked_files, natural_order
from napari_4dstem.errors import (
    FormatError,
    FormatWarning,
    MissingParameterError,
    ParameterError,
)
from napari_4dstem.formats import FORMATS, identify
from napari_4dstem.formats._format import Format

AUTO = "auto"
# Data sets in a folder: so many are looked for, and so many are named.
MAX_LOOKED_AT, MAX_LISTED = 20, 4


@dataclass(frozen=True)
class FileType:
    """A name that `load` accepts.

    Attributes
    ----------
    description : str
    extensions : tuple of str
        Lower case, with the dot.
    parameters : tuple of str
        What the type accepts beside the parameters common to all.
    """

    description: str
    extensions: tuple[str, ...]
    parameters: tuple[str, ...]


def filetypes() -> dict[str, FileType]:
    """Return the names accepted by `load`, with description and extensions."""
    types = {
        name: FileType(
            f.title, f.extensions, ("files",) * f.takes_files + tuple(f.parameters)
        )
        for name, f in FORMATS.items()
    }
    return {AUTO: FileType("found by the content of the file", (), ()), **types}


@dataclass(frozen=True)
class Detection:
    """What `detect` found.

    Attributes
    ----------
    filetype : str
    parameters : dict
        With which ``load(filetype, path, **parameters)`` opens the file.
    """

    filetype: str
    parameters: Mapping[str, Any]


def detect(path: str | os.PathLike[str]) -> Detection:
    """Find out the type of a file, and the parameters to open it with.

    Parameters
    ----------
    path : str or path
        A file, any member of a data set of several files, or a folder with one.

    Returns
    -------
    Detection

    Raises
    ------
    FormatError
        If no format recognizes the file; it says what was tried.
    """
    data_set = open_dataset(AUTO, path)
    return Detection(data_set.filetype, data_set.parameters)


def load(
    filetype: str, path: str | os.PathLike[str] | None = None, **parameters: Any
) -> Dataset:
    """Open a 4D-STEM data set. Reads headers only.

    Parameters
    ----------
    filetype : str
        One of `filetypes`, or "auto".
    path : str or path, optional
        A file, any member of a data set of several files, or a folder with one.
    files : list of str or path, optional
        For types that take a list of files: all files of the data set, in their order.
    name : str
        For display; by default from the file.
    nav_shape : tuple of int
        Scan shape (y, x); by default what the file says.
    sig_shape : tuple of int
        Detector shape (ky, kx), another one of as many pixels.
    sync_offset : int
        Above 0: stored frames skipped at the start; below 0: blank frames inserted
        there. By default what the file says, else 0.
    flyback : int
        Frames at the end of each line that belong to no scan position.
    corrections : Corrections, dict or bool
        ``{"dark": ..., "gain": ..., "excluded": ...}`` or some of these: arrays, or
        files that open by themselves; see `Dataset.with_corrections`. True or False:
        those that the data bring along, or none. By default as the type says.
    io_backend : str
        "auto", "mmap", "buffered" or "direct".
    **parameters
        The type's own, see `filetypes`.

    Returns
    -------
    Dataset

    Raises
    ------
    FormatError
        If the file is not what it has to be, or a parameter is wrong.

    Warns
    -----
    FormatWarning
        If a part of the data is missing.
    """
    data_set = open_dataset(filetype, path, **parameters)
    if data_set.problems:
        warnings.warn("\n".join(data_set.problems), FormatWarning, stacklevel=2)
    return data_set


def open_dataset(
    filetype: str, path: str | os.PathLike[str] | None = None, **parameters: Any
) -> Dataset:
    """Do as `load` does, but leave the warnings in ``Dataset.problems``."""
    location = None if path is None else absolute(path)
    files = checked_files(location, parameters.pop("files", None))
    if not files and location is not None and location.is_dir():
        location, *others = _in_folder(location)
        files = (str(location), *map(str, others)) if others else ()
    format_ = _format(filetype, Path(files[0]) if files else location)
    common, own = sorted_parameters(format_, location, parameters)
    if files:
        if not format_.takes_files:
            raise ParameterError(
                location, "files", f"{format_.name} does not take a list of files"
            )
        own["files"] = files
    if not format_.takes_path:
        if location is not None:
            raise ParameterError(
                location, "path", f"{format_.name} takes data, not a path"
            )
        description = format_.describe(**own)
    elif location is None and not files:
        either = " or files" * format_.takes_files
        raise MissingParameterError(
            None, "path", f"{format_.name} needs a path{either}"
        )
    else:
        description = format_.describe(location, **own)
    return assembled(format_, location, description, common, own)


def _format(filetype: str, path: Path | None) -> Format:
    if filetype == AUTO:
        if path is None:
            raise MissingParameterError(
                None, "path", "to find out the type of data, a path is needed"
            )
        return identify(path)
    if filetype not in FORMATS:
        raise ParameterError(
            path,
            "filetype",
            "unknown filetype",
            expected=", ".join((AUTO, *FORMATS)),
            found=repr(filetype),
        )
    return FORMATS[filetype]


def _in_folder(folder: Path) -> list[Path]:
    """Return a file of the one data set in a folder.

    Or all files of a stack, where a format takes a list of files.
    """
    endings = {ending for f in FORMATS.values() for ending in f.extensions}
    with os.scandir(folder) as entries:
        names = sorted(
            (e for e in entries if os.path.splitext(e.name)[1].lower() in endings),
            key=lambda entry: entry.name,
        )
    found: dict[Path, Format] = {}  # how each data set is opened
    formats: dict[str, Format] = {}
    known: set[Path] = set()
    for entry in names:
        path = folder / entry.name
        if not entry.is_file() or path in known:
            continue
        try:
            format_ = identify(path)
            # What may be one of a stack of thousands is not looked at more closely.
            is_simple = format_.takes_files and format_.name in formats
            files = (path,) if is_simple else open_dataset(format_.name, path).files
        except FormatError:
            continue
        known.update(files)
        for file in files:
            # It was taken for a data set of its own.
            found.pop(file, None)
        found[path] = formats[format_.name] = format_
        is_stack = all(f.takes_files for f in formats.values())
        if len(found) > MAX_LOOKED_AT and not is_stack:
            break  # these are enough to name
    if not found:
        raise FormatError(
            folder,
            "no file in this folder is recognized",
            expected=f"a file with one of the endings {', '.join(sorted(endings))}",
            found=f"{len(names)} files with such a name, none with such a content",
            hint="Open the file itself, and name its type.",
        )
    kinds = {format_.name for format_ in found.values()}
    if len(found) == 1 or (len(kinds) == 1 and formats[kinds.pop()].takes_files):
        return natural_order(found)
    listed = [path.name for path in [*found][:MAX_LISTED]]
    raise FormatError(
        folder,
        "the folder holds several data sets",
        found=", ".join(listed) + ", ..." * (len(found) > MAX_LISTED),
        hint="Open one of these files.",
    )
