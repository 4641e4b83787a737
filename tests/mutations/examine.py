"""What must hold of a damaged file: refused in clear words, or a valid data set."""

from __future__ import annotations

import math
import os
import pickle
import random
import re
import shutil
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

import napari_4dstem as n4
from napari_4dstem.errors import NotRecognizedError
from napari_4dstem.layers import image_layer
from tests.mutations.corpus import Opener, Target
from tests.mutations.mutate import mutate

LONGEST_MESSAGE = 2000  # characters that somebody would read
NUMBERS = ("exposure_s", "dwell_s", "beam_energy_kV", "camera_length_m")
NUMBERS += ("convergence_mrad",)
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # they steer a terminal
LAZY_EVERY = 3  # dask for one in three: that takes as long as all the rest


def examine(
    target: Target, seed: int, donors: Sequence[bytes], intact: Path, folder: Path
) -> str:
    """Damage a file and open it in every way.

    Parameters
    ----------
    target : Target
    seed : int
    donors : sequence of bytes
        See `mutate`.
    intact : Path
        A copy of the folder of the target, on the same file system.
    folder : Path
        Where the mutant is made.

    Returns
    -------
    str
        "opened" or "refused".
    """
    for file in target.beside:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        os.link(intact / file, folder / file)
    path = folder / target.file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(mutate(target.name, seed, target.content, donors).content)
    itself = Opener("auto", {"path": path})
    verdicts = [check(itself, folder, seed)]
    if target.openers:
        other = random.Random(seed).choice(target.openers)
        other = other.below(target.folder, folder)
        # The same again tells nothing new, unless the type has to be given.
        if other.parameters != itself.parameters or verdicts == ["unknown"]:
            verdicts.append(check(other, folder, seed))
    return "opened" if "opened" in verdicts else "refused"


def check(opener: Opener, folder: Path, seed: int) -> str:
    """Open and look at everything; return "opened", "refused" or "unknown"."""
    try:
        data_set = n4.load(opener.filetype, **opener.parameters)
        check_facts(data_set)
        check_frames(data_set)
        if seed % LAZY_EVERY == 0:
            check_lazy(data_set)
    except n4.FormatError as error:
        told = str(error)
        assert len(told) < LONGEST_MESSAGE, f"{len(told)} characters: {told[:500]} ..."
        assert str(folder) in told, f"it does not say which file: {told}"
        return "unknown" if isinstance(error, NotRecognizedError) else "refused"
    return "opened"


def check_facts(data_set: n4.Dataset) -> None:
    """Look at all that a data set says."""
    assert all(n > 0 for n in data_set.shape)
    assert data_set.dtype.isnative
    assert len(data_set.calibration.nav) == len(data_set.nav_shape)
    assert len(data_set.calibration.sig) == len(data_set.sig_shape)
    for axis in (*data_set.calibration.nav, *data_set.calibration.sig):
        if axis is not None:
            assert math.isfinite(axis.scale), axis
            assert axis.scale > 0, axis
            assert axis.unit.isprintable(), axis
    metadata = data_set.metadata
    for key in NUMBERS:
        assert math.isfinite(metadata.get(key, 0)), (key, metadata[key])
    if "timestamp" in metadata:
        datetime.fromisoformat(metadata["timestamp"])
    for name, value in data_set.diagnostics():
        assert isinstance(name, str)
        assert not CONTROL.search(value), (name, value)
        assert len(value) < LONGEST_MESSAGE * (1 + len(data_set.files)), (name, value)
    assert repr(data_set)
    assert pickle.loads(pickle.dumps(data_set)).shape == data_set.shape
    assert data_set.valid.shape == data_set.nav_shape
    assert data_set.valid.dtype == bool


def check_frames(data_set: n4.Dataset) -> None:
    """Read the first, the middle and the last frame."""
    nav_shape, valid = data_set.nav_shape, data_set.valid
    middle = tuple(n // 2 for n in nav_shape)
    for at in {(0,) * len(nav_shape), middle, tuple(n - 1 for n in nav_shape)}:
        frame = data_set[at]
        assert frame.shape == data_set.sig_shape
        assert frame.dtype == data_set.dtype
        assert valid[at] or not frame.any(), f"the missing frame {at} is not blank"


def check_lazy(data_set: n4.Dataset) -> None:
    """Read a frame through dask, and make what napari shows."""
    middle = tuple(n // 2 for n in data_set.nav_shape)
    lazy = data_set.to_dask()[middle].compute(scheduler="synchronous")
    assert same(lazy, data_set[middle])
    data, options, _ = image_layer(data_set)
    assert data.ndim == len(options["scale"]) == len(options["units"]) == 4
    low, high = options["contrast_limits"]
    assert math.isfinite(low), low
    assert low < high < math.inf, (low, high)


def same(one: Any, other: Any) -> bool:
    is_float = np.asarray(one).dtype.kind in "fc"
    return np.array_equal(one, other, equal_nan=is_float)


def copied(target: Target, scratch: Path) -> Path:
    """Copy the folder of a target, once."""
    copy = scratch / "intact" / target.name.removesuffix(target.file.as_posix())
    for file in target.beside:
        if not (copy / file).exists():
            (copy / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(target.folder / file, copy / file)
    return copy
