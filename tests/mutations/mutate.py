"""Damage to the bytes of a file, the same for the same file name and seed.

Formats differ in where they keep what a reader trusts: in the first kilobyte, behind
the pixels, or all over the file (tags, B-trees, block headers, text). So places are
drawn near the beginning, near the end, near text and marks, and anywhere.
"""

from __future__ import annotations

import random
import re
import struct
from collections.abc import Callable, Sequence
from typing import NamedTuple

# words of text, marks of HDF5 structures, of DM tags, of K2IS blocks and of SER files
MARKS = re.compile(
    rb"[ -~]{4,}|TREE|HEAP|SNOD|GCOL|FRHP|FHDB|FHIB|BTHD|BTIN|BTLF|OHDR|OCHK"
    rb"|FAHD|FADB|EAHD|EAIB|EADB|EASB|%%%%|\xff\xff\x00\x55|\x97\x01"
)
NUMBERS = re.compile(rb"[-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?")
MAX_SEARCHED = 2**18  # bytes: pixels hold marks by accident

WHOLE = (0, 1, -1, 2, 255, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1)
WHOLE += (2**62, 2**63 - 1, 2**63, 2**64 - 1, 10**6, 10**9)
REAL = (0.0, -1.0, 1e308, -1e308, 5e-324, 1e-30, 1e19)
REAL += (float("nan"), float("inf"), -float("inf"))
TEXT = (b"0", b"1", b"-1", b"2147483647", b"2147483648", b"4294967295", b"0.5")
TEXT += (b"9223372036854775808", b"18446744073709551616", b"1e308", b"1e999", b"nan")
TEXT += (b"inf", b"-inf", b"", b"-", b"1_0", b"0x10", b"007", b"3", b"1" + b"0" * 30)
TEXT += ("٣".encode(), "²".encode(), b"\xff", b"9" * 5000)


class Mutant(NamedTuple):
    """A damaged file, and what was done to it in words."""

    content: bytes
    story: str


def mutate(name: str, seed: int, content: bytes, donors: Sequence[bytes]) -> Mutant:
    """Damage a file.

    Parameters
    ----------
    name : str
        With the seed, it decides what is done.
    seed : int
    content : bytes
        The intact file.
    donors : sequence of bytes
        Other files of the same format, of which pieces are put in.
    """
    rng = random.Random(f"{name} {seed}")
    damaged = bytearray(content)
    story = []
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 5, 8))):
        change = rng.choices(tuple(WEIGHTS), tuple(WEIGHTS.values()))[0]
        story.append(change(rng, damaged, donors))
    return Mutant(bytes(damaged), "; ".join(story))


def place(rng: random.Random, data: bytearray) -> int:
    """Draw a byte that is likely to matter."""
    size = len(data)
    kind = rng.random()
    if kind < 0.15:
        return rng.randrange(min(size, 64))
    if kind < 0.4:
        return rng.randrange(min(size, 1024))
    if kind < 0.5:
        return size - 1 - rng.randrange(min(size, 1024))
    if kind < 0.75:
        starts = [mark.start() for mark in MARKS.finditer(data, 0, MAX_SEARCHED)]
        if starts:
            near = rng.choice(starts) + rng.randrange(-16, 40)
            return min(max(near, 0), size - 1)
    return rng.randrange(size)


def piece(rng: random.Random, data: bytes | bytearray, start: int) -> slice:
    longest = rng.choice((1, 2, 4, 8, 16, 64, 512, 4096, len(data)))
    return slice(start, start + rng.randint(1, longest))


def flip(rng: random.Random, data: bytearray, donors: Sequence[bytes]) -> str:
    if not data:
        return "nothing left to flip"
    at, count = place(rng, data), rng.choice((1, 1, 1, 2, 4, 16))
    bits = rng.random() < 0.5
    for k in range(at, min(at + count, len(data))):
        data[k] = data[k] ^ 1 << rng.randrange(8) if bits else rng.randrange(256)
    return f"{count} {'bits' if bits else 'bytes'} flipped at {at}"


def cut(rng: random.Random, data: bytearray, donors: Sequence[bytes]) -> str:
    at = 0 if not data or rng.random() < 0.01 else place(rng, data)
    del data[at:]
    return f"cut at {at}"


def splice(rng: random.Random, data: bytearray, donors: Sequence[bytes]) -> str:
    if not data:
        return "nothing left to splice"
    kind = rng.choice(("removed", "repeated", "copied", "swapped", "foreign", "zeros"))
    at = place(rng, data)
    taken = piece(rng, data, at)
    old = bytes(data[taken])
    where = f"{len(old)} bytes at {at}"
    if kind == "removed":
        del data[taken]
    elif kind == "repeated":
        data[at:at] = old * min(rng.choice((1, 1, 2, 9)), 1 + 2**20 // len(old))
    elif kind == "zeros":
        data[taken] = bytes(len(old)) if rng.random() < 0.7 else b"\xff" * len(old)
    elif kind == "foreign" and donors:
        donor = rng.choice(donors)
        start = at if rng.random() < 0.5 else rng.randrange(max(len(donor), 1))
        graft = donor[start : start + len(old)]
        data[at : at + (len(graft) if rng.random() < 0.7 else 0)] = graft
    else:
        other = place(rng, data)
        there = bytes(data[other : other + len(old)])
        data[other : other + len(there)] = old[: len(there)]
        if kind == "swapped":
            data[at : at + len(there)] = there
        where += f" and {other}"
    return f"{kind}: {where}"


def binary_number(rng: random.Random, data: bytearray, donors: Sequence[bytes]) -> str:
    kind = rng.choice("BHHIIIIQQQfd")
    order = rng.choice("<<>")
    size = struct.calcsize(kind)
    if len(data) < size:
        return "no number fits"
    at = min(place(rng, data), len(data) - size)
    if rng.random() < 0.6:
        at -= at % min(size, 4)
    if kind in "fd":
        value: float = rng.choice(REAL)
        largest = 3e38
        value = max(-largest, min(value, largest)) if kind == "f" else value
        packed = struct.pack(order + kind, value)
    else:
        (now,) = struct.unpack_from(order + kind, data, at)
        # Sizes and addresses that just fit are as bad as extremes: they make loops.
        inside = rng.randrange(len(data) + 1)
        near = (now + 1, now - 1, 2 * now, len(data), inside, inside - inside % 8, at)
        value = rng.choice(WHOLE if rng.random() < 0.6 else near) % 2 ** (8 * size)
        packed = struct.pack(order + kind, value)
    data[at : at + size] = packed
    return f"{order}{kind} at {at} is {value}"


def text_number(rng: random.Random, data: bytearray, donors: Sequence[bytes]) -> str:
    found = list(NUMBERS.finditer(data, 0, MAX_SEARCHED))
    if not found:
        return binary_number(rng, data, donors)
    # a number with text around it rather than a digit among pixels
    worded = [
        n for n in found if data[max(n.start() - 3, 0) : n.end() + 1].strip().isascii()
    ]
    number = rng.choice(worded or found)
    value = rng.choice(TEXT)
    start, end = number.span()
    if rng.random() < 0.5:  # what follows stays where it is
        end = min(len(data), max(end, start + len(value)))
        data[start:end] = value.ljust(end - start)
    else:
        data[start:end] = value
    return f"number at {start} is {value[:24]!r}"


Change = Callable[[random.Random, bytearray, Sequence[bytes]], str]
WEIGHTS: dict[Change, float] = {
    flip: 3,
    cut: 1,
    splice: 3,
    binary_number: 4,
    text_number: 2,
}
