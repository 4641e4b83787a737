"""TIA series from arrays: header, dimensions, table of offsets, elements with tags.

Source: the layout as C. Boothroyd describes it, and the bytes of a recorded file.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

TYPES = ("u1", "u2", "u4", "i1", "i2", "i4", "f4", "f8", "c8", "c16")
CODES = {name: code for code, name in enumerate(TYPES, 1)}
TIME = 1_449_144_000  # 2015-12-03T12:00:00 UTC
STEP_M = 2e-9
EMI = """<ObjectInfo><ExperimentalConditions><MicroscopeConditions>
<AcceleratingVoltage>200000</AcceleratingVoltage></MicroscopeConditions>
</ExperimentalConditions><ExperimentalDescription><Root>
<Data><Label>Microscope</Label><Value>Microscope Tecnai {k}</Value><Unit></Unit></Data>
<Data><Label>Mode</Label><Value> TEM uP SA Zoom Diffraction</Value><Unit/></Data>
<Data><Label>Camera length</Label><Value>0.490</Value><Unit>m</Unit></Data>
<Data><Label>Stage X</Label><Value>-0.159</Value><Unit>um</Unit></Data></Root>
</ExperimentalDescription><AcquireDate>Sun Feb 21 17:51:15 2016</AcquireDate>
<AcquireInfo><DwellTimePath>0.0625</DwellTimePath>{camera}</AcquireInfo></ObjectInfo>"""
CAMERA = "<CameraNamePath>WA-Orius</CameraNamePath>"


def element_bytes(element: NDArray[Any], deltas: Sequence[float]) -> bytes:
    """Return an element with its header; rows of images bottom first."""
    code = CODES[element.dtype.newbyteorder("=").str[1:]]
    head = b"".join(struct.pack("<ddi", -1, delta, 2) for delta in deltas[::-1])
    head += struct.pack("<H", code)
    head += struct.pack(f"<{element.ndim}I", *element.shape[::-1])
    return head + np.asarray(element[::-1] if element.ndim == 2 else element).tobytes()


def write_ser(
    path: Path,
    elements: Sequence[NDArray[Any]],
    nav_shape: Sequence[int] = (),
    *,
    version: int = 0x220,
    total: int | None = None,
    valid: int | None = None,
    order: Sequence[int] | None = None,
    gap: int = 0,
    deltas: Sequence[float] = (0.5, 0.5),
    units: str = "meters",
    step_m: float = STEP_M,
    table: int | None = None,
    dimensions: int | None = None,
    series: int = 0x197,
    kind: int | None = None,
) -> list[int]:
    """Write a series; return the elements' ends.

    ``order`` in which the elements lie in the file, ``gap`` bytes between them. With
    ``total``, ``valid``, ``table``, ``dimensions``, ``series``, ``kind`` the header may
    lie; ``nav_shape`` is slowest axis first.
    """
    offset = "<I" if version == 0x210 else "<Q"
    total = len(elements) if total is None else total
    ndim = elements[0].ndim
    dims = b""
    for i, n in enumerate(reversed(nav_shape)):
        step = step_m if i == 0 else -step_m
        dims += struct.pack("<IddI", n, 0, step, 0)
        for text in ("Position", units):
            dims += struct.pack("<I", len(text)) + text.encode("latin-1")
    head = struct.pack("<HHH", 0x4949, series, version)
    head += struct.pack(
        "<II", {1: 0x4120, 2: 0x4122}[ndim] if kind is None else kind, 0x4142
    )
    head += struct.pack("<II", total, len(elements) if valid is None else valid)
    end = len(head) + struct.calcsize(offset) + 4 + len(dims)
    head += struct.pack(offset, end if table is None else table)
    head += struct.pack("<I", len(nav_shape) if dimensions is None else dimensions)
    room = min(total, 10_000)
    begin = end + 2 * room * struct.calcsize(offset)
    data, offsets, tags, ends = bytearray(), [0] * room, [0] * room, [0] * len(elements)
    for i in order or range(len(elements)):
        offsets[i] = begin + len(data)
        data += element_bytes(elements[i], deltas[-elements[i].ndim :])
        ends[i] = tags[i] = begin + len(data)
        data += struct.pack("<HHIdd", 0x4142, 0, TIME + i, 0, 0) + bytes(gap)
    places = b"".join(struct.pack(offset, place) for place in offsets + tags)
    path.write_bytes(head + dims + places + data)
    return ends


def write_emi(path: Path, count: int = 1, *, camera: str = CAMERA) -> None:
    """Write XML between binary data, as TIA does."""
    noise = bytes(range(256)) * 20
    pieces = [EMI.format(k=k, camera=camera).encode() for k in range(1, count + 1)]
    path.write_bytes(b"JK\0\2" + noise + noise.join(pieces) + noise)
