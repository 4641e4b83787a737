"""The same frames in every format and packing, about 1 GB each."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
from numpy.typing import NDArray

from benchmarks.scans import Scan
from tests.formats.write_blo import write_blo
from tests.formats.write_dm import document, image, order_tag, thumbnail, write_dm
from tests.formats.write_empad import write_raw as write_empad_raw
from tests.formats.write_empad import write_xml
from tests.formats.write_frms6 import write_set
from tests.formats.write_k2is import write_k2is
from tests.formats.write_mib import write_hdr, write_mib
from tests.formats.write_mrc import write_mrc
from tests.formats.write_raw_csr import toml_text, write_events
from tests.formats.write_seq import write_seq
from tests.formats.write_ser import write_ser
from tests.formats.write_tvips import write_tvips

U2 = Scan((64, 128), (256, 256), "u2")
U1 = Scan((128, 128), (256, 256), "u1", top=255)
F4 = Scan((64, 64), (256, 256), "f4")
CHUNKS = (1, 4, 256, 256)


@dataclass(frozen=True)
class DataSet:
    """A data set in a folder of its own.

    Attributes
    ----------
    name : str
        In the tables.
    filetype, params
        For ``n4.load``; ``{folder}`` is filled in.
    scan : Scan
        What is in it.
    file : str
        What is opened.
    write : callable
        Gets the folder and the scan.
    pixels : str
        The files that hold the pixels, as a pattern.
    peers : mapping
        Name of a peer: its own name of the format.
    codec : bool
        Whether the time that the codec alone takes is measured as well.
    """

    name: str
    filetype: str
    scan: Scan
    file: str
    write: Callable[[Path, Scan], object]
    params: Mapping[str, Any] = field(default_factory=dict)
    pixels: str = "*"
    peers: Mapping[str, str] = field(default_factory=dict)
    codec: bool = False

    def quick(self) -> DataSet:
        """Return one of a sixteenth of the size."""
        ny, nx = self.scan.nav_shape
        small = replace(self.scan, nav_shape=(ny // 4, nx // 4))
        return replace(self, scan=small)

    def folder(self, cache: Path) -> Path:
        """Return where it lies."""
        ny, nx = self.scan.nav_shape
        return cache / f"{self.name.replace(' ', '_')}_{ny}x{nx}"

    def make(self, cache: Path) -> Path:
        """Write it if it is not there; return the path to open."""
        folder = self.folder(cache)
        if not folder.exists():
            unfinished = folder.with_name(folder.name + ".part")
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir(parents=True)
            sys.stderr.write(f"writing {folder.name}\n")
            self.write(unfinished, self.scan)
            unfinished.rename(folder)
        return folder / self.file

    def files(self, cache: Path) -> list[Path]:
        """Return the files that hold the pixels."""
        return sorted(self.folder(cache).glob(self.pixels))

    def arguments(self) -> dict[str, Any]:
        """Return what ``n4.load`` gets beside the path."""
        return {"nav_shape": self.scan.nav_shape, **self.params}


def save_npy(folder: Path, scan: Scan) -> None:
    np.save(folder / "scan.npy", scan.scan())


def _raw(folder: Path, scan: Scan) -> None:
    scan.frames().tofile(folder / "scan.raw")


def save_mib(folder: Path, scan: Scan, **options: Any) -> None:
    write_mib(folder / "scan.mib", scan.frames(), **options)
    ny, nx = scan.nav_shape
    lines = {"Frames in Acquisition (Number)": ny * nx}
    write_hdr(folder / "scan.hdr", {**lines, "Frames per Trigger (Number)": nx})


def _dm(folder: Path, scan: Scan) -> None:
    entry = image(scan.scan(), tags=order_tag())
    write_dm(folder / "scan.dm4", document([thumbnail(), entry]), version=4)


def _tvips(folder: Path, scan: Scan) -> None:
    write_tvips(folder / "scan_000.tvips", scan.frames())


def _empad(folder: Path, scan: Scan) -> None:
    ny, nx = scan.nav_shape
    write_empad_raw(folder / "scan_x128_y128.raw", scan.frames())
    write_xml(
        folder / "scan.xml", "scan_x128_y128.raw", scans={"acquire": (nx, ny)},
        pixels=(nx, ny),
    )  # fmt: skip


def _frms6(folder: Path, scan: Scan) -> None:
    frames = scan.frames()
    write_set(folder, frames, np.zeros_like(frames[:4]), scan=scan.nav_shape[::-1])


def save_hdf5(folder: Path, scan: Scan, **options: Any) -> None:
    with h5py.File(folder / "scan.h5", "w") as file:
        file.create_dataset("data", data=scan.scan(), **options)


EVENTS = 10_000  # in a sparse frame of any size


def events(scan: Scan) -> NDArray[np.int32]:
    """Return the pixels of a sparse scan in which there is an electron, (n, events)."""
    rng = np.random.default_rng(4)
    some = np.sort(rng.integers(0, prod(scan.sig_shape), (256, EVENTS)), axis=1)
    return np.resize(some.astype("i4"), (scan.count, EVENTS))


def _csr(folder: Path, scan: Scan) -> None:
    indices = events(scan).ravel()
    indptr = np.arange(scan.count + 1) * EVENTS
    write_events(folder, indptr, indices, np.ones(indices.size, "u2"))
    (folder / "scan.toml").write_text(toml_text(scan.nav_shape, scan.sig_shape))


def _mib_raw(name: str, depth: int, scan: Scan) -> DataSet:
    write = partial(save_mib, kind="R64", depth=depth)
    return DataSet(
        name, "mib", scan, "scan.mib", write, pixels="*.mib",
        peers={"LiberTEM": "mib"},
    )  # fmt: skip


LT = "LiberTEM"
P4 = "py4DSTEM"
# A scan starts a frame before the shutter flag, which the first frame does not have.
K2 = Scan((12, 12), (1860, 2048), "u2", top=4095)

DATA_SETS = (
    DataSet("npy u2", "npy", U2, "scan.npy", save_npy, peers={LT: "npy", P4: "npy"}),
    DataSet(
        "raw u2", "raw", U2, "scan.raw", _raw,
        {"dtype": "u2", "sig_shape": U2.sig_shape}, peers={LT: "raw", P4: "raw"},
    ),
    DataSet(
        "raw >u2", "raw", replace(U2, dtype=">u2"), "scan.raw", _raw,
        {"dtype": ">u2", "sig_shape": U2.sig_shape}, peers={LT: "raw", P4: "raw"},
    ),
    DataSet(
        "mib U16", "mib", U2, "scan.mib", save_mib, pixels="*.mib",
        peers={LT: "mib"},
    ),
    DataSet(
        "ser u2", "ser", U2, "scan.ser",
        lambda folder, scan: write_ser(
            folder / "scan.ser", scan.frames(), scan.nav_shape
        ),
        peers={LT: "ser"},
    ),
    DataSet(
        "seq u2", "seq", U2, "scan.seq",
        lambda folder, scan: write_seq(folder / "scan.seq", scan.frames()),
        peers={LT: "seq"},
    ),
    DataSet(
        "mrc u2", "mrc", U2, "scan.mrc",
        lambda folder, scan: write_mrc(folder / "scan.mrc", scan.frames()),
        peers={LT: "mrc"},
    ),
    DataSet(
        "tvips u2", "tvips", U2, "scan_000.tvips", _tvips, peers={LT: "tvips"},
    ),
    DataSet("dm4 u2", "dm", U2, "scan.dm4", _dm, peers={LT: "dm", P4: "dm"}),
    DataSet(
        "frms6", "frms6", Scan((64, 64), (264, 264), "u2"), "run.hdr", _frms6,
        {"corrections": False}, pixels="*.frms6", peers={LT: "frms6"},
    ),
    DataSet("npy u1", "npy", U1, "scan.npy", save_npy, peers={LT: "npy", P4: "npy"}),
    DataSet(
        "raw u1", "raw", U1, "scan.raw", _raw,
        {"dtype": "u1", "sig_shape": U1.sig_shape}, peers={LT: "raw"},
    ),
    DataSet(
        "mib U08", "mib", U1, "scan.mib", partial(save_mib, kind="U08", depth=6),
        pixels="*.mib", peers={LT: "mib"},
    ),
    DataSet(
        "blo u1", "blo", U1, "scan.blo",
        lambda folder, scan: write_blo(folder / "scan.blo", scan.scan()),
        peers={LT: "blo"},
    ),
    DataSet(
        "raw f4", "raw", F4, "scan.raw", _raw,
        {"dtype": "f4", "sig_shape": F4.sig_shape}, peers={LT: "raw", P4: "raw"},
    ),
    DataSet(
        "empad f4", "empad", Scan((128, 128), (128, 128), "f4"), "scan.xml", _empad,
        pixels="*.raw", peers={LT: "empad"},
    ),
    _mib_raw("mib R64 12 bit", 12, U2),
    _mib_raw("mib R64 6 bit", 6, replace(U1, top=63)),
    _mib_raw("mib R64 1 bit", 1, Scan((256, 256), (256, 256), "u1", top=1)),
    DataSet(
        "k2is", "k2is", K2, "Capture_.gtg",
        lambda folder, scan: write_k2is(
            folder, scan.frames(), scan=scan.nav_shape, exposed_from=1
        ),
        pixels="*.bin", peers={LT: "k2is"},
    ),
    DataSet(
        "hdf5 contiguous", "hdf5", U2, "scan.h5", save_hdf5,
        peers={LT: "hdf5", P4: "hdf5"},
    ),
    DataSet(
        "hdf5 chunks", "hdf5", U2, "scan.h5", partial(save_hdf5, chunks=CHUNKS),
        peers={LT: "hdf5"},
    ),
    DataSet(
        "hdf5 gzip", "hdf5", U2, "scan.h5",
        partial(save_hdf5, chunks=CHUNKS, compression="gzip", compression_opts=1),
        peers={LT: "hdf5"}, codec=True,
    ),
    DataSet(
        "hdf5 bitshuffle-LZ4", "hdf5", U2, "scan.h5",
        partial(save_hdf5, chunks=CHUNKS, compression=hdf5plugin.Bitshuffle()),
        peers={LT: "hdf5"}, codec=True,
    ),
)  # fmt: skip


SPARSE = tuple(
    DataSet(
        f"raw_csr {side} x {side}", "raw_csr",
        Scan((128, 128), (side, side), "u2", top=1),
        "scan.toml", _csr, pixels="*.dat",
    )
    for side in (256, 1024)
)  # fmt: skip


def describe(data_set: DataSet, cache: Path) -> str:
    """Return what other processes need to know of a data set, as JSON."""
    facts = {
        "filetype": data_set.filetype,
        "path": str(data_set.make(cache)),
        "arguments": data_set.arguments(),
        "nav_shape": data_set.scan.nav_shape,
        "sig_shape": data_set.scan.sig_shape,
        "dtype": data_set.scan.dtype,
        "center": data_set.scan.center,
        "radii": data_set.scan.radii,
        "rings": data_set.scan.rings,
    }
    return json.dumps(facts)
