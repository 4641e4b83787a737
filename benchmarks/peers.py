"""The same analyses with LiberTEM and py4DSTEM, in an environment of their own.

As a program it runs in that environment, where napari-4dstem need not be installed:
it gets a peer's name and the facts of a data set, and prints seconds as JSON. The maps
go to a file, so that they can be compared.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from benchmarks.data_sets import DataSet

RUNS = 3
BUSY_S = 8.0
TIMEOUT_S = 600
Jobs = dict[str, Callable[[], Any]]


def measure(data_set: DataSet, cache: Path, python: str) -> dict[str, Any]:
    """Time what the peers can read, and compare their maps with numpy's.

    Returns
    -------
    dict
        Peer's name: analysis: seconds; or a text that tells why not.
    """
    from benchmarks.data_sets import describe

    found: dict[str, Any] = {}
    for peer, kind in data_set.peers.items():
        facts = json.loads(describe(data_set, cache)) | {"kind": kind}
        with tempfile.TemporaryDirectory() as folder:
            maps = Path(folder) / "maps.npz"
            done = subprocess.run(
                [python, __file__, peer, json.dumps(facts), str(maps)],
                capture_output=True, text=True, check=False, timeout=TIMEOUT_S,
            )  # fmt: skip
            if done.returncode:
                found[peer] = done.stderr.strip().splitlines()[-1][:200]
                continue
            found[peer] = json.loads(done.stdout.splitlines()[-1])
            for name, theirs in np.load(maps).items():
                expected = data_set.scan.expected[name]
                if not np.allclose(theirs, expected, rtol=1e-3):
                    found[peer][name + "_differs"] = True
    return found


def libertem(facts: dict[str, Any]) -> Jobs:
    """Return the analyses of LiberTEM, with the executor that it starts by default."""
    import libertem.api as lt
    from libertem.udf.stddev import StdDevUDF

    context = lt.Context()
    given = facts["arguments"]
    kind, path = facts["kind"], facts["path"]
    options: dict[str, Any] = {"path": path, "nav_shape": tuple(facts["nav_shape"])}
    if kind == "mib":
        options["path"] = str(Path(path).with_suffix(".hdr"))
        options["disable_glob"] = False
    if kind == "raw":
        options |= {"dtype": given["dtype"], "sig_shape": given["sig_shape"]}
    if kind == "hdf5":
        options = {"path": path, "ds_path": "data"}
    if kind in {"npy", "dm", "blo", "empad"}:
        options = {"path": path}
    if kind == "frms6":
        options |= {"enable_offset_correction": False}
    ds = context.load(kind, **options)
    (cy, cx), (inner, outer) = facts["center"], facts["radii"]
    ring = context.create_ring_analysis(ds, cx=cx, cy=cy, ri=inner, ro=outer)
    com = context.create_com_analysis(ds)
    full = context.create_mask_analysis(
        factories=[lambda: np.ones(facts["sig_shape"])], dataset=ds
    )

    def centers() -> Any:
        found = context.run(com)  # from the middle of the frame
        maps = [found.y.raw_data, found.x.raw_data]
        return np.stack(maps, axis=-1) + np.array(facts["sig_shape"]) / 2

    return {
        "annulus": lambda: context.run(ring).intensity.raw_data,
        "full": lambda: context.run(full).mask_0.raw_data,
        "com": centers,
        "std": lambda: context.run_udf(ds, StdDevUDF())["std"].data,
    }


def py4dstem(facts: dict[str, Any]) -> Jobs:
    """Return the analyses of py4DSTEM, on a memory map where it can make one."""
    import py4DSTEM

    kind, path = facts["kind"], facts["path"]
    shape = (*facts["nav_shape"], *facts["sig_shape"])
    if kind == "npy":
        cube = py4DSTEM.DataCube(np.load(path, mmap_mode="r"))
    elif kind == "raw":
        dtype = facts["arguments"]["dtype"]
        cube = py4DSTEM.DataCube(np.memmap(path, dtype, "r", shape=shape))
    elif kind == "hdf5":
        import h5py

        cube = py4DSTEM.DataCube(h5py.File(path)["data"])
    else:
        cube = py4DSTEM.import_file(path, mem="MEMMAP")
    geometry = (facts["center"], facts["radii"])

    def centers() -> Any:
        dpc = py4DSTEM.process.phase.DPC(datacube=cube, energy=200e3, verbose=False)
        dpc.preprocess(
            force_com_rotation=0, force_com_transpose=False, fit_function="plane",
            plot_center_of_mass=False, plot_rotation=False,
        )  # fmt: skip
        return np.stack([dpc._com_measured_x, dpc._com_measured_y], axis=-1)

    return {
        "annulus": lambda: cube.get_virtual_image("annulus", geometry).data,
        "com": centers,
    }


def main() -> None:
    """Run all analyses of a peer and print their seconds."""
    warnings.simplefilter("ignore")
    peer, facts, maps = sys.argv[1:]
    jobs = {"LiberTEM": libertem, "py4DSTEM": py4dstem}[peer](json.loads(facts))
    seconds, found = {}, {}
    for name, job in jobs.items():
        try:
            found[name] = np.asarray(job())  # warm
        except Exception as error:  # noqa: BLE001 - the others still count
            sys.stderr.write(f"{peer}, {name}: {error!r}\n")
            continue
        times: list[float] = []
        while len(times) < RUNS and sum(times) < BUSY_S:
            begin = time.perf_counter()
            job()
            times.append(time.perf_counter() - begin)
        seconds[name] = float(np.median(times))
    np.savez(maps, **found)
    sys.stdout.write("\n" + json.dumps(seconds) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
