"""Reductions on the threads of this machine."""

from __future__ import annotations

import copy
import os
import queue
import threading
from collections.abc import Callable, Generator
from functools import reduce
from typing import TYPE_CHECKING, Any

from napari_4dstem.engine.units import Order, Unit, units
from napari_4dstem.frames.batches import DenseBatch

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_4dstem.dataset import Dataset
    from napari_4dstem.engine.reduction import Reduction

# So often somebody who waits looks whether the work was cancelled.
PATIENCE_S = 0.05


class Part:
    """The share of one thread, or of one task of a cluster: a state, growing."""

    def __init__(self, ds: Dataset, reduction: Reduction) -> None:
        self.ds = ds
        self.reduction = reduction
        self.state = reduction.prepare(ds)
        # Held while the state changes, so that others may look at it in between.
        self.lock = threading.Lock()

    def do(
        self,
        unit: Unit,
        roi: NDArray[np.bool_] | None,
        is_cancelled: Callable[[], bool],
    ) -> None:
        """Fold the frames of a unit into the state."""
        reduction, source = self.reduction, self.ds.frames
        wants_batches = getattr(reduction, "takes_batches", False)
        positions = unit.positions(source.nav_shape, roi)
        for at, batch in source.batches(
            positions,
            getattr(reduction, "needed", None),
            raw=getattr(reduction, "takes_raw", False),
        ):
            if wants_batches:
                self._add(batch, at)
            else:
                for where, block in batch.dense_blocks():
                    # A user's function shall not write into somebody's array.
                    frames = DenseBatch(block).dense().view()
                    frames.flags.writeable = False
                    self._add(frames, at[where])
            if is_cancelled():
                return

    def _add(self, frames: Any, positions: NDArray[np.int64]) -> None:
        with self.lock:
            state = self.reduction.add(self.state, frames, positions)
            if state is not None:
                self.state = state


class Threads:
    """Some threads that share the units of a scan among each other."""

    def __init__(
        self,
        ds: Dataset,
        reduction: Reduction,
        roi: NDArray[np.bool_] | None = None,
        order: Order = "file",
        count: int | None = None,
    ) -> None:
        self.reduction = reduction
        self.roi = roi
        count = count or number_of_cores()
        self.work = units(ds.frames, count, order, getattr(reduction, "needed", None))
        self.parts = [Part(ds, reduction) for _ in range(min(count, len(self.work)))]
        # Where there is nothing to do, a state without frames.
        self.parts = self.parts or [Part(ds, reduction)]
        self._left = iter(self.work)
        self._next = threading.Lock()
        self._done: queue.SimpleQueue[Unit | BaseException | None] = queue.SimpleQueue()
        self._stop = threading.Event()

    def __iter__(self) -> Generator[Unit | None]:
        """Yield each unit when it is done, and None while there is none.

        To cancel is to close the iterator: the threads end with their batch.
        """
        threads = [
            threading.Thread(target=self._run, args=(part,), name="n4-engine")
            for part in self.parts
        ]
        for thread in threads:
            thread.start()
        running = len(threads)
        try:
            while running:
                try:
                    done = self._done.get(timeout=PATIENCE_S)
                except queue.Empty:
                    yield None
                    continue
                if isinstance(done, BaseException):
                    raise done
                if done is None:
                    running -= 1
                else:
                    yield done
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def _run(self, part: Part) -> None:
        try:
            while not self._stop.is_set():
                with self._next:
                    unit = next(self._left, None)
                if unit is None:
                    break
                part.do(unit, self.roi, self._stop.is_set)
                self._done.put(unit)
            self._done.put(None)
        except BaseException as error:  # noqa: BLE001  raised where it is waited for
            self._done.put(error)

    def partial(self) -> Any:
        """Return the result so far, while the threads go on."""
        states = []
        for part in self.parts:
            with part.lock:
                states.append(copy.deepcopy(part.state))
        return self.reduction.result(reduce(self.reduction.merge, states))

    def result(self) -> Any:
        """Return the result of all."""
        states = [part.state for part in self.parts]
        return self.reduction.result(reduce(self.reduction.merge, states))


def number_of_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
