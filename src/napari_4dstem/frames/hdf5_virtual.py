"""Virtual HDF5 data sets: made of frames of other data sets, often in other files.

`data_set` looks through them: where the sources are whole frames one after the other,
frames are read from the sources themselves. Other mappings are left to HDF5, once it
is sure that they do not lead in a circle, over which it crashes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any

from napari_4dstem.errors import FormatError, ParameterError
from napari_4dstem.frames.hdf5 import Part
from napari_4dstem.frames.hdf5_data_set import DataSet, stored_set
from napari_4dstem.frames.hdf5_file import linked_file, opened
from napari_4dstem.frames.hdf5_tree import NoSuchObjectError, located
from napari_4dstem.frames.layout import Gap
from napari_4dstem.frames.refusals import DAMAGED

# Virtual data sets of more sources are left to the library.
MAX_SOURCES = 20_000
# Virtual data sets behind a virtual one, each behind the one before.
MAX_DEPTH = 16

# File and name of a source, as the virtual data set spells them.
Name = tuple[str, str]
# File and name at the end of all links.
Where = tuple[Path, str]


class CircleError(FormatError):
    """A virtual data set is made of itself."""


@dataclass(frozen=True)
class Source:
    """Some frames of a virtual data set, and where they come from."""

    begin: int
    count: int
    name: Name
    first: int  # number of the first frame in the source
    # scan shape of the source, less its first axis; None: any, for all of it is meant
    inner_nav_shape: tuple[int, ...] | None


def data_set(
    path: Path, name: str, sig_dims: int, *, frames_last: bool = False
) -> DataSet:
    """Look at a data set, and through a virtual one into its sources.

    Parameters and errors are those of `stored_set`.
    """
    found = stored_set(path, name, sig_dims, frames_last=frames_last)
    return _Look(sig_dims).through(found) if found.is_virtual else found


class _Look:
    """A look through virtual data sets; at each source once."""

    def __init__(self, sig_dims: int) -> None:
        self.sig_dims = sig_dims
        self.known: dict[Where, DataSet | None] = {}

    def through(self, found: DataSet, way: tuple[Where, ...] = ()) -> DataSet:
        """Return a virtual data set with the places of its frames in the sources.

        Parameters
        ----------
        found : DataSet
        way : tuple of (Path, str)
            The virtual data sets that led here.
        """
        path = found.path
        way = _longer(way, (path, found.name))
        with opened(path) as file:
            names = _names(file[found.name])
            sources = _sources(file[found.name], len(found.nav_shape))
        parts = None
        if sources is not None and not found.frames.frames_last:
            try:
                known = {name: self._source(path, name, way) for name in names}
                parts = _parts(found, sources, known)
            except ParameterError:  # sources of fewer axes: single frames
                pass
        if parts is None:
            _refuse_circles(path, names, way, set())
            lost = [name for name in names if _located(path, name) is None]
        else:
            found = replace(found, frames=replace(found.frames, parts=parts))
            lost = [name for name in names if known[name] is None]
        return replace(found, missing=tuple(_told(path, lost)))

    def _source(self, path: Path, name: Name, way: tuple[Where, ...]) -> DataSet | None:
        """Return a data set that frames come from; None if missing or damaged."""
        where = _located(path, name)
        if where is None:
            return None
        if where not in self.known or where in way:
            self.known[where] = None
            try:
                found = stored_set(*where, self.sig_dims)
                if found.is_virtual:
                    found = self.through(found, way)
                self.known[where] = found
            except (CircleError, ParameterError):
                raise
            except FormatError:  # damaged
                pass
        return self.known[where]


def _told(path: Path, lost: Iterable[Name]) -> Iterable[str]:
    """Return what is lost for people: each file once, or what is not in a file."""
    told = (
        f"{name} in {path.name if file == '.' else file}"
        if file == "." or linked_file(path, file)
        else file
        for file, name in lost
    )
    return dict.fromkeys(told)


def _longer(way: tuple[Where, ...], where: Where) -> tuple[Where, ...]:
    if where in way or len(way) >= MAX_DEPTH:
        raise CircleError(
            where[0],
            f"the virtual data set {where[1]!r} leads in a circle, or far too deep",
            hint=DAMAGED,
        )
    return (*way, where)


def _refuse_circles(
    path: Path, names: Iterable[Name], way: tuple[Where, ...], seen: set[Where]
) -> None:
    for where in (_located(path, name) for name in names):
        if where is None or (where in seen and where not in way):
            continue
        seen.add(where)
        with opened(where[0]) as file:
            dataset = file[where[1]]
            inner = _names(dataset) if getattr(dataset, "is_virtual", False) else []
        if inner:
            _refuse_circles(where[0], inner, _longer(way, where), seen)


def _names(dataset: Any) -> list[Name]:
    """Return the sources of a virtual data set, each once."""
    properties = dataset.id.get_create_plist()
    names = (
        (properties.get_virtual_filename(i), properties.get_virtual_dsetname(i))
        for i in range(min(properties.get_virtual_count(), MAX_SOURCES))
    )
    # "%b" stands for a number: there may be any of them.
    return [name for name in dict.fromkeys(names) if "%" not in "".join(name)]


def _located(path: Path, name: Name) -> Where | None:
    """Return where a source really is, None if it does not exist."""
    target = path if name[0] == "." else linked_file(path, name[0])
    try:
        return None if target is None else located(target, name[1])[:2]
    except (NoSuchObjectError, FormatError):
        return None


def _sources(dataset: Any, nav_ndim: int) -> list[Source] | None:
    """Return the sources of a virtual data set, if they are whole frames in order."""
    import h5py

    all_of_it = h5py.h5s.SEL_ALL
    properties = dataset.id.get_create_plist()
    count = properties.get_virtual_count()
    shape = tuple(map(int, dataset.shape))
    if not 0 < count <= MAX_SOURCES:
        return None
    sources = []
    for i in range(count):
        place = _frames_of(properties.get_virtual_vspace(i), shape, nav_ndim)
        space = properties.get_virtual_srcspace(i)
        name = properties.get_virtual_filename(i), properties.get_virtual_dsetname(i)
        if place is None or "%" in "".join(name):
            return None
        if space.get_select_type() == all_of_it:  # of any shape
            sources.append(Source(*place, name, 0, None))
            continue
        # The source may have other scan axes: (n, ky, kx) in one of (y, x, ky, kx).
        inner = tuple(map(int, space.shape))
        inner_ndim = len(inner) - len(shape) + nav_ndim
        found = _frames_of(space, inner, inner_ndim)
        if found is None or found[1] != place[1]:
            return None
        sources.append(Source(*place, name, found[0], inner[1:inner_ndim]))
    return sorted(sources, key=lambda source: source.begin)


def _frames_of(
    space: Any, shape: tuple[int, ...], nav_ndim: int
) -> tuple[int, int] | None:
    """Return number of the first frame and of frames of a selection, if it is such."""
    import h5py

    kind = space.get_select_type()
    if kind == h5py.h5s.SEL_ALL:
        return 0, prod(shape[:nav_ndim])
    if kind != h5py.h5s.SEL_HYPERSLABS or not space.is_regular_hyperslab():
        return None
    box = []
    for start, stride, count, block in zip(*space.get_regular_hyperslab(), strict=True):
        if count != 1 and stride != block:
            return None
        box.append((int(start), int(count) * int(block)))
    if box[nav_ndim:] != [(0, n) for n in shape[nav_ndim:]] or nav_ndim < 1:
        return None
    # One position of the first axes, a range of one axis, and the others whole.
    first, is_whole = 0, True
    for axis in reversed(range(nav_ndim)):
        start, extent = box[axis]
        if not is_whole and extent != 1:
            return None
        is_whole = is_whole and (start, extent) == (0, shape[axis])
        first += start * prod(shape[axis + 1 : nav_ndim])
    return first, prod(extent for _, extent in box[:nav_ndim])


def _parts(
    whole: DataSet,
    sources: Iterable[Source],
    known: Mapping[Name, DataSet | None],
) -> tuple[Part | Gap, ...] | None:
    """Return the frames where they really are; None if it is not that simple."""
    parts: list[Part | Gap] = []
    end = 0
    for source in sources:
        if source.begin != end:  # what is not mapped, or twice
            return None
        end += source.count
        found = known[source.name]
        if found is None:
            parts.append(Gap(source.count))
            continue
        inner, outer = found.frames, whole.frames
        if (inner.pixel, inner.frame_shape) != (outer.pixel, outer.frame_shape):
            return None
        if source.inner_nav_shape not in (None, found.nav_shape[1:]):
            return None
        cut = inner.between(source.first, source.first + source.count)
        lost = source.count - cut.num_frames
        parts += [*cut.parts, Gap(lost)] if lost else cut.parts
        if len(parts) > MAX_SOURCES:
            return None
    return tuple(_joined(parts)) if end == whole.frames.num_frames else None


def _joined(parts: Sequence[Part | Gap]) -> Iterator[Part | Gap]:
    """Yield the fewest parts for the same frames."""
    last, *others = parts
    for part in others:
        count = last.count + part.count
        if isinstance(last, Gap) and isinstance(part, Gap):
            last = Gap(count)
        elif (
            isinstance(last, Part)
            and isinstance(part, Part)
            and replace(last, begin=last.begin + last.count, count=part.count) == part
        ):
            last = replace(last, count=count)
        else:
            yield last
            last = part
    yield last
