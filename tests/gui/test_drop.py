"""What happens to files that are dropped on a napari window."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_4dstem.dataset import Dataset
from tests.formats.write_dm import (
    document,
    image,
    thumbnail,
    write_dm,
    write_image,
)
from tests.formats.write_mib import write_hdr, write_mib, write_series
from tests.formats.write_tvips import write_tvips

pytestmark = pytest.mark.window

SHARED = Path(os.environ.get("N4_SHARED", Path(__file__).parents[3] / "shared"))
MERLIN = SHARED / "conformance" / "mib"
REAL = [
    path
    for path in sorted(MERLIN.glob("*real*/*"))
    if path.suffix in (".mib", ".hdr")
    # bait beside the file of its case
    and not ("sibling" in path.parent.name and "RAW" in path.name)
]

Drop = Callable[..., None]
Said = list[tuple[str, str]]
TITLE = "Open 4D-STEM data (4D-STEM)"


def frames(count: int = 12, shape: tuple[int, int] = (10, 14)) -> NDArray[np.uint16]:
    rng = np.random.default_rng(count)
    return rng.integers(0, 4000, (count, *shape)).astype("u2")


def shown(viewer: Any, y: int, x: int) -> NDArray[Any]:
    """Pixels that are on the screen after the sliders were moved."""
    viewer.dims.set_current_step((0, 1), (y, x))
    (layer,) = viewer.layers
    return np.asarray(layer._slice.image.raw)


def form_in(viewer: Any) -> Any:
    return viewer.window.dock_widgets[TITLE]


@pytest.mark.skipif(not REAL, reason=f"no real Merlin files in {MERLIN}")
@pytest.mark.parametrize("path", REAL, ids=lambda path: path.name)
def test_a_real_merlin_file_is_one_layer_and_its_sliders_show_frames(
    path: Path, make_napari_viewer: Any, drop: Drop, choose_ours: list[str], said: Said
) -> None:
    viewer = make_napari_viewer(show=True)
    drop(viewer, path)
    (layer,) = viewer.layers
    ds = layer.metadata["napari_4dstem"]
    assert isinstance(ds, Dataset)
    assert layer.data.ndim == 4
    assert not layer.rgb
    assert not [message for severity, message in said if severity == "error"]
    truth = np.load(path.parent / "expected.npy").reshape(-1, *ds.sig_shape)
    for n in {0, len(truth) // 2, len(truth) - 1}:
        y, x = divmod(n, layer.data.shape[1])
        np.testing.assert_array_equal(shown(viewer, y, x), truth[n])


def test_a_written_file_shows_another_frame_for_each_position(
    tmp_path: Path, make_napari_viewer: Any, drop: Drop
) -> None:
    data = frames()
    write_mib(tmp_path / "scan.mib", data)
    write_hdr(tmp_path / "scan.hdr", {"ScanX": 4, "ScanY": 3})
    viewer = make_napari_viewer(show=True)
    drop(viewer, tmp_path / "scan.mib")
    (layer,) = viewer.layers
    assert layer.name == "scan"
    assert layer.data.shape == (3, 4, 10, 14)
    assert layer.axis_labels == ("y", "x", "ky", "kx")
    for n in range(12):
        np.testing.assert_array_equal(shown(viewer, *divmod(n, 4)), data[n])


def test_members_of_a_series_dropped_together_are_one_layer(
    tmp_path: Path, make_napari_viewer: Any, drop: Drop
) -> None:
    paths = write_series(tmp_path, frames(16), [4, 4, 4, 4])
    viewer = make_napari_viewer(show=True)
    drop(viewer, *paths[1:])
    (layer,) = viewer.layers
    assert layer.data.shape == (4, 4, 10, 14)


@pytest.mark.parametrize("header_first", [True, False])
def test_a_header_dropped_with_its_data_is_one_layer(
    header_first: bool,
    tmp_path: Path,
    make_napari_viewer: Any,
    drop: Drop,
    choose_ours: list[str],
) -> None:
    write_mib(tmp_path / "scan.mib", frames())
    write_hdr(tmp_path / "scan.hdr", {"ScanX": 4, "ScanY": 3})
    paths = [tmp_path / "scan.hdr", tmp_path / "scan.mib"]
    viewer = make_napari_viewer(show=True)
    drop(viewer, *(paths if header_first else reversed(paths)))
    assert len(choose_ours) == 1  # napari owns .hdr, too
    (layer,) = viewer.layers
    assert layer.data.shape == (3, 4, 10, 14)


def test_the_same_file_dropped_again_is_a_second_layer(
    tmp_path: Path, make_napari_viewer: Any, drop: Drop
) -> None:
    write_mib(tmp_path / "scan.mib", frames())
    viewer = make_napari_viewer(show=True)
    for _ in range(2):
        drop(viewer, tmp_path / "scan.mib")
    assert [layer.name for layer in viewer.layers] == ["scan", "scan [1]"]


def test_two_data_sets_dropped_together_are_two_layers(
    tmp_path: Path, make_napari_viewer: Any, drop: Drop
) -> None:
    for name in ("gold", "carbon"):
        write_mib(tmp_path / f"{name}.mib", frames())
    viewer = make_napari_viewer(show=True)
    drop(viewer, tmp_path / "gold.mib", tmp_path / "carbon.mib")
    assert [layer.name for layer in viewer.layers] == ["gold", "carbon"]


def test_a_member_opens_again_once_its_layer_is_gone(
    tmp_path: Path, make_napari_viewer: Any, drop: Drop
) -> None:
    paths = write_series(tmp_path, frames(8), [4, 4])
    viewer = make_napari_viewer(show=True)
    drop(viewer, paths[0])
    viewer.layers.clear()
    drop(viewer, paths[1])
    assert len(viewer.layers) == 1


def test_a_folder_with_a_series_is_one_layer(
    tmp_path: Path, make_napari_viewer: Any, drop: Drop, choose_ours: list[str]
) -> None:
    folder = tmp_path / "scan 1"
    folder.mkdir()
    write_series(folder, frames(16), [8, 8])
    (folder / "notes.txt").write_text("gold")
    viewer = make_napari_viewer(show=True)
    drop(viewer, folder)
    (layer,) = viewer.layers
    assert layer.data.shape == (4, 4, 10, 14)


def test_text_named_mib_is_told_in_a_notification_without_traceback(
    tmp_path: Path, make_napari_viewer: Any, drop: Drop, said: Said
) -> None:
    path = tmp_path / "notes.mib"
    path.write_text("a text\n" * 100)
    viewer = make_napari_viewer(show=True)
    drop(viewer, path)
    assert not viewer.layers
    ((severity, message),) = said
    assert severity == "error"
    assert message.startswith("notes.mib: the file type is not recognized")
    assert not viewer.window.dock_widgets


def test_a_file_that_ends_early_is_told_in_a_warning(
    tmp_path: Path, make_napari_viewer: Any, drop: Drop, said: Said
) -> None:
    path = tmp_path / "scan.mib"
    ends = write_mib(path, frames(12))
    write_hdr(tmp_path / "scan.hdr", {"ScanX": 4, "ScanY": 3})
    path.write_bytes(path.read_bytes()[: ends[9]])
    viewer = make_napari_viewer(show=True)
    drop(viewer, path)
    assert len(viewer.layers) == 1
    ((severity, message),) = said
    assert severity == "warning"
    assert "2 are missing" in message
    assert str(tmp_path) not in message


def test_a_guess_is_told_as_information(
    tmp_path: Path, make_napari_viewer: Any, drop: Drop, said: Said
) -> None:
    write_mib(tmp_path / "scan.mib", frames(9))
    viewer = make_napari_viewer(show=True)
    drop(viewer, tmp_path / "scan.mib")
    ((severity, message),) = said
    assert severity == "info"
    assert "guessed" in message


def test_an_array_of_three_axes_is_shown_as_one_line(
    tmp_path: Path,
    make_napari_viewer: Any,
    drop: Drop,
    choose_ours: list[str],
    said: Said,
) -> None:
    np.save(tmp_path / "line.npy", frames(5))
    viewer = make_napari_viewer(show=True)
    drop(viewer, tmp_path / "line.npy")
    (layer,) = viewer.layers
    assert layer.data.shape == (1, 5, 10, 14)
    assert any("shown as 1 × 5" in message for _, message in said)


def raw_file(folder: Path, name: str = "scan_x4_y3_u16.raw") -> Path:
    path = folder / name
    frames(12, (128, 128)).tofile(path)
    return path


def test_a_raw_file_brings_up_the_form_filled_from_its_name_and_opens_at_once_later(
    tmp_path: Path,
    make_napari_viewer: Any,
    drop: Drop,
    choose_ours: list[str],
    said: Said,
    qtbot: Any,
) -> None:
    path = raw_file(tmp_path)
    viewer = make_napari_viewer(show=True)
    drop(viewer, path)
    assert not viewer.layers
    qtbot.waitUntil(lambda: TITLE in viewer.window.dock_widgets)
    form = form_in(viewer)
    qtbot.waitUntil(lambda: form.is_ready)
    values = {name: field.read() for name, field in form.fields.items()}
    assert values["nav_shape"] == (3, 4)
    assert values["sig_shape"] == (128, 128)
    assert values["dtype"] == "uint16"
    form.open()
    qtbot.waitUntil(lambda: len(viewer.layers) == 1)
    np.testing.assert_array_equal(shown(viewer, 2, 1), frames(12, (128, 128))[9])
    # It came by itself, so it goes by itself.
    qtbot.waitUntil(lambda: not form.native.isVisible())

    qtbot.waitUntil(lambda: bool(said))
    viewer.layers.clear()
    said.clear()
    drop(viewer, path)
    (layer,) = viewer.layers
    assert layer.data.shape == (3, 4, 128, 128)
    ((severity, message),) = said
    assert severity == "info"
    assert "as the last time" in message
    assert not form.native.isVisible()


def test_a_remembered_file_of_another_size_is_asked_about_again(
    tmp_path: Path,
    make_napari_viewer: Any,
    drop: Drop,
    choose_ours: list[str],
    qtbot: Any,
) -> None:
    from napari_4dstem.gui import remembered

    path = raw_file(tmp_path)
    given = {"nav_shape": (6, 2), "sig_shape": (128, 128), "dtype": "uint16"}
    remembered.remember(path, "raw", given)
    path.write_bytes(path.read_bytes()[: -128 * 128 * 2])
    viewer = make_napari_viewer(show=True)
    drop(viewer, path)
    assert not viewer.layers
    qtbot.waitUntil(lambda: TITLE in viewer.window.dock_widgets)
    form = form_in(viewer)
    qtbot.waitUntil(lambda: form.is_ready)
    assert form.fields["nav_shape"].read() == (6, 2)


def test_several_raw_files_are_asked_about_one_after_another(
    tmp_path: Path,
    make_napari_viewer: Any,
    drop: Drop,
    choose_ours: list[str],
    qtbot: Any,
) -> None:
    paths = [raw_file(tmp_path, f"{name}_x4_y3_u16.raw") for name in ("a", "b")]
    viewer = make_napari_viewer(show=True)
    drop(viewer, *paths)
    qtbot.waitUntil(lambda: TITLE in viewer.window.dock_widgets)
    form = form_in(viewer)
    qtbot.waitUntil(lambda: form.is_ready)
    # napari's chooser made it begin with the first file once more.
    assert [path.name for path in form._queue] == ["b_x4_y3_u16.raw"]
    for count in (1, 2):
        qtbot.waitUntil(lambda: form.is_ready)
        form.open()
        qtbot.waitUntil(lambda count=count: len(viewer.layers) == count)
    assert [layer.name for layer in viewer.layers] == ["a_x4_y3_u16", "b_x4_y3_u16"]


def test_text_named_raw_is_left_to_other_readers(tmp_path: Path) -> None:
    from napari_4dstem.reader import get_reader

    path = tmp_path / "notes.raw"
    path.write_text("a text\n" * 100)
    assert get_reader(str(path)) is None


@pytest.mark.parametrize("name", ["notes.mib", "unknown.raw"])
def test_without_a_window_the_problem_is_told_too(
    name: str, tmp_path: Path, said: Said, qapp: Any
) -> None:
    from napari_4dstem.reader import get_reader

    path = str(tmp_path / name)
    Path(path).write_bytes(bytes(range(256)))
    reader = get_reader(path)
    assert reader is not None
    assert reader(path) == [(None,)]
    ((severity, message),) = said
    assert severity == "error"
    assert message.startswith(f"{name}: the file type is not recognized")


def test_files_of_one_data_set_stacked_with_shift_are_one_layer(
    tmp_path: Path, make_napari_viewer: Any
) -> None:
    paths = write_series(tmp_path, frames(16), [8, 8])
    viewer = make_napari_viewer()
    viewer.window._qt_viewer._qt_open([str(path) for path in paths], stack=True)
    (layer,) = viewer.layers
    assert layer.data.shape == (4, 4, 10, 14)


def test_files_of_two_data_sets_stacked_with_shift_are_an_error(
    tmp_path: Path, make_napari_viewer: Any, said: Said
) -> None:
    for name in ("gold", "carbon"):
        write_mib(tmp_path / f"{name}.mib", frames())
    viewer = make_napari_viewer()
    viewer.window._qt_viewer._qt_open(
        [str(tmp_path / "gold.mib"), str(tmp_path / "carbon.mib")], stack=True
    )
    assert not viewer.layers
    ((severity, message),) = said
    assert severity == "error"
    assert "not one data set" in message
    assert "carbon.mib" in message


def test_images_dropped_with_shift_are_one_stack_in_natural_order(
    tmp_path: Path, make_napari_viewer: Any, drop: Drop
) -> None:
    paths = [tmp_path / f"image {n}.dm3" for n in (10, 9, 1)]
    for n, path in zip((10, 9, 1), paths, strict=True):
        write_image(path, np.full((6, 8), n, "u2"))
    viewer = make_napari_viewer(show=True)
    drop(viewer, *paths, shift=True)
    (layer,) = viewer.layers
    assert layer.data.shape == (1, 3, 6, 8)
    assert [int(shown(viewer, 0, x)[0, 0]) for x in range(3)] == [1, 9, 10]


def test_images_dropped_without_shift_are_layers_of_their_own(
    tmp_path: Path, make_napari_viewer: Any, drop: Drop
) -> None:
    paths = [tmp_path / f"image {n}.dm3" for n in (1, 2, 10)]
    for path in paths:
        write_image(path, np.ones((6, 8), "u2"))
    viewer = make_napari_viewer(show=True)
    drop(viewer, *paths)
    assert [layer.name for layer in viewer.layers] == ["image 1", "image 2", "image 10"]


def test_a_folder_of_images_is_one_stack_in_natural_order(
    tmp_path: Path, make_napari_viewer: Any, drop: Drop, choose_ours: list[str]
) -> None:
    folder = tmp_path / "scan 1"
    folder.mkdir()
    for n in (10, 9, 1):
        write_image(folder / f"image {n}.dm3", np.full((6, 8), n, "u2"))
    viewer = make_napari_viewer(show=True)
    drop(viewer, folder)
    assert [int(shown(viewer, 0, x)[0, 0]) for x in range(3)] == [1, 9, 10]


def test_members_of_a_tvips_series_dropped_with_shift_are_one_layer(
    tmp_path: Path, make_napari_viewer: Any, drop: Drop
) -> None:
    data = frames(6)
    paths = [tmp_path / f"scan_00{n}.tvips" for n in range(2)]
    write_tvips(paths[0], data[:4])
    write_tvips(paths[1], data[4:], first=4, continues=True)
    viewer = make_napari_viewer(show=True)
    drop(viewer, *reversed(paths), shift=True)
    np.testing.assert_array_equal(shown(viewer, 0, 5), data[5])


def test_raw_files_stacked_with_shift_are_told_to_be_dropped_without(
    tmp_path: Path, make_napari_viewer: Any, said: Said
) -> None:
    paths = [str(raw_file(tmp_path, f"{name}_x4_y3_u16.bin")) for name in ("a", "b")]
    viewer = make_napari_viewer()
    viewer.window._qt_viewer._qt_open(paths, stack=True)
    assert not viewer.layers
    ((severity, message),) = said
    assert severity == "error"
    assert "not one data set" in message
    assert "without Shift" in message


def test_of_several_likely_data_sets_one_opens_and_the_form_offers_the_others(
    tmp_path: Path, make_napari_viewer: Any, drop: Drop, qtbot: Any
) -> None:
    path = tmp_path / "two.dm4"
    stacks = [np.full((n, 6, 8), n, "u2") for n in (3, 4)]
    write_dm(path, document([thumbnail(), *map(image, stacks)]))
    viewer = make_napari_viewer(show=True)
    drop(viewer, path)
    assert viewer.layers[0].data.shape == (1, 3, 6, 8)
    qtbot.waitUntil(lambda: TITLE in viewer.window.dock_widgets)
    form = form_in(viewer)
    qtbot.waitUntil(lambda: form.is_ready)
    box = form.fields["dataset_index"].widget
    assert [box.native.itemData(i) for i in range(box.native.count())] == [1, 2]
    assert box.value == 1
    box.native.setCurrentIndex(1)
    qtbot.waitUntil(lambda: form.is_ready and "4 frames" in str(form._found.value))
    form.open()
    qtbot.waitUntil(lambda: len(viewer.layers) == 2)
    assert viewer.layers[1].data.shape == (1, 4, 6, 8)


def test_a_notice_has_a_button_that_brings_up_the_form(
    tmp_path: Path, make_napari_viewer: Any, drop: Drop, qtbot: Any
) -> None:
    from napari.utils.notifications import notification_manager

    path = tmp_path / "scan.mib"
    write_mib(path, frames(9))
    viewer = make_napari_viewer(show=True)
    drop(viewer, path)
    notice = notification_manager.records[-1]
    assert notice.source == "napari-4dstem"
    dict(notice.actions)["Change …"](None)
    qtbot.waitUntil(lambda: TITLE in viewer.window.dock_widgets)
    form = form_in(viewer)
    qtbot.waitUntil(lambda: form.is_ready)
    assert form.fields["nav_shape"].read() == (3, 3)


def test_opening_and_closing_leaves_neither_threads_nor_widgets(
    tmp_path: Path,
    make_napari_viewer: Any,
    drop: Drop,
    choose_ours: list[str],
    qtbot: Any,
) -> None:
    import threading

    before = set(threading.enumerate())
    viewer = make_napari_viewer(show=True, strict_qt="raise")
    drop(viewer, raw_file(tmp_path))
    qtbot.waitUntil(lambda: TITLE in viewer.window.dock_widgets)
    form = form_in(viewer)
    qtbot.waitUntil(lambda: form.is_ready)
    form.open()
    qtbot.waitUntil(lambda: len(viewer.layers) == 1)
    ours = [t for t in set(threading.enumerate()) - before if "4dstem" in t.name]
    assert not ours
