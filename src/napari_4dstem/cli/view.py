"""``napari-4dstem view``: opens files in a napari window."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from napari_4dstem.cli import options, windows
from napari_4dstem.cli.messages import fail
from napari_4dstem.cli.opening import has_form, is_for_reader, opened
from napari_4dstem.dataset import AUTO, Dataset
from napari_4dstem.errors import MissingParameterError, NotRecognizedError
from napari_4dstem.workspace import is_workspace, read


def view(files: Sequence[Path], filetype: str, plain: bool, **parameters: Any) -> int:
    """Open files in a napari window."""
    as_it_is = filetype == AUTO and not parameters
    contents: list[Path | Dataset] = []
    for file in files:
        if is_workspace(file):
            if not as_it_is:
                return fail(
                    f"{file}: a workspace knows how to open its data; leave the"
                    " parameters out"
                )
            read(file).open_data_set()
            contents.append(file)
            continue
        to_reader = as_it_is and is_for_reader(file)
        try:
            # An error is better told here than in an empty window.
            data_set = opened(filetype, file, parameters)
        except (MissingParameterError, NotRecognizedError) as error:
            if not (to_reader and has_form(file, error)):
                raise
        contents.append(file if to_reader else data_set)
    # What is wrong with a file is worth knowing without a screen, too.
    if problem := windows.why_none():
        return fail(problem)
    return windows.show(contents, explore=not plain)


def add_to(commands: Any) -> None:
    """Add the command to those of the program."""
    command = options.with_examples(
        commands.add_parser,
        """\
        napari-4dstem view scan.mib
        napari-4dstem view scan.mib --plain
        napari-4dstem view before.mib after.mib --nav-shape 128,256 --sync-offset -3
        napari-4dstem view scan.raw --type raw --dtype uint16 --sig-shape 256,256
        napari-4dstem view scan.npy --dark dark.npy --gain gain.mrc
        """,
        name="view",
        help="look at files in napari",
        description="Open files in napari: the first one in the Explorer, which lists"
        " the others. Parameters hold for all of the files.",
    )
    command.add_argument(
        "files", metavar="FILE", nargs="+", type=Path, help=options.ANY_FILE
    )
    command.add_argument(
        "--plain",
        action="store_true",
        help="without the Explorer: one layer for each data set, scan positions on"
        " sliders",
    )
    options.add_parameters(command)
    command.set_defaults(command=view)
