"""What the Open form finds out about a file, on another thread: no widgets here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_4dstem.dataset import AUTO, Dataset, open_dataset
from napari_4dstem.errors import FormatError, NotRecognizedError, ParameterError
from napari_4dstem.formats import FORMATS, identify, unmarked_formats
from napari_4dstem.formats._format import Choice, Format
from napari_4dstem.gui import remembered
from napari_4dstem.layers import LayerData, image_layer, times

# They fold the stored frames; with another value the file needs not be opened again.
SCAN_PARAMETERS = ("nav_shape", "sync_offset", "flyback")


@dataclass(frozen=True)
class Finding:
    """What is known about a file.

    Attributes
    ----------
    filetype : str or None
        None if nobody knows.
    parameters : mapping
        What to fill in, proposed or remembered.
    remark : str
        Where that comes from.
    data_set : Dataset or None
        Opened without the parameters of the scan.
    facts : tuple of str
        What was found, for people.
    choices : mapping
        What the file offers for parameters of its type.
    error : FormatError or None
        Why there is no data set.
    """

    filetype: str | None
    parameters: Mapping[str, Any]
    remark: str = ""
    data_set: Dataset | None = None
    facts: tuple[str, ...] = ()
    choices: Mapping[str, Sequence[Choice]] = field(default_factory=dict)
    error: FormatError | None = None


def first_look(path: Path, filetype: str, recalls: bool) -> Finding:
    """Find out the type of a file, and likely parameters to open it with.

    Parameters
    ----------
    path : Path
    filetype : str
        "auto", or what the user says that it is.
    recalls : bool
        Whether to begin with what the user said the last time.
    """
    memory = remembered.recall(path) if recalls else None
    if memory is not None:
        changed = "" if memory.is_same_file else " But its size has changed since."
        remark = f"Filled in as the last time.{changed}"
        return look(path, memory.filetype, memory.parameters, remark)
    finding = look(path, filetype, {})
    if filetype != AUTO:
        return finding
    for format_ in _formats_that_ask(path, finding.error):
        likely = dict(format_.propose(path))
        remark = "The file does not say everything: please fill in the rest."
        if likely:
            remark = "Filled in what the file's name and size suggest: please check."
        return look(path, format_.name, likely, remark)
    return finding


def look(
    path: Path, filetype: str, parameters: Mapping[str, Any], remark: str = ""
) -> Finding:
    """Open a file with the parameters that do not concern the scan.

    Unless the format itself asks for them.
    """
    asked = FORMATS[filetype].parameters if filetype in FORMATS else {}
    own = {
        k: v for k, v in parameters.items() if k in asked or k not in SCAN_PARAMETERS
    }
    known = None if filetype == AUTO else filetype
    try:
        ds = open_dataset(filetype, path, **own)
    except FormatError as error:
        problem = error
    except (OSError, TypeError, ValueError) as error:
        # no network, or values that nobody would type
        problem = FormatError(path, str(error))
    else:
        choices = FORMATS[ds.filetype].choices(ds.path or path)
        return Finding(ds.filetype, parameters, remark, ds, _facts(ds), choices)
    if known is None:
        return Finding(known, parameters, remark, error=problem)
    facts, choices = _facts_of_file(path, known), FORMATS[known].choices(path)
    return Finding(known, parameters, remark, None, facts, choices, problem)


def opened(
    path: Path, filetype: str, parameters: Mapping[str, Any]
) -> tuple[Dataset, LayerData]:
    """Return the data set, and its layer."""
    ds = open_dataset(filetype, path, **parameters)
    return ds, image_layer(ds)


def fit(ds: Dataset) -> tuple[str, str]:
    """Return how the stored frames fill the scan, and what does not fit."""
    stored, needed = ds.num_stored_frames, ds.frames.geometry.num_needed
    text = f"{stored} frames stored, scan needs {needed}"
    skipped, blank = max(ds.sync_offset, 0), max(-ds.sync_offset, 0)
    left = stored - ds.sync_offset - needed
    remarks = []
    if skipped:
        remarks.append(f"{skipped} skipped at the start")
    if blank:
        remarks.append(f"{min(blank, needed)} blank at the start")
    if left < 0:
        remarks.append(f"{-left} missing at the end (shown as blank)")
    if left > 0:
        remarks.append(f"{left} not used at the end")
    if not remarks and len(ds.nav_shape) == 1:
        text = f"{stored} frames stored, in one line"
    return text, ", ".join(remarks)


def said_by_file(name: str, ds: Dataset) -> Any:
    """Return what the file itself says where the user says nothing."""
    if name == "nav_shape":
        # One axis is no answer to "how many lines": the fields stay empty.
        return ds.nav_shape if len(ds.nav_shape) > 1 else None
    if name == "io_backend":
        return "auto"
    if name in ("name", "corrections"):
        return None
    common = {
        "sig_shape": ds.sig_shape,
        "sync_offset": ds.sync_offset,
        "flyback": ds.flyback,
    }
    if name in common:
        return common[name]
    default = FORMATS[ds.filetype].parameters[name].default
    return ds.own_parameters.get(name, default)


def _formats_that_ask(path: Path, error: FormatError | None) -> list[Format]:
    """Return the formats that the file may have, if only the user knows parameters."""
    try:
        if isinstance(error, NotRecognizedError):
            return unmarked_formats(path)
        if isinstance(error, ParameterError):
            return [identify(path)]
    except FormatError:
        pass  # a folder
    return []


def _facts_of_file(path: Path, filetype: str) -> tuple[str, ...]:
    try:
        size = path.stat().st_size
    except OSError:
        return (FORMATS[filetype].title,)
    return FORMATS[filetype].title, f"{size:,} bytes"


def _facts(ds: Dataset) -> tuple[str, ...]:
    rows = dict(ds.diagnostics())
    several = f"{rows['files']} files" if len(ds.files) > 1 else "1 file"
    # Data that are in no file have no size of one.
    size = f", {rows['file size']}" if "file size" in rows else ""
    return (
        FORMATS[ds.filetype].title,
        several + size,
        f"{rows['frames stored']} frames of {times(ds.sig_shape)} pixels, {ds.dtype}",
    )
