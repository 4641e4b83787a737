"""``napari-4dstem demo``: opens a synthetic scan in a napari window."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import napari_4dstem
from napari_4dstem.cli import windows
from napari_4dstem.cli.messages import PROGRAM, fail
from napari_4dstem.cli.options import with_examples
from napari_4dstem.dataset import open_dataset
from napari_4dstem.errors import FormatError

# On the plate of the sample scan: six disks around the transmitted one.
VIEW = {"position": (36, 16), "gamma": 0.5}
STARTED = datetime(2025, 3, 14, 10, 30, tzinfo=UTC)


def demo(screenshot: Path | None) -> int:
    """Write the sample scan as a Merlin file, and open that as any other."""
    if problem := windows.why_none():
        return fail(problem)
    return windows.show([sample_file()], **VIEW, screenshot=screenshot)


def add_to(commands: Any) -> None:
    """Add the command to those of the program."""
    command = with_examples(
        commands.add_parser,
        """\
        napari-4dstem demo
        xvfb-run -a napari-4dstem demo --screenshot demo.png    without a screen
        """,
        name="demo",
        help="look at a synthetic scan of gold nanoparticles in napari",
        description="Write a synthetic scan of gold nanoparticles as a Merlin file"
        " (70 MB, in your cache folder), and open it in the Explorer.",
    )
    command.add_argument(
        "--screenshot",
        metavar="OUT.png",
        type=_png,
        help="save a picture of the window, then close it",
    )
    command.set_defaults(command=demo)


def sample_file() -> Path:
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
        started=STARTED,
        software=software,
    )
    return path


def _png(text: str) -> Path:
    path = Path(text)
    if path.suffix.lower() != ".png":
        raise argparse.ArgumentTypeError(f"expected a name with .png, found {text!r}")
    if not path.absolute().parent.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {str(path.parent)!r}")
    return path
