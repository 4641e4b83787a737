"""Maps of the center of mass: what is chosen of them, and their layers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from napari.layers import Image
from psygnal import Signal

from napari_4dstem.analysis.detectors import Detector, Rectangle
from napari_4dstem.analysis.map_record import WHEEL, MapRecord, VectorMap
from napari_4dstem.gui.com_outputs import OUTPUTS, limits, looks, set_limits
from napari_4dstem.gui.explorer.contrast import FollowingContrast
from napari_4dstem.gui.map_window import MAP_KEY
from napari_4dstem.gui.vector_recipe import VectorRecipe

if TYPE_CHECKING:
    from napari.layers import Layer
    from numpy.typing import NDArray

    from napari_4dstem.analysis.color_wheel import ColorWheel
    from napari_4dstem.analysis.rotation import Rotation
    from napari_4dstem.errors import FormatError
    from napari_4dstem.gui.explorer.detectors import Detectors
    from napari_4dstem.gui.explorer.entry import Entry
    from napari_4dstem.gui.explorer.maps import Maps, Request
    from napari_4dstem.gui.explorer.open_scan import OpenScan, Spaces
    from napari_4dstem.gui.explorer.patterns import Patterns
    from napari_4dstem.gui.vector_recipe import Made

# How much more curl the other flip has to have.
CLEARLY = 1.2


@dataclass(eq=False)
class ShownOutput(FollowingContrast):
    """A map that is shown.

    Attributes
    ----------
    output : str
        One of `OUTPUTS`.
    image : Image
        In the viewer of the scan.
    given_name : str
        That of its layer, as long as nobody has renamed it.
    """

    output: str
    image: Image
    given_name: str = ""
    follows: bool = True

    def show(self, data: NDArray[Any], name: str) -> None:
        """Show the newest map, and the unit in which it is."""
        shown = self.image.data
        if shown.shape == data.shape:
            # Half the time of new data, for which napari looks at all layers again.
            np.copyto(shown, data)
            self.image.refresh(extent=False, highlight=False)
        else:
            self.image.data = np.array(data)
        if self.follows:
            self.fit()
        if self.given_name != name and self.image.name == self.given_name:
            self.image.name = name
            self.given_name = self.image.name

    def _fit(self, data: NDArray[Any]) -> None:
        if self.output == WHEEL:
            return
        ends = limits(self.output, data)
        if ends is not None:
            set_limits(self.image, *ends)
        else:
            super()._fit(data)


@dataclass(frozen=True, eq=False)
class _Earlier:
    """What was chosen of a scan that was explored before."""

    shown: tuple[ShownOutput, ...] = ()
    detector: str | None = None
    descan: str = ""
    degrees: float = 0.0
    flip_y: bool = False


class CenterOfMassMaps:
    """What is shown of the center of mass of an open scan: wanted of `Maps`.

    Parameters
    ----------
    spaces : Spaces
    patterns : Patterns
    maps : Maps
        Computes them.
    detectors : Detectors
        One of them may be where the center of mass is taken.

    Attributes
    ----------
    shown : dict of ShownOutput
        By output.
    entry : Entry or None
        The detector; None: the whole pattern.
    descan : "none", "mean" or "plane"
    degrees : float
    flip_y : bool
    wheel : ColorWheel or None
        What the colors of its map mean.
    said : str
        What there is to say of the rotation.
    problem : FormatError or None
        Why maps are blank, or the rotation was not found.
    """

    # what is chosen, by somebody else than who listens
    changed = Signal()
    # what there is to say, or what the colors mean
    told = Signal()
    name = "Centre of mass"

    def __init__(
        self, spaces: Spaces, patterns: Patterns, maps: Maps, detectors: Detectors
    ) -> None:
        self.shown: dict[str, ShownOutput] = {}
        self.entry: Entry | None = None
        self.descan, self.degrees, self.flip_y = "mean", 0.0, False
        self.wheel: ColorWheel | None = None
        self.said = ""
        self.problem: FormatError | None = None
        self.is_exact = False
        self._is_estimating = False
        self._spaces, self._patterns, self._maps = spaces, patterns, maps
        self._detectors = detectors
        # of the newest request
        self._seen: Detector | None = None
        self._asked: VectorRecipe | None = None
        self._open: OpenScan | None = None
        self._earlier: WeakKeyDictionary[Layer, _Earlier] = WeakKeyDictionary()
        spaces.scan.layers.events.removed.connect(self._on_removed)
        detectors.changed.connect(self._on_detectors)

    def open(self, scan: OpenScan) -> None:
        """Begin with no map and the whole pattern, or with what there was before."""
        before = self._earlier.pop(scan.layer, _Earlier())
        self._open = scan
        entries = self._detectors.entries
        self.entry = next((e for e in entries if e.name == before.detector), None)
        self.descan = before.descan or self.descan
        self.degrees, self.flip_y = before.degrees, before.flip_y
        self._maps.wanted.append(self)
        for each in before.shown:
            if each.image in self._spaces.scan.layers:
                self._take_in(each)
        self._say("")
        self.changed.emit()
        self._ask()

    def close(self) -> None:
        """Let go of all maps; their layers stay."""
        if self._open is not None:
            self._earlier[self._open.layer] = _Earlier(
                tuple(self.shown.values()),
                None if self.entry is None else self.entry.name,
                self.descan,
                self.degrees,
                self.flip_y,
            )
        for each in list(self.shown.values()):
            self._forget(each)
        if self in self._maps.wanted:
            self._maps.wanted.remove(self)
        self._open, self.entry, self.wheel = None, None, None
        self._is_estimating, self.problem, self._asked = False, None, None
        self._say("")
        self.changed.emit()

    # what is chosen

    def set_shown(self, output: str, is_shown: bool) -> None:
        """Add the layer of an output, one of `OUTPUTS`, or remove it."""
        if is_shown and output not in self.shown and self._open is not None:
            self._add(output)
            self._ask()
        elif not is_shown and output in self.shown:
            layer = self.shown[output].image
            self._forget(self.shown[output])
            self._spaces.scan.layers.remove(layer)

    def set_entry(self, entry: Entry | None) -> None:
        """Choose a detector; None: the whole pattern."""
        self.entry = entry
        self._ask()

    def set_descan(self, descan: str) -> None:
        """Choose what is subtracted: "none", "mean" or "plane"."""
        self.descan = descan
        self._ask()

    def set_rotation(self, degrees: float, flip_y: bool) -> None:
        """Turn the vectors; reads nothing."""
        self.degrees, self.flip_y = degrees, flip_y
        self._is_estimating = False
        self._say("")
        self._ask()

    def estimate(self) -> None:
        """Find rotation and flip, once the exact centers of mass are known."""
        self._is_estimating = True
        self._say("Estimating the rotation …")
        self._ask()

    def renew(self) -> None:
        """Ask for all maps again if the scan has another calibration now."""
        if self._open is not None and self._asked not in (None, self.recipe):
            self._ask()

    def fit_contrast(self) -> None:
        """Fit the contrast of all maps, now and as they change."""
        for each in self.shown.values():
            each.follows = True
            each.fit()

    # as something that is wanted of `Maps`

    @property
    def detector(self) -> Detector | None:
        """Where centers are taken; None while no map is wanted."""
        if self._open is None or not (self.shown or self._is_estimating):
            return None
        if self.entry is not None:
            return self.entry.detector
        height, width = self._patterns.layer.data.shape
        return Rectangle((0, 0), (height - 1, width - 1))

    @property
    def recipe(self) -> VectorRecipe:
        """What is made of them now."""
        assert self._open is not None
        scale = tuple(map(float, self._open.layer.scale))
        vector_map = VectorMap(
            descan=self.descan,
            degrees=self.degrees,
            flip_y=self.flip_y,
            pixel=(scale[2], scale[3]),
            scan_step=(scale[0], scale[1]),
        )
        return VectorRecipe(vector_map, tuple(self.shown), self._is_estimating)

    def show(self, made: Made, request: Request, is_exact: bool) -> None:
        """Show all maps that were made."""
        assert self._open is not None
        for output, image in made.images.items():
            each = self.shown.get(output)
            if each is None:
                continue
            each.show(image, self._name(output))
            record = None  # of a preview there is none
            if is_exact and output not in made.blank:
                record = MapRecord(
                    request.ds,
                    None if self.entry is None else request.detector,
                    "com",
                    replace(made.turned, output=output),
                )
            each.image.metadata = {MAP_KEY: record}
        if made.wheel is not None:
            self.wheel = made.wheel
        self.problem = made.problem
        if is_exact and self._is_estimating:
            self._is_estimating = False
            self.said = ""
            if made.rotation is not None:
                self.degrees, self.flip_y = made.turned.degrees, made.turned.flip_y
                self.said = _judged(made.rotation)
                self.changed.emit()
        self.told.emit()

    # what happens

    def _ask(self) -> None:
        self.is_exact = False
        self._seen = self.detector
        if self.detector is not None:
            self._asked = self.recipe
            self._maps.request(self)

    def _say(self, text: str) -> None:
        self.said = text
        self.told.emit()

    def _name(self, output: str) -> str:
        assert self._open is not None
        units = self._open.layer.units
        return OUTPUTS[output].name(units[-1], units[0])

    def _add(self, output: str) -> None:
        assert self._open is not None
        shape = self._open.shown.nav_shape
        is_wheel = output == WHEEL
        data = np.zeros((*shape, 3), np.uint8) if is_wheel else np.zeros(shape)
        image = Image(
            data,
            name=self._name(output),
            metadata={MAP_KEY: None},
            **looks(output),
            **self._open.scan_axes(),
        )
        self._spaces.scan.add_layer(image)
        self._take_in(ShownOutput(output, image, image.name))

    def _take_in(self, each: ShownOutput) -> None:
        self.shown[each.output] = each
        each.image.events.contrast_limits.connect(each.on_contrast)
        self._patterns.raise_probe()

    def _forget(self, each: ShownOutput) -> None:
        each.image.events.contrast_limits.disconnect(each.on_contrast)
        del self.shown[each.output]
        if each.output == WHEEL:
            self.wheel = None
            self.told.emit()

    def _on_removed(self, event: Any) -> None:
        """Let go of a map whose layer the user has removed."""
        for each in list(self.shown.values()):
            if each.image is event.value:
                self._forget(each)
                self.changed.emit()

    def _on_detectors(self) -> None:
        """Follow the detector that is chosen; what changed it asks for all maps."""
        if self.entry is not None and self.entry not in self._detectors.entries:
            self.set_entry(None)
        elif self.detector != self._seen:
            self._seen = self.detector
            self.is_exact = False
        self.changed.emit()


def _judged(rotation: Rotation) -> str:
    """Return what an estimate says, and how far it can be trusted."""
    flip = " with y flipped" if rotation.flip_y else ""
    other = rotation.rms_curl_other_flip / max(rotation.rms_curl, 1e-12)
    sure = ": not enough to be sure" if other < CLEARLY else ""
    text = (
        f"{rotation.degrees:.1f}°{flip}; {rotation.opposite:.1f}° has the same curl,"
        f" but dark atoms (skewness {rotation.skewness:.2f}). The other flip has"
        f" {other:.2f} times the curl{sure}."
    )
    return text.replace("-", "−")
