"""napari hooks: path -> layers, and the sample data."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_4dstem.axes import Calibration, Sampling
from napari_4dstem.dataset import AUTO, Dataset, natural_order, open_dataset
from napari_4dstem.errors import (
    FormatError,
    MissingParameterError,
    NotRecognizedError,
    ParameterError,
)
from napari_4dstem.formats import FORMATS, identify, unmarked_formats
from napari_4dstem.frames.arrays import ArrayFrames
from napari_4dstem.frames.scan import ScanFrames, ScanGeometry
from napari_4dstem.layers import LayerData, image_layer
from napari_4dstem.workspace import is_workspace, read

if TYPE_CHECKING:
    from napari_4dstem.gui.remembered import Remembered

Reader = Callable[[str | list[str]], list[Any]]

# Endings that other readers own too: what is not ours is left to them.
SHARED_SUFFIXES = (
    ".h5", ".hdf5", ".hdr", ".npy", ".raw", ".seq", ".zarr", ".bin", ".xml", ".mrc",
    ".emd", ".hdf", ".hspy", ".mat", ".mrcs", ".nxs", ".toml",
)  # fmt: skip
# What a reader returns that opened something, and has no layer for it.
NO_LAYER = ((None,),)


def get_reader(path: str | list[str]) -> Reader | None:
    """Return a reader for a path, or None if it is none of ours.

    Parameters
    ----------
    path : str or list of str
        A file, any member of a data set of several files, a folder with one; or the
        files of one data set.

    Returns
    -------
    callable or None
        None only for endings that other readers own too, and for folders.
    """
    paths = _as_paths(path)
    if paths and is_workspace(paths[0]):
        return _read_workspaces
    return _read if paths and _is_ours(paths[0]) else None


def make_nanoparticles() -> list[LayerData]:
    """Return the layer of a synthetic scan of gold nanoparticles."""
    from napari_4dstem.sample_data import nanoparticles
    from napari_4dstem.script import SAMPLE

    scan = nanoparticles()
    step = Sampling(scan.scan_step_nm, "nm")
    pixel = Sampling(scan.detector_pixel_mrad, "mrad")
    calibration = Calibration((step, step), (pixel, pixel))
    nav_shape, sig_shape = scan.data.shape[:2], scan.data.shape[2:]
    source = ArrayFrames(scan.data.reshape(-1, *sig_shape), sig_shape)
    ds = Dataset(
        name="gold nanoparticles",
        filetype="memory",
        path=None,
        companions=(),
        calibration=calibration,
        file_calibration=calibration,
        metadata={
            "beam_energy_kV": scan.beam_energy_kV,
            "convergence_mrad": scan.convergence_mrad,
            "dwell_s": scan.dwell_s,
            "header": {"made_by": SAMPLE},
        },
        frames=ScanFrames(source, ScanGeometry(nav_shape)),
    )
    return [image_layer(ds)]


def _as_paths(path: str | os.PathLike[str] | Iterable[str]) -> list[Path]:
    given = [path] if isinstance(path, (str, os.PathLike)) else list(path)
    # as data sets spell the paths of their files
    return [Path(os.path.abspath(os.path.expanduser(p))) for p in given if p]


def _is_ours(path: Path) -> bool:
    """Whether it gets a reader; the content counts only where others read it too."""
    suffix = path.suffix.lower()
    ours = {ending for f in FORMATS.values() for ending in f.extensions}
    if path.is_dir():
        return _has_ours(path, ours)
    return suffix in ours and (suffix not in SHARED_SUFFIXES or _is_recognized(path))


def _has_ours(folder: Path, endings: set[str]) -> bool:
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return False
    candidates = (folder / n for n in names if Path(n).suffix.lower() in endings)
    return any(path.is_file() and _is_marked(path) for path in candidates)


def _is_recognized(path: Path) -> bool:
    return _is_marked(path) or _may_be_unmarked(path)


def _is_marked(path: Path) -> bool:
    try:
        identify(path)
    except FormatError:
        return False
    return True


def _may_be_unmarked(path: Path) -> bool:
    """Whether the file may be of a format without a mark that its ending stands for."""
    try:
        formats = unmarked_formats(path)
    except FormatError:
        return False
    return any(path.suffix.lower() in f.extensions for f in formats)


def _read(path: str | list[str]) -> list[Any]:
    """Open what was dropped; what is wrong with it is said in a notification."""
    from napari_4dstem.gui import notices, recent
    from napari_4dstem.gui.explorer import opening

    paths = _as_paths(path)
    if recent.is_open(paths[0]):
        return list(NO_LAYER)
    try:
        ds, remarks = _opened(paths)
        layer = image_layer(ds)
    except (MissingParameterError, NotRecognizedError) as error:
        if len(paths) > 1:
            notices.show_error(_no_stack(paths, f"{paths[0].name}: {error.problem}"))
        elif not _ask(paths[0], error):
            notices.show_error(error)
        return list(NO_LAYER)
    except (FormatError, OSError) as error:
        notices.show_error(error)
        return list(NO_LAYER)
    change = partial(_bring_up_form, paths[0]) if len(paths) == 1 else None
    notices.show_opened(ds, remarks, change, opening.offer(ds))
    recent.opened(paths[0], ds)
    if change is not None and not remarks and _is_ambiguous(ds):
        change()
    return [layer]


def _read_workspaces(path: str | list[str]) -> list[Any]:
    """Open the data sets of workspaces; the Explorer restores the rest."""
    layers = [_read_workspace(each) for each in _as_paths(path)]
    return [layer for layer in layers if layer is not None] or list(NO_LAYER)


def _read_workspace(path: Path) -> LayerData | None:
    from napari_4dstem.gui import notices
    from napari_4dstem.gui.explorer import workspace_files, workspaces

    try:
        workspace = workspaces.checked(read(path))
        ds = workspace.open_data_set()
        layer = image_layer(ds)
    except (FormatError, OSError) as error:
        notices.show_error(error)
        return None
    notices.show_opened(ds)
    workspace_files.restore_soon(ds, workspace)
    return layer


def _opened(paths: list[Path]) -> tuple[Dataset, list[str]]:
    """Return the data set, and what to say about how it was opened."""
    from napari_4dstem.gui import remembered

    path = paths[0]
    memory = remembered.recall(path)
    if memory is not None and memory.is_same_file:
        try:
            ds = open_dataset(memory.filetype, path, **memory.parameters)
        except (ValueError, TypeError):  # a FormatError, or what is kept was spoiled
            ds, remarks = open_dataset(AUTO, path), []
        else:
            remarks = [_as_last_time(memory)]
    else:
        ds, remarks = open_dataset(AUTO, path), []
    files = {path, *ds.files}
    strangers = [p.name for p in paths if p not in files]
    if strangers and FORMATS[ds.filetype].takes_files:
        return open_dataset(ds.filetype, files=natural_order(paths)), []
    if strangers:
        more = ", ..." * (len(strangers) > 3)
        raise _no_stack(paths, ", ".join(strangers[:3]) + more)
    return ds, remarks


def _no_stack(paths: list[Path], found: str) -> FormatError:
    return FormatError(
        paths[0],
        "the files dropped together are not one data set",
        expected=f"files of the data set of {paths[0].name}",
        found=found,
        hint="Drop them without Shift to open each of them.",
    )


def _is_ambiguous(ds: Dataset) -> bool:
    """Whether the file may well hold something else that the user wants."""
    if ds.path is None or not ds.file_notices:
        return False  # of other data sets a format tells
    choices = FORMATS[ds.filetype].choices(ds.path).values()
    return any(sum(one.is_likely for one in offered) > 1 for offered in choices)


def _as_last_time(memory: Remembered) -> str:
    values = ", ".join(f"{name}={value}" for name, value in memory.parameters.items())
    return f"Opened as the last time ({values})."


def _ask(path: Path, error: FormatError) -> bool:
    """Let the user say what the file does not. False if there is no window for it."""
    needs_answers = isinstance(error, ParameterError) or _may_be_unmarked(path)
    return needs_answers and _bring_up_form(path)


def _bring_up_form(path: Path) -> bool:
    from napari_4dstem.gui import asking

    return asking.ask(path)
