"""Global heaps of HDF5 files: whether HDF5 comes to their end.

HDF5 keeps texts of any length in such heaps, and the sources of virtual data sets. It
waits for ever over one that has zeros where it should go on, as in a file of which a
part is missing. So heaps are walked through here first. It takes a little of the file
format: where the header of an object keeps its attributes and its layout, and where
these keep the address of a heap. (Headers with more than a few attributes may keep them
elsewhere; these are not looked at.)

Source: HDF5 file format specification, sections III.E (global heap) and IV (object
headers).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

HEAP = struct.Struct("<4s4sQ")  # signature, version, bytes
ENTRY = struct.Struct("<HHIQ")  # number, references, -, bytes
REFERENCE = struct.Struct("<IQI")  # letters, address of the heap, number in there
ATTRIBUTE = struct.Struct("<BBHHH")  # version, flags, bytes of name, type and shape
BLOCK = struct.Struct("<QQ")  # address and bytes
LAYOUT_MESSAGE, ATTRIBUTE_MESSAGE, CONTINUATION = 0x08, 0x0C, 0x10
VIRTUAL = b"\x04\x03"  # the layout of a virtual data set
SOURCES = struct.Struct("<QI")  # address of the heap, number in there
CHECKSUM_NBYTES = 4
VARIABLE_LENGTH = 9
# No header has more blocks, no block or heap more bytes.
MAX_BLOCKS, MAX_NBYTES = 100, 2**24


class _File(NamedTuple):
    """An open file, to read bytes of."""

    descriptor: int
    base: int  # its addresses count from here

    def read(self, address: int, count: int) -> bytes:
        """Return bytes at an address; fewer beyond the end, none if there are many."""
        if count > MAX_NBYTES or self.base + address >= 2**62:
            return b""
        return os.pread(self.descriptor, count, self.base + address)


def member(group: Any, name: str) -> Any:
    """Return a member of a group that has no link in its name.

    Raises
    ------
    OSError
        If HDF5 would hang over it, or crash.
    """
    file = _file_of(group)
    if file is not None and name != "/":
        # Not from h5o.get_info: that opens the object already.
        header = int(group.id.links.get_info(name.encode()).u)
        for kind, body in _messages(file, header):
            is_virtual = kind == LAYOUT_MESSAGE and body.startswith(VIRTUAL)
            if is_virtual and not _sources_are_sound(file, body[len(VIRTUAL) :]):
                raise OSError("the list of its sources is damaged")
    return group[name]


def attributes_are_sound(thing: Any) -> bool:
    """Whether HDF5 can read all texts of any length that are attributes."""
    import h5py

    file = _file_of(thing)
    if file is None:
        return True
    messages = _messages(file, int(h5py.h5o.get_info(thing.id).addr))
    return all(
        _is_sound(file, _references(body))
        for kind, body in messages
        if kind == ATTRIBUTE_MESSAGE
    )


def values_are_sound(dataset: Any) -> bool:
    """Whether HDF5 can read the texts of any length in a data set."""
    file = _file_of(dataset)
    if file is None or dataset.id.get_offset() is None:
        return file is None
    offset = int(dataset.id.get_offset()) - file.base
    return _is_sound(file, file.read(offset, REFERENCE.size * dataset.size))


def _file_of(thing: Any) -> _File | None:
    """Return the file, None if it is not one as usual."""
    if not hasattr(os, "pread") or thing.file.driver != "sec2":
        return None
    if thing.file.id.get_create_plist().get_sizes() != (8, 8):
        return None
    return _File(thing.file.id.get_vfd_handle(), int(thing.file.userblock_size))


def _sources_are_sound(file: _File, reference: bytes) -> bool:
    """Whether the list of sources of a virtual data set is as it was written.

    It ends with its checksum, which HDF5 compares after it has believed all the rest.
    """
    if len(reference) < SOURCES.size:
        return True
    heap, number = SOURCES.unpack_from(reference)
    objects = _objects(file, heap)
    sources = b"" if objects is None else objects.get(number, b"")
    if objects is None or len(sources) < CHECKSUM_NBYTES:
        return objects is not None
    try:
        from imagecodecs import h5checksum_lookup3
    except ImportError:
        return True
    said = int.from_bytes(sources[-CHECKSUM_NBYTES:], "little")
    return bool(h5checksum_lookup3(sources[:-CHECKSUM_NBYTES]) == said)


def _is_sound(file: _File, references: bytes) -> bool:
    whole = len(references) // REFERENCE.size * REFERENCE.size
    heaps = {address for _, address, _ in REFERENCE.iter_unpack(references[:whole])}
    return all(_objects(file, heap) is not None for heap in heaps if heap)


def _objects(file: _File, address: int) -> dict[int, bytes] | None:
    """Return what is in a heap, by its number; None if a walk comes to no end."""
    objects: dict[int, bytes] = {}
    head = file.read(address, HEAP.size)
    if len(head) < HEAP.size or not head.startswith(b"GCOL"):
        return objects  # HDF5 says so itself
    heap = file.read(address, HEAP.unpack(head)[2])
    at = HEAP.size
    while at + ENTRY.size <= len(heap):
        number, _, _, nbytes = ENTRY.unpack_from(heap, at)
        # What is free counts its own head.
        step = ENTRY.size + -(-nbytes // 8) * 8 if number else nbytes
        if step <= 0 or (number and at + step > len(heap)):
            return None  # HDF5 steps back, or not at all
        if number:
            begin = at + ENTRY.size
            objects[number] = heap[begin : begin + nbytes]
        at += step
    return objects


def _messages(file: _File, header: int) -> Iterator[tuple[int, bytes]]:
    """Yield kind and content of what the header of an object consists of."""
    head = file.read(header, 64).ljust(64, b"\0")
    is_new = head.startswith(b"OHDR")
    if is_new:
        flags = head[5]
        at = 6 + 16 * bool(flags & 0x20) + 4 * bool(flags & 0x10)
        width = 1 << (flags & 3)
        size = int.from_bytes(head[at : at + width], "little")
        blocks = [(header + at + width, size)]
        message, order = struct.Struct("<BHB"), 2 * bool(flags & 0x04)
    else:
        blocks = [(header + 16, int.from_bytes(head[8:12], "little"))]
        message, order = struct.Struct("<HHB3x"), 0
    for address, size in blocks:
        data = file.read(address, size)
        if is_new and data.startswith(b"OCHK"):
            data = data[4:-4]  # without its mark and its checksum
        at = 0
        while at + message.size + order <= len(data):
            kind, size, _ = message.unpack_from(data, at)
            at += message.size + order
            body = data[at : at + size]
            at += size
            yield kind, body
            if kind == CONTINUATION and len(body) >= BLOCK.size:
                following = BLOCK.unpack_from(body)
                if following not in blocks and len(blocks) < MAX_BLOCKS:
                    blocks.append(following)


def _references(body: bytes) -> bytes:
    """Return the references to heaps in an attribute; none if it holds other things."""
    if len(body) < ATTRIBUTE.size:
        return b""
    version, flags, *sizes = ATTRIBUTE.unpack_from(body)
    at = ATTRIBUTE.size + (version == 3)
    if version == 1:
        sizes = [-(-size // 8) * 8 for size in sizes]
    name, kind, shape = sizes
    is_shared = version > 1 and flags & 1  # its type is stored elsewhere
    if is_shared or at + name >= len(body):
        return b""
    has_texts = body[at + name] & 15 == VARIABLE_LENGTH
    return body[at + name + kind + shape :] if has_texts else b""
