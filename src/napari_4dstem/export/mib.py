"""MIB, as the Merlin software of one Medipix3 chip writes it: ``.mib`` and ``.hdr``.

Source: the headers of real files (Merlin 1.5).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from napari_4dstem.errors import FormatError

HEADER_NBYTES = 384
HDR_NBYTES = 2048
# pixel type -> how it is spelled, counter depth
KINDS = {"u1": ("U08", 6), "u2": ("U16", 12), "u4": ("U32", 24)}
# One chip of type 3RX and the setting of its 27 DACs.
DACS = (
    "023,511,000,000,000,000,000,000,100,255,100,125,100,100,080,100,090,030,128,004,"
    "255,126,128,174,172,511,511"
)
MAX_KEV = 511  # the upper threshold of a counter that has none


def write_mib(
    path: Path,
    blocks: Iterable[NDArray[np.unsignedinteger[Any]]],
    nav_shape: tuple[int, int],
    *,
    dwell_s: float,
    started: datetime,
    threshold_kev: float = 20.0,
    software: str = "napari-4dstem",
) -> None:
    """Write a scan as a ``.mib`` file, and the ``.hdr`` of the same name beside it.

    Either appears when it is whole, the ``.hdr`` last; older ones are replaced.

    Parameters
    ----------
    path : Path
        The ``.mib`` file.
    blocks : iterable of uint8, uint16 or uint32 arrays, shape (n, ky, kx)
        The frames in the order of the scan, in blocks of any size. A whole scan in
        memory is one: the iterable of its lines.
    nav_shape : tuple of int
        Scan shape ``(y, x)``.
    dwell_s : float
        From one frame to the next; the shutter is open all the time.
    started : datetime
        When the first frame was taken.
    threshold_kev : float
        Energy from which an electron is counted.
    software : str
        Name and version of what made the data.

    Raises
    ------
    FormatError
        If the frames are not of one type and size, or not as many as the scan has
        positions.
    OSError
        If the files cannot be written. Nothing is left behind.
    """
    thresholds = ",".join(f"{kev:.6E}" for kev in (threshold_kev, MAX_KEV, *[0] * 6))
    # as Merlin writes it: one digit in the exponent
    thresholds = thresholds.replace("E+0", "E+")
    expected = nav_shape[0] * nav_shape[1]
    count, record = 0, None
    with (
        _whole_or_absent(path.with_suffix(".hdr")) as hdr,
        _whole_or_absent(path) as mib,
    ):
        for block in blocks:
            if record is None:
                record = _record(path, block)
            if _record(path, block) != record:
                raise FormatError(
                    path,
                    f"frames from number {count} on differ from those before",
                    expected=str(record["pixels"]),
                    found=f"{block.dtype}, shape {block.shape}",
                )
            records = np.empty(len(block), record)
            records["header"] = [
                _frame_header(record, i, started, dwell_s, thresholds)
                for i in range(count, count + len(block))
            ]
            records["pixels"] = block
            records.tofile(mib)
            count += len(block)
        if record is None or count != expected:
            raise FormatError(
                path,
                "the frames do not fill the scan",
                expected=f"{expected} frames for {nav_shape[0]} x {nav_shape[1]}",
                found=f"{count} frames",
            )
        hdr.write(_hdr(record, nav_shape, started, thresholds, software))


@contextmanager
def _whole_or_absent(path: Path) -> Iterator[IO[bytes]]:
    """Write beside the target, and rename at the end."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(beside, "wb") as file:
            yield file
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def _record(path: Path, block: NDArray[Any]) -> np.dtype[Any]:
    """Header and pixels of one frame, as they lie in the file."""
    if block.ndim != 3 or block.dtype.str[1:] not in KINDS:
        raise FormatError(
            path,
            "MIB cannot hold these frames",
            expected="uint8, uint16 or uint32 pixels, shape (n, ky, kx)",
            found=f"{block.dtype}, shape {block.shape}",
        )
    pixels = (block.dtype.newbyteorder(">"), block.shape[1:])
    return np.dtype([("header", f"S{HEADER_NBYTES}"), ("pixels", *pixels)])


def _kind(record: np.dtype[Any]) -> tuple[str, int]:
    return KINDS[record["pixels"].base.str[1:]]


def _frame_header(
    record: np.dtype[Any],
    index: int,
    started: datetime,
    dwell_s: float,
    thresholds: str,
) -> bytes:
    kind, depth = _kind(record)
    height, width = record["pixels"].shape
    taken = started + timedelta(seconds=index * dwell_s)
    in_utc = taken.astimezone(UTC)
    header = (
        f"MQ1,{index + 1:06d},{HEADER_NBYTES:05d},01,{width:04d},{height:04d},{kind},"
        f"   1x1,01,{taken:%Y-%m-%d %H:%M:%S.%f},{dwell_s:.6f},0,0,0,{thresholds},"
        f"3RX,{DACS},MQ1A,{in_utc:%Y-%m-%dT%H:%M:%S.%f}000Z,{dwell_s * 1e9:.0f}ns,"
        f"{depth},"
    )
    return header.encode("ascii")


def _hdr(
    record: np.dtype[Any],
    nav_shape: tuple[int, int],
    started: datetime,
    thresholds: str,
    software: str,
) -> bytes:
    stamp = f"{started:%d/%m/%Y %H:%M:%S}"
    lines = {
        "Time and Date Stamp (day, mnth, yr, hr, min, s)": stamp,
        "Chip Type (Medipix 3.0, Medipix 3.1, Medipix 3RX)": "Medipix 3RX",
        "Assembly Size (NX1, 2X2)": "   1x1",
        "Chip Mode  (SPM, CSM, CM, CSCM)": "SPM",
        "Counter Depth (number)": _kind(record)[1],
        "Gain": "SLGM",
        "Active Counters": "Counter 0",
        "Thresholds (keV)": thresholds,
        "DACs": f"{DACS}; ; ; ",
        "Acquisition Type (Normal, Th_scan, Config)": "Normal",
        "Frames in Acquisition (Number)": nav_shape[0] * nav_shape[1],
        "Frames per Trigger (Number)": nav_shape[1],
        "Software Version": software,
        "ScanX": nav_shape[1],
        "ScanY": nav_shape[0],
    }
    text = "HDR,\t\r\n"
    text += "".join(f"{name}:\t{value}\r\n" for name, value in lines.items())
    return f"{text}End\t".encode().ljust(HDR_NBYTES)
