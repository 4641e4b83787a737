"""SER: series of FEI/Thermo TIA, with an ``.emi`` file beside it.

``<name>_1.ser``, ``<name>_2.ser``: one series per detector, each on its own. Elements
(images or spectra) lie anywhere in the file; a table tells where. ``<name>.emi`` tells
about the microscope, in XML between binary data.

Source: the layout as C. Boothroyd and public readers describe it, checked against
recorded files.
"""

from __future__ import annotations

import re
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
from napari_4dstem.frames.refusals import DAMAGED
from napari_4dstem.frames.ser_series import (
    MARK,
    NOWHERE,
    Pixels,
    Series,
    read_element,
    read_first,
    read_header,
    read_offsets,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

TAG = record(kind=("<u2", 0), time=("<u4", 4))
TAG_KINDS = (0x4142, 0x4152)
# Elements whose headers are compared with the first: the suspicious ones and some.
MAX_COMPARED = 256


def recognize(path: Path, head: bytes) -> bool:
    return head.startswith(MARK)


def by_name(path: Path, head: bytes) -> bool:
    """Return whether it is called the companion of a series: that has no mark."""
    return path.suffix.lower() == ".emi"


def describe(path: Path, *, emipath: Path | str | None = None) -> Description:
    opened_emi = path if path.suffix.lower() == ".emi" else None
    if opened_emi is not None:
        path = _series_of(opened_emi)
    series = read_header(path)
    offsets = read_offsets(path, series)
    first = int(np.argmin(offsets))
    pixels = read_first(path, series, first, int(offsets[first]))
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
        other = read_element(path, series, number, offset)
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
