"""A small scan in a real window, for the tests of the Explorer."""

from __future__ import annotations

from typing import Any

import pytest

import napari_4dstem as n4
from napari_4dstem.axes import Sampling
from napari_4dstem.layers import image_layer
from tests.gui.explorer.test_controller import pixels


@pytest.fixture
def ds() -> n4.Dataset:
    return n4.load("memory", data=pixels(), name="scan").with_calibration(
        (Sampling(2, "nm"),) * 2, (Sampling(0.5, "mrad"),) * 2
    )


@pytest.fixture
def viewer(make_napari_viewer: Any, ds: n4.Dataset) -> Any:
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1200, 760)
    data, options, _ = image_layer(ds)
    viewer.add_image(data, **options)
    return viewer
