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
    """Return the format of a file, by its name and its first bytes.

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
    tried = [name for name, format_ in FORMATS.items() if format_.extensions]
    unmarked = [f.name for f in FORMATS.values() if f.may_be and f.may_be(path, head)]
    hint = (
        f"If it is one nevertheless, name the type: load({unmarked[0]!r}, ...)."
        if unmarked
        else "Its content is something else, whatever its name says."
    )
    raise NotRecognizedError(
        path,
        "the file type is not recognized",
        expected=f"the mark of one of the formats tried: {', '.join(tried)}",
        found=f"a file that begins with {head[:12]!r}",
        hint=hint,
    )


def unmarked_formats(path: Path) -> list[Format]:
    """Return the formats without a mark that the file might have."""
    head = read_head(path)
    return [f for f in FORMATS.values() if f.may_be and f.may_be(path, head)]
