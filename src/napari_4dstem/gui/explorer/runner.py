"""What runs the work of the Explorer, so that its parts need no Qt."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol


class Runner(Protocol):
    """Runs the newest of the jobs it is given, as `gui.background.Background`."""

    @property
    def is_busy(self) -> bool:
        """Whether a job runs."""

    def run(
        self,
        job: Callable[[], Any],
        done: Callable[[Any], None] | None = None,
        failed: Callable[[Exception], None] | None = None,
        partly: Callable[[Any], None] | None = None,
        rests: Callable[[Any], bool] | None = None,
    ) -> None:
        """Run a job instead of all that were given before."""

    def cancel(self) -> None:
        """Drop the job that runs."""
