"""The same things from a terminal: ``napari-4dstem info``, ``view``, ``demo``.

The options that `load` accepts are made from the formats' own signatures.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import shlex
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from inspect import Parameter
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import numpy as np

import napari_4dstem
from napari_4dstem.dataset import AUTO, Dataset, open_dataset
from napari_4dstem.errors import (
    FormatError,
    MissingParameterError,
    NotRecognizedError,
)
from napari_4dstem.formats import FORMATS, unmarked_formats
from napari_4dstem.formats._format import Format

PROGRAM = "napari-4dstem"
# as shells know them
OK, FAILED, INTERRUPTED, PIPE_CLOSED = 0, 1, 130, 141

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
# type -> how its values are called in the help and in messages
TYPED: dict[type, tuple[str, str]] = {
    bool: ("", "yes or no"),
    int: ("N", "a whole number"),
    float: ("X", "a number"),
    tuple: ("Y,X", "whole numbers such as 128,256"),
    Path: ("FILE", "a path"),
    str: ("NAME", "text"),
}

ANY_FILE = "any file of a data set, or a folder with one data set"

# On the plate of the sample scan: six disks around the transmitted one.
DEMO_VIEW = {"position": (36, 16), "gamma": 0.5}
DEMO_STARTED = datetime(2025, 3, 14, 10, 30, tzinfo=UTC)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    arguments : sequence of str, optional
        By default those of the process.

    Returns
    -------
    int
        Exit code: 0; 1 after an error, of which one message is printed; 130 after
        Ctrl-C; 141 if the reader of a pipe is gone. What is not understood ends the
        process with 2.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # File names and units may hold what the terminal cannot show.
            stream.reconfigure(errors="backslashreplace")
    try:
        options = vars(_parser().parse_args(arguments))
        code: int = options.pop("command")(**options)
        sys.stdout.flush()
    except BrokenPipeError:
        # What is still buffered must not fail once more when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except KeyboardInterrupt:
        return INTERRUPTED
    except (FormatError, OSError) as error:
        return _fail(str(error))
    return code


# --------------------------------------------------------------------- commands


def info(file: Path, filetype: str, as_json: bool, **parameters: Any) -> int:
    """Print what is known about a file."""
    try:
        data_set = _opened(filetype, file, parameters)
        rows = data_set.diagnostics()
    except (FormatError, OSError) as error:
        if as_json:
            print(_json(_error_report(error)))
        raise
    if as_json:
        print(_json(_report(data_set)))
        return OK
    rows = [(name, value) for name, value in rows if name != "problem"]
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"{name:{width}}  {value}")
    sys.stdout.flush()  # before what goes to stderr
    for problem in data_set.problems:
        _say(f"warning: {problem}")
    return OK


def view(files: Sequence[Path], filetype: str, **parameters: Any) -> int:
    """Open files in a napari window."""
    if problem := _why_no_window():
        return _fail(problem)
    as_it_is = filetype == AUTO and not parameters
    contents: list[Path | Dataset] = []
    for file in files:
        to_reader = as_it_is and _is_for_reader(file)
        try:
            # An error is better told here than in an empty window.
            data_set = _opened(filetype, file, parameters)
        except (MissingParameterError, NotRecognizedError) as error:
            if not (to_reader and _has_form(file, error)):
                raise
        contents.append(file if to_reader else data_set)
    return _show(contents)


def demo(screenshot: Path | None) -> int:
    """Write the sample scan as a Merlin file, and open that as any other."""
    if problem := _why_no_window():
        return _fail(problem)
    return _show([_demo_file()], **DEMO_VIEW, screenshot=screenshot)


def list_formats() -> int:
    """Print the types of files and their parameters."""
    for format_ in _formats_of_files():
        print(f"{format_.name:8}{format_.title} ({', '.join(format_.extensions)})")
        for name, parameter in format_.parameters.items():
            if types := _types(parameter.annotation):
                option = f"{_flag(name)} {TYPED[types[0]][0]}".rstrip()
                print(f"{'':8}  {option}{_default(parameter)}")
    return OK


# ---------------------------------------------------------------- opening files


def _opened(filetype: str, file: Path, parameters: Mapping[str, Any]) -> Dataset:
    try:
        return open_dataset(filetype, file, **parameters)
    except (MissingParameterError, NotRecognizedError) as error:
        if filetype != AUTO:
            _advise(error, FORMATS[filetype], file, parameters)
        elif file.is_file():
            for format_ in unmarked_formats(file)[:1]:
                _advise(error, format_, file, parameters)
        raise


def _advise(
    error: FormatError, format_: Format, file: Path, parameters: Mapping[str, Any]
) -> None:
    """Say in an error what to type for a file that does not tell of itself."""
    likely = {**format_.propose(file), **parameters}
    words = ["--type", format_.name]
    for name, parameter in format_.parameters.items():
        if name not in likely and parameter.default is Parameter.empty:
            words += [_flag(name), TYPED[_types(parameter.annotation)[0]][0]]
    for name, value in likely.items():
        if isinstance(value, bool):
            words.append(_flag(name if value else f"no_{name}"))
        else:
            text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
            words += [_flag(name), text]
    hint = f"Say what it is, perhaps: {shlex.join(words)}"
    facts = {part: getattr(error, part) for part in ("offset", "expected", "found")}
    error.args = FormatError(error.path, error.problem, hint=hint, **facts).args
    error.hint = hint


def _is_for_reader(path: Path) -> bool:
    """Whether napari knows by the suffix that we have a reader for a file."""
    return path.is_dir() or path.suffix.lower() in {
        suffix for format_ in FORMATS.values() for suffix in format_.extensions
    }


def _has_form(path: Path, error: FormatError) -> bool:
    """Whether the reader asks the user for what the file does not say."""
    return isinstance(error, MissingParameterError) or any(
        path.suffix.lower() in format_.extensions for format_ in unmarked_formats(path)
    )


def _demo_file() -> Path:
    """Return the sample scan as a Merlin file in the user's cache folder."""
    import platformdirs

    from napari_4dstem.export.mib import write_mib
    from napari_4dstem.sample_data import nanoparticles

    folder = platformdirs.user_cache_path(PROGRAM, appauthor=False)
    path = folder / "gold_nanoparticles.mib"
    software = f"{PROGRAM} {napari_4dstem.__version__}"
    try:
        written = open_dataset("mib", path)
        writer = written.metadata["header"].get("Software Version")
        if writer == software and not written.problems:
            return path
    except FormatError:
        pass  # not there yet, or spoiled
    print(f"Writing a synthetic scan of gold nanoparticles: {path}", flush=True)
    scan = nanoparticles()
    folder.mkdir(parents=True, exist_ok=True)
    y, x = scan.data.shape[:2]
    write_mib(
        path,
        scan.data,
        (y, x),
        dwell_s=scan.dwell_s,
        started=DEMO_STARTED,
        software=software,
    )
    return path


