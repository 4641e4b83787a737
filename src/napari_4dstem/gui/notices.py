"""What we have to say, as napari notifications: neither boxes nor tracebacks."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from napari.utils import notifications
from qtpy.QtCore import QTimer

from napari_4dstem.dataset import Dataset
from napari_4dstem.errors import FormatError
from napari_4dstem.gui import docks
from napari_4dstem.layers import display_notices, times

CHANGE, EXPLORE = "Change …", "Open in Explorer"
NEW_WINDOW = "Open in a new window"
# A problem that comes back sooner has never gone.
AGAIN_S = 10.0


class Notice(notifications.Notification):  # type: ignore[misc]  # napari has no types
    """A notification that says from whom it comes, not from which object."""

    @property
    def source(self) -> str:
        """Shown beside the buttons."""
        return "napari-4dstem"


def show_error(problem: str | Exception) -> None:
    """Say what failed, and what to do."""
    text = problem if isinstance(problem, str) else in_short(problem)
    notifications.show_error(text)


class Complaints:
    """Says what failed, once as long as it goes on failing.

    While a mouse moves, work that fails is tried again many times a second.
    """

    def __init__(self) -> None:
        self._last: dict[Any, float] = {}

    def show(self, error: Exception) -> None:
        """Say what failed, unless that was said and has not stopped since."""
        now = time.monotonic()
        problem: Any = str(error)
        if isinstance(error, FormatError):
            problem = error.path, error.problem  # numbers may differ each time
        is_new = now - self._last.get(problem, -AGAIN_S) >= AGAIN_S
        self._last = {p: t for p, t in self._last.items() if now - t < AGAIN_S}
        self._last[problem] = now
        if is_new:
            show_error(error)


def show_opened(
    ds: Dataset,
    remarks: Iterable[str] = (),
    change: Callable[[], object] | None = None,
    explore: Callable[[], object] | None = None,
) -> None:
    """Say that a data set was opened, what is missing in it, and what was guessed.

    Without a button for it, and nothing missing or guessed, there is nothing to say.

    Parameters
    ----------
    ds : Dataset
    remarks : iterable of str
        What is worth knowing about how it was opened.
    change : callable, optional
        Lets the user open it in another way; then there is a button for that.
    explore : callable, optional
        Opens it in the Explorer; then there is a button for that.
    """
    problems = [named(problem, ds) for problem in ds.problems]
    notices = [*remarks, *(named(notice, ds) for notice in ds.notices)]
    notices += display_notices(ds)
    buttons = {CHANGE: change, EXPLORE: explore}
    if not problems and not notices and explore is None:
        return
    # One for all, because the last notification covers the others. Of its text one
    # line shows: it is what the user did not expect.
    name = ds.path.name if ds.path is not None else ds.name
    shapes = f"{times(ds.nav_shape)} scan, {times(ds.sig_shape)} px"
    message = "\n".join([*problems, *notices, shapes])
    said = Notice(
        message if problems else f"{name}: {message}",
        "warning" if problems else "info",
        [(text, _pressed(do)) for text, do in buttons.items() if do is not None],
    )
    show = partial(notifications.notification_manager.dispatch, said)
    if docks.is_seen():
        # The sliders of a new layer push the canvas up, and would hide the buttons.
        QTimer.singleShot(0, show)
    else:
        show()


def _pressed(do: Callable[[], object]) -> Callable[[Any], object]:
    """Return what napari calls when a button is pressed."""
    return lambda _: do()


def show_kept(names: Iterable[str], open_windows: Callable[[], object]) -> None:
    """Say why scans are not back in the list of layers, and offer them windows."""
    _show_kept(names, "in the Explorer. Choose one there to go on", open_windows)


def show_homeless(names: Iterable[str], open_windows: Callable[[], object]) -> None:
    """Say why scans of an Explorer that was closed are not in the list of layers."""
    _show_kept(names, "out of the list of layers", open_windows)


def _show_kept(names: Iterable[str], where: str, act: Callable[[], object]) -> None:
    message = (
        f"{', '.join(names)}: kept {where}. In one window with maps in other units,"
        " napari shows no scale bar."
    )
    actions = [(NEW_WINDOW, _pressed(act))]
    notifications.notification_manager.dispatch(Notice(message, "info", actions))


def in_short(error: Exception) -> str:
    """Return the message of an error with the file's name instead of its path.

    A notification is narrow: a long path would leave no room for what happened.
    """
    text = str(error)
    if isinstance(error, FormatError) and error.path is not None:
        return text.replace(error.path, os.path.basename(error.path))
    return text


def named(message: str, ds: Dataset) -> str:
    """Return a message of a data set with the files' names instead of their paths."""
    if ds.path is None:
        return message
    return message.replace(str(ds.path.parent) + os.sep, "")
