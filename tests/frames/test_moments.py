"""First moments of frames: the same as in plain numpy, however frames lie in memory."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_4dstem.frames.batches import DenseBatch
from napari_4dstem.frames.masks import Masks
from tests.frames.arrangements import FEW_DTYPES, as_numbers, frames, masks


def moments_in_numpy(stored, mask, dtype):
    inside = mask != 0
    picked = as_numbers(stored[:, inside], dtype) * mask[inside].astype(dtype)
    ky, kx = (position.astype(dtype) for position in np.nonzero(inside))
    sums = [(picked * weight).sum(axis=1, dtype=dtype) for weight in (ky**0, ky, kx)]
    return np.stack(sums, axis=1)


@settings(deadline=None, max_examples=300)  # the first of a type compiles
@given(data=st.data())
def test_moments_equal_plain_numpy(data):
    stored = data.draw(frames(FEW_DTYPES))
    (mask, *_) = data.draw(masks(stored.shape[1:]))
    compiled = None if data.draw(st.booleans()) else Masks([mask])
    if compiled is None:
        mask = np.ones(stored.shape[1:], bool)
    out = np.full((len(stored), 3), 77, Masks([mask]).sum_dtype(stored.dtype))
    DenseBatch(stored).moments(compiled, out)
    with np.errstate(over="ignore"):
        expected = moments_in_numpy(stored, mask, out.dtype)
    if out.dtype.kind == "f":
        scale = np.abs(as_numbers(stored, "f8")).max(initial=1) * mask.size
        np.testing.assert_allclose(out, expected, rtol=1e-6, atol=1e-7 * scale)
    else:
        np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("dtype", ["u1", "<u2", ">i2"])
@pytest.mark.parametrize("shape", [(70_000, 40), (3, 70_000)])
def test_moments_of_long_rows_and_columns_do_not_overflow(dtype, shape):
    value = int(np.iinfo(dtype).max)
    out = np.zeros((1, 3), "i8" if "i" in dtype else "u8")
    DenseBatch(np.full((1, *shape), value, dtype)).moments(None, out)
    height, width = shape
    total = value * height * width
    assert out[0].tolist() == [
        total,
        total * (height - 1) // 2,
        total * (width - 1) // 2,
    ]


def test_nan_outside_of_the_mask_does_not_matter():
    stored = np.ones((2, 20, 20), "f4")
    stored[0, 0, 0] = np.nan
    mask = np.zeros((20, 20), bool)
    mask[4, 6] = True
    out = np.zeros((2, 3))
    DenseBatch(stored).moments(Masks([mask]), out)
    assert out.tolist() == [[1, 4, 6]] * 2
