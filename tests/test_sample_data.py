"""The sample scan is plausible: what is measured in it is what it says it is."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_4dstem import sample_data
from napari_4dstem.sample_data import SampleScan, nanoparticles

ELECTRONS = 31_200
GOLD_NM = 0.4078
# Positions (y, x) in nm, which is pixels here, and what lies there.
CUBE_ON_001, CRYSTAL_ON_011, PLATE_ON_111 = (51, 6), (15, 14), (38, 19)


@pytest.fixture(scope="module")
def scan() -> SampleScan:
    return nanoparticles()


def small(seed: int) -> NDArray[np.int64]:
    return nanoparticles((14, 16), (32, 40), seed).data.astype(np.int64)


def wavelength_nm(beam_energy_kV: float) -> float:  # noqa: N803
    energy, rest_energy = beam_energy_kV * 1e3, 510_999.0
    return 1.239842e3 / np.sqrt(energy * (energy + 2 * rest_energy))


def distances_px(scan: SampleScan, y: int, x: int) -> NDArray[np.float64]:
    ky, kx = np.indices(scan.data.shape[2:])
    center = scan.disk_center_px[y, x]
    return np.hypot(ky - center[0], kx - center[1])


def virtual_image(scan: SampleScan, mask: NDArray[np.bool_]) -> NDArray[np.uint64]:
    return scan.data[..., mask].sum(axis=-1, dtype=np.uint64)


def ring(scan: SampleScan, inner_mrad: float, outer_mrad: float) -> NDArray[np.bool_]:
    mrad = scan.detector_pixel_mrad * distances_px(scan, 28, 32)
    return (mrad >= inner_mrad) & (mrad < outer_mrad)


def brightest_spot(scan: SampleScan, y: int, x: int) -> NDArray[np.float64]:
    """Center (ky, kx) of the strongest Bragg disk around a position."""
    frame = scan.data[y - 1 : y + 2, x - 1 : x + 2].mean(axis=(0, 1))
    frame[distances_px(scan, y, x) * scan.detector_pixel_mrad < 5] = 0
    windows = np.lib.stride_tricks.sliding_window_view(frame, (9, 9))
    sums = windows.sum(axis=(2, 3))
    corner = np.unravel_index(sums.argmax(), sums.shape)
    # The outline, because a disk need not be equally bright all over.
    lit = windows[corner] > 0.3 * windows[corner].mean()
    return np.argwhere(lit).mean(axis=0) + corner


def deflection(scan: SampleScan) -> NDArray[np.float64]:
    """Shift (ky, kx) of the transmitted disk from where it is without a specimen."""
    shift = np.empty(scan.disk_center_px.shape)
    for y, x in np.ndindex(*scan.vacuum.shape):
        inside = distances_px(scan, y, x) * scan.detector_pixel_mrad < 5.5
        counts = scan.data[y, x][inside]
        center = counts @ np.argwhere(inside) / counts.sum()
        shift[y, x] = center - scan.disk_center_px[y, x]
    return shift


def test_default_scan_is_small_and_calibrated(scan: SampleScan) -> None:
    assert scan.data.shape == (56, 64, 96, 96)
    assert scan.data.dtype == np.uint16
    assert scan.data.nbytes < 80e6
    assert (scan.scan_step_nm, scan.detector_pixel_mrad) == (1.0, 0.75)
    assert scan.beam_energy_kV == 200


def test_same_seed_gives_same_counts() -> None:
    np.testing.assert_array_equal(small(3), small(3))


def test_counts_do_not_depend_on_number_of_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = small(3)
    monkeypatch.setattr(
        sample_data, "ThreadPoolExecutor", lambda _: ThreadPoolExecutor(1)
    )
    np.testing.assert_array_equal(small(3), expected)


def test_two_seeds_differ_by_poisson_noise_everywhere() -> None:
    one, two = small(3), small(4)
    # The variance of the difference is twice the mean; a mean over many pixels.
    squared, both = (one - two) ** 2, one + two
    assert squared.sum() / both.sum() == pytest.approx(1, abs=0.05)
    dim = both < 20
    assert squared[dim].sum() / both[dim].sum() == pytest.approx(1, abs=0.05)


def test_lines_have_noise_of_their_own(scan: SampleScan) -> None:
    totals = scan.data[scan.vacuum].sum(axis=(1, 2), dtype=np.int64)
    assert len(np.unique(totals)) > 100
    assert totals.mean() == pytest.approx(ELECTRONS, rel=1e-3)
    assert totals.var() / totals.mean() == pytest.approx(1, abs=0.3)


def test_vacuum_patterns_hold_only_a_disk_of_the_convergence_angle(
    scan: SampleScan,
) -> None:
    assert 0.05 < scan.vacuum.mean() < 0.3
    radius_px = scan.convergence_mrad / scan.detector_pixel_mrad
    squares = []
    for y, x in np.argwhere(scan.vacuum):
        frame, distance = scan.data[y, x], distances_px(scan, y, x)
        assert not frame[distance > radius_px + 0.5].any()
        squares.append((frame * distance**2).sum() / frame.sum())
    # The mean of r² over a disk is half the square of its radius.
    assert np.sqrt(2 * np.mean(squares)) == pytest.approx(radius_px, rel=0.02)


def test_disk_moves_linearly_over_the_scan(scan: SampleScan) -> None:
    centers = scan.disk_center_px
    for axis in (0, 1):
        np.testing.assert_allclose(np.diff(centers, 2, axis=axis), 0, atol=1e-9)
    assert np.all(np.ptp(centers, axis=(0, 1)) > 2)  # pixels: not to be overlooked
    assert np.linalg.norm(centers.mean(axis=(0, 1)) - 47.5) > 1

    found = deflection(scan)[scan.vacuum]
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=0.004)
    assert np.all(found.std(axis=0) < 0.02)  # radius / 2 / sqrt(electrons) is 0.014


@pytest.mark.parametrize(
    ("position", "families"),
    [
        (CUBE_ON_001, [(2, 0, 0), (2, 2, 0)]),
        (CRYSTAL_ON_011, [(1, 1, 1), (2, 0, 0)]),
        (PLATE_ON_111, [(2, 2, 0)]),
    ],
)
def test_bragg_disks_lie_at_the_angles_of_gold(
    scan: SampleScan, position: tuple[int, int], families: list[tuple[int, ...]]
) -> None:
    y, x = position
    distance = np.linalg.norm(brightest_spot(scan, y, x) - scan.disk_center_px[y, x])
    found_mrad = distance * scan.detector_pixel_mrad
    wavelength = wavelength_nm(scan.beam_energy_kV)
    angles = [1e3 * wavelength * np.linalg.norm(hkl) / GOLD_NM for hkl in families]
    nearest = min(angles, key=lambda angle: abs(angle - found_mrad))
    assert found_mrad == pytest.approx(nearest, rel=0.02)


@pytest.mark.parametrize(
    ("position", "others"),
    [
        (CRYSTAL_ON_011, [PLATE_ON_111, (13, 41), (27, 53)]),
        (CUBE_ON_001, [PLATE_ON_111, (13, 41), (27, 53)]),
        ((13, 41), [CRYSTAL_ON_011, PLATE_ON_111, CUBE_ON_001]),
    ],
)
def test_dark_field_of_one_disk_lights_up_its_particle(
    scan: SampleScan, position: tuple[int, int], others: list[tuple[int, int]]
) -> None:
    spot = brightest_spot(scan, *position)
    ky, kx = np.indices(scan.data.shape[2:])
    image = virtual_image(scan, np.hypot(ky - spot[0], kx - spot[1]) < 4.5)

    def brightness(at: tuple[int, int]) -> Any:
        y, x = at
        return image[y - 1 : y + 2, x - 1 : x + 2].mean()

    assert brightness(position) > 1000
    assert image[scan.vacuum].max() == 0
    for other in others:
        assert brightness(other) < 0.25 * brightness(position)


def test_particles_are_dark_in_bright_field_and_bright_in_annular_dark_field(
    scan: SampleScan,
) -> None:
    bright_field = virtual_image(scan, ring(scan, 0, 6))
    annular = virtual_image(scan, ring(scan, 26, 35))
    film = np.s_[0:4, 25:32]
    for y, x in (CUBE_ON_001, CRYSTAL_ON_011, PLATE_ON_111, (13, 41), (27, 53)):
        assert bright_field[y, x] < 0.7 * bright_field[film].mean()
        assert annular[y, x] > 5 * annular[film].mean()
    assert bright_field[film].mean() < 0.98 * bright_field[scan.vacuum].mean()
    assert annular[film].mean() > 20
    assert annular[scan.vacuum].max() == 0


def test_thicker_gold_scatters_more_into_annular_dark_field(scan: SampleScan) -> None:
    annular = virtual_image(scan, ring(scan, 26, 35))
    assert annular[13, 41] > 1.5 * annular[13, 49]  # a dome: its middle, near its rim


def test_edges_deflect_the_beam_toward_the_thicker_part(scan: SampleScan) -> None:
    shift = deflection(scan)
    y, x = np.indices(scan.vacuum.shape)
    toward = np.stack((PLATE_ON_111[0] - y, PLATE_ON_111[1] - x), axis=-1)
    distance = np.linalg.norm(toward, axis=-1)
    inward = (shift * toward).sum(axis=-1) / np.maximum(distance, 1)
    free = x < 24  # other particles lie over the rest of the plate
    assert inward[free & (distance > 11.5) & (distance < 14)].mean() > 0.05
    assert abs(inward[free & (distance < 8)].mean()) < 0.02


def test_carbon_film_shows_its_first_ring(scan: SampleScan) -> None:
    film = scan.data[0:4, 25:32].mean(axis=(0, 1))
    at_ring, inside = film[ring(scan, 11, 13)].mean(), film[ring(scan, 6.5, 8)].mean()
    assert at_ring > 1.1 * inside


def test_no_position_has_more_electrons_than_came_in(scan: SampleScan) -> None:
    totals = scan.data.sum(axis=(2, 3), dtype=np.int64)
    assert totals.max() < ELECTRONS + 6 * np.sqrt(ELECTRONS)
    assert totals.min() > 0.7 * ELECTRONS
    assert scan.data.max() < 2000


@pytest.mark.parametrize(
    ("nav_shape", "sig_shape"),
    [((1, 1), (8, 8)), ((9, 4), (33, 20)), ((1, 12), (16, 64)), ((5, 1), (64, 64))],
)
def test_any_shape_shows_the_same_scene(
    nav_shape: tuple[int, int], sig_shape: tuple[int, int]
) -> None:
    scan = nanoparticles(nav_shape, sig_shape)
    assert scan.data.shape == nav_shape + sig_shape
    assert scan.disk_center_px.shape == (*nav_shape, 2)
    assert scan.vacuum.shape == nav_shape
    assert scan.scan_step_nm * max(nav_shape) == pytest.approx(64)
    assert scan.detector_pixel_mrad * min(sig_shape) == pytest.approx(72)
    totals = scan.data.sum(axis=(2, 3), dtype=np.int64)
    assert np.all(totals > 0.5 * ELECTRONS)
    assert np.all(totals < 1.05 * ELECTRONS)
