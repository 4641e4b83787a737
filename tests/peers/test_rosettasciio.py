"""RosettaSciIO reads the cases as we do, but for differences that are known.

It is the reader of HyperSpy, and knows neither ``nav_shape`` nor ``sync_offset``: what
a case asks for is done to its frames here. If it no longer differs, delete the entry
in ``rosettasciio_differences``. If it differs anew, find out who is right.
"""

from __future__ import annotations

import gc
import re
import warnings
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import napari_4dstem as n4
from napari_4dstem.axes import Sampling, sampling
from tests.peers.compare import (
    READABLE,
    UNREADABLE,
    Case,
    Pixels,
    arranged,
    check,
    check_refused,
    known_difference,
    pixels,
    unused,
)
from tests.peers.rosettasciio_differences import (
    CALIBRATIONS,
    DIFFERENCES,
    READ_ALL_THE_SAME,
)
from tests.test_conformance import identity, parameters

pytest.importorskip(
    "rsciio", reason="RosettaSciIO is not installed: pip install -e '.[peers]'"
)
pytestmark = [
    pytest.mark.skipif(not READABLE, reason="no conformance cases: set N4_SHARED"),
    pytest.mark.filterwarnings("ignore"),  # theirs are not ours to fix
]

READERS = {
    "mib": "quantumdetector",
    "npy": "numpy",
    "empad": "empad",
    "tvips": "tvips",
    "blo": "blockfile",
    "dm": "digitalmicrograph",
    "ser": "tia",
    "mrc": "mrc",
    "hdf5": "",  # several, by what is in the file
}
SUFFIXES_WITHOUT_READER = {
    "raw": "bin raw",  # Ripple needs an .rpl file beside it
    "raw_csr": "toml",
    "seq": "seq",
    "frms6": "hdr frms6",
    "k2is": "gtg bin",
}


def with_reader(cases: list[Case]) -> list[Case]:
    return [case for case in cases if case["format"] in READERS]


@pytest.fixture(scope="module", autouse=True)
def no_file_left_open() -> Iterator[None]:
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gc.collect()  # files that it left open do not count as our failure


def has_emd_groups(path: Path) -> bool:
    import h5py

    with h5py.File(path) as file:
        found = file.visititems(lambda _, it: it.attrs.get("emd_group_type"))
    return found is not None


def reader_and_options(
    case: Case, given: dict[str, Any], files: tuple[Path, ...]
) -> tuple[str, Path, dict[str, Any]]:
    """Return the reader, the file it wants, and our parameters in its words."""
    path, name = given["path"], given.get("ds_path", "").strip("/")
    match case["format"]:
        case "hdf5" if path.suffix == ".hspy":
            return "hspy", path, {}
        case "hdf5" if path.stem.endswith("_master") and not name:
            return "arina", path, {"navigation_shape": (1, "auto")}
        case "hdf5" if has_emd_groups(path):
            return "emd", path, {"dataset_path": name or None}
        case "hdf5":
            if path.suffix == ".nxs":  # there the group has the name of its data
                name = name.rpartition("/")[0]
            return "nexus", path, {"dataset_path": f"/{name}" if name else None}
        case "mib" if path.suffix == ".hdr":
            path = next(file for file in files if file.suffix == ".mib")
        case "tvips":
            path = path.with_name(re.sub(r"_\d{3}\.", "_000.", path.name))
        case "blo" if "endianess" in given:
            return "blockfile", path, {"endianness": given["endianess"]}
        case "mrc":
            stamp = path.read_bytes()[212:213]
            return "mrc", path, {"endianness": ">" if stamp == b"\x11" else "<"}
    return READERS[case["format"]], path, {}


def read(
    case: Case, given: dict[str, Any], files: tuple[Path, ...]
) -> tuple[Pixels, list[dict[str, Any]]]:
    """Return all frames and their axes."""
    if "files" in given:
        reader = import_module("rsciio.digitalmicrograph").file_reader
        signals = [reader(str(path))[0] for path in given["files"]]
        return np.stack([signal["data"] for signal in signals]), []
    name, path, options = reader_and_options(case, given, files)
    signals = import_module(f"rsciio.{name}").file_reader(str(path), **options)
    if "dataset_index" in given:
        signal = signals[given["dataset_index"] - 1]  # without the thumbnail
    else:
        signal = max(signals, key=lambda signal: signal["data"].ndim)
    return np.asarray(signal["data"]), signal["axes"]


