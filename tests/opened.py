"""Data sets that were opened in many ways."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

import napari_4dstem as n4
from tests.formats.write_dm import write_image
from tests.formats.write_hdf5 import write_hdf5
from tests.formats.write_mib import write_mib, write_series
from tests.formats.write_mrc import write_mrc
from tests.formats.write_npy import write_npy
from tests.formats.write_raw import write_raw
from tests.formats.write_seq import write_seq

NAV, SIG = (5, 6), (8, 12)


def pixels(dtype: str = "u2") -> np.ndarray:
    """Return patterns with a disk that moves with the scan, and noise."""
    ky, kx = np.indices(SIG)
    data = np.zeros((*NAV, *SIG))
    for y, x in np.ndindex(*NAV):
        data[y, x] = 100 * (np.hypot(ky - 3 - 0.2 * y, kx - 5 + 0.1 * x * y) <= 2.5)
    noise = np.random.default_rng(1).poisson(5, data.shape)
    return (data + noise).astype(dtype)


FRAMES = pixels().reshape(-1, *SIG)


def an_npy(folder: Path) -> n4.Dataset:
    write_npy(folder / "a'b.npy", pixels()[:, :5])
    return n4.load(
        "npy", folder / "a'b.npy", nav_shape=(4, 5), sync_offset=2, flyback=1
    )


def a_mib(folder: Path) -> n4.Dataset:
    write_mib(folder / "a.mib", FRAMES, kind="R64")
    ds = n4.load("auto", folder / "a.mib", name="gold", nav_shape=NAV)
    return ds.with_scan((4, 6)).with_calibration([(2, "nm")] * 2, [None, (0.7, "mrad")])


def a_mib_series(folder: Path) -> n4.Dataset:
    paths = write_series(folder, FRAMES, [10, 20])
    return n4.load("mib", paths[1], nav_shape=NAV, sync_offset=-1).with_scan((4, 6))


def a_raw(folder: Path) -> n4.Dataset:
    write_raw(folder / "a.bin", FRAMES.astype(">f4"), offset=7, frame_gap=3)
    return n4.load(
        "raw", folder / "a.bin", dtype=np.dtype(">f4"), sig_shape=SIG, nav_shape=NAV,
        offset=7, frame_gap=3,
    )  # fmt: skip


def an_hdf5(folder: Path) -> n4.Dataset:
    write_hdf5(folder / "a.h5", pixels("f4"), "some/group/data", compression="gzip")
    return n4.load("hdf5", folder / "a.h5", ds_path="some/group/data")


def a_dm_stack(folder: Path) -> n4.Dataset:
    for i in range(24):
        write_image(folder / f"image {i}.dm3", FRAMES[i])
    return n4.load("auto", folder).with_scan((4, 6))


def corrected_by_files(folder: Path) -> n4.Dataset:
    write_npy(folder / "dark.npy", np.linspace(0, 1, 288).reshape(3, *SIG))
    write_npy(folder / "bad.npy", np.eye(*SIG))
    files = {"dark": folder / "dark.npy", "excluded": folder / "bad.npy"}
    write_npy(folder / "a.npy", pixels())
    return n4.load("npy", folder / "a.npy", corrections=files)


def a_seq(folder: Path) -> n4.Dataset:
    write_seq(folder / "a.seq", FRAMES)
    write_mrc(folder / "a.seq.dark.mrc", np.full((1, *SIG), 2, "f4"))
    return n4.load("seq", folder / "a.seq", nav_shape=NAV)


def corrected_as_found(folder: Path) -> n4.Dataset:
    a_seq(folder)
    return n4.load("seq", folder / "a.seq", nav_shape=NAV, corrections=True)


def corrected_in_two_ways(folder: Path) -> n4.Dataset:
    ds = a_seq(folder)
    found = ds.found_corrections
    assert found is not None
    bad = np.random.default_rng(2).random(SIG) < 0.3
    return ds.with_corrections(dark=found.dark, excluded=bad)


OPENED: dict[str, Callable[[Path], n4.Dataset]] = {
    make.__name__: make
    for make in (
        an_npy, a_mib, a_mib_series, a_raw, an_hdf5, a_dm_stack, corrected_by_files,
        a_seq, corrected_as_found, corrected_in_two_ways,
    )
}  # fmt: skip
