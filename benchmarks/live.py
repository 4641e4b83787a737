"""Drags a disk, a ring and a region over scans, and compares with reading memory once.

    python benchmarks/live.py FOLDER [--quick]

FOLDER gets the data sets, which are used again; --quick makes them a sixteenth as
large. All times are of one run; the limit is a parallel sum of the same mapped bytes.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numba
import numpy as np

import napari_4dstem as n4
from napari_4dstem.engine import number_of_cores
from napari_4dstem.live import LiveImages, LivePattern

MOVES = 40
FEW = 6  # where each takes seconds


@numba.njit(nogil=True)
def add_up(words):
    """Sum words; the compiler makes vectors of it."""
    total = np.uint64(0)
    for i in range(words.size):
        total += words[i]
    return total


def limit(words: Any) -> float:
    """Seconds to read an array once, with a thread on every core."""
    add_up(words[:1])
    found = []
    for _ in range(7):
        threads = [
            threading.Thread(target=add_up, args=(part,))
            for part in np.array_split(words, number_of_cores())
        ]
        begin = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        found.append(time.perf_counter() - begin)
    return float(np.median(found))


def make(folder: Path, side: int) -> tuple[Path, Path]:
    """Write a scan of ``side`` squared frames of 128 x 128 pixels, uint16."""
    raw, packed = folder / f"live_{side}.npy", folder / f"live_{side}.h5"
    rng = np.random.default_rng(0)
    if not raw.exists():
        shape = side, side, 128, 128
        data = np.lib.format.open_memmap(raw, "w+", np.uint16, shape)
        block = rng.poisson(3, (16, side, 128, 128)).astype(np.uint16)
        for y in range(0, side, 16):
            data[y : y + 16] = block + np.uint16(y // 16)
    if not packed.exists():
        data = np.load(raw, mmap_mode="r")
        with h5py.File(packed, "w") as file:
            file.create_dataset(
                "data", data=data, chunks=(1, 16, 128, 128), compression="gzip",
                compression_opts=1,
            )  # fmt: skip
    return raw, packed


def moves(radii: tuple[float, ...], count: int = MOVES) -> Iterator[Any]:
    """Yield a detector that moves by a pixel each time."""
    for i in range(count):
        center = 60 + (i // 2) % 10, 58 + ((i + 1) // 2) % 10
        yield n4.Disk(center, *radii) if len(radii) == 1 else n4.Annulus(center, *radii)


def drag(steps: Callable[[Any], Any], states: Any) -> tuple[Any, Any, str]:
    """Return seconds to the first picture and to the exact one, of each move."""
    first, exact, ways = [], [], set()
    for state in states:
        begin = time.perf_counter()
        found = []
        for step in steps(state):
            found.append(time.perf_counter() - begin)
            ways.add(step.how)
        first.append(found[0])
        exact.append(found[-1])
    return np.array(first[1:]), np.array(exact[1:]), ",".join(sorted(ways))


def tell(what: str, first: Any, exact: Any, unit: float, ways: str) -> None:
    """Print a row of the table."""
    p95 = np.percentile(exact, 95)
    sys.stdout.write(
        f"{what:34} first {np.median(first) * 1e3:7.1f} ms"
        f" (95 %: {np.percentile(first, 95) * 1e3:7.1f})"
        f"  exact {np.median(exact) * 1e3:8.1f} ms (95 %: {p95 * 1e3:8.1f} ms,"
        f" {p95 / unit:6.2f} x limit)  {ways}\n"
    )
    sys.stdout.flush()


def measure(name: str, ds: Any, budget: int, unit: float, count: int = MOVES) -> None:
    """Drag detectors over one data set."""
    live = LiveImages(ds, budget)
    begin = time.perf_counter()
    for _ in live.prepare():
        pass
    seconds = time.perf_counter() - begin
    sys.stdout.write(
        f"{name}: prepare {seconds:.2f} s ({seconds / unit:.1f} x limit),"
        f" {live.nbytes / 2**20:.0f} MB, bins of {live._preview.step}\n"
    )
    width = ds.sig_shape[1]
    for what, radii in {"disk": (width / 12,), "ring": (width / 6, width / 3)}.items():
        images = drag(lambda d, what=what: live.steps(d, key=what), moves(radii, count))
        tell(f"{name}, {what}", *images[:2], unit, images[2])
        detector = list(moves(radii, count))[-1]
        *_, last = live.steps(detector, key=what)
        assert np.array_equal(last.image, n4.virtual_image(ds, detector))


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    side = 64 if given.quick else 256
    given.folder.mkdir(parents=True, exist_ok=True)
    raw, packed = make(given.folder, side)
    mapped = np.load(raw, mmap_mode="r")
    unit = limit(mapped.reshape(-1).view(np.uint64))
    nbytes = mapped.nbytes
    sys.stdout.write(
        f"limit {unit * 1e3:.1f} ms of {nbytes >> 20} MB,"
        f" {nbytes / unit / 1e9:.1f} GB/s\n"
    )
    ds = n4.load("npy", path=raw)
    measure("npy", ds, 2**28, unit)
    measure("npy, budget of 1/32", ds, nbytes // 32, unit)
    measure("hdf5 gzip", n4.load("hdf5", path=packed), 2**28, unit, FEW)

    pattern = LivePattern(ds)
    y, x = np.indices(ds.nav_shape)
    for size in (side // 16, side // 4):
        regions = [
            (y - side // 2) ** 2 + (x - side // 4 - i) ** 2 < size**2
            for i in range(MOVES // 2)
        ]
        found = drag(pattern.steps, regions)
        tell(f"mean of {regions[0].sum()} frames", *found[:2], unit, found[2])

    flat = n4.load("memory", data=np.ones((512, 512, 2, 2), np.uint16))
    live = LiveImages(flat)
    list(live.steps(n4.Disk((1, 1), 1)))
    taken = []
    for i in range(MOVES):
        begin = time.perf_counter()
        live.refold(flat.with_scan(sync_offset=i, flyback=i % 3))
        list(live.steps(n4.Disk((1, 1), 1)))
        taken.append(time.perf_counter() - begin)
    sys.stdout.write(
        f"refold 512 x 512: {np.median(taken) * 1e3:.2f} ms"
        f" (95 %: {np.percentile(taken, 95) * 1e3:.2f} ms)\n"
    )


if __name__ == "__main__":
    main()
