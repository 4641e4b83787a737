"""Links the scan and its patterns: two viewers and a data set, and no Qt.

What is drawn on the pattern gives maps of the scan, the probe and what is drawn on the
scan give the pattern. Only the newest state counts: a request takes the place of the
one before, and what that had found is kept by the interactive engine.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from napari.layers import Image, Labels, Points
from psygnal import Signal

from napari_4dstem.analysis.detectors import Detector
from napari_4dstem.errors import FormatError
from napari_4dstem.gui.bright_disk import find_disk, in_the_middle
from napari_4dstem.gui.drawn import drawn_detector, drawn_region
from napari_4dstem.gui.explorer import circles
from napari_4dstem.gui.explorer.contrast import (
    MAP_PERCENTILES,
    PATTERN_PERCENTILES,
    fit,
    logarithm,
)
from napari_4dstem.gui.explorer.detectors import (
    COLORS,
    REDUCTIONS,
    Entry,
    connect,
    disconnect,
    new_drawing,
)
from napari_4dstem.gui.map_window import MAP_KEY
from napari_4dstem.gui.picked import data_set_of
from napari_4dstem.layers import METADATA_KEY, shown_array
from napari_4dstem.live import LiveImages, LivePattern

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_4dstem.dataset import Dataset

PATTERN, PROBE = "Pattern", "Probe"
PROBE_FRAME = "Probe"
# What a pattern is made of: the region, and how its frames become one.
SOURCES: dict[str, tuple[str, str] | None] = {
    PROBE_FRAME: None,
    "Region, mean": ("region", "mean"),
    "Region, sum": ("region", "sum"),
    "Region, maximum": ("region", "max"),
    "Region, std. deviation": ("region", "std"),
    "Whole scan, mean": ("scan", "mean"),
    "Whole scan, maximum": ("scan", "max"),
    "Whole scan, std. deviation": ("scan", "std"),
}


class Runner(Protocol):
    """Runs the newest of the jobs it is given, as `gui.background.Background`."""

    def run(
        self,
        job: Callable[[], Any],
        done: Callable[[Any], None] | None = None,
        failed: Callable[[Exception], None] | None = None,
        partly: Callable[[Any], None] | None = None,
    ) -> None:
        """Run a job instead of all that were given before."""

    def cancel(self) -> None:
        """Drop the job that runs."""


class Controller:
    """Keeps two viewers and a data set in step.

    Parameters
    ----------
    scan : ViewerModel
        Shows maps of the scan.
    pattern : ViewerModel
        Shows a pattern and the detectors on it.
    make_runner : callable
        Gives something that runs jobs on a thread.
    budget : int
        Bytes that the interactive engine may keep.
    """

    status = Signal(str)
    failed = Signal(Exception)
    # the list of detectors, or one of them
    detectors_changed = Signal()
    probe_changed = Signal(int, int)
    opened = Signal()

    def __init__(
        self,
        scan: ViewerModel,
        pattern: ViewerModel,
        make_runner: Callable[[], Runner],
        budget: int = 2**28,
    ) -> None:
        self.scan, self.pattern = scan, pattern
        self.budget = budget
        self.entries: list[Entry] = []
        self.layer: Image | None = None
        self.ds: Dataset | None = None
        # the same in the scan geometry that is tried
        self.shown_ds: Dataset | None = None
        self.source = PROBE_FRAME
        self.is_log = False
        self.region: Layer | None = None
        self._maps, self._patterns = make_runner(), make_runner()
        self._preparing = make_runner()
        self._is_own_change = False
        self._fits_pattern = True
        scan.layers.events.removed.connect(self._on_removed)
        # center and radius of the bright-field disk
        self._found: tuple[tuple[float, float], float] | None = None

    # a data set

    def open(self, layer: Image) -> None:
        """Take a layer of four axes out of the viewer of the scan, and explore it.

        Raises
        ------
        FormatError
            If it is no scan of patterns.
        """
        ds = data_set_of(layer)
        self.close()
        self.layer, self.ds, self.shown_ds = layer, ds, ds
        self._live, self._live_pattern = LiveImages(ds, self.budget), LivePattern(ds)
        if layer in self.scan.layers:
            self.scan.layers.remove(layer)
        self._fits_pattern = True
        self._found = None
        self._last_position: tuple[int, int] | None = None
        self.pattern_layer = Image(
            np.zeros(ds.sig_shape, np.float32),
            name=PATTERN,
            colormap="inferno",
            scale=layer.scale[2:],
            units=layer.units[2:],
            axis_labels=("ky", "kx"),
        )
        self.pattern.add_layer(self.pattern_layer)
        self._scan_image = type(layer)(
            np.zeros(ds.nav_shape, bool), **self._scan_axes()
        )
        self.probe = self._add_probe()
        for model in (self.scan, self.pattern):
            model.canvas.overlays.scale_bar.visible = True
        self._last_position = self.position
        self.opened.emit()
        self._request_pattern()
        self.add_detector("Disk")
        self._preparing.run(
            lambda: find_disk(ds), done=self._disk_found, failed=self.failed.emit
        )

    def close(self) -> bool:
        """Give the layer back to the viewer of the scan, if its units fit there.

        Returns
        -------
        bool
            False if it was not given back: who called has to find a place for it.
        """
        if self.layer is None:
            return True
        for runner in (self._maps, self._patterns, self._preparing):
            runner.cancel()
        layer, self.layer, self.ds = self.layer, None, None
        self.shown_ds = None
        for entry in list(self.entries):
            self._forget(entry, with_map=False)
        self.pattern.layers.clear()
        if self.probe in self.scan.layers:
            self.scan.layers.remove(self.probe)
        self.region = None
        fits = all(
            layer.units[-len(other.units) :] == other.units
            for other in self.scan.layers
        )
        if fits:
            self.scan.layers.append(layer)
        self.detectors_changed.emit()
        return fits

    def stop(self) -> None:
        """Cancel all work, for good."""
        for runner in (self._maps, self._patterns, self._preparing):
            runner.cancel()

    def _scan_axes(self) -> dict[str, Any]:
        assert self.layer is not None
        return {
            "scale": self.layer.scale[:2],
            "translate": self.layer.translate[:2],
            "units": self.layer.units[:2],
            "axis_labels": ("y", "x"),
        }

    # the geometry of the scan

    def try_geometry(self, **geometry: Any) -> None:
        """Show the maps in another scan geometry; nothing is read for it.

        Parameters
        ----------
        geometry
            As of ``Dataset.with_scan``.

        Raises
        ------
        ParameterError
            If it is impossible.
        """
        if self.ds is None:
            return
        self.shown_ds = self.ds.with_scan(**geometry)
        for entry in self.entries:
            entry.is_exact = False
        self._request_maps()

    def apply_geometry(self) -> None:
        """Make the geometry that is shown that of the data set: for all there is."""
        ds = self.shown_ds
        if ds is None or self.layer is None or ds is self.ds:
            return
        at = self.position
        self.ds = ds
        self.layer.data = shown_array(ds)
        self.layer.metadata = {**self.layer.metadata, METADATA_KEY: ds}
        blank = np.zeros(ds.nav_shape, bool)
        self._scan_image = Image(blank, **self._scan_axes())
        self.set_probe(*at)
        self.set_source(PROBE_FRAME)
        self.opened.emit()
        for entry in self.entries:
            entry.is_exact = False
        self._request_maps()

    # the probe and the pattern

    def _add_probe(self) -> Points:
        assert self.ds is not None
        middle = [n // 2 for n in self.ds.nav_shape]
        probe = Points(
            [middle],
            name=PROBE,
            symbol="cross",
            size=max(max(self.ds.nav_shape) / 40, 1),
            face_color="yellow",
            border_width=0,
            **self._scan_axes(),
        )
        self.scan.add_layer(probe)
        probe.mouse_drag_callbacks.append(circles.drag_probe)
        probe.events.data.connect(self._on_probe)
        return probe

    @property
    def position(self) -> tuple[int, int]:
        """Scan position of the probe."""
        assert self.ds is not None
        at = self.probe.data[0] if len(self.probe.data) else (0, 0)
        y, x = (
            int(min(max(round(float(p)), 0), n - 1))
            for p, n in zip(at, self.ds.nav_shape, strict=True)
        )
        return y, x

    def set_probe(self, y: int, x: int) -> None:
        """Move the probe to a scan position, or the nearest one there is."""
        if self.ds is None:
            return
        height, width = self.ds.nav_shape
        at = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
        circles.put_probe(self.probe, at)

    def move_probe(self, dy: int, dx: int) -> None:
        """Move the probe by some scan positions."""
        if self.ds is not None:
            y, x = self.position
            self.set_probe(y + dy, x + dx)

    def _on_probe(self, *_: Any) -> None:
        # napari tells of a change before and after it
        if self.ds is None or self.position == self._last_position:
            return
        self._last_position = self.position
        self.probe_changed.emit(*self.position)
        if SOURCES[self.source] is None:
            self._request_pattern()

    def set_source(self, source: str) -> None:
        """Choose what the pattern is made of, one of `SOURCES`."""
        self.source = source
        self._fits_pattern = True
        self._request_pattern()

    def set_region(self, layer: Layer | None) -> None:
        """Choose the layer that is drawn on the scan as its region."""
        if self.region is not None:
            disconnect(self.region, self._on_region)
        self.region = layer
        if layer is not None:
            connect(layer, self._on_region)
        self._on_region()

    def _on_region(self, *_: Any) -> None:
        wanted = SOURCES[self.source]
        if wanted is not None and wanted[0] == "region":
            self._request_pattern()

    def set_log(self, is_log: bool) -> None:
        """Choose whether brightness is the logarithm of counts."""
        self.is_log = is_log
        self._fits_pattern = True
        self._request_pattern()

    def fit_contrast(self) -> None:
        """Fit the contrast of the pattern and of all maps, now and as they change."""
        self._fits_pattern = True
        self._request_pattern()
        for entry in self.entries:
            entry.follows = True
            self._fit_map(entry)

    def _request_pattern(self) -> None:
        ds = self.ds
        if ds is None:
            return
        wanted = SOURCES[self.source]
        if wanted is None:
            at = self.position
            self._patterns.run(
                lambda: ds[at], done=self._show_pattern, failed=self.failed.emit
            )
            return
        which, kind = wanted
        region = np.ones(ds.nav_shape, bool)
        if which == "region":
            if self.region is None or self.region not in self.scan.layers:
                self.status.emit("Draw a region on the scan, and choose its layer")
                return
            try:
                region = drawn_region(self.region, self._scan_image)
            except FormatError as error:
                self.status.emit(str(error))
                return
        live = self._live_pattern

        def steps() -> Generator[Any]:
            if live.ds is not ds:
                live.refold(ds)
            yield from live.steps(region, kind)

        self._patterns.run(
            steps,
            partly=lambda step: self._show_pattern(step.frame),
            failed=self.failed.emit,
        )

    def _show_pattern(self, frame: Any) -> None:
        if self.ds is None:
            return
        shown = np.abs(frame) if frame.dtype.kind == "c" else frame
        if self.is_log:
            shown = logarithm(shown)
        self.pattern_layer.data = shown
        if self._fits_pattern:
            self._fits_pattern = False
            fit(self.pattern_layer, shown, PATTERN_PERCENTILES)

    # detectors and their maps

    def add_detector(self, kind: str) -> Entry:
        """Add a detector in the middle of the pattern, and its map.

        Parameters
        ----------
        kind : str
            One of `detectors.KINDS` or `detectors.PRESETS`.
        """
        assert self.ds is not None
        number = len(self.entries)
        colormap = list(COLORS)[number % len(COLORS)]
        color = COLORS[colormap]
        taken = {entry.drawing.name for entry in self.entries}
        name = next(
            name
            for i in range(1, len(taken) + 2)
            if (name := kind if i == 1 else f"{kind} {i}") not in taken
        )
        drawing = new_drawing(kind, name, color, self.pattern_layer, self._disk())
        image = Image(
            np.zeros(self.ds.nav_shape, np.float32),
            name=name,
            colormap=colormap,
            blending="additive",
            **self._scan_axes(),
        )
        self.pattern.add_layer(drawing)
        self.scan.add_layer(image)
        entry = Entry(drawing, image)
        self.entries.append(entry)
        # The probe stays on top, and active, so that it can be dragged.
        if self.probe in self.scan.layers:
            self.scan.layers.move(self.scan.layers.index(self.probe), -1)
            self.scan.layers.selection.active = self.probe
        connect(drawing, self._on_drawn)
        image.events.contrast_limits.connect(self._on_contrast)
        self.pattern.layers.selection.active = drawing
        self.detectors_changed.emit()
        self._update(entry)
        return entry

    def _disk(self) -> tuple[tuple[float, float], float]:
        """Return center and radius of the bright-field disk, as far as it is known."""
        return self._found or in_the_middle(self.pattern_layer.data.shape)

    def _disk_found(self, found: tuple[tuple[float, float], float] | None) -> None:
        self._found = found
        entry = next(iter(self.entries), None)
        if found is not None and entry is not None and self._is_untouched(entry):
            entry.drawing.data = [circles.circle(*found)]
        live = self._live
        self._preparing.run(
            lambda: live.prepare(),
            done=lambda _: self._request_maps(),
            failed=self.failed.emit,
            partly=lambda step: self.status.emit(
                f"Reading once for previews: {100 * step.done // max(step.total, 1)} %"
            ),
        )

    def _is_untouched(self, entry: Entry) -> bool:
        """Whether a disk is where it was put before anything was known."""
        middle, _ = in_the_middle(self.pattern_layer.data.shape)
        found = circles.circles_of(entry.drawing)
        return len(found) == 1 and bool(np.allclose(found[0][0], middle))

    def move_detector(self, dy: int, dx: int) -> None:
        """Move the detector that is selected on the pattern by some pixels."""
        drawing = self.pattern.layers.selection.active
        if any(entry.drawing is drawing for entry in self.entries):
            if isinstance(drawing, Labels):
                drawing.data = np.roll(drawing.data, (dy, dx), (0, 1))
                self._on_drawn(SimpleNamespace(source=drawing))
            else:
                drawing.data = [np.add(part, (dy, dx)) for part in drawing.data]

    def remove_detector(self, entry: Entry, *, with_map: bool = True) -> None:
        """Remove a detector, and its map."""
        self._forget(entry, with_map)
        self.detectors_changed.emit()

    def freeze(self, entry: Entry) -> Image:
        """Keep a copy of the map of a detector as it is."""
        data = np.array(entry.image.data)
        frozen = Image(
            data,
            name=f"{entry.image.name} (frozen)",
            colormap=entry.image.colormap.name,
            contrast_limits=entry.image.contrast_limits,
            metadata=dict(entry.image.metadata),
            visible=False,
            **self._scan_axes(),
        )
        self.scan.add_layer(frozen)
        if self.probe in self.scan.layers:
            self.scan.layers.selection.active = self.probe
        return frozen

    def set_reduction(self, entry: Entry, reduction: str) -> None:
        """Choose what the map of a detector shows, one of `detectors.REDUCTIONS`."""
        entry.reduction = reduction
        entry.follows = True
        entry.is_exact = False
        self._request_maps(entry)

    def _forget(self, entry: Entry, with_map: bool = True) -> None:
        disconnect(entry.drawing, self._on_drawn)
        entry.image.events.contrast_limits.disconnect(self._on_contrast)
        self.entries.remove(entry)
        if entry.drawing in self.pattern.layers:
            self.pattern.layers.remove(entry.drawing)
        if with_map and entry.image in self.scan.layers:
            self.scan.layers.remove(entry.image)

    def _on_removed(self, event: Any) -> None:
        """Let go of a detector whose map the user has removed."""
        for entry in list(self.entries):
            if entry.image is event.value:
                self.remove_detector(entry, with_map=False)

    def _on_drawn(self, event: Any) -> None:
        for entry in self.entries:
            if entry.drawing is event.source:
                self._update(entry)

    def _update(self, entry: Entry) -> None:
        """Ask for the map of what is drawn now, if it is something else."""
        try:
            detector: Detector | None = drawn_detector(
                entry.drawing, self.pattern_layer
            )
        except FormatError:
            detector = None  # nothing is drawn yet
        if detector == entry.detector:
            return
        entry.detector = detector
        entry.is_exact = False
        self.detectors_changed.emit()
        self._request_maps(entry)

    def _request_maps(self, first: Entry | None = None) -> None:
        """Ask for all maps that are not exact; the one that changes comes first."""
        if self.ds is None:
            return
        wanted = [e for e in self.entries if not e.is_exact and e.detector is not None]
        wanted.sort(key=lambda entry: entry is not first)
        requests = [(e, e.detector, REDUCTIONS[e.reduction][0]) for e in wanted]
        live = self._live
        shown = self.shown_ds or self.ds
        self._maps.run(
            lambda: _steps(live, shown, requests),
            partly=self._show_map,
            failed=self.failed.emit,
        )

    def _show_map(self, found: tuple[Entry, Detector, str, Any, Dataset]) -> None:
        entry, detector, quantity, step, ds = found
        is_stale = quantity != REDUCTIONS[entry.reduction][0]
        if self.ds is None or entry not in self.entries or is_stale:
            return
        image = REDUCTIONS[entry.reduction][1](step.image)
        entry.image.data = image
        if entry.follows:
            self._fit_map(entry)
        if step.is_exact and detector == entry.detector and ds is self.shown_ds:
            entry.is_exact = True
            entry.image.metadata = {
                MAP_KEY: {
                    "analysis": quantity,
                    "map": entry.reduction,
                    "data_set": ds,
                    "detector": detector,
                }
            }
        how = "exact" if step.is_exact else f"{step.how}, exact to come"
        self.status.emit(f"{entry.image.name}: {how}, {step.seconds * 1e3:.0f} ms")

    def _fit_map(self, entry: Entry) -> None:
        self._is_own_change = True
        try:
            fit(entry.image, np.asarray(entry.image.data), MAP_PERCENTILES)
        finally:
            self._is_own_change = False

    def _on_contrast(self, event: Any) -> None:
        if self._is_own_change:
            return
        for entry in self.entries:
            if entry.image is event.source:
                entry.follows = False


def _steps(live: LiveImages, ds: Dataset, requests: list[Any]) -> Generator[Any]:
    if live.ds is not ds:
        live.refold(ds)
    for entry, detector, quantity in requests:
        for step in live.steps(detector, quantity, key=id(entry)):
            yield entry, detector, quantity, step, ds
