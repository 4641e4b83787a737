"""Shapes are entered as they are written: with commas, or pasted as a whole."""

from __future__ import annotations

from typing import Any

import pytest
from qtpy.QtCore import Qt
from qtpy.QtGui import QGuiApplication

from napari_4dstem.gui.shape_edit import ShapeEdit

pytestmark = pytest.mark.window


@pytest.fixture
def edit(qtbot: Any) -> Any:
    edit = ShapeEdit("nav_shape", ("y", "x"), label="Scan shape")
    qtbot.addWidget(edit.native)
    edit.native.show()
    qtbot.waitExposed(edit.native)
    edit.native.activateWindow()
    edit.fields[0].native.setFocus()
    return edit


def texts(edit: ShapeEdit) -> list[str]:
    return [str(field.value) for field in edit.fields]


@pytest.mark.parametrize("separator", [",", " ", "x", ";", "×"])
def test_a_separator_goes_to_the_next_field(
    separator: str, edit: ShapeEdit, qtbot: Any
) -> None:
    qtbot.keyClicks(edit.fields[0].native, f"256{separator}")
    qtbot.waitUntil(edit.fields[1].native.hasFocus)
    qtbot.keyClicks(edit.fields[1].native, "128,")
    assert edit.value == (256, 128)


@pytest.mark.parametrize(
    "text", ["42, 21", "(42, 21)", "42x21", "[42,21]", "42 × 21\n", "42\t21"]
)
@pytest.mark.parametrize("at", [0, 1])
def test_pasting_a_shape_fills_all_fields(
    text: str, at: int, edit: ShapeEdit, qtbot: Any
) -> None:
    edit.value = (7, 8)
    edit.fields[at].native.setCursorPosition(0)
    QGuiApplication.clipboard().setText(text)
    qtbot.keyClick(
        edit.fields[at].native, Qt.Key.Key_V, Qt.KeyboardModifier.ControlModifier
    )
    assert edit.value == (42, 21)


def test_pasting_a_number_fills_its_field(edit: ShapeEdit, qtbot: Any) -> None:
    QGuiApplication.clipboard().setText("42")
    qtbot.keyClick(
        edit.fields[1].native, Qt.Key.Key_V, Qt.KeyboardModifier.ControlModifier
    )
    assert texts(edit) == ["", "42"]


def test_what_is_dropped_or_pasted_from_a_menu_is_spread_too(edit: ShapeEdit) -> None:
    edit.fields[0].native.insert("(42, 21)")
    assert edit.value == (42, 21)


def test_more_numbers_make_more_axes(edit: ShapeEdit) -> None:
    assert edit.paste("3, 42, 21")
    assert edit.value == (3, 42, 21)
    edit.value = None
    assert texts(edit) == ["", ""]


def test_a_text_without_several_numbers_is_not_pasted(edit: ShapeEdit) -> None:
    assert not edit.paste("gold")
    assert not edit.paste(", ".join("1" * 20))
    assert texts(edit) == ["", ""]


def test_axes_come_and_go_in_front(edit: ShapeEdit, qtbot: Any) -> None:
    edit.value = (42, 21)
    less, more = (edit[-2].native, edit[-1].native)
    qtbot.mouseClick(more, Qt.MouseButton.LeftButton)
    assert texts(edit) == ["", "42", "21"]
    qtbot.mouseClick(less, Qt.MouseButton.LeftButton)
    qtbot.mouseClick(less, Qt.MouseButton.LeftButton)
    assert edit.value == (21,)
    assert not less.isEnabled()


def test_empty_fields_are_no_shape(edit: ShapeEdit) -> None:
    assert edit.value is None


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (("42", ""), "every field"),
        (("42", "0"), "above 0"),
        (("-3", "5"), "above 0"),
        (("4.5", "5"), "above 0"),
        (("a", "5"), "above 0"),
    ],
)
def test_what_is_no_shape_says_why(
    typed: tuple[str, str], message: str, edit: ShapeEdit
) -> None:
    for field, text in zip(edit.fields, typed, strict=True):
        field.native.setText(text)
    with pytest.raises(ValueError, match=message):
        edit.value  # noqa: B018


def test_a_value_is_one_change(edit: ShapeEdit) -> None:
    changes: list[Any] = []
    edit.changed.connect(changes.append)
    edit.value = (3, 4, 5)
    assert len(changes) == 1
