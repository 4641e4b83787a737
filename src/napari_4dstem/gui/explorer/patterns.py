"""Patterns: of the probe, of a region, of the whole scan."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Points, Shapes
from psygnal import Signal

from napari_4dstem.analysis.detectors import Mask
from napari_4dstem.errors import FormatError
from napari_4dstem.gui.drawn import drawn_region
from napari_4dstem.gui.explorer import circles, grabbing
from napari_4dstem.gui.explorer.contrast import PATTERN_PERCENTILES, fit, logarithm
from napari_4dstem.gui.explorer.drawings import connect, disconnect, new_drawing
from napari_4dstem.live import LivePattern

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer
    from numpy.typing import NDArray

    from napari_4dstem.dataset import Dataset
    from napari_4dstem.gui.explorer.open_scan import OpenScan, Spaces
    from napari_4dstem.gui.explorer.runner import Runner

PATTERN, PROBE = "Pattern", "Probe"
PROBE_FRAME = "Probe"
REGION = "Region"
# A new region reaches from the probe over so many parts of the scan.
# Seen on bright maps as well as on dark ones.
REGION_COLOR = "#00a0ff"
REGION_SHARE = 8
# What a pattern is made of: of which positions, and how their frames become one.
SOURCES: dict[str, tuple[str, str] | None] = {
    PROBE_FRAME: None,
    "Region, mean": ("region", "mean"),
    "Region, sum": ("region", "sum"),
    "Region, maximum": ("region", "max"),
    "Region, std. deviation": ("region", "std"),
    "Whole scan, mean": ("scan", "mean"),
    "Whole scan, sum": ("scan", "sum"),
    "Whole scan, maximum": ("scan", "max"),
    "Whole scan, std. deviation": ("scan", "std"),
}


class Patterns:
    """Keeps the pattern in step with the probe and with what is drawn on the scan.

    Parameters
    ----------
    spaces : Spaces
    runner : Runner
        Reads patterns on a thread.

    Attributes
    ----------
    layer : Image
        The pattern, while a scan is open.
    probe : Points
        A cross on the scan, likewise.
    source : str
        What the pattern is made of, one of `SOURCES`.
    region : Layer or None
        What is drawn on the scan.
    is_log : bool
    """

    status = Signal(str)
    failed = Signal(Exception)
    probe_changed = Signal(int, int)
    source_changed = Signal(str)

    def __init__(self, spaces: Spaces, runner: Runner) -> None:
        self.runner = runner
        self.source = PROBE_FRAME
        self.region: Layer | None = None
        self.is_log = False
        self._spaces = spaces
        self._open: OpenScan | None = None
        self._previewed: Dataset | None = None
        self._fits = True

    def open(self, scan: OpenScan) -> None:
        """Show patterns of a scan."""
        self._open = scan
        self.layer = Image(
            np.zeros(scan.ds.sig_shape, np.float32),
            name=PATTERN,
            colormap="inferno",
            **scan.pattern_axes(),
        )
        self._spaces.pattern.add_layer(self.layer)
        self.probe = self._new_probe(scan)
        self._spaces.scan.add_layer(self.probe)
        self._spaces.scan.mouse_drag_callbacks.append(self._drag_near_probe)
        self._fits = True
        self.renew()

    def renew(self) -> None:
        """Begin anew with the data set as it is now."""
        scan = self._open
        assert scan is not None
        self._previewed = None
        self._live = LivePattern(scan.ds)
        self.renew_axes()
        self.probe.size = _size_of_probe(scan.ds)
        self.set_probe(*self.position)
        self._last_position = self.position
        self.request()

    def renew_axes(self) -> None:
        """Learn where the pixels of maps are: what is drawn on the scan is in them."""
        assert self._open is not None
        blank = np.zeros(self._open.ds.nav_shape, bool)
        self._scan_image = Image(blank, **self._open.scan_axes())

    def close(self) -> None:
        """Take pattern and probe away."""
        self.runner.cancel()
        self._open = None
        self.set_region(None)
        self._spaces.scan.mouse_drag_callbacks.remove(self._drag_near_probe)
        for layers, layer in (
            (self._spaces.pattern.layers, self.layer),
            (self._spaces.scan.layers, self.probe),
        ):
            if layer in layers:
                layers.remove(layer)

    def keep(self) -> None:
        """Put back what the user has removed, but for the region: go on without that.

        Detectors need the pattern, the pattern needs the probe.
        """
        if self._open is None:
            return
        if self.layer not in self._spaces.pattern.layers:
            self._spaces.pattern.layers.insert(0, self.layer)
        layers = self._spaces.scan.layers
        if self.probe not in layers:
            layers.append(self.probe)
        if self.region is not None and self.region not in layers:
            wanted = SOURCES[self.source]
            self.set_region(None)
            if wanted is not None and wanted[0] == "region":
                self.set_source(PROBE_FRAME)
                self.status.emit("The region was removed: this is the probe's pattern")

    # the probe

    def _new_probe(self, scan: OpenScan) -> Points:
        probe = Points(
            [[n // 2 for n in scan.ds.nav_shape]],
            name=PROBE,
            symbol="cross",
            size=_size_of_probe(scan.ds),
            face_color="yellow",
            border_width=0,
            **scan.scan_axes(),
        )
        probe.mouse_drag_callbacks.append(circles.drag_probe)
        probe.events.data.connect(self._on_probe)
        return probe

    @property
    def position(self) -> tuple[int, int]:
        """Scan position of the probe."""
        assert self._open is not None
        at = self.probe.data[0] if len(self.probe.data) else (0, 0)
        return self._nearest(*at)

    def _nearest(self, *at: float) -> tuple[int, int]:
        assert self._open is not None
        y, x = (
            int(min(max(round(float(p)), 0), n - 1))
            for p, n in zip(at, self._open.ds.nav_shape, strict=True)
        )
        return y, x

    def set_probe(self, y: int, x: int) -> None:
        """Move the probe to a scan position, or the nearest one there is."""
        if self._open is not None:
            circles.put_probe(self.probe, self._nearest(y, x))

    def move_probe(self, dy: int, dx: int) -> None:
        """Move the probe by some scan positions."""
        if self._open is not None:
            y, x = self.position
            self.set_probe(y + dy, x + dx)

    def raise_probe(self) -> None:
        """Put the probe on top, and active, so that it can be dragged."""
        layers = self._spaces.scan.layers
        if self._open is not None and self.probe in layers:
            layers.move(layers.index(self.probe), -1)
            layers.selection.active = self.probe

    def _drag_near_probe(self, model: ViewerModel, event: Any) -> Generator[None]:
        """Let the mouse drag the probe while another layer is active, and stays so."""
        active = model.layers.selection.active
        if (
            event.button != 1
            or active is self.probe
            or self.probe not in self._spaces.scan.layers
            or not grabbing.is_free(active, event)
            or not grabbing.is_at_probe(self.probe, event)
        ):
            return
        camera = model.scene.camera
        could_pan, camera.mouse_pan = camera.mouse_pan, False
        yield
        while event.type == "mouse_move":
            circles.put_probe(self.probe, self.probe.world_to_data(event.position))
            yield
        camera.mouse_pan = could_pan

    def _on_probe(self, *_: Any) -> None:
        # napari tells of a change before and after it
        if self._open is None or self.position == self._last_position:
            return
        self._last_position = self.position
        self.probe_changed.emit(*self.position)
        if SOURCES[self.source] is None:
            self.request()

    # what is shown

    def new_region(self) -> Shapes:
        """Draw a region around the probe, with handles, and choose it."""
        assert self._open is not None
        reach = max(max(self._open.ds.nav_shape) / REGION_SHARE, 1)
        region = Shapes(
            [circles.circle(self.position, reach)],
            shape_type="rectangle",
            name=REGION,
            edge_color=REGION_COLOR,
            edge_width=max(reach / 16, 0.1),
            face_color="transparent",
            **self._open.scan_axes(),
        )
        self._spaces.scan.add_layer(region)
        region.mode = "select"
        region.selected_data = {0}
        self.set_region(region)
        return region

    def preview(self, ds: Dataset | None, fits: bool = False) -> None:
        """Show patterns of the data set with other corrections.

        Parameters
        ----------
        ds : Dataset or None
            None: again as it is.
        fits : bool
            Whether the contrast is fitted.
        """
        if self._open is None:
            return
        self._previewed = ds
        self._live = LivePattern(self._shown)
        self._fits |= fits
        self.request()

    @property
    def _shown(self) -> Dataset:
        assert self._open is not None
        return self._open.ds if self._previewed is None else self._previewed

    def positions_in(self, drawing: Layer) -> NDArray[np.bool_]:
        """Return which scan positions are drawn in a layer.

        Raises
        ------
        FormatError
            If none is.
        """
        return drawn_region(drawing, self._scan_image)

    def set_source(self, source: str) -> None:
        """Choose what the pattern is made of, one of `SOURCES`."""
        self.runner.cancel()  # the contrast fits no longer what is on its way
        self.source = source
        self._fits = True
        self.source_changed.emit(source)
        self.request()

    def set_region(self, layer: Layer | None) -> None:
        """Choose the layer that is drawn on the scan as its region."""
        if self.region is not None:
            disconnect(self.region, self._on_region)
        self.region = layer
        if layer is not None:
            connect(layer, self._on_region)
        self._on_region()

    def draw_region(self, positions: NDArray[np.bool_]) -> None:
        """Draw a region on the scan, and choose it.

        Parameters
        ----------
        positions : bool array, shape nav_shape
        """
        drawing = new_drawing(Mask(positions), REGION, "white", self._scan_image)
        self._spaces.scan.add_layer(drawing)
        self.raise_probe()
        self.set_region(drawing)

    def positions_in_region(self) -> NDArray[np.bool_] | None:
        """Return the scan positions of the region; None if there are none."""
        if self.region is None or self.region not in self._spaces.scan.layers:
            return None
        try:
            return self.positions_in(self.region)
        except FormatError:
            return None  # nothing is drawn yet

    def _on_region(self, *_: Any) -> None:
        if self._open is not None and self._open.is_settling:
            return
        wanted = SOURCES[self.source]
        if wanted is not None and wanted[0] == "region":
            self.request()

    def set_log(self, is_log: bool) -> None:
        """Choose whether brightness is the logarithm of counts."""
        self.is_log = is_log
        self.fit_contrast()

    def fit_contrast(self) -> None:
        """Fit the contrast to the pattern."""
        self._fits = True
        self.request()

    def request(self) -> None:
        """Ask for the pattern of what is chosen now."""
        if self._open is None:
            return
        ds, wanted = self._shown, SOURCES[self.source]
        if wanted is None:
            at = self.position
            self.runner.run(lambda: ds[at], done=self._show, failed=self.failed.emit)
            return
        which, kind = wanted
        region = np.ones(ds.nav_shape, bool)
        if which == "region":
            if self.region is None or self.region not in self._spaces.scan.layers:
                self.status.emit("Draw a region on the scan, and choose its layer")
                return
            try:
                region = self.positions_in(self.region)
            except FormatError as error:
                self.status.emit(str(error))
                return
        live = self._live

        def steps() -> Generator[Any]:
            if live.ds is not ds:
                live.refold(ds)
            yield from live.steps(region, kind)

        self.runner.run(
            steps,
            partly=self._show_step,
            failed=self.failed.emit,
            rests=lambda step: not step.is_exact,
        )

    def _show_step(self, step: Any) -> None:
        self._show(step.frame)
        if not step.is_exact:
            self.status.emit(f"{self.source}: of {step.count} patterns, all to come")
        else:
            self.status.emit(f"{self.source}: {step.count} patterns")

    def _show(self, frame: Any) -> None:
        if self._open is None:
            return
        shown = np.abs(frame) if frame.dtype.kind == "c" else frame
        if self.is_log:
            shown = logarithm(shown)
        self.layer.data = shown
        if self._fits:
            self._fits = False
            fit(self.layer, shown, PATTERN_PERCENTILES)


def _size_of_probe(ds: Dataset) -> float:
    return max(max(ds.nav_shape) / 40, 1)
