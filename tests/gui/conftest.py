"""Windows for the tests: what is dropped, what is said, and nobody's real settings."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

# Before napari is imported: its settings of these tests are nobody's.
os.environ["NAPARI_CONFIG"] = ""


@pytest.fixture(autouse=True)
def config_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the parameters of opened files are remembered during a test."""
    from napari_4dstem.gui import remembered

    folder = tmp_path / "config"
    monkeypatch.setattr(
        remembered.platformdirs, "user_config_path", lambda *_, **__: folder
    )
    return folder


@pytest.fixture
def said() -> Iterator[list[tuple[str, str]]]:
    """All notifications since the beginning of the test: (severity, message)."""
    from napari.utils.notifications import notification_manager

    heard: list[tuple[str, str]] = []

    def hear(notification: Any) -> None:
        heard.append((str(notification.severity), notification.message))

    notification_manager.notification_ready.connect(hear)
    yield heard
    notification_manager.notification_ready.disconnect(hear)


@pytest.fixture
def choose_ours(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """In napari's reader chooser the user takes ours; for which files it came up."""
    from napari._qt.dialogs.qt_reader_dialog import QtReaderDialog
    from qtpy.QtCore import QTimer

    asked: list[str] = []

    def answer(dialog: Any) -> tuple[str, bool]:
        asked.append(dialog._current_file)
        QTimer.singleShot(200, dialog.accept)  # a human is slower
        dialog.exec()
        return "4D-STEM", False

    monkeypatch.setattr(QtReaderDialog, "get_user_choices", answer)
    return asked


@pytest.fixture
def drop(qtbot: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Drops files on a window, as the window system does."""
    from qtpy.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
    from qtpy.QtGui import QDragEnterEvent, QDropEvent, QGuiApplication
    from qtpy.QtWidgets import QApplication

    def drop(viewer: Any, *paths: Path, shift: bool = False) -> None:
        keys = Qt.KeyboardModifier.NoModifier
        if shift:
            keys = Qt.KeyboardModifier.ShiftModifier
        # napari asks for the keys that are down, not the event
        monkeypatch.setattr(
            QGuiApplication, "keyboardModifiers", staticmethod(lambda: keys)
        )
        window = viewer.window._qt_window.windowHandle()
        canvas = viewer.window._qt_viewer.canvas.native
        at = canvas.mapTo(canvas.window(), QPoint(60, 60))
        mime = QMimeData()
        mime.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
        how = (
            Qt.DropAction.CopyAction,
            mime,
            Qt.MouseButton.LeftButton,
            keys,
        )
        with warnings.catch_warnings():
            # Qt 6.12 wants a QPointF, which Qt before it does not take
            warnings.simplefilter("ignore", DeprecationWarning)
            enter = QDragEnterEvent(at, *how)
        QApplication.sendEvent(window, enter)
        QApplication.sendEvent(window, QDropEvent(QPointF(at), *how))
        qtbot.wait(1)

    return drop
