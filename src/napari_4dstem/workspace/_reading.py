"""From a file to a workspace."""

from __future__ import annotations

import math
import os
import re
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_4dstem.analysis import compact
from napari_4dstem.analysis.detectors import (
    Annulus,
    Detector,
    Disk,
    Mask,
    Point,
    Polygon,
    Rectangle,
)
from napari_4dstem.axes import Calibration, Sampling
from napari_4dstem.dataset import COMMON_PARAMETERS, FOUND, Opening
from napari_4dstem.errors import FormatError
from napari_4dstem.workspace._parts import Part, content_of
from napari_4dstem.workspace._workspace import (
    MAJOR,
    MARK,
    MASK,
    MINOR,
    CenterOfMass,
    DrawnDetector,
    Workspace,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DETECTORS: dict[str, type[Detector]] = {
    kind.__name__: kind for kind in (Point, Disk, Annulus, Rectangle, Polygon)
}
CORRECTIONS = ("dark", "gain", "excluded")
# More pixels has no detector.
MAX_PIXELS = 2**26


def read(path: str | os.PathLike[str]) -> Workspace:
    """Read a workspace file.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    Workspace
        Its data are looked for beside the file first, then where they were.

    Raises
    ------
    FormatError
        If it is no workspace, or of a later version, or spoiled, or if the data are not
        there.
    """
    file = Path(os.path.abspath(path))
    whole = content_of(file)
    _check_version(whole)
    opening = _opening(whole["data_set"])
    center_of_mass = whole.get("center_of_mass")
    probe, region = whole.get("probe"), whole.get("region")
    pattern, is_log = whole.get("pattern"), whole.get("is_log")
    return Workspace(
        data_set=opening,
        detectors=tuple(
            _detector(part, opening.sig_shape) for part in whole["detectors"].parts()
        ),
        probe=None if probe is None else _position(probe),
        pattern=Workspace.pattern if pattern is None else pattern.text(),
        region=None if region is None else _region(region, opening.nav_shape),
        is_log=Workspace.is_log if is_log is None else is_log.flag(),
        center_of_mass=None
        if center_of_mass is None
        else _center_of_mass(center_of_mass),
    )


def _check_version(whole: Part) -> None:
    if not isinstance(whole.value, dict) or MARK not in whole.value:
        raise FormatError(
            whole.file,
            "not a workspace of napari-4dstem",
            expected=f"a JSON object with {MARK!r}",
            found="another JSON file",
        )
    version = whole[MARK].text()
    found = re.fullmatch(r"(\d{1,4})\.(\d{1,4})", version)
    if found is None:
        whole[MARK].refuse(f"a version such as {MAJOR}.{MINOR}")
    if int(found[1]) != MAJOR:
        raise FormatError(
            whole.file,
            "the workspace is of another version",
            expected=f"version {MAJOR}",
            found=version,
            hint="Update napari-4dstem.",
        )


def _opening(part: Part) -> Opening:
    sig_shape = _shape(part["sig_shape"])
    if math.prod(sig_shape) > MAX_PIXELS:
        part["sig_shape"].refuse(f"at most {MAX_PIXELS} pixels")
    path, files, found = (
        part.get("path"),
        part.get("files"),
        part.get("found_corrections"),
    )
    calibration = part.get("calibration")
    opening = Opening(
        name=part["name"].text(),
        filetype=part["filetype"].text(),
        path=None if path is None else _path(path),
        files=() if files is None else tuple(map(_path, files.parts())),
        own_parameters=_parameters(part["own_parameters"]),
        nav_shape=_shape(part["nav_shape"]),
        sig_shape=sig_shape,
        sync_offset=part["sync_offset"].whole(),
        flyback=part["flyback"].whole(),
        found_corrections=None if found is None else found.flag(),
        corrections=_corrections(part["corrections"], sig_shape),
        calibration=None
        if calibration is None
        else Calibration(_axes(calibration["nav"]), _axes(calibration["sig"])),
    )
    if opening.is_in_memory:
        part.refuse("path or files", found="neither")
    return opening


def _path(part: Part) -> Path:
    """Return where a file is: beside the workspace, or where it was."""
    tried = []
    for key, folder in (("relative", part.file.parent), ("absolute", Path())):
        said = part.get(key)
        if said is None:
            continue
        path = Path(os.path.abspath(folder / said.text()))
        if os.path.exists(path):
            return path
        tried.append(str(path))
    raise FormatError(
        part.file,
        f"the file at {part.place} of the workspace is not there",
        expected=" or ".join(dict.fromkeys(tried)) or "relative or absolute",
        found="no such file",
        hint="Move it back, put the workspace beside it, or change the path in the"
        " workspace with an editor.",
    )


def _parameters(part: Part) -> dict[str, Any]:
    parameters: dict[str, Any] = {}
    for name in part.names():
        value = part.get(name)
        if name in ("path", "files", "data", *COMMON_PARAMETERS):
            part.refuse("parameters of the type alone", found=repr(name))
        if value is None:
            parameters[name] = None
        elif isinstance(value.value, dict):
            parameters[name] = _path(value)
        else:
            is_list = isinstance(value.value, list)
            parameters[name] = tuple(value.value) if is_list else value.value
    return parameters


def _corrections(
    part: Part, sig_shape: tuple[int, ...]
) -> dict[str, Path | str | NDArray[Any]]:
    found: dict[str, Path | str | NDArray[Any]] = {}
    for kind in CORRECTIONS:
        said = part.get(kind)
        if said is None:
            continue
        if said.value == FOUND:
            found[kind] = FOUND
        elif said.get("shape") is not None:
            found[kind] = _array(said, sig_shape)
        else:
            found[kind] = _path(said)
    return found


def _axes(part: Part) -> tuple[Sampling | None, ...]:
    axes: list[Sampling | None] = []
    for axis in part.parts():
        if axis.value is None:
            axes.append(None)
            continue
        step = list(axis.parts())
        if len(step) != 2:
            axis.refuse("scale and unit")
        axes.append(Sampling(step[0].number(), step[1].text()))
    return tuple(axes)


def _shape(part: Part) -> tuple[int, ...]:
    shape = tuple(each.whole() for each in part.parts())
    if not shape or min(shape) < 1:
        part.refuse("whole numbers above 0")
    return shape


def _position(part: Part) -> tuple[int, int]:
    values = [each.whole() for each in part.parts()]
    if len(values) != 2:
        part.refuse("two whole numbers, y before x")
    return values[0], values[1]


def _detector(part: Part, sig_shape: tuple[int, ...]) -> DrawnDetector:
    kind = part["type"].text()
    if kind == MASK:
        detector: Detector = Mask(_array(part["array"], sig_shape))
    elif kind in DETECTORS:
        made = DETECTORS[kind]
        values = {each.name: part[each.name].value for each in fields(made)}  # type: ignore[arg-type]  # all are dataclasses
        try:
            detector = made(**values)
        except FormatError as error:
            part.refuse(f"a {kind} ({error.problem})")
    else:
        part["type"].refuse(", ".join((*DETECTORS, MASK)))
    return DrawnDetector(
        part["name"].text(), detector, part["color"].text(), part["reduction"].text()
    )


def _region(part: Part, nav_shape: tuple[int, ...]) -> NDArray[np.bool_]:
    if math.prod(nav_shape) > MAX_PIXELS:
        part.refuse(f"none in a scan of more than {MAX_PIXELS} positions")
    region = _array(part, nav_shape)
    if region.dtype != bool:
        part.refuse("scan positions, as an array of bool")
    return region


def _array(part: Part, shape: tuple[int, ...]) -> NDArray[Any]:
    try:
        return compact.from_json(part.value, shape)
    except (ValueError, TypeError, KeyError, IndexError, OverflowError) as error:
        part.refuse("the pixels of an array", found=str(error))


def _center_of_mass(part: Part) -> CenterOfMass:
    detector = part.get("detector")
    try:
        return CenterOfMass(
            detector=None if detector is None else detector.text(),
            descan=part["descan"].text(),
            degrees=part["degrees"].number(),
            flip_y=part["flip_y"].flag(),
            outputs=tuple(each.text() for each in part["outputs"].parts()),
        )
    except FormatError as error:
        if error.path is not None:
            raise
        part.refuse(f"what there is ({error.problem}, expected {error.expected})")
