"""Watches the Explorer while something is dragged: mouse, threads, slots, painting."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from napari.layers import Image
from qtpy.QtCore import QEvent, QObject, Qt, QTimer

from napari_4dstem.gui.background import Background

BEAT_MS = 5


@dataclass
class Watch:
    """What happens in the window during a drag; all times are of one clock, in s.

    Attributes
    ----------
    layer : Image
        Shows what is computed.
    canvas : QWidget
        Shows the layer.
    moves : list of float
        When the mouse moved, of those moves that something was computed for.
    pictures : list of (float, float)
        When a picture was on the screen, and for which move it was made.
    """

    layer: Image
    canvas: Any
    moves: list[float] = field(default_factory=list)
    pictures: list[tuple[float, float]] = field(default_factory=list)
    beats: list[float] = field(default_factory=list)
    slots: list[float] = field(default_factory=list)
    paints: list[float] = field(default_factory=list)
    queued: list[float] = field(default_factory=list)
    moved: float | None = None
    arriving: float | None = None
    unpainted: float | None = None

    def numbers(self, seconds: float) -> dict[str, float]:
        """Return the columns of the table, in ms."""
        shown = np.array([made_for for _, made_for in self.pictures])
        late = [
            self.pictures[at][0] - move
            for move in self.moves
            if (at := int(np.searchsorted(shown, move))) < len(shown)
        ]
        beats = np.diff(self.beats)
        return {
            "moves": len(self.moves),
            "unanswered": len(self.moves) - len(late),
            "pictures/s": len(self.pictures) / seconds,
            "median": _ms(late, 50),
            "p95": _ms(late, 95),
            "beat p95": _ms(beats, 95),
            "beat longest": _ms(beats, 100),
            "slot": _ms(self.slots, 100),
            "slot p95": _ms(self.slots, 95),
            "painting %": 100 * sum(self.paints) / seconds,
            "paint": _ms(self.paints, 50),
            "queued p95": _ms(self.queued, 95),
        }


def _ms(seconds: Any, percentile: float) -> float:
    return float(np.percentile(seconds, percentile)) * 1e3 if len(seconds) else np.nan


class Instruments(QObject):  # type: ignore[misc]  # Qt has no types
    """Watches mouse, threads, slots and painting of one Explorer.

    Parameters
    ----------
    canvases : list of QWidget
    """

    def __init__(self, canvases: list[Any]) -> None:
        super().__init__()
        self.watch: Watch | None = None
        # Answer at once with what was computed last: what is left is painting.
        self.is_idle = False
        self._last: dict[Background, Any] = {}
        self._requests: dict[tuple[Background, int], float | None] = {}
        self._composing = 0.0
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._beat)
        self._timer.start(BEAT_MS)
        self._canvases = canvases
        for canvas in canvases:
            canvas.installEventFilter(self)
            canvas.aboutToCompose.connect(self._on_compose)
            canvas.frameSwapped.connect(self._on_swapped)
        self._run, self._arrived = Background.run, Background._arrived
        # vispy's, which may be imported after napari has chosen a backend only
        self._desktop = next(
            c for c in type(canvases[0]).__mro__ if "paintGL" in vars(c)
        )
        self._paint = self._desktop.paintGL
        Background.run = self._watched_run()  # type: ignore[method-assign]
        Background._arrived = self._watched_arrived()  # type: ignore[method-assign]
        self._desktop.paintGL = self._watched_paint()

    @contextmanager
    def watching(self, layer: Image, canvas: Any) -> Iterator[Watch]:
        """Watch a drag that changes a layer on a canvas."""
        watch = Watch(layer, canvas)
        layer.events.set_data.connect(self._on_picture)
        self.watch = watch
        yield watch
        self.watch = None
        layer.events.set_data.disconnect(self._on_picture)

    def stop(self) -> None:
        """Leave everything as it was."""
        self._timer.stop()
        Background.run = self._run  # type: ignore[method-assign]
        Background._arrived = self._arrived  # type: ignore[method-assign]
        self._desktop.paintGL = self._paint

    def eventFilter(self, _: Any, event: Any) -> bool:  # noqa: N802  Qt's name
        """Take the time of each move of the mouse."""
        if self.watch and event.type() == QEvent.Type.MouseMove:
            now = self.watch.moved = time.perf_counter()
            # The X server's clock is the monotonic one of the machine.
            waited = (time.monotonic_ns() // 10**6 - event.timestamp()) % 2**32
            if now and waited < 10_000:
                self.watch.queued.append(waited / 1e3)
        return False

    def timed(self, slot: Callable[..., Any]) -> Callable[..., Any]:
        """Return a callback of a layer that is timed, generator or not."""

        def watched(*args: Any) -> Any:
            with self._slot():
                result = slot(*args)
            return self._timed_steps(result) if isinstance(result, Generator) else None

        return watched

    def _timed_steps(self, steps: Generator[None]) -> Generator[None]:
        while True:
            with self._slot():
                try:
                    next(steps)
                except StopIteration:
                    return
            yield

    @contextmanager
    def _slot(self) -> Iterator[None]:
        begin = time.perf_counter()
        yield
        if self.watch:
            self.watch.slots.append(time.perf_counter() - begin)

    def _beat(self) -> None:
        if self.watch:
            self.watch.beats.append(time.perf_counter())

    def _on_picture(self, *_: Any) -> None:
        if self.watch and self.watch.arriving is not None:
            self.watch.unpainted = self.watch.arriving

    def _on_compose(self) -> None:
        self._composing = time.perf_counter()

    def _on_swapped(self) -> None:
        now, watch = time.perf_counter(), self.watch
        if watch is None:
            return
        if self._composing:
            watch.paints.append(now - self._composing)
            self._composing = 0.0
        if self.sender() is watch.canvas and watch.unpainted is not None:
            watch.pictures.append((now, watch.unpainted))
            watch.unpainted = None

    def _watched_run(self) -> Any:
        def run(
            background: Background, job: Any, done: Any = None, failed: Any = None,
            partly: Any = None, rests: Any = None,
        ) -> None:  # fmt: skip
            watch = self.watch
            if watch and watch.moved is not None:
                if not watch.moves or watch.moves[-1] != watch.moved:
                    watch.moves.append(watch.moved)
                if self.is_idle and background in self._last:
                    watch.arriving = watch.moved
                    which, value = self._last[background]
                    (done, failed, partly)[which](value)
                    watch.arriving = None
                    return
            self._run(background, job, done, failed, partly, rests)
            number = background._state.newest
            self._requests[background, number] = watch.moved if watch else None

        return run

    def _watched_arrived(self) -> Any:
        def arrived(background: Background, number: int, which: int, value: Any) -> Any:
            if value is not None and not isinstance(value, Exception):
                self._last[background] = which, value
            watch = self.watch
            if watch is None:
                self._arrived(background, number, which, value)
                return
            watch.arriving = self._requests.get((background, number))
            with self._slot():
                self._arrived(background, number, which, value)
            watch.arriving = None

        return arrived

    def _watched_paint(self) -> Any:
        def paint(canvas: Any) -> None:
            begin = time.perf_counter()
            self._paint(canvas)
            if self.watch:
                self.watch.paints.append(time.perf_counter() - begin)

        return paint
