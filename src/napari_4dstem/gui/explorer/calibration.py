"""A calibration that is being made, and where its numbers come from."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_4dstem.axes import Sampling, as_unit
from napari_4dstem.errors import ParameterError

if TYPE_CHECKING:
    from napari_4dstem.gui.explorer.controller import Controller
    from napari_4dstem.gui.explorer.open_scan import OpenScan

FILE, LAYER, TYPED = "from the file", "from the layer", "typed"
DISK, UNKNOWN = "from the disk", "not known"
PIXEL = "px"
SCAN_UNITS, PATTERN_UNITS = ("nm", PIXEL), ("mrad", "1/nm", PIXEL)


@dataclass(frozen=True)
class Steps:
    """What a pixel measures along the two axes of the scan, or of patterns.

    Attributes
    ----------
    values : (float, float) or None
        Along y and x; None where it is not known.
    unit : str
        One of `SCAN_UNITS` or `PATTERN_UNITS`.
    source : str
        Where the values come from.
    """

    values: tuple[float, float] | None
    unit: str
    source: str

    @property
    def axes(self) -> tuple[Sampling | None, Sampling | None]:
        """As a data set has them."""
        if self.values is None or self.unit == PIXEL:
            return None, None
        y, x = (Sampling(value, self.unit) for value in self.values)
        return y, x


class CalibrationDraft:
    """The calibration as it stands in the form, until it is applied.

    Parameters
    ----------
    controller : Controller

    Attributes
    ----------
    scan, pattern : Steps
    beam_energy_kv, convergence_mrad : float or None
        As the file or the user says.
    """

    changed = Signal()

    def __init__(self, controller: Controller) -> None:
        self._controller = controller
        self._open: weakref.ref[OpenScan] | None = None
        self._forget()
        controller.opened.connect(self._on_opened)
        controller.detectors.disk_changed.connect(self._on_disk)

    def _forget(self) -> None:
        self.scan = Steps(None, PIXEL, UNKNOWN)
        self.pattern = Steps(None, PIXEL, UNKNOWN)
        self.beam_energy_kv: float | None = None
        self.convergence_mrad: float | None = None

    def _on_opened(self) -> None:
        scan = self._controller.open_scan
        if scan is None:
            return
        if self._open is None or self._open() is not scan:
            # Another geometry, or other corrections, leave what is typed alone.
            self._open = weakref.ref(scan)
            self._forget()
            self._read()
            self.beam_energy_kv = scan.ds.metadata.get("beam_energy_kV")
            self.convergence_mrad = scan.ds.metadata.get("convergence_mrad")
        self.changed.emit()

    def _read(self) -> None:
        """Take what the data set says."""
        ds = self._controller.ds
        if ds is None:
            return
        found = ds.file_calibration.fitted(2, 2)
        given = FILE if ds.files else LAYER
        now = ds.calibration
        self.scan = _steps(
            now.nav, SCAN_UNITS, given if now.nav == found.nav else TYPED
        )
        self.pattern = _steps(
            now.sig, PATTERN_UNITS, given if now.sig == found.sig else TYPED
        )

    # what the user does

    def type_step(self, values: tuple[float, float] | None, unit: str) -> None:
        """Say what the step of the scan is."""
        self.scan = Steps(values, unit, TYPED if values else UNKNOWN)
        self.changed.emit()

    def type_pixel(self, values: tuple[float, float] | None, unit: str) -> None:
        """Say what a pixel of the detector measures."""
        self.pattern = Steps(values, unit, TYPED if values else UNKNOWN)
        self.changed.emit()

    def convert_pixel(self, unit: str) -> None:
        """Choose the unit of patterns; the number follows by the wavelength.

        It is gone where the energy of the beam is not known: in another unit it would
        be wrong.
        """
        axes = [axis and as_unit(axis, unit, self.beam_energy_kv)
                for axis in self.pattern.axes]  # fmt: skip
        self.pattern = _steps(axes, PATTERN_UNITS, self.pattern.source, unit)
        self.changed.emit()

    def type_energy(self, kv: float | None) -> None:
        """Say what the energy of the beam is."""
        self.beam_energy_kv = kv
        self._on_disk()

    def type_convergence(self, mrad: float | None) -> None:
        """Say what the semi-angle of the beam is."""
        self.convergence_mrad = mrad
        self._on_disk()

    def measure_pixel(self) -> None:
        """Find the size of a pixel: the angle of convergence over the disk's radius.

        Raises
        ------
        ParameterError
            If one of them is not known.
        """
        if self.disk_needs:
            raise ParameterError(
                None, "convergence_mrad", "the size of a pixel cannot be found yet",
                expected=self.disk_needs, hint="Type it, or find the disk.",
            )  # fmt: skip
        self.pattern = replace(self.pattern, source=DISK)
        self._on_disk()

    def _on_disk(self) -> None:
        """Measure the pixel again, if that is where it comes from."""
        disk = self._controller.detectors.disk
        if self.pattern.source == DISK and disk and self.convergence_mrad:
            pixel = Sampling(self.convergence_mrad / disk[1], "mrad")
            if self.pattern.unit == "1/nm":
                pixel = as_unit(pixel, "1/nm", self.beam_energy_kv) or pixel
            self.pattern = Steps((pixel.scale,) * 2, pixel.unit, DISK)
        self.changed.emit()

    def apply(self) -> None:
        """Make it the calibration of the data set: for all there is."""
        ds = self._controller.ds
        if ds is not None and self.is_new:
            nav, sig = self.scan.axes, self.pattern.axes
            self._controller.calibrate(
                nav if self._is_new_scan else None,
                sig if self._is_new_pattern else None,
            )

    def reset(self) -> None:
        """Go back to what the file says."""
        ds = self._controller.ds
        if ds is not None:
            found = ds.file_calibration.fitted(2, 2)
            if found != ds.calibration:
                self._controller.calibrate(found.nav, found.sig)
            self._read()
            self.changed.emit()

    # what it says of itself

    @property
    def _is_new_scan(self) -> bool:
        ds = self._controller.ds
        known = None if ds is None else _steps(ds.calibration.nav, SCAN_UNITS, "")
        return known is not None and self.scan.axes != known.axes

    @property
    def _is_new_pattern(self) -> bool:
        ds = self._controller.ds
        known = None if ds is None else _steps(ds.calibration.sig, PATTERN_UNITS, "")
        return known is not None and self.pattern.axes != known.axes

    @property
    def is_new(self) -> bool:
        """Whether there is something to apply."""
        return self._is_new_scan or self._is_new_pattern

    @property
    def disk_needs(self) -> str:
        """What is missing to measure a pixel of the detector; empty if nothing."""
        missing = []
        if self._controller.detectors.disk is None:
            missing.append("the bright-field disk")
        if self.convergence_mrad is None:
            missing.append("the convergence angle")
        return " and ".join(missing)

    @property
    def message(self) -> str:
        """What is not calibrated, and what that needs; empty if all is."""
        missing = []
        if self.scan.values is None:
            missing.append("scan step")
        if self.pattern.values is None:
            missing.append("detector pixel or convergence")
        return f"Not calibrated. Type {', and '.join(missing)}." if missing else ""


def _steps(
    axes: Sequence[Sampling | None],
    units: Sequence[str],
    source: str,
    unit: str = PIXEL,
) -> Steps:
    """Return what is known of two axes, in one of some units."""
    known = [axis for axis in axes if axis is not None and axis.unit in units]
    if len({axis.unit for axis in known}) != 1:
        return Steps(None, unit, UNKNOWN)
    # The lines of a scan of one line have no distance.
    y, x = (axis.scale for axis in (known[0], known[-1]))
    return Steps((y, x), known[0].unit, source)
