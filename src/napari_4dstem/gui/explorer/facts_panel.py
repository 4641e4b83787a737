"""What is known of the scan that is open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFormLayout, QLabel, QWidget

if TYPE_CHECKING:
    from napari_4dstem.gui.explorer.controller import Controller


class FactsPanel(QWidget):
    """What was found in the file, what was guessed, what is missing.

    Parameters
    ----------
    controller : Controller
    """

    def __init__(self, controller: Controller) -> None:
        super().__init__()
        self._controller = controller
        self._form = QFormLayout(self)
        self._form.setContentsMargins(4, 4, 4, 4)
        self._form.setVerticalSpacing(2)
        controller.opened.connect(self.renew)

    def renew(self) -> None:
        """Show the facts of the data set as it is now."""
        while self._form.rowCount():
            self._form.removeRow(0)
        ds = self._controller.ds
        for name, value in () if ds is None else ds.diagnostics():
            label = QLabel(str(value))
            label.setWordWrap(True)
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            self._form.addRow(f"{name}:", label)
