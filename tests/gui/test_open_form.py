"""The Open form: finds out, asks, checks while one types, and opens."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray
from qtpy.QtCore import QPoint, Qt
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QApplication

from napari_4dstem.formats import FORMATS
from napari_4dstem.formats._format import Description, Format
from napari_4dstem.frames.arrays import ArrayFrames
from napari_4dstem.gui import findings, open_form, remembered
from napari_4dstem.gui.finding_text import NEEDED
from napari_4dstem.gui.open_form import OpenForm
from tests.formats.write_empad import write_raw, write_xml
from tests.formats.write_mib import write_hdr, write_mib
from tests.formats.write_mrc import write_mrc
from tests.formats.write_seq import write_seq, write_settings

pytestmark = pytest.mark.window

PLUGIN, TITLE = "napari-4dstem", "Open 4D-STEM data"


def frames(count: int = 12, shape: tuple[int, int] = (10, 14)) -> NDArray[np.uint16]:
    return np.random.default_rng(count).integers(0, 4000, (count, *shape)).astype("u2")


@pytest.fixture
def viewer(make_napari_viewer: Any, qtbot: Any) -> Any:
    viewer = make_napari_viewer(show=True)
    # Where there is no window manager, nobody else gives it the keyboard.
    viewer.window._qt_window.activateWindow()
    qtbot.waitUntil(viewer.window._qt_window.isActiveWindow)
    return viewer


@pytest.fixture
def form(viewer: Any) -> OpenForm:
    _, form = viewer.window.add_plugin_dock_widget(PLUGIN, TITLE)
    assert isinstance(form, OpenForm)
    return form


@pytest.fixture
def mib(tmp_path: Path) -> Path:
    path = tmp_path / "scan.mib"
    write_mib(path, frames())
    write_hdr(tmp_path / "scan.hdr", {"ScanX": 4, "ScanY": 3})
    return path


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    path = tmp_path / "unknown.raw"
    frames(12, (10, 14)).tofile(path)
    return path


def show(form: OpenForm, path: Path | str, qtbot: Any) -> None:
    """Type a path, and wait until the file was looked into."""
    line = form._path.line_edit.native
    line.clear()
    qtbot.keyClicks(line, str(path))
    settle(form, qtbot)


def settle(form: OpenForm, qtbot: Any) -> None:
    qtbot.waitUntil(lambda: not form._pause.isActive() and not form._looking.is_busy)
    qtbot.wait(20)


def type_into(form: OpenForm, name: str, *texts: str, qtbot: Any) -> None:
    for line, text in zip(form.fields[name].widget.fields, texts, strict=False):
        line.native.clear()
        qtbot.keyClicks(line.native, text)
    settle(form, qtbot)


def message(form: OpenForm, name: str) -> str:
    return str(form.fields[name].message.value)


def is_open(form: OpenForm) -> bool:
    return not form._is_opening and not form._opening.is_busy


def test_a_file_that_tells_all_fills_the_form(
    form: OpenForm, mib: Path, qtbot: Any
) -> None:
    assert not form.is_ready
    show(form, mib, qtbot)
    assert form.is_ready
    assert form.fields["nav_shape"].read() == (3, 4)
    assert form.fields["sig_shape"].read() == (10, 14)
    found = str(form._found.value)
    for fact in ("Merlin", "12 frames", "10 × 14", "uint16", "2 files"):
        assert fact in found
    assert form._fit.value == "12 frames stored, scan needs 12"


def test_what_is_in_the_form_is_opened(
    form: OpenForm, viewer: Any, mib: Path, qtbot: Any, said: list[tuple[str, str]]
) -> None:
    show(form, mib, qtbot)
    type_into(form, "nav_shape", "2", "6", qtbot=qtbot)
    form.fields["sync_offset"].widget.value = 1
    form.fields["name"].widget.value = "gold 3"
    settle(form, qtbot)
    qtbot.mouseClick(form._button.native, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: len(viewer.layers) == 1)
    (layer,) = viewer.layers
    assert layer.name == "gold 3"
    assert layer.data.shape == (2, 6, 10, 14)
    np.testing.assert_array_equal(layer.data[1, 0], frames()[7])
    assert layer.metadata["napari_4dstem"].sync_offset == 1
    memory = remembered.recall(mib)
    assert memory is not None
    assert memory.filetype == "mib"
    assert memory.parameters == {
        "name": "gold 3",
        "nav_shape": (2, 6),
        "sync_offset": 1,
    }


def test_a_file_opened_as_it_is_leaves_nothing_to_remember(
    form: OpenForm, viewer: Any, mib: Path, qtbot: Any
) -> None:
    remembered.remember(mib, "mib", {})
    show(form, mib, qtbot)
    form._type.value = "auto"
    settle(form, qtbot)
    form.open()
    qtbot.waitUntil(lambda: len(viewer.layers) == 1)
    assert remembered.recall(mib) is None


def test_what_only_the_user_knows_is_asked_for(
    form: OpenForm, viewer: Any, raw: Path, qtbot: Any
) -> None:
    show(form, raw, qtbot)
    assert form._type.value == "raw"
    assert not form.is_ready
    assert NEEDED in message(form, "dtype")
    assert NEEDED in message(form, "sig_shape")
    # The cursor is in the first field that needs an answer.
    qtbot.waitUntil(form.fields["sig_shape"].widget.fields[0].native.hasFocus)
    qtbot.keyClicks(QApplication.focusWidget(), "10,")
    qtbot.keyClicks(QApplication.focusWidget(), "14")
    assert form.fields["sig_shape"].read() == (10, 14)
    form.fields["dtype"].widget.value = "uint16"
    settle(form, qtbot)
    assert form.is_ready
    assert not message(form, "dtype")
    assert form._fit.value == "12 frames stored, in one line"
    type_into(form, "nav_shape", "3,", "4", qtbot=qtbot)
    qtbot.keyClick(form.fields["nav_shape"].widget.fields[1].native, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: len(viewer.layers) == 1)
    np.testing.assert_array_equal(viewer.layers[0].data[2, 3], frames()[11])


def test_a_pasted_shape_fills_both_fields(
    form: OpenForm, mib: Path, qtbot: Any
) -> None:
    show(form, mib, qtbot)
    QGuiApplication.clipboard().setText("6, 2")
    line = form.fields["nav_shape"].widget.fields[0].native
    qtbot.keyClick(line, Qt.Key.Key_V, Qt.KeyboardModifier.ControlModifier)
    assert form.fields["nav_shape"].read() == (6, 2)
    assert form.is_ready


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("nav_shape", ("3", ""), "every field"),
        ("nav_shape", ("3", "a"), "Whole numbers"),
        ("nav_shape", ("3", "9" * 5000), "at most 15 digits"),
        ("nav_shape", ("999999", "999999"), "far larger"),
        ("sig_shape", ("10", "15"), "140 pixels"),
        ("sync_offset", 12, "between -12 and 12"),
        ("flyback", -1, "negative"),
    ],
)
def test_an_impossible_value_is_told_below_its_field(
    name: str, value: Any, words: str, form: OpenForm, mib: Path, qtbot: Any
) -> None:
    show(form, mib, qtbot)
    before = form.fields[name].read()
    if isinstance(value, tuple):
        type_into(form, name, *value, qtbot=qtbot)
    else:
        form.fields[name].widget.value = value
        settle(form, qtbot)
    assert words in message(form, name)
    assert len(message(form, name)) < 300
    assert form.fields[name].message.native.isVisible()
    assert str(mib) not in message(form, name)
    assert not form.is_ready
    form.fields[name].widget.value = before
    settle(form, qtbot)
    assert not message(form, name)
    assert form.is_ready


@pytest.mark.parametrize(
    ("nav_shape", "sync_offset", "words"),
    [
        ((3, 5), 0, "3 missing at the end"),
        ((2, 4), 0, "4 not used at the end"),
        ((3, 4), 2, "2 skipped at the start, 2 missing at the end"),
        ((3, 4), -2, "2 blank at the start, 2 not used at the end"),
    ],
)
def test_how_the_frames_fill_the_scan_is_told(
    nav_shape: tuple[int, int],
    sync_offset: int,
    words: str,
    form: OpenForm,
    mib: Path,
    qtbot: Any,
) -> None:
    show(form, mib, qtbot)
    form.fields["nav_shape"].widget.value = nav_shape
    form.fields["sync_offset"].widget.value = sync_offset
    assert words in str(form._fit.value)
    assert form.is_ready


def test_a_file_that_is_not_there_is_told(
    form: OpenForm, tmp_path: Path, qtbot: Any
) -> None:
    show(form, tmp_path / "nothing.mib", qtbot)
    assert "does not exist" in str(form._found.value)
    assert not form.is_ready
    show(form, "", qtbot)
    assert "Choose a file" in str(form._found.value)


def test_an_error_while_opening_is_told_and_nothing_is_added(
    form: OpenForm,
    viewer: Any,
    mib: Path,
    qtbot: Any,
    said: list[tuple[str, str]],
) -> None:
    show(form, mib, qtbot)
    mib.write_bytes(b"a text")
    form.open()
    qtbot.waitUntil(lambda: is_open(form))
    qtbot.waitUntil(lambda: bool(said))
    ((severity, text),) = said
    assert severity == "error"
    assert "scan.mib" in text
    assert "not recognized" in str(form._found.value) or "not a MIB" in str(
        form._found.value
    )
    assert not viewer.layers


def test_the_window_stays_alive_while_a_file_opens(
    form: OpenForm, viewer: Any, mib: Path, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    show(form, mib, qtbot)
    go = threading.Event()
    really_open = findings.opened
    monkeypatch.setattr(
        findings, "opened", lambda *how: go.wait(10) and really_open(*how)
    )
    form.open()
    assert form._button.text == "Opening …"
    assert not form.is_ready
    qtbot.wait(50)
    assert not viewer.layers
    go.set()
    qtbot.waitUntil(lambda: len(viewer.layers) == 1)
    assert form._button.text == "Open"


def test_editing_while_a_file_opens_gives_that_up(
    form: OpenForm, viewer: Any, mib: Path, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    show(form, mib, qtbot)
    go = threading.Event()
    really_open = findings.opened
    monkeypatch.setattr(
        findings, "opened", lambda *how: go.wait(10) and really_open(*how)
    )
    form.open()
    form.fields["nav_shape"].widget.value = (2, 6)
    go.set()
    qtbot.waitUntil(lambda: not form._opening.is_busy)
    qtbot.wait(50)
    assert not viewer.layers
    assert form.is_ready


def test_a_type_that_the_file_has_not_is_told(
    form: OpenForm, mib: Path, qtbot: Any
) -> None:
    show(form, mib, qtbot)
    form._type.value = "npy"
    settle(form, qtbot)
    assert "not an npy file" in str(form._found.value)
    assert not form.is_ready
    assert "sig_dims" in form.fields


def test_each_type_has_the_fields_of_its_own_signature(
    form: OpenForm, qtbot: Any
) -> None:
    for format_ in FORMATS.values():
        if format_.takes_path:
            form._show_type(format_.name)
            assert set(format_.parameters) <= set(form.fields)
            assert all(field.widget.native for field in form.fields.values())
    form._show_type(None)
    assert not form._set.own


def describe_anything(
    path: Path,
    *,
    part: Literal["first", "second"],
    angle: float,
    sig_shape: tuple[int, ...],
    dtype: np.dtype[Any] | str = "u1",
    window: tuple[int, ...] | None = None,
    title: str = "gold",
    table: dict[str, int] | None = None,
    rows: int | None = 3,
    number: int | None = None,
    dark: str | Path | None = None,
    members: Sequence[str | Path] | None = None,
    is_flipped: bool = True,
) -> Description:
    assert path.is_file()
    frame = np.full((4, *sig_shape), rows, np.dtype(dtype))
    names = [Path(file).name for file in members or ()]
    notice = f"{part} {angle} {window} {title} {table} {is_flipped}"
    notice += f" {number} {dark} {names}"
    return Description(ArrayFrames(frame, sig_shape), (2, 2), notices=(notice,))


def test_a_format_of_any_signature_is_asked_for_and_opened(
    form: OpenForm,
    viewer: Any,
    tmp_path: Path,
    qtbot: Any,
    monkeypatch: pytest.MonkeyPatch,
    said: list[tuple[str, str]],
) -> None:
    anything = Format(
        "anything",
        "Anything",
        (".any",),
        lambda path, head: head.startswith(b"ANY"),
        describe_anything,
        lambda path: {"sig_shape": (5, 6)},
    )
    monkeypatch.setitem(FORMATS, "anything", anything)
    form._type.choices = open_form._type_choices()
    path = tmp_path / "scan.any"
    path.write_bytes(b"ANY content")
    show(form, path, qtbot)
    assert not form.is_ready
    assert {name for name, field in form.fields.items() if field.message.value} == {
        "part",
        "angle",
    }
    assert form.fields["is_flipped"].read() is True
    form.fields["part"].widget.value = "second"
    qtbot.keyClicks(form.fields["angle"].widget.native, "x")
    settle(form, qtbot)
    assert "'x' cannot be understood" in message(form, "angle")
    form.fields["angle"].widget.native.clear()
    qtbot.keyClicks(form.fields["angle"].widget.native, "1.5")
    type_into(form, "window", "1", "2", qtbot=qtbot)
    qtbot.keyClicks(form.fields["table"].widget.native, "{'a': 1}")
    form.fields["dtype"].widget.value = ">f4"
    form.fields["rows"].widget.value = 7
    qtbot.keyClicks(form.fields["number"].widget.native, "5")
    form.fields["members"].widget.line_edit.value = f"{path}, {path}"
    box = form.fields["is_flipped"].widget.native
    middle = QPoint(8, box.height() // 2)
    qtbot.mouseClick(box, Qt.MouseButton.LeftButton, pos=middle)
    settle(form, qtbot)
    assert form.is_ready
    form.open()
    qtbot.waitUntil(lambda: len(viewer.layers) == 1 and len(said) == 1)
    data = viewer.layers[0].data
    assert (data.shape, data.dtype, data.max().compute()) == ((2, 2, 5, 6), "f4", 7)
    answers = "second 1.5 (1, 2) gold {'a': 1} False 5 None ['scan.any', 'scan.any']"
    assert answers in said[0][1]
    memory = remembered.recall(path)
    assert memory is not None
    assert memory.parameters["members"] == (str(path), str(path))


def with_dark_and_gain(folder: Path) -> Path:
    """A sequence that brings its corrections along."""
    path = folder / "scan.seq"
    write_seq(path, frames(6))
    write_settings(folder / "scan.seq.metadata", (10, 14))
    write_mrc(folder / "scan.seq.dark.mrc", np.full((1, 10, 14), 2, "f4"))
    write_mrc(folder / "scan.seq.gain.mrc", np.full((1, 10, 14), 3, "f4"))
    return path


@pytest.mark.parametrize(
    ("answer", "correct"),
    [
        ("default", lambda raw: raw),
        (True, lambda raw: (raw.astype("f4") - 2) * 3),
        (False, lambda raw: raw),
        ("files", lambda raw: raw.astype("f4") - 7),
    ],
)
def test_corrections_are_those_of_the_file_or_none_or_others(
    answer: Any,
    correct: Any,
    form: OpenForm,
    viewer: Any,
    tmp_path: Path,
    qtbot: Any,
) -> None:
    path = with_dark_and_gain(tmp_path)
    np.save(tmp_path / "dark.npy", np.full((10, 14), 7, "f4"))
    show(form, path, qtbot)
    field = form.fields["corrections"]
    choices = dict(field.widget._widget._mgui_get_choices())
    assert choices["Default (off)"] == "default"
    assert choices["On: dark frame, gain map"] is True
    assert choices["Off"] is False
    dark, *_ = field.parts
    assert not dark.widget.native.isVisible()
    field.widget.value = answer
    settle(form, qtbot)
    if answer == "files":
        assert "at least one file" in message(form, "corrections")
        assert not form.is_ready
        dark.widget.line_edit.value = str(tmp_path / "nothing.npy")
        settle(form, qtbot)
        assert "does not exist" in str(dark.message.value)
        assert not form.is_ready
        dark.widget.line_edit.value = str(tmp_path / "dark.npy")
        settle(form, qtbot)
        assert not dark.message.value
    assert dark.widget.native.isVisible() == (answer == "files")
    assert form.is_ready
    form.open()
    qtbot.waitUntil(lambda: len(viewer.layers) == 1)
    expected = correct(frames(6)[4])
    shown = np.asarray(viewer.layers[0].data[0, 4])
    assert shown.dtype == expected.dtype
    np.testing.assert_allclose(shown, expected)

    given = {True: True, False: False, "default": None}
    wanted = given.get(answer, {"dark": str(tmp_path / "dark.npy")})
    memory = remembered.recall(path)
    assert (memory and memory.parameters.get("corrections")) == wanted
    show(form, "", qtbot)
    show(form, path, qtbot)
    again = form.fields["corrections"].read()
    assert again == ({"dark": tmp_path / "dark.npy"} if answer == "files" else wanted)


def test_corrections_that_do_not_fit_are_told_beside_the_field(
    form: OpenForm, mib: Path, tmp_path: Path, qtbot: Any
) -> None:
    np.save(tmp_path / "gain.npy", np.ones((4, 4)))
    show(form, mib, qtbot)
    field = form.fields["corrections"]
    assert "None" in dict(field.widget._widget._mgui_get_choices())
    field.fill({"gain": tmp_path / "gain.npy"})
    field.widget.changed.emit("files")
    settle(form, qtbot)
    assert "gain does not fit the detector" in message(form, "corrections")
    assert "gain" not in str(form._found.value)
    assert not form.is_ready


def test_what_a_file_offers_can_be_chosen_and_something_else_be_typed(
    form: OpenForm, viewer: Any, tmp_path: Path, qtbot: Any
) -> None:
    path = tmp_path / "two.h5"
    with h5py.File(path, "w") as file:
        file["first"] = np.zeros((2, 3, 10, 14), "u2")
        file["second"] = np.zeros((2, 2, 10, 14), "u2")
        file["image"] = np.zeros((4, 14), "u2")
    show(form, path, qtbot)
    field = form.fields["ds_path"]
    assert field.label.value == "Data set"
    assert field.read() == "first"
    assert not field.is_given
    field.widget.native.setCurrentIndex(1)
    settle(form, qtbot)
    assert field.read() == "second"
    assert form.fields["nav_shape"].read() == (2, 2)
    line = field.widget.native.lineEdit()
    line.clear()
    qtbot.keyClicks(line, "first")
    settle(form, qtbot)
    assert field.read() == "first"
    assert form.fields["nav_shape"].read() == (2, 3)
    line.clear()
    qtbot.keyClicks(line, "none")
    settle(form, qtbot)
    assert not form.is_ready
    assert "second" in message(form, "ds_path")
    line.clear()
    qtbot.keyClicks(line, "second")
    settle(form, qtbot)
    qtbot.keyClick(line, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: len(viewer.layers) == 1)
    memory = remembered.recall(path)
    assert memory is not None
    assert memory.parameters == {"ds_path": "second"}


def test_a_guess_of_the_scan_is_told_until_the_user_says_it(
    form: OpenForm, tmp_path: Path, qtbot: Any
) -> None:
    path = tmp_path / "scan.mib"
    write_mib(path, frames(9))
    show(form, path, qtbot)
    assert "guessed" in str(form._found.value)
    type_into(form, "nav_shape", "1", "9", qtbot=qtbot)
    assert "guessed" not in str(form._found.value)


def test_another_file_forgets_what_was_typed(
    form: OpenForm, mib: Path, tmp_path: Path, qtbot: Any
) -> None:
    show(form, mib, qtbot)
    type_into(form, "nav_shape", "2", "6", qtbot=qtbot)
    other = tmp_path / "other.npy"
    np.save(other, frames(6).reshape(2, 3, 10, 14))
    show(form, other, qtbot)
    assert form.fields["nav_shape"].read() == (2, 3)
    assert not form.fields["nav_shape"].is_given


def test_what_the_user_typed_outlives_a_change_elsewhere(
    form: OpenForm, tmp_path: Path, qtbot: Any
) -> None:
    path = tmp_path / "scan.npy"
    np.save(path, frames(12).reshape(3, 4, 10, 14))
    show(form, path, qtbot)
    type_into(form, "nav_shape", "6", "2", qtbot=qtbot)
    form.fields["sig_dims"].widget.value = 1
    settle(form, qtbot)
    assert form.fields["sig_shape"].read() == (14,)
    assert form.fields["nav_shape"].read() == (6, 2)
    assert "120 frames" in str(form._found.value)


def test_remembered_parameters_fill_the_form(
    form: OpenForm, raw: Path, qtbot: Any
) -> None:
    given = {"dtype": ">u2", "sig_shape": (7, 10), "nav_shape": (4, 6), "offset": 0}
    remembered.remember(raw, "raw", given)
    show(form, raw, qtbot)
    assert form.is_ready
    assert {name: form.fields[name].read() for name in given} == given
    assert "last time" in str(form._found.value)


def test_a_spoiled_memory_does_no_harm(form: OpenForm, raw: Path, qtbot: Any) -> None:
    remembered.remember(raw, "raw", {"dtype": "gold", "sig_shape": "x", "offset": "y"})
    show(form, raw, qtbot)
    assert not form.is_ready
    show(form, "", qtbot)


def test_tab_goes_from_top_to_bottom(form: OpenForm, raw: Path, qtbot: Any) -> None:
    show(form, raw, qtbot)
    start = form._path.line_edit.native
    start.setFocus()
    passed = []
    for _ in range(14):
        qtbot.keyClick(QApplication.focusWidget(), Qt.Key.Key_Tab)
        passed.append(QApplication.focusWidget())
    heights = [
        widget.mapTo(form.native, widget.rect().topLeft()).y() for widget in passed
    ]
    assert heights == sorted(heights)
    assert passed[-1] is form.fields["io_backend"].widget.native


def test_format_that_asks_for_the_scan_shape_is_told_it(
    form: OpenForm, tmp_path: Path, qtbot: Any
) -> None:
    write_raw(tmp_path / "s.raw", np.ones((6, 128, 128), np.float32))
    write_xml(tmp_path / "a.xml", "s.raw", scans={"acquire": (2, 2)})
    show(form, tmp_path / "a.xml", qtbot)
    assert "6 frames" in message(form, "nav_shape")
    type_into(form, "nav_shape", "3", "2", qtbot=qtbot)
    settle(form, qtbot)
    assert message(form, "nav_shape") == ""
    assert form._button.enabled


def test_the_form_leaves_room_for_the_image(form: OpenForm, qtbot: Any) -> None:
    form._show_type("raw")
    assert form.native.minimumSizeHint().width() < 450
    assert form.native.minimumSizeHint().height() < 650


def test_the_form_goes_with_its_window(
    make_napari_viewer: Any, mib: Path, qtbot: Any
) -> None:
    viewer = make_napari_viewer(show=True, strict_qt="raise")
    form = viewer.window.add_plugin_dock_widget(PLUGIN, TITLE)[1]
    show(form, mib, qtbot)
    ref = weakref.ref(form)
    del form
    viewer.close()
    qtbot.wait(50)
    gc.collect()
    assert ref() is None


def test_closing_the_window_while_a_file_opens_is_no_error(
    make_napari_viewer: Any, mib: Path, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer = make_napari_viewer(show=True)
    _, form = viewer.window.add_plugin_dock_widget(PLUGIN, TITLE)
    show(form, mib, qtbot)
    go = threading.Event()
    really_open = findings.opened
    monkeypatch.setattr(
        findings, "opened", lambda *how: go.wait(10) and really_open(*how)
    )
    form.open()
    busy = form._opening
    viewer.close()
    del form
    go.set()
    qtbot.waitUntil(lambda: not busy.is_busy)
    qtbot.wait(50)
