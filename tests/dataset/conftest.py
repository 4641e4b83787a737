"""Files for the tests of load and Dataset."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_4dstem.formats import FORMATS
from napari_4dstem.formats._format import Description, Format
from napari_4dstem.frames.layout import FrameLayout, FrameRun
from tests.dataset.cube import CUBE
from tests.formats.write_npy import write_npy


@pytest.fixture
def path(tmp_path):
    """An npy file of 3 x 4 frames of 5 x 6 pixels."""
    path = tmp_path / "gold.npy"
    write_npy(path, CUBE)
    return path


@pytest.fixture
def described(monkeypatch, tmp_path):
    """Add a format ``toy`` that says what a test wants it to say."""
    path = tmp_path / "scan.toy"
    path.write_bytes(b"TOY!" + CUBE.tobytes())
    run = FrameRun(path, 4, 60, 12)
    layout = FrameLayout((run,), (5, 6), CUBE.dtype)

    def use(**facts):
        description = Description(**{"frames": layout} | facts)

        def describe(path: Path, *, knob: int = 1, note: str | None = None):
            return description

        toy = Format(
            "toy", "Toy", (".toy",), lambda path, head: head[:4] == b"TOY!", describe
        )
        monkeypatch.setitem(FORMATS, "toy", toy)
        return path

    use.layout = layout
    use.path = path
    return use
