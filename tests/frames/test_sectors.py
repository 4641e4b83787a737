"""Sectors: where blocks are in a file from which some are missing."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_4dstem.decode.k2_blocks import BlockGrid
from napari_4dstem.errors import FormatError
from napari_4dstem.frames.masks import Masks
from napari_4dstem.frames.sectors import BLOCK, SYNC, Sector, SectorFrames
from tests.formats.write_k2is import pack

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


TALL = BlockGrid(rows=11, down=2, across=2, sectors=2)


def written(folder, frames, lost=()):
    """Write frames as sectors without some (sector, block); return the source."""
    sectors = []
    for number in range(TALL.sectors):
        left = number * TALL.sector_width
        blocks = []
        for block in range(len(frames) * TALL.blocks):
            if (number, block) in lost:
                continue
            top, column = TALL.corner(block % TALL.blocks)
            frame = frames[block // TALL.blocks]
            pixels = frame[top : top + 11, left + column : left + column + 16]
            header = np.zeros((), BLOCK)
            header["sync"], header["number"] = SYNC, 7 + block
            header["top"], header["left"] = top, column
            blocks.append(header.tobytes().ljust(40, b"\0") + pack(pixels))
        path = folder / f"{number}.bin"
        path.write_bytes(b"".join(blocks))
        missing = losses(block for sector, block in lost if sector == number)
        sectors.append(Sector(path, 0, missing))
    return SectorFrames(tuple(sectors), TALL, len(frames), 7)


@pytest.fixture
def tall_frames():
    return np.random.default_rng(0).integers(0, 4096, (5, *TALL.frame_shape), "u2")


@pytest.mark.parametrize("backend", ["mmap", "buffered"])
@pytest.mark.parametrize("lost", [(), ((0, 3), (0, 4), (1, 9), (1, 18))], ids=str)
@pytest.mark.parametrize("weight", [1, 0.5])
def test_frames_are_summed_without_decoding(
    tmp_path, tall_frames, backend, lost, weight
):
    source = written(tmp_path, tall_frames, lost).with_backend(backend)
    everything = source.batches(np.arange(5))
    dense = np.concatenate([batch.dense() for _, batch in everything]).astype("u8")
    assert (dense != tall_frames).any() == bool(lost)
    rng = np.random.default_rng(1)
    masks = rng.random((3, *TALL.frame_shape)) < 0.4
    masks[1] = True
    masks[2, 10:, 20:] = False
    compiled = Masks(masks if weight == 1 else masks * weight)
    wanted = np.array([4, 1, 2])
    kind = compiled.sum_dtype(source.dtype)
    sums, moments = np.zeros((3, 3), kind), np.zeros((3, 3), kind)
    for where, batch in source.batches(wanted):
        batch.masked_sums(compiled, sums[where])
        batch.moments(compiled, moments[where])
    dense = dense[wanted]
    expected = np.tensordot(dense, masks * weight, ((1, 2), (1, 2)))
    np.testing.assert_array_equal(sums, expected)
    ky, kx = np.indices(TALL.frame_shape)
    weights = np.stack([masks[0], masks[0] * ky, masks[0] * kx]) * weight
    expected = np.tensordot(dense, weights, ((1, 2), (1, 2)))
    np.testing.assert_array_equal(moments, expected)


def test_blocks_that_are_not_needed_are_not_read(tmp_path, tall_frames):
    source = written(tmp_path, tall_frames)
    needed = np.zeros(TALL.frame_shape, bool)
    needed[3, 40] = True  # in the second sector
    source.sectors[0].path.unlink()
    for where, batch in source.batches(np.arange(5), needed):
        np.testing.assert_array_equal(
            batch.dense()[:, 3, 40], tall_frames[where, 3, 40]
        )
        out = np.zeros((len(batch), 1), "u8")
        batch.masked_sums(Masks([needed]), out)
        np.testing.assert_array_equal(out[:, 0], tall_frames[where, 3, 40])
        for part, block in batch.dense_blocks():
            expected = tall_frames[where][part, 3, 40]
            np.testing.assert_array_equal(block[:, 3, 40], expected)


def test_damaged_block_is_noticed_when_it_is_summed(tmp_path, tall_frames):
    source = written(tmp_path, tall_frames)
    path, nbytes = source.sectors[1].path, TALL.block_nbytes
    stored = bytearray(path.read_bytes())
    stored[6 * nbytes + 19] += 1  # the number of the seventh block
    path.write_bytes(stored)
    ((_, batch),) = source.batches(np.arange(5))
    masks = Masks([np.ones(TALL.frame_shape, bool)])
    with pytest.raises(FormatError, match="not the one that belongs here") as told:
        batch.masked_sums(masks, np.zeros((5, 1), "u8"))
    assert told.value.offset == 6 * nbytes
    assert "frame 1" in told.value.expected
