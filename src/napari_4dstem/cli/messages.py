"""What a command says when it goes wrong."""

from __future__ import annotations

import sys

PROGRAM = "napari-4dstem"
# as shells know them
OK, FAILED = 0, 1


def say(message: str) -> None:
    """Print a message beside the results."""
    print(f"{PROGRAM}: {message}", file=sys.stderr)


def fail(message: str) -> int:
    """Say what went wrong, and return the exit code."""
    say(message)
    return FAILED
