"""How much of a scan is worth reading in one go."""

from __future__ import annotations

from math import prod

# Large enough to hide the scheduler's work, small enough to have several at a time.
CHUNK_NBYTES = 2**25
# For frames that are stored together, more.
MAX_GRAIN_NBYTES = 2**27
MAX_CHUNKS = 100_000
# Of tiny frames, fewer bytes: each frame costs bookkeeping, too.
MAX_FRAMES = 2**18


def automatic_chunks(
    nav_shape: tuple[int, ...],
    sig_shape: tuple[int, ...],
    itemsize: int,
    grain: tuple[int, ...] = (),
    nbytes: int = CHUNK_NBYTES,
) -> tuple[int, ...]:
    """Return a chunk shape of whole frames: part of a line, or some whole lines.

    Parameters
    ----------
    nav_shape, sig_shape : tuple of int
    itemsize : int
        Bytes of a pixel.
    grain : tuple of int, optional
        Scan shape of frames that are read together: see `FrameSource`. Chunks consist
        of whole grains, unless a grain is far too large.
    nbytes : int
        About so large.
    """
    frame_nbytes = prod(sig_shape) * itemsize
    grain = _fitting(grain, nav_shape, MAX_GRAIN_NBYTES // frame_nbytes)
    grains = tuple(-(-n // g) for n, g in zip(nav_shape, grain, strict=True))
    frames = min(max(nbytes // frame_nbytes, 1), MAX_FRAMES)
    number = max(frames // prod(grain), 1)
    while True:
        shape: list[int] = []
        left = number
        for n in reversed(grains):
            parts = -(-n // min(left, n))
            shape.insert(0, -(-n // parts))
            left = max(1, left // n) if parts == 1 else 1
        count = prod(-(-n // c) for n, c in zip(grains, shape, strict=True))
        if count <= MAX_CHUNKS:
            sides = zip(shape, grain, nav_shape, strict=True)
            return (*(min(c * g, n) for c, g, n in sides), *sig_shape)
        number *= 2


def _fitting(
    grain: tuple[int, ...], nav_shape: tuple[int, ...], most: int
) -> tuple[int, ...]:
    """Return a grain for the axes of a scan, cut to some number of frames."""
    sides = ((1,) * len(nav_shape) + grain)[-len(nav_shape) :]
    fitting = [min(g, n) for g, n in zip(sides, nav_shape, strict=True)]
    for axis in range(len(fitting)):
        if prod(fitting) > most:
            fitting[axis] = 1
    return tuple(fitting)
