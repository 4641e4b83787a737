"""The engine: runs a reduction over all frames of a scan, here or on a cluster.

A reduction says what to do with a batch of frames and how to merge two partial results
(`Reduction`); the engine cuts the scan into units (`units`), hands them to threads
(`threads`) or to the workers of a cluster (`cluster`), and tells how far it is.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any

from napari_4dstem.engine.arguments import (
    check_reduction,
    check_waiting,
    checked_client,
    checked_data_set,
    checked_roi,
)
from napari_4dstem.engine.cluster import Cluster
from napari_4dstem.engine.reduction import Mapped, PerFrame, Reduction
from napari_4dstem.engine.threads import Threads, number_of_cores
from napari_4dstem.engine.units import Order
from napari_4dstem.errors import Cancelled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_4dstem.dataset import Dataset

__all__ = [
    "PerFrame",
    "Progress",
    "Reduction",
    "map_frames",
    "number_of_cores",
    "run",
    "stream",
]


@dataclass(frozen=True, eq=False)
class Progress:
    """How far a reduction is.

    Attributes
    ----------
    done, total : int
        Scan positions, those without a frame included.
    """

    done: int
    total: int
    _runner: Threads | Cluster

    def partial(self) -> Any:
        """Return the result so far, a copy."""
        return self._runner.partial()

    @cached_property
    def result(self) -> Any:
        """The result, once all is done."""
        if self.done < self.total:
            raise RuntimeError(f"only {self.done} of {self.total} positions are done")
        return self._runner.result()


def stream(
    ds: Dataset,
    reduction: Reduction,
    *,
    roi: Any = None,
    order: Order = "file",
    scheduler: Any = None,
) -> Generator[Progress]:
    """Run a reduction, and tell how far it is.

    Parameters
    ----------
    ds : Dataset
    reduction : Reduction
    roi : bool array, shape nav_shape, optional
        Scan positions that count; by default all.
    order : "file" or "coarse"
        "coarse": a grid of positions all over the scan comes first, then the rest.
    scheduler : dask.distributed.Client, optional
        None: threads of this machine.

    Yields
    ------
    Progress
        At least once, at most every 50 ms while nothing gets done. The last one has the
        result. To cancel is to close the generator.

    Raises
    ------
    ShapeError
        If ``roi`` has not the shape of the scan.
    """
    ds = checked_data_set(ds)
    check_reduction(reduction)
    region = checked_roi(ds, roi)
    runner: Threads | Cluster
    if scheduler is None:
        runner = Threads(ds, reduction, region, order)
    else:
        runner = Cluster(ds, reduction, checked_client(scheduler), region, order)
    sizes = {unit: _size(unit, ds.nav_shape) for unit in runner.work}
    done, total = 0, prod(ds.nav_shape)
    with closing(iter(runner)) as finished:
        for unit in finished:
            done += sizes[unit] if unit is not None else 0
            if done < total:
                yield Progress(done, total, runner)
    yield Progress(total, total, runner)


def run(
    ds: Dataset,
    reduction: Reduction,
    *,
    roi: Any = None,
    progress: Callable[[int, int], Any] | None = None,
    cancel: threading.Event | None = None,
    scheduler: Any = None,
) -> Any:
    """Run a reduction over all frames of a scan.

    Parameters
    ----------
    ds : Dataset
    reduction : Reduction
        Any object with ``prepare(ds)``, ``add(state, frames, positions)``,
        ``merge(a, b)`` and ``result(state)``: see `Reduction`.
    roi : bool array, shape nav_shape, optional
        Scan positions that count; by default all.
    progress : callable, optional
        ``progress(done, total)`` is called in this thread with numbers of scan
        positions.
    cancel : threading.Event, optional
        When it is set, the work ends within about 0.1 s. Compiled code that is loaded
        for the first time in a process, or compiled, comes to its end before.
    scheduler : dask.distributed.Client, optional
        None: threads of this machine.

    Returns
    -------
    What ``reduction.result`` returns.

    Raises
    ------
    Cancelled
        If ``cancel`` was set.
    FormatError
        If a file cannot be read (any more).
    ShapeError
        If ``roi`` has not the shape of the scan.

    Examples
    --------
    The brightest pixel of the scan, and where it is:

    >>> class Brightest:
    ...     def prepare(self, ds):
    ...         return -1, None
    ...     def add(self, state, frames, positions):
    ...         flat = frames.reshape(len(frames), -1)
    ...         at = flat.max(axis=1).argmax()
    ...         return max(state, (int(flat[at].max()), int(positions[at])))
    ...     def merge(self, a, b):
    ...         return max(a, b, key=lambda state: state[0])
    ...     def result(self, state):
    ...         return state
    """
    check_waiting(progress, cancel)
    with closing(stream(ds, reduction, roi=roi, scheduler=scheduler)) as steps:
        for step in steps:
            if progress is not None:
                progress(step.done, step.total)
            if cancel is not None and cancel.is_set():
                raise Cancelled("cancelled while frames were read")
    return step.result


def map_frames(
    ds: Dataset,
    function: Callable[[NDArray[Any]], Any],
    *,
    roi: Any = None,
    progress: Callable[[int, int], Any] | None = None,
    cancel: threading.Event | None = None,
    scheduler: Any = None,
) -> NDArray[Any]:
    """Call a function for every frame.

    Parameters
    ----------
    ds : Dataset
    function : callable
        ``function(frame)``, with an array of shape sig_shape, returns a number or an
        array, always of one shape and type. It runs in several threads, and may not
        change the frame.
    roi, progress, cancel, scheduler : optional
        See `run`.

    Returns
    -------
    array, shape ``nav_shape + shape of what the function returns``
        Zero where there is no frame. Of shape nav_shape if there is none at all:
        nobody knows what the function would have returned.

    Raises
    ------
    ShapeError
        If the function does not always return the same shape.
    """
    ds = checked_data_set(ds)
    found: NDArray[Any] = run(
        ds,
        Mapped(nav_shape=ds.nav_shape, function=function),
        roi=roi,
        progress=progress,
        cancel=cancel,
        scheduler=scheduler,
    )
    return found


def _size(unit: Any, nav_shape: tuple[int, ...]) -> int:
    if unit.grid is None:
        return prod(end - begin for begin, end in unit.region)
    return len(unit.positions(nav_shape, None))
