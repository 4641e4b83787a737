"""The line at the bottom: what is computed, for how long, and a button to stop it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QWidget,
)

from napari_4dstem.gui.activity import Activity

if TYPE_CHECKING:
    from napari_4dstem.gui.explorer.controller import Controller

EVERY_MS = 200
# What is done sooner needs no button.
SHOW_AFTER_S = 0.5
BAR_PX = 90
ACTIVITY = "4D-STEM: reading once for previews"
READING = "Reading once for previews"


class WorkLine(QWidget):
    """Tells what the Explorer does.

    Parameters
    ----------
    controller : Controller

    Attributes
    ----------
    text : QLabel
    bar : QProgressBar
    cancel : QPushButton
    """

    def __init__(self, controller: Controller) -> None:
        super().__init__()
        self._controller = controller
        self._began: float | None = None
        self._said = ""
        self._activity = Activity(self, ACTIVITY, controller.stop)
        self._reading: tuple[int, int] | None = None
        self.text = QLabel("")
        self.text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        policy = QSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.text.setSizePolicy(policy)
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setFixedWidth(BAR_PX)
        self.cancel = QPushButton("Cancel")
        self.cancel.setToolTip("Stop what is computed; what is shown stays as it is")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.text, 1)
        row.addWidget(self.bar)
        row.addWidget(self.cancel)
        self._timer = QTimer(self)
        self._timer.setInterval(EVERY_MS)
        self._timer.timeout.connect(self._look)
        self._timer.start()
        self.cancel.clicked.connect(self._on_cancel)
        controller.status.connect(self.say)
        controller.maps.progress.connect(self._on_progress)
        self._show_work(False)

    def say(self, text: str) -> None:
        """Show a line of text."""
        self._said = text
        self._show_text()

    def _on_progress(self, done: int, total: int) -> None:
        self.bar.setRange(0, max(total, 1))
        self.bar.setValue(done)
        self.say(READING)
        self._reading = done, total

    def _look(self) -> None:
        if not self._controller.is_busy:
            if self._said == READING:
                self.say("")
            if self._began is not None:
                self._began = None
                self._reading = None
                self._activity.end()
                self._show_work(False)
            return
        if self._began is None:
            self._began = time.monotonic()
            self.bar.setRange(0, 0)  # nobody knows how much there is
        elif time.monotonic() - self._began > SHOW_AFTER_S:
            self._show_work(True)
            if self._reading is not None:
                self._activity.show(*self._reading)

    def _show_work(self, is_shown: bool) -> None:
        # The line keeps its height, so that nothing jumps.
        for part in (self.bar, self.cancel):
            policy = part.sizePolicy()
            policy.setRetainSizeWhenHidden(True)
            part.setSizePolicy(policy)
            part.setVisible(is_shown)
        self._show_text()

    def _show_text(self) -> None:
        elapsed = (
            "" if self._began is None else f" ({time.monotonic() - self._began:.0f} s)"
        )
        is_long = elapsed and self.cancel.isVisible()
        self.text.setText(self._said + elapsed * bool(is_long))
        self.text.setToolTip(self._said)

    def _on_cancel(self, _: bool = False) -> None:
        self._reading = None
        self._activity.end()
        self._controller.stop()
        self.say("Cancelled; what is shown may be a preview")
