"""What is explored, as a workspace and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_4dstem.dataset import opening_of
from napari_4dstem.errors import FormatError
from napari_4dstem.gui.explorer.entry import REDUCTIONS
from napari_4dstem.gui.explorer.patterns import SOURCES
from napari_4dstem.workspace import CenterOfMass, DrawnDetector, Workspace

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from napari_4dstem.gui.explorer.com_maps import CenterOfMassMaps
    from napari_4dstem.gui.explorer.controller import Controller
    from napari_4dstem.gui.explorer.entry import Entry


def saved(controller: Controller) -> Workspace:
    """Return what is explored: with the scan geometry that is applied.

    Raises
    ------
    FormatError
        If that is nothing, or is in no file.
    """
    if controller.ds is None:
        raise FormatError(
            None, "no scan is open in the Explorer", hint="Open one, and try again."
        )
    patterns, com = controller.patterns, controller.com
    workspace = Workspace(
        opening_of(controller.ds),
        tuple(
            DrawnDetector(
                entry.name, entry.detector, entry.image.colormap.name, entry.reduction
            )
            for entry in controller.detectors.entries
            if entry.detector is not None
        ),
        probe=patterns.position,
        pattern=patterns.source,
        region=patterns.positions_in_region(),
        is_log=patterns.is_log,
        center_of_mass=CenterOfMass(
            None if com.entry is None else com.entry.name,
            com.descan,
            com.degrees,
            com.flip_y,
            tuple(com.shown),
        ),
    )
    workspace.check_is_in_files()
    return workspace


def restore(controller: Controller, workspace: Workspace) -> None:
    """Draw and choose all as a workspace has it; its data set is open already."""
    detectors, patterns = controller.detectors, controller.patterns
    for entry in list(detectors.entries):
        detectors.remove(entry)
    entries = {drawn.name: detectors.place(drawn) for drawn in workspace.detectors}
    if workspace.center_of_mass is not None:
        _restore_center_of_mass(controller.com, workspace.center_of_mass, entries)
    if workspace.probe is not None:
        patterns.set_probe(*workspace.probe)
    if workspace.region is not None:
        patterns.draw_region(workspace.region)
    patterns.set_log(workspace.is_log)
    patterns.set_source(workspace.pattern)


def _restore_center_of_mass(
    com: CenterOfMassMaps, saved: CenterOfMass, entries: Mapping[str, Entry]
) -> None:
    com.set_entry(entries.get(saved.detector or ""))
    com.set_descan(saved.descan)
    com.set_rotation(saved.degrees, saved.flip_y)
    for output in saved.outputs:
        com.set_shown(output, True)
    com.changed.emit()


def checked(workspace: Workspace) -> Workspace:
    """Return a workspace, if the Explorer knows all that it asks for.

    Raises
    ------
    FormatError
        If it does not.
    """
    _check("map", (drawn.reduction for drawn in workspace.detectors), REDUCTIONS)
    _check("pattern", (workspace.pattern,), SOURCES)
    return workspace


def _check(what: str, wanted: Iterable[str], known: Iterable[str]) -> None:
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise FormatError(
            None,
            f"the workspace asks for a {what} that there is not",
            expected=", ".join(known),
            found=unknown[0],
            hint="Mend the file in an editor, or update napari-4dstem.",
        )
