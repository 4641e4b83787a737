"""From a workspace to a file."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import napari_4dstem
from napari_4dstem.analysis import compact
from napari_4dstem.analysis.detectors import Mask
from napari_4dstem.errors import FormatError
from napari_4dstem.workspace._workspace import MAJOR, MARK, MINOR

if TYPE_CHECKING:
    from napari_4dstem.dataset import Opening
    from napari_4dstem.workspace._workspace import DrawnDetector, Workspace

# A list of numbers or texts in JSON of many lines; no text has a line break in it.
SHORT_LIST = re.compile(r"\[\n *([^][{}]*?)\n *\]")


def save(path: str | os.PathLike[str], workspace: Workspace) -> None:
    """Write a workspace file, whole or not at all.

    Parameters
    ----------
    path : str or path
        With the ending `SUFFIX`, so that it is found to be one.
    workspace : Workspace

    Raises
    ------
    FormatError
        If the data are in memory only, or the file cannot be written.
    """
    target = Path(os.path.abspath(path))
    workspace.check_is_in_files()
    content = {
        MARK: f"{MAJOR}.{MINOR}",
        "made_with": f"napari-4dstem {napari_4dstem.__version__}",
        "data_set": _saved_opening(workspace.data_set, target.parent),
        "detectors": [_saved_detector(drawn) for drawn in workspace.detectors],
        "probe": workspace.probe,
        "pattern": workspace.pattern,
        "region": None
        if workspace.region is None
        else compact.to_json(workspace.region),
        "is_log": workspace.is_log,
        "center_of_mass": workspace.center_of_mass and asdict(workspace.center_of_mass),
    }
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    text = SHORT_LIST.sub(_in_one_line, text) + "\n"
    beside = target.with_name(f"{target.name}.{os.getpid()}")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(target)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise FormatError(
            target,
            f"the workspace cannot be saved ({error.strerror or error})",
            hint="Choose another folder.",
        ) from error


def _in_one_line(found: re.Match[str]) -> str:
    items = re.split(r",\n *", found[1])
    return f"[{', '.join(items)}]"


def _saved_opening(opening: Opening, folder: Path) -> dict[str, Any]:
    def saved(value: Any) -> Any:
        if isinstance(value, Path):
            return _saved_path(value, folder)
        if isinstance(value, np.ndarray):
            return compact.to_json(value)
        if isinstance(value, Mapping):
            return {name: saved(item) for name, item in value.items()}
        return list(map(saved, value)) if isinstance(value, (tuple, list)) else value

    about = {each.name: saved(getattr(opening, each.name)) for each in fields(opening)}
    calibration = opening.calibration
    about["calibration"] = calibration and asdict(calibration)
    return about


def _saved_path(path: Path, folder: Path) -> dict[str, str]:
    saved = {"absolute": str(path)}
    with contextlib.suppress(ValueError):  # on another drive
        saved["relative"] = Path(os.path.relpath(path, folder)).as_posix()
    return saved


def _saved_detector(drawn: DrawnDetector) -> dict[str, Any]:
    detector = drawn.detector
    if isinstance(detector, Mask):
        shape = {"array": compact.to_json(detector.array)}
    else:
        shape = asdict(detector)  # type: ignore[call-overload]  # all are dataclasses
    return {
        "name": drawn.name,
        "color": drawn.color,
        "reduction": drawn.reduction,
        "type": type(detector).__name__,
        **shape,
    }
