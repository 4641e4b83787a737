"""The scans of a window: which is explored, and where the others are meanwhile."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import napari
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QPushButton, QWidget

from napari_4dstem.errors import FormatError
from napari_4dstem.gui import notices
from napari_4dstem.gui.explorer.icons import IconButton
from napari_4dstem.gui.picked import active_layer, is_scan

if TYPE_CHECKING:
    from napari.components import LayerList
    from napari.layers import Image, Layer
    from napari.viewer import Viewer

    from napari_4dstem.gui.explorer.controller import Controller

CHOOSE = "No scan is open"

# Scans whose Explorer was closed, until one is opened in their window again.
_homeless: WeakKeyDictionary[LayerList, list[Image]] = WeakKeyDictionary()


class ScanList(QWidget):
    """Offers the scans, and keeps them out of the list of layers while one is explored.

    There they would share the canvas with the maps, and napari has no scale bar for
    layers in different units.

    Parameters
    ----------
    viewer : Viewer
    controller : Controller
    say, complain : callable
        Show a line of text; tell of an error.

    Attributes
    ----------
    box : QComboBox
    remove_button, close_button, detach_button : QPushButton
    """

    def __init__(
        self,
        viewer: Viewer,
        controller: Controller,
        say: Callable[[str], object],
        complain: Callable[[Exception], object],
    ) -> None:
        super().__init__()
        self._viewer, self._controller = viewer, controller
        self._say, self._complain = say, complain
        self._kept: list[Image] = _homeless.pop(_list_of(viewer), [])
        # in the order in which they came
        self._listed: list[Image] = []
        self.box = QComboBox()
        self.box.setAccessibleName("Scan")
        self.box.setToolTip("Which scan is explored")
        self.close_button = QPushButton("Close")
        self.close_button.setToolTip("Give the scan back to the list of layers")
        self.remove_button = IconButton(
            "bin", "Remove the scan and its maps; its file stays"
        )
        self.detach_button = IconButton(
            "detach", "Show the patterns in a window of their own"
        )
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        row.addWidget(self.box, 1)
        row.addWidget(self.remove_button)
        row.addWidget(self.close_button)
        row.addWidget(self.detach_button)
        self.box.activated.connect(self._on_chosen)
        self.remove_button.clicked.connect(self.remove_scan)
        self.close_button.clicked.connect(self.close_scan)

    @property
    def layers(self) -> list[Image]:
        """All scans there are, explored, kept, or in the list of layers."""
        explored = self._controller.layer
        return [
            *([] if explored is None else [explored]),
            *self._kept,
            *(layer for layer in self._viewer.layers if is_scan(layer)),
        ]

    def open_first(self) -> None:
        """Explore the scan that is selected, or the last there is, if none is yet."""
        scans = self.layers
        active = active_layer(self._viewer)
        if scans and self._controller.ds is None:
            self.open_scan(active if active in scans else scans[-1])

    def open_scan(self, layer: Image) -> None:
        """Explore a layer of four axes."""
        before = self._controller.close()
        if before is not None:
            self._kept.append(before)
        try:
            self._controller.open(layer)
        except (FormatError, OSError) as error:
            self._complain(error)
        else:
            if layer in self._kept:
                self._kept.remove(layer)
        self.renew()

    def close_scan(self, _: bool = False) -> None:
        """Give all scans back to the list of layers, those whose units fit there."""
        layer = self._controller.close()
        if layer is None:
            return
        self._kept.append(layer)
        self._give_back()
        if self._kept:
            # Notifications are kept for ever; they shall not keep this.
            itself = weakref.ref(self)
            notices.show_kept(
                [each.name for each in self._kept], lambda: _open_windows(itself())
            )
        self._say("")
        self.renew()

    def remove_scan(self, _: bool = False) -> None:
        """Let go of the scan that is explored, and explore another, if any."""
        layer = self._controller.layer
        self._controller.discard()
        rest = [each for each in self._listed if each is not layer]
        if rest:
            self.open_scan(rest[0])
        self._say("" if layer is None else f"{layer.name} was removed")
        self.renew()

    def end(self) -> None:
        """Give all scans back because the Explorer comes to its end."""
        layer = self._controller.close()
        if layer is not None:
            self._kept.append(layer)
        self._give_back()
        if self._kept:
            # Nobody else has them any more: the next Explorer, or windows.
            homeless, self._kept = self._kept, []
            _homeless[_list_of(self._viewer)] = homeless
            names = [each.name for each in homeless]
            notices.show_homeless(names, lambda: _show_in_windows(homeless))

    def open_windows(self) -> None:
        """Show the scans that are kept in windows of their own."""
        _show_in_windows(self._kept)
        self.renew()

    def _give_back(self) -> None:
        layers = self._viewer.layers
        for layer in list(self._kept):
            if fits(layer, layers):
                self._kept.remove(layer)
                layers.append(layer)

    def renew(self) -> None:
        """Look again which scans there are."""
        explored = self._controller.layer
        if explored is not None:
            self._take_all()
        layers = self.layers
        self._listed = [each for each in self._listed if each in layers]
        self._listed += [each for each in layers if each not in self._listed]
        self.box.clear()
        self.box.addItems([layer.name for layer in self._listed])
        self.box.setPlaceholderText(CHOOSE if explored is None else "")
        self.box.setCurrentIndex(
            -1 if explored is None else self._listed.index(explored)
        )
        for button in (self.remove_button, self.close_button):
            button.setEnabled(explored is not None)

    def _take_all(self) -> None:
        """Keep the scans that have come into the list of layers."""
        for layer in [each for each in self._viewer.layers if is_scan(each)]:
            self._viewer.layers.remove(layer)
            self._kept.append(layer)
            self._say(f"{layer.name} is in the list of scans")

    def _on_chosen(self, index: int) -> None:
        if 0 <= index < len(self._listed):
            layer = self._listed[index]
            if layer is not self._controller.layer:
                self.open_scan(layer)


def fits(layer: Image, others: Iterable[Layer]) -> bool:
    """Whether a scan has the units of the layers that it is to lie beside."""
    return all(
        layer.units[-len(other.units) :] == other.units[-layer.ndim :]
        for other in others
    )


def _list_of(viewer: Viewer) -> LayerList:
    """Return the list of layers itself: a plugin gets a viewer that wraps it."""
    layers = viewer.layers
    return getattr(layers, "__wrapped__", layers)


def _open_windows(scans: ScanList | None) -> None:
    if scans is not None:
        scans.open_windows()


def _show_in_windows(layers: list[Image]) -> None:
    while layers:
        layer = layers.pop()
        napari.Viewer(title=layer.name).add_layer(layer)
