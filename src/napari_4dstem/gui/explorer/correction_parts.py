"""Where a dark frame, a gain map and excluded pixels come from."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_4dstem.analysis.hot_pixels import find_hot_pixels
from napari_4dstem.analysis.statistics import mean_frame
from napari_4dstem.corrections import Corrections
from napari_4dstem.dataset import FOUND, opening_of
from napari_4dstem.errors import Cancelled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_4dstem.dataset import Dataset

NONE, OF_DATA, FILE = "None", "From the file", "Image file …"
REGION, HOT, PAINTED = "Mean of a region", "Found in the data", "Painted"
# An array that nobody knows more of.
KEPT = "As applied"
PAINT = "Paint on the pattern; the size of the brush is in the tab Detectors."
SOURCES = {
    "dark": (NONE, OF_DATA, FILE, REGION, KEPT),
    "gain": (NONE, OF_DATA, FILE, KEPT),
    "excluded": (NONE, OF_DATA, FILE, HOT, PAINTED, KEPT),
}


@dataclass(frozen=True, eq=False)
class Part:
    """A dark frame, a gain map or excluded pixels, or how they are made.

    Attributes
    ----------
    source : str
        One of `SOURCES`.
    value : array, LazyFrame or None
        As `Corrections` has it; None where nothing is corrected.
    file : Path or None
        From which it is read.
    said : str
        What was found.
    needs : str
        What the user has to do first.
    error : Exception or None
        Why there is no value.
    make : callable or None
        What is still to be done, on a thread: ``make(ds, cancel)`` gives the part with
        its value. The data set has the corrections that come before it.
    """

    source: str = NONE
    value: Any = None
    file: Path | None = None
    said: str = ""
    needs: str = ""
    error: Exception | None = None
    make: Callable[[Dataset, threading.Event], Part] | None = None

    @property
    def is_ready(self) -> bool:
        """Whether it is what it shall be."""
        return self.make is None and not self.needs and self.error is None


def of_data(ds: Dataset, kind: str) -> Part:
    """Return what the data bring along."""
    return Part(OF_DATA, getattr(found_for(ds), kind))


def of_file(kind: str, path: Path) -> Part:
    """Return what is in a file, once it is read."""
    return Part(FILE, file=path, make=partial(_read, kind, path))


def of_region(roi: NDArray[np.bool_]) -> Part:
    """Return the dark frame that is the mean of some frames, once it is taken."""
    return Part(REGION, make=partial(_take_mean, roi))


def of_search(threshold: float) -> Part:
    """Return hot and dead pixels, once they are found."""
    return Part(HOT, make=partial(_find, threshold))


def of_painting(mask: NDArray[np.bool_] | None) -> Part:
    """Return pixels that are painted."""
    if mask is None:
        return Part(PAINTED, needs=PAINT)
    return Part(PAINTED, mask, said=f"{_counted(mask, 'pixel')} painted")


def found_for(ds: Dataset) -> Corrections:
    """Return what the data bring along, as far as it fits frames as they are shown."""
    found = ds.found_corrections
    fits = found is not None and found.shape == ds.sig_shape
    return found if fits and found is not None else Corrections()


def applied_to(ds: Dataset) -> dict[str, Part]:
    """Return the parts that a data set is corrected by."""
    parts = dict.fromkeys(SOURCES, Part())
    if ds.corrections is None:
        return parts
    opening = opening_of(ds)
    for kind in SOURCES:
        value = getattr(ds.corrections, kind)
        given = FOUND if opening.found_corrections else opening.corrections.get(kind)
        if value is None:
            continue
        if isinstance(given, Path):
            parts[kind] = Part(FILE, value, given)
        elif isinstance(given, str):
            parts[kind] = Part(OF_DATA, value)
        else:
            parts[kind] = Part(KEPT, value)
    return parts


def assembled(ds: Dataset, parts: Mapping[str, Part]) -> Corrections | None:
    """Return all parts as one: that of the data set, or found with it, where equal."""
    values = {kind: part.value for kind, part in parts.items()}
    if all(value is None for value in values.values()):
        return None
    for known in (ds.corrections, found_for(ds)):
        if all(value is getattr(known, kind, None) for kind, value in values.items()):
            return known
    return Corrections(**values, excluded_file=parts["excluded"].file)


def made(
    ds: Dataset, parts: Mapping[str, Part], cancel: threading.Event
) -> Generator[tuple[str, Part]]:
    """Make what is still to be made, one after the other.

    Parameters
    ----------
    ds : Dataset
        Without corrections.
    parts : mapping
    cancel : threading.Event

    Yields
    ------
    kind, part
    """
    before: dict[str, Any] = {}
    for kind, part in parts.items():
        if part.make is not None:
            try:
                part = part.make(ds.with_corrections(**before), cancel)
            except Cancelled:
                return
            yield kind, part
        before[kind] = part.value


def _read(kind: str, path: Path, ds: Dataset, _: threading.Event) -> Part:
    value = getattr(ds.with_corrections(**{kind: path}).corrections, kind)
    np.asarray(value)  # what is wrong with the file is better told now
    return Part(FILE, value, path)


def _take_mean(roi: NDArray[np.bool_], ds: Dataset, cancel: threading.Event) -> Part:
    raw = ds.with_corrections()
    mean = mean_frame(raw, roi, cancel=cancel)
    corrections = raw.with_corrections(dark=mean).corrections
    assert corrections is not None
    said = f"Dark frame: mean of {_counted(roi & ds.valid, 'pattern')}"
    return Part(REGION, corrections.dark, said=said)


def _find(threshold: float, ds: Dataset, cancel: threading.Event) -> Part:
    found = find_hot_pixels(ds, threshold, cancel=cancel)
    return Part(HOT, found.mask if found.mask.any() else None, said=str(found))


def _counted(mask: NDArray[np.bool_], what: str) -> str:
    count = int(np.count_nonzero(mask))
    return f"{count} {what}{'s' * (count != 1)}"