# ---------------------------------------------------------------------- windows


def _show(contents: Sequence[Path | Dataset], **how: Any) -> int:
    from napari_4dstem.gui import window

    problem: str | None = window.show(contents, **how)
    return _fail(problem) if problem else OK


def _why_no_window() -> str | None:
    """Say what keeps a window from opening, if anything."""
    platform = os.environ.get("QT_QPA_PLATFORM", "")
    if platform.partition(":")[0] in ("offscreen", "minimal"):
        return f"QT_QPA_PLATFORM={platform} cannot draw with OpenGL: unset it"
    # Without a screen, Qt would abort the process.
    wanted = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    if sys.platform.startswith("linux") and not any(map(os.environ.get, wanted)):
        command = shlex.join([PROGRAM, *sys.argv[1:]])
        return (
            "there is no screen to open a window on (neither DISPLAY nor"
            " WAYLAND_DISPLAY is set). Xvfb makes up one (on Debian: apt-get install"
            f" xvfb xauth): xvfb-run -a {command}"
        )
    try:
        from napari_4dstem.gui import window  # noqa: F401
    except ModuleNotFoundError as error:
        return f'{error}. A window needs napari: pip install "napari-4dstem[gui]"'
    except ImportError as error:
        return (
            f"Qt cannot be used: {error}. Either it is missing: pip install"
            ' "napari-4dstem[gui]". Or, on a Linux without a desktop, libraries are'
            " missing that the README lists."
        )
    return None


