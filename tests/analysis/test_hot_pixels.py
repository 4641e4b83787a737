import threading

import numpy as np
import pytest

import napari_4dstem as n4
from napari_4dstem.errors import ParameterError
from napari_4dstem.sample_data import nanoparticles
from tests.analysis.truth import facts, needs_truth, truth
from tests.live.scans import counted


def in_memory(data):
    return n4.load("memory", data=np.ascontiguousarray(data))


def where(mask):
    return [tuple(index) for index in np.argwhere(mask).tolist()]


def bad(kind):
    """Pixels that are bad in the simulated scan, but for the one that sees no light."""
    return sorted(
        (pixel["ky"], pixel["kx"])
        for pixel in facts()["bad_pixels"]
        if pixel["kind"] == kind and (pixel["ky"], pixel["kx"]) != (75, 83)
    )


@pytest.fixture(scope="module")
def sample():
    data = nanoparticles((32, 32), (96, 96)).data
    data.flags.writeable = False
    return data


# What is bad is found, and nothing else.


@needs_truth
def test_bad_pixels_of_a_scan_are_found_and_no_others():
    found = n4.find_hot_pixels(in_memory(truth("data")))
    assert where(found.hot) == bad("hot")
    assert where(found.dead) == bad("dead")
    assert where(found.mask) == sorted(bad("hot") + bad("dead"))
    assert str(found) == "3 hot and 3 dead pixels, found in 256 frames"


@needs_truth
@pytest.mark.parametrize("make", [np.mean, np.sum])
def test_a_mean_or_sum_of_frames_is_enough(make):
    found = n4.find_hot_pixels(make(truth("data"), axis=(0, 1)))
    assert where(found.hot) == bad("hot")
    assert where(found.dead) == bad("dead")
    assert found.num_frames == 1


@needs_truth
@pytest.mark.parametrize("corrected", [False, True])
def test_pixels_of_unequal_gain_are_not_bad(corrected):
    ds = in_memory(truth("uncorrected"))
    if corrected:
        ds = ds.with_corrections(gain=1 / truth("gain"))
    found = n4.find_hot_pixels(ds)
    assert where(found.hot) == bad("hot")
    # one of the three is too dim for how much these pixels differ
    assert set(bad("dead")) >= set(where(found.dead)) >= {(46, 33), (47, 33)}


@needs_truth
def test_repaired_scan_has_the_centers_of_mass_of_the_truth():
    ds = in_memory(truth("data"))
    repaired = ds.with_corrections(excluded=n4.find_hot_pixels(ds).mask)
    error = n4.center_of_mass(repaired) - truth("com")
    # 0.058 px are counting noise; unrepaired it is 8 times as much
    assert np.sqrt((error**2).mean()) < 0.062
    assert np.sqrt(((n4.center_of_mass(ds) - truth("com")) ** 2).mean()) > 0.4


@pytest.mark.parametrize("offset", [0, 1000])
@pytest.mark.parametrize("noise", [0, 2])
def test_any_camera_shows_its_bad_pixels(sample, offset, noise):
    rng = np.random.default_rng(0)
    data = sample * 3.7 + rng.normal(offset, noise, sample.shape)
    hot, dead = (50, 40), (48, 50)  # dead in the disk
    assert (sample.mean((0, 1))[dead]) > 20
    data[:, :, *hot] += 60
    data[:, :, *dead] = offset
    found = n4.find_hot_pixels(in_memory(data.astype("f4")))
    assert where(found.hot) == [hot]
    assert where(found.dead) == [dead]


def test_pairs_and_pixels_on_the_border_are_found():
    data = np.random.default_rng(0).poisson(20, (16, 16, 64, 64)).astype("u4")
    values = {
        (0, 0): 400,
        (0, 1): 4000,
        (63, 30): 2**32 - 1,
        (40, 40): 300,
        (41, 40): 300,
        (41, 41): 3000,
    }
    for (ky, kx), value in values.items():
        data[..., ky, kx] = value
    found = n4.find_hot_pixels(in_memory(data))
    assert where(found.hot) == sorted(values)
    assert not found.dead.any()


def test_the_only_pixel_that_counts_is_hot():
    data = np.zeros((8, 8, 20, 20), "u1")
    data[:, :, 3, 4] = 2
    assert where(n4.find_hot_pixels(in_memory(data)).mask) == [(3, 4)]


def test_pixels_that_are_never_a_number_are_dead():
    data = np.random.default_rng(0).normal(5, 1, (8, 8, 20, 20)).astype("f4")
    data[..., 5, 6], data[..., 9, 9] = np.nan, np.inf
    data[2, 3] = np.nan  # a single lost frame
    found = n4.find_hot_pixels(in_memory(data))
    assert where(found.dead) == [(5, 6), (9, 9)]
    assert not found.hot.any()


