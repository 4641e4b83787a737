"""Jobs on a thread: the newest wins, and nothing stays behind."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from qtpy.QtCore import QObject

from napari_4dstem.gui.background import Background

pytestmark = pytest.mark.window


@pytest.fixture(autouse=True)
def no_thread_stays(qapp: Any, qtbot: Any) -> Iterator[None]:
    yield
    qtbot.waitUntil(lambda: not ours())


def ours() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name == "napari-4dstem"]


def test_a_result_arrives_on_the_thread_of_the_window(qtbot: Any) -> None:
    background = Background()
    seen: list[Any] = []

    def done(value: Any) -> None:
        seen.append((value, threading.current_thread()))

    background.run(threading.current_thread, done)
    qtbot.waitUntil(lambda: bool(seen))
    ((worker, here),) = seen
    assert worker is not here
    assert here is threading.main_thread()


def test_an_error_arrives_as_such(qtbot: Any) -> None:
    background = Background()
    errors: list[Exception] = []
    background.run(lambda: 1 // 0, failed=errors.append)
    qtbot.waitUntil(lambda: bool(errors))
    assert isinstance(errors[0], ZeroDivisionError)


def test_a_generator_brings_parts_and_a_result(qtbot: Any) -> None:
    def count() -> Iterator[int]:
        yield 1
        yield 2
        return 3

    background = Background()
    parts: list[int] = []
    results: list[int] = []
    background.run(count, results.append, partly=parts.append)
    qtbot.waitUntil(lambda: bool(results))
    assert (parts, results) == ([1, 2], [3])


def test_only_the_newest_job_brings_a_result(qtbot: Any) -> None:
    background = Background()
    go = threading.Event()
    results: list[int] = []

    def first() -> int:
        go.wait(10)
        return 0

    background.run(first, results.append)
    for number in range(1, 5):
        background.run(lambda number=number: number, results.append)
    go.set()
    qtbot.waitUntil(lambda: not background.is_busy)
    qtbot.wait(20)
    assert results == [4]


def test_a_newer_job_ends_the_generator_before_it(qtbot: Any) -> None:
    closed = threading.Event()

    def endless() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.set()

    background = Background()
    results: list[str] = []
    background.run(endless)
    background.run(lambda: "done", results.append)
    qtbot.waitUntil(lambda: bool(results))
    assert results == ["done"]
    background.run(endless)
    qtbot.wait(20)
    background.cancel()
    qtbot.waitUntil(closed.is_set)


def test_an_impatient_one_does_not_wait_for_a_job_that_hangs(qtbot: Any) -> None:
    background = Background(patient=False)
    go = threading.Event()
    results: list[str] = []
    background.run(lambda: go.wait(10) and "late", results.append)
    background.run(lambda: "new", results.append)
    qtbot.waitUntil(lambda: bool(results))
    go.set()
    qtbot.waitUntil(lambda: not ours())
    qtbot.wait(20)
    assert results == ["new"]


def test_nothing_arrives_after_cancel(qtbot: Any) -> None:
    background = Background()
    results: list[int] = []
    background.run(lambda: 1, results.append)
    background.cancel()
    qtbot.waitUntil(lambda: not ours())
    qtbot.wait(20)
    assert not results


def test_nothing_arrives_after_the_end_of_the_owner(qtbot: Any) -> None:
    owner = QObject()
    background = Background(owner)
    go = threading.Event()
    results: list[Any] = []
    background.run(lambda: go.wait(10), results.append)
    owner.deleteLater()
    with qtbot.waitSignal(owner.destroyed):
        pass
    go.set()
    qtbot.waitUntil(lambda: not ours())
    qtbot.wait(20)
    assert not results


def test_a_running_job_does_not_keep_its_background_alive(qtbot: Any) -> None:
    go = threading.Event()
    background = Background()
    background.run(lambda: go.wait(10))
    ref = weakref.ref(background)
    del background
    gc.collect()
    assert ref() is None
    go.set()


class TestWhileAMouseMoves:
    """Jobs come sooner than their results."""

    def test_jobs_that_have_begun_bring_their_results(self, qtbot: Any) -> None:
        background = Background(live=True)
        results: list[int] = []
        number = 0
        while len(results) < 3:
            number += 1
            assert number < 1000, "nothing arrives as long as newer jobs come"
            background.run(lambda number=number: _slowly(number), results.append)
            qtbot.wait(5)
        qtbot.waitUntil(lambda: results[-1] == number)
        assert results == sorted(results)

    def test_errors_of_jobs_that_are_out_of_date_do_not_arrive(
        self, qtbot: Any
    ) -> None:
        background = Background(live=True)
        errors: list[Exception] = []
        go = threading.Event()
        background.run(lambda: go.wait(10) and 1 // 0, failed=errors.append)
        background.run(lambda: 1)
        go.set()
        qtbot.waitUntil(lambda: not ours())
        qtbot.wait(20)
        assert not errors

    def test_a_newer_job_ends_the_rest_of_the_one_before(self, qtbot: Any) -> None:
        went_on = threading.Event()

        def steps() -> Iterator[str]:
            yield "exact"
            yield "preview"
            went_on.set()
            yield "late"

        background = Background(live=True)
        parts: list[str] = []
        background.run(steps, partly=parts.append, rests=lambda part: part == "preview")
        qtbot.waitUntil(lambda: parts == ["exact", "preview"])
        background.run(lambda: "new", parts.append)
        qtbot.waitUntil(lambda: not ours())
        qtbot.wait(20)
        assert parts == ["exact", "preview", "new"]
        assert not went_on.is_set()

    def test_without_a_newer_job_it_goes_on_after_the_rest(self, qtbot: Any) -> None:
        background = Background(live=True)
        parts: list[int] = []
        results: list[None] = []
        background.run(
            lambda: (i for i in range(3)),
            results.append,
            partly=parts.append,
            rests=lambda _: True,
        )
        qtbot.waitUntil(lambda: bool(results))
        assert (parts, results) == ([0, 1, 2], [None])

    def test_nothing_arrives_after_cancel(self, qtbot: Any) -> None:
        background = Background(live=True)
        go = threading.Event()
        results: list[Any] = []
        background.run(lambda: go.wait(10), results.append)
        background.cancel()
        background.run(lambda: "new", results.append)
        go.set()
        qtbot.waitUntil(lambda: not ours())
        qtbot.wait(20)
        assert results == ["new"]


def _slowly(number: int) -> int:
    threading.Event().wait(0.02)
    return number