# --------------------------------------------------------------------- messages


def _say(message: str) -> None:
    print(f"{PROGRAM}: {message}", file=sys.stderr)


def _fail(message: str) -> int:
    _say(message)
    return FAILED


def _report(data_set: Dataset) -> dict[str, Any]:
    """Return what is known about a data set, for other programs."""
    return {
        "path": data_set.path,
        "name": data_set.name,
        "filetype": data_set.filetype,
        "files": data_set.files,
        "nav_shape": data_set.nav_shape,
        "sig_shape": data_set.sig_shape,
        "dtype": data_set.dtype,
        "num_stored_frames": data_set.num_stored_frames,
        "num_valid": np.count_nonzero(data_set.valid),
        "sync_offset": data_set.sync_offset,
        "flyback": data_set.flyback,
        "calibration": {
            "nav": [axis and axis._asdict() for axis in data_set.calibration.nav],
            "sig": [axis and axis._asdict() for axis in data_set.calibration.sig],
        },
        "metadata": data_set.metadata,
        "notices": data_set.notices,
        "problems": data_set.problems,
        "parameters": data_set.parameters,
    }


def _error_report(error: Exception) -> dict[str, Any]:
    parts = ("path", "parameter", "offset", "expected", "found", "hint")
    return {
        "error": str(error),
        "kind": type(error).__name__,
        **{part: getattr(error, part, None) for part in parts},
    }


def _json(value: Any) -> str:
    return json.dumps(_json_safe(value), indent=2, allow_nan=False)


