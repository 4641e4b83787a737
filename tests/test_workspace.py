"""A workspace file brings back what was open, and says what is wrong with it."""

from __future__ import annotations

import base64
import json
import os
import shutil
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import napari_4dstem as n4
from napari_4dstem.dataset import opening_of
from napari_4dstem.workspace import (
    SUFFIX,
    CenterOfMass,
    DrawnDetector,
    Workspace,
    is_workspace,
    read,
    save,
)
from tests.opened import OPENED, SIG, pixels
from tests.test_script import DETECTORS

DRAWN = tuple(
    DrawnDetector(name, detector, "lime", "Shift, angle")
    for name, detector in DETECTORS.items()
)
SHOWN = CenterOfMass("disk", "plane", 1 / 3, True, ("curl", "color_wheel"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def saved(ds: n4.Dataset, folder: Path, **parts: Any) -> Path:
    path = folder / f"gold{SUFFIX}"
    save(path, Workspace(opening_of(ds), **parts))
    return path


def changed(path: Path, *place: Any, to: Any) -> Path:
    """Change a value somewhere in a workspace file."""
    content = json.loads(path.read_text("utf-8"))
    part = content
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = to
    path.write_text(json.dumps(content), "utf-8")
    return path


@pytest.mark.filterwarnings("ignore::napari_4dstem.FormatWarning")
@pytest.mark.parametrize("name", OPENED)
def test_data_set_comes_back_wherever_the_folder_goes(name: str, folder: Path) -> None:
    ds = OPENED[name](folder)
    pixels, valid = ds[...], ds.valid
    path = saved(ds, folder)
    again = read(path).open_data_set()
    assert again.files == ds.files
    moved = folder.with_name("moved")
    shutil.move(folder, moved)
    there = read(moved / path.name).open_data_set()
    assert {file.parent for file in there.files} == {moved}
    np.testing.assert_array_equal(there[...], pixels)
    np.testing.assert_array_equal(there.valid, valid)
    assert there.dtype == ds.dtype
    assert there.calibration == ds.calibration
    assert there.frames.geometry == ds.frames.geometry
    assert (there.name, there.filetype) == (ds.name, ds.filetype)
    assert str(there.corrections) == str(ds.corrections)


def test_all_else_comes_back_exactly(folder: Path) -> None:
    ds = OPENED["a_mib"](folder)
    region = np.random.default_rng(0).random(ds.nav_shape) < 0.5
    workspace = Workspace(
        opening_of(ds),
        DRAWN,
        probe=(3, 4),
        pattern="Region, mean",
        region=region,
        is_log=True,
        center_of_mass=SHOWN,
    )
    save(folder / "a.4dstem.json", workspace)
    again = read(folder / "a.4dstem.json")
    for part in ("detectors", "probe", "pattern", "is_log", "center_of_mass"):
        assert getattr(again, part) == getattr(workspace, part)
    assert again.region is not None
    np.testing.assert_array_equal(again.region, region)


def test_file_is_legible(folder: Path) -> None:
    name = "a [\n1,\n2 ] \U0001f52c"
    ds = n4.load("npy", OPENED["an_npy"](folder).path, name=name)
    drawn = DrawnDetector(name, n4.Disk((3.5, 4), 2))
    path = saved(ds, folder, detectors=(drawn,), probe=(1, 2))
    text = path.read_text("utf-8")
    assert ' "probe": [1, 2],\n' in text
    assert '   "center": [3.5, 4.0],\n' in text
    assert len(text.splitlines()) < 50
    again = read(path)
    assert (again.data_set.name, again.detectors) == (name, (drawn,))


def test_corrections_in_memory_are_in_the_file(folder: Path) -> None:
    OPENED["corrected_by_files"](folder)
    dark = np.random.default_rng(0).normal(size=SIG)
    excluded = dark > 2
    ds = n4.load("npy", folder / "a.npy").with_corrections(dark, excluded=excluded)
    again = read(saved(ds, folder)).open_data_set()
    np.testing.assert_array_equal(again[...], ds[...])


def test_workspace_elsewhere_finds_the_data_where_they_were(folder: Path) -> None:
    ds = OPENED["a_raw"](folder)
    path = saved(ds, folder)
    elsewhere = folder.parent / "a" / "b"
    elsewhere.mkdir(parents=True)
    path = path.rename(elsewhere / path.name)
    assert read(path).open_data_set().path == ds.path


def test_data_beside_the_workspace_come_first(folder: Path) -> None:
    path = saved(OPENED["an_hdf5"](folder), folder)
    copy = folder.with_name("copy")
    shutil.copytree(folder, copy)
    assert read(copy / path.name).open_data_set().path == copy / "a.h5"


def test_missing_data_are_named_with_what_to_do(folder: Path) -> None:
    path = saved(OPENED["a_raw"](folder), folder)
    moved = path.rename(folder.parent / path.name)
    (folder / "a.bin").unlink()
    with pytest.raises(n4.FormatError, match=r"data_set\.path.* is not there") as told:
        read(moved)
    assert told.value.path == str(moved)
    assert str(folder / "a.bin") in told.value.expected
    assert str(folder.parent / "a.bin") in told.value.expected
    assert "put the workspace beside it" in str(told.value)


@pytest.mark.parametrize("kind", ["memory", "sample"])
def test_data_in_memory_have_to_be_saved_first(kind: str, folder: Path) -> None:
    ds = n4.load("memory", data=pixels(), name="mine")
    if kind == "sample":
        ds = replace(ds, own_parameters={})
    with pytest.raises(n4.FormatError, match=r"'mine' .* Save the data first"):
        saved(ds, folder)
    assert not list(folder.iterdir())


def test_file_is_replaced_whole_or_not_at_all(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ds = OPENED["a_raw"](folder)
    path = saved(ds, folder)
    before, names = path.read_bytes(), sorted(os.listdir(folder))

    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(n4.FormatError, match=r"cannot be saved \(No space left"):
        saved(ds, folder, detectors=DRAWN)
    assert path.read_bytes() == before
    assert sorted(os.listdir(folder)) == names


def test_folder_that_is_not_there_is_said(folder: Path) -> None:
    with pytest.raises(n4.FormatError, match="cannot be saved"):
        saved(OPENED["a_raw"](folder), folder / "none")


def test_later_minor_version_with_more_in_it_opens(folder: Path) -> None:
    path = saved(OPENED["a_raw"](folder), folder, detectors=DRAWN[:2])
    changed(path, "napari_4dstem_workspace", to="1.7")
    changed(path, "windows", to=[1, 2])
    changed(path, "data_set", "color", to="red")
    changed(path, "detectors", 0, "opacity", to=0.5)
    assert read(path).detectors == DRAWN[:2]


@pytest.mark.parametrize("version", ["2.0", "0.9"])
def test_other_major_version_is_refused(folder: Path, version: str) -> None:
    path = saved(OPENED["a_raw"](folder), folder)
    changed(path, "napari_4dstem_workspace", to=version)
    with pytest.raises(n4.FormatError, match=f"expected version 1, found {version}"):
        read(path)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is no JSON"),
        (b"\xff\xfe{", "is no JSON"),
        (b'{"a": [1, 2', "is no JSON"),
        (b'{"napari_4dstem_workspace": "1.0", "a": NaN}', "NaN, which is no JSON"),
        (b"[" * 100_000, "is no JSON"),
        (b"[]", "not a workspace"),
        (b'{"a": 1}', "not a workspace"),
        (b'{"napari_4dstem_workspace": "1.0"}', "'data_set', found none"),
        (b'{"napari_4dstem_workspace": 1}', "napari_4dstem_workspace: expected a text"),
    ],
)
def test_file_that_is_no_workspace_is_refused(
    tmp_path: Path, content: bytes, problem: str
) -> None:
    path = tmp_path / "a.4dstem.json"
    path.write_bytes(content)
    with pytest.raises(n4.FormatError, match=problem) as told:
        read(path)
    assert told.value.path == str(path)


def test_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(n4.FormatError, match=r"cannot be read \(No such file"):
        read(tmp_path / "a.4dstem.json")


DATA, FIRST = ("data_set",), ("detectors", 1)


@pytest.mark.parametrize(
    ("place", "value", "where", "expected"),
    [
        ((*DATA,), [], "data_set", "names and values"),
        ((*DATA, "filetype"), 3, "data_set.filetype", "a text"),
        ((*DATA, "path"), None, "data_set", "path or files"),
        ((*DATA, "nav_shape"), [0, 3], "data_set.nav_shape", "above 0"),
        ((*DATA, "sig_shape"), [10**9, 9], "data_set.sig_shape", "at most"),
        ((*DATA, "sync_offset"), 1.5, "data_set.sync_offset", "a whole number"),
        ((*DATA, "own_parameters"), 7, "data_set.own_parameters", "names and values"),
        ((*DATA, "own_parameters", "path"), 7, "data_set.own_parameters", "the type"),
        ((*DATA, "found_corrections"), 1, "data_set.found_corrections", "true or"),
        (
            (*DATA, "calibration"),
            {"nav": [[1]], "sig": []},
            "data_set.calibration.nav[0]",
            "scale and unit",
        ),
        (("detectors",), {}, "detectors", "a list"),
        ((*FIRST, "type"), "Star", "detectors[1].type", "Point, Disk"),
        ((*FIRST, "radius"), None, "detectors[1]", "a value for 'radius'"),
        ((*FIRST, "radius"), -1, "detectors[1]", "a Disk"),
        ((*FIRST, "center"), ["a", {}], "detectors[1]", "a Disk"),
        ((*FIRST, "name"), 1, "detectors[1].name", "a text"),
        (("detectors", 6, "array", "shape"), [9, 9], "detectors[6].array", "pixels"),
        (("detectors", 6, "array", "dtype"), "O", "detectors[6].array", "pixels"),
        (("detectors", 6, "array", "dtype"), "<u8", "detectors[6].array", "pixels"),
        (("detectors", 6, "array", "zlib_base64"), "é", "detectors[6].array", "pixels"),
        (("detectors", 5, "array", "pixels"), [[99], [0]], "detectors[5].array", "pix"),
        (("region",), {"shape": [9]}, "region", "pixels"),
        (("probe",), [1, 2, 3], "probe", "two whole numbers"),
        (("is_log",), "yes", "is_log", "true or false"),
        (("center_of_mass", "outputs"), ["x-ray"], "center_of_mass", "'color_wheel'"),
        (("center_of_mass", "outputs"), "curl", "center_of_mass.outputs", "a list"),
        (("center_of_mass", "descan"), "median", "center_of_mass", "'plane'"),
        (("center_of_mass", "detector"), 1, "center_of_mass.detector", "a text"),
        (("center_of_mass", "degrees"), "3", "center_of_mass.degrees", "number"),
    ],
)
def test_spoiled_value_is_named_with_its_place(
    folder: Path, place: tuple[Any, ...], value: Any, where: str, expected: str
) -> None:
    ds = OPENED["a_raw"](folder)
    path = saved(
        ds, folder, detectors=DRAWN, probe=(1, 2), center_of_mass=SHOWN, is_log=True,
        region=np.ones(ds.nav_shape, bool),
    )  # fmt: skip
    changed(path, *place, to=value)
    with pytest.raises(n4.FormatError, match="the workspace is spoiled") as told:
        read(path)
    assert f"is spoiled at {where}:" in str(told.value)
    assert expected in told.value.expected
    assert told.value.found


def test_mask_that_unpacks_to_more_than_a_frame_is_refused(folder: Path) -> None:
    path = saved(OPENED["a_raw"](folder), folder, detectors=DRAWN)
    bomb = base64.b64encode(zlib.compress(bytes(10**7))).decode()
    changed(path, "detectors", 6, "array", "zlib_base64", to=bomb)
    with pytest.raises(n4.FormatError, match="not 12 bytes of pixels"):
        read(path)


@pytest.mark.parametrize(
    ("name", "value"), [("dtype", 3), ("offset", [1]), ("frame_gap", {})]
)
def test_impossible_parameter_is_an_error_of_ours(
    folder: Path, name: str, value: Any
) -> None:
    path = saved(OPENED["a_raw"](folder), folder)
    changed(path, "data_set", "own_parameters", name, to=value)
    with pytest.raises(n4.FormatError):
        read(path).open_data_set()


def test_workspace_is_known_by_its_name() -> None:
    assert is_workspace(Path("a/B.4DSTEM.JSON"))
    assert not is_workspace(Path("a/b.json"))
