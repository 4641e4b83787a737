"""Parameters are remembered for each file, and never get in the way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("qtpy")

from napari_4dstem.gui import remembered
from napari_4dstem.gui.remembered import MAX_FILES, forget, recall, remember, store

GIVEN = {"nav_shape": (3, 4), "dtype": "<u2", "offset": 5, "name": "gold", "x": None}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "scan.raw"
    path.write_bytes(b"1234")
    return path


def test_what_is_remembered_comes_back(file: Path) -> None:
    remember(file, "raw", GIVEN)
    found = recall(file)
    assert found is not None
    assert (found.filetype, found.parameters, found.is_same_file) == (
        "raw",
        GIVEN,
        True,
    )


def test_the_store_is_in_the_folder_of_the_test(
    file: Path, config_folder: Path
) -> None:
    remember(file, "raw", {})
    assert store().is_relative_to(config_folder)
    assert store().is_file()


def test_numpy_values_are_plain_ones_later(file: Path) -> None:
    remember(file, "raw", {"dtype": np.dtype(">u2"), "offset": np.int64(3)})
    found = recall(file)
    assert found is not None
    assert found.parameters == {"dtype": ">u2", "offset": 3}


def test_a_file_of_another_size_is_another_file(file: Path) -> None:
    remember(file, "raw", GIVEN)
    file.write_bytes(b"12345")
    found = recall(file)
    assert found is not None
    assert not found.is_same_file


def test_an_unknown_or_forgotten_file_gives_nothing(file: Path) -> None:
    assert recall(file) is None
    forget(file)
    remember(file, "raw", GIVEN)
    forget(file)
    assert recall(file) is None


def test_old_files_are_forgotten(tmp_path: Path) -> None:
    entries = {
        f"/old/{i}": {"filetype": "raw", "parameters": {}} for i in range(MAX_FILES)
    }
    remembered._write(entries)
    remember(tmp_path / "new", "raw", {})
    assert len(json.loads(store().read_text())["files"]) == MAX_FILES
    assert recall(Path("/old/0")) is None
    assert recall(Path("/old/1")) is not None
    assert recall(tmp_path / "new") is not None


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"3", b'{"files": 3}', b'{"files": {"a": 3}}', b"\xff\xfe\x00"],
)
def test_a_spoiled_store_is_as_none(content: bytes, file: Path) -> None:
    store().parent.mkdir(parents=True)
    store().write_bytes(content)
    assert recall(file) is None
    remember(file, "raw", GIVEN)
    assert recall(file) is not None


@pytest.mark.parametrize("entry", [{}, {"filetype": 3}, {"filetype": "raw"}])
def test_a_spoiled_entry_is_as_none(entry: dict[str, Any], file: Path) -> None:
    remembered._write({str(file): entry})
    assert recall(file) is None


def test_a_folder_that_cannot_be_written_is_no_error(
    file: Path, config_folder: Path
) -> None:
    config_folder.write_text("a file where a folder should be")
    remember(file, "raw", GIVEN)
    assert recall(file) is None
    assert config_folder.read_text().startswith("a file")


def test_writing_leaves_no_other_file(file: Path, config_folder: Path) -> None:
    for _ in range(3):
        remember(file, "raw", GIVEN)
    assert [path.name for path in config_folder.iterdir()] == [store().name]


def test_files_of_corrections_are_kept_with_their_whole_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given = {"corrections": {"dark": Path("dark.npy")}}
    remember(tmp_path / "a.mib", "mib", given)
    memory = recall(tmp_path / "a.mib")
    assert memory is not None
    assert memory.parameters == {"corrections": {"dark": str(tmp_path / "dark.npy")}}
