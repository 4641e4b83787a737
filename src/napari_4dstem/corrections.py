"""Dark frame, gain map and excluded pixels of a detector."""

from __future__ import annotations

import os
import threading
import zlib
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_4dstem.errors import FormatError

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Dark frames and gain maps that are kept in memory: those of two data sets.
MAX_KEPT = 4


@dataclass(frozen=True)
class LazyFrame:
    """A dark frame or gain map that is read when it is first needed.

    Once in each process, whatever the number of threads, tasks and copies; anew when
    one of its files has changed. Pickles small. ``np.asarray`` gives the pixels.

    Attributes
    ----------
    read : callable
        ``read(*arguments)`` gives the pixels; a function of a module.
    arguments : tuple
    shape : tuple of int
    files : tuple of Path
        From which the pixels come.
    """

    read: Callable[..., NDArray[Any]]
    arguments: tuple[Hashable, ...]
    shape: tuple[int, ...]
    files: tuple[Path, ...]

    def __array__(
        self, dtype: Any = None, copy: bool | None = None
    ) -> NDArray[np.float32]:
        """Return the pixels as float32, read-only."""
        states = tuple(_state(path) for path in self.files)
        with _reading:
            pixels = _read(self, states)
        return np.array(pixels, dtype, copy=copy)


# While one thread computes a dark frame, the others wait for it.
_reading = threading.Lock()


@lru_cache(MAX_KEPT)
def _read(frame: LazyFrame, _states: tuple[Hashable, ...]) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # a garbled gain map: infinite, as it says
        pixels = np.asarray(frame.read(*frame.arguments), np.float32)
    pixels.flags.writeable = False
    return pixels


def _state(path: Path) -> Hashable:
    try:
        stat = os.stat(path)
    except OSError as error:
        raise FormatError(
            path,
            f"the corrections cannot be read ({error.strerror or error})",
            hint="Check that the file is still there, or open the data with"
            " corrections=False.",
        ) from error
    return stat.st_size, stat.st_mtime_ns


