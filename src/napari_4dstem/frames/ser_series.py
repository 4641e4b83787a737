"""Series of TIA: the header of the file, where elements are, and their headers.

Source: the layout as C. Boothroyd and public readers describe it, checked against
recorded files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_4dstem.errors import FormatError
from napari_4dstem.frames.records import file_size, read_head, read_record, record
from napari_4dstem.frames.refusals import DAMAGED, INTERRUPTED, no_whole_frame, not_a

if TYPE_CHECKING:
    from numpy.typing import NDArray

MARK = b"II\x97\x01"  # little-endian, series
HEADER = record(
    version=("<u2", 4),
    kind=("<u4", 6),
    total=("<u4", 14),
    valid=("<u4", 18),
)
# version: offsets in the file
OFFSETS = {0x0210: "<u4", 0x0220: "<u8"}
# A dimension of the scan, before two texts, each with its length in front.
DIMENSION = record(size=("<u4", 0), delta=("<f8", 12), element=("<u4", 20))
MAX_DIMENSIONS = 10
MAX_TEXT = 1000
# Headers of elements; the shape is the length, or width and height.
SPECTRUM = record(delta_x=("<f8", 8), type=("<u2", 20), shape=(("<u4", 1), 22))
IMAGE = record(
    delta_x=("<f8", 8), delta_y=("<f8", 28), type=("<u2", 40), shape=(("<u4", 2), 42)
)
ELEMENTS = {0x4120: SPECTRUM, 0x4122: IMAGE}
TYPES = {
    1: "<u1", 2: "<u2", 3: "<u4", 4: "<i1", 5: "<i2", 6: "<i4", 7: "<f4", 8: "<f8",
    9: "<c8", 10: "<c16",
}  # fmt: skip
# Place of an element that has none in the file.
NOWHERE = 2**62


@dataclass(frozen=True)
class Series:
    """The header of a file.

    Attributes
    ----------
    header : mapping
        The fields of fixed place.
    dimensions : list of mapping
        Axes of the scan, the fastest first: size, delta, description, units.
    end : int
        Byte after the dimensions.
    table : int
        Byte at which the offsets of the elements begin, and then those of their tags.
    """

    header: Mapping[str, Any]
    dimensions: list[dict[str, Any]]
    end: int
    table: int

    @property
    def offset_type(self) -> np.dtype[Any]:
        """Type of an offset."""
        return np.dtype(OFFSETS[self.header["version"]])

    @property
    def element(self) -> np.dtype[Any]:
        """Header of an element."""
        return ELEMENTS[self.header["kind"]]


@dataclass(frozen=True)
class Pixels:
    """What the header of an element tells.

    Attributes
    ----------
    shape : tuple of int
        Slowest axis first.
    dtype : dtype
    deltas : tuple of float
        Steps of the axes.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    deltas: tuple[float, ...]

    def __str__(self) -> str:
        return f"{' x '.join(map(str, self.shape))} {self.dtype.name}"

    @property
    def nbytes(self) -> int:
        """Bytes of the pixels."""
        return prod(self.shape) * self.dtype.itemsize


def read_header(path: Path) -> Series:
    """Read the header of a file.

    Raises
    ------
    FormatError
        If it is no series, or the header is damaged or cut off.
    """
    head = read_head(path, len(MARK))
    header = read_record(path, HEADER)
    if head.startswith(b"MM"):
        raise FormatError(
            path,
            "the byte order of the series is big-endian",
            expected="little-endian, as all known series",
            hint="If it is a TIA series, please report this file.",
        )
    if head != MARK:
        raise not_a(path, read_head(path), "a TIA series")
    if header["version"] not in OFFSETS:
        raise FormatError(
            path,
            "unknown version of the series",
            offset=4,
            expected=" or ".join(f"{v:#06x}" for v in OFFSETS),
            found=f"{header['version']:#06x}",
            hint="Please report this file.",
        )
    if header["kind"] not in ELEMENTS:
        raise FormatError(
            path,
            "unknown kind of elements",
            offset=6,
            expected="0x4120 (spectra) or 0x4122 (images)",
            found=f"{header['kind']:#06x}",
            hint="Please report this file.",
        )
    if not header["valid"]:
        raise FormatError(
            path,
            "the series has no images and no spectra",
            offset=18,
            expected="at least 1 valid element",
            found=0,
            hint="Nothing was recorded; a single spectrum may be in the .emi file.",
        )
    if header["valid"] > header["total"]:
        raise FormatError(
            path,
            "more elements are valid than there are",
            offset=18,
            expected=f"at most {header['total']}",
            found=header["valid"],
            hint=DAMAGED,
        )
    offset_type = np.dtype(OFFSETS[header["version"]])
    at = HEADER.itemsize
    width = offset_type.itemsize
    rest = record(table=(offset_type, 0), dimensions=("<u4", width))
    fields = read_record(path, rest, at)
    if fields["dimensions"] > MAX_DIMENSIONS:
        raise FormatError(
            path,
            "the header has an impossible number of scan axes",
            offset=at + width,
            expected=f"at most {MAX_DIMENSIONS}",
            found=fields["dimensions"],
            hint=DAMAGED,
        )
    at += rest.itemsize
    dimensions = []
    for _ in range(fields["dimensions"]):
        dimension = read_record(path, DIMENSION, at)
        at += DIMENSION.itemsize
        for name in ("description", "units"):
            dimension[name], at = _read_text(path, at)
        dimensions.append(dimension)
    return Series(header, dimensions, at, fields["table"])


