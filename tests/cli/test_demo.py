"""The demo is the sample scan, written once."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import napari_4dstem as n4
from napari_4dstem import cli, sample_data
from napari_4dstem.cli import demo, windows
from tests.cli.running import run


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of our own, for a small scan."""
    folder = tmp_path / "cache"
    make = sample_data.nanoparticles
    small = (7, 8), (16, 24)
    monkeypatch.setattr("platformdirs.user_cache_path", lambda *_, **__: folder)
    monkeypatch.setattr(sample_data, "nanoparticles", lambda: make(*small))
    return folder


def test_demo_file_holds_the_sample_scan(cache: Path) -> None:
    path = demo.sample_file()
    assert path.parent == cache
    ds = n4.load("auto", path=path)
    assert ds.filetype == "mib"
    assert ds.metadata["dwell_s"] == pytest.approx(sample_data.DWELL_S)
    np.testing.assert_array_equal(ds[...], sample_data.nanoparticles().data)
    assert {file.name for file in cache.iterdir()} == {f.name for f in ds.files}
    assert len(ds.files) == 2


def test_demo_file_is_used_again(cache: Path) -> None:
    before = demo.sample_file().stat()
    after = demo.sample_file().stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_demo_file_is_written_again_if_it_is_spoiled(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = demo.sample_file()
    whole = path.read_bytes()
    for spoiled in (whole[:-1], b"", None):
        path.unlink()
        if spoiled is not None:
            path.write_bytes(spoiled)
        assert demo.sample_file().read_bytes() == whole
    monkeypatch.setattr(n4, "__version__", "99.0", raising=False)
    header = n4.load("mib", path=demo.sample_file()).metadata["header"]
    assert header["Software Version"] == "napari-4dstem 99.0"


def test_folder_that_cannot_be_written_to_is_an_error(
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(windows, "why_none", lambda: None)
    cache.write_text("not a folder")
    assert cli.main(["demo"]) == 1
    assert str(cache) in capsys.readouterr().err


@pytest.mark.window
def test_demo_saves_a_picture_of_the_window_and_ends(
    tmp_path: Path, home: dict[str, str]
) -> None:
    from qtpy.QtGui import QImage

    picture = tmp_path / "demo.png"
    result = run("-m", "napari_4dstem.cli", "demo", "--screenshot", picture, env=home)
    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stderr
    image = QImage(str(picture)).convertToFormat(QImage.Format.Format_RGB888)
    width, height = image.width(), image.height()
    assert (width, height) >= (1000, 700)
    colors = [
        image.pixelColor(x, y).getRgb()[:3]
        for x in range(0, width, 3)
        for y in range(0, height, 3)
    ]
    bright = sum(red > 200 and blue < 120 for red, _, blue in colors)
    assert bright > 25, "the transmitted disk is not there"
    gray = sum(red == green == blue > 60 for red, green, blue in colors)
    assert gray > 2000, "the map of the scan is not there"
    cache = Path(home["XDG_CACHE_HOME"])
    if sys.platform == "linux":
        assert len(list(cache.rglob("gold_nanoparticles.*"))) == 2
