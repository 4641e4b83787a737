"""The field for dark frame, gain map and excluded pixels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from magicgui.widgets import ComboBox

from napari_4dstem.dataset import Dataset
from napari_4dstem.gui.edits import file_edit
from napari_4dstem.gui.parameter_fields import Field, as_field

DEFAULT, FROM_FILES = "default", "files"
PARTS = {
    "dark": ("Dark frame", "Subtracted from every frame"),
    "gain": ("Gain map", "Every frame is multiplied by it"),
    "excluded": (
        "Excluded pixels",
        "Not 0 where a pixel is bad: the mean of its good neighbours is shown there",
    ),
}
ANY_IMAGE = (
    "An image of the detector's shape in any format that opens here (.npy, .mrc,\
 .dm4, …);\nof a scan the mean is taken"
)


class CorrectionsField(Field):
    """Whether to correct the frames, and three more rows for files of one's own."""

    def __init__(self) -> None:
        box = ComboBox(
            name="corrections",
            label="Corrections",
            choices=[("None", DEFAULT), ("From files …", FROM_FILES)],
            tooltip="Dark frame, gain map and excluded pixels of the detector.\n"
            "Default: as the type of data has it where the file brings them along.\n"
            "Corrected frames are float32",
        )
        made = as_field(box)
        super().__init__("corrections", made.label, box, made.message)
        self.parts = tuple(
            as_field(
                file_edit(
                    mode="r", name=name, label=label, tooltip=f"{what}.\n{ANY_IMAGE}"
                )
            )
            for name, (label, what) in PARTS.items()
        )
        self._is_usual: bool | None = None
        box.changed.connect(self._show_parts)
        self._show_parts()

    def read(self) -> Any:
        """Return what ``load`` takes, None for what is usual.

        Raises
        ------
        ValueError
            If there shall be files, and none is given.
        """
        answer = self.widget.value
        if answer != FROM_FILES:
            return None if answer == DEFAULT else answer
        files = {part.name: part.read() for part in self.parts}
        files = {name: path for name, path in files.items() if path is not None}
        if not files:
            raise ValueError("Choose at least one file.")
        return files

    def fill(self, value: Any) -> None:
        """Put in a value without a signal."""
        files = value if isinstance(value, Mapping) else {}
        for part in self.parts:
            part.fill(files.get(part.name))
        answer: str | bool = FROM_FILES if files else DEFAULT
        if isinstance(value, bool):
            answer = value
        if answer not in self.widget.choices:
            answer = DEFAULT
        with self.widget.changed.blocked():
            self.widget.value = answer
        self._show_parts()

    def offer(self, ds: Dataset | None) -> None:
        """Offer what a data set brings along.

        Parameters
        ----------
        ds : Dataset or None
            If nobody asked for corrections, it tells what is usual for it.
        """
        found = None if ds is None else ds.found_corrections
        if ds is not None and not self.is_given:
            self._is_usual = ds.corrections is not None
        choices: list[tuple[str, Any]] = [("None", DEFAULT)]
        if found is not None:
            usual = {True: " (on)", False: " (off)", None: ""}[self._is_usual]
            choices = [(f"Default{usual}", DEFAULT)]
            choices += [(f"On: {found}", True), ("Off", False)]
        choices.append(("From files …", FROM_FILES))
        with self.widget.changed.blocked():
            answer = self.widget.value
            self.widget.native.clear()  # or what was there before would come first
            self.widget.choices = choices
            self.widget.value = answer if answer in self.widget.choices else DEFAULT
        self._show_parts()

    def _show_parts(self, *_: object) -> None:
        hidden = self.widget.value != FROM_FILES
        for part in self.parts:
            part.label.native.setHidden(hidden)
            part.widget.native.setHidden(hidden)
            if hidden:
                part.say("")
