"""What the tests of all formats share."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from pathlib import Path

import pytest

from tests.formats.contract import Case, Stored


@pytest.fixture(scope="class")
def stored(case: Case, tmp_path_factory: pytest.TempPathFactory) -> Stored:
    """A scan, saved for tests that leave it as it is."""
    return Stored(case, tmp_path_factory.mktemp("contract"))


@pytest.fixture
def copied(case: Case, tmp_path: Path) -> Stored:
    """A scan, saved for one test that destroys it."""
    return Stored(case, tmp_path)


@pytest.fixture(scope="session")
def other_process() -> Iterator[Executor]:
    """A process that shares nothing with this one."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        yield pool
