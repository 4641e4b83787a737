"""What we have to say, as napari notifications: neither boxes nor tracebacks."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

from napari.utils import notifications

from napari_4dstem.dataset import Dataset
from napari_4dstem.errors import FormatError
from napari_4dstem.layers import display_notices

CHANGE = "Change …"
NEW_WINDOW = "Open in a new window"


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


def show_opened(
    ds: Dataset,
    remarks: Iterable[str] = (),
    change: Callable[[], object] | None = None,
) -> None:
    """Say what is missing in a data set that was opened, and what was guessed.

    Parameters
    ----------
    ds : Dataset
    remarks : iterable of str
        What is worth knowing about how it was opened.
    change : callable, optional
        Lets the user open it in another way; then there is a button for that.
    """
    actions = [] if change is None else [(CHANGE, lambda _: change())]

    def show(message: str, severity: str) -> None:
        notifications.notification_manager.dispatch(Notice(message, severity, actions))

    if ds.problems:
        show("\n".join(named(problem, ds) for problem in ds.problems), "warning")
    notices = [*remarks, *(named(notice, ds) for notice in ds.notices)]
    notices += display_notices(ds)
    if notices:
        show(f"{ds.name}: " + "\n".join(notices), "info")


def show_kept(layer: Any, open_window: Callable[[], object]) -> None:
    """Say why a scan is not back in the list of layers, and offer it a window."""
    message = (
        f"{layer.name} stays in the Explorer: in one window with maps in other units,"
        " napari shows no scale bar. Choose it there to go on."
    )
    actions = [(NEW_WINDOW, lambda _: open_window())]
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
