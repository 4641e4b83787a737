"""The bright-field disk is found, whatever hides or surrounds it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import napari_4dstem as n4
from napari_4dstem.sample_data import nanoparticles
from tests.analysis.truth import facts, needs_truth, truth

SHAPE = (128, 140)
CENTER, RADIUS = (60.3, 71.7), 25.0


def disk(center=CENTER, radius=RADIUS, shape=SHAPE, edge=1.0):
    """Part of each pixel that the disk covers; the edge is a ramp so wide."""
    y, x = np.indices(shape)
    distance = np.hypot(y - center[0], x - center[1])
    return np.clip((radius - distance) / edge + 0.5, 0, 1)


def counts(expected, seed=0):
    return np.random.default_rng(seed).poisson(expected)


def assert_found(frame, center=CENTER, radius=RADIUS, within=0.1):
    found = n4.find_bright_field_disk(frame)
    error = np.subtract((*found.center, found.radius), (*center, radius))
    assert np.abs(error).max() < within, f"{found}: {error}"


@settings(deadline=None, max_examples=40)
@given(
    st.tuples(st.floats(30, 98), st.floats(30, 110)),
    st.floats(2, 28),
    st.sampled_from(["u2", "f4", ">i4"]),
)
def test_disk_is_found_to_a_tenth_of_a_pixel(center, radius, dtype):
    assert_found((200 * disk(center, radius) + 1).astype(dtype), center, radius)


@pytest.mark.parametrize("radius", [1.5, 2, 3, 5, 10, 25, 45, 60])
def test_disk_of_any_size_is_found_in_noise(radius):
    assert_found(counts(100 * disk(radius=radius) + 1), radius=radius)


def test_disk_is_found_in_very_few_electrons():
    frame = counts(0.2 * disk() + 0.01)  # 560 in all
    assert_found(frame, within=1)


def test_soft_edge_is_at_half_its_height():
    assert_found(100 * disk(edge=8) + 1, within=0.05)


@pytest.mark.parametrize(
    ("center", "radius"),
    [((15.3, 71.7), 25), ((8.3, 6.7), 40), ((-8.3, 70.7), 40), ((64, 70), 80)],
    ids=["at the border", "in the corner", "center outside", "larger than the frame"],
)
def test_disk_that_is_cut_off_is_found(center, radius):
    assert_found(counts(100 * disk(center, radius) + 1), center, radius, within=0.4)


def bar(frame):
    frame[:, 55:63] = 0
    frame[60:65, 55:] = 0


def needle_with_a_tip(frame):
    y, x = np.indices(SHAPE)
    frame[np.hypot(y - 61, x - 73) < 15] = 0
    frame[60:, 70:76] = 0


def half_plane(frame):
    frame[58:] = 0


@pytest.mark.parametrize("stop", [bar, needle_with_a_tip, half_plane])
def test_beam_stop_hides_no_disk(stop):
    frame = 100 * disk() + 1
    stop(frame)
    assert_found(counts(frame), within=0.3)


def hot_pixels():
    rng = np.random.default_rng(1)
    return rng.integers(0, 128, 30), rng.integers(0, 140, 30)


@pytest.mark.parametrize("value", [1e9, 60_000, 0])
def test_hot_and_dead_pixels_do_no_harm(value):
    frame = counts(100 * disk() + 1).astype(float)
    frame[hot_pixels()] = value
    frame[5, 5:7] = value
    assert_found(frame, within=0.15)


def test_missing_pixels_are_dark():
    frame = counts(100 * disk() + 1).astype(float)
    frame[hot_pixels()] = np.nan
    frame[3, 4] = np.inf
    assert_found(frame, within=0.15)


def test_bright_spot_within_the_disk_is_not_the_disk():
    assert_found(counts(100 * disk() + 5000 * disk((61, 70), 3) + 1))
    y, x = np.indices(SHAPE)
    glow = np.exp(-((y - 62) ** 2 + (x - 70) ** 2) / (2 * 4**2))
    assert_found(counts(100 * disk() + 1000 * glow + 1))


@pytest.mark.parametrize(("number", "part"), [(4, 0.5), (6, 0.3)])
def test_diffracted_disks_may_overlap(number, part):
    frame = 100 * disk() + 1
    for angle in np.arange(number) * 2 * np.pi / number + 0.2:
        aside = CENTER + 30 * np.array((np.sin(angle), np.cos(angle)))
        frame += 100 * part * disk(aside)
    assert_found(counts(frame))


def test_brightest_of_many_small_disks_is_found():
    center = (60.3, 69.7)
    frame = np.ones(SHAPE)
    for i in range(-2, 3):
        for j in range(-2, 3):
            aside = np.add(center, (22 * i + 3 * j, 23 * j - 3 * i))
            frame += 100 * np.exp(-(i * i + j * j) / 3) * disk(aside, 4)
    assert_found(counts(frame), center, 4, within=0.15)


def test_background_and_halo_are_not_the_disk():
    y, x = np.indices(SHAPE)
    halo = np.exp(-np.hypot(y - 60, x - 72) / 25)
    assert_found(counts(100 * disk(radius=8) + 40 * halo), radius=8, within=0.15)
    assert_found(counts(100 * disk() + 80))
    assert_found(100 * disk() - 30)


def test_scale_of_the_brightness_does_not_matter():
    frame = counts(100 * disk() + 1)
    found = n4.find_bright_field_disk(frame)
    for scale in (1e-12, 1e12):
        again = n4.find_bright_field_disk(frame * scale)
        np.testing.assert_allclose(again.center, found.center, atol=1e-6)


def test_large_frame_is_found_as_well_as_a_small_one():
    shape, center = (1500, 1300), (700.3, 631.7)
    for radius in (8, 420):
        frame = counts(10 * disk(center, radius, shape) + 0.1).astype(np.uint16)
        assert_found(frame, center, radius, within=0.2)


ROWS, COLUMNS = np.indices(SHAPE)
NONE = {
    "zero": np.zeros(SHAPE, np.uint16),
    "uniform": np.full(SHAPE, 7.5),
    "NaN": np.full(SHAPE, np.nan),
    "one hot pixel": np.pad([[1e6]], ((60, 67), (30, 109))),
    "slope": COLUMNS * 10.0,
    "noisy slope": counts(ROWS + COLUMNS + 10),
    "half plane": (COLUMNS > 70) * 100,
    "stripes": (COLUMNS % 16 < 8) * 10,
    "glow": 1000 * np.exp(-((ROWS - 60) ** 2 + (COLUMNS - 70) ** 2) / 800),
}


@pytest.mark.parametrize("what", NONE)
def test_where_there_is_no_disk_is_an_error(what):
    with pytest.raises(n4.FormatError, match="no bright-field disk in this frame: "):
        n4.find_bright_field_disk(NONE[what])


@pytest.mark.parametrize("mean", [0.003, 0.05, 1, 30, 1000])
def test_there_is_no_disk_in_noise(mean):
    for seed in range(5):
        with pytest.raises(n4.FormatError, match="no bright-field disk"):
            n4.find_bright_field_disk(counts(np.full(SHAPE, mean), seed))


def test_what_is_no_frame_is_refused():
    for shape in ((40,), (7, 90), (3, 40, 40)):
        with pytest.raises(n4.ShapeError, match="8 or more pixels"):
            n4.find_bright_field_disk(np.zeros(shape))
    with pytest.raises(n4.FormatError, match="real numbers"):
        n4.find_bright_field_disk(np.zeros((40, 40), complex))


def test_disk_of_the_sample_scan_is_found():
    scan = nanoparticles((14, 16))
    found = n4.find_bright_field_disk(scan.data.mean(axis=(0, 1)))
    center = scan.disk_center_px.mean(axis=(0, 1))
    np.testing.assert_allclose(found.center, center, atol=0.2)
    assert found.radius == pytest.approx(3.6 / scan.detector_pixel_mrad, abs=0.15)


@needs_truth
@pytest.mark.parametrize("name", ["vacuum", "mean_pattern_no_descan", "mean_pattern"])
def test_disk_of_the_truth_is_found(name):
    found = n4.find_bright_field_disk(truth(name))
    disk = facts()["disk"]
    center = [disk["centre_at_scan_centre"][k] for k in ("ky", "kx")]
    np.testing.assert_allclose(found.center, center, atol=0.02)
    # by the semiangle and by the area; descan blurs the edge of the mean pattern
    assert found.radius == pytest.approx(disk["radius_px"], abs=0.15)
    assert found.radius == pytest.approx(disk["radius_px_from_vacuum_area"], abs=0.05)


@needs_truth
def test_disk_of_measured_frames_of_the_truth_is_found():
    frames = truth("data")  # noise, hot and dead pixels
    found = n4.find_bright_field_disk(frames.mean(axis=(0, 1)))
    np.testing.assert_allclose(found.center, (39.8, 37.9), atol=0.03)
    for position in ((0, 0), (43, 51), (20, 30)):
        found = n4.find_bright_field_disk(frames[position])
        np.testing.assert_allclose(
            found.center, truth("disk_centre")[position], atol=0.2
        )
