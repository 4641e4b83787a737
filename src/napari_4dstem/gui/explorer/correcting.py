"""Corrections of the detector: chosen, looked at on the pattern, applied to the data.

Nothing of it changes the data set before all of it is known to be right.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels, Shapes
from psygnal import Signal

from napari_4dstem.errors import FormatError
from napari_4dstem.gui.explorer import correction_parts as parts_of
from napari_4dstem.gui.explorer.correction_parts import (
    FILE,
    HOT,
    OF_DATA,
    PAINTED,
    REGION,
    SOURCES,
    Part,
)
from napari_4dstem.gui.explorer.excluded_marks import ExcludedMarks

if TYPE_CHECKING:
    from napari_4dstem.corrections import Corrections
    from napari_4dstem.dataset import Dataset
    from napari_4dstem.gui.explorer.controller import Controller
    from napari_4dstem.gui.explorer.entry import Entry
    from napari_4dstem.gui.explorer.runner import Runner

THRESHOLD = 5.0
CANCELLED = "Cancelled."
# They change how bright patterns are.
OF_BRIGHTNESS = ("dark", "gain")


class Correcting:
    """What shall be corrected, by and by.

    Parameters
    ----------
    controller : Controller
    runner : Runner
        Reads files, and looks for hot pixels.

    Attributes
    ----------
    parts : dict of str to Part
        Of dark, gain and excluded.
    corrections : Corrections or None
        Made of all parts that are ready.
    threshold : float
        Of hot pixels.
    is_previewed, is_marked : bool
        Whether the pattern is shown corrected, and excluded pixels are marked on it.
    is_marked_in_full : bool
        Whether they are not too many to be marked.
    """

    changed = Signal()
    failed = Signal(Exception)

    def __init__(self, controller: Controller, runner: Runner) -> None:
        self.runner = runner
        self.parts = dict.fromkeys(SOURCES, Part())
        self.corrections: Corrections | None = None
        self.threshold = THRESHOLD
        self.is_previewed = self.is_marked = self.is_marked_in_full = True
        self._controller = controller
        self._marks = ExcludedMarks(controller.spaces)
        self._cancel = threading.Event()
        self._brush: Entry | None = None
        self._painted: Any = None
        # What the parts were made for, and what the pattern shows.
        self._known: tuple[Any, ...] = ()
        self._previewed: tuple[Any, ...] = ()
        controller.opened.connect(self.renew)
        controller.detectors.changed.connect(self._on_detectors)

    # what there is

    @property
    def ds(self) -> Dataset | None:
        """The data set with what is chosen; None while no scan is open."""
        ds = self._controller.ds
        return None if ds is None else _corrected(ds, self.corrections)

    @property
    def is_new(self) -> bool:
        """Whether what is chosen is not what is applied."""
        ds = self._controller.ds
        return ds is not None and self.corrections is not ds.corrections

    @property
    def can_apply(self) -> bool:
        """Whether all that is chosen is there."""
        return self.is_new and all(part.is_ready for part in self.parts.values())

    @property
    def is_working(self) -> bool:
        """Whether something is read or looked for."""
        return any(part.make is not None for part in self.parts.values())

    def offered(self, kind: str) -> list[str]:
        """Return where a part may come from: some of `SOURCES`."""
        ds = self._controller.ds
        found = None if ds is None else getattr(parts_of.found_for(ds), kind)
        now = self.parts[kind].source
        hidden = {parts_of.KEPT} | ({OF_DATA} if found is None else set())
        return [each for each in SOURCES[kind] if each not in hidden or each == now]

    # what the user does

    def choose(self, kind: str, source: str) -> None:
        """Choose where a part comes from, one of `offered`."""
        ds = self._controller.ds
        if ds is None:
            return
        part = Part(source)
        if source == OF_DATA:
            part = parts_of.of_data(ds, kind)
        elif source == FILE:
            part = Part(FILE, needs="Choose a file.")
        elif source == REGION:
            part = self._region()
        elif source == HOT:
            part = parts_of.of_search(self.threshold)
        elif source == PAINTED:
            part = self._painting()
        self._set(kind, part)

    def choose_file(self, kind: str, path: Path) -> None:
        """Choose the file of a part: any image that opens here."""
        self._set(kind, parts_of.of_file(kind, path))

    def look_again(self, threshold: float) -> None:
        """Look for hot pixels with another threshold."""
        self.threshold = threshold
        self.choose("excluded", HOT)

    def preview(self, is_on: bool) -> None:
        """Show the pattern corrected before anything is applied, or as it is."""
        self.is_previewed = is_on
        self._update()

    def mark(self, is_on: bool) -> None:
        """Mark excluded pixels on the pattern, or do not."""
        self.is_marked = is_on
        self._update()

    def apply(self) -> None:
        """Correct the data set: pattern and all maps."""
        if self.can_apply:
            self._change()

    def remove_all(self) -> None:
        """Leave the data set as it is in the file."""
        self.cancel()
        self.parts = dict.fromkeys(SOURCES, Part())
        self._update()
        if self.is_new:
            self._change()

    def cancel(self) -> None:
        """Stop reading and looking."""
        self._cancel.set()
        self.runner.cancel()
        if self.is_working:
            self.parts = {
                kind: part if part.make is None
                else replace(part, make=None, needs=CANCELLED)
                for kind, part in self.parts.items()
            }  # fmt: skip
            self._update()

    # what happens

    def renew(self) -> None:
        """Begin anew if the scan is another one, or is corrected in another way."""
        ds = self._controller.ds
        assert ds is not None
        source = ds.frames.source
        if not _same(self._known, (source, ds.corrections)):
            self.cancel()
            self._known = source, ds.corrections
            self.parts = parts_of.applied_to(ds)
        self._previewed = ds, ds.corrections
        self._marks.hide()  # its axes may be others now
        self._update()

    def close(self) -> None:
        """Forget the scan."""
        self.cancel()
        self._marks.hide()
        self.parts = dict.fromkeys(SOURCES, Part())
        self.corrections = None
        self._known, self._brush = (), None

    def _change(self) -> None:
        ds = self.ds
        assert ds is not None
        self._known = ds.frames.source, ds.corrections
        self._controller.change(ds)
        self._controller.fit_contrast()

    def _set(self, kind: str, part: Part) -> None:
        self.parts = {**self.parts, kind: part}
        self._update()
        self._work()

    def _work(self) -> None:
        self._cancel.set()
        self._cancel = cancel = threading.Event()
        ds, parts = self._controller.ds, self.parts
        if ds is None or not self.is_working:
            self.runner.cancel()
            return
        raw = _corrected(ds, None)
        self.runner.run(
            lambda: parts_of.made(raw, parts, cancel),
            partly=self._on_made,
            failed=self._on_error,
        )

    def _on_made(self, found: tuple[str, Part]) -> None:
        kind, part = found
        self.parts = {**self.parts, kind: part}
        self._update()

    def _on_error(self, error: Exception) -> None:
        # They are made one after the other: it is the first of those that are left.
        kind = next(k for k, part in self.parts.items() if part.make is not None)
        self._set(kind, replace(self.parts[kind], make=None, error=error))
        self.failed.emit(error)

    def _update(self) -> None:
        """Show what is chosen now."""
        scan = self._controller.open_scan
        if scan is None:
            return
        self.corrections = parts_of.assembled(scan.ds, self.parts)
        shown = self.corrections if self.is_previewed else scan.ds.corrections
        if not _same(self._previewed, (scan.ds, shown)):
            was = self._previewed[1]
            self._previewed = scan.ds, shown
            self._controller.patterns.preview(
                None if shown is scan.ds.corrections else _corrected(scan.ds, shown),
                fits=any(
                    getattr(was, kind, None) is not getattr(shown, kind, None)
                    for kind in OF_BRIGHTNESS
                ),
            )
        mask = self.corrections.excluded if self.corrections is not None else None
        self.is_marked_in_full = self._marks.show(
            scan, mask if self.is_marked else None
        )
        self.changed.emit()

    # what is drawn

    def _region(self) -> Part:
        """Return the mean of the region that is chosen, or of what was drawn last."""
        patterns = self._controller.patterns
        layers = self._controller.spaces.scan.layers
        drawn = [each for each in layers if isinstance(each, (Shapes, Labels))]
        if patterns.region in drawn:
            drawn.append(patterns.region)
        if not drawn:
            return Part(REGION, needs="Draw a region on the scan, then take its mean.")
        try:
            return parts_of.of_region(patterns.positions_in(drawn[-1]))
        except FormatError as error:
            return Part(REGION, error=error)

    def _painting(self) -> Part:
        """Return what the selected brush has painted, or the newest; or add one."""
        detectors = self._controller.detectors
        brushes = [e for e in detectors.entries if isinstance(e.drawing, Labels)]
        active = self._controller.spaces.pattern.layers.selection.active
        chosen = [each for each in brushes if each.drawing is active] or brushes[-1:]
        self._brush = chosen[0] if chosen else detectors.add("Brush")
        return self._part_of_brush()

    def _part_of_brush(self) -> Part:
        assert self._brush is not None
        ds, self._painted = self._controller.ds, self._brush.detector
        assert ds is not None
        if self._painted is None:
            return parts_of.of_painting(None)
        return parts_of.of_painting(np.asarray(self._painted.mask(ds.sig_shape)) != 0)

    def _on_detectors(self) -> None:
        """Follow the brush."""
        if (
            self._brush in self._controller.detectors.entries
            and self._brush is not None
            and self.parts["excluded"].source == PAINTED
            and self._brush.detector is not self._painted
        ):
            self._set("excluded", self._part_of_brush())


def _corrected(ds: Dataset, corrections: Corrections | None) -> Dataset:
    return replace(ds, frames=replace(ds.frames, corrections=corrections))


def _same(these: tuple[Any, ...], those: tuple[Any, ...]) -> bool:
    """Whether these are the same objects."""
    return len(these) == len(those) and all(map(_is, these, those))


def _is(one: Any, other: Any) -> bool:
    return one is other
