"""The fields of the parameters that all types of data have."""

from __future__ import annotations

from magicgui.widgets import ComboBox

from napari_4dstem.frames.file_bytes import BACKENDS
from napari_4dstem.gui.corrections_field import CorrectionsField
from napari_4dstem.gui.edits import TextEdit, integer
from napari_4dstem.gui.parameter_fields import Field, as_field
from napari_4dstem.gui.shape_edit import ShapeEdit


def common_fields() -> dict[str, Field]:
    """Return the fields by the names of their parameters, as ``load`` knows them.

    In the order of the form; those of a type's own come after ``sig_shape``.
    """
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
        tooltip="How the file is read; the pixels are the same.\n"
        "auto: mapped into memory if the file is on a disk of this machine,\n"
        "through buffers if it is on a network",
    )
    fields = [as_field(w) for w in (name, nav_shape, sig_shape, sync_offset, flyback)]
    fields += [CorrectionsField(), as_field(io_backend)]
    return {field.name: field for field in fields}
