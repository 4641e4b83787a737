"""R64 against its specification: pixel by pixel, and in plain numpy."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_4dstem.decode.r64 import R64

DEPTHS = (1, 6, 12, 24)
PIXELS_PER_WORD = {1: 64, 6: 8, 12: 4, 24: 4}
BITS_PER_PIXEL = {1: 1, 6: 8, 12: 16}
KINDS = [(depth, quad) for depth in DEPTHS for quad in (False, True)][:-1]


def packing_of(depth, quad, rows=3, words=2):
    """Return the packing of chips with so many rows, and words to a row."""
    pieces = 4 if quad else 2 if depth == 24 else 1
    return R64(depth, pieces * words * PIXELS_PER_WORD[depth], rows, quad)


def random_frames(packing, n, rng):
    return rng.integers(
        0, 2**packing.counter_depth, (n, *packing.frame_shape), packing.dtype
    )


def decoded(packing, packed):
    out = np.full((len(packed), *packing.frame_shape), 0xAA, packing.dtype)
    packing.decode(packed, out)
    return out


# The writer: from pixels to words, one by one.


def packed_rows(pixels, depth):
    """Return the words of an array of rows: the first pixel in the lowest bits."""
    bits, step = BITS_PER_PIXEL[depth], PIXELS_PER_WORD[depth]
    words = bytearray()
    for row in pixels.tolist():
        for x in range(0, len(row), step):
            word = sum(row[x + k] << (bits * k) for k in range(step))
            words += word.to_bytes(8, "big")
    return bytes(words)


def packed_frame(pixels, depth, quad):
    if depth == 24:
        return packed_rows(pixels >> 12, 12) + packed_rows(pixels & 0xFFF, 12)
    if not quad:
        return packed_rows(pixels, depth)
    rows, columns = pixels.shape[0] // 2, pixels.shape[1] // 2
    chip1, chip2 = pixels[:rows, :columns], pixels[:rows, columns:]
    chip3, chip4 = pixels[rows:, :columns], pixels[rows:, columns:]
    stored = np.hstack([np.rot90(chip4, 2), np.rot90(chip3, 2), chip2, chip1])
    return packed_rows(stored, depth)


def packed_frames(frames, depth, quad):
    stored = b"".join(packed_frame(frame, depth, quad) for frame in frames)
    return np.frombuffer(stored, np.uint8).reshape(len(frames), -1)


# The twin: whole frames in plain numpy.


def rows_in_numpy(packed, depth):
    swapped = np.ascontiguousarray(packed).view(">u8").astype("<u8")
    if depth == 1:
        return np.unpackbits(swapped.view(np.uint8), axis=-1, bitorder="little")
    return swapped.view("<u2" if depth == 12 else np.uint8)


def decoded_in_numpy(packing, packed):
    n, rows = len(packed), packing.stored_height
    if packing.counter_depth == 24:
        planes = rows_in_numpy(packed, 12).reshape(n, 2, *packing.frame_shape)
        planes = planes.astype(np.uint32)
        return (planes[:, 0] << 12) + planes[:, 1]
    pixels = rows_in_numpy(packed, packing.counter_depth)
    if not packing.quad:
        return pixels.reshape(n, *packing.frame_shape)
    chip4, chip3, chip2, chip1 = np.split(
        pixels.reshape(n, rows, packing.stored_width), 4, axis=2
    )
    rotated = [chip[:, ::-1, ::-1] for chip in (chip3, chip4)]
    return np.block([[chip1, chip2], rotated])


@settings(deadline=None)  # the first call compiles
@given(
    kind=st.sampled_from(KINDS),
    rows=st.integers(1, 5),
    words=st.integers(1, 9),
    n=st.integers(0, 4),
    start=st.integers(0, 9),
    gap=st.integers(0, 9),
    step=st.sampled_from([1, 2, -1]),
    read_only=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_decode_equals_plain_numpy(
    kind, rows, words, n, start, gap, step, read_only, seed
):
    packing = packing_of(*kind, rows, words)
    stride = packing.frame_nbytes + gap
    file = np.random.default_rng(seed).integers(0, 256, start + n * stride, np.uint8)
    frames = file[start:].reshape(n, stride)
    packed = frames[::step, gap:]
    packed.flags.writeable = not read_only
    np.testing.assert_array_equal(
        decoded(packing, packed), decoded_in_numpy(packing, packed)
    )


@settings(deadline=None)  # the first call compiles
@given(
    kind=st.sampled_from(KINDS),
    rows=st.integers(1, 3),
    words=st.integers(1, 3),
    seed=st.integers(0, 2**32 - 1),
)
def test_decode_gives_back_the_frames_written(kind, rows, words, seed):
    packing = packing_of(*kind, rows, words)
    frames = random_frames(packing, 2, np.random.default_rng(seed))
    packed = packed_frames(frames, *kind)
    assert packed.shape == (2, packing.frame_nbytes)
    np.testing.assert_array_equal(decoded(packing, packed), frames)


@pytest.mark.parametrize(
    ("depth", "stored", "pixels"),
    [
        (1, bytes(7) + b"\x05", [1, 0, 1] + 61 * [0]),
        (6, bytes(range(8)), [7, 6, 5, 4, 3, 2, 1, 0]),
        (12, bytes.fromhex("0003 0002 0fff 0001"), [1, 0xFFF, 2, 3]),
        (
            24,
            bytes.fromhex("0000 0000 0000 0001 0000 0000 0005 0002"),
            [0x1002, 5, 0, 0],
        ),
    ],
)
def test_first_pixel_is_in_the_lowest_bits_of_a_word(depth, stored, pixels):
    packed = np.frombuffer(stored, np.uint8)[np.newaxis]
    frame = decoded(packing_of(depth, False, rows=1, words=1), packed)
    assert frame.tolist() == [[pixels]]


def quad_and_its_chips(depth):
    """Return a frame of four chips, and its chips in stored order, decoded alone."""
    quad, chip = packing_of(depth, True), packing_of(depth, False)
    rng = np.random.default_rng(1)
    packed = rng.integers(0, 256, (1, quad.frame_nbytes), np.uint8)
    alone = packed.reshape(chip.stored_height, 4, -1).swapaxes(0, 1).reshape(4, -1)
    return decoded(quad, packed)[0], decoded(chip, alone)


@pytest.mark.parametrize("depth", [1, 6, 12])
def test_quad_top_chips_are_stored_last_and_upright(depth):
    frame, chips = quad_and_its_chips(depth)
    top = frame[: len(frame) // 2]
    np.testing.assert_array_equal(top, np.hstack([chips[3], chips[2]]))


@pytest.mark.parametrize("depth", [1, 6, 12])
def test_quad_bottom_chips_are_rotated_by_180_degrees(depth):
    frame, chips = quad_and_its_chips(depth)
    bottom = frame[len(frame) // 2 :]
    rotated = [np.rot90(chips[1], 2), np.rot90(chips[0], 2)]
    np.testing.assert_array_equal(bottom, np.hstack(rotated))


@pytest.mark.parametrize(("depth", "quad"), KINDS)
def test_result_may_lie_at_any_address(depth, quad):
    packing = packing_of(depth, quad)
    frames = random_frames(packing, 2, np.random.default_rng(2))
    memory = np.zeros(frames.nbytes + 1, np.uint8)
    out = memory[1:].view(packing.dtype).reshape(frames.shape)
    packing.decode(packed_frames(frames, depth, quad), out)
    np.testing.assert_array_equal(out, frames)


def test_no_kernel_is_compiled_a_second_time():
    from napari_4dstem.decode import r64_kernels

    for kind in KINDS:
        packing = packing_of(*kind)
        memory = np.zeros((3, packing.frame_nbytes + 1), np.uint8)
        for packed in (memory[:, 1:], memory[:1, :-1], memory[:, :-1].copy()):
            decoded(packing, packed)
            packed.flags.writeable = False
            decoded(packing, packed)
    for name in ("spread_bits", "order_pixels", "join_planes"):
        assert len(getattr(r64_kernels, name).signatures) == 1


@pytest.mark.parametrize(
    ("packing", "frame_shape", "dtype", "frame_nbytes"),
    [
        (R64(1, 256, 256), (256, 256), "u1", 8192),
        (R64(6, 256, 256), (256, 256), "u1", 65536),
        (R64(12, 256, 128), (128, 256), "u2", 65536),
        (R64(24, 512, 256), (256, 256), "u4", 262144),
        (R64(1, 1024, 256, quad=True), (512, 512), "u1", 32768),
        (R64(6, 1024, 256, quad=True), (512, 512), "u1", 262144),
        (R64(12, 1024, 64, quad=True), (128, 512), "u2", 131072),
    ],
)
def test_packing_says_shape_type_and_size_of_a_frame(
    packing, frame_shape, dtype, frame_nbytes
):
    assert packing.frame_shape == frame_shape
    assert packing.dtype == np.dtype(dtype)
    assert packing.dtype.isnative
    assert packing.frame_nbytes == frame_nbytes


def test_packing_compares_by_value_and_pickles_small():
    packing = R64(12, 1024, 256, quad=True)
    pickled = pickle.dumps(packing)
    assert len(pickled) < 200
    assert pickle.loads(pickled) == packing
    assert len({packing, pickle.loads(pickled)}) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((8, 256, 256), "counter depths of 1, 6, 12 and 24 bits, not 8"),
        ((24, 1024, 256, True), "24-bit R64 frames of four chips"),
        ((1, 96, 256), "multiple of 64 pixels wide, not 96"),
        ((6, 12, 256), "multiple of 8 pixels wide, not 12"),
        ((12, 6, 256), "multiple of 4 pixels wide, not 6"),
        ((24, 4, 256), "multiple of 8 pixels wide, not 4"),
        ((6, 24, 256, True), "multiple of 32 pixels wide, not 24"),
        ((6, 0, 256), "have pixels; the header says 0 x 256"),
        ((6, 256, 0), "have pixels; the header says 256 x 0"),
    ],
)
def test_impossible_packing_is_an_error(arguments, message):
    with pytest.raises(ValueError, match=message):
        R64(*arguments)
