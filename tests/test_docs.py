"""What the documentation says is so: its code runs, its pictures can be made."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import napari_4dstem as n4
from napari_4dstem.analysis.map_record import MapRecord
from napari_4dstem.reader import make_nanoparticles
from napari_4dstem.script import script_of

PAGE = Path(__file__).parents[1] / "docs" / "analyse.md"


@pytest.fixture
def path(tmp_path):
    """A scan of disks that a wavy specimen deflects."""
    rng = np.random.default_rng(0)
    y, x, ky, kx = np.indices((24, 28, 32, 36))
    shift = np.sin(y / 4), np.cos(x / 5)
    disk = np.hypot(ky - 15 - shift[0], kx - 17 - shift[1]) < 7
    np.save(
        tmp_path / "scan.npy",
        np.minimum(rng.poisson(4000 * disk + 0.2), 4095).astype("u2"),
    )
    return tmp_path / "scan.npy"


def test_the_page_of_the_analyses_runs_and_tells_the_truth(path):
    pytest.importorskip("distributed", reason="pip install 'napari-4dstem[cluster]'")
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(blocks) > 8
    names = {"path": path}
    for block in blocks:
        exec(compile(block, str(PAGE), "exec"), names)
    data = np.load(path)
    ring = names["ring"].mask(data.shape[2:])
    assert names["disk"].center == pytest.approx((15, 17), abs=0.3)
    np.testing.assert_array_equal(names["image"], data[..., ring].sum(axis=-1))
    np.testing.assert_array_equal(names["images"][1], names["image"])
    np.testing.assert_array_equal(names["on_cluster"], names["image"])
    np.testing.assert_allclose(names["mean"], data.mean(axis=(0, 1)))
    assert names["value"] == data.max()
    assert data[tuple(names["position"])].max() == data.max()
    np.testing.assert_array_equal(names["counts"], (data >= 4095).sum(axis=(2, 3)))
    assert names["step"].is_exact
    moved = n4.Disk((names["y"], names["x"] + 1), names["r"]).mask(data.shape[2:])
    np.testing.assert_array_equal(names["step"].image, data[..., moved].sum(axis=-1))


DOCS = Path(__file__).parents[1] / "docs"
PAGES = [*DOCS.rglob("*.md"), DOCS.parent / "README.md"]
SCREENSHOTS_S = 300


def pictures_of(page: Path) -> set[Path]:
    """Return the files of the pictures that a page shows."""
    shown = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", page.read_text())
    return {(page.parent / path).resolve() for path in shown}


def test_every_picture_is_shown_and_every_shown_picture_is_there():
    shown = set().union(*map(pictures_of, PAGES))
    assert set((DOCS / "images").iterdir()) == {
        path for path in shown if path.parent == DOCS / "images"
    }
    assert all(path.is_file() for path in shown)


@pytest.mark.window
def test_the_tutorial_can_be_followed_and_photographed(tmp_path):
    # In a process of its own: it opens windows, and closes them.
    subprocess.run(
        [sys.executable, "-m", "docs.screenshots", str(tmp_path)],
        check=True,
        cwd=DOCS.parent,
        timeout=SCREENSHOTS_S,
    )
    pillow = pytest.importorskip("PIL.Image")
    made = {path.name: np.asarray(pillow.open(path)) for path in tmp_path.iterdir()}
    assert set(made) == {path.name for path in (DOCS / "images").glob("*.png")}
    for name, picture in made.items():
        assert picture[..., :3].std() > 10, f"{name} is blank"


def test_script_of_the_tutorial_is_the_one_that_is_copied():
    (block,) = re.findall(
        r"```python\n(.*?)```", (DOCS / "tutorial.md").read_text(), re.DOTALL
    )
    (layer,) = make_nanoparticles()
    ds = layer[1]["metadata"]["napari_4dstem"]
    ring = n4.Annulus((46.05, 49.84), inner=14.12, outer=28.24)
    lines = script_of(MapRecord(ds, ring)).splitlines()
    assert block.splitlines() == lines[1:]  # the first one has the version
