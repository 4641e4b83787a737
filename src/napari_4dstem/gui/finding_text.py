"""What the Open form says about a file, as the HTML of a label."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from napari_4dstem.dataset import Dataset
from napari_4dstem.errors import FormatError, MissingParameterError
from napari_4dstem.gui import findings, notices
from napari_4dstem.gui.findings import Finding
from napari_4dstem.gui.parameter_fields import ERROR_COLOR, WARNING_COLOR, colored

NEEDED = "Needed: not in the file."
WHAT_TO_DO = "Choose a file: what is in it will be shown here."
MAX_LISTED = 3


def about(finding: Finding, waiting: Sequence[Path]) -> str:
    """Return what was found in a file, and what is wrong with it.

    Parameters
    ----------
    finding : Finding
    waiting : sequence of Path
        What comes after this file.
    """
    lines = [escape(fact) for fact in finding.facts]
    if lines:
        lines[0] = f"<b>{lines[0]}</b>"
    if finding.remark:
        lines.append(f"<i>{escape(finding.remark)}</i>")
    ds = finding.data_set
    if ds is not None:
        # How the frames fill the scan stands beside its shape.
        doubts = (*ds.file_problems, *ds.notices)
        lines += [colored(notices.named(doubt, ds), WARNING_COLOR) for doubt in doubts]
    if finding.error is not None:
        lines.append(colored(notices.in_short(finding.error), ERROR_COLOR))
    if waiting:
        names = ", ".join(path.name for path in waiting[:MAX_LISTED])
        more = ", …" * (len(waiting) > MAX_LISTED)
        lines.append(f"Then: {escape(names)}{more}")
    return "<br>".join(lines)


def fit(ds: Dataset) -> str:
    """Return how the stored frames fill the scan."""
    text, misfit = findings.fit(ds)
    return f"{text}: {colored(misfit, WARNING_COLOR)}" if misfit else text


def beside_field(error: FormatError) -> str:
    """Return the message without the path, which stands in the form already."""
    if isinstance(error, MissingParameterError):
        return NEEDED
    text = str(error)
    return text if error.path is None else text.removeprefix(f"{error.path}: ")
