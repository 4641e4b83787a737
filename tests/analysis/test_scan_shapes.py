"""Scan shapes are found from how the sums of frames repeat."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import napari_4dstem as n4
from napari_4dstem.analysis.scan_shapes import ScanShape, scan_shapes_from_sums
from napari_4dstem.sample_data import nanoparticles
from tests.analysis.truth import needs_truth, truth


def scene(shape, seed=0):
    """An image with features of all sizes."""
    rng = np.random.default_rng(seed)
    ky, kx = (np.fft.fftfreq(n) for n in shape)
    spectrum = np.fft.fft2(rng.normal(size=shape))
    image = np.fft.ifft2(spectrum / (np.hypot(ky[:, None], kx) + 0.01) ** 1.5).real
    return 20 + image / image.std()


def best(sums):
    return scan_shapes_from_sums(sums)[0]


@settings(deadline=None, max_examples=40)
@given(st.integers(40, 90), st.integers(40, 90), st.integers(0, 9))
def test_lines_are_found(height, width, seed):
    found = best(scene((height, width), seed).ravel())
    assert (found.nav_shape, found.flyback) == ((height, width), 0)
    assert 0.4 < found.score <= 1


@pytest.mark.parametrize("shape", [(256, 256), (200, 300), (40, 100), (300, 128)])
@pytest.mark.parametrize("noise", [0, 1])
def test_scans_of_usual_shapes_are_found_in_noise(shape, noise):
    image = scene(shape)
    sums = image + np.random.default_rng(1).normal(0, noise, shape)
    assert best(sums.ravel()).nav_shape == shape


def test_long_scans_are_among_the_proposals():
    found = scan_shapes_from_sums(scene((512, 128)).ravel())
    assert (512, 128) in [shape.nav_shape for shape in found[:2]]


@pytest.mark.parametrize("flyback", [1, 3, 16])
@pytest.mark.parametrize("level", [0, 28], ids=["blanked", "bright"])
def test_flyback_is_found(flyback, level):
    image = np.pad(scene((64, 100)), ((0, 0), (0, flyback)), constant_values=level)
    image += np.random.default_rng(1).normal(0, 0.2, image.shape)
    found = best(image.ravel())
    assert (found.nav_shape, found.flyback) == ((64, 100), flyback)


def test_flyback_that_looks_like_the_scan_is_proposed_for_round_numbers():
    image = scene((128, 128))
    smeared = np.repeat(image.mean(axis=1)[:, None], 8, axis=1)
    found = scan_shapes_from_sums(np.concatenate((image, smeared), axis=1).ravel())
    proposed = {(shape.nav_shape, shape.flyback) for shape in found}
    assert {((128, 136), 0), ((128, 128), 8)} <= proposed


def test_frames_too_many_or_too_few_do_not_matter():
    sums = scene((100, 128)).ravel()
    assert best(np.append(sums, sums[:3])).nav_shape == (100, 128)
    assert best(sums[5:]).nav_shape == (100, 128)
    assert best(sums[: -40 * 128 - 30]).nav_shape == (60, 128)


def test_missing_frames_and_hot_ones_do_not_matter():
    sums = scene((100, 128)).ravel()
    rng = np.random.default_rng(2)
    sums[rng.integers(0, sums.size, 300)] = np.nan
    sums[rng.integers(0, sums.size, 10)] = 1e9
    assert best(sums).nav_shape == (100, 128)


def test_drift_of_the_beam_does_not_matter():
    sums = scene((100, 128)).ravel()
    assert best(sums + np.linspace(0, 50, sums.size) ** 1.5).nav_shape == (100, 128)


def test_lattice_is_not_taken_for_lines():
    y, x = np.indices((128, 96)) / 8.3
    lattice = np.cos(6 * x + 1.2 * y) + np.cos(6 * y - 1.2 * x)
    sums = lattice + np.random.default_rng(0).normal(0, 0.5, lattice.shape)
    assert best(sums.ravel()).nav_shape == (128, 96)


def test_best_comes_first_and_not_more_than_asked_for():
    sums = scene((100, 128)).ravel()
    scores = [shape.score for shape in scan_shapes_from_sums(sums, most=3)]
    assert scores == sorted(scores, reverse=True)
    assert len(scores) == 3


@pytest.mark.parametrize(
    "sums",
    [
        [],
        [1, 2, 3],
        np.ones(4096),
        np.arange(4096),
        np.full(4096, np.nan),
        np.random.default_rng(0).normal(size=4096),
        np.random.default_rng(0).poisson(1e9, size=4096),
    ],
    ids=["none", "few", "equal", "slope", "missing", "noise", "shot noise"],
)
def test_nothing_is_proposed_where_nothing_repeats(sums):
    assert scan_shapes_from_sums(sums) == ()


def test_sums_are_one_number_for_each_frame():
    with pytest.raises(n4.ShapeError, match=r"\(n,\)"):
        scan_shapes_from_sums(np.ones((4, 4)))
    with pytest.raises(n4.FormatError, match="real numbers"):
        scan_shapes_from_sums(np.ones(40, complex))


def test_sample_scan_is_found():
    sums = nanoparticles((28, 32)).data.sum(axis=(2, 3))
    assert isinstance(best(sums.ravel()), ScanShape)
    assert best(sums.ravel()).nav_shape == (28, 32)


@needs_truth
@pytest.mark.parametrize("name", ["virtual_adf", "virtual_abf", "virtual_bf"])
def test_crystal_of_the_truth_is_found(name):
    assert best(truth(name).ravel()).nav_shape == (44, 52)


@needs_truth
def test_measured_sums_of_the_truth_are_enough():
    sums = truth("data").sum(axis=(2, 3))
    assert best(sums.ravel()).nav_shape == (44, 52)


def test_proposals_for_a_data_set_do_not_depend_on_its_present_shape():
    rng = np.random.default_rng(4)
    image = rng.random((20, 24)).cumsum(axis=0).cumsum(axis=1) % 7
    image = np.hstack([image, np.full((20, 6), 40)])  # flyback
    frames = rng.poisson(image[..., np.newaxis, np.newaxis], (20, 30, 4, 4))
    ds = n4.load("memory", data=frames.reshape(600, 4, 4).astype("u2"))
    best = n4.suggest_scan_shapes(ds)
    assert (best[0].nav_shape, best[0].flyback) == ((20, 24), 6)
    folded = ds.with_scan((13, 17), sync_offset=5, flyback=2)
    assert n4.suggest_scan_shapes(folded) == best
    assert n4.suggest_scan_shapes(ds, n4.Point((1, 1)), most=1)
