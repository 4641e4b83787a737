"""DM3 and DM4 files from arrays and nested dicts: header, tags, eight zeros.

Source: the layout as public readers describe it.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

# of a tag
TYPES = {
    "i2": 2, "i4": 3, "u2": 4, "u4": 5, "f4": 6, "f8": 7, "b1": 8, "i1": 9, "u1": 10,
    "i8": 11, "u8": 12,
}  # fmt: skip
# of an image
DATA_TYPES = {
    "i2": 1, "f4": 2, "c8": 3, "u1": 6, "i4": 7, "i1": 9, "u2": 10, "u4": 11, "f8": 12,
    "c16": 13, "b1": 14,
}  # fmt: skip
COLORS = 23
TRAILING = 8  # zero bytes at the end of a file


class Raw(bytes):
    """The words of a type and the bytes of a value, as they shall be in the file."""

    words: tuple[int, ...] = ()


def raw(words: tuple[int, ...], content: bytes) -> Raw:
    """Return a value of any type."""
    value = Raw(content)
    value.words = words
    return value


class Writer:
    """Turns tags into bytes of one version and byte order."""

    def __init__(self, version: int = 4, order: str = "<", sizes: bool = True) -> None:
        self.version = version
        self.order = order
        self.sizes = sizes
        self.word = "I" if version == 3 else "Q"

    def file(self, root: Mapping[str, Any]) -> bytes:
        """Return a whole file."""
        body = self.group(root)
        head = struct.pack(
            f">I{self.word}I", self.version, len(body), self.order == "<"
        )
        return head + body + bytes(TRAILING)

    def group(self, tags: Mapping[str, Any] | Sequence[Any]) -> bytes:
        """Return the body of a group; a list has tags without labels."""
        pairs = tags.items() if isinstance(tags, Mapping) else (("", t) for t in tags)
        entries = [self.entry(label, tag) for label, tag in pairs]
        return struct.pack(f">BB{self.word}", 1, 0, len(entries)) + b"".join(entries)

    def entry(self, label: str, tag: Any) -> bytes:
        """Return a tag with its label."""
        is_group = isinstance(tag, (dict, list))
        body = self.group(tag) if is_group else self.value(tag)
        name = label.encode("latin-1")
        size = struct.pack(">Q", len(body) * self.sizes) if self.version == 4 else b""
        return (
            struct.pack(">BH", 20 if is_group else 21, len(name)) + name + size + body
        )

    def value(self, tag: Any) -> bytes:
        """Return the body of a value."""
        words, content = self.typed(tag)
        count = len(words)
        return (
            b"%%%%" + struct.pack(f">{count + 1}{self.word}", count, *words) + content
        )

    def typed(self, tag: Any) -> tuple[tuple[int, ...], bytes]:
        """Return the words of the type, and the bytes."""
        if isinstance(tag, Raw):
            return tag.words, bytes(tag)
        if isinstance(tag, str):
            encoded = tag.encode("utf-16-le" if self.order == "<" else "utf-16-be")
            return (20, 4, len(encoded) // 2), encoded
        if isinstance(tag, tuple):  # a struct of short floats
            numbers = np.array(tag, self.order + "f4")
            return (15, 0, len(tag), *(0, 6) * len(tag)), numbers.tobytes()
        if isinstance(tag, np.ndarray):
            stored = tag.astype(tag.dtype.newbyteorder(self.order))
            kind = tag.dtype.str[1:]
            if tag.dtype.kind == "c":
                half = TYPES[f"f{tag.itemsize // 2}"]
                return (20, 15, 0, 2, 0, half, 0, half, tag.size), stored.tobytes()
            return (20, TYPES[kind], tag.size), stored.tobytes()
        if isinstance(tag, (bool, np.bool_)):
            return (8,), bytes([tag])
        default = "u4" if isinstance(tag, int) else "f8"
        kind = tag.dtype.str[1:] if isinstance(tag, np.generic) else default
        return (TYPES[kind],), np.array(tag, self.order + kind).tobytes()


def image(
    pixels: NDArray[Any],
    *,
    name: str = "image",
    tags: Mapping[str, Any] | None = None,
    steps: Sequence[tuple[float, str]] | None = None,
    data_type: int | None = None,
    dimensions: Sequence[int] | None = None,
    data_last: bool = False,
) -> dict[str, Any]:
    """Return an entry of the list of images; ``steps`` are those of the axes.

    Axes are given slowest first, as in ``pixels.shape``.
    """
    steps = [(1.0, "")] * pixels.ndim if steps is None else steps
    axes = [
        {"Origin": np.float32(3), "Scale": np.float32(scale), "Units": unit}
        for scale, unit in reversed(steps)
    ]
    kind = DATA_TYPES.get(pixels.dtype.str[1:], 0) if data_type is None else data_type
    shape = pixels.shape if dimensions is None else dimensions
    stored = pixels.view("u1") if pixels.dtype.kind == "b" else pixels
    data = {
        "Calibrations": {
            "Brightness": {"Origin": 0.0, "Scale": 1.0, "Units": "e-"},
            "Dimension": axes,
        },
        "Data": stored.ravel(),
        "DataType": kind,
        "Dimensions": [int(n) for n in reversed(shape)],
        "PixelDepth": pixels.itemsize,
    }
    rest = {"ImageTags": dict(tags or {}), "Name": name, "UniqueID": [1, 2, 3, 4]}
    if data_last:
        data["Data"] = data.pop("Data")
        return {**rest, "ImageData": data}
    return {"ImageData": data, **rest}


def thumbnail() -> dict[str, Any]:
    """Return the small picture that stands before the images."""
    return image(np.zeros((4, 4), "u4"), name="Image Of image", data_type=COLORS)


def document(
    images: Sequence[Mapping[str, Any]], *, thumbnail_index: int | None = 0
) -> dict[str, Any]:
    """Return the tags of a file."""
    marks = [] if thumbnail_index is None else [{"ImageIndex": thumbnail_index}]
    return {
        "ApplicationBounds": (0.0, 0.0, 100.0, 200.0),
        "DocumentObjectList": [{"AnnotationType": 20, "IsVisible": True}],
        "Thumbnails": marks,
        "ImageList": list(images),
    }


def order_tag(swapped: Any = True, kind: str = "Diffraction image") -> dict[str, Any]:
    """Return the tags that tell what an image is, and the order of its axes."""
    meta: dict[str, Any] = {"Format": kind}
    return {
        "Meta Data": meta
        if swapped is None
        else {**meta, "Data Order Swapped": swapped}
    }


def write_dm(path: Path, root: Mapping[str, Any], **options: Any) -> bytes:
    """Write a file of any tags, and return its bytes."""
    content = Writer(**options).file(root)
    path.write_bytes(content)
    return content


def write_image(path: Path, pixels: NDArray[Any], **options: Any) -> None:
    """Write a file with a thumbnail and one image."""
    write_dm(path, document([thumbnail(), image(pixels, **options)]), version=3)
