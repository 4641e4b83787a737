"""What a format module must say.

A module parses headers and says where the pixels are, in this order: docstring with
source, records, ``recognize``, ``describe``, ``FORMAT``. It reads no frame.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from napari_4dstem.axes import Calibration
from napari_4dstem.corrections import Corrections
from napari_4dstem.frames.batches import FrameSource
from napari_4dstem.frames.layout import FrameLayout
from napari_4dstem.frames.records import HEAD_NBYTES, read_head, read_record, record

__all__ = [
    "HEAD_NBYTES",
    "Choice",
    "Description",
    "Format",
    "Meaning",
    "Recognize",
    "read_head",
    "read_record",
    "record",
]


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
        Found in the file or beside it.
    corrections_on : bool
        Whether they are applied unless the user says otherwise.
    companions : tuple of Path
        Files of the data set that hold no frames.
    parameters : mapping
        Values that the module chose for its own parameters.
    problems : tuple of str
        What is missing or doubtful; ``load`` warns of each.
    notices : tuple of str
        What was guessed and what is worth knowing.
    nav_notice : str
        How the scan shape was guessed; of no interest to a user who gives it.
    """

    frames: FrameLayout | FrameSource
    nav_shape: tuple[int, ...] | None = None
    sync_offset: int = 0
    calibration: Calibration = field(default_factory=Calibration)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    corrections: Corrections | None = None
    corrections_on: bool = False
    companions: tuple[Path, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    nav_notice: str = ""


@dataclass(frozen=True)
class Choice:
    """One of the values that a file offers for a parameter of its format.

    Attributes
    ----------
    value : object
        As ``describe`` takes it; what `repr`, JSON and a terminal can write, so a
        text or a number.
    label : str
        For people, one line: the value, and by what to tell it from the others, such
        as ``entry/data/data  (64, 64 | 256, 256) uint16``.
    is_likely : bool
        Whether it may well be what the user wants, such as a 4D data set, but not a
        picture beside it. Where several choices are, the user is asked.
    """

    value: Any
    label: str
    is_likely: bool = False


class Meaning(NamedTuple):
    """What a parameter of a format is, for people.

    Attributes
    ----------
    label : str
        What to call it in a form, two or three words.
    text : str
        What to say here, and what happens otherwise; no sentence, one line or two.
    """

    label: str
    text: str


class Recognize(Protocol):
    """Judges by the name of a file and its first bytes whether it is of a format."""

    def __call__(self, path: Path, head: bytes, /) -> bool:
        """Return True for a file of the format. Never raises.

        Reads nothing more of it; where a file has no mark of its own, what lies beside
        it may tell.
        """


def _nothing_to_propose(path: Path) -> Mapping[str, Any]:
    return {}


def _nothing_to_choose(path: Path) -> Mapping[str, Sequence[Choice]]:
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
        With a keyword ``files=None`` the data may also be a list of files, in their
        order; ``path`` may be None then. Raises FormatError.
    propose : callable
        ``propose(path) -> parameters``: likely values for what the file does not
        say, to be confirmed by the user. Raises nothing.
    by_name : callable
        Like ``recognize``, for files with a name of the format and a weak mark, or
        none: asked where no format recognizes the content.
    may_be : callable
        Like ``recognize``, for formats without any mark: False if the file is
        certainly something else.
    choices : callable
        ``choices(path) -> {parameter: [Choice, ...]}``: what a file offers for
        parameters of ``describe``, the likeliest first, such as the data sets that it
        holds. Other values stay possible. Leaves out a parameter where there is
        nothing to choose: at least two choices, and at most 100. Reads headers only.
        Raises nothing.
    meanings : mapping
        What each keyword of ``describe`` is; for those that all formats have it is
        known.
    """

    name: str
    title: str
    extensions: tuple[str, ...]
    recognize: Recognize
    describe: Callable[..., Description]
    propose: Callable[[Path], Mapping[str, Any]] = _nothing_to_propose
    may_be: Recognize | None = None
    choices: Callable[[Path], Mapping[str, Sequence[Choice]]] = _nothing_to_choose
    meanings: Mapping[str, Meaning] = field(default_factory=dict)
    by_name: Recognize | None = None

    @property
    def takes_path(self) -> bool:
        """Whether the data are in a file."""
        return "path" in inspect.signature(self.describe).parameters

    @property
    def takes_files(self) -> bool:
        """Whether the data may be a list of files, in their order."""
        return "files" in inspect.signature(self.describe).parameters

    @property
    def parameters(self) -> dict[str, inspect.Parameter]:
        """The keywords of ``describe``, with their defaults and annotations.

        Without ``files``, which like ``path`` tells where the data are.
        """
        signature = inspect.signature(self.describe, eval_str=True)
        return {
            name: parameter
            for name, parameter in signature.parameters.items()
            if parameter.kind is inspect.Parameter.KEYWORD_ONLY and name != "files"
        }
