"""Work of one request shared among some threads, which end with it."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

# Calls a function for each tuple of arguments.
Each = Callable[[Callable[..., None], Iterable[tuple[Any, ...]]], None]

# Less than this is not worth a thread.
THREAD_NBYTES = 2**19
# Helpers that all requests together may have, beside the threads that make them.
_idle = threading.BoundedSemaphore(max(1, (os.cpu_count() or 1) - 1))
NAME = "napari-4dstem-reading"


@contextmanager
def helpers(nbytes: int) -> Iterator[Each]:
    """Yield ``each(function, items)``: this thread calls it for each, with helpers.

    Parameters
    ----------
    nbytes : int
        Amount of work, which says whether helpers pay.
    """
    count = 0
    while count < nbytes // THREAD_NBYTES and _idle.acquire(blocking=False):
        count += 1
    try:
        with ThreadPoolExecutor(max(count, 1), NAME) as pool:

            def each(
                function: Callable[..., None], items: Iterable[tuple[Any, ...]]
            ) -> None:
                queue = deque(items)
                try:
                    others = [pool.submit(_work, function, queue) for _ in range(count)]
                    _work(function, queue)
                    for other in others:
                        other.result()
                finally:
                    queue.clear()

            yield each
    finally:
        for _ in range(count):
            _idle.release()


def _work(function: Callable[..., None], queue: deque[tuple[Any, ...]]) -> None:
    while True:
        try:
            item = queue.popleft()
        except IndexError:
            return
        function(*item)
