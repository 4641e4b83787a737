"""A script makes the map again, to the last bit, in a process that knows nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import napari_4dstem as n4
from napari_4dstem.analysis.map_record import OUTPUTS, MapRecord, VectorMap
from napari_4dstem.errors import ParameterError
from napari_4dstem.live import LiveImages
from napari_4dstem.script import script_of
from tests.opened import NAV, OPENED, SIG, pixels

SOURCE = str(Path(n4.__file__).parents[1])
SCRIBBLE = np.random.default_rng(0).random(SIG) < 0.5
DETECTORS = {
    "point": n4.Point((3.3, 4.6)),
    "disk": n4.Disk((3.1, 1 / 3), 3.7),
    "annulus": n4.Annulus((3.123456789012345, 4), 1.5, 4.000000000000001),
    "rectangle": n4.Rectangle((-1, 2.5), (4, 7)),
    "polygon": n4.Polygon([(0.1, 0.2), (7.123456789012345, 4), (2, 8 / 3), (1, 1)]),
    "pixels": n4.Mask(np.eye(*SIG, dtype=bool)),
    "painted": n4.Mask(SCRIBBLE),
    "nothing painted": n4.Mask(np.zeros(SIG, bool)),
    "weights": n4.Mask(np.random.default_rng(0).normal(size=SIG)),
}
DISK = DETECTORS["disk"]
RUN = """
import sys
from pathlib import Path
import numpy as np

assert "napari_4dstem" not in sys.modules
for script in sorted(Path(sys.argv[1]).glob("*.script")):
    names = {}
    exec(compile(script.read_text("utf-8"), script.name, "exec"), names)
    np.save(script.with_suffix(".npy"), names["image"])
"""


def run(code: str, *arguments: Any) -> str:
    """Run Python in another process and another folder."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore::UserWarning", "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        env=os.environ | {"PYTHONPATH": SOURCE},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def assert_same(scripts: Sequence[str], maps: Sequence[Any], folder: Path) -> None:
    """Check that scripts make maps, bit for bit."""
    folder = folder / "scripts"
    folder.mkdir()
    for i, script in enumerate(scripts):
        (folder / f"{i:02}.script").write_text(script, "utf-8")
    run(RUN, folder)
    for i, expected in enumerate(maps):
        made = np.load(folder / f"{i:02}.npy")
        assert made.dtype == expected.dtype, scripts[i]
        assert made.shape == expected.shape, scripts[i]
        assert made.tobytes() == expected.tobytes(), scripts[i]


def assert_made_again(records: Sequence[MapRecord], folder: Path) -> None:
    maps = [record.compute() for record in records]
    assert_same([script_of(record) for record in records], maps, folder)


@pytest.mark.filterwarnings("ignore::napari_4dstem.FormatWarning")
@pytest.mark.parametrize("name", OPENED)
def test_data_set_is_opened_again_as_it_was(name: str, tmp_path: Path) -> None:
    ds = OPENED[name](tmp_path)
    shifts = VectorMap("magnitude", "plane", 12.5, True, (0.7, 0.7))
    records = [
        MapRecord(ds, DISK),
        MapRecord(ds, DETECTORS["weights"]),
        MapRecord(ds, DISK, "max"),
        MapRecord(ds, None, "com", shifts),
    ]
    assert_made_again(records, tmp_path)


def test_every_detector_is_written_down_exactly(tmp_path: Path) -> None:
    ds = OPENED["a_mib"](tmp_path)
    records = [MapRecord(ds, detector) for detector in DETECTORS.values()]
    assert_made_again(records, tmp_path)


def test_every_map_of_the_center_of_mass_is_made_again(tmp_path: Path) -> None:
    ds = OPENED["an_hdf5"](tmp_path)
    records = [
        MapRecord(
            ds, DISK, "com", VectorMap(output, descan, degrees, flip, pixel, step)
        )
        for output in OUTPUTS
        for descan, degrees, flip, pixel, step in (
            ("none", 0, False, (1, 1), (1, 1)),
            ("mean", -33.3, False, (0.1, 0.1), (0.3, 0.3)),
            ("plane", 0, True, (0.1, 0.2), (0.3, 1 / 3)),
            ((3.25, 4.75), 90, False, (1, 1), (1, 1)),
        )
    ]
    assert_made_again([MapRecord(ds, None, "com"), *records], tmp_path)


@pytest.mark.parametrize("name", ["a_mib", "a_raw", "corrected_by_files"])
@pytest.mark.parametrize("quantity", ["sum", "max", "com"])
def test_record_of_a_live_map_computes_it(
    name: str, quantity: str, tmp_path: Path
) -> None:
    ds = OPENED[name](tmp_path)
    live = LiveImages(ds)
    for detector in DETECTORS.values():
        *_, last = live.steps(detector, quantity, key="one")
        expected = MapRecord(ds, detector, quantity).compute()
        assert last.image.dtype == expected.dtype
        assert last.image.tobytes() == expected.tobytes()


def test_script_is_short_and_says_its_version(tmp_path: Path) -> None:
    ds = OPENED["a_mib"](tmp_path).with_scan(NAV)
    record = MapRecord(ds, n4.Annulus((3.5, 4.25), 2, 4))
    path = str(tmp_path / "a.mib")
    assert script_of(record).replace(path, "a.mib") == (
        f"# Made with napari-4dstem {n4.__version__}.\n"
        "import napari_4dstem as n4\n"
        "\n"
        "ds = n4.load(\n"
        '    "mib",\n'
        '    path="a.mib",\n'
        "    nav_shape=(5, 6),\n"
        "    sig_shape=(8, 12),\n"
        "    sync_offset=0,\n"
        ")\n"
        'ds = ds.with_calibration(nav=[(2.0, "nm"), (2.0, "nm")],'
        ' sig=[None, (0.7, "mrad")])\n'
        "detector = n4.Annulus((3.5, 4.25), inner=2.0, outer=4.0)\n"
        "image = n4.virtual_image(ds, detector)\n"
        '# import numpy; numpy.save("map.npy", image)\n'
    )


