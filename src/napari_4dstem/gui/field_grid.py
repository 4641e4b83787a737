"""The rows of a form: labels, fields and messages in a grid, and the way of the tab."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from magicgui.widgets import Label, Widget
from qtpy.QtWidgets import QGridLayout, QSizePolicy, QWidget

from napari_4dstem.gui.parameter_fields import Field

FIELD_WIDTH = 200
LABELS, FIELDS = 0, 1
# between rows, so that a message belongs to the field above it
SPACING = 6


class FieldGrid(QGridLayout):
    """Fields below each other, with texts between them.

    A field takes what width there is, so that there is room for the image.
    """

    def __init__(self) -> None:
        super().__init__()
        self.setColumnStretch(FIELDS, 1)
        self.setColumnMinimumWidth(FIELDS, FIELD_WIDTH)
        self.setHorizontalSpacing(SPACING)
        self.setVerticalSpacing(SPACING)

    def arrange(self, rows: Sequence[Field | Label], last: Widget) -> None:
        """Put all rows into their places, and the tabs into the same order.

        Parameters
        ----------
        rows : sequence of Field and Label
            From top to bottom; a label takes the whole width.
        last : Widget
            What the tab comes to after the fields.
        """
        at = 0
        fields = []
        for row in rows:
            if isinstance(row, Field):
                for part in row.rows:
                    self.addWidget(part.label.native, at, LABELS)
                    self.addWidget(part.widget.native, at, FIELDS)
                    self.addWidget(part.message.native, at + 1, FIELDS)
                    at += 2
                fields.append(row)
            else:
                self.addWidget(row.native, at, LABELS, 1, 2)
                at += 1
        lines = [line for field in fields for line in field.lines]
        for line in lines:
            policy = line.native.sizePolicy()
            policy.setHorizontalPolicy(QSizePolicy.Policy.Ignored)
            line.native.setSizePolicy(policy)
        for before, after in pairwise([*lines, last]):
            QWidget.setTabOrder(before.native, after.native)

    def remove(self, field: Field) -> None:
        """Take a field away, and throw it away."""
        for part in field.rows:
            for widget in part.widgets:
                self.removeWidget(widget.native)
                widget.close()
                widget.native.deleteLater()
