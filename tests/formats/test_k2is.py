"""K2IS: recordings of the Gatan K2 IS camera in eight sector files."""

from __future__ import annotations

import os
import shutil
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import napari_4dstem as n4
from napari_4dstem.decode.k2_blocks import BlockGrid
from napari_4dstem.formats import k2is
from napari_4dstem.frames.file_bytes import BACKENDS
from tests.formats.contract import Case, FileContract, assert_is, scan_of
from tests.formats.write_k2is import SECTORS, blocks_of_frame, write_k2is

# A frame of the camera has 5.7 MB: the same blocks, but small ones.
SMALL = BlockGrid(rows=2, down=2, across=2)
SHAPE, BLOCKS, NBYTES = SMALL.frame_shape, SMALL.blocks, SMALL.block_nbytes
NO_SKEW = (0,) * SECTORS


@pytest.fixture(autouse=True, scope="module")
def small_blocks():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(k2is, "GRID", SMALL)
        yield


def save(folder, scan):
    frames = scan.reshape(-1, *SHAPE)
    write_k2is(folder, frames)
    ends = [(i + 1) * BLOCKS * NBYTES for i in range(len(frames))]
    return {"path": folder / "Capture_3.bin"}, ends


class TestK2is(FileContract):
    cases = (Case("series", "k2is", save, sig_shape=SHAPE),)