@pytest.mark.filterwarnings("ignore::napari_4dstem.FormatWarning")
@pytest.mark.parametrize("name", OPENED)
def test_ruff_has_nothing_to_change(name: str, tmp_path: Path) -> None:
    pytest.importorskip("ruff")
    ds = OPENED[name](tmp_path)
    shown = VectorMap("phase", "plane", 12.5, True, (0.7, 0.7), (1 / 3, 2 / 3))
    scripts = [MapRecord(ds, d) for d in DETECTORS.values()]
    scripts += [MapRecord(ds, DISK, "com", shown)]
    for i, record in enumerate(scripts):
        (tmp_path / f"script_{i}.py").write_text(script_of(record), "utf-8")
    # A path is as long as it is.
    linted = ["check", "--select", "E,F,W", "--ignore", "E501"]
    for command in (["format", "--diff"], linted):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--isolated", str(tmp_path)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr


CONSOLE = """
import sys
from types import SimpleNamespace
import numpy as np
import napari_4dstem as n4

script, kind, sync_offset, image = sys.argv[1:]
data = np.load(script + ".data.npy")
if kind == "dask":
    import dask.array as da

    data = da.from_array(data)
ds = n4.load(kind, data=data).with_scan((4, 6), int(sync_offset))
layer = SimpleNamespace(metadata={"napari_4dstem_map": SimpleNamespace(data_set=ds)})
names = {"viewer": SimpleNamespace(layers={'gold "3"': layer})}
exec(open(script).read(), names)
np.save(image, names["image"])
"""


@pytest.mark.parametrize("kind", ["memory", "dask"])
@pytest.mark.parametrize("sync_offset", [0, 2])
def test_data_in_memory_come_from_the_map_in_the_console(
    kind: str, sync_offset: int, tmp_path: Path
) -> None:
    data: Any = pixels()
    np.save(tmp_path / "a.script.data.npy", data)
    if kind == "dask":
        import dask.array as da

        data = da.from_array(data)
    ds = n4.load(kind, data=data).with_scan((4, 6), sync_offset)
    record = MapRecord(ds, DISK)
    script = script_of(record, layer='gold "3"')
    said = script.replace("\n# ", " ")
    assert "run this in napari's console" in said
    assert "a data set of your own (4 x 6 x 8 x 12, uint16)" in said
    assert "viewer.layers.selection.active.metadata" in script_of(record)
    (tmp_path / "a.script").write_text(script, "utf-8")
    run(CONSOLE, tmp_path / "a.script", kind, sync_offset, tmp_path / "image.npy")
    assert np.load(tmp_path / "image.npy").tobytes() == record.compute().tobytes()


def test_script_of_the_sample_runs_anywhere(tmp_path: Path) -> None:
    from napari_4dstem.reader import make_nanoparticles

    ((_, options, _),) = make_nanoparticles()
    ds = options["metadata"]["napari_4dstem"].with_scan((55, 64), sync_offset=3)
    record = MapRecord(ds, n4.Disk((46, 50), 5))
    assert "viewer" not in script_of(record)
    assert_made_again([record], tmp_path)


def test_corrections_in_memory_are_written_down(tmp_path: Path) -> None:
    OPENED["corrected_by_files"](tmp_path)
    rng = np.random.default_rng(0)
    dark, gain = rng.normal(size=SIG), rng.normal(1, 0.1, SIG)
    ds = n4.load("npy", tmp_path / "a.npy")
    records = [
        MapRecord(ds.with_corrections(dark, gain, excluded), DISK)
        for excluded in (np.eye(*SIG) > 0, SCRIBBLE, None)
    ]
    assert_made_again(records, tmp_path)


def test_large_dark_frame_in_memory_has_to_be_saved_first(tmp_path: Path) -> None:
    data = np.ones((2, 2, 257, 256), "u2")
    np.save(tmp_path / "a.npy", data)
    ds = n4.load("npy", tmp_path / "a.npy").with_corrections(dark=data[0, 0])
    script = script_of(MapRecord(ds, DISK))
    assert "# The pixels of dark were in memory only" in script
    assert "save\n# ds.corrections.dark" in script
    assert 'ds.with_corrections(dark="dark.npy")' in script


def test_maximum_counts_only_pixels_of_the_detector() -> None:
    ds = n4.load("memory", data=pixels())
    mask = DISK.mask(SIG)
    found = n4.max_image(ds, DISK)
    np.testing.assert_array_equal(found, pixels()[..., mask].max(axis=-1))
    np.testing.assert_array_equal(
        n4.max_image(ds, n4.Mask(np.ones(SIG))), n4.max_image(ds)
    )
    assert not n4.max_image(ds, n4.Mask(np.zeros(SIG, bool))).any()


@pytest.mark.parametrize(
    ("parts", "problem"),
    [
        ({"quantity": "median"}, "quantity of a map cannot be that"),
        ({"detector": None}, "a sum needs a detector"),
        ({"vector_map": VectorMap()}, "only centers of mass are vectors"),
    ],
)
def test_impossible_record_is_refused(parts: dict[str, Any], problem: str) -> None:
    ds = n4.load("memory", data=pixels())
    with pytest.raises(ParameterError, match=problem):
        MapRecord(**{"data_set": ds, "detector": DISK} | parts)
    with pytest.raises(ParameterError, match="output of a map cannot be that"):
        VectorMap("amplitude")
    with pytest.raises(ParameterError, match="descan of a map cannot be that"):
        VectorMap(descan="median")
