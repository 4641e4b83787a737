"""From scan positions to stored frames: sync_offset, flyback, missing frames.

The one place that knows them, for every format and every backend.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_4dstem.errors import FormatError
from napari_4dstem.frames.batches import DenseBatch, FrameSource

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_4dstem.corrections import Corrections
    from napari_4dstem.frames.batches import Batch

MAX_MAPPED = 2**32  # scan positions, of which a map takes a byte each


@dataclass(frozen=True)
class ScanGeometry:
    """How the stored frames fold into the scan.

    Attributes
    ----------
    nav_shape : tuple of int
    sync_offset : int
        Above 0: stored frames skipped at the start; below 0: blank frames inserted.
    flyback : int
        Stored frames at the end of each line that belong to no position.
    """

    nav_shape: tuple[int, ...]
    sync_offset: int = 0
    flyback: int = 0

    @property
    def num_positions(self) -> int:
        """Number of scan positions."""
        return prod(self.nav_shape)

    @property
    def num_needed(self) -> int:
        """Number of stored frames that fill the scan when sync_offset is 0."""
        lines = self.num_positions // self.nav_shape[-1]
        return self.num_positions + (lines - 1) * self.flyback

    def stored(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the stored frame of each flat scan position, maybe out of range."""
        frames = positions + self.sync_offset
        if self.flyback:
            frames += positions // self.nav_shape[-1] * self.flyback
        return frames


