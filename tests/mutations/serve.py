"""One process that tries mutants and may die of them."""

from __future__ import annotations

import contextlib
import faulthandler
import re
import shutil
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

from napari_4dstem import FormatWarning
from tests.mutations.corpus import Donors, Target
from tests.mutations.examine import copied

LAST_WORDS = "last_words"  # file with the traceback of a process that died
NO_FAILURE = ("opened", "refused")


class Limits(NamedTuple):
    """What a mutant may take.

    Attributes
    ----------
    slow_s : float
        What is slower is tried again: the machine may have been busy.
    hang_s : float
        After that its process is ended.
    added_mb : float
        Private memory beyond that before.
    asked_mb : float
        Memory to ask for, whether it is used or not.
    """

    slow_s: float = 5.0
    hang_s: float = 30.0
    added_mb: float = 500.0
    asked_mb: float = 2000.0


# Tries one mutant: target, seed, donors, copy of the folder, folder of the mutant.
Trial = Callable[[Target, int, Donors, Path, Path], str]


class Result(NamedTuple):
    """What came of a mutant.

    Attributes
    ----------
    name, seed
        Which one.
    verdict : str
        "opened", "refused", or a failure: "exception", "slow", "memory", "hang",
        "crash".
    story : str
        Of a failure: what Python said.
    seconds, added_mb : float
        Time, and private memory beyond that before.
    """

    name: str
    seed: int
    verdict: str
    story: str = ""
    seconds: float = 0.0
    added_mb: float = 0.0

    @property
    def failed(self) -> bool:
        """Whether something is wrong with the reader."""
        return self.verdict not in NO_FAILURE

    def __str__(self) -> str:
        return (
            f"{self.verdict}: {self.seconds:.2f} s, {self.added_mb:.0f} MB more."
            f" Again: python -m tests.mutations '{self.name}' {self.seed}\n{self.story}"
        )


def grouped(failures: Iterable[Result]) -> str:
    """Return failures for people: those with the same end once."""
    groups: dict[str, list[Result]] = {}
    for failure in failures:
        groups.setdefault(_cause(failure), []).append(failure)
    return "\n".join(
        f"{len(same)} mutant{'s' * (len(same) > 1)} like this: {same[0]}"
        for same in groups.values()
    )


def _cause(failure: Result) -> str:
    lines = failure.story.strip().splitlines() or [""]
    ours = [line for line in lines if "napari_4dstem" in line]
    # numbers and names differ from file to file
    end = re.sub(r"\d+|'[^']*'", "", lines[-1])
    return f"{failure.verdict} {ours[-1:]} {end}"


class Job(NamedTuple):
    """Mutants of one file."""

    target: Target
    seeds: tuple[int, ...]
    donors: Donors


def private_mb(pid: int | str = "self") -> float:
    """Return the private memory of a process; 0 where the system does not tell."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("RssAnon"):
                return int(line.split()[1]) / 1024
    return 0.0


def serve(connection: Connection, scratch: Path, trial: Trial, limits: Limits) -> None:
    """Try mutants until there are no more."""
    stray: list[str] = []
    watch_strays(stray)
    warnings.simplefilter("error")
    warnings.simplefilter("ignore", FormatWarning)
    limit_memory(limits.asked_mb)
    with (scratch / LAST_WORDS).open("w") as words:
        faulthandler.enable(words)
        connection.send(private_mb())
        while (job := connection.recv()) is not None:
            intact = copied(job.target, scratch)
            for seed in job.seeds:
                folder = scratch / "mutant"
                folder.mkdir()
                words.seek(0)
                words.truncate()
                faulthandler.dump_traceback_later(limits.hang_s, exit=True, file=words)
                story, start = "", time.perf_counter()
                try:
                    verdict = trial(job.target, seed, job.donors, intact, folder)
                except Exception:  # noqa: BLE001  whatever must not be
                    verdict, story = "exception", traceback.format_exc()
                seconds = time.perf_counter() - start
                faulthandler.cancel_dump_traceback_later()
                if stray:
                    verdict, story = "exception", "\n".join((story, *stray))
                    stray.clear()
                shutil.rmtree(folder)
                result = Result(job.target.name, seed, verdict, story, seconds)
                connection.send((result, private_mb()))


def watch_strays(stray: list[str]) -> None:
    """Collect exceptions that would only be printed."""

    def unraisable(args: Any) -> None:
        stray.append("".join(traceback.format_exception(args.exc_value)))

    sys.unraisablehook = unraisable
    threading.excepthook = unraisable


def limit_memory(asked_mb: float) -> None:
    """Refuse absurd allocations, which would not show before they are written."""
    if sys.platform == "linux":
        import resource

        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmData"):
                limit = int(line.split()[1]) * 1024 + int(asked_mb * 2**20)
                resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
