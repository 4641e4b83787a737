"""Work that takes long, among napari's activities, where it can be stopped as well."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING

from napari.utils import cancelable_progress

if TYPE_CHECKING:
    from napari.utils import progress
    from qtpy.QtWidgets import QWidget


class Activity:
    """A bar in napari's activity dock, for as long as there is something to show.

    Parameters
    ----------
    owner : QWidget
        The bar goes when it comes to its end.
    title : str
    stop : method
        Called when the user cancels; not kept alive.
    """

    def __init__(self, owner: QWidget, title: str, stop: Callable[[], object]) -> None:
        self._title, self._stop = title, weakref.WeakMethod(stop)
        self._shown = _Shown()
        self._is_drawing = False
        owner.destroyed.connect(self._shown.close)

    def show(self, done: int, total: int) -> None:
        """Show how far it is."""
        if self._is_drawing:
            return  # napari lets other events in while it draws a bar
        self._is_drawing = True
        try:
            self._draw(done, total)
        finally:
            self._is_drawing = False

    def _draw(self, done: int, total: int) -> None:
        bar = self._shown.bar
        if bar is None:
            stop = self._stop

            def cancel() -> None:
                alive = stop()
                if alive is not None:
                    alive()

            bar = self._shown.bar = cancelable_progress(
                total=max(total, 1), desc=self._title, cancel_callback=cancel
            )
        bar.update(done - bar.n)

    def end(self) -> None:
        """Take the bar away."""
        self._shown.close()


class _Shown:
    """Holds the bar, and no widget."""

    def __init__(self) -> None:
        self.bar: progress | None = None

    def close(self, *_: object) -> None:
        bar, self.bar = self.bar, None
        if bar is not None:
            with contextlib.suppress(RuntimeError):  # the window is gone, and its bars
                bar.close()
