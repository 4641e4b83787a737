"""Reductions on the workers of a dask cluster, which open the files themselves."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_4dstem.engine.threads import PATIENCE_S, Part
from napari_4dstem.engine.units import Order, Unit, units
from napari_4dstem.errors import FormatError, ParameterError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_4dstem.dataset import Dataset
    from napari_4dstem.engine.reduction import Reduction

# Tasks for each thread of each worker: enough to end at the same time, and so few that
# states which are as large as a frame are not sent around too often.
TASKS_PER_THREAD = 4
SAME_PATH = "Files must be reachable under the same path on every worker."


@dataclass(frozen=True)
class Share:
    """The work of one task; all that a worker is told.

    Attributes
    ----------
    ds : Dataset
    reduction : Reduction
    work : sequence of Unit
    roi : bool array, shape nav_shape, optional
    """

    ds: Dataset
    reduction: Reduction
    work: Sequence[Unit]
    roi: NDArray[np.bool_] | None

    def __call__(self) -> Any:
        """Return the state of these units; runs on a worker."""
        part = Part(self.ds, self.reduction)
        is_cancelled = _cancellation()
        try:
            for unit in self.work:
                part.do(unit, self.roi, is_cancelled)
                if is_cancelled():
                    break
        except FormatError as error:
            raise _on_worker(error) from error
        return part.state


def _cancellation() -> Callable[[], bool]:
    """Return what tells whether the task that runs here was cancelled.

    The scheduler drops a cancelled task, but whoever runs it has to stop by himself.
    """
    from distributed import get_worker

    worker = get_worker()
    tasks, key = worker.state.tasks, worker.get_current_task()

    def is_cancelled() -> bool:
        task = tasks.get(key)
        return task is None or task.state == "cancelled"

    return is_cancelled


def _on_worker(error: FormatError) -> FormatError:
    """Return the same error, with the name of the worker that had it."""
    from distributed import get_worker

    return FormatError(
        error.path,
        f"{error.problem} (on the worker {get_worker().address})",
        offset=error.offset,
        expected=error.expected,
        found=error.found,
        hint=f"{error.hint or ''} {SAME_PATH}".strip(),
    )


def _check_travels(reduction: Reduction) -> None:
    """Check that workers can be sent a reduction.

    Raises
    ------
    ParameterError
        If it does not pickle.
    """
    from distributed.protocol.pickle import dumps

    try:
        dumps(reduction)  # type: ignore[no-untyped-call]
    except Exception as error:  # pickle lets any exception of any object pass
        raise ParameterError(
            None,
            "scheduler",
            "this cannot be sent to the workers",
            expected="a function, or a reduction, that pickles",
            found=str(error),
            hint="Open files, locks and the like where they are used, in the function.",
        ) from error


class Cluster:
    """Tasks on the workers of a client that share the units of a scan.

    A task whose worker dies is done again by another one: that is the work of dask's
    scheduler.
    """

    def __init__(
        self,
        ds: Dataset,
        reduction: Reduction,
        client: Any,
        roi: NDArray[np.bool_] | None = None,
        order: Order = "file",
    ) -> None:
        self.ds = ds
        self.reduction = reduction
        self.client = client
        self.roi = roi
        threads = max(sum(client.nthreads().values()), 1)
        self.work = units(ds.frames, threads, order, getattr(reduction, "needed", None))
        self._shares = _dealt(self.work, threads * TASKS_PER_THREAD)
        self._state = reduction.prepare(ds)
        _check_travels(reduction)

    def __iter__(self) -> Generator[Unit | None]:
        """Yield each unit when it is done, and None while there is none.

        To cancel is to close the iterator: the tasks are cancelled.
        """
        from distributed import wait  # no types

        futures = {
            self.client.submit(
                Share(self.ds, self.reduction, share, self.roi), pure=False
            ): share
            for share in self._shares
        }
        try:
            while futures:
                try:
                    done = wait(  # type: ignore[no-untyped-call]
                        list(futures), PATIENCE_S, "FIRST_COMPLETED"
                    ).done
                except TimeoutError:
                    yield None
                    continue
                for future in done:
                    share = futures.pop(future)
                    merged = self.reduction.merge(self._state, future.result())
                    self._state = merged
                    future.release()
                    yield from share
        finally:
            self.client.cancel(list(futures))

    def partial(self) -> Any:
        """Return the result so far, while the tasks go on."""
        return self.reduction.result(self._state)

    def result(self) -> Any:
        """Return the result of all."""
        return self.reduction.result(self._state)


def _dealt(work: list[Unit], count: int) -> list[list[Unit]]:
    """Return neighboring units in about ``count`` shares."""
    size = max(-(-len(work) // count), 1)
    return [work[i : i + size] for i in range(0, len(work), size)]
