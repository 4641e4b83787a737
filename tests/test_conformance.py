"""The shared conformance cases, for the formats that there are so far.

The folder is not part of this repository. It is looked for where ``N4_SHARED`` says,
else beside the repository. Its README files say what a case means.
"""

from __future__ import annotations

import hashlib
import json
import os
import runpy
import tracemalloc
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import napari_4dstem as n4
from napari_4dstem.axes import sampling
from napari_4dstem.formats import FORMATS
from napari_4dstem.frames.file_bytes import choose_backend

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("N4_SHARED", ROOT.parent / "shared"))
FOLDER = SHARED / "conformance"
FILES = ("path", "gain_map_path")  # parameters that are files
LIMIT_NBYTES = 500 * 2**20

Case = dict[str, Any]


def cases() -> Iterator[Case]:
    """Return the cases of the formats that are registered."""
    for index in sorted(FOLDER.glob("cases_*.json")):
        for case in json.loads(index.read_text("utf-8")):
            if case["format"] in (*FORMATS, "auto"):
                yield case


CASES = list(cases())
GOOD = [case for case in CASES if "error" not in case["expect"]]
BAD = [case for case in CASES if "error" in case["expect"]]

pytestmark = [
    pytest.mark.skipif(
        not CASES, reason=f"no conformance cases in {FOLDER}: set N4_SHARED"
    ),
    pytest.mark.filterwarnings("ignore::napari_4dstem.FormatWarning"),
]


def identity(case: Any) -> str | None:
    return case["id"] if isinstance(case, dict) else None


def parameters(case: Case, folder: Path) -> dict[str, Any]:
    """Return what `load` is given for a case; make its files if they are too large."""
    base = FOLDER
    if "generate" in case:
        recipe = case["generate"]
        script = runpy.run_path(str(FOLDER / recipe["script"]))
        script[recipe["function"]](folder, **recipe["params"])
        base = folder
    given = case["open"] | ({"path": case["path"]} if case.get("path") else {})
    for name, value in given.items():
        if name in FILES:
            given[name] = base / value
        elif name == "files":
            given[name] = [base / file for file in value]
        elif isinstance(value, list):
            given[name] = tuple(value)
    return given


def same(got: Any, truth: Any) -> bool:
    return np.array_equal(got, truth, equal_nan=np.asarray(truth).dtype.kind in "fc")


def check_facts(data_set: n4.Dataset, expect: Case) -> None:
    assert data_set.nav_shape == tuple(expect["nav_shape"])
    for key, value in expect.get("metadata", {}).items():
        found = data_set.metadata[key]
        if isinstance(value, str):
            assert str(found)[:19] == value[:19]
        else:
            assert found == pytest.approx(value, rel=1e-5)
    for space, axes in expect.get("calibration", {}).items():
        for found, axis in zip(getattr(data_set.calibration, space), axes, strict=True):
            said = sampling(*axis)
            assert said is not None
            assert found.unit == said.unit
            assert found.scale == pytest.approx(said.scale, rel=1e-4)


def check_corrections(data_set: n4.Dataset, expect: Case) -> None:
    """Compare what was found beside the file, and what it makes of the frames."""
    found = data_set.found_corrections
    assert found is not None
    for kind in ("dark", "gain"):
        assert same(np.asarray(getattr(found, kind)), np.load(FOLDER / expect[kind]))
    if "excluded_pixels_yx" in expect:
        assert found.excluded is not None
        assert np.argwhere(found.excluded).tolist() == expect["excluded_pixels_yx"]
    if "dark_gain_array" in expect:
        corrected = data_set.with_corrections(dark=found.dark, gain=found.gain)
        assert same(corrected[...], np.load(FOLDER / expect["dark_gain_array"]))


