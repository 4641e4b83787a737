"""What we have to say, as napari notifications: neither boxes nor tracebacks."""

from __future__ import annotations

import os
from collections.abc import Iterable

from napari.utils import notifications

from napari_4dstem.dataset import Dataset
from napari_4dstem.errors import FormatError


def show_error(problem: str | Exception) -> None:
    """Say what failed, and what to do."""
    text = problem if isinstance(problem, str) else in_short(problem)
    notifications.show_error(text)


def show_warning(message: str) -> None:
    """Say what is missing or doubtful."""
    notifications.show_warning(message)


def show_info(message: str) -> None:
    """Say what happened."""
    notifications.show_info(message)


def show_opened(ds: Dataset, remarks: Iterable[str] = ()) -> None:
    """Say what is missing in a data set that was opened, and what was guessed.

    Parameters
    ----------
    ds : Dataset
    remarks : iterable of str
        What else is worth knowing about how it was opened.
    """
    if ds.problems:
        show_warning("\n".join(named(problem, ds) for problem in ds.problems))
    notices = [*remarks, *(named(notice, ds) for notice in ds.notices)]
    if notices:
        show_info(f"{ds.name}: " + "\n".join(notices))


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
