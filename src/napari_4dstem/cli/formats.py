"""``napari-4dstem formats``: lists the types of files."""

from __future__ import annotations

import textwrap
from inspect import Parameter
from typing import Any

from napari_4dstem.cli import options
from napari_4dstem.cli.messages import OK
from napari_4dstem.formats._format import Format

WIDTH = 88
INDENT = " " * 10


def list_formats() -> int:
    """Print the types of files and their parameters."""
    for format_ in options.formats_of_files():
        print(f"{format_.name:8}{format_.title} ({', '.join(format_.extensions)})")
        for parameter in format_.parameters.values():
            if text := _about(format_, parameter):
                print(
                    textwrap.fill(
                        text,
                        WIDTH,
                        initial_indent=INDENT,
                        subsequent_indent=f"{INDENT}    ",
                        break_on_hyphens=False,
                    )
                )
    return OK


def add_to(commands: Any) -> None:
    """Add the command to those of the program."""
    command = commands.add_parser(
        "formats",
        help="list the types of files",
        description="List the types of files that can be opened: name, meaning,"
        " usual suffixes, and the parameters that only this type has.",
    )
    command.set_defaults(command=list_formats)


def _about(format_: Format, parameter: Parameter) -> str:
    if not options.typeable(parameter.annotation):
        return ""
    if parameter.name in options.COMMON and parameter.default is not Parameter.empty:
        return ""  # all types have it
    shown = options.placeholder(parameter.annotation)
    words = f"{options.flag(parameter.name)} {shown}".rstrip()
    meaning = format_.meanings.get(parameter.name)
    text = f"  {meaning.text}" if meaning else ""
    return f"{words}{text}{options.default(parameter)}"
