"""The row at the bottom: what the Explorer gives away."""

from __future__ import annotations

from qtpy.QtWidgets import QHBoxLayout, QPushButton, QWidget


class ResultBar(QWidget):
    """Buttons to copy a script and to save a workspace.

    Attributes
    ----------
    script, workspace : QPushButton
    """

    def __init__(self) -> None:
        super().__init__()
        self.script = QPushButton("Copy script")
        self.script.setToolTip(
            "Python that makes the selected map again, bit for bit; else that of the"
            " selected detector"
        )
        self.workspace = QPushButton("Save workspace …")
        self.workspace.setToolTip(
            "Data set, geometry, calibration and detectors as a file: drop it on napari"
            " to go on"
        )
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        row.addStretch(1)
        for button in (self.script, self.workspace):
            row.addWidget(button)