@pytest.mark.parametrize(("sigma", "missed"), [(8, 0.2), (10, 0.03), (12, 0)])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("noise", ["counts", "camera"])
def test_what_stands_out_of_noise_is_found(sigma, missed, sign, noise):
    rng = np.random.default_rng(0)
    shape = 256, 256
    if noise == "counts":
        frame, deviation = rng.poisson(400, shape), 20
    else:
        frame, deviation = rng.normal(1e4, 0.5, shape), 0.5
    bad = np.zeros(shape, bool)
    bad[4::16, 4::16] = True
    frame = np.where(bad, frame + sign * sigma * deviation, frame)
    found = n4.find_hot_pixels(frame)
    mine, other = (found.hot, found.dead)[::sign]
    assert np.count_nonzero(bad & ~mine) <= missed * np.count_nonzero(bad)
    assert not (mine & ~bad).any()
    assert not other.any()


# What is not bad is left alone.


def test_nothing_is_found_in_a_clean_scan(sample):
    rng = np.random.default_rng(0)
    noisy = sample * 3.7 + rng.normal(1000, 2, sample.shape)
    uneven = sample * rng.normal(1, 0.05, sample.shape[2:])
    assert not n4.find_hot_pixels(in_memory(sample)).mask.any()
    assert not n4.find_hot_pixels(sample.mean((0, 1))).mask.any()
    assert not n4.find_hot_pixels(sample[3, 5]).mask.any()
    assert not n4.find_hot_pixels(in_memory(noisy.astype("f4"))).mask.any()
    assert not n4.find_hot_pixels(in_memory(uneven.astype("f4"))).mask.any()


@needs_truth
@pytest.mark.parametrize("name", ["vacuum", "mean_pattern"])
@pytest.mark.parametrize("dose", [1e-3, 1e-2, 0.1, 1, 10])
@pytest.mark.parametrize("factor", [1, 0.37])
def test_nothing_is_found_in_counts_however_few(name, dose, factor):
    expected = truth(name) * dose / truth(name).max()
    counts = np.random.default_rng(0).poisson(expected, (16, 16, *expected.shape))
    scan = counts.astype("u2") if factor == 1 else (factor * counts).astype("f4")
    assert not n4.find_hot_pixels(in_memory(scan)).mask.any()


@needs_truth
def test_nothing_is_found_without_noise():
    assert not n4.find_hot_pixels(truth("vacuum")).mask.any()
    assert not n4.find_hot_pixels(truth("mean_pattern")).mask.any()


