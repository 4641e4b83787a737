"""Damaged files are refused in clear words or open as valid data sets.

``tests/mutations`` says how files are damaged and what must hold of them;
``python -m tests.mutations`` does the same with more mutants.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import warnings
from collections import Counter
from pathlib import Path

import pytest

from tests.mutations.corpus import Donors, Target, corpus
from tests.mutations.mutate import mutate
from tests.mutations.run import Pool, jobs, processes
from tests.mutations.serve import Job, Limits, grouped, private_mb

SEEDS = range(20)
PARTS = 4  # which the processes of pytest-xdist can share


@pytest.fixture(scope="module")
def targets(tmp_path_factory):
    return corpus(tmp_path_factory.mktemp("corpus"))


@pytest.mark.parametrize("part", range(PARTS))
def test_every_mutant_is_refused_or_opens(targets, part, tmp_path):
    seeds = {target.name: SEEDS for target in targets[part::PARTS]}
    one_of_many = "PYTEST_XDIST_WORKER" in os.environ
    with Pool(tmp_path, 1 if one_of_many else processes()) as pool:
        results = list(pool.run(jobs(targets, seeds)))
    failures = [result for result in results if result.failed]
    assert not failures, grouped(failures)
    assert len(results) == len(SEEDS) * len(seeds)
    # They are neither all beyond reading nor all unharmed.
    verdicts = Counter(result.verdict for result in results)
    assert min(verdicts["opened"], verdicts["refused"]) > len(results) / 10


# The engine.

CONTENT = b"<a>12</a> width: 256 px " + bytes(range(256)) * 4


def test_same_name_and_seed_give_the_same_mutant():
    donors = [b"foreign" * 50]
    assert mutate("a", 3, CONTENT, donors) == mutate("a", 3, CONTENT, donors)
    assert len({mutate(name, 3, CONTENT, donors) for name in "abcdefgh"}) == 8
    mutants = {mutate("a", seed, CONTENT, donors).content for seed in range(200)}
    assert len(mutants - {CONTENT}) > 180


@pytest.mark.parametrize(
    "done",
    [
        "bits flipped", "bytes flipped", "cut at", "removed", "repeated", "swapped",
        "copied", "foreign", "zeros", "is 4294967295", "is -1", "is nan", "is inf",
        "is b'999999999", "is b'nan'", "is b'inf'",
    ],
)  # fmt: skip
def test_all_kinds_of_damage_are_done(done):
    donors = [b"foreign" * 50]
    stories = (mutate("a", seed, CONTENT, donors).story for seed in range(3000))
    assert any(done in story for story in stories)


@pytest.mark.parametrize("content", [b"", b"a", b"12", bytes(3)])
def test_tiny_files_are_damaged_too(content):
    for seed in range(200):
        assert len(mutate("a", seed, content, [content]).content) < 20_000


# The watch over processes.


def misbehave(target: Target, seed: int, donors: Donors, copy: Path, to: Path) -> str:
    """Go wrong in a way that the seed says."""
    if seed == 1:
        raise KeyError("width")
    if seed == 2:
        warnings.warn("overflow", RuntimeWarning, stacklevel=1)
    if seed == 3:
        os.kill(os.getpid(), signal.SIGSEGV)
    if seed == 4:
        while True:
            time.sleep(1)
    if seed == 5:
        time.sleep(0.7)
    if seed == 6:
        taken = bytearray(os.urandom(2**20)) * 150
        time.sleep(0.2)
        del taken
    if seed == 7:
        bytearray(2**31)
    if seed == 8:
        thread = threading.Thread(target=int, args=("no number",))
        thread.start()
        thread.join()
    return "refused" if seed == 9 else "opened"


@pytest.mark.skipif(sys.platform != "linux", reason="memory is only told on Linux")
def test_what_goes_wrong_is_told_of_the_mutant_that_did_it(tmp_path):
    assert private_mb() > 10
    intact = tmp_path / "intact"
    intact.mkdir()
    (intact / "a.bin").write_bytes(b"content")
    target = Target("a/a.bin", "a", intact, Path("a.bin"), (), ())
    job = Job(target, tuple(range(11)), Donors(()))
    limits = Limits(slow_s=0.5, hang_s=3, added_mb=100, asked_mb=1000)
    with Pool(tmp_path / "scratch", 1, misbehave, limits) as pool:
        results = {result.seed: result for result in pool.run([job])}
    assert {seed: result.verdict for seed, result in results.items()} == {
        0: "opened",
        1: "exception",
        2: "exception",
        3: "crash",
        4: "hang",
        5: "slow",
        6: "memory",
        7: "exception",
        8: "exception",
        9: "refused",
        10: "opened",
    }
    told = {seed: result.story for seed, result in results.items()}
    assert "KeyError: 'width'" in told[1]
    assert "RuntimeWarning: overflow" in told[2]
    assert "Segmentation fault" in told[3]
    assert "misbehave" in told[4]
    assert "MemoryError" in told[7]
    assert "invalid literal for int()" in told[8]
    assert "python -m tests.mutations 'a/a.bin' 3" in str(results[3])
    summary = grouped([result for result in results.values() if result.failed])
    assert "1 mutant" in summary
