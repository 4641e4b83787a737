"""HDF5 files: opened for reading whatever others do with them, and closed again."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_4dstem.decode.hdf5_filters import NAMES
from napari_4dstem.errors import FormatError
from napari_4dstem.frames.records import read_head

if TYPE_CHECKING:
    from napari_4dstem.decode.hdf5_filters import Filter

SIGNATURE = b"\x89HDF\r\n\x1a\n"
# What h5py raises where a file is not what it should be.
H5_ERRORS = (OSError, RuntimeError, KeyError, ValueError, OverflowError, MemoryError)
# An HDF5 library that has a file open already insists on the same way of locking.
LOCKINGS = (False, None, True, "best-effort")


def has_signature(head: bytes) -> bool:
    """Whether bytes at the beginning of a file are those of HDF5.

    It may begin at byte 0, 512, 1024, 2048 and so on, after a user block.
    """
    places = [0]
    while places[-1] < len(head):
        places.append(max(512, 2 * places[-1]))
    return any(head.startswith(SIGNATURE, place) for place in places)


@contextmanager
def opened(path: Path, **options: Any) -> Iterator[Any]:
    """Open a file for reading.

    Parameters
    ----------
    path : Path
    **options
        Of `h5py.File`.

    Yields
    ------
    h5py.File

    Raises
    ------
    FormatError
        If it cannot be opened, or HDF5 stumbles over it while it is open.
    """
    file = _open(path, options)
    try:
        with file:
            yield file
    except FormatError:
        raise
    except H5_ERRORS as error:
        raise unreadable(path, error) from error


def _open(path: Path, options: dict[str, Any]) -> Any:
    import h5py

    # Locks are for those who write; on a network they often fail.
    for locking in LOCKINGS:
        try:
            return h5py.File(path, "r", locking=locking, **options)
        except (OSError, RuntimeError, ValueError) as error:
            if "locking" not in str(error):
                refused = error
                break
            refused = error
    if "already open for write" in str(refused):
        try:
            return h5py.File(path, "r", locking=False, swmr=True, **options)
        except (OSError, RuntimeError, ValueError) as error:
            refused = error
    raise _refused(path, refused) from refused


def _refused(path: Path, error: Exception) -> FormatError:
    head = read_head(path)  # says itself that there is none
    text = str(error)
    sizes = re.search(
        r"eof = (\d+), sblock->base_addr = (\d+), stored_eof = (\d+)", text
    )
    if sizes:
        size, base, stored = map(int, sizes.groups())
        return FormatError(
            path,
            "the HDF5 file is truncated",
            expected=f"{base + stored} bytes, as its header says",
            found=f"{base + size} bytes",
            hint="The copy or the acquisition was interrupted: get the file again.",
        )
    if "signature" in text:
        return FormatError(
            path,
            "not an HDF5 file",
            expected=f"{SIGNATURE!r} at byte 0, 512, 1024, 2048, ...",
            found=f"a file that begins with {head[:12]!r}",
        )
    if "already open" in text or "unable to lock" in text:
        return FormatError(
            path,
            "the file is open for writing, or was when the program that wrote it"
            " crashed",
            hint="Close it there. After a crash, 'h5clear -s' of the HDF5 tools marks"
            " it as closed.",
        )
    return unreadable(path, error)


def unreadable(path: Path, error: Exception) -> FormatError:
    """Return the error for a file that HDF5 stumbled over."""
    text = " ".join(str(error).split()) or type(error).__name__
    found = re.search(r"\((.*)\)\W*$", text)
    return FormatError(
        path,
        "HDF5 cannot read the file",
        found=found[1] if found else text,
        hint="It may be damaged: get it again, or check it with h5dump.",
    )


def filters_of(dataset: Any) -> tuple[Filter, ...]:
    """Return the filters of a data set, in the order of writing."""
    properties = dataset.id.get_create_plist()
    filters = (properties.get_filter(i) for i in range(properties.get_nfilters()))
    return tuple((int(code), tuple(values)) for code, _, values, _ in filters)


def check_filters(path: Path, name: str, filters: Sequence[Filter]) -> None:
    """Make the filters known to HDF5.

    Raises
    ------
    FormatError
        If nobody knows one of them.
    """
    import h5py

    for code, _ in filters:
        if h5py.h5z.filter_avail(code):
            continue
        has_plugins = _register_plugins()
        if h5py.h5z.filter_avail(code):
            continue
        known = f" ({NAMES[code]})" if code in NAMES else ""
        raise FormatError(
            path,
            f"the compression filter {code}{known} of {name!r} is not available",
            hint="Not even hdf5plugin has it: save the file with another compression,"
            " with the program that wrote it."
            if has_plugins
            else "Install it: pip install hdf5plugin.",
        )


@cache
def _register_plugins() -> bool:
    """Give HDF5 the filters that do not come with it."""
    try:
        import hdf5plugin  # noqa: F401
    except ImportError:
        return False
    return True


def linked_file(path: Path, linked: str) -> Path | None:
    """Return the file that an external link in ``path`` means, if it exists.

    Links are relative to the file that holds them. After a move the file of that
    name beside it is meant.
    """
    name = linked.replace("\\", "/") if os.sep == "/" else linked
    for candidate in (path.parent / linked, path.parent / Path(name).name):
        try:
            if candidate.is_file():
                return candidate
        except (OSError, ValueError):
            continue
    return None


def lies_as_numpy(dataset: Any) -> bool:
    """Whether the bytes of a data set are pixels as numpy knows them."""
    import h5py

    kind = dataset.id.get_type()
    if isinstance(kind, h5py.h5t.TypeEnumID) and dataset.dtype.kind != "b":
        kind = kind.get_super()
    try:
        return bool(kind == h5py.h5t.py_create(dataset.dtype))
    except (TypeError, ValueError):
        return False