def frames_of(count, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(1, 4096, (count, *SHAPE), "u2")


def refusal(path, **parameters):
    with pytest.raises(n4.FormatError) as told:
        n4.load("k2is", path, **parameters)
    return told.value


def rewrite(path, change):
    """Change the blocks of a sector file."""
    content = path.read_bytes()
    blocks = [content[i : i + NBYTES] for i in range(0, len(content), NBYTES)]
    path.write_bytes(b"".join(change(blocks)))


# Where frames and scans begin.


@settings(deadline=None, max_examples=60)
@given(
    count=st.integers(3, 5),
    start_skew=st.tuples(*[st.integers(0, 6)] * SECTORS),
    end_skew=st.tuples(*[st.integers(0, 3)] * SECTORS),
    lost=st.sets(
        st.tuples(st.integers(0, SECTORS - 1), st.integers(7, 5 * BLOCKS - 5)),
        max_size=4,
    ),
    first_number=st.sampled_from([0, 3200, 3201, 2**32 - 9, 2**32 - 1]),
    seed=st.integers(0, 9),
)
def test_sectors_are_joined_and_lost_blocks_are_zero(
    tmp_path_factory, count, start_skew, end_skew, lost, first_number, seed
):
    folder = tmp_path_factory.mktemp("joined")
    frames = frames_of(count, seed)
    lost = {(s, b) for s, b in lost if b < count * BLOCKS - end_skew[s] - 1}
    path = write_k2is(
        folder, frames, start_skew=start_skew, end_skew=end_skew, lost=lost,
        first_number=first_number,
    )  # fmt: skip
    for sector, number in lost:
        frame, place = divmod(number, BLOCKS)
        top, left = SMALL.corner(place)
        left += sector * SMALL.sector_width
        frames[frame, top : top + 2, left : left + 16] = 0
    first = -(-max(start_skew) // BLOCKS)
    last = (count * BLOCKS - max(end_skew)) // BLOCKS
    expected = frames[first:last]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", n4.FormatWarning)
        if not len(expected):
            assert "no complete frame" in str(refusal(path))
            return
        data_set = n4.load("k2is", path)
    assert_is(data_set[...], expected)
    assert data_set.valid.all()
    inside = {(s, b) for s, b in lost if first * BLOCKS <= b < last * BLOCKS}
    told = sum("missing, in stored frames" in text for text in data_set.problems)
    assert told == len({s for s, _ in inside})
    for backend in ("mmap", "buffered"):
        part = n4.dataset.open_dataset("k2is", path, io_backend=backend)
        assert_is(part[::-1, 1:3, 20:200], expected[::-1, 1:3, 20:200])
        assert_is(part[-1:, 2:, 5], expected[-1:, 2:, 5])


@pytest.mark.parametrize(
    ("scan", "exposed_from", "sync_offset", "nav_shape"),
    [
        (None, 0, 0, (6,)),
        (None, 1, 1, (5,)),
        (None, 5, 5, (1,)),
        (None, 6, 0, (6,)),
        ((2, 2), 0, -1, (2, 2)),
        ((2, 2), 1, 0, (2, 2)),
        ((2, 2), 2, 1, (2, 2)),
        ((1, 1), 5, 4, (1, 1)),
        ((2, 3), 6, 0, (2, 3)),
    ],
)
def test_scan_begins_one_frame_before_the_shutter_flag(
    tmp_path, scan, exposed_from, sync_offset, nav_shape
):
    frames = frames_of(6)
    path = write_k2is(tmp_path, frames, scan=scan, exposed_from=exposed_from)
    data_set = n4.load("auto", path)
    assert data_set.filetype == "k2is"
    assert data_set.sync_offset == sync_offset
    assert_is(data_set[...], scan_of(list(frames), nav_shape, sync_offset)[0])
    unknown = any("shutter flag" in notice for notice in data_set.notices)
    assert unknown == (exposed_from == 6)
    assert n4.load("k2is", path, sync_offset=2, nav_shape=(4,)).sync_offset == 2


def test_flag_is_searched_for_from_the_first_complete_frame_on(tmp_path):
    frames = frames_of(9)
    skew = (BLOCKS + 1, *NO_SKEW[1:])
    path = write_k2is(tmp_path, frames, exposed_from=5, start_skew=skew)
    data_set = n4.load("k2is", path)
    assert data_set.sync_offset == 3
    assert_is(data_set[...], frames[5:])


def test_ids_of_frames_may_jump(tmp_path):
    frames = frames_of(4)
    path = write_k2is(tmp_path, frames, ids=[284_799, 284_800, 2, 3], exposed_from=2)
    assert_is(n4.load("k2is", path)[...], frames[2:])


def test_frame_lost_in_all_sectors_keeps_its_place(tmp_path):
    frames = frames_of(5)
    lost = {(s, 2 * BLOCKS + b) for s in range(SECTORS) for b in range(BLOCKS)}
    path = write_k2is(tmp_path, frames, lost=lost)
    with pytest.warns(n4.FormatWarning, match="4 blocks are missing, in stored frames"):
        data_set = n4.load("k2is", path)
    assert data_set.valid.tolist() == [True, True, False, True, True]
    frames[2] = 0
    assert_is(data_set[...], frames)
    assert_is(data_set.to_dask(chunks=(1, -1, -1)).compute(), frames)


def test_frame_with_a_lost_block_is_valid_and_listed(tmp_path):
    lost = {(4, 1 * BLOCKS + 3), (4, 7 * BLOCKS)}
    path = write_k2is(tmp_path, frames_of(9), lost=lost)
    with pytest.warns(n4.FormatWarning) as told:
        data_set = n4.load("k2is", path)
    (warning,) = told
    assert "Capture_5.bin: 2 blocks are missing, in stored frames 1, 7" in str(
        warning.message
    )
    assert data_set.valid.all()
    assert any("stored frames 1, 7" in value for _, value in data_set.diagnostics())


def test_sector_cut_off_frames_before_the_others_warns(tmp_path):
    frames = frames_of(6)
    path = write_k2is(tmp_path, frames)
    os.truncate(tmp_path / "Capture_7.bin", 4 * BLOCKS * NBYTES + 50)
    with pytest.warns(n4.FormatWarning, match="the last 2 are missing"):
        data_set = n4.load("k2is", path)
    assert data_set.valid.tolist() == [True] * 4 + [False] * 2
    assert_is(data_set[:4], frames[:4])
    assert "Capture_7.bin ends 8 blocks before the longest file." in data_set.notices


def test_sectors_may_end_at_different_blocks_without_a_warning(tmp_path):
    frames = frames_of(4)
    path = write_k2is(tmp_path, frames, end_skew=(0, 1, 3, 0, 0, 2, 0, 0))
    os.truncate(tmp_path / "Capture_1.bin", 4 * BLOCKS * NBYTES - 50)
    assert_is(n4.load("k2is", path)[...], frames[:3])


def test_numbers_that_start_over_are_told(tmp_path):
    frames = frames_of(4)
    path = write_k2is(tmp_path, frames)
    for k in range(SECTORS):
        # frames 2 and 3, as if they were the first ones of another recording
        again = [
            block
            for i in (2, 3)
            for block in blocks_of_frame(
                frames[i], k, 2, number=(i - 2) * BLOCKS, frame_id=i
            )
        ]
        rewrite(
            tmp_path / f"Capture_{k + 1}.bin",
            lambda blocks, again=again: blocks[: 2 * BLOCKS] + again,
        )
    data_set = n4.load("k2is", path)
    assert any("numbers start over" in notice for notice in data_set.notices)
    assert_is(data_set[...], frames)


def test_what_the_tags_tell_comes_out(tmp_path):
    path = write_k2is(tmp_path, frames_of(4), scan=(2, 2), version=4)
    data_set = n4.load("k2is", path)
    assert data_set.metadata["exposure_s"] == 0.0025
    assert data_set.metadata["counter_depth"] == 12
    assert data_set.metadata["instrument"] == "Gatan K2 IS"
    assert data_set.metadata["header"]["SI Dimensions"] == {"Size X": 2, "Size Y": 2}


# Reading.


def test_a_part_of_the_detector_reads_the_blocks_it_touches(tmp_path, monkeypatch):
    path = write_k2is(tmp_path, frames_of(3))
    buffered, read = BACKENDS["buffered"], []

    def counted(file, begin, end):
        read.append((file.name, end - begin))
        return buffered(file, begin, end)

    monkeypatch.setitem(BACKENDS, "buffered", counted)
    data_set = n4.load("k2is", path, io_backend="buffered")
    data_set[1, :2, 40]  # the left block of the second sector, which comes last
    assert read == [("Capture_2.bin", NBYTES)]
    read.clear()
    data_set[1, 1:3, 200]
    assert read == [("Capture_7.bin", 3 * NBYTES)]
    read.clear()
    data_set[1]
    assert [nbytes for _, nbytes in read] == [BLOCKS * NBYTES] * SECTORS
    assert data_set[0, 3:3].shape == (0, SHAPE[1])
    assert len(read) == SECTORS


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda b: [*b[:5], b"\0" * NBYTES, *b[6:]], "no block .sync word 00000000"),
        (lambda b: [*b[:5], b[6], b[5], *b[7:]], "row 2, column 16"),
        (lambda b: [*b[:5], b[5 + BLOCKS], *b[6:]], "block number 3209"),
    ],
)
def test_damaged_block_is_noticed_when_it_is_read(tmp_path, damage, said):
    frames = frames_of(4)
    path = write_k2is(tmp_path, frames)
    rewrite(tmp_path / "Capture_2.bin", damage)
    data_set = n4.load("k2is", path)
    assert_is(data_set[[0, 3]], frames[[0, 3]])
    with pytest.raises(n4.FormatError, match=said) as told:
        data_set[1]
    assert told.value.path == str(tmp_path / "Capture_2.bin")
    assert told.value.offset == 5 * NBYTES
    assert told.value.expected == "row 0, column 0 of frame 1"


