"""Words that the kernels' own LLVM code is made of; to import this is to import numba.

numba makes vectors of long loops only, and not of all. What has to be fast on the short
rows of a detector is therefore written for LLVM: with vectors of 64 bytes, which LLVM
cuts into what the processor has, and without assumptions on alignment.

A *lane* is a pixel in a vector. ``lane`` in a kernel's arguments is a tuple of which
only the types matter: that of a pixel (bool: a single bit), and whether the bytes of
each lane are to be swapped, bool or None; uint64: those of each word.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types

from napari_4dstem.decode.mask_table import BLOCK

# Frames that are worked on together: the loads of all of them wait for memory at the
# same time, which is what makes masks with holes as fast as whole frames.
AT_ONCE = 4

I32, I64 = ir.IntType(32), ir.IntType(64)
WORDS = ir.VectorType(I64, 8)
DOUBLES = ir.VectorType(ir.DoubleType(), 8)
HALVES = ir.VectorType(I32, 16)


class Lane:
    """What a lane is, from the types of an argument ``lane``."""

    def __init__(self, pixel: Any, swapped: Any) -> None:
        self.bits = 1 if pixel == types.boolean else pixel.bitwidth
        self.is_float = isinstance(pixel, types.Float)
        self.is_signed = pixel in types.signed_domain
        self.is_swapped = swapped != types.none
        self.is_in_words = swapped == types.uint64
        self.count = 8 * BLOCK // self.bits

    def swapped(self, b: Any, block: Any) -> Any:
        """Return a block with the bytes of each lane in native order."""
        if not self.is_swapped:
            return block
        if self.is_in_words:
            return call(b, "llvm.bswap.v8i64", WORDS, block)
        lanes = ir.VectorType(ir.IntType(self.bits), self.count)
        name = f"llvm.bswap.v{self.count}i{self.bits}"
        return b.bitcast(call(b, name, lanes, b.bitcast(block, lanes)), WORDS)

    def parts(self, b: Any, block: Any, size: int) -> list[Any]:
        """Return the lanes of a block in vectors of ``size``, as numbers."""
        kind = ir.IntType(self.bits)
        if self.is_float:
            kind = ir.FloatType() if self.bits == 32 else ir.DoubleType()
        lanes = b.bitcast(block, ir.VectorType(kind, self.count))
        return cut(b, lanes, size)

    @property
    def is_dealt(self) -> bool:
        """Whether `dealt` gives the lanes out of their order."""
        return self.bits in (8, 16) and not self.is_float

    def dealt(self, b: Any, block: Any, kind: Any) -> list[Any]:
        """Return the lanes as wider numbers, in the order that is the fastest.

        Of lanes of 8 and 16 bits: the first of each 32 bits, then the second ... See
        `dealt_order`.
        """
        if not self.is_dealt:
            return self.numbers(b, block, kind)
        groups, found = b.bitcast(block, HALVES), []
        for first in range(0, 32, self.bits):
            part = groups
            above, below = 32 - self.bits - first, 32 - self.bits
            if above and self.is_signed:
                part = b.shl(part, _many(above))
            if self.is_signed:
                found.append(b.ashr(part, _many(below)))
                continue
            part = b.lshr(part, _many(first)) if first else part
            found.append(b.and_(part, _many(2**self.bits - 1)) if above else part)
        return found

    def numbers(self, b: Any, block: Any, kind: Any) -> list[Any]:
        """Return the lanes of a block in vectors of wider numbers."""
        parts = self.parts(b, block, kind.count)
        if kind == DOUBLES and not self.is_float:
            convert = b.sitofp if self.is_signed else b.uitofp
        elif self.bits == 8 * BLOCK // kind.count:
            return parts
        elif self.is_float:
            convert = b.fpext
        else:
            convert = b.sext if self.is_signed else b.zext
        return [convert(part, kind) for part in parts]


def _many(number: int) -> Any:
    """Return sixteen times the same number."""
    return ir.Constant(HALVES, [I32(number)] * HALVES.count)


def sum_type(lane: Lane) -> Any:
    """Return vectors of the type of short sums of lanes."""
    if lane.is_float:
        return DOUBLES
    return HALVES if lane.bits <= 16 else WORDS


def cut(b: Any, vector: Any, size: int) -> list[Any]:
    """Return a vector in pieces of so many elements."""
    if size == vector.type.count:
        return [vector]
    nothing = ir.Constant(vector.type, ir.Undefined)
    numbers = ir.VectorType(I32, size)
    return [
        b.shuffle_vector(
            vector, nothing, ir.Constant(numbers, [*range(first, first + size)])
        )
        for first in range(0, vector.type.count, size)
    ]


def frames_at_once(b: Any, address: Any, stride: Any, count: Any) -> list[Any]:
    """Return the addresses of frames; after the last of ``count`` this one again."""
    last = b.sub(count, I64(1))
    frames = []
    for i in range(AT_ONCE):
        number = b.select(b.icmp_signed("<", I64(i), last), I64(i), last)
        frames.append(b.add(address, b.mul(number, stride)))
    return frames


def variables(b: Any, kind: Any, start: Any = None) -> list[Any]:
    """Return a variable for each of the frames, 0 or loaded from ``start`` on."""
    found = []
    for i in range(AT_ONCE):
        variable = cgutils.alloca_once(b, kind)
        begin = None if start is None else b.add(start, I64(BLOCK * i))
        b.store(kind(None) if begin is None else load(b, begin, kind), variable)
        found.append(variable)
    return found


def splat(number: int) -> Any:
    """Return eight times the same word."""
    return ir.Constant(WORDS, [I64(number)] * 8)


def load(b: Any, address: Any, kind: Any, align: int = 8) -> Any:
    """Return what lies at an address."""
    return b.load(b.inttoptr(address, kind.as_pointer()), align=align)


def store(b: Any, value: Any, address: Any, align: int = 8) -> None:
    """Put something to an address."""
    b.store(value, b.inttoptr(address, value.type.as_pointer()), align=align)


def call(b: Any, name: str, kind: Any, *arguments: Any) -> Any:
    """Call a function of LLVM."""
    function = ir.FunctionType(kind, [argument.type for argument in arguments])
    return b.call(cgutils.get_or_insert_function(b.module, function, name), arguments)
