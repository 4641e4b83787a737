"""A small synthetic scan, made on the spot: gold nanoparticles on a carbon film.

The physics is that of a textbook: two-beam intensities without double diffraction, a
mean inner potential for the deflection, smooth curves for what carbon and thermal
vibrations scatter. Lengths are in nm, angles in mrad, vectors ``(y, x)``.

Sources: Reimer and Kohl, "Transmission Electron Microscopy" (two-beam theory, phase
shift by the inner potential); International Tables for Crystallography C, table 4.3.2.3
(scattering factors).
"""

import itertools
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

FloatArray = NDArray[np.floating[Any]]

BEAM_ENERGY_KV = 200.0
WAVELENGTH_NM = 2.508e-3
INTERACTION = 7.29e-3  # rad / (V nm): phase per inner potential and thickness
CONVERGENCE_MRAD = 3.6  # less than half of the 10.6 mrad to {111}: disks stand apart
DWELL_S = 1e-3
ELECTRONS = 31_200  # per position: 5 pA for a millisecond

SCAN_WIDTH_NM = 64.0  # the longer side, however many positions there are
DETECTOR_WIDTH_MRAD = 72.0  # the shorter side

# The transmitted disk is off the middle of the detector and wanders with the scan.
DISK_OFFSET_MRAD = np.array((-1.1, 1.7))
DESCAN_MRAD_PER_NM = np.array(((0.034, -0.007), (0.011, 0.029)))  # [ky or kx, y or x]

GOLD_LATTICE_NM = 0.4078
GOLD_POTENTIAL_V = 25.0
GOLD_DIFFUSE_NM = 30.0  # mean free path for leaving the disks

CARBON_THICKNESS_NM = 10.0
CARBON_POTENTIAL_V = 9.0
CARBON_DIFFUSE_NM = 150.0

HOLE_CENTER_NM = (62.0, 68.0)  # the corner of the scan where y and x are large
HOLE_RADIUS_NM = 30.0
HOLE_RIM_NM = 3.0

PROBE_RADIUS_NM = 0.5  # slopes are seen as blurred as the probe is wide


@dataclass(frozen=True, eq=False)
class SampleScan:
    """A scan, its calibration, and what is known about it.

    Attributes
    ----------
    data : uint16 array, shape (y, x, ky, kx)
        Electron counts.
    disk_center_px : array, shape (y, x, 2)
        Where the undeflected disk is, ``(ky, kx)`` in pixels: the descan.
    vacuum : bool array, shape (y, x)
        Where the beam meets nothing.
    """

    data: NDArray[np.uint16]
    scan_step_nm: float
    detector_pixel_mrad: float
    beam_energy_kV: float  # noqa: N815  so spelled in the metadata of every format
    convergence_mrad: float
    dwell_s: float
    disk_center_px: NDArray[np.float64]
    vacuum: NDArray[np.bool_]


@dataclass(frozen=True)
class _Particle:
    """A gold crystal with a regular polygon for an outline."""

    center_nm: tuple[float, float]
    radius_nm: float
    thickness_nm: float
    zone: tuple[int, int, int]  # lattice direction along the beam
    azimuth_deg: float
    tilt_mrad: tuple[float, float]  # away from the zone axis
    bend_mrad_per_nm: float = 0.0
    sides: int = 12
    flatness: int = (
        2  # 2: a dome; the larger, the flatter on top and steeper at the rim
    )

    def thickness(self, y: FloatArray, x: FloatArray) -> FloatArray:
        """Thickness in nm at points in nm, 0 outside."""
        normals = np.deg2rad(
            self.azimuth_deg + 360 / self.sides * np.arange(self.sides)
        )
        dy, dx = y - self.center_nm[0], x - self.center_nm[1]
        heights = np.multiply.outer(np.sin(normals), dy)
        heights += np.multiply.outer(np.cos(normals), dx)
        relative = heights.max(axis=0) / self.radius_nm  # 1 on the outline
        thickness: FloatArray = self.thickness_nm * np.sqrt(
            np.clip(1 - relative**self.flatness, 0, None)
        )
        return thickness


