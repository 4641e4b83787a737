"""Importing costs next to nothing, and the core knows no format."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import napari_4dstem
from napari_4dstem.formats import FORMATS
from tests.formats.write_mib import write_mib
from tests.formats.write_npy import write_npy
from tests.formats.write_raw import write_raw

PACKAGE = Path(napari_4dstem.__file__).parent
HEAVY = {"numba", "h5py", "dask", "napari", "qtpy", "magicgui", "tifffile", "psutil"}


def run(code, *arguments, folder=None):
    """Run Python with the package, or a changed copy of it, and return its output."""
    path = os.pathsep.join([str(folder or PACKAGE.parent), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": path},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


LOADED = "; import sys; print(*{name.partition('.')[0] for name in sys.modules})"


def test_import_of_the_package_loads_nothing_else():
    loaded = run("import napari_4dstem" + LOADED).split()
    assert not HEAVY & set(loaded)
    assert "numpy" not in loaded


def test_load_and_detect_load_nothing_heavy():
    loaded = run("from napari_4dstem import load, detect, Dataset" + LOADED).split()
    assert "numpy" in loaded
    assert not HEAVY & set(loaded)


def test_opening_and_reading_a_file_loads_nothing_heavy(tmp_path):
    write_npy(tmp_path / "a.npy", np.ones((3, 4, 5, 6)))
    code = "import sys, napari_4dstem as n4; n4.load('npy', sys.argv[1])[1, 2]"
    loaded = run(code + LOADED, tmp_path / "a.npy").split()
    assert not (HEAVY - {"psutil"}) & set(loaded)


def test_opening_packed_frames_does_not_compile(tmp_path):
    write_mib(tmp_path / "a.mib", np.ones((4, 2, 8), "u2"), kind="R64")
    code = "import sys, napari_4dstem as n4; n4.load('auto', sys.argv[1]).diagnostics()"
    loaded = run(code + LOADED, tmp_path / "a.mib").split()
    assert not (HEAVY - {"psutil"}) & set(loaded)


def test_public_names_are_there():
    for name in napari_4dstem.__all__:
        assert getattr(napari_4dstem, name).__name__ == name
    assert set(napari_4dstem.__all__) < set(dir(napari_4dstem))


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'no_such_name'"):
        napari_4dstem.no_such_name  # noqa: B018


OPEN_ALL = """
import sys
from pathlib import Path
import numpy as np
import napari_4dstem as n4
from napari_4dstem.formats import FORMATS

folder, package, without = map(str, sys.argv[1:])
assert Path(n4.__file__).is_relative_to(package), n4.__file__
truth = np.load(f"{folder}/truth.npy")
given = {
    "npy": {"path": f"{folder}/scan.npy"},
    "mib": {"path": f"{folder}/scan.mib", "nav_shape": (3, 4)},
    "raw": {
        "path": f"{folder}/scan.raw", "nav_shape": (3, 4), "sig_shape": (2, 8),
        "dtype": "u2",
    },
    "memory": {"data": truth},
}
assert without not in FORMATS
assert without not in n4.filetypes()
for name in FORMATS:
    if name in given:
        assert (n4.load(name, **given[name])[...] == truth).all(), name
for name in ("npy", "mib"):
    try:
        assert n4.detect(given[name]["path"]).filetype == name
        assert name != without
    except n4.FormatError:
        assert name == without
if without == "memory":  # of this type the sample scan is
    from napari_4dstem.reader import make_nanoparticles

    ((sample, options, _),) = make_nanoparticles()
    assert sample.ndim == 4 and options["units"] == ("nm", "nm", "mrad", "mrad")
    assert options["metadata"]["napari_4dstem"].diagnostics()
try:
    n4.load(without, **given.get(without, {}))
except n4.FormatError as error:
    assert "unknown filetype" in str(error)
print("works")
"""


@pytest.mark.parametrize("name", FORMATS)
def test_everything_else_works_without_one_format(tmp_path, name):
    scan = np.arange(1, 193, dtype="u2").reshape(3, 4, 2, 8)
    frames = scan.reshape(12, 2, 8)
    np.save(tmp_path / "truth.npy", scan)
    write_npy(tmp_path / "scan.npy", scan)
    write_mib(tmp_path / "scan.mib", frames)
    write_raw(tmp_path / "scan.raw", frames)
    copy = tmp_path / "src" / "napari_4dstem"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "formats" / f"{name}.py").unlink()
    registry = copy / "formats" / "__init__.py"
    text = registry.read_text("utf-8")
    entry = rf",\s*{name}\b|\b{name},\s*"
    shorter, entries = re.subn(entry, "", text)
    assert entries == 2  # imported, listed
    registry.write_text(shorter, "utf-8")
    assert run(OPEN_ALL, tmp_path, copy, name, folder=tmp_path / "src") == "works\n"
