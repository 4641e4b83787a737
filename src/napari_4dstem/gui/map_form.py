"""What the forms that make a map of the scan have in common."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from magicgui.widgets import ComboBox, Container, ProgressBar, PushButton, Widget
from napari.layers import Labels, Points, Shapes

from napari_4dstem.errors import FormatError
from napari_4dstem.gui import map_window, notices
from napari_4dstem.gui.background import Background
from napari_4dstem.gui.bright_disk import find_disk, in_the_middle
from napari_4dstem.gui.computation import Computation
from napari_4dstem.gui.drawn import drawn_detector
from napari_4dstem.gui.field_grid import FieldGrid
from napari_4dstem.gui.parameter_fields import (
    ERROR_COLOR,
    as_field,
    colored,
    text_block,
)
from napari_4dstem.gui.picked import active_layer, data_set_of, is_scan

if TYPE_CHECKING:
    from napari.layers import Image, Layer
    from napari.viewer import Viewer

    from napari_4dstem.analysis.detectors import Detector
    from napari_4dstem.dataset import Dataset

Report = Callable[[int, int], None]

HERE, APART = "this window", "a window of its own"
COMPUTE, CANCEL = "Compute", "Cancel"
# Of a ring around the bright-field disk, in parts of its radius.
HOLE_SHARE = 1.25
COLORS = ("#4dd2ff", "#ffb84d", "#7dff7d", "#ff7dc4", "#ffff66")
DRAWINGS = (Shapes, Labels, Points)


class MapForm(Container[Widget]):
    """A form with a scan, a detector, and a button.

    A subclass says what is computed and which layers come of it.

    Parameters
    ----------
    napari_viewer : Viewer
    options : sequence of Widget
        What there is to choose beyond data and detector.
    nothing_drawn : str
        What stands for no detector.
    whole_first : bool
        Whether no detector is a good choice to begin with.
    """

    TITLE = ""

    def __init__(
        self,
        napari_viewer: Viewer,
        options: Sequence[Widget],
        nothing_drawn: str,
        whole_first: bool = False,
    ) -> None:
        self._viewer = napari_viewer
        self._nothing_drawn = nothing_drawn
        self._whole_first = whole_first
        self._data = ComboBox(
            name="data",
            label="Scan",
            choices=self._scans,
            nullable=False,
            tooltip="An image of four axes: y, x, ky, kx",
        )
        self._detector = ComboBox(
            name="detector",
            label="Detector",
            choices=self._drawings,
            tooltip="A layer of shapes, labels or points on the pattern. A shape that"
            " lies inside of another one is a hole.",
        )
        self._disk = PushButton(text="New disk", tooltip="On the bright-field disk")
        self._ring = PushButton(text="New ring", tooltip="Around the bright-field disk")
        self._where = ComboBox(
            name="show_in",
            label="Show in",
            choices=[HERE, APART],
            tooltip="In one window, pattern and map share the canvas; a scale bar needs"
            " both to have the same unit.",
        )
        self._button = PushButton(name="compute", text=COMPUTE)
        self._bar = ProgressBar(name="progress", label="", value=0, max=100)
        self._said = text_block()
        buttons = Container(
            widgets=[self._disk, self._ring],
            layout="horizontal",
            labels=False,
            label=" ",
        )
        buttons.margins = (0, 0, 0, 0)
        super().__init__(labels=False)
        rows = [self._data, self._detector, buttons, *options, self._where]
        grid = FieldGrid()
        grid.arrange([as_field(row) for row in rows], self._button)
        layout = self.native.layout()
        layout.addLayout(grid)
        for below in (self._button, self._bar, self._said):
            layout.addWidget(below.native)
        self._bar.native.setTextVisible(False)
        self._bar.hide()
        self._shown: Image | None = None
        self._computation = Computation(self.native, self._moved)
        self._looking = Background(self.native)
        self._data.changed.connect(self._on_data)
        self._disk.changed.connect(self._add_disk)
        self._ring.changed.connect(self._add_ring)
        self._button.changed.connect(self.compute)
        napari_viewer.layers.selection.events.active.connect(self._on_active)
        self._on_active()
        self._on_data()

    # what a subclass says

    def job(
        self, ds: Dataset, detector: Detector | None, image: Image
    ) -> Callable[[Report, threading.Event], Any]:
        """Return what is computed on a thread."""
        raise NotImplementedError

    def show_result(self, viewer: Viewer, image: Image, result: Any) -> None:
        """Add layers of what was computed."""
        raise NotImplementedError

    # what others may ask of it

    @property
    def is_computing(self) -> bool:
        """Whether a result is waited for."""
        return self._computation.is_running

    def compute(self) -> None:
        """Compute the map; or cancel, if it is computed already."""
        if self.is_computing:
            self._computation.cancel()
            return
        image = self._data.value
        try:
            if image is None:
                raise FormatError(
                    None,
                    "there is no scan of patterns among the layers",
                    expected="an image of four axes (y, x, ky, kx)",
                    hint="Open one, or File ▸ Open Sample ▸ 4D-STEM.",
                )
            ds = data_set_of(image)
            drawing = self._detector.value
            detector = None if drawing is None else drawn_detector(drawing, image)
            job = self.job(ds, detector, image)
        except FormatError as error:
            self._ended(error)
            return
        self._said.value = ""
        self._button.text = CANCEL
        self._computation.run(
            f"{self.TITLE} of {image.name}",
            job,
            done=lambda result: self._done(image, result),
            ended=self._ended,
        )

    def reset_choices(self, *_: Any) -> None:
        """Look again which layers there are; keep what is chosen."""
        self._data.reset_choices()
        self._detector.reset_choices()
        self._on_data()

    # what happens

    def _scans(self, _: Any = None) -> list[tuple[str, Layer]]:
        return [(each.name, each) for each in self._viewer.layers if is_scan(each)]

    def _drawings(self, _: Any = None) -> list[tuple[str, Layer | None]]:
        drawn = [
            (each.name, each)
            for each in reversed(self._viewer.layers)
            if isinstance(each, DRAWINGS)
        ]
        nothing = (self._nothing_drawn, None)
        return [nothing, *drawn] if self._whole_first else [*drawn, nothing]

    def _on_active(self, *_: Any) -> None:
        active = active_layer(self._viewer)
        if active is None:
            return
        if is_scan(active) and active in self._data.choices:
            self._data.value = active
        elif active in self._detector.choices and not self._whole_first:
            self._detector.value = active

    def _on_data(self, *_: Any) -> None:
        image = self._data.value
        self._disk.enabled = self._ring.enabled = image is not None
        if image is not None and image is not self._shown:
            # A choice of the user holds until there is another scan.
            self._shown = image
            fits = map_window.shares_units(image)
            self._where.value = HERE if fits else APART

    def _moved(self, done: int, total: int) -> None:
        self._bar.show()
        self._bar.max = max(total, 1)
        self._bar.value = done

    def _done(self, image: Image, result: Any) -> None:
        viewer = self._viewer
        if self._where.value == APART:
            viewer = map_window.window_of_maps(viewer, image.name)
        self.show_result(viewer, image, result)

    def _ended(self, error: Exception | None) -> None:
        self._button.text = COMPUTE
        self._bar.hide()
        if error is not None:
            self._said.value = colored(notices.in_short(error), ERROR_COLOR)
            notices.show_error(error)

    def _add_disk(self) -> None:
        self._draw("Disk", (1.0,))

    def _add_ring(self) -> None:
        self._draw("Ring", (2 * HOLE_SHARE, HOLE_SHARE))

    def _draw(self, name: str, radii: tuple[float, ...]) -> None:
        """Draw circles around the bright-field disk, their radii in parts of its."""
        image = self._data.value
        if image is None:
            return
        ds = data_set_of(image)

        def add(found: tuple[tuple[float, float], float]) -> None:
            if image in self._viewer.layers:
                center, radius = found
                circles = [_circle(center, radius * share) for share in radii]
                self._add_shapes(image, name, circles)

        self._looking.run(
            lambda: find_disk(ds) or in_the_middle(ds.sig_shape),
            done=add,
            failed=self._ended,
        )

    def _add_shapes(self, image: Image, name: str, circles: list[Any]) -> None:
        number = sum(isinstance(layer, Shapes) for layer in self._viewer.layers)
        color = COLORS[number % len(COLORS)]
        layer = Shapes(
            circles,
            shape_type="ellipse",
            name=name,
            scale=image.scale[-2:],
            translate=image.translate[-2:],
            units=image.units[-2:],
            edge_color=color,
            face_color=[0, 0, 0, 0] if len(circles) > 1 else color + "30",
            edge_width=max(image.data.shape[-1] / 200, 0.2),
        )
        self._viewer.add_layer(layer)
        layer.mode = "select"  # so that it can be moved and resized at once
        layer.selected_data = set(range(len(circles)))
        self._detector.value = layer


def _circle(center: tuple[float, float], radius: float) -> Any:
    (y, x), r = center, radius
    return np.array([[y - r, x - r], [y - r, x + r], [y + r, x + r], [y + r, x - r]])
