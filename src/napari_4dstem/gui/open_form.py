"""The Open form: says what is in a file, and asks what the file does not tell."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from html import escape
from inspect import Parameter
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import napari
from magicgui.widgets import (
    ComboBox,
    Container,
    PushButton,
    Widget,
)
from qtpy.QtCore import QTimer, QUrl
from qtpy.QtWidgets import QDockWidget, QGridLayout, QSizePolicy, QWidget

from napari_4dstem.dataset import AUTO, Dataset, open_dataset
from napari_4dstem.errors import (
    FormatError,
    MissingParameterError,
    NotRecognizedError,
    ParameterError,
)
from napari_4dstem.formats import FORMATS, identify, unmarked_formats
from napari_4dstem.formats._format import Format
from napari_4dstem.frames.raw_bytes import BACKENDS
from napari_4dstem.gui import notices, remembered
from napari_4dstem.gui.background import Background
from napari_4dstem.gui.parameter_fields import (
    ERROR_COLOR,
    WARNING_COLOR,
    Field,
    TextEdit,
    as_field,
    colored,
    field_for,
    file_edit,
    integer,
    text_block,
)
from napari_4dstem.gui.shape_edit import ShapeEdit
from napari_4dstem.layers import LayerData, display_notices, image_layer

if TYPE_CHECKING:
    from napari.viewer import Viewer

PLUGIN, TITLE = "napari-4dstem", "Open 4D-STEM data"
PATH_WIDTH = 180
# Long enough for a number to be typed, short enough to seem at once.
PAUSE_MS = 200
# Files that need the form and come within this time were dropped together.
TOGETHER_S = 1.0
# They fold the stored frames; with another value the file needs not be opened again.
SCAN_PARAMETERS = ("nav_shape", "sync_offset", "flyback")
NEEDED = "Needed: not in the file."
_NO_DEFAULT = Parameter.empty


def ask(path: Path) -> bool:
    """Bring up the form for a file, as soon as napari is back in its event loop.

    Returns
    -------
    bool
        False if there is no window to show it in.
    """
    if napari.current_viewer() is None:
        return False
    QTimer.singleShot(0, partial(_bring_up, path))
    return True


def _bring_up(path: Path) -> None:
    viewer = napari.current_viewer()
    if viewer is None:
        return
    was_there = any(
        isinstance(widget, OpenForm) and widget.visible
        for widget in viewer.window.dock_widgets.values()
    )
    dock, form = viewer.window.add_plugin_dock_widget(PLUGIN, TITLE)
    dock.show()
    dock.raise_()
    form.ask(path, stay=was_there)


# ------------------------------------------------------------- on the other thread


@dataclass(frozen=True)
class Finding:
    """What is known about a file.

    Attributes
    ----------
    filetype : str or None
        None if nobody knows.
    parameters : mapping
        What to fill in, proposed or remembered.
    remark : str
        Where that comes from.
    data_set : Dataset or None
        Opened without the parameters of the scan.
    facts : tuple of str
        What was found, for people.
    error : FormatError or None
        Why there is no data set.
    """

    filetype: str | None
    parameters: Mapping[str, Any]
    remark: str = ""
    data_set: Dataset | None = None
    facts: tuple[str, ...] = ()
    error: FormatError | None = None


def first_look(path: Path, filetype: str, recalls: bool) -> Finding:
    """Find out the type of a file, and likely parameters to open it with."""
    memory = remembered.recall(path) if recalls else None
    if memory is not None:
        changed = "" if memory.is_same_file else " But its size has changed since."
        remark = f"Filled in as the last time.{changed}"
        return look(path, memory.filetype, memory.parameters, remark)
    finding = look(path, filetype, {})
    if filetype != AUTO:
        return finding
    for format_ in _formats_that_ask(path, finding.error):
        likely = dict(format_.propose(path))
        remark = "The file does not say everything: please fill in the rest."
        if likely:
            remark = "Filled in what the file's name and size suggest: please check."
        return look(path, format_.name, likely, remark)
    return finding


def _formats_that_ask(path: Path, error: FormatError | None) -> list[Format]:
    """Return the formats that the file may have, if only the user knows parameters."""
    try:
        if isinstance(error, NotRecognizedError):
            return unmarked_formats(path)
        if isinstance(error, ParameterError):
            return [identify(path)]
    except FormatError:
        pass  # a folder
    return []


def look(
    path: Path, filetype: str, parameters: Mapping[str, Any], remark: str = ""
) -> Finding:
    """Open a file with the parameters that do not concern the scan.

    Unless the format itself asks for them.
    """
    asked = FORMATS[filetype].parameters if filetype in FORMATS else {}
    own = {
        k: v for k, v in parameters.items() if k in asked or k not in SCAN_PARAMETERS
    }
    known = None if filetype == AUTO else filetype
    try:
        ds = open_dataset(filetype, path, **own)
        return Finding(ds.filetype, parameters, remark, ds, _facts(ds))
    except FormatError as error:
        problem = error
    except (OSError, TypeError, ValueError) as error:
        # no network, or values that nobody would type
        problem = FormatError(path, str(error))
    facts = () if known is None else _facts_of_file(path, known)
    return Finding(known, parameters, remark, None, facts, problem)


def _facts_of_file(path: Path, filetype: str) -> tuple[str, ...]:
    try:
        size = path.stat().st_size
    except OSError:
        return (FORMATS[filetype].title,)
    return FORMATS[filetype].title, f"{size:,} bytes"


def _facts(ds: Dataset) -> tuple[str, ...]:
    rows = dict(ds.diagnostics())
    several = f"{rows['files']} files" if len(ds.files) > 1 else "1 file"
    return (
        FORMATS[ds.filetype].title,
        f"{several}, {rows['file size']}",
        f"{rows['frames stored']} frames of {_times(ds.sig_shape)} pixels, {ds.dtype}",
    )


def _open(
    path: Path, filetype: str, parameters: Mapping[str, Any]
) -> tuple[Dataset, LayerData]:
    ds = open_dataset(filetype, path, **parameters)
    return ds, image_layer(ds)


# ------------------------------------------------------------------------ the form


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
        self._is_new_file = self._recalls = True
        self._is_filling = False
        self._is_opening = False
        self._queue: list[Path] = []
        self._asked_at = 0.0
        self._stays = True
        self._own: dict[str, Field] = {}
        self._own_type: str | None = None

        self._path = file_edit(
            mode="r",
            name="path",
            label="File",
            tooltip="A file, or any one of a series",
        )
        self._path.line_edit.native.setPlaceholderText("path, or drop a file on napari")
        self._type = ComboBox(
            name="filetype",
            label="Type",
            choices=_type_choices(),
            tooltip="Automatic: by the content of the file",
        )
        self._found = text_block()
        self._common = {f.name: f for f in _common_fields()}
        self._fit = text_block()
        self._button = PushButton(name="open", text="Open", enabled=False)

        self._head = (as_field(self._path), as_field(self._type))
        super().__init__(labels=False)
        self._grid = QGridLayout()
        self._grid.setColumnStretch(1, 1)
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
        for common in self._common.values():
            self._connect(common)
        self._button.changed.connect(self.open)
        self._path.line_edit.native.returnPressed.connect(self.open)
        self._say_what_to_do()

    # what others may ask of it

    @property
    def fields(self) -> dict[str, Field]:
        """The fields of the parameters, by name."""
        return {**self._common, **self._own}

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
        if together and self._path_given() is not None:
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
        given = self._given()
        self._is_opening = True
        self._update_button()
        self._opening.run(
            partial(_open, path, filetype, given),
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
        if self._is_filling:
            return
        try:
            edited.is_given = edited.read() is not None
        except ValueError:
            edited.is_given = True
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
            self._finding = None
            self._say_what_to_do()
            return
        if self._is_new_file:
            job = partial(first_look, path, str(self._type.value), self._recalls)
            self._say_found(f"Looking into {escape(path.name)} …")
        else:
            if not self._is_understood():
                self._update_button()
                return
            filetype = self._finding.filetype if self._finding else None
            job = partial(look, path, filetype or str(self._type.value), self._given())
        self._looking.run(job, done=self._found_out, failed=self._failed)

    def _given(self) -> dict[str, Any]:
        """What the user said; what he did not is left to the file."""
        return {
            name: field.read() for name, field in self.fields.items() if field.is_given
        }

    # from the file to the form

    def _found_out(self, finding: Finding) -> None:
        is_new, self._is_new_file = self._is_new_file, False
        if not is_new and self._finding is not None:
            remark = self._finding.remark
            finding = Finding(**{**finding.__dict__, "remark": remark})
        self._finding = finding
        with self._filling():
            self._show_own_fields(finding.filetype)
            if is_new and finding.remark:
                self._type.value = finding.filetype  # not found by the content
            for name, field in self.fields.items():
                if is_new:
                    field.is_given = finding.parameters.get(name) is not None
                    field.fill(finding.parameters.get(name))
                if not field.is_given and finding.data_set is not None:
                    field.fill(_said_by_file(name, finding.data_set))
        path = self._path_given()
        default_name = finding.data_set.name if finding.data_set else path and path.stem
        self._common["name"].widget.native.setPlaceholderText(default_name or "")
        self._check()
        if is_new:
            self._focus_on_question()

    def _show_own_fields(self, filetype: str | None) -> None:
        wanted = {} if filetype is None else FORMATS[filetype].parameters
        for common in self._common.values():
            parameter = wanted.get(common.name)
            common.required = parameter is not None and parameter.default is _NO_DEFAULT
        wanted = {k: v for k, v in wanted.items() if k not in self._common}
        if list(wanted) == list(self._own) and self._own_type == filetype:
            return
        for old in self._own.values():
            for widget in old.widgets:
                self._grid.removeWidget(widget.native)
                widget.close()
                widget.native.deleteLater()
        self._own = {name: field_for(parameter) for name, parameter in wanted.items()}
        self._own_type = filetype
        for new in self._own.values():
            self._connect(new)
        self._arrange()

    def _is_understood(self) -> bool:
        """Whether every field has a value; says what is wrong with those without."""
        good = True
        for field in self.fields.values():
            try:
                missing = field.read() is None and field.required
                field.say(NEEDED if missing else "", WARNING_COLOR)
                good &= not missing
            except ValueError as error:
                field.say(str(error))
                good = False
        return good

    def _check(self) -> None:
        """Check the scan against the stored frames, which takes no time."""
        self._is_opening = False
        self._opening.cancel()
        good = self._is_understood()
        finding = self._finding
        self._show_finding()
        if finding is None or finding.data_set is None:
            if finding is not None and isinstance(finding.error, ParameterError):
                wrong = self.fields.get(finding.error.parameter)
                if wrong is not None and not wrong.message.value:
                    wrong.say(_for_field(finding.error))
            good = False
        elif good:
            good = self._check_scan(finding.data_set)
        if not good:
            self._fit.native.hide()
        self._update_button(good)

    def _check_scan(self, ds: Dataset) -> bool:
        scan = {
            name: field.read() if field.is_given else None
            for name, field in self._common.items()
            if name in SCAN_PARAMETERS
        }
        try:
            fitted = ds.with_scan(**scan)
        except ParameterError as error:
            self.fields[error.parameter].say(_for_field(error))
            return False
        self._fit.value = _fit(fitted)
        self._fit.native.show()
        return True

    def _show_finding(self) -> None:
        finding = self._finding
        if finding is None:
            return
        lines = [escape(fact) for fact in finding.facts]
        if lines:
            lines[0] = f"<b>{lines[0]}</b>"
        if finding.remark:
            lines.append(f"<i>{escape(finding.remark)}</i>")
        if finding.data_set is not None:
            doubts = (*finding.data_set.problems, *finding.data_set.notices)
            lines += [
                colored(notices.named(doubt, finding.data_set), WARNING_COLOR)
                for doubt in doubts
            ]
        error = finding.error
        if error is not None and not (
            isinstance(error, ParameterError) and error.parameter in self.fields
        ):
            lines.append(colored(notices.in_short(error), ERROR_COLOR))
        if self._queue:
            names = ", ".join(path.name for path in self._queue[:3])
            lines.append(f"Then: {escape(names)}" + ", …" * (len(self._queue) > 3))
        self._say_found("<br>".join(lines))

    def _opened(
        self, path: Path, given: Mapping[str, Any], opened: tuple[Dataset, LayerData]
    ) -> None:
        ds, (data, options, _) = opened
        self._is_opening = False
        self._viewer.add_image(data, **options)
        notices.show_opened(ds, display_notices(ds))
        if given or str(self._type.value) != AUTO:
            remembered.remember(path, ds.filetype, given)
        else:
            remembered.forget(path)
        self._update_button(True)
        if self._queue:
            self._show_file(self._queue.pop(0))
        elif not self._stays:
            dock = _dock_of(self.native)
            if dock is not None:
                dock.hide()

    def _failed(self, error: Exception) -> None:
        self._is_opening = False
        self._say_found(colored(notices.in_short(error), ERROR_COLOR))
        notices.show_error(error)
        self._update_button(False)

    # small things

    def _connect(self, field: Field) -> None:
        widget = field.widget
        widget.changed.connect(partial(self._on_edited, field))
        if isinstance(widget, ShapeEdit):
            widget.entered.connect(self.open)
        elif isinstance(widget, TextEdit):
            widget.native.returnPressed.connect(self.open)

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
        self._say_found("Choose a file: what is in it will be shown here.")
        self._fit.native.hide()
        self._update_button()

    def _focus_on_question(self) -> None:
        """Put the cursor where something has to be filled in."""
        for field in self.fields.values():
            if field.message.value:
                field.lines[0].native.setFocus()
                return

    def _make_narrow(self) -> None:
        """Leave room for the image: the fields take what width there is."""
        self._path.line_edit.min_width = PATH_WIDTH
        for field in (*self._head, *self.fields.values()):
            for line in field.lines:
                policy = line.native.sizePolicy()
                policy.setHorizontalPolicy(QSizePolicy.Policy.Ignored)
                line.native.setSizePolicy(policy)

    def _arrange(self) -> None:
        """Put all rows into their places, and the tabs into the same order."""
        common = list(self._common.values())
        at = next(i for i, f in enumerate(common) if f.name == "sig_shape") + 1
        row = 0
        fields = (*self._head, *common[:at], *self._own.values(), *common[at:])
        for field in fields:
            self._grid.addWidget(field.label.native, row, 0)
            self._grid.addWidget(field.widget.native, row, 1)
            self._grid.addWidget(field.message.native, row + 1, 1)
            row += 2
            if field.widget is self._type:
                self._grid.addWidget(self._found.native, row, 0, 1, 2)
                row += 1
            if field.name == "nav_shape":
                self._grid.addWidget(self._fit.native, row, 1)
                row += 1
        self._make_narrow()
        order = [line for field in fields for line in field.lines]
        for before, after in pairwise([*order, self._button]):
            QWidget.setTabOrder(before.native, after.native)


def _type_choices() -> list[tuple[str, str]]:
    of_files = [f for f in FORMATS.values() if f.takes_path]
    return [("Automatic", AUTO), *((f"{f.title} ({f.name})", f.name) for f in of_files)]


def _common_fields() -> list[Field]:
    name = TextEdit(
        str,
        name="name",
        label="Name",
        tooltip="Of the layer; by default that of the file",
    )
    nav_shape = ShapeEdit(
        "nav_shape",
        ("y", "x"),
        label="Scan shape (y, x)",
        tooltip="Number of scan positions: lines, then positions in a line.\n"
        "A comma goes to the next field; (42, 21) can be pasted.\n"
        "Empty: what the file says",
    )
    sig_shape = ShapeEdit(
        "sig_shape",
        ("ky", "kx"),
        label="Detector shape (ky, kx)",
        tooltip="Rows, then columns of a frame.\nEmpty: what the file says",
    )
    sync_offset = integer(
        name="sync_offset",
        label="Sync offset",
        tooltip="Above 0: so many stored frames are skipped at the start.\n"
        "Below 0: the scan begins with so many blank frames",
    )
    flyback = integer(
        name="flyback",
        label="Flyback frames",
        tooltip="Frames at the end of each line that belong to no scan position",
    )
    io_backend = ComboBox(
        name="io_backend",
        label="I/O backend",
        choices=("auto", *BACKENDS),
        tooltip="auto: mapped into memory if the file is on a disk of this machine,\n"
        "through buffers if it is on a network",
    )
    widgets = (name, nav_shape, sig_shape, sync_offset, flyback, io_backend)
    return [as_field(widget) for widget in widgets]


def _said_by_file(name: str, ds: Dataset) -> Any:
    """What the file itself says where the user says nothing."""
    if name == "nav_shape":
        # One axis is no answer to "how many lines": the fields stay empty.
        return ds.nav_shape if len(ds.nav_shape) > 1 else None
    if name == "io_backend":
        return "auto"
    if name == "name":
        return None
    common = {
        "sig_shape": ds.sig_shape,
        "sync_offset": ds.sync_offset,
        "flyback": ds.flyback,
    }
    if name in common:
        return common[name]
    default = FORMATS[ds.filetype].parameters[name].default
    return ds.own_parameters.get(name, default)


def _fit(ds: Dataset) -> str:
    """How the stored frames fill the scan."""
    stored, needed = ds.num_stored_frames, ds.frames.geometry.num_needed
    text = f"{stored} frames stored, scan needs {needed}"
    skipped, blank = max(ds.sync_offset, 0), max(-ds.sync_offset, 0)
    left = stored - ds.sync_offset - needed
    remarks = []
    if skipped:
        remarks.append(f"{skipped} skipped at the start")
    if blank:
        remarks.append(f"{min(blank, needed)} blank at the start")
    if left < 0:
        remarks.append(f"{-left} missing at the end (shown as blank)")
    if left > 0:
        remarks.append(f"{left} not used at the end")
    if not remarks:
        return text if len(ds.nav_shape) > 1 else f"{stored} frames stored, in one line"
    return f"{text}: " + colored(", ".join(remarks), WARNING_COLOR)


def _for_field(error: ParameterError) -> str:
    """The message without the path, which stands in the form already."""
    if isinstance(error, MissingParameterError):
        return NEEDED
    text = str(error)
    return text if error.path is None else text.removeprefix(f"{error.path}: ")


def _times(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))


def _dock_of(widget: QWidget | None) -> QDockWidget | None:
    while widget is not None and not isinstance(widget, QDockWidget):
        widget = widget.parentWidget()
    return widget
