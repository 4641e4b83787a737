"""Every exception and warning that this package raises on purpose."""

from __future__ import annotations

import os
from typing import Any


class FormatError(ValueError):
    """A file or a parameter is not what it has to be.

    The message says which file, where in it, what was expected, what was found and
    what to do; the parts are attributes as well.

    Parameters
    ----------
    path : str or path or None
        The file; None for data that came from memory.
    problem : str
        What is wrong, as a short claim.
    offset : int, optional
        Byte in the file at which it was noticed; 0 is not shown.
    expected, found : optional
        What the specification asks for and what was there.
    hint : str, optional
        What the user can do.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None,
        problem: str,
        *,
        offset: int | None = None,
        expected: Any = None,
        found: Any = None,
        hint: str | None = None,
    ) -> None:
        self.path = None if path is None else os.fspath(path)
        self.problem = problem
        self.offset = offset
        self.expected = expected
        self.found = found
        self.hint = hint
        super().__init__(self._message())

    def _message(self) -> str:
        text = self.problem
        if self.offset:  # the beginning goes without saying
            text += f" (byte {self.offset})"
        facts = []
        if self.expected is not None:
            facts.append(f"expected {self.expected}")
        if self.found is not None:
            facts.append(f"found {self.found}")
        if facts:
            text += ": " + ", ".join(facts)
        text = text if text.endswith((".", "?", "!")) else text + "."
        if self.hint:
            text += " " + self.hint
        return text if self.path is None else f"{self.path}: {text}"

    def __reduce__(self) -> tuple[Any, ...]:
        # The message is made from the parts, so that is what travels between
        # processes.
        return _rebuilt, (type(self), self.__dict__.copy())


def _rebuilt(kind: type[FormatError], state: dict[str, Any]) -> FormatError:
    error = kind.__new__(kind)
    error.__dict__.update(state)
    error.args = (error._message(),)
    return error


class NotRecognizedError(FormatError):
    """No format recognizes the file."""


class ParameterError(FormatError):
    """A parameter has a value that cannot be.

    Attributes
    ----------
    parameter : str
        Name of the parameter.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None,
        parameter: str,
        problem: str,
        **facts: Any,
    ) -> None:
        self.parameter = parameter
        super().__init__(path, problem, **facts)


class MissingParameterError(ParameterError):
    """The file does not say something that only the user knows."""


class ShapeError(FormatError):
    """An array, or a detector, does not fit the data set."""


class Cancelled(Exception):  # noqa: N818  nothing went wrong
    """The work was cancelled before it was done."""


class FormatWarning(UserWarning):
    """A file opened, but a part of it is missing or doubtful."""