def as_asked(frames: Pixels, given: dict[str, Any], ours: n4.Dataset) -> Pixels:
    """Do what a case asks for; put back axes of length 1, which this reader drops."""
    if tuple(n for n in frames.shape if n > 1) == tuple(n for n in ours.shape if n > 1):
        frames = frames.reshape(ours.shape)
    sig_shape = frames.shape[-len(ours.sig_shape) :]
    if "sig_shape" in given:
        sig_shape = ours.sig_shape
    elif not {"nav_shape", "sync_offset"} & given.keys():
        return frames
    frames = frames.reshape(-1, *sig_shape)
    return arranged(frames, ours.nav_shape, given.get("sync_offset", 0))


@pytest.mark.parametrize("case", with_reader(READABLE), ids=identity)
def test_rosettasciio_reads_the_same(case: Case, tmp_path: Path) -> None:
    given = parameters(case, tmp_path)
    ours = n4.load(case["format"], **given)
    check(
        pixels(ours) if case["id"] != "h5-huge-sparse" else np.zeros(()),
        lambda: read(case, given, ours.files)[0],
        known_difference(case, DIFFERENCES),
        lambda frames: as_asked(frames, given, ours),
    )


def test_no_known_difference_outlives_its_case() -> None:
    assert not unused(DIFFERENCES, with_reader(READABLE))
    assert not unused(CALIBRATIONS, CALIBRATED)
    assert not unused(READ_ALL_THE_SAME, with_reader(UNREADABLE))


@pytest.mark.parametrize("filetype", SUFFIXES_WITHOUT_READER)
def test_rosettasciio_has_no_reader_for(filetype: str) -> None:
    from rsciio import IO_PLUGINS

    suffixes = {name for plugin in IO_PLUGINS for name in plugin["file_extensions"]}
    assert not suffixes & set(SUFFIXES_WITHOUT_READER[filetype].split())


def said(axes: Sequence[dict[str, Any]]) -> list[Sampling | None]:
    """Return what axes say about places: not in pixels, nor about times."""
    found = [
        sampling(axis["scale"], (axis["units"] or "").replace(" ", "")) for axis in axes
    ]
    return [None if it and it.unit in ("1", "s", "ms") else it for it in found]


def contradictions(
    ours: n4.Dataset, axes: Sequence[dict[str, Any]], given: dict[str, Any]
) -> list[str]:
    """Return what the axes say of ours, where we say something else or nothing."""
    ndim = len(ours.sig_shape)
    pairs = list(zip(said(axes[-ndim:]), ours.calibration.sig, strict=True))
    if not {"nav_shape", "sync_offset"} & given.keys():  # the scan is that of the file
        sizes = zip(ours.calibration.nav, ours.nav_shape, strict=True)
        mine = [step for step, size in sizes if size > 1]  # others it drops
        pairs += zip(said(axes[:-ndim]), mine, strict=True)
    return [
        f"{theirs} instead of {mine}"
        for theirs, mine in pairs
        if theirs is not None
        and (
            mine is None
            or theirs.unit != mine.unit
            or theirs.scale != pytest.approx(mine.scale, rel=1e-4)
        )
    ]


def has_axes_like_ours(case: Case) -> bool:
    known = known_difference(case, DIFFERENCES)
    differs = known is not None and (known.raises or "shape" in known.aspects)
    return not differs and not {"sig_shape", "files"} & case["open"].keys()


CALIBRATED = [case for case in with_reader(READABLE) if has_axes_like_ours(case)]


@pytest.mark.parametrize("case", CALIBRATED, ids=identity)
def test_rosettasciio_calibrates_the_same(case: Case, tmp_path: Path) -> None:
    given = parameters(case, tmp_path)
    ours = n4.load(case["format"], **given)
    axes = read(case, given, ours.files)[1]
    found = contradictions(ours, axes, given) if axes else []
    known = known_difference(case, CALIBRATIONS)
    assert bool(found) == (known is not None), (found, known)


@pytest.mark.parametrize("case", with_reader(UNREADABLE), ids=identity)
def test_rosettasciio_refuses_what_we_refuse(case: Case, tmp_path: Path) -> None:
    given = parameters(case, tmp_path)
    check_refused(
        lambda: read(case, given, ()), known_difference(case, READ_ALL_THE_SAME)
    )
