"""Runs a function or a generator on a thread: the one bridge between two worlds."""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined]  # pyqtSignal

Callback = Callable[[Any], None]


class _Bridge(QObject):
    """Lets other threads call functions on the GUI thread.

    There is one, and it outlives every widget: a thread that is late never meets a
    Qt object that is being deleted.
    """

    crossing = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        # Emitted on another thread, it is queued for the one that made this object.
        self.crossing.connect(self._call)

    def _call(self, function: Callable[[], None]) -> None:
        function()


_bridge: _Bridge | None = None


def _the_bridge() -> _Bridge:
    global _bridge
    if _bridge is None:
        _bridge = _Bridge()
    return _bridge


@dataclass(eq=False)
class _Job:
    make: Callable[[], Any]
    rests: Callable[[Any], bool] | None


@dataclass(eq=False)
class _State:
    """What the thread knows. It holds no widget, so that it keeps none alive."""

    is_live: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)
    newest: int = 0
    # the newest that was cancelled, and so all before it
    cancelled: int = 0
    waiting: tuple[int, _Job] | None = None
    has_newer: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None

    def is_newest(self, number: int) -> bool:
        return number == self.newest

    def is_wanted(self, number: int) -> bool:
        return self.is_newest(number) or (self.is_live and number > self.cancelled)

    def cancel(self, *_: object) -> None:
        with self.lock:
            self.newest += 1
            self.cancelled = self.newest
            self.waiting = None
            self.has_newer.set()


class Background:
    """Runs the newest of the jobs it is given; what older ones bring is dropped.

    Results arrive on the GUI thread, in the order in which they were made. There is
    a thread only while there is work.

    Parameters
    ----------
    owner : QObject, optional
        Nothing arrives after its end.
    patient : bool
        Whether a new job waits until the one that runs has noticed that it is out of
        date. Not to wait is for jobs that may hang, on a network that is gone.
    live : bool
        Whether a job that has begun still brings its result, or the parts of it up to
        the first rest, when a newer one is given. Else nothing would ever arrive where
        jobs come sooner than their results, as they do while a mouse moves.
    """

    def __init__(
        self,
        owner: QObject | None = None,
        *,
        patient: bool = True,
        live: bool = False,
    ) -> None:
        self._patient = patient
        self._state = _State(live)
        self._callbacks: dict[int, tuple[Callback | None, ...]] = {}
        self._bridge = _the_bridge()
        if owner is not None:
            owner.destroyed.connect(self._state.cancel)

    def run(
        self,
        job: Callable[[], Any],
        done: Callback | None = None,
        failed: Callable[[Exception], None] | None = None,
        partly: Callback | None = None,
        rests: Callable[[Any], bool] | None = None,
    ) -> None:
        """Run a job instead of all that were given before.

        Parameters
        ----------
        job : callable
            Called on the thread. If it returns a generator, that is run to its end,
            or closed as soon as a newer job comes.
        done : callable
            Gets what the job, or its generator, returned.
        failed : callable
            Gets the exception.
        partly : callable
            Gets what the generator yields.
        rests : callable, optional
            Gets the same, on the thread. Where it is true for the first time, the
            generator waits a little for a newer job before it goes on: what follows
            takes long, and slows the window down. A live job is left there or at a
            later part; without ``rests``, at the first.
        """
        state = self._state
        with state.lock:
            state.newest += 1
            state.waiting = state.newest, _Job(job, rests)
            state.has_newer.set()
            if not state.is_live:
                self._callbacks.clear()
            self._callbacks[state.newest] = (done, failed, partly)
            if state.thread is not None and self._patient:
                return
            state.thread = threading.Thread(
                target=_work,
                args=(state, weakref.ref(self), self._bridge),
                name="napari-4dstem",
                daemon=True,
            )
            state.thread.start()

    def cancel(self) -> None:
        """Drop the job that runs, and the one that waits."""
        self._state.cancel()
        self._callbacks.clear()

    @property
    def is_busy(self) -> bool:
        """Whether a thread is there, even if nobody waits for what it does."""
        return self._state.thread is not None

    def _arrived(self, number: int, which: int, value: Any) -> None:
        state = self._state
        is_late = which == FAILED and not state.is_newest(number)
        if is_late or not state.is_wanted(number) or number not in self._callbacks:
            return
        for older in [each for each in self._callbacks if each < number]:
            del self._callbacks[older]
        callback = self._callbacks[number][which]
        if callback is not None:
            callback(value)


DONE, FAILED, PARTLY = range(3)
# In it a mouse that is dragged moves again, and a busy window has noticed.
REST_S = 0.15
_CLOSED = object()  # what a generator returns that was not run to its end


def _work(
    state: _State, owner: weakref.ReferenceType[Background], bridge: _Bridge
) -> None:
    while True:
        with state.lock:
            if state.waiting is None or owner() is None:
                if state.thread is threading.current_thread():
                    state.thread = None
                return
            (number, job), state.waiting = state.waiting, None
            state.has_newer.clear()

        def send(which: int, value: Any, number: int = number) -> None:
            # Qt deletes the bridge when the program ends.
            with contextlib.suppress(RuntimeError):
                bridge.crossing.emit(partial(_deliver, owner, number, which, value))

        try:
            result = job.make()
            if isinstance(result, Generator):
                result = _exhausted(result, state, number, job.rests, send)
        except Exception as error:  # noqa: BLE001 - the caller judges, on his thread
            send(FAILED, error)
        else:
            if result is not _CLOSED:
                send(DONE, result)
        del job, send


def _exhausted(
    generator: Generator[Any, Any, Any],
    state: _State,
    number: int,
    rests: Callable[[Any], bool] | None,
    send: Callable[[int, Any], None],
) -> Any:
    while state.is_wanted(number):
        try:
            part = next(generator)
        except StopIteration as end:
            return end.value
        send(PARTLY, part)
        if rests is not None:
            if not rests(part):
                continue
            state.has_newer.wait(REST_S)
            rests = None  # once is enough
        if not state.is_newest(number):
            break
    generator.close()
    return _CLOSED


def _deliver(
    owner: weakref.ReferenceType[Background], number: int, which: int, value: Any
) -> None:
    background = owner()
    if background is not None:
        background._arrived(number, which, value)
