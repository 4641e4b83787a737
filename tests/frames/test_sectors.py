"""Sectors: where blocks are in a file from which some are missing."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from napari_4dstem.decode.k2_blocks import BlockGrid
from napari_4dstem.frames.sectors import Sector, SectorFrames

PATH = Path("a.bin")
NBYTES = 100  # of a block
GRID = BlockGrid(rows=1, down=1, across=2, sectors=2)


def losses(missing):
    """Return the runs of some numbers: the first, and how many."""
    runs = []
    for number in sorted(missing):
        if runs and sum(runs[-1]) == number:
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((number, 1))
    return tuple(runs)


missing_blocks = st.sets(st.integers(0, 19), max_size=12)


@given(missing=missing_blocks, start=st.integers(0, 500))
def test_blocks_are_found_behind_those_that_are_missing(missing, start):
    sector = Sector(PATH, start, losses(missing))
    there = [block for block in range(20) if block not in missing]
    for i, block in enumerate(there):
        assert sector.offset(block, NBYTES) == start + i * NBYTES
    before = [sum(other < block for other in missing) for block in range(25)]
    assert sector.lost_before(np.arange(25)).tolist() == before
    for begin in range(0, 20, 3):
        runs = [block for run in sector.runs(begin, 20) for block in run]
        assert runs == [block for block in there if block >= begin]


@given(missing=missing_blocks, begin=st.integers(0, 19), count=st.integers(0, 10))
def test_a_part_of_a_sector_knows_its_own_losses_only(missing, begin, count):
    end = min(begin + count, 20)
    sector = Sector(PATH, 1000, losses(missing))
    part = sector.from_block(begin, end, NBYTES)
    inside = {block - begin for block in missing if begin <= block < end}
    assert part == Sector(PATH, sector.offset(begin, NBYTES), losses(inside))


@given(first=missing_blocks, second=missing_blocks, begin=st.integers(0, 9))
def test_frame_is_missing_where_all_its_blocks_are(first, second, begin):
    sectors = tuple(Sector(PATH, 0, losses(lost)) for lost in (first, second))
    source = SectorFrames(sectors, GRID, 10, None).between(begin, 10)
    expected = [
        any({2 * frame, 2 * frame + 1} - lost for lost in (first, second))
        for frame in range(begin, 10)
    ]
    present = source.present(np.arange(source.num_frames))
    assert present.tolist() == expected


def test_sectors_pickle_small():
    folder = Path("/some/folder/of/somebody/with/a/rather/long/name")
    sectors = tuple(Sector(folder / f"Capture_{k}.bin", 715_520) for k in range(8))
    source = SectorFrames(sectors, BlockGrid(), 100_000, 7)
    assert source.sectors[0].lost_before(np.arange(3)).tolist() == [0, 0, 0]
    assert len(pickle.dumps(source)) < 2048
