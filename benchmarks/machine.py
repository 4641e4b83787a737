"""The machine's limit: the sum of all bytes of some files, mapped, with all cores."""

from __future__ import annotations

import os
import platform
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numba
import numpy as np
from numpy.typing import NDArray

from napari_4dstem.engine import number_of_cores


@numba.njit(nogil=True)  # type: ignore[untyped-decorator]
def add_up(words: NDArray[np.uint64]) -> np.uint64:
    """Sum words; the compiler makes vectors of it."""
    total = np.uint64(0)
    for i in range(words.size):
        total += words[i]
    return total


class Limit:
    """Reads files as words.

    Parameters
    ----------
    paths : sequence of Path
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._words = [
            np.memmap(path, np.uint64, "r", shape=(path.stat().st_size // 8,))
            for path in paths
            if path.stat().st_size >= 8
        ]
        self.nbytes = sum(words.nbytes for words in self._words)
        self.seconds()  # into the page cache, and the code compiled

    def seconds(self) -> float:
        """Read them once, a thread on every core, and return how long it took."""
        cores = number_of_cores()
        parts = [
            [np.array_split(w, cores)[i] for w in self._words] for i in range(cores)
        ]
        threads = [
            threading.Thread(target=lambda of=of: [add_up(part) for part in of])
            for of in parts
        ]
        begin = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return time.perf_counter() - begin


def describe() -> dict[str, str | int]:
    """Return what the numbers were measured on."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [li for li in cpuinfo.read_text().splitlines() if "model name" in li]
        model = names[0].split(":")[1].strip() if names else model
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": model,
        "cores": number_of_cores(),
        "memory_gb": round(memory),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "numba": numba.__version__,
    }
