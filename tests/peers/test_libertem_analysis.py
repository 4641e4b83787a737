"""LiberTEM finds the same masks, rotations, maps and descan as we do."""

from __future__ import annotations

import numpy as np
import pytest

import napari_4dstem as n4
from tests.analysis.truth import needs_truth, truth

com = pytest.importorskip(
    "libertem.udf.com",
    reason="LiberTEM is not installed: pip install -e '.[peers]'",
)
masks = pytest.importorskip("libertem.masks", reason="LiberTEM is not installed")

pytestmark = pytest.mark.filterwarnings("ignore")  # theirs are not ours to fix

SHAPE = (40, 53)
# Theirs are whole numbers of degrees.
DEGREES = 0.5


def field(seed=0):
    """The gradient of a random smooth potential."""
    rng = np.random.default_rng(seed)
    ky, kx = np.fft.fftfreq(48)[:, None], np.fft.fftfreq(56)
    spectrum = np.fft.fft2(rng.normal(size=(48, 56)) ** 4)
    spectrum *= np.exp(-60 * (ky**2 + kx**2))
    parts = (np.fft.ifft2(2j * np.pi * k * spectrum).real for k in (ky, kx))
    return np.stack(list(parts), axis=-1)


@pytest.mark.parametrize("center", [(20, 25), (3, 50), (20.25, 24.5)])
@pytest.mark.parametrize("radius", [0, 1, 5, 12.5, 70])
def test_disks_are_the_same(center, radius):
    theirs = masks.circular(center[1], center[0], SHAPE[1], SHAPE[0], radius)
    np.testing.assert_array_equal(n4.Disk(center, radius).mask(SHAPE), theirs)


@pytest.mark.parametrize(("inner", "outer"), [(0, 5), (3, 5), (5, 5), (4.5, 30.25)])
def test_annuli_are_the_same(inner, outer):
    ours = n4.Annulus((20, 25), inner, outer).mask(SHAPE)
    theirs = masks.ring(25, 20, SHAPE[1], SHAPE[0], outer, inner)
    np.testing.assert_array_equal(ours, np.asarray(theirs, bool))


@pytest.mark.parametrize("flip_y", [False, True])
@pytest.mark.parametrize("degrees", [0, 17, 90, -123.4])
def test_rotations_are_the_same(degrees, flip_y):
    vectors = field()
    theirs = com.apply_correction(
        vectors[..., 0], vectors[..., 1], scan_rotation=degrees, flip_y=flip_y
    )
    ours = n4.rotate(vectors, degrees, flip_y)
    np.testing.assert_allclose(ours, np.stack(theirs, axis=-1), atol=1e-12)


@pytest.mark.parametrize("name", ["divergence", "curl", "magnitude"])
def test_maps_are_the_same(name):
    vectors = field()
    theirs = getattr(com, {"curl": "curl_2d"}.get(name, name))
    np.testing.assert_allclose(
        getattr(n4, name)(vectors),
        theirs(vectors[..., 0], vectors[..., 1]),
        atol=1e-12,
    )


@pytest.mark.parametrize("flip_y", [False, True])
@pytest.mark.parametrize("degrees", [17, -100, 165])
def test_estimates_of_the_rotation_are_the_same(degrees, flip_y):
    vectors = n4.rotate(field(), -degrees)
    if flip_y:
        vectors = vectors * (-1, 1)
    theirs = com.guess_corrections(vectors[..., 0], vectors[..., 1])
    ours = n4.estimate_rotation(vectors)
    assert ours.flip_y == theirs.flip_y
    assert abs(ours.degrees - theirs.scan_rotation) <= DEGREES


def shifted_disks():
    """Frames with a disk that wanders: a plane, and some deflection."""
    deflections = 8 * field()[:9, :11]
    plane = np.moveaxis(np.indices((9, 11)), 0, -1) @ ((0.2, 0.1), (-0.3, 0.15))
    ky, kx = np.moveaxis(deflections + plane + (15.3, 17.1), -1, 0)[..., None, None]
    y, x = np.indices((32, 36))
    return np.clip(6.5 - np.hypot(y - ky, x - kx), 0, 1).astype(np.float32)


@pytest.mark.parametrize(
    ("option", "reference"), [(-1, (15.5, 17.5)), (0, "mean"), (1, "plane")]
)
def test_all_that_follows_from_the_center_of_mass_is_the_same(option, reference):
    api = pytest.importorskip("libertem.api", reason="LiberTEM is not installed")
    with api.Context.make_with("inline") as context:
        udf = com.CoMUDF.with_params(
            cy=15.5, cx=17.5, regression=option, scan_rotation=20, flip_y=True
        )
        dataset = context.load("memory", data=shifted_disks(), sig_dims=2)
        theirs = context.run_udf(dataset=dataset, udf=udf)
    left = n4.descan(theirs["raw_com"].data, reference, robust=False)
    ours = n4.rotate(left, 20, flip_y=True)
    np.testing.assert_allclose(ours, theirs["field"].data, atol=1e-4)  # float32
    for name in ("divergence", "curl", "magnitude"):
        found = getattr(n4, name)(ours)
        np.testing.assert_allclose(found, theirs[name].data, atol=1e-4)


@needs_truth
def test_estimates_for_the_simulated_scan_are_the_same():
    vectors = np.asarray(truth("com_no_descan"))
    theirs = com.guess_corrections(vectors[..., 0], vectors[..., 1])
    ours = n4.estimate_rotation(vectors)
    assert ours.flip_y == theirs.flip_y
    assert abs(ours.degrees - theirs.scan_rotation) <= DEGREES