@dataclass(frozen=True, eq=False)
class Corrections:
    """What a detector does to a frame, to be undone.

    ``(raw - dark) * gain`` in float32; then each excluded pixel becomes the mean of
    the good ones among its neighbors.

    Attributes
    ----------
    dark, gain : float32 array, shape of a frame, optional
        Or a `LazyFrame`, which is read when the first frame is corrected.
    excluded : bool array, shape of a frame, optional
        True where a pixel is not to be used.
    excluded_file : Path, optional
        From which these came.
    """

    dark: NDArray[np.float32] | LazyFrame | None = None
    gain: NDArray[np.float32] | LazyFrame | None = None
    excluded: NDArray[np.bool_] | None = None
    excluded_file: Path | None = None

    @property
    def shape(self) -> tuple[int, ...] | None:
        """Shape of a frame as the detector gives it; None if nothing is corrected."""
        parts = (self.dark, self.gain, self.excluded)
        return next((part.shape for part in parts if part is not None), None)

    @property
    def is_small(self) -> bool:
        """Whether it pickles small: holds no pixels of a dark frame or gain map."""
        return not any(isinstance(part, np.ndarray) for part in (self.dark, self.gain))

    def __str__(self) -> str:
        parts = []
        if self.dark is not None:
            parts.append("dark frame")
        if self.gain is not None:
            parts.append("gain map")
        if self.excluded is not None:
            parts.append(f"{np.count_nonzero(self.excluded)} excluded pixels")
        return ", ".join(parts) or "none"

    def apply(self, frames: NDArray[Any]) -> NDArray[np.float32]:
        """Return corrected frames.

        Parameters
        ----------
        frames : array, shape (..., *sig_shape)
            In the shape of the detector, or in another of as many pixels.

        Returns
        -------
        float32 array of the same shape
        """
        corrected = frames.astype(np.float32, order="C")
        if self.shape is None:
            return corrected
        # Neighbors are neighbors on the detector, however the frames are shown.
        as_taken = corrected.reshape(frames.size // prod(self.shape), *self.shape)
        if self.dark is not None:
            as_taken -= np.asarray(self.dark)
        if self.gain is not None:
            as_taken *= np.asarray(self.gain)
        if self.excluded is not None:
            self._patch(as_taken)
        return corrected

    def folded(
        self, weights: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return weights and offsets with which raw frames give corrected sums.

        Corrections are linear: ``sum(w * corrected) = sum(folded * raw) + offset``.

        Parameters
        ----------
        weights : float array, shape (k, *sig_shape)

        Returns
        -------
        weights : float array, shape (k, *sig_shape)
        offsets : float array, shape (k,)
        """
        folded = weights.reshape(len(weights), -1).astype(np.float64)
        if self.excluded is not None and np.any(self.excluded):
            if np.all(self.excluded):
                folded[:] = 0
            else:
                # What an excluded pixel counts is shared by those that stand in for it.
                bad, good, begins = self._neighbors
                counts = np.diff(begins, append=len(good))
                shares = np.repeat(folded[:, bad] / counts, counts, axis=1)
                folded[:, bad] = 0
                for weight, share in zip(folded, shares, strict=True):
                    np.add.at(weight, good, share)
        if self.gain is not None:
            gain = np.asarray(self.gain, np.float64).ravel()
            # An infinite gain where nothing counts is none.
            folded = np.where(folded == 0, 0, folded) * np.where(
                (folded == 0).all(axis=0), 0, gain
            )
        offsets = np.zeros(len(folded))
        if self.dark is not None:
            dark = np.asarray(self.dark, np.float64).ravel()
            counted = (folded != 0).any(axis=0)
            offsets = -(folded[:, counted] @ dark[counted])
        return folded.reshape(weights.shape), offsets

    def __reduce__(self) -> tuple[Any, ...]:
        # The mask as bits that compress well; what follows from it is left behind.
        packed = None
        if self.excluded is not None:
            mask = zlib.compress(np.packbits(self.excluded).tobytes(), 1)
            packed = self.excluded.shape, mask
        return _unpacked, (self.dark, self.gain, packed, self.excluded_file)

    def _patch(self, frames: NDArray[np.float32]) -> None:
        excluded = np.asarray(self.excluded)
        if excluded.all():
            frames[...] = 0
        elif excluded.any():
            bad, good, begins = self._neighbors
            counts = np.diff(begins, append=len(good))
            nav_shape = frames.shape[: frames.ndim - excluded.ndim]
            flat = frames.reshape(*nav_shape, excluded.size)
            flat[..., bad] = np.add.reduceat(flat[..., good], begins, axis=-1) / counts

    @cached_property
    def _neighbors(self) -> tuple[NDArray[np.int64], ...]:
        """Flat indices: excluded pixels; good ones near each; where those begin."""
        excluded = np.asarray(self.excluded)
        index = np.arange(excluded.size).reshape(excluded.shape)
        near = []
        for pixel in np.argwhere(excluded):
            reach = self._reaches[tuple(pixel)]
            window = tuple(slice(max(i - reach, 0), i + reach + 1) for i in pixel)
            near.append(index[window][~excluded[window]])
        begins = np.cumsum([0, *(len(good) for good in near[:-1])])
        return index[excluded], np.concatenate(near), begins

    @cached_property
    def _reaches(self) -> NDArray[np.int64]:
        """Distance of each pixel from a good one, along the axis where it is larger."""
        left = np.array(self.excluded)
        reaches = left.astype(np.int64)
        while left.any():
            for axis in range(left.ndim):
                line = np.moveaxis(left, axis, 0)
                before = line.copy()
                line[1:] &= before[:-1]
                line[:-1] &= before[1:]
            reaches += left
        return reaches


def _unpacked(
    dark: Any,
    gain: Any,
    packed: tuple[tuple[int, ...], bytes] | None,
    excluded_file: Path | None,
) -> Corrections:
    if packed is None:
        return Corrections(dark, gain)
    shape, mask = packed
    bits = np.frombuffer(zlib.decompress(mask), np.uint8)
    excluded = np.unpackbits(bits, count=prod(shape)).reshape(shape).astype(bool)
    return Corrections(dark, gain, excluded, excluded_file)