def test_blocks_of_the_camera_are_read(tmp_path, monkeypatch):
    grid = BlockGrid()
    monkeypatch.setattr(k2is, "GRID", grid)
    frames = np.random.default_rng(1).integers(0, 4096, (1, *grid.frame_shape), "u2")
    path = write_k2is(tmp_path, frames)
    assert os.path.getsize(tmp_path / "Capture_1.bin") == 715_520
    data_set = n4.load("k2is", path)
    assert_is(data_set[0], frames[0])
    assert_is(data_set[0, 900:960, 200:300], frames[0, 900:960, 200:300])


# Which files belong together.


@pytest.mark.parametrize("opened", ["Capture_.gtg", "Capture_1.bin", "Capture_8.bin"])
def test_any_of_the_nine_files_opens_the_recording(tmp_path, opened):
    frames = frames_of(2)
    write_k2is(tmp_path, frames)
    data_set = n4.load("auto", tmp_path / opened)
    assert_is(data_set[...], frames)
    names = [f"Capture_{k}.bin" for k in range(1, 9)] + ["Capture_.gtg"]
    assert [file.name for file in data_set.files] == names
    assert_is(n4.load("auto", tmp_path)[...], frames)


def test_other_recordings_with_such_a_name_are_left_alone(tmp_path):
    recordings = {"a_": frames_of(2, 1), "a_1_": frames_of(3, 2), "a_12": frames_of(2)}
    for prefix, frames in recordings.items():
        write_k2is(tmp_path, frames, prefix=prefix)
    (tmp_path / "a_9.bin").write_bytes(b"something else")
    for prefix, frames in recordings.items():
        assert_is(n4.load("k2is", tmp_path / f"{prefix}3.bin")[...], frames)


