"""Several scans in the list of a real window: of any kind, added, renamed, removed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import napari_4dstem as n4
from napari_4dstem.axes import Sampling
from napari_4dstem.layers import image_layer
from tests.gui.explorer.test_controller import pixels
from tests.gui.explorer.test_dock import opened, wait_until_exact

pytestmark = pytest.mark.window


def names(explorer: Any) -> list[str]:
    box = explorer.scans.box
    return [box.itemText(index) for index in range(box.count())]


def choose(explorer: Any, name: str, qtbot: Any) -> None:
    qtbot.waitUntil(lambda: name in names(explorer), timeout=5000)
    explorer.scans.box.activated.emit(names(explorer).index(name))
    wait_until_exact(explorer, qtbot)


def test_scans_may_come_and_go_and_change_their_names(viewer: Any, qtbot: Any) -> None:
    _, explorer = opened(viewer, qtbot)
    second = viewer.add_image(pixels() + 1, name="second", rgb=False)
    third = viewer.add_image(pixels() + 2, name="third", rgb=False)
    qtbot.waitUntil(
        lambda: names(explorer) == ["scan", "second", "third"], timeout=5000
    )
    # beside maps in nm they would leave the canvas without a scale bar
    assert second not in viewer.layers
    assert third not in viewer.layers
    assert [str(unit) for unit in viewer.layers.units] == ["nanometer"] * 2
    choose(explorer, "third", qtbot)
    explorer.scans.remove_button.click()
    qtbot.waitUntil(lambda: names(explorer) == ["scan", "second"], timeout=5000)
    assert explorer.scans.box.currentText() == "scan"
    choose(explorer, "second", qtbot)
    assert explorer.controller.layer is second
    choose(explorer, "scan", qtbot)
    assert explorer.controller.ds.calibration.nav[0].unit == "nm"


def test_scans_in_the_list_of_layers_follow_their_names(
    viewer: Any, qtbot: Any
) -> None:
    viewer.layers.clear()
    _, explorer = opened(viewer, qtbot)
    qtbot.wait(100)  # it has looked for a scan by then
    first = viewer.add_image(pixels(), name="first", rgb=False)
    second = viewer.add_image(pixels(), name="second", rgb=False)
    qtbot.waitUntil(lambda: names(explorer) == ["first", "second"], timeout=5000)
    second.name = "renamed"
    qtbot.waitUntil(lambda: names(explorer) == ["first", "renamed"], timeout=5000)
    viewer.layers.remove(first)
    qtbot.waitUntil(lambda: names(explorer) == ["renamed"], timeout=5000)


def test_all_scans_are_given_back_where_their_units_fit(
    viewer: Any, qtbot: Any, said: list[tuple[str, str]]
) -> None:
    viewer.layers.clear()
    plain = [
        viewer.add_image(pixels(), name=name, rgb=False) for name in ("one", "two")
    ]
    dock, _ = opened(viewer, qtbot)
    qtbot.waitUntil(lambda: not any(each in viewer.layers for each in plain))
    calibrated = n4.load("memory", data=pixels(), name="nm").with_calibration(
        (Sampling(2, "nm"),) * 2, (Sampling(0.5, "mrad"),) * 2
    )
    data, options, _ = image_layer(calibrated)
    homeless = viewer.add_image(data, **options)
    qtbot.waitUntil(lambda: homeless not in viewer.layers, timeout=5000)
    dock.destroyOnClose()
    qtbot.waitUntil(lambda: all(each in viewer.layers for each in plain), timeout=5000)
    assert homeless not in viewer.layers
    assert said[-1][1].startswith("nm: kept out of the list of layers")


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
