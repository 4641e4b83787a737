"""Dark frame, gain map and excluded pixels as users give them: arrays or files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_4dstem.corrections import Corrections, LazyFrame
from napari_4dstem.dataset._paths import absolute
from napari_4dstem.errors import FormatError, ParameterError
from napari_4dstem.formats import identify
from napari_4dstem.frames.batches import FrameSource
from napari_4dstem.frames.layout import FrameLayout, fit_to_files
from napari_4dstem.frames.mean_frame import mean_of
from napari_4dstem.frames.raw_bytes import RawFrames

if TYPE_CHECKING:
    from numpy.typing import NDArray

KINDS = ("dark", "gain", "excluded")


def checked_corrections(
    path: Path | None,
    wanted: Any,
    found: Corrections | None,
    sig_shape: tuple[int, ...],
) -> Corrections | None:
    """Return the corrections that a user wants.

    Parameters
    ----------
    path : Path or None
        The data, for messages.
    wanted : object
        As `load` takes it.
    found : Corrections or None
        What the data bring along.
    sig_shape : tuple of int
        What everything must fit.
    """
    if isinstance(wanted, (bool, np.bool_)):
        return found if wanted else None
    excluded_file = None
    if isinstance(wanted, Corrections):
        excluded_file = wanted.excluded_file
        wanted = {kind: getattr(wanted, kind) for kind in KINDS}
    if not isinstance(wanted, Mapping) or set(wanted) - set(KINDS):
        raise ParameterError(
            path,
            "corrections",
            "corrections are not understood",
            expected="True, False, Corrections or a dict of dark, gain and excluded",
            found=repr(wanted)[:80],
        )
    parts = {
        kind: _checked(path, kind, wanted[kind], sig_shape)
        for kind in KINDS
        if wanted.get(kind) is not None
    }
    if isinstance(wanted.get("excluded"), (str, os.PathLike)):
        excluded_file = absolute(wanted["excluded"])
    return Corrections(**parts, excluded_file=excluded_file) if parts else None


def file_of(corrections: Corrections, kind: str) -> Path | None:
    """Return the file that a user gave as dark frame, gain map or excluded pixels."""
    if kind == "excluded":
        return corrections.excluded_file
    frame = getattr(corrections, kind)
    if isinstance(frame, LazyFrame) and frame.read is _mean:
        (path,) = frame.arguments
        assert isinstance(path, Path)
        return path
    return None


def _checked(
    path: Path | None, kind: str, value: Any, sig_shape: tuple[int, ...]
) -> Any:
    """Return float32 pixels or a frame that is read later; bool, where excluded."""
    where = ""
    if isinstance(value, (str, os.PathLike)):
        value = _in_file(absolute(value))
        where = f" in {value.arguments[0]}"
    frame = value if isinstance(value, LazyFrame) else np.asarray(value)
    if frame.shape != sig_shape:
        raise ParameterError(
            path,
            "corrections",
            f"{kind} does not fit the detector",
            expected=f"shape {sig_shape}",
            found=f"shape {frame.shape}{where}",
        )
    if isinstance(frame, LazyFrame) and kind != "excluded":
        return frame
    pixels = np.asarray(frame)
    if pixels.dtype.kind not in "biuf":
        raise ParameterError(
            path,
            "corrections",
            f"{kind} must consist of real numbers",
            found=f"dtype {pixels.dtype}",
        )
    if kind == "excluded":
        return pixels != 0
    with np.errstate(over="ignore"):
        pixels = pixels.astype(np.float32)
    strange = np.count_nonzero(~np.isfinite(pixels))
    if strange:
        raise ParameterError(
            path,
            "corrections",
            f"{kind} has pixels that are not finite",
            expected="numbers that float32 can hold",
            found=f"{strange} of {pixels.size} infinite or not a number",
            hint=f"Give a number there, and True in excluded: ~np.isfinite({kind}).",
        )
    return pixels


def _in_file(path: Path) -> LazyFrame:
    """Return the mean of the frames in a file; that of many is read when needed."""
    source = _frames(path)
    others = [file for file in source.files if file != path]
    if any(file.suffix.lower() == path.suffix.lower() for file in others):
        # of a member, nobody knows whether it or the whole set is meant
        raise FormatError(
            path,
            "this file is one of several that belong together",
            expected="a dark frame or gain map in a file of its own",
            found=f"a data set with frames in {others[0].name}",
            hint="Give an array, or save it as .npy and give that.",
        )
    if source.dtype.kind not in "biuf":
        raise FormatError(
            path,
            "neither a dark frame nor a gain map",
            expected="real numbers",
            found=f"dtype {source.dtype}",
        )
    frame = LazyFrame(_mean, (path,), source.sig_shape, source.files)
    if source.num_frames == 1:
        np.asarray(frame)  # what is wrong with it is better told now
    return frame


def _frames(path: Path) -> FrameSource:
    frames = identify(path).describe(path).frames
    if isinstance(frames, FrameLayout):
        return RawFrames(fit_to_files(frames)[0], "buffered")
    return frames.with_backend("buffered")


def _mean(path: Path) -> NDArray[np.float64]:
    with np.errstate(invalid="ignore"):  # infinite pixels of two signs
        pixels = mean_of(_frames(path), path)
    strange = np.count_nonzero(~np.isfinite(pixels))
    if strange:
        raise FormatError(
            path,
            "the dark frame or gain map has pixels that are not finite",
            found=f"{strange} of {pixels.size} infinite or not a number",
            hint="Give arrays: np.nan_to_num of this one, and ~np.isfinite of it as"
            " excluded.",
        )
    return pixels
