"""K2IS recordings from frames: eight sector files of blocks, and a file of tags.

Source: LiberTEM (``io/dataset/k2is.py``).
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.formats.write_dm import write_dm

SECTORS = 8
COLUMNS = 16  # of a block


def pack(pixels: NDArray[Any]) -> bytes:
    """Return 12-bit numbers, two in three bytes, the low bits first."""
    one, other = pixels.ravel()[::2].astype("u4"), pixels.ravel()[1::2].astype("u4")
    both = one | other << 12
    return np.stack([both, both >> 8, both >> 16], axis=-1).astype("u1").tobytes()


def block(
    pixels: NDArray[Any],
    number: int,
    frame_id: int,
    corner: tuple[int, int],
    size: tuple[int, int],
    *,
    exposed: bool = True,
    sync: int = 0xFFFF0055,
) -> bytes:
    """Return a block; ``size`` is height and width of its sector, in pixels."""
    (top, left), (height, width) = corner, size
    bottom, right = top + pixels.shape[0] - 1, left + COLUMNS - 1
    packed = pack(pixels)
    return struct.pack(
        ">I4xBB6xIHHIHHHHI", sync, 1, exposed, number % 2**32, width, height, frame_id,
        left, top, right, bottom, 40 + len(packed),
    ) + packed  # fmt: skip


def blocks_of_frame(
    frame: NDArray[Any], sector: int, down: int, **facts: Any
) -> list[bytes]:
    """Return a sector of a frame: rows of blocks, each from right to left."""
    height, width = frame.shape[0], frame.shape[1] // SECTORS
    part = frame[:, sector * width : (sector + 1) * width]
    rows = height // down
    corners = [
        (top, left)
        for top in range(0, height, rows)
        for left in range(width - COLUMNS, -1, -COLUMNS)
    ]
    number = facts.pop("number")
    return [
        block(
            part[top : top + rows, left : left + COLUMNS],
            number + i,
            corner=(top, left),
            size=(height, width),
            **facts,
        )
        for i, (top, left) in enumerate(corners)
    ]


def write_k2is(
    folder: Path,
    frames: NDArray[Any],
    *,
    prefix: str = "Capture_",
    down: int = 2,
    first_number: int = 3200,
    ids: Sequence[int] | None = None,
    exposed_from: int = 0,
    scan: tuple[int, int] | None = None,
    start_skew: Sequence[int] = (0,) * SECTORS,
    end_skew: Sequence[int] = (0,) * SECTORS,
    lost: Collection[tuple[int, int]] = (),
    version: int = 3,
) -> Path:
    """Write a recording, and return the path of its ``.gtg``.

    ``lost`` are pairs of sector and block, counted from the first frame on.
    """
    for sector in range(SECTORS):
        blocks: list[bytes] = []
        for i, frame in enumerate(frames):
            blocks += blocks_of_frame(
                frame,
                sector,
                down,
                number=first_number + len(blocks),
                frame_id=100 + i if ids is None else ids[i],
                exposed=i >= exposed_from,
            )
        kept = range(start_skew[sector], len(blocks) - end_skew[sector])
        content = b"".join(blocks[i] for i in kept if (sector, i) not in lost)
        (folder / f"{prefix}{sector + 1}.bin").write_bytes(content)
    tags: dict[str, Any] = {"Acquisition": {"Exposure (s)": 0.0025}}
    if scan is not None:
        tags["SI Dimensions"] = {"Size X": scan[1], "Size Y": scan[0]}
    write_dm(folder / f"{prefix}.gtg", tags, version=version)
    return folder / f"{prefix}.gtg"
