"""How a data set is opened again: from its files, with all that the user said."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from inspect import Parameter
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from napari_4dstem.axes import Calibration
from napari_4dstem.dataset._corrections import KINDS, file_of
from napari_4dstem.dataset._dataset import Dataset
from napari_4dstem.dataset._opening import open_dataset
from napari_4dstem.dataset._paths import absolute
from napari_4dstem.formats import FORMATS

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Stands for a dark frame, a gain map or pixels that the data bring along.
FOUND = "found"


@dataclass(frozen=True, eq=False)
class Opening:
    """How a data set is opened again.

    Attributes
    ----------
    name, filetype : str
    path : Path or None
        None also for data that are in memory only.
    files : tuple of Path
        Of a stack of files, all of them in their order.
    own_parameters : mapping
        Of the type, those that are not as usual.
    nav_shape, sig_shape : tuple of int
    sync_offset, flyback : int
    found_corrections : bool or None
        Whether those that the data bring along are applied; None if they bring none.
    corrections : mapping
        Others that are applied, by kind: a path, an array, or `FOUND`.
    calibration : Calibration or None
        None: what the file says.
    """

    name: str
    filetype: str
    path: Path | None
    files: tuple[Path, ...]
    own_parameters: Mapping[str, Any]
    nav_shape: tuple[int, ...]
    sig_shape: tuple[int, ...]
    sync_offset: int = 0
    flyback: int = 0
    found_corrections: bool | None = None
    corrections: Mapping[str, Path | str | NDArray[Any]] = field(default_factory=dict)
    calibration: Calibration | None = None

    @property
    def is_in_memory(self) -> bool:
        """Whether no file holds the data."""
        return self.path is None and not self.files

    @property
    def parameters(self) -> dict[str, Any]:
        """What `load` gets beside type, path or files, and the name."""
        parameters = {
            **self.own_parameters,
            "nav_shape": self.nav_shape,
            "sig_shape": self.sig_shape,
            "sync_offset": self.sync_offset,
        }
        if self.flyback:
            parameters["flyback"] = self.flyback
        if self.found_corrections is not None:
            parameters["corrections"] = self.found_corrections
        return parameters

    def open(self) -> Dataset:
        """Open the data set. Reads headers only.

        Raises
        ------
        FormatError
            If a file is not there any more, or is another one.
        """
        where = {"files": self.files} if self.files else {"path": self.path}
        parameters = {"name": self.name, **self.parameters}
        ds = open_dataset(self.filetype, **where, **parameters)
        if self.corrections:
            found = ds.found_corrections
            parts = {
                kind: getattr(found, kind) if _is_found(part) else part
                for kind, part in self.corrections.items()
            }
            ds = ds.with_corrections(**parts)
        if self.calibration is not None:
            ds = ds.with_calibration(self.calibration.nav, self.calibration.sig)
        return ds


def opening_of(ds: Dataset) -> Opening:
    """Return how a data set is opened again."""
    own = {**ds.own_parameters}
    files = tuple(map(Path, own.pop("files", ())))
    own.pop("data", None)
    accepted = FORMATS[ds.filetype].parameters
    own = {
        name: _as_given(accepted[name], value)
        for name, value in own.items()
        if name not in ("nav_shape", "sig_shape")
        and not _is_usual(accepted[name], value)
    }
    as_found: bool | None = None
    parts: dict[str, Any] = {}
    found, applied = ds.found_corrections, ds.corrections
    if found is not None:
        as_found = applied is found
    if applied is not None and not as_found:
        for kind in KINDS:
            part = getattr(applied, kind)
            if part is not None:
                is_found = part is getattr(found, kind, None)
                parts[kind] = FOUND if is_found else file_of(applied, kind)
                if parts[kind] is None:
                    parts[kind] = part
    axes = len(ds.nav_shape), len(ds.sig_shape)
    calibration = ds.calibration.fitted(*axes)
    # Data in memory come without one, whatever their layer said.
    in_file = ds.file_calibration if ds.files else Calibration()
    is_in_file = calibration == in_file.fitted(*axes)
    return Opening(
        name=ds.name,
        filetype=ds.filetype,
        path=None if files else ds.path,
        files=files,
        own_parameters=own,
        nav_shape=ds.nav_shape,
        sig_shape=ds.sig_shape,
        sync_offset=ds.sync_offset,
        flyback=ds.flyback,
        found_corrections=as_found,
        corrections=parts,
        calibration=None if is_in_file else calibration,
    )


def _is_found(part: Any) -> bool:
    return isinstance(part, str) and part == FOUND


def _is_usual(parameter: Parameter, value: Any) -> bool:
    return parameter.default is not Parameter.empty and bool(parameter.default == value)


def _as_given(parameter: Parameter, value: Any) -> Any:
    """Return a value as plain Python has it; paths hold wherever the process goes."""
    if isinstance(value, os.PathLike) or (
        isinstance(value, str) and Path in get_args(parameter.annotation)
    ):
        return absolute(value)
    if isinstance(value, np.dtype):
        return value.str
    return value.item() if isinstance(value, np.generic) else value
