"""Raw binary files from arrays: frames, and bytes of no meaning around them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

FILLER = b"\xa5"


def write_raw(
    path: Path, frames: Sequence[Any], *, offset: int = 0, frame_gap: int = 0
) -> list[int]:
    """Write frames with a gap between them, and return the byte after each."""
    content = bytearray(FILLER * offset)
    ends = []
    for i, frame in enumerate(frames):
        content += FILLER * frame_gap if i else b""
        content += frame.tobytes()
        ends.append(len(content))
    path.write_bytes(content)
    return ends
