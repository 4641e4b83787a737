"""Maps of the scan that follow what is drawn on the pattern."""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from psygnal import Signal

from napari_4dstem.live import LiveImages

if TYPE_CHECKING:
    from napari_4dstem.analysis.detectors import Detector
    from napari_4dstem.dataset import Dataset
    from napari_4dstem.gui.explorer.open_scan import OpenScan
    from napari_4dstem.gui.explorer.runner import Runner
    from napari_4dstem.live.images import LiveImage
    from napari_4dstem.live.preview import PreviewProgress


class Recipe(Protocol):
    """What is made of the values of a detector; frozen, so that equals are alike."""

    @property
    def quantity(self) -> str:
        """What the interactive engine finds: "sum", "max" or "com"."""

    @property
    def make(self) -> Callable[[Any], Any]:
        """Makes what is shown, of values of shape nav_shape; called on a thread."""


class Wanted(Protocol):
    """Something on the screen that is made of the values of a detector.

    Attributes
    ----------
    name : str
    is_exact : bool
        Whether what is shown is that of the newest request, and no preview of it.
    """

    is_exact: bool

    @property
    def name(self) -> str:
        """For people."""

    @property
    def detector(self) -> Detector | None:
        """As it was drawn last; None while there is nothing to compute."""

    @property
    def recipe(self) -> Recipe:
        """What is made now."""

    def show(self, made: Any, request: Request, is_exact: bool) -> None:
        """Show what the recipe of a request has made."""


@dataclass(frozen=True)
class Request:
    """One thing to compute, as everything was when it was asked for."""

    wanted: Wanted
    detector: Detector
    recipe: Recipe
    ds: Dataset

    @property
    def key(self) -> Hashable:
        """Which of those that change it is for."""
        return id(self.wanted)


@dataclass(frozen=True, eq=False)
class Found:
    """A step on the way to what was asked for.

    Attributes
    ----------
    request : Request
    step : LiveImage
    made : Any
        What the recipe has made of it.
    may_rest : bool
        Whether there is something of every request by now, and only better to come.
    """

    request: Request
    step: LiveImage
    made: Any
    may_rest: bool = False


class Maps:
    """Keeps all that is wanted of a scan up to date, and exact in the end.

    Parameters
    ----------
    runner, preparing : Runner
        Compute maps, and read once for previews.
    budget : int
        Bytes that the interactive engine may keep.

    Attributes
    ----------
    wanted : list of Wanted
    """

    status = Signal(str)
    failed = Signal(Exception)
    progress = Signal(int, int)

    def __init__(self, runner: Runner, preparing: Runner, budget: int) -> None:
        self.runner, self.preparing, self.budget = runner, preparing, budget
        self.wanted: list[Wanted] = []
        self._open: OpenScan | None = None
        self._prepared: LiveImages | None = None

    def open(self, scan: OpenScan) -> None:
        """Compute maps of a scan."""
        self._open = scan
        self._live = LiveImages(scan.ds, self.budget)

    def close(self) -> None:
        """Compute nothing more."""
        self.runner.cancel()
        self.preparing.cancel()
        self._open = None

    def renew(self) -> None:
        """Begin anew with frames that are others now."""
        assert self._open is not None
        self._live = LiveImages(self._open.ds, self.budget)
        self.prepare()
        self.refold()

    def refold(self) -> None:
        """Ask for all maps again, in the geometry that is shown."""
        for each in self.wanted:
            each.is_exact = False
        self.request()

    def prepare(self) -> None:
        """Read all frames once, for previews; nothing if they were read, or are."""
        live = self._live
        if live is self._prepared:
            return
        self._prepared = live
        self.preparing.run(
            live.prepare,
            done=self._on_prepared,
            failed=self.failed.emit,
            partly=self._on_reading,
        )

    def _on_reading(self, step: PreviewProgress) -> None:
        self.progress.emit(step.done, step.total)

    def _on_prepared(self, _: Any) -> None:
        self.request()

    def request(self, first: Wanted | None = None) -> None:
        """Ask for all that is not exact.

        Parameters
        ----------
        first : Wanted, optional
            What changes: it comes first.
        """
        scan = self._open
        if scan is None:
            return
        requests = [
            Request(each, each.detector, each.recipe, scan.shown)
            for each in sorted(self.wanted, key=lambda each: each is not first)
            if not each.is_exact and each.detector is not None
        ]
        live = self._live
        self.runner.run(
            lambda: _steps(live, requests),
            partly=self._show,
            failed=self.failed.emit,
            rests=_may_rest,
        )

    def _show(self, found: Found) -> None:
        request, step = found.request, found.step
        wanted = request.wanted
        # Another quantity is no preview of what is asked for now.
        is_other = request.recipe.quantity != wanted.recipe.quantity
        if self._open is None or wanted not in self.wanted or is_other:
            return
        is_newest = (
            request.detector == wanted.detector
            and request.recipe == wanted.recipe
            and request.ds is self._open.shown
        )
        is_exact = step.is_exact and is_newest
        # Before it is shown: what is shown may ask for more.
        wanted.is_exact = is_exact
        wanted.show(found.made, request, is_exact)
        how = step.how if not step.is_exact else "of a moment ago"
        how = "exact" if is_exact else f"{how}, exact to come"
        self.status.emit(f"{wanted.name}: {how}, {step.seconds * 1e3:.0f} ms")


def _may_rest(found: Found) -> bool:
    return found.may_rest


def _steps(live: LiveImages, requests: Sequence[Request]) -> Generator[Found]:
    """Yield something of each request first: what belongs together moves together."""
    begun: list[tuple[Request, Generator[LiveImage]]] = []
    is_exact = True
    for request in requests:
        if live.ds is not request.ds:
            live.refold(request.ds)
        quantity = request.recipe.quantity
        steps = live.steps(request.detector, quantity, key=request.key)
        begun.append((request, steps))
        step = next(steps)
        is_exact &= step.is_exact
        is_last = len(begun) == len(requests)
        made = request.recipe.make(step.image)
        yield Found(request, step, made, is_last and not is_exact)
    for request, steps in begun:
        for step in steps:
            yield Found(request, step, request.recipe.make(step.image))
