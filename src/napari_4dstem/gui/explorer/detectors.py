"""Detectors: what is drawn on the pattern, each with a map of the scan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels
from napari.utils.colormaps import ensure_colormap
from psygnal import Signal

from napari_4dstem.analysis.detectors import Annulus, Disk
from napari_4dstem.errors import FormatError
from napari_4dstem.gui import bright_disk
from napari_4dstem.gui.drawn import drawn_detector
from napari_4dstem.gui.explorer import circles, grabbing
from napari_4dstem.gui.explorer.drawings import (
    COLORS,
    connect,
    disconnect,
    new_detector,
    new_drawing,
)
from napari_4dstem.gui.explorer.earlier import Earlier, Kept
from napari_4dstem.gui.explorer.entry import Entry
from napari_4dstem.gui.map_window import MAP_KEY

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_4dstem.analysis.detectors import Detector
    from napari_4dstem.gui.explorer.maps import Maps
    from napari_4dstem.gui.explorer.open_scan import OpenScan, Spaces
    from napari_4dstem.gui.explorer.patterns import Patterns
    from napari_4dstem.workspace import DrawnDetector

OUT_OF_DATE = " (out of date)"


class Detectors:
    """The detectors of an open scan.

    Parameters
    ----------
    spaces : Spaces
    patterns : Patterns
        What detectors are drawn on.
    maps : Maps
        Computes their maps.

    Attributes
    ----------
    entries : list of Entry
    disk : ((ky, kx), float) or None
        Center and radius of the bright-field disk in pixels, once it is known.
    frozen : list of Image
        Copies of maps that do not change.
    colors : mapping of str to str
        Colormap of a map -> color of what is drawn.
    """

    # the list, or one of them
    changed = Signal()
    disk_changed = Signal()

    def __init__(self, spaces: Spaces, patterns: Patterns, maps: Maps) -> None:
        self.entries: list[Entry] = []
        self.disk: bright_disk.Disk | None = None
        self.frozen: list[Image] = []
        self.colors: Mapping[str, str] = COLORS
        self._first: Entry | None = None
        self._spaces, self._patterns, self._maps = spaces, patterns, maps
        self._open: OpenScan | None = None
        self._earlier = Earlier()
        spaces.scan.layers.events.removed.connect(self._on_removed)
        self.follow(spaces.pattern)

    def follow(self, model: ViewerModel) -> None:
        """Listen to a viewer that shows the patterns from now on."""
        model.layers.events.removed.connect(self._on_removed)
        model.layers.selection.events.active.connect(self._on_active)
        model.mouse_drag_callbacks.append(self._on_press)

    def leave(self, model: ViewerModel) -> None:
        """Listen no longer to a viewer."""
        model.layers.events.removed.disconnect(self._on_removed)
        model.layers.selection.events.active.disconnect(self._on_active)
        model.mouse_drag_callbacks.remove(self._on_press)

    @property
    def active(self) -> Entry | None:
        """The detector that is selected on the pattern."""
        drawing = self._spaces.pattern.layers.selection.active
        return next((each for each in self.entries if each.drawing is drawing), None)

    def open(self, scan: OpenScan) -> None:
        """Go on with the detectors of the scan before, if it had as many pixels.

        Else begin with a disk where the bright-field disk may be.
        """
        self._open, self.disk, self.frozen = scan, None, []
        self._earlier.exchange(scan, self._spaces.scan.layers)
        going_on, own = self._earlier.go_on(scan)
        for kept in going_on:
            self._go_on(kept, own.get(kept.name))
        if not self.entries:
            self._first = self.add("Disk")

    def _go_on(self, kept: Kept, before: Entry | None) -> None:
        """Take a detector of another scan, and its map of this one if there is one."""
        assert self._open is not None
        drawing, pattern = kept.entry.drawing, self._patterns.layer
        for axes in ("scale", "translate", "units"):
            setattr(drawing, axes, getattr(pattern, axes))
        if before is not None and before.image in self._spaces.scan.layers:
            entry = Entry(drawing, before.image, kept.entry.reduction)
            entry.follows = before.follows
            for name, value in self._open.scan_axes().items():
                setattr(entry.image, name, value)
        else:
            colormap = kept.entry.image.colormap.name
            image = self._new_image(self._name(kept.name), colormap)
            entry = Entry(drawing, image, kept.entry.reduction)
        entry.placed = kept.entry.placed
        entry.image.visible = kept.is_visible
        self._take_in(entry)

    def close(self) -> None:
        """Let go of all detectors; their maps stay."""
        if self._open is not None:
            self._earlier.keep(self._open, self.entries)
        for entry in list(self.entries):
            self._forget(entry, with_map=False)
        self._open = None
        self.frozen = []
        self.changed.emit()

    def found_disk(self, disk: bright_disk.Disk | None) -> None:
        """Learn where the bright-field disk is, or that there is none."""
        self.set_disk(disk)
        entry = self._first
        if disk is not None and entry in self.entries and self._is_untouched(entry):
            entry.drawing.data = [circles.circle(*disk)]

    def set_disk(self, disk: bright_disk.Disk | None) -> None:
        """Take something for the bright-field disk."""
        self.disk = disk
        self.disk_changed.emit()

    def center(self) -> None:
        """Move all disks and rings to the center of the bright-field disk."""
        for entry in self.entries:
            if self.disk is not None and isinstance(entry.detector, (Disk, Annulus)):
                radii = [radius for _, radius in circles.circles_of(entry.drawing)]
                entry.drawing.data = [circles.circle(self.disk[0], r) for r in radii]

    def _is_untouched(self, entry: Entry) -> bool:
        """Whether a disk is where it was put before anything was known."""
        middle, _ = bright_disk.in_the_middle(self._patterns.layer.data.shape)
        found = circles.circles_of(entry.drawing)
        return len(found) == 1 and bool(np.allclose(found[0][0], middle))

    def add(self, kind: str) -> Entry:
        """Add a detector on the bright-field disk or around it, and its map.

        Parameters
        ----------
        kind : str
            One of `drawings.KINDS` or `drawings.PRESETS`.
        """
        shape = self._patterns.layer.data.shape
        disk = self.disk or bright_disk.in_the_middle(shape)
        detector = new_detector(kind, shape, disk)
        entry = self._drawn_as(detector, self._name(kind), self._colormap())
        self._take_in(entry)
        return entry

    def place(self, saved: DrawnDetector) -> Entry:
        """Add a detector as it was saved, to the last bit, and its map."""
        try:
            colormap = ensure_colormap(saved.color)
        except KeyError:  # of another program, or another version of napari
            colormap = ensure_colormap(self._colormap())
        entry = self._drawn_as(saved.detector, saved.name, colormap)
        entry.reduction = saved.reduction
        reads = self._read(entry.drawing)
        entry.placed = None if reads is None else (reads, saved.detector)
        self._take_in(entry)
        return entry

    def _drawn_as(self, detector: Detector | None, name: str, colormap: Any) -> Entry:
        """Return a detector and a map of it that is blank yet."""
        image = self._new_image(name, colormap)
        color = self.colors.get(image.colormap.name, image.colormap.colors[-1])
        return Entry(new_drawing(detector, name, color, self._patterns.layer), image)

    def _new_image(self, name: str, colormap: Any) -> Image:
        assert self._open is not None
        return Image(
            np.zeros(self._open.shown.nav_shape, np.float32),
            name=name,
            colormap=colormap,
            blending="additive",
            metadata={MAP_KEY: None},
            **self._open.scan_axes(),
        )

    def _take_in(self, entry: Entry) -> None:
        """Show a detector and its map, and keep them in step."""
        drawing, image = entry.drawing, entry.image
        self._spaces.pattern.add_layer(drawing)
        if image not in self._spaces.scan.layers:
            self._spaces.scan.add_layer(image)
        self.entries.append(entry)
        self._maps.wanted.append(entry)
        self._patterns.raise_probe()
        connect(drawing, self._on_drawn)
        image.events.contrast_limits.connect(entry.on_contrast)
        for layer in (drawing, image):
            layer.events.name.connect(self._on_renamed)
        image.events.visible.connect(self._on_shown)
        self._spaces.pattern.layers.selection.active = drawing
        self.changed.emit()
        self._update(entry)

    def _name(self, kind: str) -> str:
        taken = {layer.name for layer in self._spaces.scan.layers}
        names = (kind if i == 1 else f"{kind} {i}" for i in range(1, len(taken) + 2))
        return next(name for name in names if name not in taken)

    def _colormap(self) -> str:
        """Return the color that fewest detectors have, the first of these."""
        used = [entry.image.colormap.name for entry in self.entries]
        return min(self.colors, key=used.count)

    def remove(self, entry: Entry) -> None:
        """Remove a detector, and its map."""
        self._forget(entry, with_map=True)
        self.changed.emit()

    def freeze(self, entry: Entry) -> Image:
        """Keep a copy of the map of a detector as it is."""
        assert self._open is not None
        frozen = Image(
            np.array(entry.image.data),
            name=f"{entry.image.name} (frozen)",
            colormap=entry.image.colormap.name,
            contrast_limits=entry.image.contrast_limits,
            metadata=dict(entry.image.metadata),
            visible=False,
            **self._open.scan_axes(),
        )
        self._spaces.scan.add_layer(frozen)
        self.frozen.append(frozen)
        self._patterns.raise_probe()
        return frozen

    def mark_frozen(self) -> None:
        """Mark copies of maps that were made of the data as they were."""
        for image in self.frozen:
            if not image.name.endswith(OUT_OF_DATE):
                image.name += OUT_OF_DATE

    def set_reduction(self, entry: Entry, reduction: str) -> None:
        """Choose what the map of a detector shows, one of `REDUCTIONS`."""
        entry.reduction = reduction
        entry.follows = True
        entry.is_exact = False
        self._maps.request(entry)

    def fit_contrast(self) -> None:
        """Fit the contrast of all maps, now and as they change."""
        for entry in self.entries:
            entry.follows = True
            entry.fit()

    def move_active(self, dy: int, dx: int) -> None:
        """Move the detector that is selected on the pattern by some pixels."""
        if self.active is not None:
            drawing = self.active.drawing
            if isinstance(drawing, Labels):
                drawing.data = np.roll(drawing.data, (dy, dx), (0, 1))
                self.redraw(drawing)
            else:
                drawing.data = [np.add(part, (dy, dx)) for part in drawing.data]

    def _forget(self, entry: Entry, with_map: bool) -> None:
        disconnect(entry.drawing, self._on_drawn)
        entry.image.events.contrast_limits.disconnect(entry.on_contrast)
        for layer in (entry.drawing, entry.image):
            layer.events.name.disconnect(self._on_renamed)
        entry.image.events.visible.disconnect(self._on_shown)
        self.entries.remove(entry)
        self._maps.wanted.remove(entry)
        if entry.drawing in self._spaces.pattern.layers:
            self._spaces.pattern.layers.remove(entry.drawing)
        if with_map and entry.image in self._spaces.scan.layers:
            self._spaces.scan.layers.remove(entry.image)

    def _on_renamed(self, event: Any) -> None:
        """Give a detector and its map the same name, as far as the lists let them."""
        for entry in self.entries:
            layers = entry.drawing, entry.image
            if event.source in layers:
                other = layers[layers.index(event.source) - 1]
                with other.events.name.blocker(self._on_renamed):
                    other.name = event.source.name
        self.changed.emit()

    def _on_shown(self, _: Any) -> None:
        self.changed.emit()

    def _on_active(self, _: Any) -> None:
        self.changed.emit()

    def _on_press(self, model: ViewerModel, event: Any) -> None:
        """Select the detector that the mouse is on: it gets the press then."""
        selection = model.layers.selection
        active = selection.active
        if event.button != 1 or not grabbing.is_free(active, event):
            return
        is_other = active is not None and self.active is None
        if is_other and grabbing.grip(active, event) is not None:
            return  # such as the mark of the bright-field disk
        grips = [
            # Of several the smallest, of equals the one that is selected.
            (size, entry is not self.active, number)
            for number, entry in enumerate(self.entries)
            if (size := grabbing.grip(entry.drawing, event)) is not None
        ]
        if grips:
            selection.active = self.entries[min(grips)[-1]].drawing

    def _on_removed(self, event: Any) -> None:
        """Let go of a detector that the user has removed from either viewer.

        A map whose detector is gone stays as it is.
        """
        self.frozen = [each for each in self.frozen if each is not event.value]
        for entry in list(self.entries):
            if event.value in (entry.image, entry.drawing):
                self._forget(entry, with_map=False)
                self.changed.emit()

    def _on_drawn(self, event: Any) -> None:
        if self._open is not None and not self._open.is_settling:
            self.redraw(event.source)

    def redraw(self, drawing: Layer) -> None:
        """Look again at what is drawn in a layer."""
        for entry in self.entries:
            if entry.drawing is drawing:
                self._update(entry)

    def _update(self, entry: Entry) -> None:
        """Ask for the map of what is drawn now, if it is something else."""
        detector = self._read(entry.drawing)
        if entry.placed is not None and detector == entry.placed[0]:
            detector = entry.placed[1]
        if detector == entry.detector:
            return
        entry.detector = detector
        entry.is_exact = False
        if detector is None:
            entry.blank()
            self._maps.status.emit(f"{entry.name}: nothing is drawn")
        self.changed.emit()
        self._maps.request(entry)

    def _read(self, drawing: Layer) -> Detector | None:
        try:
            return drawn_detector(drawing, self._patterns.layer)
        except FormatError:
            return None  # nothing is drawn yet
