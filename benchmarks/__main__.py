"""Measures formats, analyses and dragging, and compares with the machine's limit.

The files have about 1 GB each and stay in the cache folder; they are read from the
page cache, one data set at a time. All ratios are of one run.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import platformdirs

from benchmarks import analyses, drag, fresh, machine, peers, report
from benchmarks.data_sets import DATA_SETS, SPARSE, DataSet


def main() -> None:
    """Measure what is asked for."""
    given = _arguments()
    results: dict[str, Any] = {"machine": machine.describe(), "data_sets": {}}
    for data_set in _chosen((*DATA_SETS, *SPARSE), given):
        _say(data_set.name)
        found = analyses.measure(data_set, given.cache)
        if given.peers:
            found["peers"] = peers.measure(data_set, given.cache, given.peers)
        found["drag"] = drag.measure(data_set, given.cache)
        if not given.quick:
            found["fresh"] = fresh.measure(data_set, given.cache)
        results["data_sets"][data_set.name] = found
        report.save(results, given.output)
    if not given.only or "live" in given.only:
        _drag(results, given)
    report.save(results, given.output)
    sys.stdout.write(report.tables(results))
    if given.quick:
        _say("--quick: fixed costs count; what is marked ✗ is meant for full size")


def _drag(results: dict[str, Any], given: argparse.Namespace) -> None:
    results["live"] = {}
    for data_set in drag.LIVE:
        data_set = data_set.quick() if given.quick else data_set
        _say(f"dragging over {data_set.name}")
        results["live"][data_set.name] = drag.measure(data_set, given.cache)
    small = drag.NPY.quick() if given.quick else drag.NPY
    name = f"{small.name}, 32 times the budget"
    _say(f"dragging over {name}")
    budget = small.scan.nbytes // 32
    results["live"][name] = drag.measure(small, given.cache, budget)
    results["patterns"] = drag.measure_patterns(given.cache, small)
    results["refold"] = drag.measure_refold()


def _chosen(data_sets: tuple[DataSet, ...], given: argparse.Namespace) -> list[DataSet]:
    chosen = [
        data_set
        for data_set in data_sets
        if not given.only or any(part in data_set.name for part in given.only)
    ]
    return [data_set.quick() for data_set in chosen] if given.quick else chosen


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def _arguments() -> argparse.Namespace:
    cache = Path(platformdirs.user_cache_path("napari-4dstem")) / "benchmarks"
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true",
        help="a sixteenth of the data, where fixed costs show; no new processes",
    )  # fmt: skip
    parser.add_argument(
        "--peers", metavar="PYTHON", nargs="?", const=sys.executable,
        help="compare with LiberTEM and py4DSTEM, installed for this interpreter",
    )  # fmt: skip
    parser.add_argument(
        "--only", metavar="NAME", nargs="+",
        help="data sets whose name has this in it, or 'live'",
    )  # fmt: skip
    parser.add_argument(
        "--cache",
        type=Path,
        default=cache,
        help="where the data sets lie (%(default)s)",
    )
    parser.add_argument(
        "--output", type=Path, default=Path("docs/performance"),
        help="folder of tables, JSON and plot (%(default)s)",
    )  # fmt: skip
    return parser.parse_args()


if __name__ == "__main__":
    main()
