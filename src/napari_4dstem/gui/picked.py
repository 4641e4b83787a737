"""The data set behind an image layer, whoever made the layer."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image

from napari_4dstem.axes import Calibration, sampling
from napari_4dstem.dataset import Dataset, load
from napari_4dstem.errors import FormatError
from napari_4dstem.layers import KNOWN_UNITS, METADATA_KEY, shown_data_set

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.viewer import Viewer

AXES = 4


def is_scan(layer: Layer) -> bool:
    """Whether a layer is a scan of patterns: an image of four axes."""
    return (
        isinstance(layer, Image) and not layer.rgb and len(_array(layer).shape) == AXES
    )


def active_layer(viewer: Viewer) -> Layer | None:
    """Return the layer that is selected, itself.

    A plugin gets a viewer that wraps the layers it hands out, but not in a loop.
    """
    active = viewer.layers.selection.active
    return next((layer for layer in viewer.layers if layer == active), None)


def data_set_of(layer: Image) -> Dataset:
    """Return the data set of a layer.

    Parameters
    ----------
    layer : Image
        Ours, or of any numpy, dask or zarr array of four axes (y, x, ky, kx).

    Returns
    -------
    Dataset
        With two scan axes and two detector axes, as the layer has them.

    Raises
    ------
    FormatError
        If the layer has not four axes.
    """
    array = _array(layer)
    if not is_scan(layer):
        raise FormatError(
            None,
            f"the layer {layer.name!r} is no scan of patterns",
            expected="an image of four axes (y, x, ky, kx)",
            found=f"{len(array.shape)} axes",
        )
    ds = layer.metadata.get(METADATA_KEY)
    if isinstance(ds, Dataset) and (
        ds.corrections is None or len(ds.sig_shape) == AXES - 2
    ):
        shown = shown_data_set(ds)
        # Somebody may have put other data into the layer.
        is_same = shown.dtype == array.dtype or shown.dtype.kind == "c"
        if shown.shape == tuple(array.shape) and is_same:
            return shown
    filetype = "memory" if isinstance(array, np.ndarray) else "dask"
    if filetype == "dask" and not hasattr(array, "dask"):
        import dask.array as da

        array = da.from_array(array)
    ds = load(filetype, data=array, sig_dims=2, name=layer.name)
    calibration = _calibration_of(layer)
    return replace(ds, calibration=calibration, file_calibration=calibration)


def _calibration_of(layer: Layer) -> Calibration:
    axes = map(sampling, layer.scale, map(str, layer.units))
    known = [axis if axis and axis.unit in KNOWN_UNITS else None for axis in axes]
    return Calibration(tuple(known[: AXES // 2]), tuple(known[AXES // 2 :]))


def _array(layer: Any) -> Any:
    return layer.data[0] if getattr(layer, "multiscale", False) else layer.data
