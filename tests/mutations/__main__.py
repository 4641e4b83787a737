"""Damage files, open them, and tell what went wrong.

python -m tests.mutations --total 20000     many mutants of all files
python -m tests.mutations NAME SEED         one of them again, in this process
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

from tests.mutations.corpus import Target, corpus, donors
from tests.mutations.run import Pool, jobs, processes
from tests.mutations.serve import Result


def main() -> int:
    """Run; return how many mutants failed, at most 1."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutations")
    parser.add_argument("name", nargs="?", help="a file, as it is told of a failure")
    parser.add_argument("seed", nargs="?", type=int, help="the mutant of it")
    parser.add_argument("--keep", type=Path, help="a new folder for this one mutant")
    parser.add_argument("--total", type=int, default=20_000)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--only", default="", help="files with this in their name")
    parser.add_argument("--processes", type=int, default=processes())
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        targets = corpus(Path(scratch), generated=True)
        if given.seed is not None:
            return one(targets, given.name, given.seed, given.keep or Path(scratch))
        chosen = [target for target in targets if given.only in target.name]
        return many(
            targets, chosen, given.total, given.first_seed, given.processes, scratch
        )


def one(targets: list[Target], name: str, seed: int, folder: Path) -> int:
    """Try one mutant here, where a debugger sees it."""
    from tests.mutations.examine import copied, examine
    from tests.mutations.mutate import mutate

    target = next((target for target in targets if target.name == name), None)
    if target is None:
        sys.exit(f"no file has the name {name}")
    others = donors(targets, target)
    print(mutate(name, seed, target.content, others).story)
    mutant = folder / "mutant"
    mutant.mkdir(parents=True)
    try:
        print(examine(target, seed, others, copied(target, folder), mutant))
    except Exception:  # noqa: BLE001  to be shown, whatever it is
        traceback.print_exc()
        return 1
    return 0


def many(
    targets: list[Target],
    chosen: list[Target],
    total: int,
    first: int,
    processes: int,
    scratch: str,
) -> int:
    """Try many mutants of the chosen files, as many of each."""
    each, more = divmod(total, len(chosen))
    seeds = {
        target.name: range(first, first + each + (number < more))
        for number, target in enumerate(chosen)
    }
    if hasattr(os, "nice"):
        os.nice(10)
    verdicts: Counter[str] = Counter()
    slowest = largest = Result("", 0, "opened")
    start = told = time.monotonic()
    with Pool(Path(scratch), processes) as pool:
        for result in pool.run(jobs(targets, seeds)):
            verdicts[result.verdict] += 1
            slowest = max(slowest, result, key=lambda r: r.seconds)
            largest = max(largest, result, key=lambda r: r.added_mb)
            if result.failed:
                print(result, flush=True)
            if time.monotonic() - told > 10:
                told = time.monotonic()
                print(f"{verdicts.total()} of {total}: {dict(verdicts)}", flush=True)
    print(f"{verdicts.total()} mutants of {len(chosen)} files in", end=" ")
    print(f"{time.monotonic() - start:.0f} s: {dict(verdicts)}")
    print(f"longest: {slowest.seconds:.2f} s, {slowest.name} {slowest.seed}")
    print(f"most memory: {largest.added_mb:.0f} MB, {largest.name} {largest.seed}")
    return int(any(verdicts[v] for v in verdicts if v not in ("opened", "refused")))


if __name__ == "__main__":
    sys.exit(main())
