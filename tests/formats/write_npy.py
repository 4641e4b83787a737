"""NPY files from arrays: magic, version, length, a Python dict as text, pixels.

Source: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numpy.typing import NDArray


def npy_header(
    text: str, *, version: int = 1, minor: int = 0, length: int | None = None
) -> bytes:
    """Return the bytes in front of the pixels; ``length`` may lie."""
    encoded = text.encode("utf-8" if version == 3 else "latin-1")
    nbytes = 2 if version == 1 else 4
    length = len(encoded) if length is None else length
    start = b"\x93NUMPY" + bytes([version, minor])
    return start + length.to_bytes(nbytes, "little") + encoded


def npy_text(array: NDArray[Any], *, order: str = "C", alignment: int = 64) -> str:
    """Return the dict as text; with all before it a multiple of ``alignment``."""
    text = (
        f"{{'descr': {array.dtype.str!r}, 'fortran_order': {order == 'F'},"
        f" 'shape': {array.shape!r}, }}"
    )
    return text + " " * (-(len(text) + 11) % alignment) + "\n"


def write_npy(
    path: Path,
    array: NDArray[Any],
    *,
    sig_dims: int = 2,
    order: str = "C",
    version: int = 1,
    alignment: int = 64,
) -> list[int]:
    """Write an array, and return the byte after each of its frames."""
    text = npy_text(array, order=order, alignment=alignment)
    head = npy_header(text, version=version)
    path.write_bytes(head + array.tobytes(order))
    frame = array[(0,) * (array.ndim - sig_dims)]
    count = array.size // frame.size
    if order == "F":
        # Every frame reaches to the end of the file, or nearly.
        return [len(head) + array.nbytes] * count
    return [len(head) + (i + 1) * frame.nbytes for i in range(count)]
