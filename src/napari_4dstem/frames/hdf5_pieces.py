"""Where the frames of an HDF5 data set are: in which files, and how they lie there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from napari_4dstem.errors import FormatError, ParameterError
from napari_4dstem.frames.hdf5 import Hdf5Frames, Part
from napari_4dstem.frames.hdf5_chunks import split_axes
from napari_4dstem.frames.hdf5_file import (
    check_filters,
    filters_of,
    lies_as_numpy,
    linked_file,
    opened,
)
from napari_4dstem.frames.hdf5_tree import NoSuchObjectError, located, pixel_type
from napari_4dstem.frames.layout import FrameLayout, FrameRun, Gap

# Virtual data sets of more sources, or virtual ones of virtual ones of virtual ones,
# are left to the library.
MAX_SOURCES = 20_000
MAX_DEPTH = 3
# A frame larger than this has to be in the file.
LARGE_FRAME_NBYTES = 2**28


@dataclass(frozen=True)
class Piece:
    """Frames of a data set that follow each other.

    Attributes
    ----------
    part : Part
    nav_shape, sig_shape : tuple of int
        Of the whole data set.
    pixel : dtype
    frames_last : bool
        See `Hdf5Frames`.
    nav_chunk : tuple of int
        Scan shape of a chunk; empty where the data set is not in chunks.
    start : int, optional
        Byte of the first frame, if the frames lie one after the other in the file.
    """

    part: Part
    nav_shape: tuple[int, ...]
    sig_shape: tuple[int, ...]
    pixel: np.dtype[Any]
    frames_last: bool = False
    nav_chunk: tuple[int, ...] = ()
    start: int | None = None

    @property
    def frame_nbytes(self) -> int:
        """Bytes of a frame."""
        return prod(self.sig_shape) * self.pixel.itemsize


@dataclass(frozen=True)
class DataSet:
    """A data set, and where its frames are.

    Attributes
    ----------
    whole : Piece
        The data set itself.
    pieces : tuple of Piece and Gap
        Where its frames are: itself, or the sources of a virtual one.
    missing : tuple of str
        Files with sources of a virtual data set that do not exist.
    is_matlab : bool
        Whether MATLAB wrote it.
    """

    whole: Piece
    pieces: tuple[Piece | Gap, ...]
    missing: tuple[str, ...] = ()
    is_matlab: bool = False


def data_set(
    path: Path, name: str, sig_dims: int, *, frames_last: bool = False, depth: int = 0
) -> DataSet:
    """Look at a data set.

    Parameters
    ----------
    path, name : Path, str
        The file that holds it, at the end of all links, and its name there.
    sig_dims : int
        Number of axes of a frame.
    frames_last : bool
        Whether frames are stacked along the last axis, not along the first.

    Raises
    ------
    FormatError
        If it does not hold frames.
    """
    with opened(path) as file:
        dataset = file[name]
        whole = _whole(path, name, dataset, sig_dims, frames_last)
        filters = filters_of(dataset)
        check_filters(path, name, filters)
        if dataset.is_virtual:
            missing = _missing(path, dataset)
            sources = None if frames_last else _sources(dataset, len(whole.nav_shape))
        else:
            in_file = tuple(_in_file(dataset, whole, bool(filters)))
            return DataSet(whole, in_file, (), "MATLAB_class" in dataset.attrs)
    if sources is not None and depth < MAX_DEPTH:
        pieces = _virtual(path, whole, sources, sig_dims, depth)
        if pieces is not None:
            return DataSet(whole, pieces, missing)
    return DataSet(whole, (whole,), missing)


def _whole(
    path: Path, name: str, dataset: Any, sig_dims: int, frames_last: bool
) -> Piece:
    pixel = pixel_type(dataset)
    if pixel is None:
        raise FormatError(
            path,
            f"the data type of {name!r} is not numeric",
            expected="an integer, float, complex or bool type",
            found=_type_name(dataset),
            hint="Name another data set with ds_path.",
        )
    shape = tuple(map(int, dataset.shape or ()))
    if len(shape) <= sig_dims:
        raise ParameterError(
            path,
            "sig_dims",
            f"no axis of {name!r} is left for the scan",
            expected=f"more than {sig_dims} axes (sig_dims)",
            found=f"shape {shape}",
            hint="A 4D-STEM data set is (y, x, ky, kx).",
        )
    if not prod(shape):
        raise FormatError(
            path,
            f"the data set {name!r} has no frames",
            expected="numbers above 0",
            found=f"shape {shape}",
            hint="Nothing was recorded.",
        )
    nav, sig = split_axes(len(shape), sig_dims, frames_last)
    chunk = tuple(map(int, dataset.chunks or ()))
    part = Part(path, name, 0, prod(shape[nav]))
    whole = Piece(part, shape[nav], shape[sig], pixel, frames_last, chunk[nav])
    _check_size(whole, dataset)
    return whole


def _type_name(dataset: Any) -> str:
    try:
        return str(dataset.dtype)
    except (TypeError, ValueError, RuntimeError):
        return "a type that numpy does not know"


def _check_size(whole: Piece, dataset: Any) -> None:
    path, name = whole.part.path, whole.part.name
    if whole.part.count >= 2**62:
        raise FormatError(
            path,
            f"the data set {name!r} has an impossible shape",
            found=f"{whole.nav_shape + whole.sig_shape}",
        )
    if whole.frame_nbytes <= LARGE_FRAME_NBYTES or dataset.is_virtual:
        return
    # No compressor makes less of it.
    stored = int(dataset.id.get_storage_size())
    if whole.frame_nbytes > 2000 * stored:
        raise FormatError(
            path,
            f"a frame of {name!r} is far larger than all the data in the file",
            expected="frames that the file can hold",
            found=f"frames of {whole.sig_shape}, {whole.frame_nbytes} bytes each, and"
            f" {stored} bytes of data",
        )


def _in_file(dataset: Any, whole: Piece, is_filtered: bool) -> Iterator[Piece | Gap]:
    """Yield the frames with their place, where they lie one after the other."""
    is_simple = not (dataset.chunks or is_filtered or whole.frames_last)
    if not is_simple or not lies_as_numpy(dataset):
        yield whole
    elif dataset.external:
        yield from _external(dataset, whole) or [whole]
    elif dataset.id.get_storage_size() and dataset.id.get_offset() is not None:
        yield replace(whole, start=int(dataset.id.get_offset()))
    else:  # compact, or never written
        yield whole


def _external(dataset: Any, whole: Piece) -> list[Piece]:
    """Return the frames in the files outside that hold nothing but pixels.

    Nothing if a frame begins in one file and ends in another.
    """
    pieces = []
    path, left = whole.part.path, whole.part.count
    for name, start, size in dataset.external:
        target = linked_file(path, name)
        if target is None:
            raise FormatError(
                path,
                f"the file {name} with the pixels of {whole.part.name!r} is missing",
                expected=f"it in the folder {path.parent}",
                hint="Copy it there.",
            )
        count, rest = divmod(int(size), whole.frame_nbytes)
        if count < left and rest:
            return []
        count = min(count, left)
        left -= count
        part = Part(target, "", 0, count)
        pieces.append(replace(whole, part=part, start=int(start)))
        if not left:
            break
    return pieces


# ------------------------------------------------------------------- virtual data sets


@dataclass(frozen=True)
class _Source:
    """Some frames of a virtual data set, and where they come from."""

    begin: int
    count: int
    file: str
    name: str
    first: int  # number of the first frame in the source
    # scan shape of the source, less its first axis; None: any, for all of it is meant
    inner_nav_shape: tuple[int, ...] | None


def _missing(path: Path, dataset: Any) -> tuple[str, ...]:
    """Return the files with sources of a virtual data set that do not exist."""
    properties = dataset.id.get_create_plist()
    count = min(properties.get_virtual_count(), MAX_SOURCES)
    names = dict.fromkeys(properties.get_virtual_filename(i) for i in range(count))
    return tuple(
        name
        for name in names
        if name != "." and "%" not in name and linked_file(path, name) is None
    )


def _sources(dataset: Any, nav_ndim: int) -> list[_Source] | None:
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
        file = properties.get_virtual_filename(i)
        name = properties.get_virtual_dsetname(i)
        if place is None or "%" in file + name:
            return None
        if space.get_select_type() == all_of_it:  # of any shape
            sources.append(_Source(*place, file, name, 0, None))
            continue
        # The source may have other scan axes: (n, ky, kx) in one of (y, x, ky, kx).
        inner = tuple(map(int, space.shape))
        inner_ndim = len(inner) - len(shape) + nav_ndim
        found = _frames_of(space, inner, inner_ndim)
        if found is None or found[1] != place[1]:
            return None
        sources.append(_Source(*place, file, name, found[0], inner[1:inner_ndim]))
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


def _virtual(
    path: Path, whole: Piece, sources: list[_Source], sig_dims: int, depth: int
) -> tuple[Piece | Gap, ...] | None:
    """Return the frames where they really are; None if it is not that simple."""
    pieces: list[Piece | Gap] = []
    known: dict[tuple[str, str], DataSet | None] = {}
    end = 0
    for source in sources:
        if source.begin != end:  # what is not mapped, or twice
            return None
        end += source.count
        key = source.file, source.name
        if key not in known:
            known[key] = _source(path, source, sig_dims, depth)
        found = known[key]
        if found is None:
            pieces.append(Gap(source.count))
            continue
        inner = found.whole
        if (inner.pixel, inner.sig_shape) != (whole.pixel, whole.sig_shape):
            return None
        if source.inner_nav_shape not in (None, inner.nav_shape[1:]):
            return None
        pieces += _cut(found.pieces, source.first, source.count)
    return tuple(_joined(pieces)) if end == whole.part.count else None


def _source(path: Path, source: _Source, sig_dims: int, depth: int) -> DataSet | None:
    target = path if source.file == "." else linked_file(path, source.file)
    if target is None:
        return None
    try:
        where, name, _ = located(target, source.name)
    except NoSuchObjectError:
        return None
    return data_set(where, name, sig_dims, depth=depth + 1)


def _cut(
    pieces: Sequence[Piece | Gap], begin: int, count: int
) -> Iterator[Piece | Gap]:
    """Yield frames ``begin`` to ``begin + count`` of some pieces; lost ones beyond."""
    end = begin + count
    at = 0
    for piece in pieces:
        n = piece.count if isinstance(piece, Gap) else piece.part.count
        skipped, last = max(begin - at, 0), min(end - at, n)
        if skipped < last:
            yield _shortened(piece, skipped, last - skipped)
        at += n
    if at < end:
        yield Gap(end - max(at, begin))


def _shortened(piece: Piece | Gap, skipped: int, count: int) -> Piece | Gap:
    if isinstance(piece, Gap):
        return Gap(count)
    part = replace(piece.part, begin=piece.part.begin + skipped, count=count)
    start = piece.start
    if start is not None:
        start += skipped * piece.frame_nbytes
    return replace(piece, part=part, start=start)


def _joined(pieces: Sequence[Piece | Gap]) -> Iterator[Piece | Gap]:
    """Yield the fewest pieces for the same frames."""
    last: Piece | Gap | None = None
    for piece in pieces:
        if last is None:
            last = piece
        elif isinstance(last, Gap) and isinstance(piece, Gap):
            last = Gap(last.count + piece.count)
        elif (
            isinstance(last, Piece)
            and isinstance(piece, Piece)
            and _shortened(last, last.part.count, piece.part.count) == piece
        ):
            part = replace(last.part, count=last.part.count + piece.part.count)
            last = replace(last, part=part)
        else:
            yield last
            last = piece
    if last is not None:
        yield last


# ------------------------------------------------------------------------ all together


def frames_of(pieces: Sequence[Piece | Gap]) -> FrameLayout | Hdf5Frames:
    """Return the frames of pieces of the same frame shape and type."""
    first = next(piece for piece in pieces if isinstance(piece, Piece))
    if all(isinstance(piece, Gap) or piece.start is not None for piece in pieces):
        runs = tuple(
            piece
            if isinstance(piece, Gap)
            else FrameRun(
                piece.part.path, piece.start or 0, piece.frame_nbytes, piece.part.count
            )
            for piece in pieces
        )
        return FrameLayout(runs, first.sig_shape, first.pixel)
    return Hdf5Frames(
        tuple(piece if isinstance(piece, Gap) else piece.part for piece in pieces),
        first.sig_shape,
        first.pixel,
        first.frames_last,
        first.nav_chunk if prod(first.nav_chunk) > 1 else (),
    )
