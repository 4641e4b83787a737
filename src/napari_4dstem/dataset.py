"""load, detect and Dataset: a scan of detector images, opened and not yet read."""

from __future__ import annotations

import operator
import os
import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from inspect import Parameter
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

import numpy as np

from napari_4dstem.axes import Calibration, Sampling, sampling
from napari_4dstem.corrections import Corrections, LazyFrame
from napari_4dstem.errors import (
    FormatError,
    FormatWarning,
    MissingParameterError,
    ParameterError,
)
from napari_4dstem.formats import FORMATS, identify
from napari_4dstem.formats._format import Description, Format
from napari_4dstem.frames.layout import FrameLayout, Gap, fit_to_files
from napari_4dstem.frames.raw_bytes import RawFrames, choose_backend
from napari_4dstem.frames.scan import ScanFrames, ScanGeometry

if TYPE_CHECKING:
    from numpy.typing import NDArray

AUTO = "auto"
# Accepted by load for every format.
COMMON_PARAMETERS = (
    "name",
    "nav_shape",
    "sig_shape",
    "sync_offset",
    "flyback",
    "corrections",
    "io_backend",
)
# A scan may have more positions than frames (an interrupted one), but a header or a
# typing error must not make us allocate maps that the file does not warrant.
MAX_BLANK_POSITIONS = 2**24


@dataclass(frozen=True)
class FileType:
    """A name that `load` accepts.

    Attributes
    ----------
    description : str
    extensions : tuple of str
        Lower case, with the dot.
    parameters : tuple of str
        What the type accepts beside the parameters common to all.
    """

    description: str
    extensions: tuple[str, ...]
    parameters: tuple[str, ...]


def filetypes() -> dict[str, FileType]:
    """Return the names accepted by `load`, with description and extensions."""
    types = {
        name: FileType(
            f.title, f.extensions, ("files",) * f.takes_files + tuple(f.parameters)
        )
        for name, f in FORMATS.items()
    }
    return {AUTO: FileType("found by the content of the file", (), ()), **types}


@dataclass(frozen=True)
class Detection:
    """What `detect` found.

    Attributes
    ----------
    filetype : str
    parameters : dict
        With which ``load(filetype, path, **parameters)`` opens the file.
    """

    filetype: str
    parameters: Mapping[str, Any]


def detect(path: str | os.PathLike[str]) -> Detection:
    """Find out the type of a file, and the parameters to open it with.

    Parameters
    ----------
    path : str or path
        A file, any member of a data set of several files, or a folder with one.

    Returns
    -------
    Detection

    Raises
    ------
    FormatError
        If no format recognizes the file; it says what was tried.
    """
    data_set = open_dataset(AUTO, path)
    return Detection(data_set.filetype, data_set.parameters)


def load(
    filetype: str, path: str | os.PathLike[str] | None = None, **parameters: Any
) -> Dataset:
    """Open a 4D-STEM data set. Reads headers only.

    Parameters
    ----------
    filetype : str
        One of `filetypes`, or "auto".
    path : str or path, optional
        A file, any member of a data set of several files, or a folder with one.
    files : list of str or path, optional
        For types that take a list of files: all files of the data set, in their order.
    name : str
        For display; by default from the file.
    nav_shape : tuple of int
        Scan shape (y, x); by default what the file says.
    sig_shape : tuple of int
        Detector shape (ky, kx), another one of as many pixels.
    sync_offset : int
        Above 0: stored frames skipped at the start; below 0: blank frames inserted
        there. By default what the file says, else 0.
    flyback : int
        Frames at the end of each line that belong to no scan position.
    corrections : Corrections, dict or bool
        Dark frame, gain map, excluded pixels. True or False: those that the file
        brings along, or none. By default as the type says.
    io_backend : str
        "auto", "mmap", "buffered" or "direct".
    **parameters
        The type's own, see `filetypes`.

    Returns
    -------
    Dataset

    Raises
    ------
    FormatError
        If the file is not what it has to be, or a parameter is wrong.

    Warns
    -----
    FormatWarning
        If a part of the data is missing.
    """
    data_set = open_dataset(filetype, path, **parameters)
    if data_set.problems:
        warnings.warn("\n".join(data_set.problems), FormatWarning, stacklevel=2)
    return data_set


