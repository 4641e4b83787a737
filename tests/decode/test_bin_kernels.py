import numpy as np
import pytest

from napari_4dstem.decode.bin_kernels import TOGETHER, bin_frames, weigh_bins


@pytest.mark.parametrize("step", [1, 2, 3, 5, 20])
def test_bins_are_sums_of_their_pixels(step):
    frames = np.random.default_rng(0).integers(0, 99, (4, 11, 9)).astype("f4")
    frames[1, 3, 4] = np.nan
    frames[2, 0, 0] = np.inf
    counted = np.where(np.isfinite(frames), frames, 0)
    rows, columns = range(0, 11, step), range(0, 9, step)
    truth = np.add.reduceat(np.add.reduceat(counted, rows, 1), columns, 2)
    out = np.full((4, len(rows) * len(columns)), -1, "f4")
    bin_frames(frames, step, out)
    np.testing.assert_array_equal(out, truth.reshape(4, -1))


@pytest.mark.parametrize("dtype", ["u2", "f4"])
def test_weighed_bins_are_a_product_of_matrices(dtype):
    rng = np.random.default_rng(0)
    bins = rng.integers(0, 1000, (7, 2 * TOGETHER + 9)).astype(dtype)
    which, weights = np.array([0, 2, 5]), rng.normal(size=(2, 3))
    out = np.full((2, bins.shape[1]), 7.0)
    weigh_bins(bins, which, weights, 3, bins.shape[1], out)
    np.testing.assert_allclose(out[:, 3:], (weights @ bins[which])[:, 3:])
    assert (out[:, :3] == 7).all()
