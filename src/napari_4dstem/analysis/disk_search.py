"""Where roughly the brightest disk of a frame is: all positions and radii are tried.

A disk is what is brighter inside of a circle than just outside of it. Convolution gives
that difference for one radius and all positions at once; large radii are tried on
binned frames, so that every radius costs little.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SEARCHED_PX = 512  # larger frames are binned before
COARSEST_PX = 24

# Radii that are tried on a frame of one binning, in its pixels.
SMALLEST_RADIUS, LEAST_RADIUS, MOST_RADIUS = 1.5, 3.0, 6.0
LARGEST_RADIUS = 0.75  # of the longer side, on the coarsest frame
RADIUS_STEP = 1.15
RING = (0.8, 1.25)  # what is compared inside and outside, in radii

# A frame is searched where neighboring pixels are as much alike as this, from 0 for
# noise to 1: never in noise alone, and in sparse counts only after binning.
LEAST_LIKENESS = 0.3

# A large disk is worth more than a small one of equal brightness.
WORTH_OF_RADIUS = 2 / 3

# Pixels can be clipped at multiples of the brightness of those that hold the brighter
# half of the intensity: at all but none of them, and where a small spot has no chance.
CLIPPED_AT = (20.0, 2.0)


class Level(NamedTuple):
    """A frame binned by some factor."""

    image: NDArray[np.float64]
    factor: int

    def to_level(self, circle: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return a circle ``(y, x, radius)`` of the frame in pixels of this level."""
        return (circle - self._shift) / self.factor

    def to_frame(self, circle: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return a circle ``(y, x, radius)`` of this level in pixels of the frame."""
        return circle * self.factor + self._shift

    @property
    def _shift(self) -> NDArray[np.float64]:
        middle = (self.factor - 1) / 2  # of the first binned pixel
        return np.array((middle, middle, 0))


def levels(frame: NDArray[Any]) -> list[Level]:
    """Return the frame binned more and more, cleared of bright pixels and of offset.

    Empty where the frame is the same everywhere.
    """
    factor = -(-max(frame.shape) // SEARCHED_PX)
    image = _without_hot_pixels(_binned(frame, factor))
    image = np.maximum(image - np.percentile(image, 10), 0)
    result: list[Level] = []
    while image.any() and (not result or min(image.shape) >= COARSEST_PX // 2):
        result.append(Level(image, factor))
        image, factor = _binned(image, 2), 2 * factor
    return result


def clips(stack: list[Level]) -> tuple[float, ...]:
    """Return the brightnesses to clip at, from no influence to a strong one."""
    if not stack:
        return ()
    ordered = np.sort(stack[0].image, axis=None)
    held = np.cumsum(ordered)
    bright = float(ordered[np.searchsorted(held, held[-1] / 2)])
    return tuple(part * bright for part in CLIPPED_AT)


def search(stack: list[Level], clip: float) -> tuple[NDArray[np.float64], int] | None:
    """Return the best circle ``(y, x, radius)`` of the frame, and its level's number.

    None where all is noise.
    """
    best = 0.0
    found = None
    for number, (image, factor) in enumerate(stack):
        if _likeness(image) < LEAST_LIKENESS:
            continue
        radius = LEAST_RADIUS if number else SMALLEST_RADIUS
        largest = MOST_RADIUS
        if number == len(stack) - 1:
            largest = LARGEST_RADIUS * max(image.shape)
        padded = _Padded(np.minimum(image, clip), largest)
        while radius < largest:
            drops = padded.drops(radius)
            at = int(drops.argmax())
            worth = drops.flat[at] * (radius * factor) ** WORTH_OF_RADIUS
            if worth > best:
                y, x = divmod(at, image.shape[1])
                best, found = worth, (np.array((y, x, radius)), number)
            radius *= RADIUS_STEP
    if found is None:
        return None
    circle, number = found
    return stack[number].to_frame(circle), number


class _Padded:
    """An image continued beyond its borders, in Fourier space."""

    def __init__(self, image: NDArray[np.float64], largest: float) -> None:
        self.pad = math.ceil(RING[1] * largest) + 1
        self.image_shape = image.shape
        self.shape = tuple(_fast_length(n + 2 * self.pad) for n in image.shape)
        # By its border pixels: an edge of the frame is no edge of a disk.
        behind = (
            s - n - self.pad for s, n in zip(self.shape, image.shape, strict=True)
        )
        padded = np.pad(image, [(self.pad, after) for after in behind], mode="edge")
        self.spectrum = np.fft.rfft2(padded)

    def drops(self, radius: float) -> NDArray[np.float64]:
        """Mean inside minus mean outside of a circle around every pixel."""
        spectrum = self.spectrum * _ring_spectrum(self.shape, radius)
        height, width = self.image_shape
        drops: NDArray[np.float64] = np.fft.irfft2(spectrum, self.shape)[
            self.pad : self.pad + height, self.pad : self.pad + width
        ]
        return drops


@lru_cache(64)  # a few MB: what frames of one shape need
def _ring_spectrum(shape: tuple[int, ...], radius: float) -> NDArray[np.float32]:
    y, x = (np.fft.fftfreq(n, 1 / n) for n in shape)
    distance = np.hypot(y[:, None], x)

    def covered(r: float) -> NDArray[np.float64]:
        part: NDArray[np.float64] = np.clip(r + 0.5 - distance, 0, 1)
        return part

    inside = covered(radius)
    if radius >= LEAST_RADIUS:
        inside -= covered(RING[0] * radius)
    outside = covered(max(RING[1] * radius, radius + 1)) - covered(radius)
    ring = inside / inside.sum() - outside / outside.sum()
    return np.fft.rfft2(ring).real.astype(np.float32)


def _fast_length(n: int) -> int:
    """Next length without a prime factor above 5."""
    while True:
        rest = n
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return n
        n += 1


def _binned(image: NDArray[Any], factor: int) -> NDArray[np.float64]:
    """Means of blocks of pixels; what does not fill a block at the end is left out."""
    if factor == 1:
        return image.astype(np.float64)
    height, width = (n // factor for n in image.shape)
    blocks = image[: height * factor, : width * factor]
    rows = np.add.reduce(blocks.reshape(height, factor, -1), axis=1, dtype=np.float64)
    means: NDArray[np.float64] = rows.reshape(height, width, factor).mean(axis=2)
    return means / factor


def _without_hot_pixels(image: NDArray[np.float64]) -> NDArray[np.float64]:
    """No pixel of the brightest hundredth is above the second brightest around it."""
    padded = np.pad(image, 1, mode="reflect")
    height, width = image.shape
    first = np.full(image.shape, -np.inf)
    second = first.copy()
    for dy in range(3):
        for dx in range(3):
            if (dy, dx) != (1, 1):
                near = padded[dy : dy + height, dx : dx + width]
                np.maximum(second, np.minimum(first, near), out=second)
                np.maximum(first, near, out=first)
    limit: NDArray[np.float64] = np.maximum(second, np.percentile(image, 99))
    return np.minimum(image, limit)


def _likeness(image: NDArray[np.float64]) -> float:
    """Correlation of neighboring pixels."""
    variance = image.var()
    return float(1 - np.mean(np.diff(image) ** 2) / (2 * variance)) if variance else 0.0
