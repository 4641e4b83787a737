"""What the benchmarks time is right, on a few frames of every data set."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from benchmarks import analyses, drag, report
from benchmarks.data_sets import DATA_SETS, SPARSE

NAMES = [data_set.name for data_set in (*DATA_SETS, *SPARSE)]


@pytest.fixture(autouse=True)
def once(monkeypatch):
    monkeypatch.setattr(analyses, "RUNS", 1)
    monkeypatch.setattr(drag, "MOVES", 3)


def tiny(data_set):
    # chunks need a line of 16
    nav_shape = (2, 16) if data_set.filetype == "hdf5" else (2, 3)
    return replace(data_set, scan=replace(data_set.scan, nav_shape=nav_shape))


@pytest.mark.parametrize("name", NAMES)
def test_every_data_set_gives_what_numpy_finds(name, tmp_path):
    (data_set,) = (d for d in (*DATA_SETS, *SPARSE) if d.name == name)
    found = analyses.measure(tiny(data_set), tmp_path)  # compares with numpy
    assert found["annulus"]["seconds"] > 0
    assert found["annulus"]["ratio"] > 0
    assert ("codec_s" in found) == data_set.codec


DRAGGED = [*drag.LIVE, *(d for d in DATA_SETS if d.scan.dtype == "f4"), SPARSE[0]]


@pytest.mark.parametrize("data_set", DRAGGED, ids=lambda data_set: data_set.name)
def test_what_is_dragged_ends_exact(data_set, tmp_path):
    found = drag.measure(tiny(data_set), tmp_path)  # compares with the analysis
    assert 0 < found["disk"]["first_s"] <= found["disk"]["exact_s"]


def test_report_tells_everything_and_marks_what_is_too_slow(tmp_path):
    analysis = {"seconds": 0.1, "ratio": 0.7}
    results = {
        "machine": {
            "processor": "any", "cores": 2, "memory_gb": 24, "python": "3",
            "numpy": "2", "numba": "0",
        },
        "data_sets": {
            "npy u2": {
                "limit_s": 0.05,
                "file_nbytes": 1e9,
                **dict.fromkeys(report.ANALYSES, analysis),
                "peers": {
                    "LiberTEM": {"annulus": 0.3, "com": 0.5},
                    "py4DSTEM": "ValueError: no",
                },
            }
        },
        "refold": {"refold_s": 0.001, "refold_p95_s": 0.006},
        "live": {},
    }  # fmt: skip
    report.save(results, tmp_path)
    assert json.loads((tmp_path / "results.json").read_text()) == results
    text = (tmp_path / "tables.md").read_text()
    assert "| npy u2 | 20.0 GB/s | **0.70** ✗ | 0.70 | 0.70 | 0.70 | 0.70 |" in text
    assert "| npy u2, LiberTEM | **3.0** ✗ |  | 5.0 |  |" in text
    assert "ValueError: no" in text
