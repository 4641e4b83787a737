"""What the user prefers, from napari's own preferences (File ▸ Preferences)."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from napari.settings import get_plugin_settings

from napari_4dstem.gui import notices

PLUGIN = "napari-4dstem"
# Of settings that cannot be read: from a file or a variable of the environment.
UNREADABLE = (ValueError, TypeError, AssertionError, OSError)


@dataclass(frozen=True)
class Preferences:
    """What is declared under ``configurations`` in the manifest, with its defaults.

    Attributes
    ----------
    open_on_load : bool
        Whether a scan opens in the Explorer at once.
    memory_mb : int
        Memory for previews.
    log_patterns : bool
        Whether patterns are shown by the logarithm of their counts.
    colors : str
        Colors of detectors and maps, one of `explorer.colors.SCHEMES`.
    dock_side : str
        Of the Explorer: right or left.
    """

    open_on_load: bool = False
    memory_mb: int = 256
    log_patterns: bool = False
    colors: str = "Red, green, blue"
    dock_side: str = "right"

    @property
    def budget(self) -> int:
        """Memory for previews, in bytes."""
        return self.memory_mb * 10**6


def read() -> Preferences:
    """Return what the user prefers; what cannot be read is said, and is the default."""
    try:
        settings = get_plugin_settings(PLUGIN).explorer
    except (KeyError, AttributeError):
        return Preferences()  # the plugin is switched off, or napari knows no such page
    except UNREADABLE as error:
        notices.show_error(f"The preferences of 4D-STEM cannot be read: {error}")
        return Preferences()
    known: dict[str, Any] = {}
    for field in fields(Preferences):
        value = getattr(settings, field.name, field.default)
        if type(value) is type(field.default):
            known[field.name] = value
        else:
            notices.show_error(
                f"Preferences ▸ 4D-STEM: {field.name} is {value!r}, which it cannot be;"
                f" {field.default!r} is taken instead."
            )
    return Preferences(**known)
