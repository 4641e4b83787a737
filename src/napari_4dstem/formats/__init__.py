"""The formats, in the order in which they are tried, and which one a file has."""

from __future__ import annotations

from pathlib import Path

from napari_4dstem.errors import NotRecognizedError
from napari_4dstem.formats import (
    blo,
    dask,
    dm,
    empad,
    frms6,
    hdf5,
    k2is,
    memory,
    mib,
    mrc,
    npy,
    raw,
    raw_csr,
    seq,
    ser,
    tvips,
)
from napari_4dstem.formats._format import Format, read_head
from napari_4dstem.frames.refusals import ANOTHER_TYPE, DAMAGED, SOMETHING_ELSE, content

# Narrow marks before wide ones; those that are never recognized come last.
FORMATS: dict[str, Format] = {
    module.FORMAT.name: module.FORMAT
    for module in (
        mib,
        npy,
        hdf5,
        blo,
        k2is,
        dm,
        empad,
        seq,
        frms6,
        mrc,
        raw_csr,
        tvips,
        ser,
        raw,
        memory,
        dask,
    )
}


def identify(path: Path) -> Format:
    """Return the format of a file: by its content, if that tells, else by its name.

    Parameters
    ----------
    path : Path
        A file; any member of a data set will do.

    Raises
    ------
    NotRecognizedError
        If no format recognizes it.
    FormatError
        If it is not there, empty or cannot be read.
    """
    head = read_head(path)
    for format_ in FORMATS.values():
        if format_.recognize(path, head):
            return format_
    for format_ in FORMATS.values():
        if format_.by_name and format_.by_name(path, head):
            return format_
    tried = [name for name, format_ in FORMATS.items() if format_.extensions]
    unmarked = [f.name for f in FORMATS.values() if f.may_be and f.may_be(path, head)]
    found = content(head)
    hint = found.advice or "Open the file that holds the frames."
    if found.advice == ANOTHER_TYPE:
        found = found._replace(name=f"a file that begins like {found.name}")
        hint = DAMAGED
    if unmarked:
        hint = f"If it has no mark of its type, name that: load({unmarked[0]!r}, ...)."
    elif not found.advice and any(_is_named(path, f) for f in FORMATS.values()):
        hint = SOMETHING_ELSE
    raise NotRecognizedError(
        path,
        "the file type is not recognized",
        expected=f"one of {', '.join(tried)}",
        found=found.name,
        hint=hint,
    )


def _is_named(path: Path, format_: Format) -> bool:
    return path.suffix.lower() in format_.extensions


def unmarked_formats(path: Path) -> list[Format]:
    """Return the formats without a mark that the file might have."""
    head = read_head(path)
    return [f for f in FORMATS.values() if f.may_be and f.may_be(path, head)]
