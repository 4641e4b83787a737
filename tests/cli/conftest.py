"""Files for the commands, and users without settings."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from napari_4dstem.export.mib import write_mib
from tests.cli.running import FRAMES


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """A Merlin scan of 3 lines and 5 columns."""
    path = tmp_path / "scan.mib"
    started = datetime(2025, 3, 14, tzinfo=UTC)
    write_mib(path, [FRAMES], (3, 5), dwell_s=1e-3, started=started)
    return path


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    path = tmp_path / "scan_x5_y3.raw"
    np.random.default_rng(3).integers(0, 256, 15 * 64**2, np.uint8).tofile(path)
    return path


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment of a user who has neither settings nor a cache."""
    folder = tmp_path_factory.mktemp("home")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("XDG_", "NAPARI"))}
    return {
        **kept,
        "HOME": str(folder),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "XDG_DATA_HOME": str(folder / "data"),
    }
