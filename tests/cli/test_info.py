"""`info` tells what `load` finds, for people and for programs."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

import napari_4dstem as n4
from napari_4dstem import cli
from napari_4dstem.cli import opening
from napari_4dstem.cli.info import to_json
from napari_4dstem.dataset import open_dataset
from tests.cli.running import MODULE, run
from tests.formats.write_dm import document, image, thumbnail, write_dm


def test_info_prints_an_aligned_table(scan: Path) -> None:
    result = run(*MODULE, "info", scan)
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    table = {line[:32].rstrip(): line[32:] for line in lines}
    assert all(line[30:32] == "  " and line[32] != " " for line in lines)
    assert table["type"].startswith("mib")
    assert table["nav_shape (y, x)"] == "3 x 5"
    assert table["sig_shape (ky, kx)"] == "8 x 6"
    assert table["dtype"] == "uint16"
    assert table["counter_depth"] == "12"


def test_json_tells_what_load_finds(scan: Path) -> None:
    result = run(*MODULE, "info", scan, "--json", "--sync-offset", "-3")
    assert (result.returncode, result.stderr) == (0, "")
    report = json.loads(result.stdout)
    ds = n4.load("mib", path=scan, sync_offset=-3)
    assert report["path"] == str(scan)
    assert report["filetype"] == "mib"
    assert report["files"] == [str(file) for file in ds.files]
    assert report["nav_shape"] == [3, 5]
    assert report["sig_shape"] == [8, 6]
    assert report["dtype"] == "uint16"
    assert report["num_stored_frames"] == 15
    assert report["num_valid"] == 12
    assert report["sync_offset"] == -3
    assert report["calibration"] == {"nav": [None, None], "sig": [None, None]}
    assert report["metadata"] == ds.metadata
    assert report["notices"] == report["problems"] == []
    assert n4.load("mib", path=scan, **report["parameters"]).shape == ds.shape


def test_problems_are_warnings_on_stderr(
    scan: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scan.write_bytes(scan.read_bytes()[:-1])
    assert cli.main(["info", str(scan)]) == 0
    printed = capsys.readouterr()
    (problem,) = open_dataset("mib", scan).problems
    assert printed.err == f"napari-4dstem: warning: {problem}\n"
    assert "missing" not in printed.out
    assert cli.main(["info", "--json", str(scan)]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert json.loads(printed.out)["problems"] == [problem]


def test_json_holds_whatever_metadata_there_are() -> None:
    value = {
        "nan": float("nan"),
        "infinite": np.float32("inf"),
        "number": np.int64(3),
        "array": np.array([[1.5, np.nan], [2, 3]]),
        "complex": 1 + 2j,
        "bytes": b"\xb5m",
        "path": Path("/a/b"),
        "time": datetime(2025, 3, 14, tzinfo=UTC),
        "dtype": np.dtype(">u2"),
        "nested": ({1: (True, None)}, {2}),
        5: "five",
    }
    assert json.loads(to_json(value)) == {
        "nan": None,
        "infinite": None,
        "number": 3,
        "array": [[1.5, None], [2, 3]],
        "complex": "(1+2j)",
        "bytes": "µm",
        "path": str(Path("/a/b")),
        "time": "2025-03-14 00:00:00+00:00",
        "dtype": ">u2",
        "nested": [{"1": [True, None]}, [2]],
        "5": "five",
    }


def test_calibration_comes_with_units(
    scan: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ds = n4.load("mib", path=scan).with_calibration(sig=((0.5, "mrad"), None))
    monkeypatch.setattr(opening, "open_dataset", lambda *_, **__: ds)
    assert cli.main(["info", "--json", str(scan)]) == 0
    calibration = json.loads(capsys.readouterr().out)["calibration"]
    assert calibration["sig"] == [{"scale": 0.5, "unit": "mrad"}, None]


def test_corrections_come_from_files(
    scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dark = tmp_path / "dark.npy"
    np.save(dark, np.full((8, 6), 3, "f4"))
    assert cli.main(["info", str(scan), "--dark", str(dark)]) == 0
    printed = capsys.readouterr()
    assert re.search(r"^dtype +float32$", printed.out, re.MULTILINE)
    assert re.search(r"^corrections +dark frame$", printed.out, re.MULTILINE)
    assert printed.err == ""
    np.save(dark, np.zeros((6, 8)))
    assert cli.main(["info", str(scan), "--dark", str(dark)]) == 1
    assert "dark does not fit the detector" in capsys.readouterr().err


def test_what_else_a_file_offers_is_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "two.dm4"
    stacks = [np.zeros((n, 8, 6), "u2") for n in (5, 7)]
    write_dm(path, document([thumbnail(), *map(image, stacks)]))
    assert cli.main(["info", str(path)]) == 0
    offered = re.findall("^offers --dataset-index  .*$", capsys.readouterr().out, re.M)
    assert ["5 x 8 x 6" in offered[0], "7 x 8 x 6" in offered[1]] == [True, True]
    assert cli.main(["info", str(path), "--json"]) == 0
    choices = json.loads(capsys.readouterr().out)["choices"]["dataset_index"]
    for choice, stack in zip(choices, stacks, strict=True):
        other = ["info", str(path), "--json", "--dataset-index", str(choice["value"])]
        assert cli.main(other) == 0
        assert json.loads(capsys.readouterr().out)["nav_shape"] == [len(stack)]
