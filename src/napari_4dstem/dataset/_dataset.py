"""Dataset: a scan of detector images, opened and not yet read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_4dstem.axes import Calibration
from napari_4dstem.corrections import Corrections
from napari_4dstem.dataset._corrections import checked_corrections
from napari_4dstem.dataset._diagnostics import diagnostics, in_bytes
from napari_4dstem.dataset._parameters import (
    check_geometry,
    checked_axes,
    checked_int,
    checked_shape,
    times,
)
from napari_4dstem.frames.scan import ScanFrames, ScanGeometry

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """A scan of detector images: opened, described, and read where it is sliced.

    Made by `load`. Cheap to pickle, safe to use from many threads; holds no open
    file.

    Attributes
    ----------
    name : str
        For display.
    filetype : str
    path : Path or None
        The file that was opened.
    companions : tuple of Path
        Files of the data set that hold no frames.
    calibration : Calibration
        ``.nav`` and ``.sig``: (scale, unit) of each axis, None where unknown.
    metadata : dict
        ``exposure_s``, ``beam_energy_kV`` and others where known, all else under
        ``header``.
    frames : ScanFrames
        Reads the pixels.
    own_parameters : mapping
        Values of the parameters that only this type has.
    found_corrections : Corrections, optional
        What the file brings along, applied or not.
    file_calibration : Calibration
        What the file says, or the layer of data in memory, whatever the user said
        since.
    file_notices, file_problems : tuple of str
        Those that hold for any scan geometry and any corrections.
    nav_notice : str
        How the scan shape was guessed; empty if it is known.
    num_cut_off : int
        Frames at the end of the files of which ``file_problems`` tell already.
    """

    name: str
    filetype: str
    path: Path | None
    companions: tuple[Path, ...]
    calibration: Calibration
    metadata: dict[str, Any]
    frames: ScanFrames
    own_parameters: Mapping[str, Any] = field(default_factory=dict)
    found_corrections: Corrections | None = None
    file_calibration: Calibration = field(default_factory=Calibration)
    file_notices: tuple[str, ...] = ()
    file_problems: tuple[str, ...] = ()
    nav_notice: str = ""
    num_cut_off: int = 0

    @property
    def files(self) -> tuple[Path, ...]:
        """All files of the data set: first those with frames, in their order."""
        return (*self.frames.source.files, *self.companions)

    @property
    def nav_shape(self) -> tuple[int, ...]:
        """Scan shape, slowest axis first."""
        return self.frames.geometry.nav_shape

    @property
    def sig_shape(self) -> tuple[int, ...]:
        """Detector shape, slowest axis first."""
        return self.frames.source.sig_shape

    @property
    def shape(self) -> tuple[int, ...]:
        """``nav_shape + sig_shape``."""
        return self.nav_shape + self.sig_shape

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Native-endian type of the pixels; float32 with corrections."""
        return self.frames.dtype

    @property
    def nbytes(self) -> int:
        """Bytes of the whole scan as an array."""
        return prod(self.shape) * self.dtype.itemsize

    @property
    def num_stored_frames(self) -> int:
        """Number of frames in the files, lost ones in the middle included."""
        return self.frames.source.num_frames

    @property
    def sync_offset(self) -> int:
        """Stored frames skipped (above 0) or blank frames inserted (below 0)."""
        return self.frames.geometry.sync_offset

    @property
    def flyback(self) -> int:
        """Frames at the end of each line that belong to no scan position."""
        return self.frames.geometry.flyback

    @property
    def corrections(self) -> Corrections | None:
        """Dark frame, gain map and excluded pixels that are applied."""
        return self.frames.corrections

    @property
    def valid(self) -> NDArray[np.bool_]:
        """Where a stored frame exists: bool, shape ``nav_shape``, read-only."""
        valid = self.frames.valid()
        valid.flags.writeable = False
        return valid

    @property
    def notices(self) -> tuple[str, ...]:
        """What was guessed and what is worth knowing."""
        notices = [*self.file_notices]
        if self.nav_notice:
            notices.append(self.nav_notice)
        if self.found_corrections is not None and self.corrections is None:
            notices.append(
                "Corrections were found, but are not applied:"
                f" {self.found_corrections}. To apply them, set Corrections to on"
                " (corrections=True)."
            )
        return tuple(notices)

    @property
    def problems(self) -> tuple[str, ...]:
        """What is missing or doubtful."""
        geometry, stored = self.frames.geometry, self.num_stored_frames
        missing = geometry.num_needed - stored
        if missing <= self.num_cut_off:
            return self.file_problems
        at_end = "the last " * (geometry.sync_offset == 0)
        return (
            *self.file_problems,
            f"{self.path or self.filetype}:"
            f" {stored} {'frame is' if stored == 1 else 'frames are'} stored, the scan"
            f" of {times(geometry.nav_shape)} needs {geometry.num_needed}:"
            f" {at_end}{missing} {'is' if missing == 1 else 'are'} missing and shown as"
            " blank",
        )

    @property
    def parameters(self) -> dict[str, Any]:
        """With which ``load(filetype, path, **parameters)`` makes this data set."""
        # A format may have been told the scan shape, which may have changed since.
        parameters = {
            **self.own_parameters,
            "nav_shape": self.nav_shape,
            "sig_shape": self.sig_shape,
            "sync_offset": self.sync_offset,
        }
        if self.flyback:
            parameters["flyback"] = self.flyback
        if self.corrections is not self.found_corrections:
            parameters["corrections"] = self.corrections or False
        elif self.found_corrections is not None:
            parameters["corrections"] = True
        return parameters

    def __getitem__(self, key: Any) -> NDArray[Any]:
        """Read frames: ``ds[y, x]`` is one, slices give a block."""
        return self.frames[key]

    def to_dask(self, chunks: Any = "auto") -> Any:
        """Return the scan as a lazy dask array.

        Parameters
        ----------
        chunks : optional
            As dask takes them. "auto": whole frames, some 16 to 64 MB together.

        Returns
        -------
        dask.array.Array, shape ``nav_shape + sig_shape``
            At most 100 000 chunks; the tasks pickle small and open files where they
            run.

        Raises
        ------
        ParameterError
            If ``chunks`` asks for more than 100 000 of them.
        """
        from napari_4dstem.frames.lazy import to_dask

        return to_dask(self.frames, self.name, chunks)

    def with_scan(
        self,
        nav_shape: tuple[int, ...] | None = None,
        sync_offset: int | None = None,
        flyback: int | None = None,
    ) -> Dataset:
        """Return the same open file in another scan geometry. Reads nothing.

        Parameters
        ----------
        nav_shape, sync_offset, flyback : optional
            See `load`; None keeps what there is.

        Raises
        ------
        ParameterError
            If a value is impossible.
        """
        now = self.frames.geometry
        geometry = ScanGeometry(
            now.nav_shape
            if nav_shape is None
            else checked_shape(self.path, "nav_shape", nav_shape),
            now.sync_offset
            if sync_offset is None
            else checked_int(self.path, "sync_offset", sync_offset),
            now.flyback
            if flyback is None
            else checked_int(self.path, "flyback", flyback),
        )
        check_geometry(self.path, geometry, self.num_stored_frames)
        return replace(
            self,
            frames=replace(self.frames, geometry=geometry),
            nav_notice=self.nav_notice if nav_shape is None else "",
            calibration=self.calibration.fitted(
                len(geometry.nav_shape), len(self.sig_shape)
            ),
        )

    def with_calibration(
        self,
        nav: Iterable[tuple[float, str] | None] | None = None,
        sig: Iterable[tuple[float, str] | None] | None = None,
    ) -> Dataset:
        """Return the same data set with another calibration.

        Parameters
        ----------
        nav, sig : sequence of (scale, unit) or None, optional
            One entry an axis; None keeps what there is.

        Raises
        ------
        ParameterError
            If the number of entries is not that of the axes.
        """
        return replace(
            self,
            calibration=Calibration(
                self.calibration.nav
                if nav is None
                else checked_axes(self.path, "nav", nav, self.nav_shape),
                self.calibration.sig
                if sig is None
                else checked_axes(self.path, "sig", sig, self.sig_shape),
            ),
        )

    def with_corrections(
        self, dark: Any = None, gain: Any = None, excluded: Any = None
    ) -> Dataset:
        """Return the same data set, corrected while it is read: float32.

        Parameters
        ----------
        dark, gain : array, shape sig_shape, or path, optional
            Frames come out as ``(raw - dark) * gain``. Of a file, the mean of its
            frames.
        excluded : bool array, shape sig_shape, or path, optional
            Pixels that are replaced by the mean of their good neighbors: those that
            are not 0.

            What is not given is not corrected.

        Raises
        ------
        FormatError
            If something has not the shape of a frame, or a file cannot be read.
        """
        wanted = {"dark": dark, "gain": gain, "excluded": excluded}
        corrections = checked_corrections(self.path, wanted, None, self.sig_shape)
        return replace(self, frames=replace(self.frames, corrections=corrections))

    def diagnostics(self) -> list[tuple[str, str]]:
        """Return (name, value) pairs for people: found, guessed and missing."""
        return diagnostics(self)

    @property
    def nav_size(self) -> int:
        """Number of scan positions."""
        return prod(self.nav_shape)

    def __repr__(self) -> str:
        return (
            f"<Dataset {self.name!r}: {self.filetype}, {times(self.nav_shape)} |"
            f" {times(self.sig_shape)} {self.dtype}, {in_bytes(self.nbytes)}>"
        )
