"""A JSON file that anybody may have edited, in parts: what is wrong, and where."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from napari_4dstem.errors import FormatError

MAX_SHOWN = 60


def content_of(file: Path) -> Part:
    """Return what is in a JSON file."""
    try:
        return Part(file, "", json.loads(file.read_bytes(), parse_constant=_no_number))
    except OSError as error:
        raise FormatError(
            file, f"the workspace cannot be read ({error.strerror or error})"
        ) from error
    except (ValueError, RecursionError) as error:
        raise FormatError(
            file, "the workspace is no JSON", expected="JSON", found=str(error)
        ) from error


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name}, which is no JSON")


@dataclass(frozen=True)
class Part:
    """A part of the file, and where it is."""

    file: Path
    place: str
    value: Any

    def __getitem__(self, key: str) -> Part:
        part = self.get(key)
        if part is None:
            self.refuse(f"a value for {key!r}", found="none")
        return part

    def get(self, key: str) -> Part | None:
        """Return a part by its name; None where it is missing or null."""
        if key not in self.names() or self.value[key] is None:
            return None
        place = f"{self.place}.{key}" if self.place else key
        return Part(self.file, place, self.value[key])

    def names(self) -> list[str]:
        """Return the names of what is in it."""
        if not isinstance(self.value, dict):
            self.refuse("names and values")
        return list(self.value)

    def parts(self) -> Iterator[Part]:
        """Yield the parts of a list."""
        if not isinstance(self.value, list):
            self.refuse("a list")
        for i, value in enumerate(self.value):
            yield Part(self.file, f"{self.place}[{i}]", value)

    def text(self) -> str:
        if not isinstance(self.value, str):
            self.refuse("a text")
        return self.value

    def flag(self) -> bool:
        if not isinstance(self.value, bool):
            self.refuse("true or false")
        return self.value

    def whole(self) -> int:
        if not isinstance(self.value, int) or isinstance(self.value, bool):
            self.refuse("a whole number")
        return self.value

    def number(self) -> float:
        if not isinstance(self.value, float):
            return self.whole() + 0.0 if abs(self.whole()) < 2**63 else math.inf
        return self.value

    def refuse(self, expected: str, found: str | None = None) -> NoReturn:
        if found is None:
            found = json.dumps(self.value)
            found = found[:MAX_SHOWN] + "…" * (len(found) > MAX_SHOWN)
        raise FormatError(
            self.file,
            f"the workspace is spoiled at {self.place or 'its beginning'}",
            expected=expected,
            found=found,
            hint="Mend the file in an editor, or save the workspace again.",
        )