def _read_text(path: Path, at: int) -> tuple[str, int]:
    """Return a text that follows its length, and the byte after it."""
    nbytes = read_record(path, record(nbytes=("<u4", 0)), at)["nbytes"]
    at += 4
    text = read_head(path, nbytes, at) if nbytes <= MAX_TEXT else b""
    if len(text) < nbytes:
        raise FormatError(
            path,
            "a text in the header has an impossible length",
            offset=at - 4,
            expected=f"at most {MAX_TEXT} bytes, within the file",
            found=nbytes,
            hint=DAMAGED,
        )
    return text.decode("latin-1").strip(), at + nbytes


def read_offsets(path: Path, series: Series) -> NDArray[np.int64]:
    """Return the bytes at which the valid elements begin, shape (n,), in any order.

    `NOWHERE` where that cannot be: in the header or the table, or far beyond any file.

    Raises
    ------
    FormatError
        If the table does not lie within the file, after the header.
    """
    total, width = series.header["total"], series.offset_type.itemsize
    # one for each element and one for its tag
    end = series.table + 2 * total * width
    size = file_size(path)
    if series.table < series.end or end > size:
        raise FormatError(
            path,
            f"the table of the {total} elements does not lie within the file",
            offset=HEADER.itemsize,
            expected=f"it between byte {series.end} and byte {size}, the end of the"
            " file",
            found=f"it from byte {series.table} to byte {end}",
            hint="The copy was interrupted, or the file is damaged: get it again.",
        )
    data = read_head(path, series.header["valid"] * width, series.table)
    offsets = np.frombuffer(data, series.offset_type).astype(np.uint64)
    offsets[offsets > NOWHERE] = NOWHERE  # sums with it do not wrap
    offsets[(offsets < series.end) | ((offsets >= series.table) & (offsets < end))] = (
        NOWHERE
    )
    return offsets.astype(np.int64)


def read_element(path: Path, series: Series, number: int, offset: int) -> Pixels:
    """Read the header of the element at a byte of the file.

    Raises
    ------
    FormatError
        If the file ends within it, or its type or shape cannot be.
    """
    element = read_record(path, series.element, offset)
    if element["type"] not in TYPES:
        raise FormatError(
            path,
            f"element {number} has an unknown type of pixels",
            offset=offset,
            expected=f"a number from 1 to {len(TYPES)}",
            found=element["type"],
            hint=DAMAGED,
        )
    if not all(element["shape"]):
        raise FormatError(
            path,
            f"element {number} has an impossible shape",
            offset=offset,
            expected="numbers above 0",
            found=" x ".join(map(str, element["shape"][::-1])),
            hint=DAMAGED,
        )
    axes = ("delta_y", "delta_x") if "delta_y" in element else ("delta_x",)
    return Pixels(
        tuple(element["shape"][::-1]),
        np.dtype(TYPES[element["type"]]),
        tuple(element[axis] for axis in axes),
    )


def read_first(path: Path, series: Series, number: int, offset: int) -> Pixels:
    """Read the header of the element that lies first in the file.

    Raises
    ------
    FormatError
        If the file ends before the element does, or as `read_element`.
    """
    size = file_size(path)
    begin = offset + series.element.itemsize
    if begin > size:
        raise FormatError(
            path,
            "the file is cut off before the first element",
            expected="an element within the file"
            if offset == NOWHERE
            else f"element {number} at byte {offset}",
            found=f"{size} bytes",
            hint=INTERRUPTED,
        )
    pixels = read_element(path, series, number, offset)
    if begin + pixels.nbytes > size:
        raise no_whole_frame(path, pixels.shape, pixels.dtype, begin, size)
    return pixels
