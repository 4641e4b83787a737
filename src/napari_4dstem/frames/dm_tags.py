"""Tags of Gatan DigitalMicrograph: the tree that DM3, DM4 and GTG files consist of.

Gatan does not publish the format. Source: the layout as public readers describe it
(ncempy, RosettaSciIO, LiberTEM), checked against recorded files.

All numbers of the structure are big-endian; values follow the flag in the header.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from napari_4dstem.errors import FormatError
from napari_4dstem.frames.records import read_head
from napari_4dstem.frames.refusals import DAMAGED, INTERRUPTED, not_a

GROUP, VALUE = 20, 21
MARK = b"%%%%"  # in front of every value
PIXELS = "Data"  # the tag that holds those of an image
STRUCT, STRING, ARRAY = 15, 18, 20
# as numpy and as struct call them
SIMPLE = {
    2: "i2", 3: "i4", 4: "u2", 5: "u4", 6: "f4", 7: "f8", 8: "?", 9: "i1", 10: "u1",
    11: "i8", 12: "u8",
}  # fmt: skip
CODES = {
    2: "h", 3: "i", 4: "H", 5: "I", 6: "f", 7: "d", 8: "?", 9: "b", 10: "B", 11: "q",
    12: "Q",
}  # fmt: skip
BLOCK_NBYTES = 2**16
# Real trees are some ten levels deep and have some thousand tags.
MAX_DEPTH = 64
MAX_TAGS = 300_000
# Words that describe the type of a value; a struct has two a field.
MAX_TYPE_WORDS = 4096
# Longer arrays are left in the file.
MAX_CONTENT = 4096
# Longer arrays of numbers are not worth showing.
MAX_PLAIN = 64


@dataclass(frozen=True, slots=True)
class TagArray:
    """An array in the file.

    Attributes
    ----------
    offset : int
        Byte of the file at which it begins.
    count : int
        Number of elements.
    dtype : dtype
        Of an element.
    content : bytes
        The array itself if it is short, else nothing.
    """

    offset: int
    count: int
    dtype: np.dtype[Any]
    content: bytes = b""

    @property
    def nbytes(self) -> int:
        """Bytes of the array."""
        return self.count * self.dtype.itemsize

    @property
    def text(self) -> str:
        """The array as text, which is kept as UTF-16; empty if it is none."""
        if self.dtype.kind != "u" or self.dtype.itemsize != 2:
            return ""
        order = "be" if self.dtype.byteorder == ">" else "le"
        text = self.content.decode(f"utf-16-{order}", "replace")
        return text.strip("\0\u2028 \n")


# Labels, or, for tags without one, their place in the group.
Tags = dict[str | int, Any]


@dataclass
class TagTree:
    """The tags of a file.

    Attributes
    ----------
    root : dict
        Groups are dicts, values are numbers, text, tuples and `TagArray`.
    cut_in : TagArray or None
        The pixels in which the file ends; what comes after them is not known.
    byte_order : str
        Of all values, "<" or ">".
    """

    root: Tags = field(default_factory=dict)
    cut_in: TagArray | None = None
    byte_order: str = "<"


def may_be_tags(head: bytes) -> bool:
    """Whether the header of a file, a weak mark, is that of a tree of tags."""
    word = {b"\0\0\0\3": 4, b"\0\0\0\4": 8}.get(head[:4])
    return word is not None and head[4 + word : 8 + word] in (
        b"\0\0\0\0",
        b"\0\0\0\1",
    )


def are_tags(head: bytes) -> bool:
    """Whether the first bytes of a file are those of a tree of tags for sure."""
    word = 4 if head[3:4] == b"\3" else 8
    first = 4 + word + 4 + 2 + word  # the first tag of the root
    return may_be_tags(head) and head[first : first + 1] in (b"\x14", b"\x15")


def read_tags(path: Path) -> TagTree:
    """Read the tags of a file, but no long array.

    Parameters
    ----------
    path : Path

    Raises
    ------
    FormatError
        If the file cannot be read, is no such file, or its tags are broken.
    """
    head = read_head(path, BLOCK_NBYTES)
    with open(path, "rb", buffering=0) as file:
        return _Reader(path, file, head).tree()


class _CutOff(Exception):  # noqa: N818 -- an end, not an error: what is known is kept
    def __init__(self, array: TagArray) -> None:
        self.array = array


class _Reader:
    """Walks through the tree, with a block of the file at hand."""

    def __init__(self, path: Path, file: BinaryIO, head: bytes) -> None:
        self.path = path
        self.file = file
        self.size = file.seek(0, 2)
        self.position = 0
        self._block = head
        self._base = 0
        self._tags = 0
        self._order = "<"
        self._word = "I"
        self._word_nbytes = 4

    def tree(self) -> TagTree:
        self._read_header()
        tree = TagTree(byte_order=self._order)
        try:
            self._read_group(tree.root, 0)
        except _CutOff as end:
            tree.cut_in = end.array
        return tree

    # bytes

    def _need(self, nbytes: int) -> int:
        """Step over some bytes; returns where they are in the block."""
        at = self.position - self._base
        if at + nbytes > len(self._block):
            is_there = self.position + nbytes <= self.size
            if is_there:
                self.file.seek(self.position)
                self._block = self.file.read(max(nbytes, BLOCK_NBYTES))
                self._base, at = self.position, 0
            if not is_there or len(self._block) < nbytes:
                raise self._cut_off(nbytes)
        self.position += nbytes
        return at

    def _take(self, nbytes: int) -> bytes:
        at = self._need(nbytes)
        return self._block[at : at + nbytes]

    def _unpack(self, form: str) -> tuple[Any, ...]:
        at = self._need(struct.calcsize(form))
        return struct.unpack_from(form, self._block, at)

    # structure

    def _read_header(self) -> None:
        (version,) = self._unpack(">I") if self.size >= 4 else (0,)
        if self.size >= 4 and version not in (3, 4):
            if not 0 < version < 100:
                raise not_a(self.path, self._block, "a DM3 or DM4 file")
            raise self._error(
                "unknown version of the DM file",
                None,
                "Please report this file.",
                expected="3 or 4",
                found=version,
            )
        if version == 4:
            self._word, self._word_nbytes = "Q", 8
        if self.size < 4 + self._word_nbytes + 4:
            raise self._error(
                "the header is incomplete",
                None,
                INTERRUPTED,
                expected=f"at least {4 + self._word_nbytes + 4} bytes",
                found=f"{self.size} bytes",
            )
        # The size in the header is not reliable.
        _, little_endian = self._unpack(f">{self._word}I")
        if little_endian not in (0, 1):
            raise self._error(
                "the byte order of the DM file is unknown",
                4 + self._word_nbytes,
                expected="1 (little-endian) or 0 (big-endian)",
                found=little_endian,
            )
        self._order = "<" if little_endian else ">"

    def _read_group(self, tags: Tags, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise self._error(
                "the tags are damaged: they are nested too deeply",
                self.position,
                expected=f"at most {MAX_DEPTH} levels",
            )
        start = self.position
        _, _, count = self._unpack(f">BB{self._word}")
        least = 3 + 8 * (self._word == "Q")  # bytes of a tag
        if count * least > self.size:
            raise self._error(
                "the tags are damaged: there is no room for so many",
                start + 2,
                expected=f"at most {self.size // least} in a file of this size",
                found=count,
            )
        self._tags += count
        if self._tags > MAX_TAGS:
            raise self._error(
                f"the tags are damaged: there are more than {MAX_TAGS}", start + 2
            )
        for place in range(count):
            start = self.position
            kind, label_nbytes = self._unpack(">BH")
            if kind == 0 and depth == 0:
                return
            label: str | int = place
            if label_nbytes:
                label = self._take(label_nbytes).decode("latin-1")
            if self._word == "Q":
                self._need(8)  # bytes of the rest; some writers put 0
            if kind == GROUP:
                group: Tags = {}
                tags.setdefault(label, group)
                self._read_group(group, depth + 1)
            elif kind == VALUE:
                try:
                    value = self._read_value()
                except _CutOff as end:
                    if label != PIXELS:
                        raise self._cut_off(1) from end
                    tags.setdefault(label, end.array)
                    raise
                tags.setdefault(label, value)
            else:
                raise self._error(
                    "the tags are damaged: one is of an unknown kind",
                    start,
                    expected=f"{GROUP}, a group, or {VALUE}, a value",
                    found=kind,
                )

    def _read_value(self) -> Any:
        start = self.position
        mark, count = self._unpack(f">4s{self._word}")
        if mark != MARK:
            raise self._error(
                "the tags are damaged: a value does not begin with its mark",
                start,
                expected=MARK.decode(),
                found=f"the bytes {mark.hex(' ')}",
            )
        if not 0 < count <= MAX_TYPE_WORDS:
            raise self._error(
                "the tags are damaged: a value has an impossible type",
                start + 4,
                expected=f"1 to {MAX_TYPE_WORDS} words",
                found=count,
            )
        words = self._unpack(f">{count}{self._word}")
        if count == 1 and words[0] in SIMPLE:
            return self._unpack(self._order + CODES[words[0]])[0]
        try:
            return self._read_composite(words)
        except (ValueError, StopIteration) as error:
            raise self._error(
                "the tags are damaged: a value has an unknown type",
                start + 4 + self._word_nbytes,
                found=words[:8],
            ) from error

    def _read_composite(self, words: tuple[int, ...]) -> Any:
        rest = iter(words)
        kind = next(rest)
        if kind == ARRAY:
            element = self._type(rest, 1)
            return self._array(element, next(rest))
        if kind == STRING:
            array = self._array(np.dtype("S1"), next(rest))
            return array.content.decode("latin-1").strip("\0")
        dtype = self._type(iter(words), 0)
        values = np.frombuffer(self._take(dtype.itemsize), dtype, count=1)[0]
        return values.item()

    def _array(self, element: np.dtype[Any], count: int) -> TagArray:
        array = TagArray(self.position, count, element)
        end = array.offset + array.nbytes
        if end > self.size:
            raise _CutOff(array)
        if array.nbytes <= MAX_CONTENT:
            content = self._take(array.nbytes)
            return TagArray(array.offset, count, element, content)
        self.position = end
        return array

    def _type(self, words: Iterator[int], depth: int) -> np.dtype[Any]:
        kind = next(words)
        if kind in SIMPLE:
            return np.dtype(self._order + SIMPLE[kind])
        if depth > 4:
            raise ValueError("nested too deeply")
        if kind == STRUCT:
            next(words)  # length of its name
            fields = [(f"f{i}", self._field(words, depth)) for i in range(next(words))]
            return np.dtype(fields)
        if kind in (STRING, ARRAY):
            element = np.dtype("S1") if kind == STRING else self._type(words, depth + 1)
            count = next(words)
            if count * element.itemsize > self.size:
                raise ValueError("larger than the file")
            return np.dtype((element, (count,)))
        raise ValueError("unknown type")

    def _field(self, words: Iterator[int], depth: int) -> np.dtype[Any]:
        next(words)  # length of its name
        return self._type(words, depth + 1)

    def _cut_off(self, nbytes: int) -> FormatError:
        return self._error(
            "the file ends within its tags",
            self.position,
            INTERRUPTED,
            expected=f"{nbytes} bytes or more",
            found=f"the end of the file at byte {self.size}",
        )

    def _error(
        self, problem: str, offset: int | None, hint: str = DAMAGED, **facts: Any
    ) -> FormatError:
        return FormatError(self.path, problem, offset=offset, hint=hint, **facts)


def lookup(tags: Any, *labels: str | int) -> Any:
    """Return the tag at an exact place, or None."""
    for label in labels:
        if not isinstance(tags, Mapping):
            return None
        tags = tags.get(label)
    return tags


def text(tags: Any, *labels: str | int) -> str:
    """Return the text at an exact place; empty if there is none."""
    value = lookup(tags, *labels)
    if isinstance(value, TagArray):
        return value.text
    return value if isinstance(value, str) else ""


def number(tags: Any, *labels: str | int) -> float | None:
    """Return the finite number at an exact place, or None."""
    value = lookup(tags, *labels)
    if isinstance(value, (int, float)) and math.isfinite(value):
        return value
    return None


def as_plain(tags: Any) -> Any:
    """Return tags as dicts, lists, numbers and text; long arrays are left out."""
    if isinstance(tags, Mapping):
        plain = {label: as_plain(tag) for label, tag in tags.items()}
        plain = {label: tag for label, tag in plain.items() if tag is not None}
        if all(isinstance(label, int) for label in plain):
            return list(plain.values())
        return {str(label): tag for label, tag in plain.items()}
    if isinstance(tags, TagArray):
        if tags.dtype.kind == "u" and tags.dtype.itemsize == 2:
            return tags.text if len(tags.content) == tags.nbytes else None
        if tags.dtype.names or tags.count > MAX_PLAIN or tags.dtype.kind not in "biuf":
            return None
        return np.frombuffer(tags.content, tags.dtype).tolist()
    if isinstance(tags, tuple):
        return list(tags) if all(isinstance(n, (int, float)) for n in tags) else None
    return tags
