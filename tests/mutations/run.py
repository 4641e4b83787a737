"""Many mutants in processes of their own, watched for time, memory and crashes."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import shutil
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from tests.mutations.corpus import Target, donors
from tests.mutations.examine import examine
from tests.mutations.serve import (
    LAST_WORDS,
    Job,
    Limits,
    Result,
    Trial,
    private_mb,
    serve,
)

SAMPLE_S = 0.01


def jobs(targets: Sequence[Target], seeds: Mapping[str, Sequence[int]]) -> list[Job]:
    """Return the mutants to try, by the name of the target."""
    return [
        Job(target, tuple(seeds[target.name]), donors(targets, target))
        for target in targets
        if seeds.get(target.name)
    ]


@dataclass
class Worker:
    """A process that tries mutants one after the other."""

    scratch: Path
    trial: Trial
    limits: Limits
    process: Any = None
    connection: Any = None
    job: Job | None = None
    pending: deque[int] = field(default_factory=deque)
    before_mb: float = 0.0
    peak_mb: float = 0.0
    since: float = 0.0

    def start(self) -> None:
        """Start the process, or another one in its place."""
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.scratch.mkdir(parents=True)
        spawn = multiprocessing.get_context("spawn")
        self.connection, there = spawn.Pipe()
        self.process = spawn.Process(
            target=serve,
            args=(there, self.scratch, self.trial, self.limits),
            daemon=True,
        )
        self.process.start()
        there.close()
        self._begin(self.connection.recv())

    def give(self, job: Job) -> None:
        """Hand over mutants."""
        self.job, self.pending = job, deque(job.seeds)
        self.since = time.perf_counter()
        self.connection.send(job)

    def take(self) -> Result:
        """Return what came of a mutant, or the end of the process."""
        assert self.job is not None
        seed = self.pending.popleft()
        try:
            result, now_mb = self.connection.recv()
        except (EOFError, ConnectionError):
            return self._end(seed)
        self.sample(now_mb)
        result = result._replace(added_mb=self.peak_mb - self.before_mb)
        self._begin(now_mb)
        return self._judged(result)

    def _judged(self, result: Result) -> Result:
        if not result.failed and result.added_mb > self.limits.added_mb:
            return result._replace(verdict="memory")
        if not result.failed and result.seconds > self.limits.slow_s:
            return result._replace(verdict="slow")
        return result

    def _begin(self, now_mb: float) -> None:
        self.before_mb = self.peak_mb = now_mb
        self.since = time.perf_counter()

    def _end(self, seed: int) -> Result:
        assert self.job is not None
        self.process.join()
        code = self.process.exitcode
        added = self.peak_mb - self.before_mb
        verdict = "hang" if code == 1 else "crash"
        if added > self.limits.added_mb:
            verdict = "memory"
        words = (self.scratch / LAST_WORDS).read_text(errors="replace")
        story = f"The process ended with {code}.\n{words}"
        seconds = time.perf_counter() - self.since
        name, left = self.job.target.name, self.pending
        rest = self.job._replace(seeds=tuple(left))
        self.start()
        if left:
            self.give(rest)
        return Result(name, seed, verdict, story, seconds, added)

    def sample(self, now_mb: float | None = None) -> None:
        """Look at the memory, and end the process before it takes all there is."""
        now = private_mb(self.process.pid) if now_mb is None else now_mb
        self.peak_mb = max(self.peak_mb, now)
        if self.peak_mb - self.before_mb > 3 * self.limits.added_mb:
            self.process.kill()

    def stop(self) -> None:
        """Let the process end."""
        if self.process is not None:
            with contextlib.suppress(OSError):
                self.connection.send(None)
            self.process.join(10)
            self.process.kill()


class Pool:
    """Processes that try mutants.

    Parameters
    ----------
    scratch : Path
        Where they work.
    processes : int
    trial : callable
        What they do.
    limits : Limits
    """

    def __init__(
        self,
        scratch: Path,
        processes: int,
        trial: Trial = examine,
        limits: Limits = Limits(),  # noqa: B008  it is frozen
    ) -> None:
        folders = [scratch / f"worker_{k}" for k in range(processes)]
        self.workers = [Worker(folder, trial, limits) for folder in folders]

    def __enter__(self) -> Pool:
        for worker in self.workers:
            worker.start()
        return self

    def __exit__(self, *raised: object) -> None:
        for worker in self.workers:
            worker.stop()

    def run(self, todo: Iterable[Job]) -> Iterator[Result]:
        """Yield what comes of the mutants, failures by time or memory checked twice."""
        again: list[Job] = []
        by_name = {job.target.name: job for job in todo}
        for result in self._run(deque(by_name.values())):
            if result.verdict in ("slow", "memory"):
                job = by_name[result.name]
                again.append(job._replace(seeds=(result.seed,)))
            else:
                yield result
        # The machine may have been busy, or a kernel was compiled.
        yield from self._run(deque(again))

    def _run(self, todo: deque[Job]) -> Iterator[Result]:
        sampled = 0.0
        while True:
            for worker in self.workers:
                if todo and not worker.pending:
                    worker.give(todo.popleft())
            busy = {w.connection: w for w in self.workers if w.pending}
            if not busy:
                return
            for connection in wait(list(busy), SAMPLE_S):
                yield busy[connection].take()
            if time.perf_counter() - sampled > SAMPLE_S:
                for worker in self.workers:
                    if worker.pending:
                        worker.sample()
                sampled = time.perf_counter()


def processes() -> int:
    """Return how many processes at once make sense."""
    return max(1, min(4, os.cpu_count() or 1))