def test_suffixes_may_be_in_upper_case(tmp_path):
    frames = frames_of(2)
    path = write_k2is(tmp_path, frames)
    for k in range(1, 9):
        file = tmp_path / f"Capture_{k}.bin"
        file.rename(file.with_suffix(".BIN"))
    assert_is(n4.load("auto", path)[...], frames)
    path.rename(path.with_suffix(".GTG"))
    assert_is(n4.load("auto", tmp_path / "Capture_2.BIN")[...], frames)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Capture_4.bin", r"the 8 \.bin files .* Capture_4\.bin is missing"),
        ("Capture_.gtg", r"the file Capture_\.gtg is missing"),
    ],
)
def test_missing_member_is_named(tmp_path, name, said):
    write_k2is(tmp_path, frames_of(1))
    (tmp_path / name).unlink()
    error = refusal(tmp_path / "Capture_1.bin")
    assert error.hint.startswith("The .gtg and the eight .bin files")
    with pytest.raises(n4.FormatError, match=said):
        raise error


@pytest.mark.parametrize("name", ["data.dat", "data_9.bin", "data_.bin"])
def test_file_of_another_name_is_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"something")
    assert "not a file of a K2IS recording" in str(refusal(tmp_path / name))


def test_other_bin_files_are_not_recognized(tmp_path):
    for k in range(1, 9):
        (tmp_path / f"data_{k}.bin").write_bytes(bytes(range(256)) * 8)
    with pytest.raises(n4.FormatError, match="not recognized"):
        n4.load("auto", tmp_path / "data_1.bin")


def test_file_that_is_no_sector_is_named(tmp_path):
    path = write_k2is(tmp_path, frames_of(1))
    rewrite(tmp_path / "Capture_3.bin", lambda b: [b"\x12\x34" + b[0][2:], *b[1:]])
    error = refusal(path)
    assert error.path == str(tmp_path / "Capture_3.bin")
    assert "not a sector file of a K2 IS" in str(error)
    assert error.found.startswith("the bytes 12 34 00 55")


@pytest.mark.parametrize(
    ("nbytes", "said"),
    [
        (0, "the file is empty"),
        (NBYTES - 1, "too short: expected at least 88 bytes"),
        (NBYTES, "no complete frame: .* Capture_6.bin is too short: 1 blocks"),
    ],
)
def test_short_sector_is_named(tmp_path, nbytes, said):
    path = write_k2is(tmp_path, frames_of(1))
    os.truncate(tmp_path / "Capture_6.bin", nbytes)
    with pytest.raises(n4.FormatError, match=said):
        n4.load("k2is", path)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"ids": [7, 8, 9]}, "ids of frame 0 do not match: .* 7, 100"),
        ({"ids": [100, 101, 9]}, "ids of frame 2 do not match"),
        ({"first_number": 9999}, "no block in common: .* reach the first block of"),
        ({"first_number": 3202}, "do not agree on where frames begin"),
    ],
)
def test_sector_of_another_recording_is_told(tmp_path, options, said):
    path = write_k2is(tmp_path, frames_of(3))
    (tmp_path / "other").mkdir()
    write_k2is(tmp_path / "other", frames_of(3), **options)
    shutil.copy(tmp_path / "other" / "Capture_5.bin", tmp_path)
    with pytest.raises(n4.FormatError, match=said):
        n4.load("k2is", path)


def test_blocks_in_disorder_are_told(tmp_path):
    path = write_k2is(tmp_path, frames_of(8), lost={(0, 20)})
    rewrite(
        tmp_path / "Capture_1.bin",
        lambda blocks: [*blocks[:8], *blocks[12:16], *blocks[8:12], *blocks[16:]],
    )
    assert "blocks are in disorder" in str(refusal(path))


def test_sectors_that_disagree_on_the_shutter_are_told(tmp_path):
    path = write_k2is(tmp_path, frames_of(4), exposed_from=2)

    def close(blocks):
        return [block[:9] + b"\0" + block[10:] for block in blocks]

    rewrite(tmp_path / "Capture_8.bin", close)
    with pytest.warns(n4.FormatWarning, match="do not agree on the frame"):
        assert n4.load("k2is", path).sync_offset == 2
