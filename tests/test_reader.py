"""napari's hooks: what we take, what we leave to others, and the manifest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_4dstem import reader
from napari_4dstem.formats import FORMATS
from napari_4dstem.gui import remembered
from napari_4dstem.reader import SHARED_SUFFIXES, get_reader, make_nanoparticles
from napari_4dstem.workspace import SUFFIX
from tests.formats.write_dm import write_image
from tests.formats.write_mib import write_hdr, write_mib

TEXT = b"a text\n" * 100
BINARY = bytes(range(256)) * 10
EXTENSIONS = sorted({e for f in FORMATS.values() for e in f.extensions})
OURS = [e for e in EXTENSIONS if e not in SHARED_SUFFIXES]
SHARED = [e for e in EXTENSIONS if e in SHARED_SUFFIXES]


def frames() -> Any:
    return np.zeros((4, 8, 8), "u2")


@pytest.mark.parametrize("content", [b"", TEXT, BINARY])
@pytest.mark.parametrize("ending", OURS)
def test_an_ending_that_is_ours_alone_always_gets_a_reader(
    ending: str, content: bytes, tmp_path: Path
) -> None:
    for name in (f"a{ending}", f"B{ending.upper()}"):
        (tmp_path / name).write_bytes(content)
        assert callable(get_reader(str(tmp_path / name)))


@pytest.mark.parametrize("content", [b"", TEXT])
@pytest.mark.parametrize("ending", SHARED)
def test_a_shared_ending_with_other_content_is_left_to_others(
    ending: str, content: bytes, tmp_path: Path
) -> None:
    (tmp_path / f"a{ending}").write_bytes(content)
    assert get_reader(str(tmp_path / f"a{ending}")) is None


@pytest.mark.parametrize("ending", [".npy", ".hdr"])
def test_bytes_of_no_mark_are_raw_only_where_the_ending_says_so(
    ending: str, tmp_path: Path
) -> None:
    for name in (f"a{ending}", "a.raw"):
        (tmp_path / name).write_bytes(BINARY)
    assert get_reader(str(tmp_path / f"a{ending}")) is None
    assert callable(get_reader(str(tmp_path / "a.raw")))


def test_shared_endings_with_our_content_get_a_reader(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", frames())
    write_mib(tmp_path / "b.mib", frames())
    write_hdr(tmp_path / "b.hdr", {})
    for name in ("a.npy", "b.hdr"):
        assert callable(get_reader(str(tmp_path / name)))


def test_other_paths_are_left_to_others(tmp_path: Path) -> None:
    for path in (
        tmp_path / "nothing.npy",
        tmp_path / "nothing",
        tmp_path / "a.tif",
        tmp_path,
        "https://example.org/a.npy",
        "",
    ):
        assert get_reader(str(path)) is None
    assert get_reader([]) is None


def test_a_folder_with_our_files_gets_a_reader(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(TEXT)
    (tmp_path / "a.npy").write_bytes(TEXT)
    assert get_reader(str(tmp_path)) is None
    write_mib(tmp_path / "b.mib", frames())
    assert callable(get_reader(str(tmp_path)))


def test_a_workspace_gets_a_reader_and_other_json_does_not(tmp_path: Path) -> None:
    for name in ("a.4dstem.json", "A.B.4DSTEM.JSON"):
        assert callable(get_reader(str(tmp_path / name)))
    assert get_reader(str(tmp_path / "a.json")) is None


def test_several_paths_are_judged_by_the_first(tmp_path: Path) -> None:
    write_mib(tmp_path / "b.mib", frames())
    assert callable(get_reader([str(tmp_path / "b.mib"), str(tmp_path / "c.mib")]))
    assert get_reader([str(tmp_path / "c.tif"), str(tmp_path / "b.mib")]) is None


def test_images_given_together_are_one_stack_in_natural_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remembered, "recall", lambda path: None)
    paths = [tmp_path / f"image {n}.dm3" for n in (10, 9, 1)]
    for n, path in zip((10, 9, 1), paths, strict=True):
        write_image(path, np.full((2, 3), n, "u2"))
    ds, _ = reader._opened(paths)
    assert ds[:, 0, 0].tolist() == [1, 9, 10]
    alone, _ = reader._opened(paths[:1])
    assert alone.num_stored_frames == 1


def test_the_sample_is_one_calibrated_layer() -> None:
    ((data, options, kind),) = make_nanoparticles()
    assert kind == "image"
    assert data.ndim == 4
    assert options["units"] == ("nm", "nm", "mrad", "mrad")
    ds = options["metadata"]["napari_4dstem"]
    assert ds.metadata["beam_energy_kV"] == 200
    assert data.shape == ds.shape


def test_the_manifest_names_our_endings_and_functions() -> None:
    npe2 = pytest.importorskip("npe2")
    import napari_4dstem

    folder = Path(napari_4dstem.__file__).parent
    manifest = npe2.PluginManifest.from_file(folder / "napari.yaml")
    manifest.validate_imports()
    (reader,) = manifest.contributions.readers
    assert reader.accepts_directories
    endings = sorted((*EXTENSIONS, SUFFIX))
    assert sorted(reader.filename_patterns) == [f"*{ending}" for ending in endings]
    from napari_4dstem.gui import open_form

    assert manifest.name == open_form.PLUGIN
    assert [widget.display_name for widget in manifest.contributions.widgets] == [
        open_form.TITLE,
        "4D-STEM Explorer",
        "Virtual detector",
        "Centre of mass",
    ]