PARTICLES = (
    _Particle((15, 14), 10, 11, (0, 1, 1), 20, (5, -3), sides=6, flatness=3),
    # A thin plate, as gold likes to grow: slightly bent, so that bands cross it.
    _Particle((38, 19), 12.5, 7, (1, 1, 1), 8, (4, 6), 1.4, sides=6, flatness=8),
    _Particle((13, 41), 8.5, 14, (0, 0, 1), 33, (-19, 13), sides=8),
    _Particle((24, 34), 6.5, 11, (1, 1, 2), 71, (12, 16), sides=5),
    _Particle((32, 30), 5, 6, (0, 1, 1), 130, (-20, 6), sides=7),  # over the plate
    _Particle((46, 36), 6.5, 10, (0, 1, 1), 100, (16, -20), sides=6),  # into the hole
    _Particle((9, 57), 6, 9, (0, 1, 3), 50, (-6, -8), sides=5, flatness=3),
    _Particle((27, 53), 4.5, 8, (1, 1, 1), 15, (21, -8), sides=8),
    _Particle((52, 5), 5.5, 9, (0, 0, 1), 12, (2, 4), sides=4, flatness=4),
)


def nanoparticles(
    nav_shape: tuple[int, int] = (56, 64),
    sig_shape: tuple[int, int] = (96, 96),
    seed: int = 4,
) -> SampleScan:
    """Gold nanoparticles on a carbon film with a hole, scanned with a fine probe.

    The scene is always the same; the shapes say how finely it is sampled, and the seed
    gives the noise, which is that of counted electrons and nothing else.

    Parameters
    ----------
    nav_shape : tuple of int
        Scan shape ``(y, x)``; the longer side always covers 64 nm.
    sig_shape : tuple of int
        Detector shape ``(ky, kx)``, 8 or more pixels each; the shorter side always
        covers 72 mrad.
    seed : int
        The same seed gives the same counts, on any number of threads.

    Returns
    -------
    SampleScan
    """
    step = SCAN_WIDTH_NM / max(nav_shape)
    pixel = DETECTOR_WIDTH_MRAD / min(sig_shape)
    y, x = np.meshgrid(*(step * np.arange(n) for n in nav_shape), indexing="ij")

    from_middle = np.stack((y - y.mean(), x - x.mean()), axis=-1)
    disk_mrad = DISK_OFFSET_MRAD + from_middle @ DESCAN_MRAD_PER_NM.T
    disk_px = (np.array(sig_shape) - 1) / 2 + disk_mrad / pixel

    data = np.empty((*nav_shape, *sig_shape), np.uint16)

    def fill_line(line: int, seed_of_line: np.random.SeedSequence) -> None:
        expected = _expected(y[line], x[line], disk_px[line], sig_shape, pixel)
        data[line] = np.random.default_rng(seed_of_line).poisson(expected)

    # Every line has random numbers of its own: the result does not know the threads.
    seeds = np.random.SeedSequence(seed).spawn(nav_shape[0])
    with ThreadPoolExecutor(4) as threads:
        # list() hands on what a thread has raised.
        list(threads.map(fill_line, range(nav_shape[0]), seeds))

    return SampleScan(
        data=data,
        scan_step_nm=step,
        detector_pixel_mrad=pixel,
        beam_energy_kV=BEAM_ENERGY_KV,
        convergence_mrad=CONVERGENCE_MRAD,
        dwell_s=DWELL_S,
        disk_center_px=disk_px,
        vacuum=_is_vacuum(y, x),
    )


def _expected(
    y: FloatArray,
    x: FloatArray,
    disk_px: FloatArray,
    sig_shape: tuple[int, int],
    pixel: float,
) -> FloatArray:
    """Mean counts at the positions of one scan line, shape (x, ky, kx)."""
    past_carbon = ELECTRONS * np.exp(-_carbon_thickness(y, x) / CARBON_DIFFUSE_NM)
    in_disks = past_carbon * np.exp(-_gold_thickness(y, x) / GOLD_DIFFUSE_NM)

    margin = 2 * _half_window(pixel)  # for disks that the detector's edge cuts
    frames = np.zeros((len(x), *(n + 2 * margin for n in sig_shape)), np.float32)
    centers = margin + disk_px + _deflection_mrad(y, x) / pixel
    for particle in PARTICLES:
        _add_bragg_disks(frames, particle, y, x, centers, pixel)

    # Each beam was counted as if alone with the transmitted one; together they cannot
    # hold more than there is.
    transmitted = in_disks / (1 + frames.sum(axis=(1, 2)))
    frames *= transmitted[:, None, None]

    rows, columns, disks = _disks(centers, pixel)
    disks *= transmitted[:, None, None]
    np.add.at(frames, (np.arange(len(x))[:, None, None], rows, columns), disks)

    frames = frames[:, margin:-margin, margin:-margin]
    _add_diffuse(frames, _carbon_rings, ELECTRONS - past_carbon, disk_px, pixel)
    _add_diffuse(frames, _gold_halo, past_carbon - in_disks, disk_px, pixel)
    return frames


