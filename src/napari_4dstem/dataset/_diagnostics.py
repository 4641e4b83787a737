"""What is known about a data set, for people."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from napari_4dstem.axes import Sampling
from napari_4dstem.dataset._parameters import times
from napari_4dstem.formats import FORMATS

if TYPE_CHECKING:
    from napari_4dstem.dataset._dataset import Dataset

# Text from a damaged file must not steer a terminal.
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def diagnostics(data_set: Dataset) -> list[tuple[str, str]]:
    """Return (name, value) pairs: found, guessed and missing."""
    stored = data_set.num_stored_frames
    blank = data_set.nav_size - data_set.frames.num_valid()
    rows = [
        ("name", data_set.name),
        ("type", _type_of(data_set)),
        ("path", str(data_set.path or "")),
        ("files", str(len(data_set.files) or "")),
        ("file size", _size_of(data_set.files) if data_set.files else ""),
        ("frames stored", str(stored)),
        ("nav_shape (y, x)", times(data_set.nav_shape)),
        ("sig_shape (ky, kx)", times(data_set.sig_shape)),
        ("dtype", str(data_set.dtype)),
        ("size as array", in_bytes(data_set.nbytes)),
        ("sync_offset", str(data_set.sync_offset)),
        ("flyback", str(data_set.flyback)),
        ("scan positions without a frame", str(blank)),
        ("corrections", _corrections_of(data_set)),
        ("calibration nav", _samplings(data_set.calibration.nav)),
        ("calibration sig", _samplings(data_set.calibration.sig)),
    ]
    backend = getattr(data_set.frames.source, "backend", None)
    if backend is not None:
        rows.append(("io_backend", backend))
    rows += [
        (name, str(value))
        for name, value in data_set.metadata.items()
        if name != "header"
    ]
    rows += [("notice", notice) for notice in data_set.notices]
    rows += [("problem", problem) for problem in data_set.problems]
    return [
        (name, CONTROL.sub("\N{REPLACEMENT CHARACTER}", v)) for name, v in rows if v
    ]


def _corrections_of(data_set: Dataset) -> str:
    if data_set.corrections is not None:
        return str(data_set.corrections)
    found = data_set.found_corrections
    return "" if found is None else f"not applied: {found}"


def _type_of(data_set: Dataset) -> str:
    format_ = FORMATS.get(data_set.filetype)
    return data_set.filetype + (f" ({format_.title})" if format_ else "")


def _samplings(axes: Iterable[Sampling | None]) -> str:
    known = list(axes)
    if not any(known):
        return "unknown"
    return ", ".join("unknown" if a is None else f"{a[0]:.6g} {a[1]}" for a in known)


def _size_of(files: Iterable[Path]) -> str:
    try:
        return in_bytes(sum(file.stat().st_size for file in files))
    except OSError as error:
        return f"unknown ({error.strerror or error})"


def in_bytes(count: float) -> str:
    """Return a number of bytes with its unit."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.4g} {unit}"
        count /= 1000
    return f"{count:.4g} TB"
