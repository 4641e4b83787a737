"""First use and private memory, in processes of their own.

As a program it runs one analysis and prints what that cost, as JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from benchmarks.data_sets import DataSet, describe

PROJECT = Path(__file__).parents[1]
EVERY_S = 0.002


def measure(data_set: DataSet, cache: Path) -> dict[str, Any]:
    """Open a data set in new processes, with empty and with filled code caches.

    Returns
    -------
    dict
        ``never_compiled_s`` and ``compiled_s``: import, opening and a virtual image,
        minus the time of the same image the second time. ``private_nbytes``: for each
        analysis the peak of private memory above that after the imports.
    """
    facts = describe(data_set, cache)
    found = {}
    with tempfile.TemporaryDirectory() as code:
        environment = os.environ | {"NUMBA_CACHE_DIR": code}
        for when in ("never_compiled_s", "compiled_s"):
            told = _run(["first", facts], environment)
            found[when] = told["first_s"] - told["second_s"]
            found[f"import_{when}"] = told["import_s"]
        names = ["annulus", "five", "com", "live"]
        if data_set.filetype != "raw_csr":
            names += ["std"]
        found["private_nbytes"] = {
            name: _run(["memory", facts, name], environment)["private_nbytes"]
            for name in names
        }
    return found


def _run(arguments: list[str], environment: dict[str, str]) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.fresh", *arguments],
        cwd=PROJECT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"benchmarks.fresh {arguments[0]} failed:\n{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def first(facts: dict[str, Any]) -> dict[str, float]:
    """Import, open, and calculate the same image twice."""
    began = time.perf_counter()
    import napari_4dstem as n4

    imported = time.perf_counter()
    ds = n4.load(facts["filetype"], path=facts["path"], **facts["arguments"])
    detector = n4.Annulus(facts["center"], *facts["radii"])
    n4.virtual_image(ds, detector)
    once = time.perf_counter()
    n4.virtual_image(ds, detector)
    twice = time.perf_counter()
    return {
        "import_s": imported - began,
        "first_s": once - began,
        "second_s": twice - once,
    }


def memory(facts: dict[str, Any], name: str) -> dict[str, int]:
    """Return the peak of private memory above what there is after the imports."""
    import napari_4dstem as n4
    from benchmarks.analyses import ANALYSES
    from benchmarks.drag import BUDGET, detectors
    from napari_4dstem.live import LiveImages

    scan = SimpleNamespace(**{k: facts[k] for k in ("center", "radii", "rings")})
    scan.sig_shape = facts["sig_shape"]
    with _peak() as found:
        ds = n4.load(facts["filetype"], path=facts["path"], **facts["arguments"])
        if name == "live":
            live = LiveImages(ds, BUDGET)
            for _ in live.prepare():
                pass
            for detector in list(detectors(scan, "disk"))[:3]:
                for _ in live.steps(detector):
                    pass
        else:
            ANALYSES[name](ds, scan)
    return {"private_nbytes": found[0]}


def private_nbytes() -> int:
    """Return the anonymous memory of this process; mapped files are not in it."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("private memory can be measured on Linux only")


@contextmanager
def _peak() -> Iterator[list[int]]:
    found = [0]
    before, stopped = private_nbytes(), threading.Event()

    def watch() -> None:
        while not stopped.wait(EVERY_S):
            found[0] = max(found[0], private_nbytes() - before)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        stopped.set()
        thread.join()


def main() -> None:
    """Measure one thing and print it."""
    what, facts, *more = sys.argv[1:]
    told = {"first": first, "memory": memory}[what](json.loads(facts), *more)
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main()
