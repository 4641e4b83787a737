"""What was explored before: its maps wait, its detectors go on with the next scan."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from napari_4dstem.gui.map_window import MAP_KEY

if TYPE_CHECKING:
    from napari.components import LayerList
    from napari.layers import Layer

    from napari_4dstem.gui.explorer.entry import Entry
    from napari_4dstem.gui.explorer.open_scan import OpenScan


@dataclass(frozen=True)
class Kept:
    """A detector as it was when its scan was closed."""

    name: str
    is_visible: bool
    entry: Entry


@dataclass(eq=False)
class Earlier:
    """The detectors of the scan that was open last, and the maps of all scans."""

    _sig_shape: tuple[int, ...] = ()
    _last: Sequence[Kept] = ()
    _last_layer: weakref.ref[Layer] | None = None
    _detectors: WeakKeyDictionary[Layer, Sequence[Kept]] = field(
        default_factory=WeakKeyDictionary
    )
    _maps: WeakKeyDictionary[Layer, list[Layer]] = field(
        default_factory=WeakKeyDictionary
    )

    def keep(self, scan: OpenScan, entries: Sequence[Entry]) -> None:
        """Remember the detectors of a scan that is closed."""
        self._sig_shape = scan.ds.sig_shape
        self._last = [Kept(each.name, each.image.visible, each) for each in entries]
        self._last_layer = weakref.ref(scan.layer)
        self._detectors[scan.layer] = self._last

    def exchange(self, scan: OpenScan, layers: LayerList) -> None:
        """Keep all maps of the scan before, and show those of this one again.

        Beside each other they would be in one place, and perhaps in different units.
        """
        before = self._last_layer() if self._last_layer is not None else None
        if before is not None and before is not scan.layer:
            maps = self._maps[before] = maps_in(layers)
            for layer in maps:
                layers.remove(layer)
        for layer in self._maps.pop(scan.layer, []):
            layers.append(layer)

    def go_on(self, scan: OpenScan) -> tuple[Sequence[Kept], dict[str, Entry]]:
        """Return the detectors to go on with, and the scan's own ones, by name.

        These are those of the scan before if they fit, else its own.
        """
        last, self._last = self._last, ()
        own = self._detectors.pop(scan.layer, ())
        fits = bool(last) and self._sig_shape == scan.ds.sig_shape
        return last if fits else own, {each.name: each.entry for each in own}


def maps_in(layers: LayerList) -> list[Layer]:
    """Return the maps that were made here."""
    return [layer for layer in layers if MAP_KEY in layer.metadata]
