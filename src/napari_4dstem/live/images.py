"""Maps of the scan while detectors move."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Generator, Hashable
from contextlib import closing
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_4dstem.analysis.detectors import Detector
from napari_4dstem.engine import run, stream
from napari_4dstem.live.coarse import grids, in_blocks
from napari_4dstem.live.known import MAX_MASKS, Known, Update
from napari_4dstem.live.pace import FIRST_S, NEXT_S, Pace
from napari_4dstem.live.preview import Preview, PreviewProgress
from napari_4dstem.live.quantities import Sums, quantity
from napari_4dstem.live.stored import (
    bridged,
    check_refolded,
    folded,
    in_stored_order,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_4dstem.dataset import Dataset

# Of the budget, for what is known of frames; the rest is for the preview.
KNOWN_SHARE = 4


@dataclass(frozen=True, eq=False)
class LiveImage:
    """A map of the scan, as good as it can be by now.

    Attributes
    ----------
    image : array
        Shape nav_shape; of centers of mass (*nav_shape, 2).
    is_exact : bool
    how : str
        "kept": all was known; "difference": from the pixels that the detector gained
        and lost; "direct": from all its pixels; "preview": from a binned copy;
        "coarse": from some positions, shown as blocks.
    seconds : float
        Since it was asked for.
    """

    image: NDArray[Any]
    is_exact: bool
    how: str
    seconds: float


class LiveImages:
    """Maps of the scan for detectors that move.

    `steps` runs in one thread at a time, `prepare` may run in another.

    Parameters
    ----------
    ds : Dataset
    budget : int
        Bytes that may be kept: the preview, and what is known of frames for the
        detectors used last. For one detector it is always kept.
    """

    def __init__(self, ds: Dataset, budget: int = 2**28) -> None:
        self.ds = ds
        self._stored = in_stored_order(ds)
        self._present = self._stored.frames.valid().reshape(-1)
        # of a single detector: sums, numbers of masks, and the masks
        least = 9 * ds.num_stored_frames + (MAX_MASKS + 1) * prod(ds.sig_shape)
        self._for_known = max(budget // KNOWN_SHARE, least)
        self._preview = Preview(self._stored, max(budget - self._for_known, 0))
        self._known: OrderedDict[Hashable, Known] = OrderedDict()
        self._pace = Pace()
        self._compiled: set[str] = set()
        self._compiling = threading.Lock()

    @property
    def nbytes(self) -> int:
        """Memory that is kept, that of a preview to come included."""
        return self._preview.nbytes + sum(k.nbytes for k in self._known.values())

    @property
    def has_preview(self) -> bool:
        """Whether `prepare` has come to its end."""
        return self._preview.is_ready

    def refold(self, ds: Dataset) -> None:
        """Go on with the same frames in another scan geometry; reads nothing.

        Parameters
        ----------
        ds : Dataset
            From ``with_scan`` of the present one.

        Raises
        ------
        ParameterError
            If it has other frames, or other corrections.
        """
        check_refolded(self.ds, ds)
        self.ds = ds

    def prepare(self) -> Generator[PreviewProgress]:
        """Compile what is needed and read all frames once, for previews.

        Yields
        ------
        PreviewProgress
            At most every 50 ms. It may be closed, and called again to go on.
        """
        self._compile("sum")
        if len(self.ds.sig_shape) == 2:
            self._compile("com")
        self._preview.compile()
        yield from self._preview.build()

    def steps(
        self, detector: Detector, reduction: str = "sum", key: Hashable = None
    ) -> Generator[LiveImage]:
        """Yield the map of a detector: at once, then better, exact in the end.

        Parameters
        ----------
        detector : Detector
        reduction : "sum", "com" or "max"
            As `virtual_image` and `center_of_mass`, or the largest pixel within the
            detector.
        key : hashable, optional
            Which of several detectors that move it is.

        Yields
        ------
        LiveImage
            The last one is exact: what the function of the analysis returns. To cancel
            is to close the generator.

        Raises
        ------
        ShapeError
            If the detector does not fit the frames.
        ParameterError
            For another reduction.
        FormatError
            If a file cannot be read (any more).
        """
        began = time.perf_counter()
        wanted = quantity(self._stored, reduction)
        mask = np.asarray(detector.mask(self.ds.sig_shape))
        known = self._known_of(key, reduction, wanted, mask)
        update = Update(known, mask, self._pace, reduction)
        request = _Request(self, update, reduction, mask, began)
        how = request.how
        if request.frames_left().any():
            yield from request.approach()
        yield LiveImage(
            wanted.image(folded(known.values, self.ds.frames.geometry)),
            True,
            how,
            time.perf_counter() - began,
        )

    def _known_of(
        self, key: Hashable, reduction: str, wanted: Sums, mask: NDArray[Any]
    ) -> Known:
        """Return what is known for a detector; forget the ones used longest ago."""
        new = Known(wanted, mask)
        name = key, reduction
        known = self._known.pop(name, new)
        if known.values.dtype != new.values.dtype:  # its mask has weights now
            known = new
        self._known[name] = known
        kept = sum(other.nbytes for other in self._known.values())
        while kept > self._for_known and len(self._known) > 1:
            kept -= self._known.popitem(last=False)[1].nbytes
        return known

    def _compile(self, reduction: str) -> None:
        """Compile kernels, which is no measure of how long they take."""
        with self._compiling:
            if reduction in self._compiled:
                return
            frame = np.zeros(self._present.size, bool)
            frame[int(np.argmax(self._present))] = True
            roi = frame.reshape(self._stored.nav_shape)
            mask = np.ones(self.ds.sig_shape, bool)
            for part in quantity(self._stored, reduction).measured([mask]):
                run(self._stored, part, roi=roi)
            self._compiled.add(reduction)


class _Request:
    """One run of `LiveImages.steps`."""

    def __init__(
        self,
        live: LiveImages,
        update: Update,
        reduction: str,
        mask: NDArray[Any],
        began: float,
    ) -> None:
        self.live = live
        self.update = update
        self.known = update.known
        self.reduction = reduction
        self.mask = mask
        self.began = began
        self.shown = began
        self.preview: NDArray[Any] | None = None

    def frames_left(self) -> NDArray[np.bool_]:
        """Stored frames that are not at the new mask, shape (n,)."""
        return self.live._present & ~self.update.fresh

    @property
    def how(self) -> str:
        """How the exact map comes about."""
        left = np.unique(self.known.number[self.frames_left()]).tolist()
        ways = {self.update.plans[number].how for number in left}
        return "direct" if "direct" in ways else ways.pop() if ways else "kept"

    def approach(self) -> Generator[LiveImage]:
        """Bring all frames to the new mask, and show how far it is."""
        expected = self._expected()
        first = "coarse"
        if expected is None or expected > FIRST_S:
            self._make_preview()
            if self.preview is not None:
                first = "preview"
                yield self._image(first)
            self.live._compile(self.reduction)
            self.shown = time.perf_counter()  # there is nothing better yet
            if self.preview is None:
                yield from self._coarse()
        left = self.frames_left()
        for _ in self._read(bridged(left), "rows"):
            if time.perf_counter() - self.shown > NEXT_S:
                yield self._image(first)

    def _coarse(self) -> Generator[LiveImage]:
        """Read finer and finer grids, as long as the first picture may take."""
        is_first = True
        for frames in grids(self.live.ds):
            frames &= self.frames_left()
            count = int(np.count_nonzero(frames))
            expected = self._pace_of(frames, "grid", count)
            spent = time.perf_counter() - self.began
            if not is_first and (expected is None or spent + expected > FIRST_S):
                break
            is_first &= not count
            for _ in self._read(frames, "grid"):
                if time.perf_counter() - self.shown > FIRST_S:
                    yield self._image("coarse")
        if self.frames_left().any() and not is_first:
            yield self._image("coarse")

    def _read(self, frames: NDArray[np.bool_], order: str) -> Generator[None]:
        """Bring some frames to the new mask."""
        count = int(np.count_nonzero(frames))
        if not count:
            return
        stored = self.live._stored
        kind, lines = self._kind_and_lines(frames, order)
        roi = None if frames.all() else frames.reshape(stored.nav_shape)
        begin, waited = time.perf_counter(), 0.0
        with closing(stream(stored, self.update, roi=roi)) as progress:
            for _ in progress:
                paused = time.perf_counter()
                yield
                waited += time.perf_counter() - paused
        seconds = time.perf_counter() - begin
        if waited < seconds / 8:  # else nobody knows how much was done meanwhile
            self.live._pace.record(kind, lines, count, seconds)

    def _kind_and_lines(
        self, frames: NDArray[np.bool_], order: str
    ) -> tuple[Hashable, int]:
        """Return what kind of work some frames are, as most of them are."""
        counts = np.bincount(self.known.number[frames & self.frames_left()])
        plans = self.update.plans
        plan = plans[int(np.argmax(counts))] if counts.size else plans[0]
        name: Hashable = (self.reduction, plan.how)
        return (name if order == "rows" else (name, order)), plan.lines

    def _pace_of(
        self, frames: NDArray[np.bool_], order: str, count: int
    ) -> float | None:
        kind, lines = self._kind_and_lines(frames, order)
        return self.live._pace.predict(kind, lines, count)

    def _expected(self) -> float | None:
        """Return how long it may take until the map is exact."""
        left = self.frames_left()
        total = 0.0
        for number, count in enumerate(np.bincount(self.known.number[left])):
            if count:
                plan = self.update.plans[number]
                kind = self.reduction, plan.how
                seconds = self.live._pace.predict(kind, plan.lines, int(count))
                if seconds is None:
                    return None
                total += seconds
        return total

    def _make_preview(self) -> None:
        """Make the values of all frames from the binned copy, if it pays."""
        preview, pace = self.live._preview, self.live._pace
        weights = self.known.quantity.weights(self.mask)
        if weights is None or not preview.is_ready:
            return
        which, means = preview.weighed(weights)
        work = len(which) * len(means)
        begin = time.perf_counter()
        values = preview.values(which, means)
        seconds = time.perf_counter() - begin
        pace.record("preview", work, len(values), seconds)
        if self.known.values.dtype.kind in "ui":
            ends = np.iinfo(self.known.values.dtype)
            # the largest float that is a number of this type
            values = np.rint(values).clip(ends.min, np.nextafter(float(ends.max), 0))
        self.preview = values.astype(self.known.values.dtype)

    def _image(self, how: str) -> LiveImage:
        """Return the map as far as it is: exact where it is known."""
        ds, fresh = self.live.ds, self.update.fresh
        geometry = ds.frames.geometry
        if self.preview is not None:
            mixed = np.where(fresh[:, np.newaxis], self.known.values, self.preview)
            values = folded(mixed, geometry)
        else:
            here = folded(fresh, geometry)
            values = in_blocks(ds, folded(self.known.values, geometry), here)
        now = time.perf_counter()
        self.shown = now
        image = self.known.quantity.image(values)
        return LiveImage(image, False, how, now - self.began)
