"""Blocks of 12-bit pixels against their specification, and in plain numpy."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_4dstem.decode.k2_blocks import BlockGrid, block_masks
from tests.formats.write_k2is import pack

GRIDS = st.builds(
    BlockGrid,
    rows=st.integers(1, 5),
    down=st.integers(1, 3),
    across=st.integers(1, 4),
    sectors=st.integers(1, 3),
    header_nbytes=st.sampled_from([0, 8, 40]),
)


def packed_sector(frame, sector, grid):
    """Return the blocks of a sector, each with a header of noise."""
    left = sector * grid.sector_width
    part = frame[:, left : left + grid.sector_width]
    corners = map(grid.corner, range(grid.blocks))
    return np.concatenate(
        [
            np.frombuffer(
                b"\xaa" * grid.header_nbytes
                + pack(part[top : top + grid.rows, left : left + 16]),
                "u1",
            )
            for top, left in corners
        ]
    )


def decoded_in_numpy(packed, grid):
    """Return a whole sector, in plain numpy."""
    blocks = packed.reshape(grid.down, grid.across, -1)[..., grid.header_nbytes :]
    a, b, c = np.moveaxis(
        blocks.reshape(grid.down, grid.across, grid.rows, 8, 3), -1, 0
    ).astype("u2")
    pixels = np.stack([a | (b & 15) << 8, b >> 4 | c << 4], axis=-1)
    pixels = pixels.reshape(grid.down, grid.across, grid.rows, 16)[:, ::-1]
    return pixels.swapaxes(1, 2).reshape(grid.frame_shape[0], grid.sector_width)


def test_bits_are_where_the_specification_says():
    grid = BlockGrid(rows=1, down=1, across=1, sectors=1, header_nbytes=0)
    packed = np.frombuffer(bytes.fromhex("ab cd ef 01 23 45") + bytes(18), "u1")
    out = np.empty(grid.frame_shape, "u2")
    grid.decode(packed, 0, 0, out)
    assert out[0, :4].tolist() == [0xDAB, 0xEFC, 0x301, 0x452]
    assert not out[0, 4:].any()


@settings(deadline=None, max_examples=60)
@given(grid=GRIDS, seed=st.integers(0, 99), offset=st.integers(0, 9))
def test_kernel_and_numpy_agree(grid, seed, offset):
    frame = np.random.default_rng(seed).integers(0, 4096, grid.frame_shape, "u2")
    out = np.full_like(frame, 0xAAAA)
    for sector in range(grid.sectors):
        packed = packed_sector(frame, sector, grid)
        # at any address, and read-only, as in a mapped file
        shifted = np.frombuffer(bytes(offset) + packed.tobytes(), "u1")[offset:]
        grid.decode(shifted, sector, 0, out)
        left = sector * grid.sector_width
        part = decoded_in_numpy(packed, grid)
        np.testing.assert_array_equal(part, frame[:, left : left + grid.sector_width])
    np.testing.assert_array_equal(out, frame)


@settings(deadline=None, max_examples=60)
@given(grid=GRIDS, seed=st.integers(0, 99))
def test_touched_blocks_are_those_with_pixels_of_a_mask(grid, seed):
    mask = np.random.default_rng(seed).random(grid.frame_shape) < 0.01
    expected = np.zeros((grid.sectors, grid.blocks), bool)
    for sector, place in np.ndindex(expected.shape):
        top, left = grid.corner(place)
        left += sector * grid.sector_width
        expected[sector, place] = mask[top : top + grid.rows, left : left + 16].any()
    np.testing.assert_array_equal(grid.touched(mask), expected)


def summed(frames, grid, masks):
    """Return the sums of frames within masks, shape (n, k), block by block."""
    from napari_4dstem.decode.k2_blocks_kernels import sum_packed

    table = block_masks(grid, masks)
    out = np.zeros((len(frames), len(masks)), np.uint64)
    for sector in range(grid.sectors):
        stored = [packed_sector(frame, sector, grid) for frame in frames]
        parts = [(i, i * grid.blocks, grid.blocks) for i in range(len(frames))]
        sum_packed(
            np.array([part.ctypes.data for part in stored]),
            np.array(parts).reshape(-1, 3),
            grid.block_nbytes,
            grid.header_nbytes,
            table.bounds[sector],
            table.runs,
            table.masks,
            out,
        )
    return out


@settings(deadline=None, max_examples=60)
@given(
    grid=st.builds(
        BlockGrid,
        rows=st.integers(8, 40),
        down=st.integers(1, 2),
        across=st.integers(1, 3),
        sectors=st.integers(1, 2),
        header_nbytes=st.sampled_from([0, 40]),
    ),
    density=st.sampled_from([0, 0.001, 0.5, 0.999, 1]),
    many=st.integers(1, 3),
    seed=st.integers(0, 99),
)
def test_sums_without_decoding_equal_plain_numpy(grid, density, many, seed):
    rng = np.random.default_rng(seed)
    frames = rng.integers(0, 4096, (2, *grid.frame_shape), "u2")
    masks = rng.random((many, *grid.frame_shape)) < density
    masks[0, grid.rows // 2 :] = True
    expected = np.tensordot(frames.astype("u8"), masks.astype("u8"), ((1, 2), (1, 2)))
    np.testing.assert_array_equal(summed(frames, grid, masks), expected)


def test_sums_of_the_brightest_and_tallest_blocks_do_not_overflow():
    grid = BlockGrid(rows=4105, down=1, across=1, sectors=1, header_nbytes=0)
    frames = np.full((1, *grid.frame_shape), 4095, "u2")
    masks = np.ones((2, *grid.frame_shape), bool)
    masks[1, ::2] = False
    expected = [[4095 * 16 * 4105, 4095 * 16 * 2052]]
    assert summed(frames, grid, masks).tolist() == expected


@pytest.mark.parametrize("bit", range(0, 192, 5))
def test_every_bit_of_a_row_has_its_weight(bit):
    grid = BlockGrid(rows=8, down=1, across=1, sectors=1, header_nbytes=0)
    frames = np.zeros((1, *grid.frame_shape), "u2")
    frames[0, 3, bit // 12] = 1 << (bit % 12)
    masks = np.stack([frames[0] > 0, frames[0] == 0])
    assert summed(frames, grid, masks).tolist() == [[1 << (bit % 12), 0]]


@settings(deadline=None, max_examples=30)
@given(grid=GRIDS, data=st.data())
def test_some_blocks_leave_the_rest_alone(grid, data):
    frame = np.random.default_rng(0).integers(0, 4096, grid.frame_shape, "u2")
    sector = data.draw(st.integers(0, grid.sectors - 1))
    begin = data.draw(st.integers(0, grid.blocks - 1))
    end = data.draw(st.integers(begin + 1, grid.blocks))
    out = np.full_like(frame, 0xAAAA)
    packed = packed_sector(frame, sector, grid).reshape(grid.blocks, -1)[begin:end]
    grid.decode(packed.ravel(), sector, begin, out)
    expected = np.full_like(frame, 0xAAAA)
    for place in range(begin, end):
        top, left = grid.corner(place)
        left += sector * grid.sector_width
        inside = (slice(top, top + grid.rows), slice(left, left + 16))
        expected[inside] = frame[inside]
    np.testing.assert_array_equal(out, expected)


def test_camera_has_the_size_that_gatan_gives():
    grid = BlockGrid()
    assert grid.frame_shape == (1860, 2048)
    assert (grid.blocks, grid.block_nbytes) == (32, 0x5758)
    assert pickle.loads(pickle.dumps(grid)) == grid


@pytest.mark.parametrize(
    ("place", "corner"), [(0, (0, 240)), (15, (0, 0)), (16, (930, 240)), (31, (930, 0))]
)
def test_blocks_come_from_right_to_left(place, corner):
    assert BlockGrid().corner(place) == corner
