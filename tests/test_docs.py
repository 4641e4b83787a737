"""The code of the documentation runs, in the order in which it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import napari_4dstem as n4

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
