"""Where frames are: plain data."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_4dstem.decode.r64 import R64
from napari_4dstem.frames.layout import (
    FrameLayout,
    FrameRun,
    Gap,
    fit_to_files,
    runs_at,
)

A, B = Path("/data/a.bin"), Path("/data/b.bin")
U2 = np.dtype("u2")

RUNS = st.builds(
    FrameRun,
    path=st.sampled_from([A, B]),
    start=st.integers(0, 99),
    stride=st.integers(1, 99),
    count=st.integers(1, 6),
) | st.builds(Gap, st.integers(1, 4))
LAYOUTS = st.lists(RUNS, max_size=8).map(
    lambda runs: FrameLayout(tuple(runs), (2, 3), U2)
)


def places(layout):
    """Return file and byte of every frame, None for a lost one."""
    found = []
    for run in layout.runs:
        for i in range(run.count):
            is_gap = isinstance(run, Gap)
            found.append(None if is_gap else (run.path, run.start + i * run.stride))
    return found


@given(st.lists(st.integers(0, 50), max_size=30))
def test_runs_at_are_where_the_offsets_say(offsets):
    layout = FrameLayout(tuple(runs_at(A, offsets)), (2, 3), U2)
    assert places(layout) == [(A, offset) for offset in offsets]


@pytest.mark.parametrize(
    ("offsets", "count"),
    [
        ([], 0),
        ([7], 1),
        ([0, 10, 20, 30], 1),
        ([0, 10, 20, 35, 50, 65], 2),
        ([30, 20, 10], 3),
        ([5, 5], 2),
    ],
)
def test_runs_at_are_few(offsets, count):
    assert len(runs_at(A, offsets)) == count


@given(LAYOUTS, st.data())
def test_between_is_a_slice(layout, data):
    begin = data.draw(st.integers(0, layout.num_frames))
    end = data.draw(st.integers(begin, layout.num_frames))
    part = layout.between(begin, end)
    assert places(part) == places(layout)[begin:end]
    assert part.num_frames == end - begin
    assert (part.sig_shape, part.dtype) == (layout.sig_shape, layout.dtype)


@given(LAYOUTS)
def test_pickle_gives_the_same(layout):
    assert pickle.loads(pickle.dumps(layout)) == layout


@pytest.mark.parametrize("name", ["b.bin", "\udcff\u00e9 \n.bin", "../c/d.bin"])
def test_pickle_keeps_strange_names_and_other_folders(name):
    runs = (FrameRun(A, 0, 12, 3), Gap(2), FrameRun(Path("/other") / name, 5, 12, 3))
    layout = FrameLayout(runs, (2, 3), U2, R64(12, 8, 3), (6, 2))
    assert pickle.loads(pickle.dumps(layout)) == layout


def test_layout_of_16384_files_pickles_small():
    folder = Path("/a/rather/long/path/to/the/folder/of/an/acquisition")
    runs = tuple(
        FrameRun(folder / f"scan_{i:06d}.mib", 384, 131456, 16) for i in range(16384)
    )
    layout = FrameLayout(runs, (256, 256), U2)
    assert len(pickle.dumps(layout)) < 100_000
    assert len(pickle.dumps(layout.between(1000, 1256))) < 1000


def test_files_are_listed_once_in_order():
    runs = (FrameRun(B, 0, 1, 1), Gap(1), FrameRun(A, 0, 1, 1), FrameRun(B, 9, 1, 1))
    assert FrameLayout(runs, (1,), U2).files == (B, A)


@pytest.mark.parametrize(
    ("strides", "extent"),
    [
        (None, (0, 12)),
        ((6, 2), (0, 12)),
        ((-6, 2), (-6, 6)),
        ((-6, -2), (-10, 2)),
        ((2, 4), (0, 12)),
        ((1000, 100), (0, 1202)),
    ],
)
def test_extent_holds_every_pixel(strides, extent):
    assert FrameLayout((), (2, 3), U2, sig_strides=strides).extent == extent


def test_extent_of_packed_frames_is_what_is_stored():
    packing = R64(1, 64, 3)
    assert FrameLayout((), (3, 64), packing.dtype, packing).extent == (0, 24)


@given(
    start=st.integers(-20, 60),
    stride=st.integers(1, 40),
    count=st.integers(1, 5),
    size=st.integers(0, 200),
    strides=st.sampled_from([None, (-6, 2), (6, -2), (30, 2)]),
)
def test_complete_frames_lie_inside_the_file(start, stride, count, size, strides):
    layout = FrameLayout((), (2, 3), U2, sig_strides=strides)
    first, last = layout.extent
    begins = [start + i * stride for i in range(count)]
    inside = [begin + first >= 0 and begin + last <= size for begin in begins]
    complete = 0 if not inside[0] else sum(inside)
    assert layout.complete_frames(FrameRun(A, start, stride, count), size) == complete


# Against files.


def layout_of(*runs):
    return FrameLayout(runs, (2, 3), U2)


@pytest.fixture
def files(tmp_path):
    """Two files of 4 frames of 12 bytes."""
    paths = tmp_path / "a", tmp_path / "b"
    for path in paths:
        path.write_bytes(bytes(48))
    return paths


def test_what_is_whole_is_no_problem(files):
    layout = layout_of(*(FrameRun(file, 0, 12, 4) for file in files))
    assert fit_to_files(layout) == (layout, [])


def test_frames_beyond_the_end_of_a_file_keep_their_place(files):
    a, b = files
    layout = layout_of(FrameRun(a, 0, 12, 7), FrameRun(b, 12, 12, 3))
    fitted, problems = fit_to_files(layout)
    assert fitted.runs == (FrameRun(a, 0, 12, 4), Gap(3), FrameRun(b, 12, 12, 3))
    (problem,) = problems
    assert str(a) in problem
    assert "48 bytes" in problem
    assert "3 frames are missing" in problem


def test_frames_beyond_the_end_of_the_last_file_are_no_frames(files):
    a, b = files
    layout = layout_of(FrameRun(a, 0, 12, 4), FrameRun(b, 1, 12, 4), Gap(5))
    fitted, problems = fit_to_files(layout)
    assert fitted.num_frames == 7
    assert "1 frame is missing" in " ".join(problems)


def test_lost_frames_are_a_problem_that_names_the_files(files):
    a, b = files
    layout = layout_of(FrameRun(a, 0, 12, 4), Gap(5), FrameRun(b, 0, 12, 4))
    fitted, (problem,) = fit_to_files(layout)
    assert fitted == layout
    assert "5 of the frames" in problem
    assert str(a) in problem
    assert b.name in problem


def test_many_short_files_are_one_problem(tmp_path):
    paths = [tmp_path / str(i) for i in range(30)]
    for path in paths:
        path.write_bytes(bytes(12))
    layout = layout_of(*(FrameRun(path, 0, 12, 2) for path in paths))
    fitted, (problem,) = fit_to_files(layout)
    assert fitted.num_frames == 59
    assert "29 other files" in problem
    assert "30 frames are missing" in problem


def test_absurd_count_is_cut_to_the_file(files):
    layout = layout_of(FrameRun(files[0], 0, 12, 10**30))
    fitted, problems = fit_to_files(layout)
    assert fitted.num_frames == 4
    assert problems


def test_frame_before_the_beginning_of_the_file_is_missing(files):
    run = FrameRun(files[0], 0, 12, 4)
    layout = FrameLayout((run,), (2, 3), U2, sig_strides=(-6, 2))
    assert fit_to_files(layout)[0].num_frames == 0
