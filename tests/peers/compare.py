"""What another program reads of a conformance case, compared with what we read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from math import prod
from typing import Any

import numpy as np
import psutil
import pytest

import napari_4dstem as n4
from tests.test_conformance import CASES, Case, same

Pixels = np.ndarray[Any, Any]


MAX_ADDED_NBYTES = 4 * 2**30
# Recordings that were cut off within their only frame.
NOTHING_LEFT = ("dm-bad-cut-in-data", "k2is-bad-short")


def is_readable(case: Case) -> bool:
    """Whether there is something to read, if only the beginning of a recording."""
    is_cut_off = case["expect"].get("or_blank") and case["id"] not in NOTHING_LEFT
    return "error" not in case["expect"] or is_cut_off


READABLE = [case for case in CASES if is_readable(case)]
UNREADABLE = [case for case in CASES if not is_readable(case)]


@dataclass(frozen=True)
class Difference:
    """Cases that another program is known to read in another way, or not at all.

    Attributes
    ----------
    cases : str
        Patterns of their names, blanks between.
    because : str
        What it does, and why we do otherwise.
    raises : str
        A regular expression for the beginning of what it raises: ``Type: text``.
    aspects : str
        What differs, of "shape", "dtype" and "pixels". Without the same shape there
        are no pixels to compare.
    undo : callable, optional
        Takes its frames, and undoes all of the difference.
    """

    cases: str
    because: str
    raises: str = ""
    aspects: str = ""
    undo: Callable[[Pixels], Pixels] | None = None

    def concerns(self, name: str) -> bool:
        """Whether the name of a case is one of these."""
        return any(fnmatchcase(name, pattern) for pattern in self.cases.split())


def known_difference(case: Case, known: Sequence[Difference]) -> Difference | None:
    """Return the first entry that concerns a case."""
    return next((entry for entry in known if entry.concerns(case["id"])), None)


def unused(known: Sequence[Difference], cases: Sequence[Case]) -> list[str]:
    """Return the patterns that concern no case, or only cases of earlier entries."""
    left = []
    for entry in known:
        names = [case["id"] for case in cases if known_difference(case, known) is entry]
        for pattern in entry.cases.split():
            if not any(fnmatchcase(name, pattern) for name in names):
                left.append(pattern)
    return left


def pixels(data_set: n4.Dataset) -> Pixels:
    """Return the whole data set, as the engine and napari read it."""
    return data_set.to_dask().compute(scheduler="synchronous")


def differing(ours: Pixels, theirs: Pixels) -> set[str]:
    """Return what differs, of shape, dtype (byte order aside) and pixels."""
    found = set()
    if theirs.dtype.newbyteorder("=") != ours.dtype:
        found.add("dtype")
    if theirs.shape != ours.shape:
        found.add("shape")
    elif not same(theirs, ours):
        found.add("pixels")
    return found


def check(
    ours: Pixels,
    read: Callable[[], Pixels],
    known: Difference | None,
    arrange: Callable[[Pixels], Pixels] = lambda frames: frames,
) -> None:
    """Fail unless another program reads the same, or differs exactly as it is known to.

    Parameters
    ----------
    ours : array
        All pixels as we read them.
    read : callable
        Reads all frames with the other program.
    known : Difference or None
    arrange : callable
        Does to its frames what a case asks for and that program cannot do.
    """
    known = known or Difference("", because="they should not differ")
    try:
        frames = read()
    except Exception as error:  # noqa: BLE001  whatever another program may raise
        said = f"{type(error).__name__}: {error}"
        assert known.raises, f"it cannot read this: {said}"
        assert re.match(known.raises, said), f"{said!r} is not {known.because!r}"
        return
    assert not known.raises, f"it reads this now: {known.because}"
    assert differing(ours, arrange(frames)) == set(known.aspects.split()), known.because
    if known.undo is not None:
        assert not differing(ours, arrange(known.undo(frames))), known.because


def arranged(frames: Pixels, nav_shape: tuple[int, ...], sync_offset: int) -> Pixels:
    """Put frames, one after the other, into a scan: what ``sync_offset`` means."""
    blank = max(-sync_offset, 0)
    kept = frames[max(sync_offset, 0) :][: prod(nav_shape) - blank]
    scan = np.zeros((prod(nav_shape), *frames.shape[1:]), frames.dtype)
    scan[blank : blank + len(kept)] = kept
    return scan.reshape(*nav_shape, *frames.shape[1:])


@contextmanager
def limited_memory() -> Iterator[None]:
    """Let this process have so much memory more: a garbled number asks for 32 GiB."""
    resource = pytest.importorskip("resource", reason="memory has no limits here")
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = psutil.Process().memory_info().vms + MAX_ADDED_NBYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def check_refused(read: Callable[[], object], known: Difference | None) -> None:
    """Fail unless another program refuses what we refuse, or is known to read it."""
    said = ""
    try:
        with limited_memory():
            read()
    except Exception as error:  # noqa: BLE001  of all kinds of errors each will do
        said = f"{type(error).__name__}: {error}"
    if known is None:
        assert said, "it reads this"
    else:
        assert not said, f"{said!r} is not {known.because!r}"