def _add_bragg_disks(
    frames: FloatArray,
    particle: _Particle,
    y: FloatArray,
    x: FloatArray,
    centers: FloatArray,
    pixel: float,
) -> None:
    """Add the diffracted disks of one particle, as parts of the beam."""
    thickness = particle.thickness(y, x)
    g, mismatch, extinction = _reflections(particle)
    # One entry for every scan position on the particle and every reflection.
    at, n = (i.ravel() for i in np.indices((len(x), len(g))))
    bragg_px = centers[at] + WAVELENGTH_NM * 1e3 / pixel * g[n]
    low = _half_window(pixel)
    high = np.array(frames.shape[1:]) - 1 - low
    fits = np.all((bragg_px >= low) & (bragg_px <= high), axis=1)
    keep = fits & (thickness[at] > 0)
    at, n, bragg_px = at[keep], n[keep], bragg_px[keep]

    rows, columns, disks = _disks(bragg_px, pixel)

    # A bent lattice turns from one position to the next, and every point of a disk is
    # a beam that came in a little tilted.
    offset = np.stack((y, x), axis=-1) - particle.center_nm
    tilt = particle.tilt_mrad + particle.bend_mrad_per_nm * offset[at]
    tilt_y = tilt[:, 0, None, None] + pixel * (rows - bragg_px[:, 0, None, None])
    tilt_x = tilt[:, 1, None, None] + pixel * (columns - bragg_px[:, 1, None, None])
    g_y, g_x = (1e-3 * g[n].T)[:, :, None, None]
    error = (mismatch[n, None, None] - g_y * tilt_y - g_x * tilt_x).astype(np.float32)

    # The intensity of one diffracted beam, were there no other.
    coupling = 1 / extinction[n, None, None].astype(np.float32)
    effective = np.sqrt(error**2 + coupling**2)
    phase = np.float32(np.pi) * thickness[at, None, None].astype(np.float32) * effective
    disks *= (np.sin(phase) * coupling / effective) ** 2
    np.add.at(frames, (at[:, None, None], rows, columns), disks)