def check(data_set: n4.Dataset, expect: Case) -> None:
    """Compare all that a case says with what was opened."""
    check_facts(data_set, expect)
    if "corrections" in expect:
        check_corrections(data_set, expect["corrections"])
    if "frame" in expect:
        frame = data_set[tuple(expect["frame"]["index"])]
        assert (frame == expect["frame"]["all_equal"]).all()
        return
    assert data_set.sig_shape == tuple(expect["sig_shape"])
    assert data_set.dtype == np.dtype(expect["dtype"])
    found = data_set.to_dask().compute(scheduler="synchronous")
    assert found.dtype == np.dtype(expect["dtype"])
    assert found.dtype.isnative
    if "frames_sha256" in expect:
        frames = found.reshape(-1, *data_set.sig_shape).astype("<u2")
        digests = [hashlib.sha256(frame.tobytes()).hexdigest() for frame in frames]
        assert digests == list(np.ravel(expect["frames_sha256"]))
        return
    truth = np.load(FOLDER / expect["array"])
    assert found.shape == truth.shape
    assert same(found, truth)
    assert not truth[~data_set.valid].any()
    middle = tuple(n // 2 for n in data_set.nav_shape)
    assert same(data_set[middle], truth[middle])
    assert same(data_set[...], truth)


@pytest.mark.parametrize("backend", ["auto", "mmap", "buffered", "direct"])
@pytest.mark.parametrize("case", GOOD, ids=identity)
def test_good_file_is_read_as_expected(
    case: Case, backend: str, tmp_path: Path
) -> None:
    given = parameters(case, tmp_path)
    try:
        choose_backend(backend, (given["path"],) if "path" in given else ())
    except n4.FormatError as error:
        pytest.skip(str(error))
    try:
        data_set = n4.load(case["format"], io_backend=backend, **given)
    except n4.FormatError:
        assert "alternatively" in case["expect"]
        return
    check(data_set, case["expect"])


@pytest.mark.parametrize("case", [c for c in GOOD if c.get("auto")], ids=identity)
def test_good_file_is_recognized(case: Case, tmp_path: Path) -> None:
    given = parameters(case, tmp_path)
    assert n4.detect(given["path"]).filetype == case["format"]
    check(n4.load("auto", **given), case["expect"])


RECOGNIZED = [
    case
    for case in GOOD
    # A part of a virtual HDF5 data set is a data set, too; in a folder, a file is
    # looked for by its ending.
    if case.get("auto") and case["id"] not in ("h5-virtual", "h5-no-extension")
]


@pytest.mark.parametrize("case", RECOGNIZED, ids=identity)
def test_any_member_in_any_spelling_opens_the_same_data_set(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = parameters(case, tmp_path)
    path = Path(given.pop("path"))
    found = n4.load("auto", path, **given)
    endings = FORMATS[found.filetype].extensions
    members = [f for f in found.files if f.suffix.lower() in endings][:9]
    folders = tmp_path / "links", tmp_path / "UPPER"
    for folder, spell in zip(folders, (str, str.upper), strict=True):
        folder.mkdir()
        for file in found.files:
            (folder / (file.stem + spell(file.suffix))).symlink_to(file.resolve())
    links, upper = folders
    (tmp_path / "folder").symlink_to(links, target_is_directory=True)
    monkeypatch.chdir(links)
    ways = [
        *members,
        *(links / f.name for f in members[::4]),
        *(upper / (f.stem + f.suffix.upper()) for f in members[1::4]),
        *folders,
        tmp_path / "folder" / path.name,
        Path(path.name),
        Path("."),
    ]
    truth = found.to_dask().compute(scheduler="synchronous")
    for way in ways:
        again = n4.load("auto", way, **given)
        names = [f.name.lower() for f in again.files]
        assert sorted(names) == sorted(f.name.lower() for f in found.files), way
        assert again.calibration == found.calibration
        assert same(again[...], truth), way


@pytest.mark.parametrize("case", BAD, ids=identity)
def test_bad_file_is_a_clear_error(case: Case, tmp_path: Path) -> None:
    expect, given = case["expect"], parameters(case, tmp_path)
    stage, message = "open", ""
    tracemalloc.start()
    try:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always", n4.FormatWarning)
            try:
                data_set = n4.load(case["format"], **given)
                stage = "read"
                data_set.to_dask().sum().compute(scheduler="synchronous")
                stage = "done"
            except n4.FormatError as error:
                message = str(error)
        used = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert used < LIMIT_NBYTES
    if stage == "done":
        assert expect.get("or_blank"), f"no error, although {expect['error']}"
        assert told
        assert not data_set.valid.all()
        return
    assert len(message) > 20
    assert stage == "open" or expect.get("stage") == "read" or "level" in case
