"""K2IS: in-situ and STEMx recordings of the Gatan K2 IS camera.

Eight sector files ``PREFIX1.bin`` to ``PREFIX8.bin``, and tags in ``PREFIX.gtg``. The
sectors begin and end at different blocks, and blocks may be lost. A scan begins one
frame before the first one whose shutter flag is set.

Source: LiberTEM (``io/dataset/k2is.py``) and its issues 1019 and 1200, py4DSTEM pull
requests 35 and 141; checked with synthetic sets that LiberTEM reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_4dstem.decode.k2_blocks import COLUMNS, BlockGrid
from napari_4dstem.errors import FormatError
from napari_4dstem.formats._format import Description, Format, read_head
from napari_4dstem.frames.dm_metadata import metadata
from napari_4dstem.frames.dm_tags import (
    lookup,
    may_be_tags,
    number,
    read_tags,
)
from napari_4dstem.frames.records import beside, parse_record
from napari_4dstem.frames.refusals import DAMAGED, INTERRUPTED, not_a
from napari_4dstem.frames.sectors import BLOCK, SYNC, Sector, SectorFrames

GRID = BlockGrid()
EXPOSED = 1  # flag of a block
# More losses than this have another reason.
MAX_LOSSES = 1000
MAX_LISTED = 5
TOGETHER = "The .gtg and the eight .bin files of a recording belong into one folder."

Header = Mapping[str, Any]


def recognize(path: Path, head: bytes) -> bool:
    suffix = path.suffix.lower()
    if suffix == ".gtg":
        return may_be_tags(head)
    if suffix != ".bin" or not path.stem.endswith(tuple("12345678")):
        return False
    return len(head) >= BLOCK.itemsize and _is_block(parse_record(head, BLOCK))


def describe(path: Path) -> Description:
    read_head(path, 1)
    gtg, members = _members(path)
    tags = read_tags(gtg).root
    files: list[SectorFile] = []
    for member in members:
        files.append(_opened(member, files[0].number if files else None))
    first, last = _common_frames(path, files)
    count = (last - first) // GRID.blocks
    sectors = tuple(file.sector(first, last) for file in files)
    _check_ids(path, sectors, count)
    is_numbered = all(file.is_numbered for file in files)
    first_number = (files[0].number + first) % 2**32 if is_numbered else None
    exposed = _first_exposed(sectors, count)
    start = exposed or 0
    size = [number(tags, "SI Dimensions", f"Size {axis}") or 0 for axis in "YX"]
    is_scan = min(size) >= 1
    # A file that ends frames before the others was cut off: these frames are missing.
    ends = [file.end for file in files]
    is_cut = max(ends) - min(ends) >= GRID.blocks
    longest = max(file.frames_end for file in files) if is_cut else last
    missing = (longest - last) // GRID.blocks
    return Description(
        SectorFrames(sectors, GRID, count, first_number),
        (int(size[0]), int(size[1])) if is_scan else (count + missing - start,),
        sync_offset=start - (is_scan and exposed is not None),
        metadata={
            "instrument": "Gatan K2 IS",
            "counter_depth": 12,
            **metadata(lookup(tags, "SI Image Tags")),
            **metadata(tags),
        },
        companions=(gtg,),
        problems=tuple(_problems(path, sectors, exposed)),
        notices=tuple(_notices(files, exposed, is_numbered)),
    )


@dataclass(frozen=True)
class SectorFile:
    """A sector as it lies in its file.

    Attributes
    ----------
    path : Path
    number : int
        Of the first block, as its header has it.
    begin, end : int
        Number of the first block and one past the last, counted from the first block
        of the first sector on.
    frames_begin, frames_end : int
        The same for the blocks of whole frames.
    lost : tuple of (int, int)
        Blocks that are missing: number, counted from the first one, and how many.
    is_numbered : bool
        Whether the numbers tell where blocks are missing.
    """

    path: Path
    number: int
    begin: int
    end: int
    frames_begin: int
    frames_end: int
    lost: tuple[tuple[int, int], ...]
    is_numbered: bool

    def sector(self, first: int, last: int) -> Sector:
        """Return the sector from a block to another."""
        whole = Sector(self.path, 0, self.lost)
        return whole.from_block(
            first - self.begin, last - self.begin, GRID.block_nbytes
        )


def _members(path: Path) -> tuple[Path, list[Path]]:
    """Return the file with the tags and the sectors, of which one is given."""
    suffix = path.suffix.lower()
    is_sector = suffix == ".bin" and path.stem.endswith(tuple("12345678"))
    if not is_sector and suffix != ".gtg":
        raise FormatError(
            path,
            "not a file of a K2IS recording",
            expected="a name that ends with .gtg, or with 1.bin to 8.bin",
            found=path.name,
            hint=TOGETHER,
        )
    prefix = path.stem[:-1] if is_sector else path.stem
    gtg = beside(path, f"{prefix}.gtg")
    sectors = [beside(path, f"{prefix}{k}.bin") for k in range(1, 9)]
    missing = [sector.name for sector in sectors if not sector.is_file()]
    if missing:
        raise FormatError(
            path,
            f"of the 8 .bin files of the recording {', '.join(missing)}"
            f" {'is' if len(missing) == 1 else 'are'} missing",
            expected=f"{sectors[0].name} to {sectors[-1].name}",
            found=f"{len(sectors) - len(missing)} of them",
            hint=TOGETHER,
        )
    if not gtg.is_file():
        raise FormatError(
            path,
            f"the file {gtg.name} is missing, which tells the scan shape",
            expected=f"it in the folder {path.parent}",
            hint=TOGETHER,
        )
    return gtg, sectors


def _is_block(header: Header) -> bool:
    size = (GRID.sector_width, GRID.frame_shape[0], GRID.block_nbytes)
    found = (header["width"], header["height"], header["nbytes"])
    row, column = header["top"] % GRID.rows, header["left"] % COLUMNS
    inside = header["top"] < size[1] and header["left"] < size[0]
    return header["sync"] == SYNC and found == size and inside and not row | column


def _header(path: Path, index: int) -> Header:
    """Return the header of a block of a file."""
    offset = index * GRID.block_nbytes
    with open(path, "rb") as file:
        file.seek(offset)
        data = file.read(BLOCK.itemsize)
    header = parse_record(data, BLOCK) if len(data) == BLOCK.itemsize else None
    if header is None or not _is_block(header):
        if index == 0:
            raise not_a(path, data, "a sector file of a K2 IS camera")
        raise FormatError(
            path,
            "the sector file is damaged: there is no block where one should begin",
            offset=offset,
            expected=f"the bytes {SYNC.to_bytes(4, 'big').hex(' ')}, its mark",
            found=f"the bytes {data[:4].hex(' ')}",
            hint=DAMAGED,
        )
    return header


def _opened(path: Path, origin: int | None) -> SectorFile:
    """Read the first and the last header of a sector file, others where one is lost.

    ``origin`` is the number of the first block of the first sector.
    """
    read_head(path, 1)
    size = path.stat().st_size
    count = size // GRID.block_nbytes
    if not count:
        raise FormatError(
            path,
            "the sector file is too short",
            expected=f"at least {GRID.block_nbytes} bytes, for one block",
            found=f"{size} bytes",
            hint=INTERRUPTED,
        )
    first, final = _header(path, 0), _header(path, count - 1)
    begin = 0 if origin is None else _distance(origin, first["number"])
    missing = _distance(first["number"], final["number"]) + 1 - count
    # Otherwise the numbers start over somewhere.
    is_numbered = 0 <= missing <= count
    lost = tuple(_losses(path, first["number"], count)) if is_numbered else ()
    end = begin + count + (missing if is_numbered else 0)
    return SectorFile(
        path,
        first["number"],
        begin,
        end,
        begin + -_place(first) % GRID.blocks,
        end - (_place(final) + 1) % GRID.blocks,
        lost,
        is_numbered,
    )


def _place(header: Header) -> int:
    """Where in the order of a frame a block belongs."""
    column = header["left"] // COLUMNS
    row = int(header["top"]) // GRID.rows
    return row * GRID.across + GRID.across - 1 - int(column)


def _distance(one: int, other: int) -> int:
    """From one block number to another; they are of 32 bits and start over."""
    return (other - one + 2**31) % 2**32 - 2**31


def _losses(path: Path, number: int, count: int) -> Iterator[tuple[int, int]]:
    """Yield the blocks that are missing among ``count``: the first, and how many."""

    def lost_before(index: int) -> int:
        return _distance(number, _header(path, index)["number"]) - index

    found = 0
    pending = [(0, 0, count - 1, lost_before(count - 1))]
    while pending:
        one, before, other, after = pending.pop()
        if before == after:
            continue
        found += other - one == 1
        if after < before or found > MAX_LOSSES:
            raise FormatError(
                path,
                "the sector file is damaged: its blocks are in disorder, or very many"
                " are missing",
                offset=one * GRID.block_nbytes,
                expected="numbers that grow by one from block to block",
                found=f"a change by {after - before + other - one} within"
                f" {other - one} blocks",
                hint=DAMAGED,
            )
        if other - one == 1:
            yield other + before, after - before
            continue
        middle = (one + other) // 2
        between = lost_before(middle)
        pending += [(middle, between, other, after), (one, before, middle, between)]


def _common_frames(path: Path, files: list[SectorFile]) -> tuple[int, int]:
    """Return the first block of the first frame in all files, and the end of the last.

    Counted from the first block of the first sector on.
    """
    late, short = max(files, key=lambda f: f.begin), min(files, key=lambda f: f.end)
    if late.begin >= short.end:
        raise FormatError(
            path,
            "the sector files have no block in common: they are of different"
            " recordings, or one is too short",
            expected=f"{short.path.name} to reach the first block of {late.path.name}",
            found=f"{late.begin - short.end + 1} blocks less",
            hint=INTERRUPTED,
        )
    first = max(file.frames_begin for file in files)
    last = min(file.frames_end for file in files)
    bounds = {(f.frames_begin - first) % GRID.blocks for f in files}
    bounds |= {(f.frames_end - first) % GRID.blocks for f in files}
    if bounds != {0}:
        raise FormatError(
            path,
            "the sector files do not agree on where frames begin: they are of"
            " different recordings, or damaged",
            hint=TOGETHER,
        )
    if last <= first:
        raise FormatError(
            path,
            "the recording holds no complete frame",
            expected=f"{GRID.blocks} blocks of one frame in every sector file",
            found=f"{short.path.name} is too short: {short.end - short.begin} blocks",
            hint=INTERRUPTED,
        )
    return first, last


def _frame_header(sector: Sector, frame: int) -> Header | None:
    """Return the header of the first block of a frame that is there."""
    begin = frame * GRID.blocks
    for run in sector.runs(begin, begin + GRID.blocks):
        offset = sector.offset(run.start, GRID.block_nbytes)
        return _header(sector.path, offset // GRID.block_nbytes)
    return None


def _check_ids(path: Path, sectors: tuple[Sector, ...], count: int) -> None:
    for frame in (0, count - 1):
        headers = [_frame_header(sector, frame) for sector in sectors]
        ids = {header["frame_id"] for header in headers if header is not None}
        if len(ids) > 1:
            raise FormatError(
                path,
                "the sector files are of different recordings: the ids of frame"
                f" {frame} do not match",
                expected="the same id in all sector files",
                found=", ".join(map(str, sorted(ids))),
                hint=TOGETHER,
            )


def _is_exposed(sectors: tuple[Sector, ...], frame: int) -> bool:
    for sector in sectors:
        header = _frame_header(sector, frame)
        if header is not None:
            return bool(header["flags"] & EXPOSED)
    return False


def _first_exposed(sectors: tuple[Sector, ...], count: int) -> int | None:
    """Return the first frame with the shutter flag, which all after it have as well."""
    if not _is_exposed(sectors, count - 1):
        return None
    no, yes = -1, count - 1
    while yes - no > 1:
        middle = (no + yes) // 2
        if _is_exposed(sectors, middle):
            yes = middle
        else:
            no = middle
    return yes


def _problems(
    path: Path, sectors: tuple[Sector, ...], exposed: int | None
) -> Iterator[str]:
    for sector in sectors:
        lost = sum(count for _, count in sector.lost)
        if lost:
            frames = sorted(
                {
                    block // GRID.blocks
                    for first, count in sector.lost
                    for block in (first, first + count - 1)
                }
            )
            listed = ", ".join(map(str, frames[:MAX_LISTED]))
            yield (
                f"{sector.path}: {lost} {'block is' if lost == 1 else 'blocks are'}"
                f" missing, in stored frames {listed}"
                + ", ..." * (len(frames) > MAX_LISTED)
                + "; their pixels are shown as 0"
            )
    if exposed and not all(
        _is_exposed((sector,), exposed) and not _is_exposed((sector,), exposed - 1)
        for sector in sectors
        if not sector.lost
    ):
        yield (
            f"{path}: the sector files do not agree on the frame in which the shutter"
            f" opens; that of {sectors[0].path.name} is taken"
        )


def _notices(
    files: list[SectorFile], exposed: int | None, is_numbered: bool
) -> Iterator[str]:
    longest = max(file.end for file in files)
    for file in files:
        if longest - file.end >= GRID.blocks:
            blocks = longest - file.end
            yield f"{file.path.name} ends {blocks} blocks before the longest file."
    if exposed is None:
        yield "No frame has the shutter flag: where the scan begins is not known."
    if not is_numbered:
        yield "The blocks' numbers start over: lost blocks would not be noticed."


FORMAT = Format(
    "k2is",
    "Gatan K2 IS (in-situ, STEMx)",
    (".gtg", ".bin"),
    recognize,
    describe,
)
