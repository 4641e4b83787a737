"""The same things from a terminal: ``napari-4dstem info``, ``view``, ``demo``.

One module a command. The options that `load` accepts are made from the formats' own
signatures.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

import napari_4dstem
from napari_4dstem.cli import demo, formats, info, view
from napari_4dstem.cli.messages import PROGRAM, fail
from napari_4dstem.cli.options import with_examples
from napari_4dstem.errors import FormatError

# as shells know them
INTERRUPTED, PIPE_CLOSED = 130, 141


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
        options = vars(parser().parse_args(arguments))
        code: int = options.pop("command")(**options)
        sys.stdout.flush()
    except BrokenPipeError:
        # What is still buffered must not fail once more when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except KeyboardInterrupt:
        return INTERRUPTED
    except (FormatError, OSError) as error:
        return fail(str(error))
    return code


def parser() -> argparse.ArgumentParser:
    """Return what understands the arguments of all commands."""
    made = with_examples(
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
    made.add_argument(
        "--version",
        action="version",
        version=f"%(prog)s {napari_4dstem.__version__}",
    )
    commands = made.add_subparsers(metavar="COMMAND", required=True)
    for module in (info, view, demo, formats):
        module.add_to(commands)
    return made
