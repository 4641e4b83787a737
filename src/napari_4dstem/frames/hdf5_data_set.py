"""An HDF5 data set: its shape, its pixels, and where in which file its frames are.

Of a virtual data set, `hdf5_virtual.data_set` finds the frames in its sources.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from napari_4dstem.errors import FormatError, ParameterError
from napari_4dstem.frames.hdf5 import Hdf5Frames, Part
from napari_4dstem.frames.hdf5_chunks import split_axes
from napari_4dstem.frames.hdf5_file import (
    check_filters,
    filters_of,
    lies_as_numpy,
    linked_file,
    opened,
)
from napari_4dstem.frames.hdf5_values import pixel_type, times, told_type
from napari_4dstem.frames.refusals import DAMAGED

# A frame larger than this has to be in the file.
LARGE_FRAME_NBYTES = 2**28


@dataclass(frozen=True)
class DataSet:
    """A data set, and where its frames are.

    Attributes
    ----------
    path, name : Path, str
        The file that holds it, and its name there.
    nav_shape : tuple of int
    frames : Hdf5Frames
        Its own, or those in the sources of a virtual one.
    is_virtual, is_matlab : bool
        Whether it is a virtual one; whether MATLAB wrote it.
    missing : tuple of str
        Sources of a virtual data set that do not exist or are damaged, for people.
    """

    path: Path
    name: str
    nav_shape: tuple[int, ...]
    frames: Hdf5Frames
    is_virtual: bool = False
    is_matlab: bool = False
    missing: tuple[str, ...] = ()


def stored_set(
    path: Path, name: str, sig_dims: int, *, frames_last: bool = False
) -> DataSet:
    """Look at a data set alone, not at the sources of a virtual one.

    Parameters
    ----------
    path, name : Path, str
        The file that holds it, at the end of all links, and its name there.
    sig_dims : int
        Number of axes of a frame.
    frames_last : bool
        Whether frames are stacked along the last axis, not along the first.

    Raises
    ------
    FormatError
        If it does not hold frames.
    """
    with opened(path) as file:
        dataset = file[name]
        pixel = _checked_type(path, name, dataset)
        shape = _checked_shape(path, name, dataset, sig_dims)
        nav, sig = split_axes(len(shape), sig_dims, frames_last)
        chunk = tuple(map(int, dataset.chunks or ()))
        filters = filters_of(dataset)
        check_filters(path, name, filters)
        frames = Hdf5Frames(
            (Part(path, name, 0, prod(shape[nav])),),
            shape[sig],
            pixel,
            frames_last,
            chunk[nav] if prod(chunk[nav]) > 1 else (),
        )
        _check_size(path, name, dataset, frames)
        if not (chunk or filters or frames_last or dataset.is_virtual):
            frames = replace(frames, parts=_in_a_row(dataset, frames))
        return DataSet(
            path,
            name,
            shape[nav],
            frames,
            bool(dataset.is_virtual),
            "MATLAB_class" in dataset.attrs,
        )


def _checked_type(path: Path, name: str, dataset: Any) -> np.dtype[Any]:
    pixel = pixel_type(dataset)
    if pixel is None:
        raise FormatError(
            path,
            f"{name!r} does not hold numbers",
            expected="integers, floats, complex numbers or true and false",
            found=told_type(dataset),
            hint="Name another data set with ds_path, if there is one.",
        )
    return pixel


def _checked_shape(
    path: Path, name: str, dataset: Any, sig_dims: int
) -> tuple[int, ...]:
    shape = tuple(map(int, dataset.shape or ()))
    if len(shape) <= sig_dims:
        raise ParameterError(
            path,
            "sig_dims",
            f"no axis of {name!r} is left for the scan",
            expected=f"more than {sig_dims} axes (sig_dims)",
            found=times(shape) or "one number",
            hint="A 4D-STEM data set is (y, x, ky, kx).",
        )
    if not prod(shape):
        raise FormatError(
            path,
            f"the data set {name!r} has no frames",
            found=times(shape),
            hint="Nothing was recorded.",
        )
    return shape


def _check_size(path: Path, name: str, dataset: Any, frames: Hdf5Frames) -> None:
    if frames.num_frames >= 2**62:
        raise FormatError(
            path,
            f"the data set {name!r} has an impossible shape",
            found=times(dataset.shape),
            hint=DAMAGED,
        )
    if frames.frame_nbytes <= LARGE_FRAME_NBYTES or dataset.is_virtual:
        return
    # No compressor makes less of it.
    stored = int(dataset.id.get_storage_size())
    if frames.frame_nbytes > 2000 * stored:
        raise FormatError(
            path,
            f"a frame of {name!r} is far larger than all the data in the file",
            expected="frames that the file can hold",
            found=f"frames of {frames.told}, {frames.frame_nbytes} bytes each,"
            f" and {stored} bytes of data",
            hint=DAMAGED,
        )


def _in_a_row(dataset: Any, frames: Hdf5Frames) -> tuple[Part, ...]:
    """Return where frames lie one after the other, past HDF5 if that is possible."""
    (whole,) = frames.parts
    assert isinstance(whole, Part), "a gap is of a virtual data set"
    if lies_as_numpy(dataset):
        if dataset.external:
            return _outside(dataset, whole, frames.frame_nbytes) or (whole,)
        if dataset.id.get_storage_size() and dataset.id.get_offset() is not None:
            return (replace(whole, origin=int(dataset.id.get_offset())),)
    return (whole,)  # compact, never written, or in odd bits


def _outside(dataset: Any, whole: Part, frame_nbytes: int) -> tuple[Part, ...]:
    """Return the frames in files outside that hold nothing but pixels.

    Nothing if a frame begins in one file and ends in another.
    """
    parts = []
    path, left = whole.path, whole.count
    for name, start, size in dataset.external:
        target = linked_file(path, name)
        if target is None:
            raise FormatError(
                path,
                f"the file {name} with the pixels of {whole.name!r} is missing",
                expected=f"it in the folder {path.parent}",
                hint="Copy it there.",
            )
        count, rest = divmod(int(size), frame_nbytes)
        if count < left and rest:
            return ()
        count = min(count, left)
        left -= count
        parts.append(Part(target, "", 0, count, int(start)))
        if not left:
            break
    return tuple(parts)
