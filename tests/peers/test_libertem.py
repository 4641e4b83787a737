"""LiberTEM reads the conformance cases as we do, but for differences that are known.

If it no longer differs, delete the entry in ``libertem_differences``. If it differs
anew, find out who is right.
"""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import napari_4dstem as n4
from tests.peers.compare import (
    READABLE,
    UNREADABLE,
    Case,
    Pixels,
    check,
    check_refused,
    differing,
    known_difference,
    pixels,
    unused,
)
from tests.peers.libertem_differences import DIFFERENCES, READ_ALL_THE_SAME
from tests.test_conformance import CASES, identity, parameters

pytest.importorskip(
    "libertem", reason="LiberTEM is not installed: pip install -e '.[peers]'"
)
pytestmark = [
    pytest.mark.skipif(not READABLE, reason="no conformance cases: set N4_SHARED"),
    pytest.mark.filterwarnings("ignore"),  # theirs are not ours to fix
]

NOT_RUN = {
    "h5-huge-sparse": "LiberTEM lists all parts of 2**40 frames before it reads one",
    "csr-bad-index-range": "LiberTEM writes outside of the frame, over other memory",
}
SCANS = {
    "flat": lambda count: ((count,), 0),
    "from the last frame": lambda count: ((count,), count - 1),
    "before the first frame": lambda count: ((2, (count + 1) // 2), 1 - count),
    "some skipped, fewer left": lambda count: ((count // 3, 2), count // 4),
    "more positions, some before": lambda count: ((count + 2, 2), -2),
    "three axes": lambda count: ((2, 1, (count + 1) // 2), 1),
}
ONE_OF_EACH = (
    "mib-u16-odd-be",
    "mib-files-12x1",
    "raw-u2-be",
    "csr-basic",
    "npy-4d-u2",
    "h5-chunk-bad",
    "empad-acquire",
    "tvips-v2-u16",
    "blo-u8",
    "dm-4d-c-order",
    "dm-stack-2d",
    "ser-u16-v220",
    "seq-u16",
    "mrc-grid-1",
    "frms6-small-raw",
    "k2is-time-series",
)


def runnable(cases: list[Case]) -> list[Any]:
    return [
        pytest.param(case, marks=pytest.mark.skip(reason=NOT_RUN[case["id"]]))
        if case["id"] in NOT_RUN
        else case
        for case in cases
    ]


@pytest.fixture(scope="module")
def context() -> Iterator[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from libertem.api import Context
        from libertem.executor.inline import InlineJobExecutor

        with Context(executor=InlineJobExecutor()) as context:
            yield context
        gc.collect()  # while files that it left open do not count as our failure


def load(
    context: Any, case: Case, given: dict[str, Any], nav_shape: tuple[int, ...]
) -> Any:
    """Open a case with LiberTEM, whose names of formats and parameters we have."""
    from libertem.io.dataset.base import BufferedBackend

    given = {
        name: str(value) if isinstance(value, Path) else value
        for name, value in given.items()
    }
    if case["format"] in ("mib", "dm"):
        # Memory maps, the default, refuse pixels of one bit and some DM files.
        given["io_backend"] = BufferedBackend()
    if str(given.get("path")).endswith((".mib", ".seq")):
        given.setdefault("nav_shape", nav_shape)  # these two do not open without
    return context.load(case["format"], **given)


def frames_of(context: Any, data_set: Any, corrections: Any = None) -> Pixels:
    from libertem.udf.raw import PickUDF

    result = context.run_udf(data_set, PickUDF(), corrections=corrections)
    return np.asarray(result["intensity"].data).reshape(tuple(data_set.shape))


def read(
    context: Any, case: Case, given: dict[str, Any], nav_shape: tuple[int, ...] = ()
) -> Pixels:
    from libertem.io.corrections import CorrectionSet

    data_set = load(context, case, given, nav_shape)
    # What lies beside a SEQ file is applied unless told so: not what a case means.
    corrections = CorrectionSet() if case["format"] == "seq" else None
    return frames_of(context, data_set, corrections)


def case_of(name: str) -> Case:
    return next(case for case in CASES if case["id"] == name)


@pytest.mark.parametrize("case", runnable(READABLE), ids=identity)
def test_libertem_reads_the_same(context: Any, case: Case, tmp_path: Path) -> None:
    given = parameters(case, tmp_path)
    ours = n4.load(case["format"], **given)
    check(
        pixels(ours),
        lambda: read(context, case, given, ours.nav_shape),
        known_difference(case, DIFFERENCES),
    )


def test_no_known_difference_outlives_its_case() -> None:
    assert not unused(DIFFERENCES, READABLE)
    assert not unused(READ_ALL_THE_SAME, UNREADABLE)
    assert NOT_RUN.keys() <= {case["id"] for case in CASES}


@pytest.mark.parametrize("scan", SCANS)
@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_libertem_fills_the_same_scan_positions(
    context: Any, name: str, scan: str, tmp_path: Path
) -> None:
    case = case_of(name)
    given = parameters(case, tmp_path)
    count = n4.load(case["format"], **given).nav_size
    nav_shape, sync_offset = SCANS[scan](count)
    given |= {"nav_shape": nav_shape, "sync_offset": sync_offset}
    ours = n4.load(case["format"], **given)
    if prod(nav_shape) > count and name == "dm-4d-c-order":
        case = case_of("dm-4d-c-order-nav-larger")  # is known to be refused
    check(
        pixels(ours),
        lambda: read(context, case, given),
        known_difference(case, DIFFERENCES),
    )


@pytest.mark.parametrize("case", runnable(UNREADABLE), ids=identity)
def test_libertem_refuses_what_we_refuse(
    context: Any, case: Case, tmp_path: Path
) -> None:
    given = parameters(case, tmp_path)
    check_refused(
        lambda: read(context, case, given, (1,)),
        known_difference(case, READ_ALL_THE_SAME),
    )


def test_libertem_sees_the_same_shape_of_an_enormous_file(context: Any) -> None:
    case = case_of("h5-huge-sparse")
    given = parameters(case, Path())
    ours = n4.load("hdf5", **given)
    theirs = load(context, case, given, ())
    assert (tuple(theirs.shape), theirs.dtype) == (ours.shape, ours.dtype)


def test_libertem_corrects_seq_frames_the_same(context: Any) -> None:
    case = case_of("seq-companions-raw")
    given = parameters(case, Path())
    ours = n4.load("seq", **given)
    found = ours.found_corrections
    assert found is not None
    corrected = ours.with_corrections(found.dark, found.gain, found.excluded)
    theirs = frames_of(context, load(context, case, given, ()))
    assert not differing(pixels(corrected), theirs)


@pytest.mark.parametrize("name", ["k2is-stem", "k2is-stem-nav"])
def test_libertem_reads_short_stem_sets_if_it_looks_at_every_block(
    context: Any, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from libertem.io.dataset.k2is import Sector

    monkeypatch.setattr(Sector, "first_block_with_search", Sector.first_block_with)
    case = case_of(name)
    given = parameters(case, tmp_path)
    ours = n4.load("k2is", **given)
    check(pixels(ours), lambda: read(context, case, given), None)
