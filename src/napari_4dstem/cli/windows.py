"""The way from a command to a napari window."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from napari_4dstem.cli.messages import OK, PROGRAM, fail
from napari_4dstem.dataset import Dataset


def show(contents: Sequence[Path | Dataset], **how: Any) -> int:
    """Open a window, and return the exit code when it is closed."""
    from napari_4dstem.gui import window

    problem: str | None = window.show(contents, **how)
    return fail(problem) if problem else OK


def why_none() -> str | None:
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
