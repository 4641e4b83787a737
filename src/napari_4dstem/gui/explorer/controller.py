"""Links the scan and its patterns: two viewers and a data set, and no Qt.

What is drawn on the pattern gives maps of the scan, the probe and what is drawn on the
scan give the pattern. The parts do the work; this opens and closes a scan for all of
them, and tells all when its data set becomes another one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from psygnal import Signal

from napari_4dstem.analysis.map_record import MapRecord
from napari_4dstem.gui.bright_disk import find_disk
from napari_4dstem.gui.explorer.com_maps import CenterOfMassMaps
from napari_4dstem.gui.explorer.correcting import Correcting
from napari_4dstem.gui.explorer.detectors import Detectors
from napari_4dstem.gui.explorer.disk_mark import DiskMark
from napari_4dstem.gui.explorer.earlier import maps_in
from napari_4dstem.gui.explorer.maps import Maps
from napari_4dstem.gui.explorer.open_scan import OpenScan, Spaces
from napari_4dstem.gui.explorer.patterns import Patterns
from napari_4dstem.gui.map_window import MAP_KEY
from napari_4dstem.gui.picked import data_set_of
from napari_4dstem.layers import METADATA_KEY, shown_array

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

    from napari_4dstem.axes import Sampling
    from napari_4dstem.dataset import Dataset
    from napari_4dstem.gui.bright_disk import Disk
    from napari_4dstem.gui.explorer.runner import Runner

BUDGET = 2**28
# A map that grows or shrinks by so much is looked at anew.
MUCH = 2


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

    Attributes
    ----------
    spaces : Spaces
    open_scan : OpenScan or None
        What is explored.
    patterns : Patterns
    detectors : Detectors
    maps : Maps
    disk_mark : DiskMark
    com : CenterOfMassMaps
    correcting : Correcting
    """

    status = Signal(str)
    failed = Signal(Exception)
    # a scan, or another version of it: all that is known of it may be new
    opened = Signal()

    def __init__(
        self,
        scan: ViewerModel,
        pattern: ViewerModel,
        make_runner: Callable[[], Runner],
        budget: int = BUDGET,
    ) -> None:
        self.spaces = Spaces(scan, pattern)
        self.open_scan: OpenScan | None = None
        self.patterns = Patterns(self.spaces, make_runner())
        self.maps = Maps(make_runner(), make_runner(), budget)
        self.detectors = Detectors(self.spaces, self.patterns, self.maps)
        self.disk_mark = DiskMark(self.spaces, self.patterns, self.detectors)
        self.com = CenterOfMassMaps(
            self.spaces, self.patterns, self.maps, self.detectors
        )
        self.opened.connect(self.com.renew)
        self.correcting = Correcting(self, make_runner())
        self._looked_at: tuple[int, ...] = (1, 1)
        self._looking = make_runner()
        self._runners = (
            self.patterns.runner,
            self.maps.runner,
            self.maps.preparing,
            self._looking,
            self.correcting.runner,
        )
        for part in (self.patterns, self.maps):
            part.status.connect(self.status.emit)
            part.failed.connect(self.failed.emit)
        self.correcting.failed.connect(self.failed.emit)

    @property
    def ds(self) -> Dataset | None:
        """The data set that is explored."""
        return None if self.open_scan is None else self.open_scan.ds

    @property
    def layer(self) -> Image | None:
        """Its layer of four axes."""
        return None if self.open_scan is None else self.open_scan.layer

    @property
    def is_busy(self) -> bool:
        """Whether anything is computed or read."""
        return any(runner.is_busy for runner in self._runners)

    def open(self, layer: Image) -> None:
        """Take a layer of four axes out of the viewer of the scan, and explore it.

        Raises
        ------
        FormatError
            If it is no scan of patterns.
        """
        ds = data_set_of(layer)
        self.close()
        self.open_scan = OpenScan(layer, ds, ds)
        self._looked_at = ds.nav_shape
        if layer in self.spaces.scan.layers:
            self.spaces.scan.layers.remove(layer)
        self.maps.open(self.open_scan)
        self.patterns.open(self.open_scan)
        self.disk_mark.open(self.open_scan)
        for model in (self.spaces.scan, self.spaces.pattern):
            model.canvas.overlays.scale_bar.visible = True
        self.opened.emit()
        self.detectors.open(self.open_scan)
        self.com.open(self.open_scan)
        self.find_disk()

    def find_disk(self) -> None:
        """Look for the bright-field disk, whatever is known of it."""
        ds = self.ds
        assert ds is not None
        self._looking.run(
            lambda: find_disk(ds), done=self._on_disk, failed=self.failed.emit
        )

    def _on_disk(self, disk: Disk | None) -> None:
        self.detectors.found_disk(disk)
        if disk is None:
            self.status.emit("No bright-field disk was found")
        # Only now: the disk is to be seen before all frames are read.
        self.maps.prepare()

    def close(self) -> Image | None:
        """Explore the scan no longer.

        Returns
        -------
        Image or None
            Its layer: who called has to find a place for it.
        """
        if self.open_scan is None:
            return None
        layer = self.open_scan.layer
        self.stop()
        self.disk_mark.close()
        self.com.close()
        self.correcting.close()
        self.detectors.close()
        self.maps.close()
        self.patterns.close()
        self.open_scan = None
        return layer

    def discard(self) -> None:
        """Explore the scan no longer, and remove its maps."""
        if self.close() is not None:
            for layer in maps_in(self.spaces.scan.layers):
                self.spaces.scan.layers.remove(layer)

    def stop(self) -> None:
        """Cancel all work. What is shown stays as it is."""
        for runner in self._runners:
            runner.cancel()
        self.correcting.cancel()

    def fit_contrast(self) -> None:
        """Fit the contrast of the pattern, and of all maps, now and as they change."""
        self.patterns.fit_contrast()
        self.detectors.fit_contrast()
        self.com.fit_contrast()

    def move_patterns(self, model: ViewerModel) -> None:
        """Go on with patterns and detectors in another viewer.

        Parameters
        ----------
        model : ViewerModel
            Gets all layers of the one that showed them, and looks at the same place.
        """
        old = self.spaces.pattern
        layers, active = list(old.layers), old.layers.selection.active
        center = old.scene.camera.center
        part = _magnification(old) if layers else 1.0
        self.detectors.leave(old)  # what moves is not removed
        old.layers.clear()
        self.spaces.pattern = model
        model.layers.extend(layers)
        model.layers.selection.active = active
        self.detectors.follow(model)
        model.canvas.overlays.scale_bar.visible = old.canvas.overlays.scale_bar.visible
        if layers:
            model.reset_view()
            model.scene.camera.zoom *= part
            model.scene.camera.center = center

    # other versions of the data set

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
        if self.open_scan is not None:
            self.open_scan.shown = self.open_scan.ds.with_scan(**geometry)
            self._look_at(self.open_scan)
            self.maps.refold()

    def _look_at(self, scan: OpenScan) -> None:
        """Follow a map that becomes much smaller or larger: one line, say, an image."""
        shape = scan.shown.nav_shape
        change = max(self._looked_at) / max(shape)
        if 1 / MUCH < change < MUCH:
            return
        self._looked_at = shape
        axes, camera = scan.scan_axes(), self.spaces.scan.scene.camera
        middle = (np.array(shape) - 1) / 2 * axes["scale"] + axes["translate"]
        camera.center = (0, *middle)
        camera.zoom *= change

    def apply_geometry(self) -> None:
        """Make the geometry that is shown that of the data set: for all there is."""
        if self.open_scan is not None and self.open_scan.shown is not self.ds:
            self.change(self.open_scan.shown)

    def calibrate(
        self,
        nav: Iterable[Sampling | None] | None = None,
        sig: Iterable[Sampling | None] | None = None,
    ) -> None:
        """Give the axes other steps and units. No pixel changes, nor any map.

        Parameters
        ----------
        nav, sig : sequence of Sampling or None, optional
            As of ``Dataset.with_calibration``.
        """
        scan = self.open_scan
        assert scan is not None
        nav, sig = (None if axes is None else tuple(axes) for axes in (nav, sig))
        is_tried = scan.shown is not scan.ds
        shown, scan.ds = scan.shown, scan.ds.with_calibration(nav, sig)
        scan.shown = shown.with_calibration(nav, sig) if is_tried else scan.ds
        scan.layer.metadata = {**scan.layer.metadata, METADATA_KEY: scan.ds}
        scan.settle(self.spaces)
        self.patterns.renew_axes()
        self._renew_records(nav, sig)
        # Those that are being computed: their data set is an old one.
        self.maps.request()
        self.opened.emit()

    def _renew_records(self, nav: Any, sig: Any) -> None:
        """Give the records of maps of this scan its calibration."""
        assert self.open_scan is not None
        source = self.open_scan.ds.frames.source
        for layer in self.spaces.scan.layers:
            record = layer.metadata.get(MAP_KEY)
            if isinstance(record, MapRecord) and (
                record.data_set.frames.source is source
            ):
                ds = record.data_set.with_calibration(nav, sig)
                made_of = replace(record, data_set=ds)
                layer.metadata = {**layer.metadata, MAP_KEY: made_of}

    def change(self, ds: Dataset) -> None:
        """Go on with another version of the data set, everywhere.

        Parameters
        ----------
        ds : Dataset
            In another scan geometry, or with other corrections.
        """
        scan = self.open_scan
        assert scan is not None
        has_other_frames = ds.corrections is not scan.ds.corrections
        scan.ds = scan.shown = ds
        scan.layer.data = shown_array(ds)
        scan.layer.metadata = {**scan.layer.metadata, METADATA_KEY: ds}
        self.patterns.renew()
        self.detectors.mark_frozen()
        self.opened.emit()
        if has_other_frames:
            self.maps.renew()
        else:
            self.maps.refold()


def _magnification(model: ViewerModel) -> float:
    """Return how far a viewer is zoomed in: 1 where all of it is seen."""
    zoom = model.scene.camera.zoom
    model.reset_view()
    return float(zoom / model.scene.camera.zoom)
