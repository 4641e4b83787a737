"""The files that are damaged: the conformance cases, and what our own writers make."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.formats import contract
from tests.test_conformance import CASES, FOLDER, identity, parameters

NO_DATA = {"cases_a.json", "cases_b.json", "README_a.md", "README_b.md"}


@dataclass(frozen=True)
class Opener:
    """A way to open a file, or the data set that it belongs to.

    Attributes
    ----------
    filetype : str
    parameters : dict
        Of `load`; paths lie below the folder of the target.
    """

    filetype: str
    parameters: dict[str, Any]

    def below(self, folder: Path, copy: Path) -> Opener:
        """Return the same for a copy of the folder."""
        moved = {key: _moved(v, folder, copy) for key, v in self.parameters.items()}
        return Opener(self.filetype, moved)


def _moved(value: Any, folder: Path, copy: Path) -> Any:
    if isinstance(value, (list, tuple)):
        return type(value)(_moved(item, folder, copy) for item in value)
    if isinstance(value, str) and value.startswith(str(folder)):
        value = Path(value)
    return copy / value.relative_to(folder) if isinstance(value, Path) else value


@dataclass(frozen=True)
class Target:
    """A file to damage.

    Attributes
    ----------
    name : str
        By which it is called, such as ``mib/mib-u08/a.mib``.
    group : str
        Files of one format, which may get pieces of each other.
    folder : Path
        What lies there is copied along.
    file : Path
        Relative to the folder.
    beside : tuple of Path
        Other files of the folder, relative to it.
    openers : tuple of Opener
        Beside "auto", which opens the file itself.
    """

    name: str
    group: str
    folder: Path
    file: Path
    beside: tuple[Path, ...]
    openers: tuple[Opener, ...]

    @cached_property
    def content(self) -> bytes:
        """The intact file."""
        return (self.folder / self.file).read_bytes()


@dataclass(frozen=True)
class Donors(Sequence[bytes]):
    """Files of which pieces are taken, read when one is."""

    files: tuple[Path, ...]

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: Any) -> Any:
        return self.files[index].read_bytes()


def donors(targets: Iterable[Target], target: Target) -> Donors:
    """Return the files of the same format."""
    return Donors(tuple(t.folder / t.file for t in targets if t.group == target.group))


def corpus(scratch: Path, *, generated: bool = False) -> list[Target]:
    """Return the files to damage.

    Parameters
    ----------
    scratch : Path
        Where our own writers put their files.
    generated : bool
        Whether conformance cases that are too large to be files are made too.
    """
    targets = [*own_targets(scratch)]
    if CASES:
        targets += conformance_targets()
    if generated:
        targets += generated_targets(scratch)
    return sorted(targets, key=lambda target: target.name)


def own_targets(scratch: Path) -> Iterator[Target]:
    """Save the cases of the contract suite."""
    for module_file in sorted(Path(contract.__file__).parent.glob("test_*.py")):
        module = importlib.import_module(f"tests.formats.{module_file.stem}")
        for _, suite in inspect.getmembers(module, inspect.isclass):
            if not issubclass(suite, contract.Contract):
                continue
            for case in getattr(suite, "cases", ()):
                if case.filetype not in ("memory", "dask"):
                    yield from _own_case(case, scratch)


def _own_case(case: contract.Case, scratch: Path) -> Iterator[Target]:
    name = f"own/{case.filetype}/{case.name}"
    folder = scratch / name
    folder.mkdir(parents=True, exist_ok=True)
    given = contract.Stored(case, folder).parameters
    opener = Opener(case.filetype, {**given, "nav_shape": contract.NAV_SHAPE})
    yield from _targets(name, case.filetype, folder, [opener])


def conformance_targets() -> Iterator[Target]:
    """Return all files of the conformance cases but the truth."""
    truth = {FOLDER / name for case in CASES for name in _arrays(case["expect"])}
    folders: dict[Path, list[Opener]] = {}
    for case in CASES:
        if "generate" not in case:
            given = parameters(case, FOLDER)
            first = (
                given["path"] if "path" in given else next(iter(given["files"]), None)
            )
            if first is not None:
                opener = Opener(case["format"], given)
                folders.setdefault(Path(first).parent, []).append(opener)
    # a folder below that of a case belongs to it, unless it has cases itself
    for folder, openers in folders.items():
        name = folder.relative_to(FOLDER)
        below = tuple(other for other in folders if folder in other.parents)
        yield from _targets(
            name.as_posix(), name.parts[0], folder, openers, truth, below
        )


def generated_targets(scratch: Path) -> Iterator[Target]:
    """Make and return the cases that are too large to be files."""
    made = []
    for case in CASES:
        if "generate" in case and case["generate"] not in made:
            made.append(case["generate"])
            folder = scratch / "generated" / str(identity(case))
            folder.mkdir(parents=True, exist_ok=True)
            opener = Opener(case["format"], parameters(case, folder))
            name = f"generated/{identity(case)}"
            yield from _targets(name, case["format"], folder, [opener])


def _targets(
    name: str,
    group: str,
    folder: Path,
    openers: list[Opener],
    truth: Iterable[Path] = (),
    not_below: tuple[Path, ...] = (),
) -> Iterator[Target]:
    files = [
        file.relative_to(folder)
        for file in sorted(folder.rglob("*"))
        if file.is_file()
        and file not in truth
        and file.name not in NO_DATA
        and not any(other in file.parents for other in not_below)
    ]
    for file in files:
        yield Target(
            f"{name}/{file.as_posix()}",
            group,
            folder,
            file,
            tuple(other for other in files if other != file),
            tuple(_openers_of(folder / file, openers)),
        )


def _openers_of(file: Path, openers: list[Opener]) -> list[Opener]:
    """Return those that open the file, else those of its data set, as far as known."""
    direct = [opener for opener in openers if file in _paths(opener)]
    if direct:
        return direct

    start = file.stem[: len(file.stem) // 2 + 1]
    named_alike = [
        opener
        for opener in openers
        if any(path.name.startswith(start) for path in _paths(opener))
    ]
    return named_alike or openers


def _paths(opener: Opener) -> list[Path]:
    given = opener.parameters
    return [Path(p) for p in (given.get("path"), *given.get("files", ())) if p]


def _arrays(expect: Any) -> Iterator[str]:
    """Return the arrays that an expectation names, at any depth."""
    if isinstance(expect, dict):
        for value in expect.values():
            yield from _arrays(value)
    elif isinstance(expect, str) and expect.endswith(".npy"):
        yield expect
