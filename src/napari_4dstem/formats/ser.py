"""SER: series of FEI/Thermo TIA, with an ``.emi`` file beside it.

``<name>_1.ser``, ``<name>_2.ser``: one series per detector, each on its own. Elements
(images or spectra) lie anywhere in the file; a table tells where. ``<name>.emi`` tells
about the microscope, in XML between binary data.

Source: the layout as C. Boothroyd and public readers describe it, checked against
recorded files.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_4dstem.axes import Calibration, sampling
from napari_4dstem.errors import FormatError
from napari_4dstem.formats._format import (
    Description,
    Format,
    Meaning,
    read_head,
    read_record,
    record,
)
from napari_4dstem.frames.emi import Acquisition, read_emi
from napari_4dstem.frames.layout import FrameLayout, FrameRun, runs_at
from napari_4dstem.frames.records import beside, file_size, siblings
from napari_4dstem.frames.refusals import (
    DAMAGED,
    INTERRUPTED,
    no_whole_frame,
    not_a,
)

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
TAG = record(kind=("<u2", 0), time=("<u4", 4))
TAG_KINDS = (0x4142, 0x4152)
# Elements whose headers are compared with the first: the suspicious ones and some.
MAX_COMPARED = 256


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


def recognize(path: Path, head: bytes) -> bool:
    return head.startswith(MARK)


def by_name(path: Path, head: bytes) -> bool:
    """Return whether it is called the companion of a series: that has no mark."""
    return path.suffix.lower() == ".emi"


def describe(path: Path, *, emipath: Path | str | None = None) -> Description:
    opened_emi = path if path.suffix.lower() == ".emi" else None
    if opened_emi is not None:
        path = _series_of(opened_emi)
    series = _read_header(path)
    offsets = _read_offsets(path, series)
    first = int(np.argmin(offsets))
    pixels = _read_first(path, series, first, int(offsets[first]))
    is_there = offsets <= file_size(path) - series.element.itemsize - pixels.nbytes
    _compare(path, series, pixels, np.flatnonzero(is_there), offsets)
    emi_path = opened_emi or _emi_of(path, emipath)
    acquisition, notices = _acquisition(emi_path, path)
    nav_shape = _nav_shape(series)
    nav_notice = ""
    if nav_shape is None and series.dimensions:
        sizes = " x ".join(str(d["size"]) for d in reversed(series.dimensions))
        nav_notice = (
            f"The scan shape in the file, {sizes}, is too small for its"
            f" {len(offsets)} elements: they are one line."
        )
    return Description(
        _layout(path, series, pixels, offsets, is_there),
        nav_shape,
        calibration=_calibration(series, pixels, acquisition, nav_shape is not None),
        metadata=_metadata(series, _time(path, series), acquisition),
        companions=(emi_path,) if emi_path and emi_path.is_file() else (),
        notices=tuple(notices),
        nav_notice=nav_notice,
    )


def _series_of(emi_path: Path) -> Path:
    """Return the one series that an .emi belongs to."""
    file_size(emi_path)
    name = re.compile(re.escape(emi_path.stem) + r"_\d+\.ser", re.IGNORECASE)
    found = [p for p in siblings(emi_path) if name.fullmatch(p.name)]
    if not found:
        raise FormatError(
            emi_path,
            "no .ser file belongs to this .emi",
            expected=f"{emi_path.stem}_1.ser in the same folder",
            hint="The .ser files hold the data: copy them into the same folder.",
        )
    if len(found) > 1:
        raise FormatError(
            emi_path,
            f"{len(found)} series belong to this .emi",
            found=", ".join(p.name for p in found[:5]) + ", ..." * (len(found) > 5),
            hint="They were recorded by different detectors: open one of them.",
        )
    return found[0]


def _read_header(path: Path) -> Series:
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


def _read_offsets(path: Path, series: Series) -> NDArray[np.int64]:
    """Return where the valid elements begin, in any order.

    `NOWHERE` where that cannot be: in the header or the table, or far beyond any file.
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


def _read_element(path: Path, series: Series, number: int, offset: int) -> Pixels:
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


def _read_first(path: Path, series: Series, number: int, offset: int) -> Pixels:
    """Return what the header of the element says that lies first in the file."""
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
    pixels = _read_element(path, series, number, offset)
    if begin + pixels.nbytes > size:
        raise no_whole_frame(path, pixels.shape, pixels.dtype, begin, size)
    return pixels


