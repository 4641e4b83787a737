"""What was explored before: its maps stay, its detectors go on with the next scan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
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
    _maps: WeakKeyDictionary[Layer, dict[str, Entry]] = field(
        default_factory=WeakKeyDictionary
    )

    def keep(self, scan: OpenScan, entries: Sequence[Entry]) -> None:
        """Remember the detectors of a scan that is closed, and their maps."""
        self._sig_shape = scan.ds.sig_shape
        self._last = [Kept(each.name, each.image.visible, each) for each in entries]
        maps = self._maps.setdefault(scan.layer, {})
        maps.update({each.name: each for each in entries})

    def go_on(self, scan: OpenScan) -> Sequence[Kept]:
        """Return the detectors that fit another scan as well.

        Maps of other scans are hidden, and get the name of their scan: what is seen is
        of the one that is open.
        """
        for layer, maps in self._maps.items():
            if layer is scan.layer:
                continue
            for name, entry in maps.items():
                if entry.image.name == name:
                    entry.image.name = f"{name} ({layer.name})"
                    entry.image.visible = False
        last, self._last = self._last, ()
        return last if self._sig_shape == scan.ds.sig_shape else ()

    def map_of(self, scan: OpenScan, name: str) -> Entry | None:
        """Return what made the map of a detector when the scan was open before."""
        return self._maps.get(scan.layer, {}).pop(name, None)
