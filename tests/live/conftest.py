import pytest


@pytest.fixture
def impatient(monkeypatch):
    """Every step is shown, the work has many pieces, each pixel is a line of memory."""
    set_impatient(monkeypatch)


def set_impatient(monkeypatch):
    monkeypatch.setattr("napari_4dstem.engine.units.MIN_UNIT_NBYTES", 2000)
    monkeypatch.setattr("napari_4dstem.live.pace.LINE_NBYTES", 1)
    for module in ("images", "patterns"):
        monkeypatch.setattr(f"napari_4dstem.live.{module}.FIRST_S", 0)
        monkeypatch.setattr(f"napari_4dstem.live.{module}.NEXT_S", 0)
