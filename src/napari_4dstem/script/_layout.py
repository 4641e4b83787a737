"""Python as text, laid out as ruff does it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

WIDTH = 88
INDENT = "    "


@dataclass(frozen=True)
class Items:
    """Brackets and what is in them."""

    begin: str
    items: Sequence[Code]
    end: str

    def __str__(self) -> str:
        return f"{self.begin}{', '.join(map(str, self.items))}{self.end}"


class Call(Items):
    """A function and its arguments."""

    def __init__(self, function: str, arguments: Sequence[Code]) -> None:
        super().__init__(f"{function}(", arguments, ")")


Code: TypeAlias = str | Items


def assigned(name: str, value: Code) -> list[str]:
    """Return the lines that give a value a name."""
    return _lines(f"{name} = ", value, "", "")


def quoted(text: str) -> str:
    """Return a text as Python writes it, in double quotes where these cost nothing."""
    written = repr(text)
    return written if '"' in text or written[0] == '"' else f'"{written[1:-1]}"'


def _lines(before: str, code: Code, after: str, indent: str) -> list[str]:
    line = f"{indent}{before}{code}{after}"
    if len(line) <= WIDTH or isinstance(code, str):
        return [line]
    deeper = indent + INDENT
    body = [deeper + ", ".join(map(str, code.items))]
    if not isinstance(code, Call) or len(body[0]) > WIDTH:
        comma = "" if isinstance(code, Call) and len(code.items) == 1 else ","
        body = [line for item in code.items for line in _lines("", item, comma, deeper)]
    return [f"{indent}{before}{code.begin}", *body, f"{indent}{code.end}{after}"]