def open_dataset(
    filetype: str, path: str | os.PathLike[str] | None = None, **parameters: Any
) -> Dataset:
    """Do as `load` does, but leave the warnings in ``Dataset.problems``."""
    location = None if path is None else _absolute(path)
    files = _checked_files(location, parameters.pop("files", None))
    if not files and location is not None and location.is_dir():
        location, *others = _in_folder(location)
        files = (str(location), *map(str, others)) if others else ()
    format_ = _format(filetype, Path(files[0]) if files else location)
    common, own = _sorted_parameters(format_, location, parameters)
    if files:
        if not format_.takes_files:
            raise ParameterError(
                location, "files", f"{format_.name} does not take a list of files"
            )
        own["files"] = files
    if not format_.takes_path:
        if location is not None:
            raise ParameterError(
                location, "path", f"{format_.name} takes data, not a path"
            )
        description = format_.describe(**own)
    elif location is None and not files:
        either = " or files" * format_.takes_files
        raise MissingParameterError(
            None, "path", f"{format_.name} needs a path{either}"
        )
    else:
        description = format_.describe(location, **own)
    return _assembled(format_, location, description, common, own)


def natural_order(paths: Iterable[Path]) -> list[Path]:
    """Sort files by name as people do: ``a9.dm4`` before ``a10.dm4``."""

    def key(path: Path) -> list[tuple[int, str]]:
        words = re.findall(r"\d+|\D+", path.name.lower())
        return [(int(w), "") if w.isdecimal() else (-1, w) for w in words]

    return sorted(paths, key=lambda path: (key(path), path))


def _absolute(path: str | os.PathLike[str]) -> Path:
    return Path(os.path.abspath(os.path.expanduser(path)))


def _checked_files(path: Path | None, files: Any) -> tuple[str, ...]:
    """Return a list of files with absolute names; ``path`` is one of them, if given."""
    if files is None:
        return ()
    is_list = not isinstance(files, (str, bytes)) and isinstance(files, Iterable)
    members = list(files) if is_list else []
    if not is_list or not all(isinstance(f, (str, os.PathLike)) for f in members):
        raise ParameterError(
            path, "files", "files is not a list of paths", found=repr(files)[:80]
        )
    if not members:
        raise ParameterError(path, "files", "no files are given", expected="some paths")
    checked = [_absolute(file) for file in members]
    if path is not None and path not in checked:
        raise ParameterError(
            path,
            "files",
            "path is none of the files",
            found=f"{len(checked)} files, the first {checked[0]}",
            hint="files alone is enough.",
        )
    return tuple(map(str, checked))


def _format(filetype: str, path: Path | None) -> Format:
    if filetype == AUTO:
        if path is None:
            raise MissingParameterError(
                None, "path", "to find out the type of data, a path is needed"
            )
        return identify(path)
    if filetype not in FORMATS:
        raise ParameterError(
            path,
            "filetype",
            "unknown filetype",
            expected=", ".join((AUTO, *FORMATS)),
            found=repr(filetype),
        )
    return FORMATS[filetype]


def _in_folder(folder: Path) -> list[Path]:
    """Return a file of the one data set in a folder.

    Or all files of a stack, where a format takes a list of files.
    """
    endings = {ending for f in FORMATS.values() for ending in f.extensions}
    with os.scandir(folder) as entries:
        names = sorted(
            (e for e in entries if os.path.splitext(e.name)[1].lower() in endings),
            key=lambda entry: entry.name,
        )
    found: Path | None = None
    known: set[Path] = set()
    others = []
    formats = set()
    for entry in names:
        path = folder / entry.name
        if not entry.is_file() or path in known:
            continue
        try:
            format_ = identify(path)
            if found is None:
                found = path
                known = set(open_dataset(format_.name, path).files)
            else:
                others.append(path)
            formats.add(format_.name)
        except FormatError:
            continue
        if len(others) > 3 and not all(FORMATS[name].takes_files for name in formats):
            break  # no stack: these are enough to name
    if found is None:
        raise FormatError(
            folder,
            "no file in this folder is recognized",
            expected=f"a file with one of the endings {', '.join(sorted(endings))}",
            found=f"{len(names)} files with such a name, none with such a content",
            hint="Open the file itself, and name its type.",
        )
    if others and len(formats) == 1 and FORMATS[formats.pop()].takes_files:
        return natural_order((found, *others))
    if others:
        listed = [path.name for path in (found, *others[:3])]
        raise FormatError(
            folder,
            "the folder holds several data sets",
            found=", ".join(listed) + ", ..." * (len(others) > 3),
            hint="Open one of these files.",
        )
    return [found]


