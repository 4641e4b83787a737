"""Several scans in the list of a real window: of any kind, added, renamed, removed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import napari_4dstem as n4
from tests.gui.explorer.test_controller import pixels
from tests.gui.explorer.test_dock import opened, wait_until_exact

pytestmark = pytest.mark.window


def names(explorer: Any) -> list[str]:
    box = explorer.data_sets
    return [box.itemText(index) for index in range(box.count())]


def choose(explorer: Any, name: str, qtbot: Any) -> None:
    qtbot.waitUntil(lambda: name in names(explorer), timeout=5000)
    explorer.data_sets.activated.emit(names(explorer).index(name))
    wait_until_exact(explorer, qtbot)


def test_scans_may_come_and_go_and_change_their_names(viewer: Any, qtbot: Any) -> None:
    _, explorer = opened(viewer, qtbot)
    second = viewer.add_image(pixels() + 1, name="second", rgb=False)
    third = viewer.add_image(pixels() + 2, name="third", rgb=False)
    qtbot.waitUntil(
        lambda: names(explorer) == ["scan", "second", "third"], timeout=5000
    )
    second.name = "renamed"
    qtbot.waitUntil(
        lambda: names(explorer) == ["scan", "renamed", "third"], timeout=5000
    )
    viewer.layers.remove(third)
    qtbot.waitUntil(lambda: names(explorer) == ["scan", "renamed"], timeout=5000)
    assert explorer.data_sets.currentText() == "scan"
    choose(explorer, "renamed", qtbot)
    assert explorer.controller.layer is second
    choose(explorer, "scan", qtbot)
    assert explorer.controller.ds.calibration.nav[0].unit == "nm"


KINDS = {
    "true and false": pixels() > 100,
    "signed": (pixels() // 2).astype("i1"),
    "half": pixels().astype("f2"),
    "double": pixels().astype("f8"),
    "big-endian": pixels().astype(">u2"),
    "not a number": np.where(pixels() == 200, np.nan, pixels()).astype("f4"),
    "nothing": np.zeros((3, 4, 10, 11), "u2"),
    "one position": pixels()[:1, :1],
    "a line of pixels": pixels()[..., :1, :],
    "like colors": pixels()[..., :4].astype("u1"),
}


@pytest.mark.parametrize("kind", [*KINDS, "dask", "zarr", "multiscale", "scaled"])
def test_any_layer_of_four_axes_is_explored(viewer: Any, qtbot: Any, kind: str) -> None:
    viewer.layers.clear()
    whole: Any = KINDS.get(kind, pixels())
    data: Any = whole
    options: dict[str, Any] = {"name": kind, "rgb": False}
    if kind == "dask":
        data = pytest.importorskip("dask.array").from_array(whole, chunks=(3, 4, 10, 7))
    elif kind == "zarr":
        data = pytest.importorskip("zarr").array(whole, chunks=(4, 4, 24, 26))
    elif kind == "multiscale":
        data = [whole, whole[:, :, ::2, ::2]]
        options["multiscale"] = True
    elif kind == "scaled":
        options |= {"scale": (2, 3, 0.5, 0.5), "translate": (10, -5, 3, 4)}
        options["units"] = ("nm", "nm", "mrad", "mrad")
    viewer.add_image(data, **options)
    _, explorer = opened(viewer, qtbot)
    controller = explorer.controller
    (entry,) = controller.detectors.entries
    assert entry.detector is not None
    ds = n4.load("memory", data=whole, sig_dims=2)
    expected = n4.virtual_image(ds, entry.detector)
    np.testing.assert_allclose(entry.image.data, expected, rtol=1e-6)
    at = controller.patterns.position
    qtbot.waitUntil(
        lambda: (
            np.array_equal(controller.patterns.layer.data, whole[at], True)
            if whole.dtype.kind == "f"
            else np.array_equal(controller.patterns.layer.data, whole[at])
        ),
        timeout=5000,
    )
    if kind == "scaled":
        np.testing.assert_allclose(entry.image.scale, (2, 3))
        np.testing.assert_allclose(entry.image.translate, (10, -5))
        np.testing.assert_allclose(controller.patterns.layer.translate, (3, 4))
