"""A computation that a form waits for: on a thread, with progress and cancel."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from napari.utils import cancelable_progress, progress
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QWidget

from napari_4dstem.errors import Cancelled
from napari_4dstem.gui.background import Background

POLL_MS = 50
# What takes no longer than that needs no bar that would only flash.
SHOW_AFTER_S = 0.5


@dataclass(eq=False)
class _State:
    """What the thread and the window share; holds no widget."""

    cancel: threading.Event = field(default_factory=threading.Event)
    done: int = 0
    total: int = 0
    bar: progress | None = None

    def stop(self, *_: object) -> None:
        self.cancel.set()
        self.close_bar()

    def report(self, done: int, total: int) -> None:
        self.done, self.total = done, total

    def close_bar(self) -> None:
        bar, self.bar = self.bar, None
        if bar is not None:
            with contextlib.suppress(RuntimeError):  # the window is gone, and its bars
                bar.close()


class Computation:
    """Runs one job at a time, and shows how far it is.

    Progress is polled on the GUI thread, however often a job reports it, and shown in
    napari's activity dock as well, with a button that cancels it.

    Parameters
    ----------
    owner : QWidget
        The computation is cancelled when it comes to its end.
    moved : callable, optional
        ``moved(done, total)`` is called while it runs.
    """

    def __init__(
        self, owner: QWidget, moved: Callable[[int, int], object] | None = None
    ) -> None:
        self._moved = moved
        self._background = Background(owner)
        self._state: _State | None = None
        self._began = 0.0
        self._title = ""
        self._timer = QTimer(owner)
        self._timer.setInterval(POLL_MS)
        self._timer.timeout.connect(self._poll)
        self._owner = owner

    @property
    def is_running(self) -> bool:
        """Whether somebody waits for a result."""
        return self._state is not None

    def run(
        self,
        title: str,
        job: Callable[[Callable[[int, int], None], threading.Event], Any],
        done: Callable[[Any], object],
        ended: Callable[[Exception | None], object],
    ) -> None:
        """Run a job instead of the one that runs.

        Parameters
        ----------
        title : str
            What is done, for the activity dock.
        job : callable
            ``job(progress, cancel)``, called on a thread.
        done : callable
            Gets what the job returned, on the GUI thread.
        ended : callable
            Called when it is no longer waited for: with None after `done` or when it
            was cancelled, or with what went wrong.
        """
        self.cancel()
        state = self._state = _State()
        self._title, self._began = title, time.monotonic()
        self._owner.destroyed.connect(state.stop)
        self._timer.start()

        def finish(result: Any) -> None:
            self._finish()
            done(result)
            ended(None)

        def fail(error: Exception) -> None:
            self._finish()
            ended(None if isinstance(error, Cancelled) else error)

        self._ended = ended
        self._background.run(
            lambda: job(state.report, state.cancel), done=finish, failed=fail
        )

    def cancel(self) -> None:
        """Stop the job; nothing comes of it."""
        if self._state is None:
            return
        self._state.cancel.set()
        self._background.cancel()
        self._finish()
        self._ended(None)

    def _finish(self) -> None:
        self._timer.stop()
        if self._state is not None:
            self._state.close_bar()
        self._state = None

    def _poll(self) -> None:
        state = self._state
        if state is None:
            return
        if state.bar is None and time.monotonic() - self._began > SHOW_AFTER_S:
            state.bar = cancelable_progress(
                total=max(state.total, 1), desc=self._title, cancel_callback=self.cancel
            )
        if state.bar is not None and state.total:
            state.bar.total = state.total
            state.bar.update(state.done - state.bar.n)
        if self._moved is not None:
            self._moved(state.done, state.total)
