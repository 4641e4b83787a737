"""Detectors and regions that move: the first picture, the exact one, and a refold."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import napari_4dstem as n4
from benchmarks.data_sets import DataSet, save_hdf5, save_mib, save_npy
from benchmarks.machine import Limit
from benchmarks.scans import Scan
from napari_4dstem.live import LiveImages, LivePattern

BUDGET = 2**28  # bytes of the preview
BUSY_S = 4.0  # of a drag at most
MOVES = 40
FEW = 6

SCAN = Scan((256, 256), (128, 128), "u2")
NPY = DataSet("npy, 128 x 128", "npy", SCAN, "scan.npy", save_npy)
GZIP = DataSet(
    "hdf5 gzip, 128 x 128", "hdf5", SCAN, "scan.h5",
    partial(
        save_hdf5, chunks=(1, 16, 128, 128), compression="gzip", compression_opts=1
    ),
)  # fmt: skip
PACKED = DataSet(
    "mib R64 12 bit, 128 x 128", "mib", SCAN, "scan.mib",
    partial(save_mib, kind="R64", depth=12), pixels="*.mib",
)  # fmt: skip
LIVE = (NPY, GZIP, PACKED)


def detectors(scan: Scan, what: str) -> Iterator[n4.Disk | n4.Annulus]:
    """Yield a disk or an annulus that moves by a pixel each time."""
    (y, x), width = scan.center, scan.sig_shape[1]
    for i in range(MOVES):
        center = y - 4 + (i // 2) % 10, x - 6 + ((i + 1) // 2) % 10
        if what == "disk":
            yield n4.Disk(center, width / 12)
        else:
            yield n4.Annulus(center, *scan.radii)


def drag(
    steps: Callable[[Any], Iterable[Any]], states: Iterable[Any]
) -> dict[str, Any]:
    """Time the first and the exact answer to each move.

    Returns
    -------
    dict
        ``first_s``, ``exact_s`` (medians), ``first_p95_s``, ``exact_p95_s``, ``ways``.
    """
    first: list[float] = []
    exact: list[float] = []
    ways: set[str] = set()
    for state in states:
        begin = time.perf_counter()
        found = []
        for step in steps(state):
            found.append(time.perf_counter() - begin)
            ways.add(step.how)
        first.append(found[0])
        exact.append(found[-1])
        if sum(exact) > BUSY_S and len(exact) >= FEW:
            break
    return {
        "first_s": float(np.median(first[1:])),
        "first_p95_s": float(np.percentile(first[1:], 95)),
        "exact_s": float(np.median(exact[1:])),
        "exact_p95_s": float(np.percentile(exact[1:], 95)),
        "ways": ", ".join(sorted(ways)),
    }


def measure(data_set: DataSet, cache: Path, budget: int = BUDGET) -> dict[str, Any]:
    """Drag a disk and an annulus over a data set, after one pass over it.

    Returns
    -------
    dict
        ``limit_s``, ``prepare_s``, and what `drag` returns for ``disk`` and
        ``annulus``, there with ``ratio``: the exact image's 95 % over the limit.
    """
    ds = n4.load(data_set.filetype, path=data_set.make(cache), **data_set.arguments())
    limit = Limit(data_set.files(cache))
    limit_s = float(np.median([limit.seconds() for _ in range(7)]))
    live = LiveImages(ds, budget)
    begin = time.perf_counter()
    for _ in live.prepare():
        pass
    found: dict[str, Any] = {
        "limit_s": limit_s,
        "prepare_s": time.perf_counter() - begin,
    }
    for what in ("disk", "annulus"):
        found[what] = drag(
            partial(live.steps, key=what), detectors(data_set.scan, what)
        )
        found[what]["ratio"] = found[what]["exact_p95_s"] / limit_s
        last = list(detectors(data_set.scan, what))[-1]
        *_, step = live.steps(last, key=what)
        np.testing.assert_array_equal(step.image, n4.virtual_image(ds, last))
    return found


def measure_patterns(cache: Path, data_set: DataSet = NPY) -> dict[str, Any]:
    """Drag a round region over a scan, and show its mean frame."""
    ds = n4.load(data_set.filetype, path=data_set.make(cache), **data_set.arguments())
    y, x = np.indices(ds.nav_shape)
    side = ds.nav_shape[0]
    pattern = LivePattern(ds)
    found = {}
    for part in (16, 4):
        regions = [
            np.hypot(y - side / 2, x - side / 4 - i) < side / part for i in range(20)
        ]
        found[f"region of {regions[0].sum()}"] = drag(pattern.steps, regions)
        *_, step = pattern.steps(regions[0])
        np.testing.assert_allclose(
            step.frame, n4.mean_frame(ds, roi=regions[0]), rtol=1e-9
        )
    return found


def measure_refold() -> dict[str, float]:
    """Fold the map of 512 x 512 positions anew, by sync_offset and flyback."""
    flat = n4.load("memory", data=np.ones((512, 512, 2, 2), np.uint16))
    live = LiveImages(flat)
    detector = n4.Disk((1, 1), 1)
    list(live.steps(detector))
    taken = []
    for i in range(MOVES):
        begin = time.perf_counter()
        live.refold(flat.with_scan(sync_offset=i, flyback=i % 3))
        list(live.steps(detector))
        taken.append(time.perf_counter() - begin)
    return {
        "refold_s": float(np.median(taken)),
        "refold_p95_s": float(np.percentile(taken, 95)),
    }
