"""The options of commands: what `load` accepts, if it can be typed."""

from __future__ import annotations

import argparse
import re
import textwrap
from collections.abc import Callable, Sequence
from inspect import Parameter
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from napari_4dstem.dataset import AUTO
from napari_4dstem.formats import FORMATS
from napari_4dstem.formats._format import Format

ANY_FILE = "any file of a data set, or a folder with one data set"
# What is common to all formats and can be typed: name -> type, meaning.
COMMON: dict[str, tuple[type, str]] = {
    "name": (str, "what to call it in napari"),
    "nav_shape": (
        tuple,
        "scan shape, the number of lines first: 128,256 or 128x256",
    ),
    "sig_shape": (
        tuple,
        "detector shape, the number of rows first, for frames of other proportions"
        " or without any",
    ),
    "sync_offset": (
        int,
        "frames to skip because they came before the scan; negative, such as -3: the"
        " scan begins with so many blank frames",
    ),
    "flyback": (int, "frames at the end of every line that the beam flew back in"),
    "io_backend": (
        str,
        "auto, mmap, buffered or direct: how to read the file; the pixels are the same",
    ),
}
# Files of one's own for the parameter ``corrections``.
CORRECTIONS = {
    "dark": "dark frame, subtracted from every frame: an image or a scan in any format"
    " that opens here, of a scan the mean",
    "gain": "gain map, by which every frame is multiplied",
    "excluded": "bad pixels, not 0 there: the mean of their good neighbors is shown",
}
# type -> how its values are called in the help and in messages
TYPED: dict[type, tuple[str, str]] = {
    bool: ("", "yes or no"),
    int: ("N", "a whole number"),
    float: ("X", "a number"),
    tuple: ("Y,X", "whole numbers such as 128,256"),
    Path: ("FILE", "a path"),
    str: ("NAME", "text"),
}
# More frames, pixels or bytes than such a number tells are in no file.
MAX_DIGITS = 18
# More of a text that is not understood tells nobody anything.
MAX_SHOWN = 40


def with_examples(
    make: Callable[..., argparse.ArgumentParser],
    examples: str,
    *,
    description: str,
    **about: Any,
) -> argparse.ArgumentParser:
    """Return a parser whose help ends with examples."""
    return make(
        description=textwrap.fill(description, 80),
        epilog="examples:\n" + textwrap.indent(textwrap.dedent(examples), "  "),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        # What is unique today is not when there are more formats.
        allow_abbrev=False,
        **about,
    )


def add_parameters(parser: argparse.ArgumentParser) -> None:
    """Offer what `load` accepts, if it can be typed."""
    formats = formats_of_files()
    group = parser.add_argument_group("what the file does not say, or says wrongly")
    group.add_argument(
        "--type",
        dest="filetype",
        metavar="TYPE",
        choices=[AUTO, *(format_.name for format_ in formats)],
        default=AUTO,
        help="type of the file (napari-4dstem formats lists them); by default it is"
        " found by the content",
    )
    for name, (type_, text) in COMMON.items():
        _add_parameter(group, name, [type_], TYPED[type_][0], text)

    group = parser.add_argument_group("corrections of the detector")
    group.add_argument(
        "--corrections",
        action=_Switch,
        default=argparse.SUPPRESS,
        help="apply those that the file brings along, or do not; by default as its"
        " type has it",
    )
    for name, text in CORRECTIONS.items():
        group.add_argument(
            flag(name),
            dest=name,
            metavar="FILE",
            type=Path,
            action=_CorrectionFile,
            default=argparse.SUPPRESS,
            help=text,
        )

    group = parser.add_argument_group("what only one type of file has")
    known: dict[str, list[tuple[Format, Parameter]]] = {}
    for format_ in formats:
        for name, parameter in format_.parameters.items():
            if name not in COMMON:
                known.setdefault(name, []).append((format_, parameter))
    for name, uses in known.items():
        types = [type_ for _, p in uses for type_ in typeable(p.annotation)]
        if types:
            shown = placeholder(uses[0][1].annotation)
            _add_parameter(group, name, types, shown, _told(uses))


