"""HDF5's filters, undone without the HDF5 library and its lock.

A chunk goes through a chain of filters when it is written; here they are undone, by
functions that release the GIL. What is not known here is left to the library.

Source: HDF5 file format specification (filter pipeline message); the HDF Group's
registry of filters; for bitshuffle https://github.com/kiyo-masui/bitshuffle.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Bytes = NDArray[np.uint8]
    # (number of the filter, its parameters)
    Filter = tuple[int, tuple[int, ...]]

DEFLATE, SHUFFLE, FLETCHER32, BZIP2 = 1, 2, 3, 307
LZF, BLOSC, LZ4, BITSHUFFLE, ZSTD = 32000, 32001, 32004, 32008, 32015
# Not szip: its decoder does not notice that bytes are missing.
COMPRESSORS = (DEFLATE, BZIP2, LZF, BLOSC, LZ4, BITSHUFFLE, ZSTD)
# as people know them; for messages only
NAMES = {
    DEFLATE: "gzip", SHUFFLE: "shuffle", FLETCHER32: "fletcher32", 4: "szip",
    5: "nbit", 6: "scale-offset", BZIP2: "bzip2", LZF: "lzf", BLOSC: "blosc",
    LZ4: "lz4", BITSHUFFLE: "bitshuffle", 32013: "zfp", 32014: "fpzip",
    ZSTD: "zstd", 32016: "b3d", 32017: "sz", 32018: "fcidecomp", 32019: "jpeg",
    32024: "sz3", 32026: "blosc2", 32028: "sperr", 32033: "htj2k",
}  # fmt: skip
# Their code in HDF5 trusts what it reads: damaged bytes crash it.
TRUSTING = (BLOSC, LZ4, BITSHUFFLE)
CHECKSUM_NBYTES = 4
# bitshuffle: bytes of a chunk and of a block, both big-endian, before the blocks
BLOCKS_BEGIN = 12
BLOCK_SIZE = struct.Struct(">I")
WITH_LZ4, WITH_ZSTD = 2, 3


class DamagedChunkError(Exception):
    """The bytes of a chunk are not what its filters write."""


class Scratch(threading.local):
    """Memory that a thread uses again for each chunk: fresh pages cost as much."""

    def __init__(self) -> None:
        self.arrays: dict[str, Bytes] = {}

    def take(self, use: str, size: int) -> Bytes:
        """Return so many bytes of any content; the same ones again for each use."""
        if use not in self.arrays or self.arrays[use].size < size:
            self.arrays[use] = np.empty(size, np.uint8)
        return self.arrays[use][:size]


def can_undo(filters: Sequence[Filter]) -> bool:
    """Whether `undo` knows this chain.

    One with filters and no compressor among them it does not: chunks that were
    stored without any filter could not be told from the others.
    """
    if not filters:
        return True
    compressors = [one for one in filters if one[0] not in (SHUFFLE, FLETCHER32)]
    known = len(compressors) == 1 and all(_is_known(*one) for one in filters)
    return known and _codecs() is not None


def _is_known(code: int, values: tuple[int, ...]) -> bool:
    if code == SHUFFLE:
        return len(values) == 1 and values[0] > 0
    if code == BITSHUFFLE:
        return len(values) > 4 and values[2] > 0 and values[4] in (WITH_LZ4, WITH_ZSTD)
    return code in COMPRESSORS or code == FLETCHER32


def undo(
    filters: Sequence[Filter], skipped: int, raw: Bytes, out: Bytes, scratch: Scratch
) -> None:
    """Write the bytes of a chunk as they were before the filters.

    Parameters
    ----------
    filters : sequence of (int, tuple of int)
        In the order in which they were applied, such that `can_undo` them.
    skipped : int
        Bit i is set if filter i was not applied to this chunk.
    raw : uint8 array
        As stored; is not changed.
    out : uint8 array
        Of the size of a chunk, contiguous; overwritten.
    scratch : Scratch
        For what lies between one filter and the next.

    Raises
    ------
    DamagedChunkError
        If the bytes are not what the filters write.
    """
    steps = [one for i, one in enumerate(filters) if not skipped >> i & 1]
    before = [code for code, _ in steps]
    while steps:
        code, values = steps.pop()
        before.pop()
        if code == FLETCHER32:
            raw = _without_checksum(raw)
            continue
        size = raw.size
        if code in COMPRESSORS:
            size = out.size + CHECKSUM_NBYTES * before.count(FLETCHER32)
        target = scratch.take(f"filter {len(steps)}", size) if steps else out
        try:
            _undo_one(code, values, raw, target, scratch)
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            raise DamagedChunkError(f"{NAMES[code]}: {error}") from error
        raw = target
    if raw is not out:
        _expect(raw.size, out.size)
        out[:] = raw


def _expect(found: int, size: int) -> None:
    if found != size:
        raise DamagedChunkError(f"{found} bytes instead of {size}")


@cache
def _codecs() -> Any:
    """Return the library of decompressors, None if it is not installed."""
    try:
        import imagecodecs
    except ImportError:
        return None
    return imagecodecs


def _undo_one(
    code: int, values: tuple[int, ...], raw: Bytes, out: Bytes, scratch: Scratch
) -> None:
    if code == SHUFFLE:
        _unshuffle(raw, values[0], out)
    elif code == BITSHUFFLE:
        _bitunshuffle(raw, values, out, scratch)
    else:
        _expect(len(_decompressed(code, raw, out)), out.size)


def _decompressed(code: int, raw: Bytes, out: Bytes) -> Bytes:
    """Return the part of ``out`` that was filled."""
    codecs = _codecs()
    if code == BLOSC:
        _check_blosc(raw, out)
        filled = codecs.blosc_decode(raw, numthreads=1, out=out)
    else:
        decoders = {
            DEFLATE: codecs.deflate_decode,
            BZIP2: codecs.bz2_decode,
            LZF: codecs.lzf_decode,
            LZ4: codecs.lz4h5_decode,
            ZSTD: codecs.zstd_decode,
        }
        filled = decoders[code](raw, out=out)
    return np.asarray(filled)


def _check_blosc(raw: Bytes, out: Bytes) -> None:
    """Compare the sizes in the header: the decoder trusts them."""
    sizes = np.frombuffer(raw[4:16].tobytes(), "<u4").tolist()
    if len(sizes) < 3 or sizes[0] != out.size or sizes[2] != raw.size:
        raise DamagedChunkError(f"blosc: sizes {sizes} in the header")


def _without_checksum(raw: Bytes) -> Bytes:
    if raw.size < CHECKSUM_NBYTES:
        raise DamagedChunkError("shorter than its checksum")
    data = raw[:-CHECKSUM_NBYTES]
    stored = raw[-CHECKSUM_NBYTES:].tobytes()
    found = int(_codecs().h5checksum_fletcher32(data)).to_bytes(4, "little")
    # Old versions of HDF5 swapped bytes in pairs on some machines, and all accept it.
    if stored not in (found, found[1::-1] + found[:1:-1]):
        raise DamagedChunkError("the checksum is wrong")
    return data


def _unshuffle(raw: Bytes, itemsize: int, out: Bytes) -> None:
    """Put the bytes of a number side by side again; they lie in planes."""
    _expect(raw.size, out.size)
    count = out.size // itemsize
    whole = count * itemsize
    planes, numbers = raw[:whole], out[:whole]
    for i in range(itemsize):
        numbers[i::itemsize] = planes[i * count : (i + 1) * count]
    out[whole:] = raw[whole:]


def _bitunshuffle(
    raw: Bytes, values: tuple[int, ...], out: Bytes, scratch: Scratch
) -> None:
    """Blocks of bit planes, each compressed on its own; then a rest as it is."""
    codecs, itemsize = _codecs(), values[2]
    total = int.from_bytes(raw[:8].tobytes(), "big")
    block = int.from_bytes(raw[8:BLOCKS_BEGIN].tobytes(), "big")
    _expect(total, out.size)
    whole = total - total % (8 * itemsize)
    if block < 8 * itemsize or block % (8 * itemsize):
        raise DamagedChunkError(f"blocks of {block} bytes")
    sizes = _block_sizes(raw, -(-whole // block))
    end = BLOCKS_BEGIN + sum(sizes) + BLOCK_SIZE.size * len(sizes)
    rest = raw[end : end + total - whole]
    _expect(rest.size, total - whole)
    planes = scratch.take("planes", total)
    is_lz4 = values[4] == WITH_LZ4
    as_large = block in sizes or sizes[-1:] == [whole - (len(sizes) - 1) * block]
    if is_lz4 and whole == total and not as_large:
        # The bytes are those of the filter lz4, unless that takes a block for one
        # that did not get smaller: one call instead of many.
        _expect(len(codecs.lz4h5_decode(raw, out=planes)), total)
    else:
        decode = codecs.lz4_decode if is_lz4 else codecs.zstd_decode
        begin = BLOCKS_BEGIN
        for i, size in enumerate(sizes):
            begin += BLOCK_SIZE.size
            target = planes[i * block : min((i + 1) * block, whole)]
            found = decode(raw.data[begin : begin + size], out=target)
            _expect(len(found), target.size)
            begin += size
        planes[whole:] = rest
    codecs.bitshuffle_decode(
        planes.data, itemsize=itemsize, blocksize=block // itemsize, out=out
    )


def _block_sizes(raw: Bytes, count: int) -> list[int]:
    """Return the bytes of each compressed block; the GIL is held, so do little."""
    sizes = []
    data, size, unpack = raw.data, raw.size, BLOCK_SIZE.unpack_from
    end = BLOCKS_BEGIN
    for _ in range(count):
        if end + 4 > size:
            raise DamagedChunkError("blocks are missing")
        (nbytes,) = unpack(data, end)
        sizes.append(nbytes)
        end += 4 + nbytes
    return sizes