@cache
def _reflections(particle: _Particle) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Reflections near the Ewald sphere of an untilted particle.

    Returns
    -------
    array, shape (n, 2)
        In-plane reciprocal vectors in 1/nm.
    array, shape (n,)
        Excitation errors in 1/nm.
    array, shape (n,)
        Extinction distances in nm.
    """
    hkl = np.array(list(itertools.product(range(-8, 9), repeat=3)))
    # Face-centered cubic: all odd or all even, otherwise extinct.
    hkl = hkl[np.ptp(hkl % 2, axis=1) == 0]
    hkl = hkl[np.any(hkl != 0, axis=1)]

    beam = np.array(particle.zone) / np.linalg.norm(particle.zone)
    across = np.cross(beam, (1, -1, 0))
    across /= np.linalg.norm(across)
    azimuth = np.deg2rad(particle.azimuth_deg)
    other = np.cross(beam, across)
    axis_y = np.cos(azimuth) * across + np.sin(azimuth) * other
    axis_x = np.cos(azimuth) * other - np.sin(azimuth) * across

    g = hkl @ np.stack((axis_y, axis_x, beam), axis=1) / GOLD_LATTICE_NM
    squared = np.sum(g**2, axis=1)
    error = -g[:, 2] - WAVELENGTH_NM / 2 * squared
    # A line through what the scattering factors give at 200 kV, with a Debye-Waller
    # factor B of 0.006 nm²: 23 nm for {111}, 36 nm for {220}, 57 nm for {400}.
    extinction = 15.5 + 0.43 * squared
    near = np.abs(error) < 0.4
    return g[near, :2], error[near], extinction[near]


def _disks(
    centers: FloatArray, pixel: float
) -> tuple[NDArray[np.intp], NDArray[np.intp], FloatArray]:
    """Disks of sum 1 with soft edges, each in a small window.

    Returns
    -------
    int array, shape (n, w, 1)
        Rows of the windows.
    int array, shape (n, 1, w)
        Columns of the windows.
    array, shape (n, w, w)
    """
    half = _half_window(pixel)
    corners = np.rint(centers).astype(np.intp) - half
    along = np.arange(2 * half + 1)
    rows = corners[:, 0, None, None] + along[:, None]
    columns = corners[:, 1, None, None] + along
    dy = (rows - centers[:, 0, None, None]).astype(np.float32)
    dx = (columns - centers[:, 1, None, None]).astype(np.float32)
    disks = np.clip(CONVERGENCE_MRAD / pixel + 0.5 - np.hypot(dy, dx), 0, 1)
    disks /= disks.sum(axis=(1, 2), keepdims=True)
    return rows, columns, disks


def _half_window(pixel: float) -> int:
    return math.ceil(CONVERGENCE_MRAD / pixel) + 1


def _add_diffuse(
    frames: FloatArray,
    profile: Callable[[FloatArray], FloatArray],
    electrons: FloatArray,
    disk_px: FloatArray,
    pixel: float,
) -> None:
    """Add a pattern of rings around the disk, made once and cut out where needed.

    It is smooth: to move it by whole pixels is enough.
    """
    sig_shape = frames.shape[1:]
    middle = (np.array(sig_shape) - 1) / 2
    shift = np.rint(disk_px - middle).astype(np.intp)
    reach = int(np.abs(shift).max())
    from_middle = [np.arange(-m - reach, m + reach + 1) for m in middle]
    angle = pixel * np.hypot(from_middle[0][:, None], from_middle[1])
    pattern = (profile(angle) * pixel**2).astype(np.float32)
    start_y, start_x = (reach - shift).T
    cut = sliding_window_view(pattern, sig_shape)[start_y, start_x]
    frames += electrons[:, None, None].astype(np.float32) * cut


def _carbon_rings(angle: FloatArray) -> FloatArray:
    """Share per mrad² that amorphous carbon scatters; rings at 0.21 and 0.12 nm."""
    share = 0.4 * _halo(angle, 9.0)
    for part, radius, width in ((0.35, 11.9, 2.2), (0.25, 20.9, 3.2)):
        bell = np.exp(-(((angle - radius) / width) ** 2) / 2)
        share += part * bell / ((2 * np.pi) ** 1.5 * radius * width)
    return share


def _gold_halo(angle: FloatArray) -> FloatArray:
    """Share per mrad² that the vibrations of gold scatter between the disks."""
    return _halo(angle, 30.0)


def _halo(angle: FloatArray, width: float) -> FloatArray:
    share: FloatArray = width**2 / (np.pi * (angle**2 + width**2) ** 2)
    return share


def _gold_thickness(y: FloatArray, x: FloatArray) -> FloatArray:
    return sum((p.thickness(y, x) for p in PARTICLES), np.zeros_like(y))


def _carbon_thickness(y: FloatArray, x: FloatArray) -> FloatArray:
    outside = np.hypot(y - HOLE_CENTER_NM[0], x - HOLE_CENTER_NM[1]) - HOLE_RADIUS_NM
    thickness: FloatArray = CARBON_THICKNESS_NM * np.clip(outside / HOLE_RIM_NM, 0, 1)
    return thickness


def _deflection_mrad(y: FloatArray, x: FloatArray) -> FloatArray:
    """Toward where the specimen is thicker: electrons are drawn to the nuclei."""

    def phase(y: FloatArray, x: FloatArray) -> FloatArray:
        return INTERACTION * (
            GOLD_POTENTIAL_V * _gold_thickness(y, x)
            + CARBON_POTENTIAL_V * _carbon_thickness(y, x)
        )

    r = PROBE_RADIUS_NM
    slope = np.stack(
        (phase(y + r, x) - phase(y - r, x), phase(y, x + r) - phase(y, x - r)), axis=-1
    ) / (2 * r)
    return 1e3 * WAVELENGTH_NM / (2 * np.pi) * slope


def _is_vacuum(y: FloatArray, x: FloatArray) -> NDArray[np.bool_]:
    """Where nothing is, nor within reach of the probe."""
    r = PROBE_RADIUS_NM
    empty = np.ones(y.shape, np.bool_)
    for dy, dx in ((0, 0), (r, 0), (-r, 0), (0, r), (0, -r)):
        empty &= _gold_thickness(y + dy, x + dx) == 0
        empty &= _carbon_thickness(y + dy, x + dx) == 0
    return empty
