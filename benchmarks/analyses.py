"""What is timed on each data set, checked against numpy."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from math import prod
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

import napari_4dstem as n4
from benchmarks.data_sets import DataSet, events
from benchmarks.machine import Limit
from benchmarks.scans import Scan
from napari_4dstem.decode.hdf5_filters import Scratch, undo
from napari_4dstem.engine import number_of_cores

RUNS = 7
BUSY_S = 1.5  # of each analysis at most
SPARSE = "raw_csr"

Analysis = Callable[[Any, Scan], NDArray[Any]]


def annulus(ds: Any, scan: Scan) -> NDArray[Any]:
    """Return the virtual image of the annulus."""
    return n4.virtual_image(ds, n4.Annulus(scan.center, *scan.radii))


def five(ds: Any, scan: Scan) -> NDArray[Any]:
    """Return the virtual images of five rings that make up the annulus."""
    return n4.virtual_image(ds, [n4.Annulus(scan.center, *r) for r in scan.rings])


ANALYSES: dict[str, Analysis] = {
    "annulus": annulus,
    "full": lambda ds, scan: n4.sum_image(ds),
    "five": five,
    "com": lambda ds, scan: n4.center_of_mass(ds),
    "std": lambda ds, scan: n4.std_frame(ds),
}


def measure(data_set: DataSet, cache: Path) -> dict[str, Any]:
    """Time all analyses on a data set, in turns with the machine's limit.

    Returns
    -------
    dict
        ``limit_s``, ``file_nbytes`` and for each analysis ``seconds`` and ``ratio``:
        logical bytes per second, over those that the limit reads.
    """
    ds = n4.load(data_set.filetype, path=data_set.make(cache), **data_set.arguments())
    limit = Limit(data_set.files(cache))
    analyses = _analyses(data_set)
    _check(ds, data_set, analyses)
    limits: list[float] = []
    taken: dict[str, list[float]] = {name: [] for name in analyses}
    for _ in range(RUNS):
        for name, analysis in analyses.items():
            if sum(taken[name]) > BUSY_S and len(taken[name]) >= 3:
                continue
            limits.append(limit.seconds())
            begin = time.perf_counter()
            analysis(ds, data_set.scan)
            taken[name].append(time.perf_counter() - begin)
    limit_s = float(np.median(limits))
    rate = limit.nbytes / limit_s
    found: dict[str, Any] = {"limit_s": limit_s, "file_nbytes": limit.nbytes}
    for name, times in taken.items():
        seconds = float(np.median(times))
        found[name] = {
            "seconds": seconds,
            "ratio": data_set.scan.nbytes / seconds / rate,
        }
        if data_set.filetype == SPARSE:
            found[name]["events_per_s"] = events(data_set.scan).size / seconds
    if data_set.codec:
        found["codec_s"] = _codec(data_set.make(cache))
    return found


def _analyses(data_set: DataSet) -> dict[str, Analysis]:
    if data_set.filetype == SPARSE:  # the spread is that of a dense frame
        return {name: a for name, a in ANALYSES.items() if name != "std"}
    return ANALYSES


def _check(ds: Any, data_set: DataSet, analyses: dict[str, Analysis]) -> None:
    scan = data_set.scan
    if data_set.filetype == SPARSE:
        expected = _expected_of_events(scan)
    else:
        expected = scan.expected
    single = np.dtype(scan.dtype).kind == "f"
    for name, analysis in analyses.items():
        found = analysis(ds, scan)
        np.testing.assert_allclose(
            found, expected[name], rtol=1e-5 if single or name == "std" else 1e-12,
            atol=1e-9, err_msg=f"{data_set.name}, {name}",
        )  # fmt: skip


def _expected_of_events(scan: Scan) -> dict[str, NDArray[Any]]:
    pixels = events(scan)
    y, x = np.unravel_index(pixels, scan.sig_shape)
    masks = [
        scan.annulus_mask(*scan.radii),
        *(scan.annulus_mask(*r) for r in scan.rings),
    ]
    found, *rings = (
        mask.ravel()[pixels].sum(axis=1, dtype=np.int64).reshape(scan.nav_shape)
        for mask in masks
    )
    centers = np.stack([y.mean(axis=1), x.mean(axis=1)], axis=-1)
    return {
        "annulus": found,
        "five": np.stack(rings),
        "full": np.full(scan.nav_shape, pixels.shape[1]),
        "com": centers.reshape(*scan.nav_shape, 2),
    }


def _codec(path: Path) -> float:
    """Return the seconds in which the codec alone decodes all chunks, with all cores.

    The faster of two: the same functions that we call, on chunks in memory; and HDF5
    itself, as if it could use all cores.
    """
    with h5py.File(path) as file:
        stored = file["data"]
        begin = time.perf_counter()
        for y in range(len(stored)):
            stored[y]
        library = (time.perf_counter() - begin) / number_of_cores()
        chunks = [
            stored.id.read_direct_chunk(stored.id.get_chunk_info(i).chunk_offset)[1]
            for i in range(stored.id.get_num_chunks())
        ]
        filters = [(code, tuple(values)) for code, values in _filters(stored)]
        nbytes = prod(stored.chunks) * stored.dtype.itemsize
    scratch = Scratch()

    def decode(some: list[bytes]) -> None:
        out = np.empty(nbytes, np.uint8)
        for chunk in some:
            undo(filters, 0, np.frombuffer(chunk, np.uint8), out, scratch)

    times = [library]
    cores = number_of_cores()
    with ThreadPoolExecutor(cores) as pool:
        for _ in range(3):
            begin = time.perf_counter()
            list(pool.map(decode, [chunks[i::cores] for i in range(cores)]))
            times.append(time.perf_counter() - begin)
    return min(times)


def _filters(stored: h5py.Dataset) -> list[tuple[int, tuple[int, ...]]]:
    plist = stored.id.get_create_plist()
    found = [plist.get_filter(i) for i in range(plist.get_nfilters())]
    return [(code, values) for code, _, values, _ in found]
