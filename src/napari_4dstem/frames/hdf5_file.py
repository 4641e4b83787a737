"""HDF5 files: opened for reading whatever others do with them, and closed again.

All of ours comes to HDF5 through `opened`, which turns what h5py raises into errors
that say what to do.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_4dstem.decode.hdf5_filters import NAMES
from napari_4dstem.errors import FormatError
from napari_4dstem.frames.records import beside, read_head
from napari_4dstem.frames.refusals import DAMAGED, INTERRUPTED, not_a

if TYPE_CHECKING:
    from napari_4dstem.decode.hdf5_filters import Filter

SIGNATURE = b"\x89HDF\r\n\x1a\n"
# What h5py raises where a file is not what it should be.
H5_ERRORS = (
    OSError, RuntimeError, KeyError, TypeError, ValueError, OverflowError, MemoryError,
)  # fmt: skip
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

    _check_driver_block(path)
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


def _check_driver_block(path: Path) -> None:
    """Raise FormatError if HDF5 would make up to 4 GB of zeros out of a lie.

    Old files may name a block for the driver that wrote them. HDF5 believes the size
    of it, be the file as small as it is.

    Source: HDF5 file format specification, section II (superblock 0 and 1).
    """
    head = read_head(path)
    start = head.find(SIGNATURE)
    head = head[max(start, 0) :].ljust(1100, b"\0")
    version, width = head[8], head[13]
    if start < 0 or version > 1:
        return
    at = 24 + 4 * version + 3 * width  # behind three other addresses
    address = head[at : at + width]
    if address == b"\xff" * width:
        return
    begin = start + int.from_bytes(address, "little")
    try:
        size = path.stat().st_size
        block = read_head(path, 16, begin) if begin < size else b""
    except OSError as error:
        raise unreadable(path, error) from error
    nbytes = int.from_bytes(block[4:8], "little")
    if len(block) < 16 or begin + len(block) + nbytes > size:
        raise FormatError(
            path,
            "the file ends within the block of its driver",
            offset=start + at,
            expected=f"at least {begin + 16 + nbytes} bytes",
            found=f"{size} bytes",
            hint=DAMAGED,
        )


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
            hint=INTERRUPTED,
        )
    if "signature" in text:
        return not_a(path, head, "an HDF5 file")
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
    reason = re.search(r"\((.*)\)\W*$", text)
    if "family driver" in text:
        return FormatError(
            path,
            "the file is one of a family of files that are one HDF5 file together",
            hint="Join them: h5repart of the HDF5 tools does.",
        )
    return FormatError(
        path,
        f"HDF5 cannot read the file ({reason[1] if reason else text})",
        hint=DAMAGED,
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
            f"{name!r} is compressed in a way that cannot be read",
            found=f"HDF5 filter {code}{known}",
            hint="hdf5plugin does not have it either: save the file with another"
            " compression, in the program that wrote it."
            if has_plugins
            else "Install its filter: pip install hdf5plugin.",
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
    with suppress(OSError, ValueError):  # a name that no file can have
        if (as_said := path.parent / linked).is_file():
            return as_said
    with suppress(OSError, ValueError):
        if (moved := beside(path, Path(name).name)).is_file():
            return moved
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