def _json_safe(value: Any) -> Any:
    """Return the nearest that JSON has; null for numbers that are none."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): _json_safe(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_json_safe(item) for item in value]
    if isinstance(value, bytes):
        return value.decode("latin-1")
    return str(value)


# -------------------------------------------------------------------- arguments


def _parser() -> argparse.ArgumentParser:
    parser = _with_examples(
        argparse.ArgumentParser,
        """\
        napari-4dstem info scan.mib    what is in the file
        napari-4dstem view scan.mib    look at it
        napari-4dstem demo             without a file of your own
        """,
        prog=PROGRAM,
        description="4D-STEM data in napari. What a command accepts:"
        " napari-4dstem COMMAND --help",
    )
    parser.add_argument(
        "--version",
        action="version",
        version=f"%(prog)s {napari_4dstem.__version__}",
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    command = _with_examples(
        commands.add_parser,
        """\
        napari-4dstem info scan.mib
        napari-4dstem info scan.mib --nav-shape 128,256 --sync-offset -3
        napari-4dstem info scan.raw --type raw --dtype uint16 --sig-shape 256,256
        napari-4dstem info scan.hdr --json | jq .nav_shape
        """,
        name="info",
        help="print what is in a file",
        description="Print what is in a file: scan and detector shape, type of the"
        " pixels, calibration, what the instrument noted, what was guessed and what is"
        " missing. Only headers are read. The exit code is 0, or 1 after an error, or"
        " 2 if the command is not understood.",
    )
    command.add_argument("file", metavar="FILE", type=Path, help=ANY_FILE)
    command.add_argument(
        "--json",
        dest="as_json",
        action="store_true",
        help="print one JSON object instead; after an error one with the key 'error'"
        " (the message goes to stderr as well)",
    )
    _add_parameters(command)
    command.set_defaults(command=info)

    command = _with_examples(
        commands.add_parser,
        """\
        napari-4dstem view scan.mib
        napari-4dstem view before.mib after.mib --nav-shape 128,256 --sync-offset -3
        napari-4dstem view scan.raw --type raw --dtype uint16 --sig-shape 256,256
        """,
        name="view",
        help="look at files in napari",
        description="Open files in napari, one layer for each data set. Without"
        " parameters it is as if they were dropped there; parameters hold for all of"
        " the files.",
    )
    command.add_argument("files", metavar="FILE", nargs="+", type=Path, help=ANY_FILE)
    _add_parameters(command)
    command.set_defaults(command=view)

    command = _with_examples(
        commands.add_parser,
        """\
        napari-4dstem demo
        xvfb-run -a napari-4dstem demo --screenshot demo.png    without a screen
        """,
        name="demo",
        help="look at a synthetic scan of gold nanoparticles in napari",
        description="Write a synthetic scan of gold nanoparticles as a Merlin file"
        " (70 MB, in your cache folder), and open it in napari.",
    )
    command.add_argument(
        "--screenshot",
        metavar="OUT.png",
        type=_png,
        help="save a picture of the window, then close it",
    )
    command.set_defaults(command=demo)

    command = commands.add_parser(
        "formats",
        help="list the types of files",
        description="List the types of files that can be opened: name, meaning,"
        " usual suffixes, and the parameters that only this type has.",
    )
    command.set_defaults(command=list_formats)
    return parser


def _with_examples(
    make: Callable[..., argparse.ArgumentParser],
    examples: str,
    *,
    description: str,
    **about: Any,
) -> argparse.ArgumentParser:
    return make(
        description=textwrap.fill(description, 80),
        epilog="examples:\n" + textwrap.indent(textwrap.dedent(examples), "  "),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        # What is unique today is not when there are more formats.
        allow_abbrev=False,
        **about,
    )


def _add_parameters(parser: argparse.ArgumentParser) -> None:
    """Offer what `load` accepts, if it can be typed."""
    formats = _formats_of_files()
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
        _add_parameter(group, name, [type_], text)

    types: dict[str, list[type]] = {}
    texts: dict[str, list[str]] = {}
    for format_ in formats:
        for name, parameter in format_.parameters.items():
            if name not in COMMON:
                types.setdefault(name, []).extend(_types(parameter.annotation))
                text = f"{format_.name}{_default(parameter)}"
                texts.setdefault(name, []).append(text)
    group = parser.add_argument_group("what only one type of file has")
    for name in types:
        if types[name]:
            _add_parameter(group, name, types[name], "for " + ", ".join(texts[name]))


def _add_parameter(
    group: argparse._ArgumentGroup, name: str, types: Sequence[type], text: str
) -> None:
    if bool in types:
        how: dict[str, Any] = {"action": argparse.BooleanOptionalAction}
    else:
        how = {"type": _reads(types), "metavar": TYPED[types[0]][0]}
    # What is not given is not passed on.
    group.add_argument(
        _flag(name), dest=name, default=argparse.SUPPRESS, help=text, **how
    )


def _formats_of_files() -> list[Format]:
    return [format_ for format_ in FORMATS.values() if format_.takes_path]


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _default(parameter: Parameter) -> str:
    if parameter.default is Parameter.empty:
        return " (must be given)"
    if parameter.default is None or parameter.default is False:
        return ""
    return f" (default {parameter.default})"


def _types(annotation: Any) -> list[type]:
    """Return the types of an annotation whose values can be typed."""
    origin = get_origin(annotation)
    if origin in (Union, UnionType):
        return [type_ for part in get_args(annotation) for type_ in _types(part)]
    if origin is Literal:
        return [str]
    return [plain] if (plain := origin or annotation) in TYPED else []


def _reads(types: Sequence[type]) -> Callable[[str], Any]:
    """Return what turns the text of an argument into a value of one of the types."""
    # Text comes last, because everything is text.
    in_order = sorted(dict.fromkeys(types), key=lambda type_: type_ in (Path, str))

    def read(text: str) -> Any:
        for type_ in in_order:
            try:
                return _shape(text) if type_ is tuple else type_(text)
            except ValueError:
                continue
        expected = " or ".join(TYPED[type_][1] for type_ in in_order)
        raise argparse.ArgumentTypeError(f"expected {expected}, found {text!r}")

    return read


def _shape(text: str) -> tuple[int, ...]:
    """Read 128,256 and 128x256, also with brackets or blanks."""
    return tuple(int(n) for n in re.split(r"\s*[,x×]\s*|\s+", text.strip("()[] ,")))


def _png(text: str) -> Path:
    path = Path(text)
    if path.suffix.lower() != ".png":
        raise argparse.ArgumentTypeError(f"expected a name with .png, found {text!r}")
    if not path.absolute().parent.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {str(path.parent)!r}")
    return path


if __name__ == "__main__":
    sys.exit(main())
