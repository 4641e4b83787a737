"""The Open form: says what is in a file, and asks what the file does not tell."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from html import escape
from inspect import Parameter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magicgui.widgets import ComboBox, Container, Label, PushButton, Widget
from qtpy.QtCore import QTimer, QUrl

from napari_4dstem.dataset import AUTO, Dataset
from napari_4dstem.errors import ParameterError
from napari_4dstem.formats import FORMATS
from napari_4dstem.formats._format import Choice
from napari_4dstem.gui import docks, finding_text, findings, notices, remembered
from napari_4dstem.gui.background import Background
from napari_4dstem.gui.edits import file_edit
from napari_4dstem.gui.explorer import opening
from napari_4dstem.gui.field_grid import FieldGrid
from napari_4dstem.gui.field_set import FieldSet
from napari_4dstem.gui.findings import SCAN_PARAMETERS, Finding
from napari_4dstem.gui.parameter_fields import (
    ERROR_COLOR,
    Field,
    as_field,
    colored,
    text_block,
)
from napari_4dstem.layers import LayerData

if TYPE_CHECKING:
    from napari.viewer import Viewer

PLUGIN, TITLE = "napari-4dstem", "Open 4D-STEM data"
# Long enough for a number to be typed, short enough to seem at once.
PAUSE_MS = 200
# Files that need the form and come within this time were dropped together.
TOGETHER_S = 1.0
_NO_DEFAULT = Parameter.empty


class OpenForm(Container[Widget]):
    """A form that opens one data set as one layer.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        Where the layer goes.
    """

    def __init__(self, napari_viewer: Viewer) -> None:
        self._viewer = napari_viewer
        self._finding: Finding | None = None
        # The same with the scan of the user, without what is told elsewhere.
        self._shown: Finding | None = None
        self._is_new_file = self._recalls = True
        self._is_filling = False
        self._is_opening = False
        self._queue: list[Path] = []
        self._asked_at = 0.0
        self._stays = True

        self._path = file_edit(
            mode="r",
            name="path",
            label="File",
            tooltip="A file, or any one of a series",
        )
        self._path.line_edit.native.setPlaceholderText("path, or drop it here")
        self._type = ComboBox(
            name="filetype",
            label="Type",
            choices=_type_choices(),
            tooltip="Automatic: by the content of the file",
        )
        self._found = text_block()
        self._set = FieldSet()
        self._fit = text_block()
        self._button = PushButton(name="open", text="Open", enabled=False)

        self._path_field, self._type_field = as_field(self._path), as_field(self._type)
        super().__init__(labels=False)
        self._grid = FieldGrid()
        self.native.layout().addLayout(self._grid)
        self.native.layout().addWidget(self._button.native)
        self._arrange()

        self._pause = QTimer(self.native)
        self._pause.setSingleShot(True)
        self._pause.setInterval(PAUSE_MS)
        self._pause.timeout.connect(self._look)
        # A file on a network that is gone must not keep another one waiting.
        self._looking = Background(self.native, patient=False)
        self._opening = Background(self.native, patient=False)

        self._path.changed.connect(self._on_file)
        self._type.changed.connect(self._on_type)
        self._set.edited.connect(self._on_edited)
        self._set.entered.connect(self.open)
        self._button.changed.connect(self.open)
        self._path.line_edit.native.returnPressed.connect(self.open)
        self._say_what_to_do()

    # what others may ask of it

    @property
    def fields(self) -> dict[str, Field]:
        """The fields of the parameters, by name."""
        return self._set.all

    @property
    def is_ready(self) -> bool:
        """Whether the file can be opened with what is filled in."""
        return bool(self._button.enabled)

    def ask(self, path: Path, *, stay: bool = True) -> None:
        """Show a file that needs answers; those dropped together one after another.

        Parameters
        ----------
        path : Path
        stay : bool
            Whether the form is still wanted when the file is open.
        """
        now = time.monotonic()
        together = now - self._asked_at < TOGETHER_S
        self._asked_at = now
        shown = self._path_given()
        if together and shown is not None:
            # napari may begin once more with the first file of a drop.
            if path != shown and path not in self._queue:
                self._queue.append(path)
                self._show_finding()
            return
        self._queue.clear()
        self._stays = stay
        self._show_file(path)

    def open(self) -> None:
        """Open the data set in the background, and show it as a layer."""
        path = self._path_given()
        if not self.is_ready or path is None or self._finding is None:
            return
        filetype = self._finding.filetype or AUTO
        given = self._set.given()
        self._is_opening = True
        self._update_button()
        self._opening.run(
            partial(findings.opened, path, filetype, given),
            done=partial(self._opened, path, given),
            failed=self._failed,
        )

    # from the form to the file

    def _show_file(self, path: Path) -> None:
        with self._filling():
            self._path.value = path
        self._on_file()

    def _path_given(self) -> Path | None:
        text = str(self._path.line_edit.value).strip().strip('"')
        if text.startswith("file:"):
            text = QUrl(text).toLocalFile()  # dropped on the line
        return Path(text).expanduser() if text else None

    def _on_file(self, *_: object) -> None:
        if not self._is_filling:
            with self._filling():
                self._type.value = AUTO
            self._is_new_file = self._recalls = True
            self._look_soon()

    def _on_type(self, *_: object) -> None:
        if not self._is_filling:
            # Who chooses a type wants nothing of what he said the last time.
            self._is_new_file, self._recalls = True, False
            self._look_soon()

    def _on_edited(self, edited: Field) -> None:
        data_set = self._finding and self._finding.data_set
        if edited.name in SCAN_PARAMETERS and data_set and not self._is_new_file:
            self._check()
        else:
            self._look_soon()

    def _look_soon(self) -> None:
        self._looking.cancel()
        self._opening.cancel()
        self._is_opening = False
        self._button.enabled = False
        self._pause.start()

    def _look(self) -> None:
        path = self._path_given()
        if path is None:
            self._finding = self._shown = None
            self._say_what_to_do()
            return
        if self._is_new_file:
            job = partial(
                findings.first_look, path, str(self._type.value), self._recalls
            )
            self._say_found(f"Looking into {escape(path.name)} …")
        else:
            if not self._set.are_understood():
                self._update_button()
                return
            filetype = self._finding.filetype if self._finding else None
            job = partial(
                findings.look,
                path,
                filetype or str(self._type.value),
                self._set.given(),
            )
        self._looking.run(job, done=self._found_out, failed=self._failed)

    # from the file to the form

    def _found_out(self, finding: Finding) -> None:
        is_new, self._is_new_file = self._is_new_file, False
        if not is_new and self._finding is not None:
            remark = self._finding.remark
            finding = replace(finding, remark=remark)
        self._finding = finding
        self._show_type(finding.filetype, finding.choices if is_new else None)
        if is_new and finding.remark:
            with self._filling():
                self._type.value = finding.filetype  # not found by the content
        self._set.fill(finding, is_new)
        path = self._path_given()
        default_name = finding.data_set.name if finding.data_set else path and path.stem
        self._set["name"].widget.native.setPlaceholderText(default_name or "")
        self._check()
        if is_new:
            self._set.focus_on_question()

    def _show_type(
        self,
        filetype: str | None,
        choices: Mapping[str, Sequence[Choice]] | None = None,
    ) -> None:
        outdated = self._set.show_type(filetype, choices)
        if outdated is not None:
            for field in outdated:
                self._grid.remove(field)
            self._arrange()

    def _check(self) -> None:
        """Check the scan against the stored frames, which takes no time."""
        self._is_opening = False
        self._opening.cancel()
        good = self._set.are_understood()
        shown = self._finding
        if shown is None:
            return
        if shown.error is not None:
            good = False
            if self._set.tell(shown.error):
                shown = replace(shown, error=None)
        elif good and shown.data_set is not None:
            try:
                fitted = shown.data_set.with_scan(**self._set.scan())
            except ParameterError as error:
                good = False
                self._set.tell(error)
            else:
                self._fit.value = finding_text.fit(fitted)
                shown = replace(shown, data_set=fitted)
        self._shown = shown
        self._show_finding()
        self._fit.native.setVisible(good)
        self._update_button(good)

    def _show_finding(self) -> None:
        if self._shown is not None:
            self._say_found(finding_text.about(self._shown, self._queue))

    def _opened(
        self, path: Path, given: Mapping[str, Any], opened: tuple[Dataset, LayerData]
    ) -> None:
        ds, (data, options, _) = opened
        self._is_opening = False
        self._viewer.add_image(data, **options)
        notices.show_opened(ds, explore=opening.offer(ds))
        if given or str(self._type.value) != AUTO:
            remembered.remember(path, ds.filetype, given)
        else:
            remembered.forget(path)
        self._update_button(True)
        if self._queue:
            self._show_file(self._queue.pop(0))
        elif not self._stays:
            dock = docks.dock_of(self.native)
            if dock is not None:
                dock.hide()

    def _failed(self, error: Exception) -> None:
        self._is_opening = False
        self._say_found(colored(notices.in_short(error), ERROR_COLOR))
        notices.show_error(error)
        self._update_button(False)

    # small things

    @contextmanager
    def _filling(self) -> Iterator[None]:
        before, self._is_filling = self._is_filling, True
        try:
            yield
        finally:
            self._is_filling = before

    def _update_button(self, good: bool = False) -> None:
        self._button.text = "Opening …" if self._is_opening else "Open"
        self._button.enabled = good and not self._is_opening

    def _say_found(self, html: str) -> None:
        self._found.value = html

    def _say_what_to_do(self) -> None:
        self._say_found(finding_text.WHAT_TO_DO)
        self._fit.native.hide()
        self._update_button()

    def _arrange(self) -> None:
        rows: list[Field | Label] = [self._path_field, self._type_field, self._found]
        for field in self._set.in_order:
            rows.append(field)
            if field.name == "nav_shape":
                rows.append(self._fit)
        self._grid.arrange(rows, self._button)


def _type_choices() -> list[tuple[str, str]]:
    of_files = [f for f in FORMATS.values() if f.takes_path]
    return [("Automatic", AUTO), *((f"{f.title} ({f.name})", f.name) for f in of_files)]