def _sorted_parameters(
    format_: Format, path: Path | None, parameters: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the common parameters and the format's own, checked as far as possible."""
    accepted = format_.parameters
    unknown = [
        p for p in parameters if p not in accepted and p not in COMMON_PARAMETERS
    ]
    if unknown:
        raise ParameterError(
            path,
            unknown[0],
            f"unknown parameter of {format_.name}",
            expected=", ".join((*COMMON_PARAMETERS, *accepted)),
            found=", ".join(map(repr, unknown)),
        )
    given = {name: value for name, value in parameters.items() if value is not None}
    for shape in ("nav_shape", "sig_shape"):
        if shape in given:
            given[shape] = _checked_shape(path, shape, given[shape])
    for number in ("sync_offset", "flyback"):
        if number in given:
            given[number] = _checked_int(path, number, given[number])
    own = {name: given[name] for name in accepted if name in given}
    for name, parameter in accepted.items():
        if name in parameters and _may_be_none(parameter):
            own.setdefault(name, None)
        if parameter.annotation in (int, int | None) and own.get(name) is not None:
            own[name] = _checked_int(path, name, own[name])
        choices = _choices(parameter)
        if choices and own.get(name) is not None and own[name] not in choices:
            raise ParameterError(
                path,
                name,
                f"{name} has an impossible value",
                expected=" or ".join(map(repr, choices)),
                found=repr(own[name]),
            )
        if parameter.default is Parameter.empty and own.get(name) is None:
            raise MissingParameterError(
                path,
                name,
                f"{name} must be given for {format_.name} data",
                hint=f"The file does not tell it: load({format_.name!r}, ...,"
                f" {name}=...).",
            )
    return given, own


def _may_be_none(parameter: Parameter) -> bool:
    return type(None) in get_args(parameter.annotation)


def _choices(parameter: Parameter) -> tuple[Any, ...]:
    """Return the values that a Literal in an annotation allows."""
    kinds = (parameter.annotation, *get_args(parameter.annotation))
    return tuple(
        value
        for kind in kinds
        if get_origin(kind) is Literal
        for value in get_args(kind)
    )


def _checked_shape(path: Path | None, name: str, shape: Any) -> tuple[int, ...]:
    try:
        values = tuple(operator.index(n) for n in shape)
    except TypeError:
        values = ()
    if not values or min(values) < 1:
        raise ParameterError(
            path,
            name,
            f"{name} is not a shape",
            expected="whole numbers above 0, such as (256, 256)",
            found=repr(shape),
        )
    return values


def _checked_int(path: Path | None, name: str, value: Any) -> int:
    try:
        return operator.index(value)
    except TypeError as error:
        raise ParameterError(
            path, name, f"{name} is not a whole number", found=repr(value)
        ) from error


def _assembled(
    format_: Format,
    path: Path | None,
    description: Description,
    common: Mapping[str, Any],
    own: Mapping[str, Any],
) -> Dataset:
    frames, problems = description.frames, list(description.problems)
    cut_off = 0  # frames at the end, of which a problem tells already
    backend = common.get("io_backend", "auto")
    if isinstance(frames, FrameLayout):
        layout, too_short = fit_to_files(frames)
        problems += too_short
        cut_off = frames.num_frames - layout.num_frames
        if not layout.num_frames:
            raise FormatError(
                path,
                "the file holds no complete frame",
                expected=f"{frames.num_frames} frames of"
                f" {frames.extent[1] - frames.extent[0]} bytes",
                found=f"{sum(file.stat().st_size for file in frames.files)} bytes",
                hint="The acquisition or the copy was interrupted: get the file again.",
            )
        lost = sum(run.count for run in layout.runs if isinstance(run, Gap))
        if lost > layout.num_frames - lost + MAX_BLANK_POSITIONS:
            raise FormatError(
                path,
                "far more frames are missing than there are",
                expected=f"{layout.num_frames} frames",
                found=f"{layout.num_frames - lost}",
                hint="The header is damaged, or most of the data is elsewhere.",
            )
        frames = RawFrames(layout, choose_backend(backend, layout.files))
    else:
        frames = frames.with_backend(choose_backend(backend, frames.files))
    sig_shape = common.get("sig_shape", frames.sig_shape)
    if prod(sig_shape) != prod(frames.sig_shape):
        raise ParameterError(
            path,
            "sig_shape",
            f"sig_shape {sig_shape} does not have the pixels of a frame",
            expected=f"{prod(frames.sig_shape)} pixels, as {frames.sig_shape}",
            found=f"{prod(sig_shape)} pixels",
        )
    if sig_shape != frames.sig_shape:
        frames = frames.with_sig_shape(sig_shape)
    # All the frames that should be there: those that are missing are blank.
    default_nav = description.nav_shape or (description.frames.num_frames,)
    geometry = ScanGeometry(
        common.get("nav_shape", default_nav),
        common.get("sync_offset", description.sync_offset),
        common.get("flyback", 0),
    )
    _check_geometry(path, geometry, frames.num_frames)
    missing = geometry.num_needed - frames.num_frames
    if missing > cut_off:
        at_end = "the last " * (geometry.sync_offset == 0)
        problems.append(
            f"{path or format_.name}: {frames.num_frames}"
            f" {'frame is' if frames.num_frames == 1 else 'frames are'} stored, the"
            f" scan of {_times(geometry.nav_shape)} needs {geometry.num_needed}:"
            f" {at_end}{missing} {'is' if missing == 1 else 'are'} missing and shown as"
            " blank"
        )
    found = description.corrections
    wanted = common.get("corrections", description.corrections_on)
    corrections = _corrections(path, wanted, found, sig_shape)
    notices = list(description.notices)
    if "nav_shape" not in common and description.nav_notice:
        notices.append(description.nav_notice)
    if found is not None and corrections is None:
        notices.append(
            f"Corrections were found, but are not applied: {found}. corrections=True"
            " applies them."
        )
    elif found is None and common.get("corrections") is True:
        notices.append("No corrections were found: pixels are as they were stored.")
    companions = tuple(p for p in description.companions if p not in frames.files)
    named = path or next(iter(frames.files), None)
    return Dataset(
        name=str(common.get("name") or (named.stem if named else format_.name)),
        filetype=format_.name,
        path=path,
        companions=companions,
        calibration=description.calibration.fitted(
            len(geometry.nav_shape), len(sig_shape)
        ),
        metadata=dict(description.metadata),
        notices=tuple(notices),
        problems=tuple(problems),
        frames=ScanFrames(frames, geometry, corrections),
        own_parameters={**description.parameters, **own},
        found_corrections=found,
    )


def _check_geometry(path: Path | None, geometry: ScanGeometry, count: int) -> None:
    if not -count < geometry.sync_offset < count:
        raise ParameterError(
            path,
            "sync_offset",
            f"sync_offset must lie between -{count} and {count} (exclusive), the"
            " number of stored frames",
            found=geometry.sync_offset,
        )
    if geometry.flyback < 0:
        raise ParameterError(
            path, "flyback", "flyback is negative", found=geometry.flyback
        )
    if geometry.num_positions > count + MAX_BLANK_POSITIONS:
        raise ParameterError(
            path,
            "nav_shape",
            f"the scan of {_times(geometry.nav_shape)} is far larger than the data",
            expected=f"about {count} positions, as many as there are frames",
            found=f"{geometry.num_positions} positions",
            hint="Give the true nav_shape.",
        )


def _corrections(
    path: Path | None,
    wanted: Any,
    found: Corrections | None,
    sig_shape: tuple[int, ...],
) -> Corrections | None:
    if isinstance(wanted, bool):
        return found if wanted else None
    kinds = {"dark": np.float32, "gain": np.float32, "excluded": np.bool_}
    if isinstance(wanted, Corrections):
        wanted = {kind: getattr(wanted, kind) for kind in kinds}
    if not isinstance(wanted, Mapping) or set(wanted) - set(kinds):
        raise ParameterError(
            path,
            "corrections",
            "corrections are not understood",
            expected="True, False, Corrections or a dict of dark, gain and excluded",
            found=repr(wanted),
        )
    arrays: dict[str, Any] = {}
    for key, value in wanted.items():
        if value is None:
            continue
        lazy = isinstance(value, LazyFrame)
        array = value if lazy else np.asarray(value)
        if array.shape != sig_shape:
            raise ParameterError(
                path,
                "corrections",
                f"{key} does not fit the detector",
                expected=f"shape {sig_shape}",
                found=f"shape {array.shape}",
            )
        arrays[key] = array if lazy else array.astype(kinds[key])
    return Corrections(**arrays) if arrays else None


def _times(shape: Iterable[int]) -> str:
    return " x ".join(map(str, shape))


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
    notices : tuple of str
        What was guessed and what is worth knowing.
    problems : tuple of str
        What is missing or doubtful.
    frames : ScanFrames
        Reads the pixels.
    own_parameters : mapping
        Values of the parameters that only this type has.
    found_corrections : Corrections, optional
        What the file brings along, applied or not.
    """

    name: str
    filetype: str
    path: Path | None
    companions: tuple[Path, ...]
    calibration: Calibration
    metadata: dict[str, Any]
    notices: tuple[str, ...]
    problems: tuple[str, ...]
    frames: ScanFrames
    own_parameters: Mapping[str, Any] = field(default_factory=dict)
    found_corrections: Corrections | None = None

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
            else _checked_shape(self.path, "nav_shape", nav_shape),
            now.sync_offset
            if sync_offset is None
            else _checked_int(self.path, "sync_offset", sync_offset),
            now.flyback
            if flyback is None
            else _checked_int(self.path, "flyback", flyback),
        )
        _check_geometry(self.path, geometry, self.num_stored_frames)
        return replace(
            self,
            frames=replace(self.frames, geometry=geometry),
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
        calibration = Calibration(
            self._checked_axes("nav", nav, self.nav_shape, self.calibration.nav),
            self._checked_axes("sig", sig, self.sig_shape, self.calibration.sig),
        )
        return replace(self, calibration=calibration)

    def _checked_axes(
        self,
        name: str,
        axes: Iterable[tuple[float, str] | None] | None,
        shape: tuple[int, ...],
        now: tuple[Sampling | None, ...],
    ) -> tuple[Sampling | None, ...]:
        if axes is None:
            return now
        given = tuple(axis if axis is None else sampling(*axis) for axis in axes)
        if len(given) != len(shape):
            raise ParameterError(
                self.path,
                name,
                "the calibration does not fit the axes",
                expected=f"{len(shape)} entries (scale, unit), one an axis",
                found=len(given),
            )
        return given

    def with_corrections(
        self, dark: Any = None, gain: Any = None, excluded: Any = None
    ) -> Dataset:
        """Return the same data set, corrected while it is read: float32.

        Parameters
        ----------
        dark, gain : array, shape sig_shape, optional
            Frames come out as ``(raw - dark) * gain``.
        excluded : bool array, shape sig_shape, optional
            Pixels that are replaced by the mean of their good neighbors.

        Raises
        ------
        ParameterError
            If an array has not the shape of a frame.
        """
        wanted = {"dark": dark, "gain": gain, "excluded": excluded}
        corrections = _corrections(self.path, wanted, None, self.sig_shape)
        return replace(self, frames=replace(self.frames, corrections=corrections))

    def diagnostics(self) -> list[tuple[str, str]]:
        """Return (name, value) pairs for people: found, guessed and missing."""
        stored = self.num_stored_frames
        blank = int(self.nav_size - np.count_nonzero(self.frames.valid()))
        rows = [
            ("name", self.name),
            ("type", self._told_type()),
            ("path", str(self.path or "")),
            ("files", str(len(self.files))),
            ("file size", _size_of(self.files)),
            ("frames stored", str(stored)),
            ("nav_shape (y, x)", _times(self.nav_shape)),
            ("sig_shape (ky, kx)", _times(self.sig_shape)),
            ("dtype", str(self.dtype)),
            ("size as array", _bytes(self.nbytes)),
            ("sync_offset", str(self.sync_offset)),
            ("flyback", str(self.flyback)),
            ("scan positions without a frame", str(blank)),
            ("corrections", self._told_corrections()),
            ("calibration nav", _samplings(self.calibration.nav)),
            ("calibration sig", _samplings(self.calibration.sig)),
        ]
        backend = getattr(self.frames.source, "backend", None)
        if backend is not None:
            rows.append(("io_backend", backend))
        rows += [
            (name, str(value))
            for name, value in self.metadata.items()
            if name != "header"
        ]
        rows += [("notice", notice) for notice in self.notices]
        rows += [("problem", problem) for problem in self.problems]
        return [row for row in rows if row[1]]

    def _told_corrections(self) -> str:
        if self.corrections is not None:
            return str(self.corrections)
        found = self.found_corrections
        return "" if found is None else f"not applied: {found}"

    def _told_type(self) -> str:
        format_ = FORMATS.get(self.filetype)
        return self.filetype + (f" ({format_.title})" if format_ else "")

    @property
    def nav_size(self) -> int:
        """Number of scan positions."""
        return prod(self.nav_shape)

    def __repr__(self) -> str:
        return (
            f"<Dataset {self.name!r}: {self.filetype}, {_times(self.nav_shape)} |"
            f" {_times(self.sig_shape)} {self.dtype}, {_bytes(self.nbytes)}>"
        )


def _samplings(axes: Iterable[Sampling | None]) -> str:
    known = list(axes)
    if not any(known):
        return "unknown"
    return ", ".join("unknown" if a is None else f"{a[0]:.6g} {a[1]}" for a in known)


def _size_of(files: Iterable[Path]) -> str:
    try:
        return _bytes(sum(file.stat().st_size for file in files))
    except OSError as error:
        return f"unknown ({error.strerror or error})"


def _bytes(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.4g} {unit}"
        count /= 1000
    return f"{count:.4g} TB"
