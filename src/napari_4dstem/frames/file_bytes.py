"""Bytes of files: mapped, buffered or past the system's cache.

Nothing stays open: files are opened for one request, one at a time, where it runs. Maps
of files may be kept (`FileMaps`), without a file that is open.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_4dstem.errors import FormatError, ParameterError

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Returns bytes ``begin`` to ``end`` of the open file.
View = Callable[[int, int], "NDArray[np.uint8]"]

# Size and address granularity that O_DIRECT accepts on every common device.
DIRECT_ALIGNMENT = 4096
# Maps that are kept of a series of files; a process may have some ten thousand.
MAX_MAPS = 1000


@contextmanager
def mapped(path: Path, begin: int, end: int) -> Iterator[View]:
    """Map bytes ``begin`` to ``end`` of a file."""
    with _opened(path) as file:
        _check_size(file, path, end)
        base = begin - begin % mmap.ALLOCATIONGRANULARITY
        pages = mmap.mmap(
            file.fileno(), end - base, access=mmap.ACCESS_READ, offset=base
        )
    memory = np.frombuffer(pages, np.uint8)
    # The map lives as long as an array that looks into it, and no longer.
    del pages
    yield lambda first, last: memory[first - base : last - base]


@contextmanager
def buffered(path: Path, begin: int, end: int) -> Iterator[View]:
    """Read bytes of a file into buffers of our own."""
    with _opened(path) as file:
        _check_size(file, path, end)

        def view(first: int, last: int) -> NDArray[np.uint8]:
            buffer = np.empty(last - first, np.uint8)
            file.seek(first)
            _fill(file.readinto, buffer, path, first)
            return buffer

        yield view


@contextmanager
def direct(path: Path, begin: int, end: int) -> Iterator[View]:
    """Read bytes of a file past the system's cache (O_DIRECT)."""
    flag = getattr(os, "O_DIRECT", None)
    if flag is None:
        raise ParameterError(
            path,
            "io_backend",
            "this system has no direct I/O (O_DIRECT)",
            hint="Use io_backend='auto'.",
        )
    try:
        descriptor = os.open(path, os.O_RDONLY | flag)
    except OSError as error:
        if error.errno == errno.EINVAL:
            raise _no_direct(path) from error
        raise _unreadable(path, error) from error
    try:
        size = os.fstat(descriptor).st_size
        if size < end:
            raise _shrunk(path, end, size)

        def view(first: int, last: int) -> NDArray[np.uint8]:
            base = first - first % DIRECT_ALIGNMENT
            length = -(-(last - base) // DIRECT_ALIGNMENT) * DIRECT_ALIGNMENT
            buffer = np.frombuffer(mmap.mmap(-1, length), np.uint8)
            position = base

            def read_into(piece: memoryview) -> int:
                nonlocal position
                try:
                    count = os.preadv(descriptor, [piece], position)
                except OSError as error:
                    if error.errno == errno.EINVAL:
                        raise _no_direct(path) from error
                    raise _unreadable(path, error) from error
                position += count
                return count

            _fill(read_into, buffer, path, base, enough=last - base)
            return buffer[first - base : last - base]

        yield view
    finally:
        os.close(descriptor)


Backend = Callable[[Path, int, int], AbstractContextManager[View]]
BACKENDS: dict[str, Backend] = {
    "mmap": mapped,
    "buffered": buffered,
    "direct": direct,
}


class FileMaps:
    """Maps of files, kept from request to request.

    A new map makes the processor stop at each page that is touched first, which takes
    longer than to add up what is in it. A map lives as long as this object, or an
    array that looks into it. It is made anew when the file has changed. Safe in
    threads; pickles as nothing.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[Path, tuple[Hashable, NDArray[np.uint8]]]
        self._kept = OrderedDict()
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        return FileMaps, ()

    def opened(
        self, backend: str, path: Path, begin: int, end: int
    ) -> AbstractContextManager[View]:
        """Open bytes ``begin`` to ``end`` of a file, mapped or otherwise."""
        # a file that is mapped cannot be deleted or replaced on Windows
        if backend != "mmap" or sys.platform == "win32":
            return BACKENDS[backend](path, begin, end)
        memory = self._memory(path, end)
        return nullcontext(lambda first, last: memory[first:last])

    def _memory(self, path: Path, end: int) -> NDArray[np.uint8]:
        """Return the whole file, at least ``end`` bytes."""
        try:
            stat = os.stat(path)
        except OSError as error:
            raise _unreadable(path, error) from error
        state = stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns
        with self._lock:
            known, memory = self._kept.get(path, (None, None))
            if memory is None or known != state or stat.st_size < end:
                self._kept.pop(path, None)
                memory = _map_whole(path, end)
                self._kept[path] = state, memory
                if len(self._kept) > MAX_MAPS:
                    self._kept.popitem(last=False)
        return memory


def _map_whole(path: Path, end: int) -> NDArray[np.uint8]:
    with _opened(path) as file:
        _check_size(file, path, end)
        try:
            pages = _Pages(file.fileno(), os.fstat(file.fileno()).st_size)
        except OSError as error:
            raise _unreadable(path, error, "Use io_backend='buffered'.") from error
    return np.asarray(pages)


class _Pages:
    """A file in memory, until the last array that looks into it is gone.

    Before Python 3.13 the module mmap keeps the file open as long.
    """

    def __init__(self, descriptor: int, nbytes: int) -> None:
        library = ctypes.CDLL(None, use_errno=True)
        self._unmap = library.munmap
        self._unmap.argtypes = ctypes.c_void_p, ctypes.c_size_t
        library.mmap.restype = ctypes.c_void_p
        library.mmap.argtypes = (
            ctypes.c_void_p,
            ctypes.c_size_t,
            *(ctypes.c_int,) * 3,
            ctypes.c_ssize_t,
        )
        self._nbytes = 0
        flags = mmap.MAP_SHARED, descriptor
        self._address = library.mmap(None, nbytes, mmap.PROT_READ, *flags, 0)
        if self._address == ctypes.c_void_p(-1).value:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        self._nbytes = nbytes
        self.__array_interface__ = {
            "version": 3,
            "typestr": "|u1",
            "shape": (nbytes,),
            "data": (self._address, True),
        }

    def __del__(self) -> None:
        if self._nbytes:
            self._unmap(self._address, self._nbytes)


def choose_backend(name: str, files: tuple[Path, ...]) -> str:
    """Return the backend for these files.

    Parameters
    ----------
    name : str
        "auto", "mmap", "buffered" or "direct". "auto" maps files on a local file
        system; those of a network are read through buffers, because a mapped file
        that becomes unreachable kills the process.
    files : tuple of Path

    Raises
    ------
    ParameterError
        For another name, or where the file system has no direct I/O.
    """
    if name not in ("auto", *BACKENDS):
        raise ParameterError(
            None,
            "io_backend",
            "unknown io_backend",
            expected=", ".join(repr(known) for known in ("auto", *BACKENDS)),
            found=repr(name),
        )
    if name == "direct" and files:
        with direct(files[0], 0, 0) as view:
            view(0, 1)
    if name != "auto":
        return name
    remote = any(_on_network(folder) for folder in {path.parent for path in files})
    return "buffered" if remote else "mmap"


_NETWORK = (
    "nfs", "nfs4", "cifs", "smb3", "smbfs", "afpfs", "webdav", "9p", "afs", "ceph",
    "lustre", "gpfs", "beegfs", "glusterfs", "orangefs", "pvfs2", "virtiofs",
    "vboxsf", "prl_fs",
)  # fmt: skip


def _on_network(folder: Path) -> bool:
    resolved = os.path.realpath(folder)
    if resolved.startswith("\\\\"):
        return True
    return _mount_is_remote(os.stat(resolved).st_dev, resolved)


@lru_cache(maxsize=64)
def _mount_is_remote(_device: int, folder: str) -> bool:
    import psutil

    best = None
    try:
        partitions = psutil.disk_partitions(all=True)
    except OSError:  # a system that hides its mounts
        return False
    for partition in partitions:
        mount = partition.mountpoint
        inside = (folder + os.sep).startswith(mount.rstrip(os.sep) + os.sep)
        if inside and (best is None or len(mount) >= len(best.mountpoint)):
            best = partition
    if best is None:
        return False
    kind = best.fstype.lower()
    fuse = kind.startswith("fuse.") or kind in ("fuse", "macfuse", "osxfuse")
    return kind in _NETWORK or fuse or "remote" in best.opts.split(",")


def _opened(path: Path) -> Any:
    try:
        return open(path, "rb", buffering=0)
    except OSError as error:
        raise _unreadable(path, error) from error


def _check_size(file: Any, path: Path, needed: int) -> None:
    size = os.fstat(file.fileno()).st_size
    if size < needed:
        raise _shrunk(path, needed, size)


def _fill(
    read_into: Callable[[memoryview], int | None],
    buffer: NDArray[np.uint8],
    path: Path,
    offset: int,
    enough: int | None = None,
) -> None:
    memory = memoryview(buffer.data)
    enough = len(memory) if enough is None else enough
    done = 0
    while done < enough:
        try:
            count = read_into(memory[done:])
        except OSError as error:
            raise _unreadable(path, error) from error
        if not count:
            raise _shrunk(path, offset + enough, offset + done)
        done += count


def _unreadable(
    path: Path,
    error: OSError,
    hint: str = "Check that the file is still there and that you may read it.",
) -> FormatError:
    return FormatError(path, f"cannot be read ({error.strerror or error})", hint=hint)


def _shrunk(path: Path, needed: int, size: int) -> FormatError:
    return FormatError(
        path,
        "the file has become shorter since it was opened",
        expected=f"at least {needed} bytes",
        found=f"{size} bytes",
        hint="Open it again.",
    )


def _no_direct(path: Path) -> ParameterError:
    return ParameterError(
        path,
        "io_backend",
        "the file system has no direct I/O (O_DIRECT)",
        hint="Use io_backend='auto'.",
    )
