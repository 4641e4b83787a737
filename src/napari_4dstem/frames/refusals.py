"""Why a file is refused, said in the same words for all formats."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from napari_4dstem.errors import FormatError

INTERRUPTED = "The acquisition or the copy was interrupted: get the file again."
DAMAGED = "The file is damaged: get it again."
SOMETHING_ELSE = "Its content is something else, whatever its name says."
UNPACK = "Unpack it first."
ANOTHER_TYPE = "Open it with the type 'auto', which finds the right one."
# No detector has half as many pixels a side: a larger frame is a damaged header.
MAX_SIDE = 2**15
MAX_TEXT = 40


class Content(NamedTuple):
    """What a file is by its first bytes, and what to do about it, if that is known."""

    name: str
    advice: str = ""


KNOWN: tuple[tuple[bytes, Content], ...] = (
    (b"MQ1,", Content("a Merlin file (mib)", ANOTHER_TYPE)),
    (b"\x93NUMPY", Content("a NumPy array file (npy)", ANOTHER_TYPE)),
    (b"\x89HDF\r\n\x1a\n", Content("an HDF5 file", ANOTHER_TYPE)),
    (b"IMGBLO", Content("a blockfile (blo)", ANOTHER_TYPE)),
    (b"II\x97\1", Content("a TIA series (ser)", ANOTHER_TYPE)),
    (b"PK\3\4", Content("a ZIP archive", UNPACK)),
    (b"\x1f\x8b", Content("a file packed with gzip", UNPACK)),
    (
        b'{\n "napari_4dstem_workspace"',
        Content(
            "a workspace of the Explorer",
            "Drop it on napari, or open it with the command napari-4dstem view.",
        ),
    ),
    (b"7z\xbc\xaf\x27\x1c", Content("a 7-Zip archive", UNPACK)),
    (b"Rar!", Content("a RAR archive", UNPACK)),
    (b"\x28\xb5\x2f\xfd", Content("a file packed with zstd", UNPACK)),
    (b"BZh", Content("a file packed with bzip2", UNPACK)),
    (b"II*\0", Content("a TIFF image")),
    (b"MM\0*", Content("a TIFF image")),
    (b"II+\0", Content("a TIFF image")),
    (b"MM\0+", Content("a TIFF image")),
    (b"IIU\0", Content("a TIFF image")),
    (b"\x89PNG", Content("a PNG image")),
    (b"\xff\xd8\xff", Content("a JPEG image")),
    (b"GIF8", Content("a GIF image")),
    (b"BM", Content("a BMP image")),
    (b"RIFF", Content("a RIFF file")),
    (b"%PDF", Content("a PDF document")),
    (b"\x7fELF", Content("a program")),
    (
        b"version https://git-lfs",
        Content("a placeholder of Git LFS", "Fetch the file itself: git lfs pull."),
    ),
)
WEB_PAGE = Content(
    "a web page", "The download went wrong: open the address in a browser, and look."
)
ZEROS = Content("nothing but zeros", INTERRUPTED)


def known_content(head: bytes) -> Content | None:
    """Return what a file is by the mark that it begins with, None if it has none."""
    return next((known for mark, known in KNOWN if head.startswith(mark)), None)


def is_text(head: bytes) -> bool:
    """Whether the first bytes of a file are plain text."""
    return all(32 <= byte < 127 or byte in b"\t\r\n\f" for byte in head)


def content(head: bytes) -> Content:
    """Return what a file is by its first bytes, in words."""
    if (known := known_content(head)) is not None:
        return known
    if head and not head.strip(b"\0"):
        return ZEROS
    if not is_text(head):
        return Content(f"the bytes {head[:8].hex(' ')}")
    lines = head.decode("ascii").split("\n")
    line = next((line.strip() for line in lines if line.strip()), "")
    if line.lower().startswith(("<!doctype html", "<html")):
        return WEB_PAGE
    shown = line[:MAX_TEXT] + "..." * (len(line) > MAX_TEXT)
    return Content(f"text, {shown!r}")


def not_a(path: Path, head: bytes, kind: str) -> FormatError:
    """Return the error for a file that is no such file at all.

    Parameters
    ----------
    path : Path
    head : bytes
        The first bytes of the file.
    kind : str
        What it was expected to be, such as "a MIB file".
    """
    found = content(head)
    hint = found.advice or SOMETHING_ELSE
    return FormatError(path, f"not {kind}", found=found.name, hint=hint)


def no_whole_frame(
    path: Path, sig_shape: tuple[int, ...], pixel: Any, start: int, size: int
) -> FormatError:
    """Return the error for a file that ends before its first frame does.

    Parameters
    ----------
    path : Path
    sig_shape : tuple of int
    pixel : dtype or int
        Type of a pixel, or the bytes of a frame where pixels have none of their own.
    start : int
        Byte at which the first frame begins.
    size : int
        Bytes of the file.
    """
    shape = " x ".join(map(str, sig_shape))
    if max(sig_shape) > MAX_SIDE:
        return FormatError(
            path,
            "the header tells of impossibly large frames",
            expected=f"at most {MAX_SIDE} pixels a side",
            found=f"{shape} in a file of {size} bytes",
            hint=DAMAGED,
        )
    if isinstance(pixel, int):
        name, nbytes = "pixels", pixel
    else:
        dtype = np.dtype(pixel)
        name, nbytes = dtype.name, prod(sig_shape) * dtype.itemsize
    return FormatError(
        path,
        "the file holds no complete frame",
        expected=f"at least {start + nbytes} bytes for a frame of {shape} {name}",
        found=f"{size} bytes",
        hint=INTERRUPTED,
    )
