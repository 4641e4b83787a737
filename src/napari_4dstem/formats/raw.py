"""Raw binary: frames one after another in C order, and nothing that tells of them.

Source: the parameters are those of LiberTEM's ``raw`` data set.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import isqrt, prod
from pathlib import Path
from typing import Any

import numpy as np

from napari_4dstem.errors import ParameterError
from napari_4dstem.formats._format import Description, Format, Meaning, read_head
from napari_4dstem.frames.layout import FrameLayout, FrameRun
from napari_4dstem.frames.refusals import is_text, known_content

# spelling in file names -> dtype
NAMED_TYPES = {
    "u8": "uint8", "uint8": "uint8", "u16": "uint16", "uint16": "uint16",
    "u32": "uint32", "uint32": "uint32", "i8": "int8", "int8": "int8",
    "i16": "int16", "int16": "int16", "i32": "int32", "int32": "int32",
    "f16": "float16", "float16": "float16", "f32": "float32", "float32": "float32",
    "f64": "float64", "float64": "float64", "c64": "complex64",
}  # fmt: skip
# detectors in use, likeliest first
DETECTORS = (
    (256, 256), (128, 128), (130, 128), (512, 512), (192, 192), (514, 514), (515, 515),
    (516, 516), (64, 64), (96, 96), (1024, 1024), (2048, 2048), (264, 264),
)  # fmt: skip


def recognize(path: Path, head: bytes) -> bool:
    # Nothing in the file tells of its content.
    return False


def may_be(path: Path, head: bytes) -> bool:
    """Return False for text and for well-known other files."""
    return bool(head) and not is_text(head) and known_content(head) is None


def describe(
    path: Path,
    *,
    dtype: np.dtype[Any] | str,
    sig_shape: tuple[int, ...],
    offset: int = 0,
    frame_gap: int = 0,
) -> Description:
    read_head(path, 1)
    pixel = _checked_dtype(path, dtype)
    for name, value in (("offset", offset), ("frame_gap", frame_gap)):
        if value < 0:
            raise ParameterError(
                path, name, f"{name} is negative", expected="0 or more", found=value
            )
    frame_nbytes = prod(sig_shape) * pixel.itemsize
    size = path.stat().st_size
    if size - offset < frame_nbytes:
        raise ParameterError(
            path,
            "sig_shape",
            "the file is smaller than one frame of"
            f" {' x '.join(map(str, sig_shape))} {pixel}",
            expected=f"at least {offset + frame_nbytes} bytes",
            found=f"{size} bytes",
            hint="Check sig_shape, dtype and offset.",
        )
    frame_gap = min(frame_gap, size)  # a larger one leaves room for one frame as well
    stride = frame_nbytes + frame_gap
    # The gap after the last frame may be missing.
    count = (size - offset + frame_gap) // stride
    left_over = max(size - offset - count * stride, 0)
    notices = (f"{left_over} bytes after the last whole frame are ignored.",)
    return Description(
        FrameLayout((FrameRun(path, offset, stride, count),), sig_shape, pixel),
        notices=notices if left_over else (),
    )


def propose(path: Path) -> Mapping[str, Any]:
    """Guess shapes and type from the numbers in the file's name and its size."""
    try:
        size = path.stat().st_size
    except OSError:
        return {}
    nav_shape, sig_shape, dtype = _from_name(path.stem)
    for sig in [sig_shape] if sig_shape else DETECTORS:
        for pixel in [dtype] if dtype else _likely_types(sig):
            frames, rest = divmod(size, prod(sig) * np.dtype(pixel).itemsize)
            if rest or not frames:
                continue
            side = isqrt(frames)
            nav = nav_shape or ((side, side) if side**2 == frames else None)
            if nav is not None and prod(nav) == frames:
                return {"nav_shape": nav, "sig_shape": sig, "dtype": pixel}
    known = {"nav_shape": nav_shape, "sig_shape": sig_shape, "dtype": dtype}
    return {name: value for name, value in known.items() if value is not None}


def _likely_types(sig_shape: tuple[int, ...]) -> tuple[str, ...]:
    # 130 rows of 128 are the frames of an EMPAD, which are floats.
    if sig_shape == (130, 128):
        return ("float32",)
    return ("uint16", "uint8", "float32", "float64")


def _from_name(
    stem: str,
) -> tuple[tuple[int, ...] | None, tuple[int, ...] | None, str | None]:
    """Read ``scan_x256_y128`` or ``f32_112x112x128x128`` out of a name."""
    words = re.split(r"[^a-z0-9]+", stem.lower())
    dtype = next((NAMED_TYPES[word] for word in words if word in NAMED_TYPES), None)
    four = re.search(r"(?<!\d)(?<!\dx)(\d+)x(\d+)x(\d+)x(\d+)(?!\d|x\d)", stem.lower())
    if four and all(map(int, four.groups())):
        y, x, ky, kx = map(int, four.groups())
        return (y, x), (ky, kx), dtype
    x_found = re.search(r"(?:^|[^a-z0-9])x_?(\d+)(?![\dx])", stem.lower())
    y_found = re.search(r"(?:^|[^a-z0-9])y_?(\d+)(?![\dx])", stem.lower())
    if x_found and y_found and int(x_found[1]) and int(y_found[1]):
        return (int(y_found[1]), int(x_found[1])), None, dtype
    return None, None, dtype


def _checked_dtype(path: Path, dtype: np.dtype[Any] | str) -> np.dtype[Any]:
    try:
        pixel = np.dtype(dtype)
    except (TypeError, ValueError, SyntaxError) as error:
        raise ParameterError(
            path,
            "dtype",
            f"unknown dtype {dtype!r}",
            expected="a name that numpy knows, such as 'uint16', '>u2' or 'float32'",
        ) from error
    if pixel.kind not in "biufc":
        raise ParameterError(
            path,
            "dtype",
            f"dtype {dtype!r} is not a number",
            expected="an integer, float, complex or bool type",
        )
    return pixel


FORMAT = Format(
    "raw",
    "Raw binary",
    (".raw", ".bin"),
    recognize,
    describe,
    propose,
    may_be,
    meanings={
        "dtype": Meaning(
            "Pixel type",
            "type of a pixel as numpy calls it, such as uint16, or >u2 for big-endian",
        ),
        "offset": Meaning("Offset", "bytes before the first frame"),
        "frame_gap": Meaning("Frame gap", "bytes between two frames"),
    },
)
