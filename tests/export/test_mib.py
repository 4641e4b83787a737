"""What is written as MIB is read as it was."""

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import napari_4dstem as n4
from napari_4dstem.export.mib import write_mib

STARTED = datetime(2025, 3, 14, 11, 30, 0, 500_000, timezone(timedelta(hours=1)))


def counts(dtype: str, shape: tuple[int, ...] = (3, 5, 6, 4)) -> NDArray[Any]:
    return np.random.default_rng(1).integers(0, 200, shape).astype(dtype)


@pytest.mark.parametrize("dtype", ["u1", "<u2", ">u2", "u4"])
def test_scan_reads_back_equal(tmp_path: Path, dtype: str) -> None:
    data = counts(dtype)
    path = tmp_path / "scan.mib"
    write_mib(path, data, (3, 5), dwell_s=2e-3, started=STARTED)
    for opened in (path, path.with_suffix(".hdr")):
        ds = n4.load("auto", path=opened)
        assert ds.filetype == "mib"
        assert ds.nav_shape == (3, 5)  # 15 frames: from the .hdr, it is no square
        assert ds.dtype == np.dtype(dtype).newbyteorder("=")
        np.testing.assert_array_equal(ds[...], data)
        assert set(ds.files) == {path, path.with_suffix(".hdr")}
        assert not ds.problems


def test_header_tells_times_and_settings(tmp_path: Path) -> None:
    path = tmp_path / "scan.mib"
    write_mib(
        path,
        counts("u2"),
        (3, 5),
        dwell_s=2e-3,
        started=STARTED,
        threshold_kev=12,
        software="test 1.0",
    )
    metadata = n4.load("mib", path=path).metadata
    assert metadata["timestamp"] == "2025-03-14T10:30:00.500000000Z"
    assert metadata["exposure_s"] == pytest.approx(2e-3)
    assert metadata["dwell_s"] == pytest.approx(2e-3)
    assert metadata["counter_depth"] == 12
    assert metadata["header"]["thresholds_keV"] == [12, 511, 0, 0, 0, 0, 0, 0]
    assert metadata["header"]["Software Version"] == "test 1.0"


def test_headers_are_laid_out_like_those_of_the_instrument(tmp_path: Path) -> None:
    path = tmp_path / "scan.mib"
    data = counts("u2")
    write_mib(path, data, (3, 5), dwell_s=2e-3, started=STARTED)
    stored = path.read_bytes()
    stride = 384 + 6 * 4 * 2
    assert len(stored) == 15 * stride
    for i in range(15):
        header = stored[i * stride :][:384].rstrip(b"\0").decode().split(",")
        assert header[:9] == [
            "MQ1", f"{i + 1:06}", "00384", "01", "0004", "0006", "U16", "   1x1", "01"
        ]  # fmt: skip
        assert header[9] == f"2025-03-14 11:30:00.{500 + 2 * i}000"
        assert header[10:14] == ["0.002000", "0", "0", "0"]
        assert header[14:16] == ["2.000000E+1", "5.110000E+2"]
        assert len(header[14:22]) == 8
        assert header[22] == "3RX"
        assert all(dac.isdecimal() for dac in header[23:50])
        assert header[50:] == [
            "MQ1A", f"2025-03-14T10:30:00.{500 + 2 * i}000000Z", "2000000ns", "12", ""
        ]  # fmt: skip
    hdr = path.with_suffix(".hdr").read_bytes()
    assert len(hdr) == 2048
    assert hdr.startswith(b"HDR,\t\r\n")
    assert hdr.rstrip(b" ").endswith(b"\r\nEnd\t")


def test_blocks_may_come_one_by_one_and_in_any_size(tmp_path: Path) -> None:
    data = counts("u2")
    frames = data.reshape(-1, 6, 4)
    path = tmp_path / "scan.mib"
    blocks = (frames[a:b] for a, b in ((0, 1), (1, 9), (9, 9), (9, 15)))
    write_mib(path, blocks, (3, 5), dwell_s=1e-3, started=STARTED)
    np.testing.assert_array_equal(n4.load("mib", path=path)[...], data)


@pytest.mark.parametrize(
    ("blocks", "problem"),
    [
        ([], "do not fill"),
        ([counts("u2", (14, 6, 4))], "do not fill"),
        ([counts("u2", (16, 6, 4))], "do not fill"),
        ([counts("u2", (14, 6, 4)), counts("u2", (1, 4, 6))], "number 14 on differ"),
        ([counts("u2", (14, 6, 4)), counts("u1", (1, 6, 4))], "number 14 on differ"),
        ([counts("f4", (15, 6, 4))], "cannot hold"),
        ([counts("u2", (6, 4))], "cannot hold"),
    ],
)
def test_target_stays_as_it_was_after_an_error(
    tmp_path: Path, blocks: list[NDArray[Any]], problem: str
) -> None:
    path = tmp_path / "scan.mib"
    path.write_bytes(b"precious")
    with pytest.raises(n4.FormatError, match=problem):
        write_mib(path, blocks, (3, 5), dwell_s=1e-3, started=STARTED)
    assert path.read_bytes() == b"precious"
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_is_left_when_the_source_fails(tmp_path: Path) -> None:
    def blocks() -> Any:
        yield counts("u2", (4, 6, 4))
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        write_mib(tmp_path / "a.mib", blocks(), (3, 5), dwell_s=1, started=STARTED)
    assert not list(tmp_path.iterdir())