def formats_of_files() -> list[Format]:
    """Return the formats of data that have a path."""
    return [format_ for format_ in FORMATS.values() if format_.takes_path]


def flag(name: str) -> str:
    """Return a parameter as one types it."""
    return "--" + name.replace("_", "-")


def default(parameter: Parameter) -> str:
    """Return what to say about the default of a parameter."""
    if parameter.default is Parameter.empty:
        return " (must be given)"
    if parameter.default is None or parameter.default is False:
        return ""
    return f" (default {'on' if parameter.default is True else parameter.default})"


def placeholder(annotation: Any) -> str:
    """Return what stands for a value in a help text; empty for a switch."""
    kinds = [annotation, *get_args(annotation)]
    literals = [kind for kind in kinds if get_origin(kind) is Literal]
    if literals:
        return "|".join(str(value) for kind in literals for value in get_args(kind))
    types = typeable(annotation)
    return TYPED[Path if Path in types else types[0]][0]


def typeable(annotation: Any) -> list[type]:
    """Return the types of an annotation whose values can be typed."""
    origin = get_origin(annotation)
    if origin in (Union, UnionType):
        return [type_ for part in get_args(annotation) for type_ in typeable(part)]
    if origin is Literal:
        return [str]
    return [plain] if (plain := origin or annotation) in TYPED else []


class _Switch(argparse.BooleanOptionalAction):
    """Switches on or off what the file brings along, unless others are given."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Take a switch that was typed."""
        if isinstance(getattr(namespace, "corrections", None), dict):
            raise _both(self)
        super().__call__(parser, namespace, values, option_string)


class _CorrectionFile(argparse.Action):
    """Collects the files of the parameter ``corrections``."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Take a file that was typed."""
        files = getattr(namespace, "corrections", {})
        if not isinstance(files, dict):
            raise _both(self)
        namespace.corrections = {**files, self.dest: values}


def _both(action: argparse.Action) -> argparse.ArgumentError:
    files = ", ".join(map(flag, CORRECTIONS))
    return argparse.ArgumentError(
        action,
        f"either the corrections of the file, or others: {files} replace them all",
    )


def _told(uses: Sequence[tuple[Format, Parameter]]) -> str:
    """Say for which formats a parameter is, and what it means there."""
    by_text: dict[str, list[str]] = {}
    for format_, parameter in uses:
        meaning = format_.meanings.get(parameter.name)
        of_format = f"{format_.name}{default(parameter)}"
        by_text.setdefault(meaning.text if meaning else "", []).append(of_format)
    parts = [f"for {', '.join(of)}" + f": {t}" * bool(t) for t, of in by_text.items()]
    return "; ".join(parts).replace("%", "%%")


def _add_parameter(
    group: argparse._ArgumentGroup,
    name: str,
    types: Sequence[type],
    shown: str,
    text: str,
) -> None:
    if bool in types:
        how: dict[str, Any] = {"action": argparse.BooleanOptionalAction}
    else:
        how = {"type": _reads(types), "metavar": shown}
    # What is not given is not passed on.
    group.add_argument(
        flag(name), dest=name, default=argparse.SUPPRESS, help=text, **how
    )


def _reads(types: Sequence[type]) -> Callable[[str], Any]:
    """Return what turns the text of an argument into a value of one of the types."""
    # Text comes last, because everything is text.
    in_order = sorted(dict.fromkeys(types), key=lambda type_: type_ in (Path, str))
    convert: dict[type, Callable[[str], Any]] = {int: _whole, tuple: _shape}

    def read(text: str) -> Any:
        for type_ in in_order:
            try:
                return convert.get(type_, type_)(text)
            except ValueError:
                continue
        expected = " or ".join(TYPED[type_][1] for type_ in in_order)
        found = text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"
        raise argparse.ArgumentTypeError(f"expected {expected}, found {found!r}")

    return read


def _whole(text: str) -> int:
    if len(text.strip()) > MAX_DIGITS:
        raise ValueError
    return int(text)


def _shape(text: str) -> tuple[int, ...]:
    """Read 128,256 and 128x256, also with brackets or blanks."""
    return tuple(_whole(n) for n in re.split(r"\s*[,x×]\s*|\s+", text.strip("()[] ,")))