def _compare(
    path: Path,
    series: Series,
    first: Pixels,
    there: NDArray[np.int64],
    offsets: NDArray[np.int64],
) -> None:
    """Look whether the elements are alike: all of a few, else those oddly spaced."""
    needed = series.element.itemsize + first.nbytes
    if len(there) * needed > file_size(path):
        raise FormatError(
            path,
            "the elements overlap: the table of their places is damaged",
            offset=series.table,
            expected=f"{needed} bytes for each of {len(there)} elements",
            found=f"a file of {file_size(path)} bytes",
            hint=DAMAGED,
        )
    chosen = there
    if len(there) > MAX_COMPARED:
        in_place = there[np.argsort(offsets[there], kind="stable")]
        steps = np.diff(offsets[in_place])
        odd = in_place[:-1][steps != np.median(steps)][: MAX_COMPARED // 2]
        some = np.linspace(0, len(there) - 1, MAX_COMPARED // 2).astype(np.int64)
        chosen = np.union1d(odd, there[some])
    for number in chosen.tolist():
        offset = int(offsets[number])
        other = _read_element(path, series, number, offset)
        if (other.shape, other.dtype) != (first.shape, first.dtype):
            raise FormatError(
                path,
                f"element {number} differs from the others",
                offset=offset,
                expected=first,
                found=other,
                hint="Only series of equal elements can be shown as one data set.",
            )


def _layout(
    path: Path,
    series: Series,
    pixels: Pixels,
    offsets: NDArray[np.int64],
    is_there: NDArray[np.bool_],
) -> FrameLayout:
    dtype = pixels.dtype
    begin, strides = series.element.itemsize, None
    if len(pixels.shape) == 2:
        # The bottom row comes first in the file.
        row = pixels.shape[1] * dtype.itemsize
        begin += (pixels.shape[0] - 1) * row
        strides = (-row, dtype.itemsize)
    runs: list[FrameRun] = []
    cuts = np.flatnonzero(np.diff(is_there)) + 1
    for block in np.split(np.arange(len(offsets)), cuts):
        if is_there[block[0]]:
            runs += runs_at(path, offsets[block] + begin)
        else:
            # beyond the end of the file, where frames are missing
            runs.append(FrameRun(path, file_size(path) + begin, 0, len(block)))
    return FrameLayout(tuple(runs), pixels.shape, dtype, sig_strides=strides)


def _nav_shape(series: Series) -> tuple[int, ...] | None:
    """Return the planned scan; None if there is none, or it cannot be."""
    sizes = tuple(dimension["size"] for dimension in reversed(series.dimensions))
    return sizes if sizes and prod(sizes) >= series.header["valid"] else None


def _calibration(
    series: Series, pixels: Pixels, acquisition: Acquisition, has_scan: bool
) -> Calibration:
    axes = reversed(series.dimensions) if has_scan else ()
    # Of spectra at single points every step is one meter.
    nav = tuple(
        sampling(axis["delta"], axis["units"]) if axis["delta"] != 1 else None
        for axis in axes
    )
    if len(pixels.shape) == 1:
        return Calibration(nav, (sampling(pixels.deltas[0], "eV"),))
    units = [_unit(delta, acquisition.shows_pattern) for delta in pixels.deltas]
    return Calibration(nav, tuple(map(sampling, pixels.deltas, units)))


def _unit(delta: float, shows_pattern: bool) -> str:
    """Guess the unit of an image, which the file does not tell, from the number.

    Pixels of images are far below 1 m, those of diffraction patterns far above 1/m;
    what is between is not calibrated.
    """
    if abs(delta) > 1e3:
        return "1/m"
    return "m" if abs(delta) < 1e-3 and not shows_pattern else ""


def _time(path: Path, series: Series) -> int | None:
    """Seconds since 1970 in the tag of the first element."""
    width = series.offset_type.itemsize
    at = series.table + series.header["total"] * width
    try:
        offset = int.from_bytes(read_head(path, width, at), "little")
        tag = read_record(path, TAG, min(offset, NOWHERE))
    except FormatError:
        return None
    return tag["time"] or None if tag["kind"] in TAG_KINDS else None


def _emi_of(path: Path, emipath: Path | str | None) -> Path | None:
    if emipath is not None:
        return Path(emipath)
    emi_path = beside(path, re.sub(r"_\d+$", "", path.stem) + ".emi")
    return emi_path if emi_path.exists() else None


def _acquisition(emi_path: Path | None, path: Path) -> tuple[Acquisition, list[str]]:
    """Return what the .emi tells about a series; trouble with it is only a notice."""
    number = re.search(r"_(\d{1,6})$", path.stem)
    if emi_path is None:
        return Acquisition(), []
    try:
        return read_emi(emi_path, int(number[1]) if number else 1), []
    except FormatError as error:
        return Acquisition(), [f"Of the .emi file nothing could be read. {error}"]


def _metadata(
    series: Series, time: int | None, acquisition: Acquisition
) -> dict[str, Any]:
    metadata: dict[str, Any] = {"instrument": "FEI TIA"}
    if time is not None:
        metadata["timestamp"] = datetime.fromtimestamp(time, UTC).isoformat()
    header = {
        "version": f"{series.header['version']:#06x}",
        "elements planned": series.header["total"],
        "elements recorded": series.header["valid"],
        "dimensions": [d["description"] for d in reversed(series.dimensions)],
    }
    metadata |= acquisition.metadata
    return metadata | {"header": header | acquisition.header}


FORMAT = Format(
    "ser",
    "FEI/Thermo TIA series",
    (".ser", ".emi"),
    recognize,
    describe,
    meanings={
        "emipath": Meaning(
            "EMI file", "the .emi file, where it does not lie beside the .ser"
        ),
    },
    by_name=by_name,
)
