"""MRC files from arrays: 1024 bytes, an extended header, images row by row.

Source: MRC2014 (Cheng et al., J. Struct. Biol. 192 (2015) 146).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

MODES = {"i1": 0, "u1": 0, "i2": 1, "f4": 2, "c8": 4, "u2": 6, "f2": 12}


def mrc_header(
    shape: tuple[int, int, int],
    mode: int,
    *,
    order: str = "<",
    grid: tuple[int, int, int] | None = None,
    cell: tuple[float, float, float] = (0, 0, 0),
    extended_nbytes: int = 0,
    extended_type: bytes = b"",
    marked: bool = True,
    stamp: bytes | None = None,
    imod_flags: int | None = None,
    labels: Sequence[str] = (),
) -> bytes:
    """Return the header of a stack of shape (images, rows, columns)."""
    header = bytearray(1024)

    def put(offset: int, kinds: str, *values: Any) -> None:
        struct.pack_into(order + kinds, header, offset, *values)

    put(0, "4i", *shape[::-1], mode)
    put(28, "3i", *(shape[::-1] if grid is None else grid))
    put(40, "3f", *cell)
    put(64, "3i", 1, 2, 3)
    put(92, "i", extended_nbytes)
    put(104, "4s", extended_type)
    put(108, "i", 20140)
    if imod_flags is not None:
        put(152, "2i", 1146047817, imod_flags)
    if marked:
        default = b"\x44\x44\0\0" if order == "<" else b"\x11\x11\0\0"
        put(208, "4s4s", b"MAP ", default if stamp is None else stamp)
    put(220, "i", len(labels))
    for number, label in enumerate(labels):
        put(224 + 80 * number, "80s", label.encode().ljust(80))
    return bytes(header)


def write_mrc(
    path: Path, images: NDArray[Any], *, extended: bytes = b"", **fields: Any
) -> list[int]:
    """Write a stack, and return the byte after each of its images."""
    order = ">" if images.dtype.str[0] == ">" else "<"
    header = mrc_header(
        images.shape,
        MODES[images.dtype.str[1:]],
        **{"order": order, "extended_nbytes": len(extended)} | fields,
    )
    path.write_bytes(header + extended + images.tobytes())
    start = len(header) + len(extended)
    return [start + (i + 1) * images[0].nbytes for i in range(len(images))]


INFO = {
    "Server Software Version": "2.7.4.10190",
    "Timestamp (seconds since Epoch)": "1729539410",
    "Camera Model": "Apollo",
    "Frame Exposure Time (nanoseconds)": "1427500",
    "Image Processing - Mode": "Integrating",
    "Instrument Accelerating Voltage (V)": "200000",
    "Instrument Project Camera Length (centimeters)": "9.5",
    "Diffraction Pixel Size X": "0.1",
    "Diffraction Pixel Size Y": "0.3",
    "Specimen Pixel Size X (nanometers)": "0.5",
    "Specimen Pixel Size Y (nanometers)": "0.7",
    "Scan - Enable": "Enable",
    "Scan - Type": "Raster",
    "Scan - Dwell Time (microseconds)": "1500",
    "Scan - Size X": "4",
    "Scan - Size Y": "3",
    "Scan - ROI Enable": "Disable",
    "Scan - ROI Size X": "2",
    "Scan - ROI Size Y": "3",
    "Scan - Repeats": "1",
    "Scan - Camera Frames Per Point": "1",
}


def write_info(path: Path, changes: Mapping[str, str] | None = None) -> None:
    """Write the text file of Direct Electron, keys padded with blanks."""
    lines = [
        f"{key:64}= {value}" for key, value in (INFO | dict(changes or {})).items()
    ]
    path.write_text("\r\n".join(lines), newline="")


def fei_record(kind: bytes = b"FEI2", **fields: Any) -> bytes:
    """Return what FEI writes of one image; fields that are given are marked so."""
    places = {
        "timestamp_days": (12, "d", 8, 0),
        "microscope": (20, "16s", 8, 1),
        "serial_number": (36, "16s", 8, 2),
        "voltage_V": (84, "d", 8, 5),
        "camera_length_m": (301, "d", 297, 0),
        "convergence_rad": (329, "d", 297, 4),
        "integration_time_s": (419, "d", 297, 16),
        "dwell_s": (571, "d", 490, 15),
    }
    nbytes = {b"FEI1": 768, b"FEI2": 888}[kind]
    record = bytearray(nbytes)
    struct.pack_into("<2i", record, 0, nbytes, 2)
    for name, value in fields.items():
        offset, code, mask, bit = places[name]
        struct.pack_into("<" + code, record, offset, value)
        (bits,) = struct.unpack_from("<I", record, mask)
        struct.pack_into("<I", record, mask, bits | 1 << bit)
    return bytes(record)
