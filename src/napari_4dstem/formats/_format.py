"""What a format module must say.

A module parses headers and says where the pixels are, in this order: docstring with
source, records, ``recognize``, ``describe``, ``FORMAT``. It reads no frame.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from napari_4dstem.axes import Calibration
from napari_4dstem.corrections import Corrections
from napari_4dstem.errors import FormatError
from napari_4dstem.frames.batches import FrameSource
from napari_4dstem.frames.layout import FrameLayout

# ``recognize`` is handed this many bytes of the file's beginning.
HEAD_NBYTES = 4096


@dataclass(frozen=True)
class Description:
    """All that a file says about itself.

    Attributes
    ----------
    frames : FrameLayout or FrameSource
        Where the pixels are; a source only where frames do not lie in one piece.
        The layout tells what *should* be there: that files are shorter is noticed
        later, for all formats alike.
    nav_shape : tuple of int, optional
        Scan shape, slowest axis first. None: the file does not say.
    sync_offset : int
        Where the file says that the scan begins.
    calibration : Calibration
    metadata : mapping
        The keys of the contract, and all else under "header".
    corrections : Corrections, optional
        Found in the file or beside it, and applied by default.
    companions : tuple of Path
        Files of the data set that hold no frames.
    parameters : mapping
        Values that the module chose for its own parameters.
    problems : tuple of str
        What is missing or doubtful; ``load`` warns of each.
    notices : tuple of str
        What was guessed and what is worth knowing.
    """

    frames: FrameLayout | FrameSource
    nav_shape: tuple[int, ...] | None = None
    sync_offset: int = 0
    calibration: Calibration = field(default_factory=Calibration)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    corrections: Corrections | None = None
    companions: tuple[Path, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()


class Recognize(Protocol):
    """Judges by the name of a file and its first bytes whether it is of a format."""

    def __call__(self, path: Path, head: bytes, /) -> bool:
        """Return True for a file of the format. Never raises, reads nothing more."""


def _nothing_to_propose(path: Path) -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True)
class Format:
    """A file format.

    Attributes
    ----------
    name : str
        As ``load`` accepts it.
    title : str
        For people.
    extensions : tuple of str
        Lower case, with the dot; empty for data that are no file.
    recognize : callable
        See `Recognize`.
    describe : callable
        ``describe(path, *, ...) -> Description``: reads headers. Its keywords are
        what only the user knows; dialog and command line are built from them.
        Raises FormatError.
    propose : callable
        ``propose(path) -> parameters``: likely values for what the file does not
        say, to be confirmed by the user. Raises nothing.
    may_be : callable
        Like ``recognize``, for formats without any mark: False if the file is
        certainly something else.
    """

    name: str
    title: str
    extensions: tuple[str, ...]
    recognize: Recognize
    describe: Callable[..., Description]
    propose: Callable[[Path], Mapping[str, Any]] = _nothing_to_propose
    may_be: Recognize | None = None

    @property
    def takes_path(self) -> bool:
        """Whether the data are in a file."""
        return "path" in inspect.signature(self.describe).parameters

    @property
    def parameters(self) -> dict[str, inspect.Parameter]:
        """The keywords of ``describe``, with their defaults and annotations."""
        signature = inspect.signature(self.describe, eval_str=True)
        return {
            name: parameter
            for name, parameter in signature.parameters.items()
            if parameter.kind is inspect.Parameter.KEYWORD_ONLY
        }


def record(**fields: tuple[Any, int]) -> np.dtype[Any]:
    """Return a table of header fields: name = (numpy type, byte offset)."""
    return np.dtype(
        {
            "names": list(fields),
            "formats": [kind for kind, _ in fields.values()],
            "offsets": [offset for _, offset in fields.values()],
        }
    )


def read_record(path: Path, fields: np.dtype[Any], offset: int = 0) -> dict[str, Any]:
    """Read a table of header fields.

    Parameters
    ----------
    path : Path
    fields : dtype
        Made by `record`.
    offset : int
        Byte of the file at which the table begins.

    Returns
    -------
    dict
        Plain Python values: numbers that cannot overflow, bytes, lists.

    Raises
    ------
    FormatError
        If the file cannot be read or ends within the table.
    """
    data = read_head(path, offset + fields.itemsize)[offset:]
    if len(data) < fields.itemsize:
        raise FormatError(
            path,
            "the header is incomplete",
            expected=f"at least {offset + fields.itemsize} bytes",
            found=f"{offset + len(data)} bytes",
            hint="The copy or the acquisition was interrupted: get the file again.",
        )
    values = np.frombuffer(data, fields, count=1)[0]
    return {name: values[name].tolist() for name in fields.names or ()}


def read_head(path: Path, nbytes: int = HEAD_NBYTES) -> bytes:
    """Return the first bytes of a file.

    Raises
    ------
    FormatError
        If there is no such file, it cannot be read, or it is empty.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(nbytes)
    except FileNotFoundError as error:
        raise FormatError(
            path, "the file does not exist", hint="Check folder and spelling."
        ) from error
    except OSError as error:
        raise FormatError(
            path,
            f"the file cannot be read ({error.strerror or error})",
            hint="Check that it is a file and that you may read it.",
        ) from error
    if not head:
        raise FormatError(
            path,
            "the file is empty",
            hint="The copy or the acquisition was interrupted: get the file again.",
        )
    return head
