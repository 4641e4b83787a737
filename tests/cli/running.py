"""Runs commands as a user does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from napari_4dstem.cli import parser

FRAMES = np.random.default_rng(7).integers(0, 4000, (15, 8, 6)).astype(np.uint16)
MODULE = ("-W", "error", "-m", "napari_4dstem.cli")


def run(
    *arguments: str | Path, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        env=env,
        timeout=120,
        check=False,
    )


def parsed(*arguments: str) -> dict[str, Any]:
    """What `load` would be given."""
    options = vars(parser().parse_args(["info", "FILE", *arguments]))
    for name in ("command", "file", "as_json", "filetype"):
        del options[name]
    return options
