import numpy as np
import pytest

import napari_4dstem as n4

NAV_SHAPE, SIG_SHAPE = (9, 11), (13, 10)


def pixels(dtype, seed=0):
    """Pixels of a scan, up to the extremes of their type."""
    rng = np.random.default_rng(seed)
    shape = NAV_SHAPE + SIG_SHAPE
    dtype = np.dtype(dtype)
    if dtype.kind in "ui":
        limits = np.iinfo(dtype)
        return rng.integers(limits.min, limits.max, shape, dtype.type, True).astype(
            dtype
        )
    if dtype.kind == "b":
        return rng.random(shape) < 0.5
    values = rng.normal(size=shape)
    return (values * (1 + 1j) if dtype.kind == "c" else values).astype(dtype)


@pytest.fixture
def scan():
    return n4.load("memory", data=pixels("u2"))


@pytest.fixture
def blank_scan(scan):
    """The first 5 positions, and some later ones, have no frame."""
    return scan.with_scan(nav_shape=(10, 10), sync_offset=-5)
