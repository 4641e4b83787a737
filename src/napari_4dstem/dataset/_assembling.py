"""From what a format says and the user wants to a data set."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

from napari_4dstem.dataset._corrections import checked_corrections
from napari_4dstem.dataset._dataset import Dataset
from napari_4dstem.dataset._metadata import checked_metadata
from napari_4dstem.dataset._parameters import MAX_BLANK_POSITIONS, check_geometry
from napari_4dstem.errors import FormatError, ParameterError
from napari_4dstem.formats._format import Description, Format
from napari_4dstem.frames.file_bytes import choose_backend
from napari_4dstem.frames.layout import FrameLayout, Gap, fit_to_files
from napari_4dstem.frames.raw_bytes import RawFrames
from napari_4dstem.frames.scan import ScanFrames, ScanGeometry


def assembled(
    format_: Format,
    path: Path | None,
    description: Description,
    common: Mapping[str, Any],
    own: Mapping[str, Any],
) -> Dataset:
    """Return the data set that a format describes, opened as the user wants it.

    Parameters
    ----------
    format_ : Format
    path : Path or None
    description : Description
    common : mapping
        What the user said of the parameters common to all formats.
    own : mapping
        What the user said of those that only this format has.
    """
    frames, problems = description.frames, [*description.problems]
    expected = frames.num_frames
    backend = common.get("io_backend", "auto")
    if isinstance(frames, FrameLayout):
        layout, too_short = _fitted(path, frames)
        problems += too_short
        frames = RawFrames(layout, choose_backend(backend, layout.files))
        cut_off = expected - layout.num_frames
    else:
        frames = frames.with_backend(choose_backend(backend, frames.files))
        cut_off = 0
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
    default_nav = description.nav_shape or (expected,)
    geometry = ScanGeometry(
        common.get("nav_shape", default_nav),
        common.get("sync_offset", description.sync_offset),
        common.get("flyback", 0),
    )
    check_geometry(path, geometry, frames.num_frames)
    found = description.corrections
    wanted = common.get("corrections", description.corrections_on)
    corrections = checked_corrections(path, wanted, found, sig_shape)
    notices = [*description.notices]
    if found is None and common.get("corrections") is True:
        notices.append("The data bring no corrections.")
    nav_notice = description.nav_notice
    if not nav_notice and description.nav_shape is None and expected > 1:
        nav_notice = f"The scan shape is not known: one line of {expected} frames."
    companions = dict.fromkeys(
        p for p in description.companions if p not in frames.files
    )
    named = path or next(iter(frames.files), None)
    return Dataset(
        name=str(common.get("name") or (named.stem if named else format_.name)),
        filetype=format_.name,
        path=path,
        companions=tuple(companions),
        calibration=description.calibration.fitted(
            len(geometry.nav_shape), len(sig_shape)
        ),
        metadata=checked_metadata(description.metadata),
        frames=ScanFrames(frames, geometry, corrections),
        own_parameters={**description.parameters, **own},
        found_corrections=found,
        file_calibration=description.calibration,
        file_notices=tuple(notices),
        file_problems=tuple(problems),
        nav_notice="" if "nav_shape" in common else nav_notice,
        num_cut_off=cut_off,
    )


def _fitted(path: Path | None, said: FrameLayout) -> tuple[FrameLayout, list[str]]:
    """Return what the files hold of a layout, and problems to tell."""
    layout, too_short = fit_to_files(said)
    if not layout.num_frames:
        raise FormatError(
            path,
            "the file holds no complete frame",
            expected=f"{said.num_frames} frames of {said.extent[1] - said.extent[0]}"
            " bytes",
            found=f"{sum(file.stat().st_size for file in said.files)} bytes",
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
    return layout, too_short