@pytest.mark.parametrize("seed", range(8))
def test_no_edge_is_taken_for_a_hot_pixel(seed):
    """Disks of all sizes that are sharp to the pixel, and a gap in the detector."""
    rng = np.random.default_rng(seed)
    ky, kx = np.indices((130, 130))
    frame = np.full(ky.shape, 0.3)
    disks = [(16, 100), *((radius, 10) for radius in (1.5, 2, 3, 4, 6, 8, 10, 12))]
    for i, (radius, brightness) in enumerate(disks):
        y, x = np.array([22 + 42 * (i // 3), 22 + 42 * (i % 3)]) + rng.uniform(-3, 3, 2)
        frame[(ky - y) ** 2 + (kx - x) ** 2 <= radius**2] += brightness
    frame[:, 86:88] = 0
    uneven = rng.normal(1, 0.05, frame.shape)
    data = rng.poisson(frame, (16, 16, *frame.shape)) * uneven
    assert not n4.find_hot_pixels(in_memory(data.astype("f4"))).mask.any()


@pytest.mark.parametrize("width", [1.5, 2, 4])
def test_no_narrow_bragg_spot_is_taken_for_a_hot_pixel(width):
    rng = np.random.default_rng(0)
    ky, kx = np.indices((96, 96))
    frame = np.full(ky.shape, 0.05)
    for i in range(25):
        y, x = 10.3 + 18.37 * (i // 5), 9.7 + 18.61 * (i % 5)
        frame += 300 * np.exp(
            -4 * np.log(2) * ((ky - y) ** 2 + (kx - x) ** 2) / width**2
        )
    data = rng.poisson(frame, (16, 16, *frame.shape)).astype("u2")
    assert not n4.find_hot_pixels(in_memory(data)).mask.any()


def test_what_happens_in_a_part_of_the_scan_is_no_hot_pixel():
    rng = np.random.default_rng(0)
    data = rng.poisson(2, (16, 16, 64, 64)).astype("u2")
    for _ in range(300):  # X-rays
        data[tuple(rng.integers(data.shape))] += 5000
    data[:4, :, 20, 20] += 50  # a spot of a small crystal
    assert not n4.find_hot_pixels(in_memory(data)).mask.any()


def test_hot_pixels_on_the_edge_of_a_disk_are_found():
    rng = np.random.default_rng(0)
    ky, kx = np.indices((96, 96))
    distance = np.hypot(ky - 48.2, kx - 47.9)
    frame = np.where(distance <= 20, 50.0, 1.0)
    on_edge = np.abs(distance - 20) < 1
    bad = [tuple(i) for i in np.argwhere(on_edge)[::17].tolist()]
    for pixel in bad:
        frame[pixel] = 100
    data = rng.poisson(frame, (8, 8, *frame.shape)).astype("u2")
    assert where(n4.find_hot_pixels(in_memory(data)).mask) == bad


# Data sets.


def test_few_frames_of_a_large_scan_are_read():
    data = np.random.default_rng(0).poisson(5, (40, 50, 8, 8)).astype("u1")
    ds, source = counted(in_memory(data))
    assert 200 < n4.find_hot_pixels(ds).num_frames == source.count <= 256


def test_missing_frames_do_not_count(sample):
    ds = in_memory(sample[:4]).with_scan(nav_shape=(9, 32), sync_offset=-100)
    found = n4.find_hot_pixels(ds)
    assert found.num_frames == np.count_nonzero(ds.valid) == 128
    assert not found.mask.any()


def test_frame_that_is_no_number_does_not_hide_them(sample):
    data = sample.astype("f4")
    data[..., 20, 30] = data.max() * 2
    data[0, 0] = data[7, 9] = np.nan
    found = n4.find_hot_pixels(in_memory(data))
    assert where(found.hot) == [(20, 30)]
    assert not found.dead.any()


def test_scan_without_a_frame_is_an_error():
    ds, _ = counted(in_memory(np.zeros((2, 3, 8, 8), "u1")), lost=range(6))
    with pytest.raises(n4.FormatError, match="there is no frame"):
        n4.find_hot_pixels(ds)


def test_pixels_that_are_excluded_already_stay_so(sample):
    data = sample.copy()
    data[:, :, 60, 30] = 500
    data[:, :, 20:24, 70:75] = 9999  # too large a group to be found
    excluded = np.zeros((96, 96), bool)
    excluded[20:24, 70:75] = True
    found = n4.find_hot_pixels(in_memory(data).with_corrections(excluded=excluded))
    assert where(found.hot) == [(60, 30)]
    assert not found.dead.any()
    excluded[60, 30] = True
    np.testing.assert_array_equal(found.mask, excluded)


def test_dark_frame_is_subtracted_first(sample):
    dark = np.zeros((96, 96))
    dark[30, 60] = 100
    ds = in_memory(sample + dark.astype("u2"))
    assert where(n4.find_hot_pixels(ds).hot) == [(30, 60)]
    assert not n4.find_hot_pixels(ds.with_corrections(dark=dark)).mask.any()


def test_progress_goes_up_to_all(sample):
    told = []
    n4.find_hot_pixels(in_memory(sample), progress=lambda *now: told.append(now))
    done, totals = zip(*told, strict=True)
    assert list(done) == sorted(done)
    assert done[-1] == totals[-1]
    assert len(set(totals)) == 1


def test_cancel_ends_it(sample):
    cancel = threading.Event()
    cancel.set()
    for data in (in_memory(sample), sample[0, 0]):
        with pytest.raises(n4.Cancelled):
            n4.find_hot_pixels(data, cancel=cancel)


@pytest.mark.parametrize(
    "data",
    [
        np.ones((4, 9)),
        np.ones(30),
        np.ones((2, 9, 9)),
        n4.load("memory", data=np.ones((2, 2, 30))),
    ],
)
def test_frames_of_another_shape_are_an_error(data):
    with pytest.raises(n4.ShapeError, match="cannot be looked for"):
        n4.find_hot_pixels(data)


@pytest.mark.parametrize("threshold", [0, -1, np.nan, np.inf, "high", None, True])
def test_threshold_must_be_a_number(threshold):
    with pytest.raises(ParameterError, match="expected a number above 0"):
        n4.find_hot_pixels(np.ones((9, 9)), threshold)


def test_no_numbers_are_no_frame():
    with pytest.raises(ParameterError, match="this is no frame"):
        n4.find_hot_pixels(np.ones((9, 9), "c8"))


def test_higher_threshold_leaves_more():
    frame = np.random.default_rng(0).normal(0, 1, (64, 64))
    frame[10, 10], frame[30, 30] = 12, 40
    assert where(n4.find_hot_pixels(frame).hot) == [(10, 10), (30, 30)]
    assert where(n4.find_hot_pixels(frame, threshold=20).hot) == [(30, 30)]
