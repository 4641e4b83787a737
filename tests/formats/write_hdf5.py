"""HDF5 files of the layouts that microscopists meet, written with h5py alone.

Sources: https://emdatasets.com/format; files of emdfile, HyperSpy and a Dectris ARINA;
NeXus definitions NXdata and NXmx.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

Axis = tuple[float, str]


def write_hdf5(
    path: Path, scan: NDArray[Any], name: str = "data", **options: Any
) -> list[int]:
    """Write one data set, and return the byte after each of its frames.

    A file that is cut anywhere is no HDF5 file any more.
    """
    with h5py.File(path, "w") as file:
        file.create_dataset(name, data=scan, **options)
    frames = int(np.prod(scan.shape[:-2]))
    return [path.stat().st_size] * frames


def write_berkeley(path: Path, scan: NDArray[Any], axes: Sequence[Axis]) -> None:
    """Write an EMD file of version 0.2."""
    with h5py.File(path, "w") as file:
        file.attrs.update(version_major=0, version_minor=2)
        group = file.create_group("experiment/cube")
        group.attrs["emd_group_type"] = 1
        group["data"] = scan
        for i, (step, unit) in enumerate(axes):
            axis = group.create_dataset(
                f"dim{i + 1}", data=step * np.arange(scan.shape[i])
            )
            axis.attrs["name"] = np.bytes_(f"axis {i}")
            axis.attrs["units"] = np.bytes_(unit)
        file.create_group("microscope").attrs["accelerating_voltage"] = 200_000


def write_emd1(
    path: Path,
    scan: NDArray[Any],
    axes: Sequence[Axis],
    calibration: Mapping[str, Any],
    holder: str = "cube_root/cube",
) -> None:
    """Write an EMD file of version 1.0, as py4DSTEM does."""
    with h5py.File(path, "w") as file:
        file.attrs.update(emd_group_type="file", version_major=1, version_minor=0)
        root = file.create_group("cube_root")
        root.attrs.update(emd_group_type="root", python_class="Root")
        cube = root.create_group("cube")
        cube.attrs.update(emd_group_type="array", python_class="DataCube")
        cube["data"] = scan
        for i, (step, unit) in enumerate(axes):
            axis = cube.create_dataset(f"dim{i}", data=[0, step])
            axis.attrs["units"] = unit
        bundle = file[holder].create_group("metadatabundle/calibration")
        for name, value in calibration.items():
            bundle[name] = value


def write_hspy(
    path: Path, scan: NDArray[Any], axes: Sequence[Axis], signal_ndim: int = 2
) -> None:
    """Write a signal of HyperSpy, and one of a single image."""
    with h5py.File(path, "w") as file:
        file.attrs.update(file_format="HyperSpy", file_format_version="3.3")
        for title, array in (("a scan", scan), ("survey", np.ones((50, 60)))):
            group = file.create_group(f"Experiments/{title}")
            group.create_dataset("data", data=array, chunks=True, compression="gzip")
            for i, (step, unit) in enumerate(axes[: array.ndim]):
                axis = group.create_group(f"axis-{i}")
                axis.attrs.update(
                    scale=step, units=unit, navigate=i < array.ndim - signal_ndim
                )
        long = file.create_group("Experiments/a scan/original_metadata")
        for i in range(600):
            long.attrs[f"{i}"] = i
            long.create_group(f"{i}").attrs["i"] = i
        metadata = file["Experiments/a scan"].create_group("metadata")
        microscope = metadata.create_group("Acquisition_instrument/TEM")
        microscope.attrs.update(
            beam_energy=300.0, camera_length=115.0, microscope="Titan"
        )
        general = metadata.create_group("General")
        general.attrs.update(date="2026-03-04", time="05:06:07")


def write_nexus(path: Path, scan: NDArray[Any], axes: Sequence[Axis]) -> None:
    """Write a NeXus file whose NXdata links to the detector's data set."""
    names = [f"a{i}" for i in range(scan.ndim)]
    with h5py.File(path, "w") as file:
        entry = file.create_group("entry")
        entry.attrs.update(NX_class=np.bytes_("NXentry"), default="plot")
        entry["start_time"] = np.bytes_("2026-03-04T05:06:07Z")
        entry["instrument/detector/data"] = scan
        entry["instrument/detector/count_time"] = 2.5
        entry["instrument/detector/count_time"].attrs["units"] = "ms"
        entry["instrument/larger"] = np.zeros((2, *scan.shape))
        plot = entry.create_group("plot")
        plot.attrs.update(NX_class=np.bytes_("NXdata"), signal="data", axes=names)
        plot["data"] = h5py.SoftLink("/entry/instrument/detector/data")
        for name, n, (step, unit) in zip(names, scan.shape, axes, strict=True):
            plot[name] = step * np.arange(n) + 7
            plot[name].attrs["units"] = unit


def write_master(
    path: Path,
    frames: NDArray[Any],
    counts: Sequence[int],
    *,
    mask: NDArray[Any] | None = None,
    scan: Mapping[str, Any] | None = None,
    declared: int | None = None,
    **options: Any,
) -> list[Path]:
    """Write a Dectris master and its parts of so many frames; return the parts."""
    stem = path.stem.removesuffix("_master")
    parts = []
    with h5py.File(path, "w") as file:
        data = file.create_group("entry/data")
        data.attrs.update(NX_class=np.bytes_("NXdata"), signal="data_000001")
        ends = np.cumsum(counts).tolist()
        for i, (count, end) in enumerate(zip(counts, ends, strict=True), 1):
            parts.append(path.with_name(f"{stem}_data_{i:06d}.h5"))
            write_hdf5(
                parts[-1], frames[end - count : end], "entry/data/data", **options
            )
            link = h5py.ExternalLink(parts[-1].name, "/entry/data/data")
            data[f"data_{i:06d}"] = link
        detector = file.create_group("entry/instrument/detector")
        detector["count_time"] = 4.9e-5
        detector["frame_time"] = 5e-5
        detector["description"] = np.bytes_("Dectris ARINA Si")
        specific = detector.create_group("detectorSpecific")
        specific["nimages"] = np.uint64(1)
        specific["ntrigger"] = np.uint64(declared or len(frames))
        specific["photon_energy"] = 80_000.0
        specific["data_collection_date"] = np.bytes_("2025-05-03T01:51:00.302+02:00")
        if mask is not None:
            specific["pixel_mask"] = mask
    if scan is not None:
        with h5py.File(path.with_name(f"{stem}.h5"), "w") as file:
            file.create_group("STEM Metadata").attrs.update(scan)
    return parts
