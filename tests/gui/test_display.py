"""What napari draws of a data set."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_4dstem.dataset import open_dataset
from napari_4dstem.layers import image_layer
from tests.test_layers import DTYPES

pytestmark = pytest.mark.window


def test_every_dtype_is_drawn(make_napari_viewer: Any, qtbot: Any) -> None:
    viewer = make_napari_viewer(show=True)
    left_dark = np.repeat([[0, 1]], 20, axis=0).repeat(10, axis=1)
    for dtype in DTYPES:
        data = np.zeros((2, 3, 20, 20), dtype)
        data[1, 2] = left_dark.astype(dtype)
        layer, options, _ = image_layer(open_dataset("memory", data=data))
        viewer.layers.clear()
        viewer.add_image(layer, **(options | {"colormap": "gray"}))
        for position, brightness in (((1, 2), 255), ((0, 0), 0)):
            viewer.dims.set_current_step((0, 1), position)
            picture = viewer.screenshot(flash=False)[..., 0]
            height, width = picture.shape
            row = picture[height // 2]
            assert row[width // 2 + 20] == brightness, (dtype, position)
            assert row[width // 2 - 20] == 0, (dtype, position)


def test_the_sample_opens_from_the_menu_of_samples(make_napari_viewer: Any) -> None:
    viewer = make_napari_viewer()
    (layer,) = viewer.open_sample("napari-4dstem", "nanoparticles")
    assert layer.ndim == 4
    assert [str(unit) for unit in layer.units] == ["nanometer"] * 2 + [
        "milliradian"
    ] * 2
