"""A data set becomes one layer of four axes, and little is read for it."""

from __future__ import annotations

import pickle
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from napari_4dstem.dataset import Dataset, open_dataset
from napari_4dstem.frames.scan import ScanFrames
from napari_4dstem.layers import contrast_limits, display_notices, image_layer

DTYPES = (
    "bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64",
    "float16", "float32", "float64", "complex64", "complex128",
)  # fmt: skip


def data_set(
    nav_shape: tuple[int, ...],
    sig_shape: tuple[int, ...],
    dtype: str = "uint16",
    **parameters: Any,
) -> tuple[Dataset, NDArray[Any]]:
    count = int(np.prod(nav_shape + sig_shape))
    data = (np.arange(count) % 101).reshape(nav_shape + sig_shape).astype(dtype)
    sig_dims = len(sig_shape)
    return open_dataset("memory", data=data, sig_dims=sig_dims, **parameters), data


@pytest.fixture
def positions_read(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """The scan positions of everything that is read."""
    really_read = ScanFrames.read
    read: list[list[int]] = []

    def note(
        frames: ScanFrames, positions: NDArray[np.int64], *crop: Any
    ) -> NDArray[Any]:
        origin = frames.origin or (0,) * len(frames.nav_shape)
        index = np.unravel_index(positions, frames.nav_shape)
        shifted = tuple(i + start for i, start in zip(index, origin, strict=True))
        read.append(np.ravel_multi_index(shifted, frames.geometry.nav_shape).tolist())
        return really_read(frames, positions, *crop)

    monkeypatch.setattr(ScanFrames, "read", note)
    return read


@pytest.mark.parametrize(
    ("nav_shape", "sig_shape", "shown"),
    [
        ((3, 4), (5, 6), (3, 4, 5, 6)),
        ((7,), (5, 6), (1, 7, 5, 6)),
        ((2, 3, 4), (5, 6), (6, 4, 5, 6)),
        ((2, 2, 3, 4), (5, 6), (12, 4, 5, 6)),
        ((3, 4), (6,), (3, 4, 1, 6)),
        ((3, 4), (2, 5, 6), (3, 4, 10, 6)),
        ((7,), (6,), (1, 7, 1, 6)),
    ],
)
def test_any_number_of_axes_is_folded_into_four(
    nav_shape: tuple[int, ...], sig_shape: tuple[int, ...], shown: tuple[int, ...]
) -> None:
    ds, data = data_set(nav_shape, sig_shape)
    layer, options, kind = image_layer(ds)
    assert kind == "image"
    assert layer.shape == shown
    np.testing.assert_array_equal(layer, data.reshape(shown))
    # The data set itself keeps its axes.
    assert options["metadata"]["napari_4dstem"] is ds
    folded = sum([len(nav_shape) != 2, len(sig_shape) != 2])
    assert len(display_notices(ds)) == folded


def test_a_corrected_frame_of_many_axes_is_folded_too() -> None:
    ds, data = data_set((3, 4), (2, 5, 6))
    ds = ds.with_corrections(gain=np.full((2, 5, 6), 2))
    layer, _, _ = image_layer(ds)
    np.testing.assert_array_equal(layer, 2.0 * data.reshape(3, 4, 10, 6))


def test_the_layer_is_as_the_contract_says() -> None:
    ds, _ = data_set((3, 4), (5, 3), "uint8", name="gold")
    ds = ds.with_calibration(
        nav=[(0.5, "nm"), (0.25, "nm")], sig=[(2.0, "mrad"), (0.01, "1/nm")]
    )
    _, options, _ = image_layer(ds)
    assert options["name"] == "gold"
    assert options["rgb"] is False
    assert options["axis_labels"] == ("y", "x", "ky", "kx")
    assert options["scale"] == (0.5, 0.25, 2.0, 0.01)
    assert options["units"] == ("nm", "nm", "mrad", "1/nm")
    assert options["colormap"] == "inferno"
    assert options["cache"] is False


def test_what_is_not_known_is_in_pixels() -> None:
    ds, _ = data_set((2, 3, 4), (5, 6))
    ds = ds.with_calibration(
        nav=[(1.0, "nm"), (2.0, "nm"), (3.0, "nm")], sig=[None, (5.0, "gold")]
    )
    _, options, _ = image_layer(ds)
    # The first two axes became one, which has no step.
    assert options["scale"] == (1.0, 3.0, 1.0, 1.0)
    assert options["units"] == ("pixel", "nm", "pixel", "pixel")
    assert any("'gold'" in notice for notice in display_notices(ds))


def test_complex_data_are_shown_by_their_magnitude() -> None:
    data = np.array([[[[3 + 4j, 0], [1, -1j]]]], dtype="c8")
    ds = open_dataset("memory", data=data)
    layer, _, _ = image_layer(ds)
    np.testing.assert_array_equal(layer, np.abs(data))
    assert "magnitude" in display_notices(ds)[0]


@pytest.mark.parametrize("dtype", ["u2", "c8"])
def test_slices_of_the_layer_are_those_of_the_data(dtype: str) -> None:
    ds, data = data_set((3, 4), (5, 6), dtype)
    layer, _, _ = image_layer(ds)
    data = abs(data)
    for key in (
        ...,
        (2, 1),
        (slice(None), slice(None), 3, 4),
        (slice(0, 3, 2), -1),
        (Ellipsis, slice(1, 3)),
        (slice(1, 2), slice(None), [0, 3]),
        ([True, False, True],),
    ):
        np.testing.assert_array_equal(layer[key], data[key])
    copied = pickle.loads(pickle.dumps(layer))
    np.testing.assert_array_equal(copied[2, 1], data[2, 1])
    np.testing.assert_array_equal(layer.sum(axis=(2, 3)), data.sum(axis=(2, 3)))


@pytest.mark.parametrize("dtype", DTYPES)
def test_napari_takes_every_dtype(dtype: str) -> None:
    pytest.importorskip("napari")
    from napari.layers import Image

    ds, _ = data_set((3, 4), (5, 6), dtype)
    data, options, _ = image_layer(ds)
    layer = Image(data, **options)
    assert layer.contrast_limits[0] < layer.contrast_limits[1]
    assert [str(unit) for unit in layer.units] == ["pixel"] * 4


@pytest.mark.parametrize("dtype", ["u2", "c8"])
def test_napari_reads_the_frame_that_it_shows_and_no_more(
    dtype: str, tmp_path: Any, positions_read: list[list[int]]
) -> None:
    pytest.importorskip("napari")
    from napari.components import ViewerModel
    from napari.layers import Image

    np.save(tmp_path / "scan.npy", np.zeros((50, 40, 8, 8), dtype))
    data, options, _ = image_layer(open_dataset("auto", tmp_path / "scan.npy"))
    assert sum(map(len, positions_read)) == 9
    viewer = ViewerModel()
    positions_read.clear()
    viewer.add_layer(Image(data, **options))
    viewer.dims.set_current_step((0, 1), (3, 7))
    assert {len(read) for read in positions_read} == {1}
    assert positions_read[-1] == [3 * 40 + 7]


def test_contrast_comes_from_a_few_frames_all_over_the_scan(
    positions_read: list[list[int]],
) -> None:
    ds, _ = data_set((30, 30), (4, 4))
    contrast_limits(ds)
    read = sorted(at for request in positions_read for at in request)
    assert len(set(read)) == len(read) == 9
    assert max(np.diff([0, *read, 900])) <= 101


def test_contrast_reads_large_frames_one_by_one(
    positions_read: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_4dstem.layers.CONTRAST_NBYTES", 100)
    ds, _ = data_set((30, 30), (40, 40))
    contrast_limits(ds)
    assert sum(map(len, positions_read)) == 1


@pytest.mark.parametrize(("seconds", "count"), [(9, 1), (1.1, 1), (0.3, 3), (0.1, 9)])
def test_contrast_takes_no_longer_than_the_window_may_wait(
    seconds: float,
    count: int,
    positions_read: list[list[int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = types.SimpleNamespace(now=0.0, monotonic=lambda: clock.now)
    monkeypatch.setattr("napari_4dstem.layers.time", clock)
    really_read = ScanFrames.read

    def read(frames: ScanFrames, positions: Any, *crop: Any) -> NDArray[Any]:
        clock.now += seconds * len(positions)
        return really_read(frames, positions, *crop)

    monkeypatch.setattr(ScanFrames, "read", read)
    ds, _ = data_set((30, 30), (4, 4))
    contrast_limits(ds)
    assert sum(map(len, positions_read)) == count


def test_contrast_of_scattered_frames_comes_from_few_pixels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = np.random.default_rng(1).integers(0, 1000, (6, 6, 96, 64)).astype("u2")
    np.save(tmp_path / "c.npy", data)
    np.save(tmp_path / "f.npy", np.asfortranarray(data))
    really_read, read = ScanFrames.read, []

    def note(frames: ScanFrames, *request: Any) -> NDArray[Any]:
        read.append(really_read(frames, *request))
        return read[-1]

    monkeypatch.setattr(ScanFrames, "read", note)
    limits = {}
    for name in ("c", "f"):
        read.clear()
        limits[name] = contrast_limits(open_dataset("npy", tmp_path / f"{name}.npy"))
        assert {pixels[0].size for pixels in read} == {96 * 64 if name == "c" else 1024}
    assert limits["f"] == pytest.approx(limits["c"], abs=10)


def test_contrast_comes_from_frames_that_exist() -> None:
    data = np.full((2, 6, 6), 7, "u2")
    ds = open_dataset("memory", data=data, nav_shape=(10, 10), sync_offset=-1)
    assert contrast_limits(ds) == (0.0, 7.0)


@pytest.mark.parametrize(
    ("pixels", "limits"),
    [
        (np.zeros(1000, "u2"), (0, 1)),
        (np.zeros(1000, "f4"), (0, 1)),
        (np.r_[np.zeros(9990), [1] * 10].astype("u1"), (0, 1)),
        (np.full(1000, np.nan, "f4"), (0, 1)),
        (np.full(1000, np.inf, "f8"), (0, 1)),
        (np.linspace(0, 1e-3, 1001), (1e-6, 9.99e-4)),
        (np.linspace(0, 1e-3, 1001) + 0j, (1e-6, 9.99e-4)),
        (np.r_[np.nan, np.inf, np.linspace(-5, 5, 1001)].astype("f4"), (-4.99, 4.99)),
        (np.arange(10001, dtype="i4") - 5000, (-4990, 4990)),
        (np.arange(1000) > 500, (0, 1)),
        (np.full(1000, 2**63, "u8"), (0, 2**63)),
    ],
)
def test_contrast_is_that_of_the_finite_pixels(
    pixels: NDArray[Any], limits: tuple[float, float]
) -> None:
    ds = open_dataset("memory", data=pixels[np.newaxis, np.newaxis, np.newaxis])
    assert contrast_limits(ds) == pytest.approx(limits, rel=1e-4)


@settings(max_examples=30, deadline=None)
@given(
    nav_shape=st.lists(st.integers(1, 5), min_size=1, max_size=4),
    sig_shape=st.lists(st.integers(1, 5), min_size=1, max_size=3),
    sync_offset=st.integers(-1000, 1000),
    dtype=st.sampled_from(DTYPES),
)
def test_any_data_set_has_a_layer(
    nav_shape: list[int], sig_shape: list[int], sync_offset: int, dtype: str
) -> None:
    count = int(np.prod(nav_shape))
    ds, _ = data_set(
        tuple(nav_shape), tuple(sig_shape), dtype, sync_offset=sync_offset % count
    )
    data, options, _ = image_layer(ds)
    low, high = options["contrast_limits"]
    assert low < high
    truth = np.abs(ds[...]) if ds.dtype.kind == "c" else ds[...]
    np.testing.assert_array_equal(data, truth.reshape(data.shape))