@dataclass(frozen=True, eq=False)
class ScanFrames:
    """The frames of a scan, or of a block of it, as something to slice.

    Reading happens in ``__getitem__`` only. Pickles small; safe in threads.

    Attributes
    ----------
    source : FrameSource
    geometry : ScanGeometry
        Of the whole scan.
    corrections : Corrections, optional
        Applied to every frame that is read.
    origin, nav_shape : tuple of int
        The block of the scan; by default the whole.
    """

    source: FrameSource
    geometry: ScanGeometry
    corrections: Corrections | None = None
    origin: tuple[int, ...] = ()
    block_shape: tuple[int, ...] = ()

    @property
    def nav_shape(self) -> tuple[int, ...]:
        """Scan shape of the block."""
        return self.block_shape or self.geometry.nav_shape

    @property
    def shape(self) -> tuple[int, ...]:
        """``nav_shape + sig_shape``."""
        return self.nav_shape + self.source.sig_shape

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Native-endian type of the pixels as they come out."""
        return self.source.dtype if self.corrections is None else np.dtype("f4")

    def block(self, region: tuple[slice, ...]) -> ScanFrames:
        """Return a block of the scan that knows no more of the source than it needs.

        Parameters
        ----------
        region : tuple of slice
            One a scan axis, with whole-number bounds and step 1.
        """
        origin = tuple(s.start for s in region)
        shape = tuple(s.stop - s.start for s in region)
        corners = np.array(
            [
                np.ravel_multi_index(origin, self.geometry.nav_shape),
                np.ravel_multi_index(
                    tuple(s.stop - 1 for s in region), self.geometry.nav_shape
                ),
            ]
        )
        # Positions and stored frames grow together, so the corners are the range.
        first, last = self.geometry.stored(corners).tolist()
        begin = min(max(first, 0), self.source.num_frames)
        end = min(max(last + 1, begin), self.source.num_frames)
        geometry = replace(self.geometry, sync_offset=self.geometry.sync_offset - begin)
        source = self.source.between(begin, end)
        return ScanFrames(source, geometry, self.corrections, origin, shape)

    @property
    def is_complete(self) -> bool:
        """Whether every position of the block has a stored frame."""
        corners = np.array([0, prod(self.nav_shape) - 1])
        # Positions and stored frames grow together, so the corners are the range.
        return self.source.is_complete and bool(
            self._is_present(self._stored(corners)).all()
        )

    def num_valid(self) -> int:
        """Return how many positions of the block have a stored frame."""
        count = prod(self.nav_shape)
        return count if self.is_complete else int(np.count_nonzero(self.valid()))

    def valid(self) -> NDArray[np.bool_]:
        """Return where a stored frame exists, bool, of shape ``nav_shape``.

        Raises
        ------
        FormatError
            If frames are missing in a scan that is too large for a map of it.
        """
        count = prod(self.nav_shape)
        if self.is_complete:
            # A small HDF5 file can claim more frames than a map has room for.
            return np.broadcast_to(np.True_, self.nav_shape)
        if count > MAX_MAPPED:
            raise FormatError(
                next(iter(self.source.files), None),
                "frames are missing in a scan that is too large to tell where",
                expected=f"at most {MAX_MAPPED} scan positions",
                found=f"{count} positions",
                hint="Give a nav_shape and sync_offset that the data can fill.",
            )
        valid = np.empty(count, dtype=bool)
        step = 2**20
        for begin in range(0, count, step):
            stored = self._stored(np.arange(begin, min(begin + step, count)))
            valid[begin : begin + step] = self._is_present(stored)
        return valid.reshape(self.nav_shape)

    def read(
        self, positions: NDArray[np.int64], crop: tuple[slice | int, ...] = ()
    ) -> NDArray[Any]:
        """Return the frames of flat positions of this block.

        Parameters
        ----------
        positions : int array, shape (n,)
        crop : tuple of slice and int, optional
            The part of the detector that is wanted.

        Returns
        -------
        array, shape (n, *sig_shape), or of the part
            Zero where no frame is stored.
        """
        if self.corrections is not None and crop:
            # A bad pixel may need neighbors from outside of the part.
            return self.read(positions)[:, *crop]
        stored = self._stored(positions)
        present = self._is_present(stored)
        complete = bool(present.all())
        make = np.empty if complete else np.zeros
        frame = np.broadcast_to(np.empty((), self.source.dtype), self.source.sig_shape)
        out = make((len(positions), *frame[crop].shape), self.source.dtype)
        # Where in ``out`` the frames go that exist.
        targets = np.flatnonzero(present)
        for where, whole in self.source.batches(stored[targets]):
            batch = whole.cropped(crop) if crop else whole
            target = targets[where]
            first, last = int(target[0]), int(target[-1])
            if last - first + 1 == len(target):
                batch.dense(out[first : last + 1])
            else:
                out[target] = batch.dense()
        if self.corrections is None:
            return out
        corrected = self.corrections.apply(out)
        corrected[~present] = 0
        return corrected

    def batches(
        self,
        positions: NDArray[np.int64],
        needed: NDArray[np.bool_] | None = None,
        *,
        raw: bool = False,
    ) -> Iterator[tuple[NDArray[np.int64], Batch]]:
        """Yield the stored frames of flat positions of this block, as they lie.

        Parameters
        ----------
        positions : int array, shape (n,)
        needed : bool array, shape sig_shape, optional
            Pixels that are of interest; the others may be anything.
        raw : bool
            Leave out the corrections.

        Yields
        ------
        positions : int array
            Of the frames in the batch; positions without a frame are left out.
        batch : Batch
            Valid until the next one is asked for.
        """
        stored = self._stored(positions)
        present = self._is_present(stored)
        if not present.all():
            stored, positions = stored[present], positions[present]
        corrections = None if raw else self.corrections
        if corrections is not None:
            needed = None  # an excluded pixel needs its neighbors
        for where, batch in self.source.batches(stored, needed):
            at = positions[where]
            if corrections is None:
                yield at, batch
                continue
            for part, block in batch.dense_blocks():
                yield at[part], DenseBatch(corrections.apply(block))

    def __getitem__(self, key: Any) -> NDArray[Any]:
        """Return frames as numpy would, scan axes first, then detector axes.

        The part of the index for the scan and that for the detector are independent:
        a list of positions and a list of pixels give all of these pixels for each.
        """
        keys = _expanded(key, self.shape)
        nav, sig = _split(keys, len(self.nav_shape))
        positions = _positions(nav, self.nav_shape)
        simple = all(isinstance(k, (slice, int, np.integer)) for k in sig)
        whole = _is_whole(sig, self.source.sig_shape)
        frames = self.read(positions.ravel(), sig if simple and not whole else ())
        frames = frames.reshape(positions.shape + frames.shape[1:])
        if simple:
            return frames
        result: NDArray[Any] = frames[(slice(None),) * positions.ndim + sig]
        return result

    def _stored(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        if self.block_shape:
            index = np.unravel_index(positions, self.block_shape)
            shifted = tuple(
                i + start for i, start in zip(index, self.origin, strict=True)
            )
            positions = np.ravel_multi_index(shifted, self.geometry.nav_shape)
        return self.geometry.stored(positions)

    def _is_present(self, stored: NDArray[np.int64]) -> NDArray[np.bool_]:
        present = (stored >= 0) & (stored < self.source.num_frames)
        if present.all():
            return self.source.present(stored)
        present[present] = self.source.present(stored[present])
        return present


def _expanded(key: Any, shape: tuple[int, ...]) -> list[Any]:
    """Return one index an axis; a scan mask counts for all scan axes."""
    keys = list(key) if isinstance(key, tuple) else [key]
    if any(k is None or isinstance(k, (bool, np.bool_)) for k in keys):
        raise IndexError("a data set cannot be given new axes by indexing")
    used = sum(_axes_used(k) for k in keys if k is not Ellipsis)
    if used > len(shape):
        raise IndexError(
            f"too many indices: the data set has {len(shape)} axes, {used} were indexed"
        )
    at = next((i for i, k in enumerate(keys) if k is Ellipsis), len(keys))
    rest = [k for k in keys[at:] if k is not Ellipsis]
    if len(keys) - at - len(rest) > 1:
        raise IndexError("an index can have only one ellipsis")
    return keys[:at] + [slice(None)] * (len(shape) - used) + rest


def _axes_used(key: Any) -> int:
    if isinstance(key, (slice, int)):
        return 1
    array = np.asarray(key)
    return array.ndim if array.dtype == bool and array.ndim else 1


def _split(keys: list[Any], nav_ndim: int) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Split an index into that of the scan and that of the detector."""
    used = 0
    for i, key in enumerate(keys):
        if used == nav_ndim:
            return tuple(keys[:i]), tuple(keys[i:])
        used += _axes_used(key)
        if used > nav_ndim:
            raise IndexError("a mask spans scan and detector axes")
    return tuple(keys), ()


def _is_whole(keys: tuple[Any, ...], shape: tuple[int, ...]) -> bool:
    """Return whether an index means all pixels of a frame, in their order."""
    return all(
        isinstance(key, slice) and key.indices(n) == (0, n, 1)
        for key, n in zip(keys, shape, strict=False)
    )


def _positions(keys: tuple[Any, ...], nav_shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Return the flat scan positions that an index means, in the index's shape."""
    if not all(isinstance(k, (slice, int, np.integer)) for k in keys):
        every = np.arange(prod(nav_shape), dtype=np.int64).reshape(nav_shape)
        return np.asarray(every[keys])
    positions = np.zeros((), dtype=np.int64)
    for axis, (key, n) in enumerate(zip(keys, nav_shape, strict=True)):
        if isinstance(key, slice):
            positions = positions[..., np.newaxis] * n + np.arange(*key.indices(n))
            continue
        i = operator.index(key)
        if not -n <= i < n:
            raise IndexError(f"index {i} is out of range for axis {axis} of size {n}")
        positions = positions * n + i % n
    return positions
