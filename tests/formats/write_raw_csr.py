"""Raw CSR from arrays: pointers, pixel indices and values, and a TOML that names them.

Source: LiberTEM (``io/dataset/raw_csr.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def toml_text(
    nav_shape: tuple[int, ...],
    sig_shape: tuple[int, ...],
    *,
    filetype: str = "raw_csr",
    section: str | None = None,
    changes: Mapping[str, str | None] | None = None,
) -> str:
    """Return the TOML; a change is the text of a value, None leaves the key out."""
    params: dict[str, str | None] = {
        "filetype": f'"{filetype}"',
        "nav_shape": str([*nav_shape]),
        "sig_shape": str([*sig_shape]),
    }
    files: dict[str, str | None] = {
        "indptr_file": '"rows.dat"',
        "indptr_dtype": '"<i4"',
        "indices_file": '"pixels.dat"',
        "indices_dtype": '"<i4"',
        "data_file": '"values.dat"',
        "data_dtype": '"<u2"',
    }
    lines = []
    for name, table in (("params", params), (section or filetype, files)):
        known = table | {k: v for k, v in (changes or {}).items() if k in table}
        lines += [f"[{name}]", *(f"{k} = {v}" for k, v in known.items() if v), ""]
    return "\n".join(lines)


def write_events(
    folder: Path,
    indptr: Any,
    indices: Any,
    values: Any,
    *,
    dtypes: tuple[str, str, str] = ("<i4", "<i4", "<u2"),
) -> None:
    """Write the three files of numbers."""
    names = ("rows.dat", "pixels.dat", "values.dat")
    for name, numbers, dtype in zip(
        names, (indptr, indices, values), dtypes, strict=True
    ):
        np.asarray(numbers).astype(dtype).tofile(folder / name)


def write_raw_csr(
    path: Path,
    scan: NDArray[Any],
    *,
    dtypes: tuple[str, str, str] = ("<i4", "<i4", "<u2"),
    skipped: int = 0,
    **options: Any,
) -> None:
    """Write the pixels of a scan that are not zero, after ``skipped`` other events."""
    nav_shape, sig_shape = scan.shape[:-2], scan.shape[-2:]
    frames = scan.reshape(-1, sig_shape[0] * sig_shape[1])
    frame, pixel = np.nonzero(frames)
    counts = np.bincount(frame, minlength=len(frames))
    write_events(
        path.parent,
        skipped + np.cumsum([0, *counts]),
        [0] * skipped + pixel.tolist(),
        [9] * skipped + frames[frame, pixel].tolist(),
        dtypes=dtypes,
    )
    names = ("indptr_dtype", "indices_dtype", "data_dtype")
    changes = {n: f'"{d}"' for n, d in zip(names, dtypes, strict=True)}
    path.write_text(toml_text(nav_shape, sig_shape, changes=changes, **options))
