"""What was done, as Python that does it again."""

from __future__ import annotations

from napari_4dstem.script._writing import MAP_KEY, SAMPLE, script_of

__all__ = ["MAP_KEY", "SAMPLE", "script_of"]
