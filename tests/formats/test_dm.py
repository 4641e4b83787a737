"""DM: images, stacks and 4D data of Gatan DigitalMicrograph."""

from __future__ import annotations

import os
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import napari_4dstem as n4
from napari_4dstem.formats import dm
from tests.formats.contract import Case, Contract, FileContract, assert_is
from tests.formats.write_dm import (
    DATA_TYPES,
    TRAILING,
    document,
    image,
    order_tag,
    raw,
    thumbnail,
    write_dm,
    write_image,
)


def save(folder, scan, *, in_order=True, data_last=False, **options):
    """Save a scan as 4D data with a thumbnail."""
    pixels = scan if in_order else scan.transpose(2, 3, 0, 1)
    entry = image(
        np.ascontiguousarray(pixels), tags=order_tag(in_order), data_last=data_last
    )
    path = folder / "scan.dm4"
    content = write_dm(path, document([thumbnail(), entry]), **options)
    size, frame = len(content) - TRAILING, scan[0, 0].nbytes
    if not data_last:
        # What comes after the pixels tells their shape.
        return {"path": path}, [size] * scan[..., 0, 0].size
    count = scan[..., 0, 0].size
    return {"path": path}, [size - (count - i) * frame for i in range(1, count + 1)]


def save_hybrid(folder, scan):
    return save(folder, scan, in_order=False, version=3)


def save_data_last(folder, scan):
    return save(folder, scan, data_last=True, order=">")


def save_stack(folder, scan):
    files = []
    for i, frames in enumerate(scan):
        files.append(folder / f"{i}.dm3")
        write_image(files[-1], frames)
    return {"files": files}, []


class TestDm(FileContract):
    cases = (
        Case("big-endian-data-last", "dm", save_data_last, dtype="i4"),
        Case("hybrid-dm3", "dm", save_hybrid, dtype="f4"),
    )


class TestStack(Contract):
    cases = (Case("three-files", "dm", save_stack),)


def counting(shape, dtype="u2"):
    return np.arange(1, np.prod(shape) + 1).reshape(shape).astype(dtype)


def write(path, *entries, thumbnail_index=None, **options):
    """Write images into a file without a thumbnail."""
    root = document(entries, thumbnail_index=thumbnail_index)
    return write_dm(path, root, **options)


def refusal(path, **parameters):
    with pytest.raises(n4.FormatError) as told:
        n4.load("dm", path, **parameters)
    assert str(path) in str(told.value)
    return told.value


# Pixels.


@settings(deadline=None, max_examples=80)
@given(
    version=st.sampled_from([3, 4]),
    order=st.sampled_from("<>"),
    sizes=st.booleans(),
    dtype=st.sampled_from(sorted(DATA_TYPES)),
    shape=st.lists(st.integers(1, 4), min_size=2, max_size=4).map(tuple),
    swapped=st.sampled_from([True, 1, "1", False, 0, "0"]),
    data_last=st.booleans(),
)
def test_any_image_comes_back(
    tmp_path_factory, version, order, sizes, dtype, shape, swapped, data_last
):
    path = tmp_path_factory.mktemp("any") / "a.dm4"
    array = counting(shape, dtype)
    in_order = bool(int(swapped)) or len(shape) == 2
    stored = array if in_order else np.moveaxis(array, (-2, -1), (0, 1))
    entry = image(
        np.ascontiguousarray(stored), tags=order_tag(swapped), data_last=data_last
    )
    write(path, entry, version=version, order=order, sizes=sizes)
    data_set = n4.load("auto", path)
    assert data_set.filetype == "dm"
    assert data_set.nav_shape == (shape[:-2] or (1,))
    assert_is(data_set[...], array.reshape(data_set.shape))


@pytest.mark.parametrize(
    ("shape", "tags", "nav_axes", "sig_axes"),
    [
        ((3, 4), {}, (), (0, 1)),
        ((2, 3, 4), {}, (0,), (1, 2)),
        ((2, 3, 4), order_tag(None, "Image"), (0,), (1, 2)),
        ((2, 3, 4), order_tag(False), (2,), (0, 1)),
        ((2, 3, 4, 5), {}, (2, 3), (0, 1)),
        ((2, 3, 4, 5), order_tag(None), (2, 3), (0, 1)),
        ((2, 3, 4, 5), order_tag(False), (2, 3), (0, 1)),
        ((2, 3, 4, 5), order_tag(True), (0, 1), (2, 3)),
        ((2, 3, 4, 5), {"Parent": order_tag(True)}, (2, 3), (0, 1)),
        ((3, 4), order_tag(None, "Spectrum image"), (0,), (1,)),
        ((2, 3, 4), order_tag(None, "Spectrum image"), (1, 2), (0,)),
        ((2, 3, 4), order_tag(False, "Spectrum image"), (1, 2), (0,)),
        ((2, 3, 4), order_tag(True, "Spectrum image"), (0, 1), (2,)),
        ((2, 2, 3, 4, 5), order_tag(True), (0, 1, 2), (3, 4)),
    ],
)
def test_tags_tell_the_order_of_the_axes(tmp_path, shape, tags, nav_axes, sig_axes):
    array = counting(shape)
    steps = [(i + 1.0, "nm") for i in range(len(shape))]
    write(tmp_path / "a.dm4", image(array, tags=tags, steps=steps))
    data_set = n4.load("dm", tmp_path / "a.dm4")
    expected = array.transpose(*nav_axes, *sig_axes)
    assert_is(data_set[...], expected.reshape(data_set.shape))
    assert data_set.sig_shape == tuple(shape[axis] for axis in sig_axes)
    assert data_set.calibration.sig == tuple((axis + 1, "nm") for axis in sig_axes)
    if nav_axes:
        assert data_set.calibration.nav == tuple((axis + 1, "nm") for axis in nav_axes)
    slow = any("scattered" in notice for notice in data_set.notices)
    assert slow == (nav_axes > sig_axes)


def test_force_c_order_takes_the_bytes_as_they_lie(tmp_path):
    array = counting((2, 3, 4, 5))
    write(tmp_path / "a.dm4", image(array, tags=order_tag(False)))
    data_set = n4.load("dm", tmp_path / "a.dm4", force_c_order=True)
    assert_is(data_set[...], array)
    assert data_set.parameters["force_c_order"] is True


def test_units_that_contradict_the_order_are_told(tmp_path):
    nm, per_nm = [(1.0, "nm")] * 2, [(0.1, "1/nm")] * 2
    for name, steps in (("right", per_nm + nm), ("wrong", nm + per_nm)):
        entry = image(counting((2, 3, 4, 5)), tags=order_tag(None), steps=steps)
        write(tmp_path / name, entry)
    assert not n4.load("dm", tmp_path / "right").problems
    with pytest.warns(n4.FormatWarning, match="force_c_order=True"):
        n4.load("dm", tmp_path / "wrong")
    assert not n4.load("dm", tmp_path / "wrong", force_c_order=True).problems


def test_more_than_four_axes_need_to_tell_their_order(tmp_path):
    write(tmp_path / "a.dm4", image(counting((2, 2, 2, 2, 2))))
    assert "order of the 5 axes is not known" in str(refusal(tmp_path / "a.dm4"))
    data_set = n4.load("dm", tmp_path / "a.dm4", force_c_order=True)
    assert data_set.nav_shape == (2, 2, 2)


@pytest.mark.parametrize("backend", ["mmap", "buffered"])
def test_scattered_frames_are_read_for_the_wanted_part_only(tmp_path, backend):
    scan = counting((40, 50, 12, 10), "u4")
    parameters, _ = save(tmp_path, scan, in_order=False)
    data_set = n4.load("dm", **parameters, io_backend=backend)
    assert_is(data_set[3, 4], scan[3, 4])
    assert_is(data_set[:, :, 7, 3], scan[:, :, 7, 3])
    assert_is(data_set[5:30:2, ::-1, 2:9:3, 8:1:-2], scan[5:30:2, ::-1, 2:9:3, 8:1:-2])
    assert_is(data_set[..., 3:3], scan[..., 3:3])
    assert_is(data_set.to_dask()[1:3, 7].compute(), scan[1:3, 7])


# Which image.


def test_image_with_most_axes_is_the_data(tmp_path):
    path = tmp_path / "a.dm4"
    stack, scan = counting((3, 4, 5)), counting((2, 3, 4, 5))
    entries = (
        thumbnail(),
        image(counting((9, 9)), name="survey"),
        image(stack, name="preview"),
        image(scan, name="first", tags=order_tag()),
        image(scan + 1, name="second", tags=order_tag()),
        image(counting((7,)), name="spectrum"),
    )
    write(path, *entries, thumbnail_index=0)
    data_set = n4.load("auto", path)
    assert_is(data_set[...], scan)
    assert data_set.metadata["header"]["Name"] == "first"
    assert data_set.parameters["dataset_index"] == 3
    (notice,) = data_set.notices
    assert "1 (survey, 9 x 9), 2 (preview, 3 x 4 x 5), 3 (first" in notice
    assert "spectrum" not in notice
    assert "dataset_index" in notice
    assert_is(n4.load("dm", path, dataset_index=4)[...], scan + 1)
    assert_is(n4.load("dm", path, dataset_index=2)[...], stack)


@pytest.mark.parametrize(
    ("entries", "mark", "chosen"),
    [
        ([thumbnail(), image(counting((2, 2)))], None, 1),
        ([image(counting((2, 2))), image(counting((2, 2)))], None, 0),
        ([image(counting((2, 2))), image(counting((2, 2)))], 0, 1),
        ([image(counting((2, 2))), image(counting((2, 2, 2)))], 1, 0),
        ([image(counting((2, 2)))], 0, 0),
        ([image(counting((5, 5)), data_type=5), image(counting((2, 2)))], None, 1),
    ],
)
def test_thumbnails_are_no_data(tmp_path, entries, mark, chosen):
    write(tmp_path / "a.dm3", *entries, thumbnail_index=mark, version=3)
    data_set = n4.load("dm", tmp_path / "a.dm3")
    assert_is(data_set[0], n4.load("dm", tmp_path / "a.dm3", dataset_index=chosen)[0])


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ([thumbnail(), image(counting((7,)))], "a spectrum or a profile"),
        ([thumbnail()], "no 2D, 3D or 4D image: .* 0 .*colors"),
        ([image(counting((3, 3)), data_type=27)], "packed Fourier transform"),
        ([image(counting((3, 3)), data_type=99)], "no 2D, 3D or 4D image"),
        ([], "no list of images"),
    ],
)
def test_file_without_frames_is_refused(tmp_path, entries, said):
    write(tmp_path / "a.dm4", *entries)
    with pytest.raises(n4.FormatError, match=said):
        n4.load("dm", tmp_path / "a.dm4")


@pytest.mark.parametrize("index", [-1, 2, 10**30])
def test_dataset_index_out_of_range_lists_those_there_are(tmp_path, index):
    write(tmp_path / "a.dm4", thumbnail(), image(counting((3, 4)), name="here"))
    error = refusal(tmp_path / "a.dm4", dataset_index=index)
    assert "1 (here, 3 x 4)" in error.expected


@pytest.mark.parametrize("index", [0, 2])
def test_dataset_index_of_no_frames_is_refused(tmp_path, index):
    entries = (thumbnail(), image(counting((3, 4))), image(counting((5,))))
    write(tmp_path / "a.dm4", *entries)
    error = refusal(tmp_path / "a.dm4", dataset_index=index)
    assert "does not hold frames" in str(error)


# What else the file knows.


def test_calibration_follows_the_axes(tmp_path):
    steps = [(0.5, "µm"), (20, "Å"), (-0.25, "1/nm"), (0.1, "1/Å")]
    write(
        tmp_path / "a.dm4",
        image(counting((2, 3, 4, 5)), steps=steps, tags=order_tag()),
    )
    calibration = n4.load("dm", tmp_path / "a.dm4").calibration
    assert calibration.nav == ((500, "nm"), (pytest.approx(2), "nm"))
    assert calibration.sig == ((0.25, "1/nm"), (pytest.approx(1), "1/nm"))


def test_axes_without_a_calibration_have_none(tmp_path):
    entry = image(counting((3, 4, 5)), steps=[(2.0, "nm"), (3.0, "")])
    write(tmp_path / "a.dm4", entry)
    calibration = n4.load("dm", tmp_path / "a.dm4").calibration
    # Entries belong to the fastest axes.
    assert calibration.sig == ((2, "nm"), None)
    assert calibration.nav == (None,)


MICROSCOPE = {
    "Voltage": 200_000.0,
    "STEM Camera Length": 135.0,
    "Microscope": "FEI Titan",
    "Stage Position": {"Stage Alpha": 1.5},
}
ACQUISITION = {
    "Device": {"Name": "K3"},
    "Parameters": {"High Level": {"Exposure (s)": 0.25}},
}


def test_microscope_and_acquisition_are_told(tmp_path):
    tags = {
        "Microscope Info": MICROSCOPE,
        "Acquisition": ACQUISITION,
        "SI": {"Acquisition": {"Pixel time (s)": 0.01}},
        "EELS": {"Experimental Conditions": {"Convergence semi-angle (mrad)": 9.5}},
        "Lists": {"labels": ["a", "b"], "numbers": np.arange(3, dtype="i4")},
        "long": np.zeros(1000, "u2"),
    }
    write_image(tmp_path / "a.dm3", counting((3, 4)), tags=tags)
    metadata = dict(n4.load("dm", tmp_path / "a.dm3").metadata)
    header = metadata.pop("header")
    assert metadata == {
        "exposure_s": 0.25,
        "dwell_s": 0.01,
        "beam_energy_kV": 200,
        "camera_length_m": 0.135,
        "convergence_mrad": 9.5,
        "instrument": "FEI Titan, K3",
    }
    assert header["Microscope Info"]["Stage Position"] == {"Stage Alpha": 1.5}
    assert header["Lists"] == {"labels": ["a", "b"], "numbers": [0, 1, 2]}


@pytest.mark.parametrize(
    ("date", "clock", "ticks", "expected"),
    [
        # as recorded in England, the USA and Central Europe
        ("27/08/2016", "20:52:30", 1.3116801150052632e17, "2016-08-27T20:52:30+01:00"),
        ("12/10/2019", "3:32:41 PM", 1.3220483561436e17, "2019-12-10T15:32:41-05:00"),
        ("5/17/2015", "5:00:16 PM", 1.3076348416464e17, "2015-05-17T17:00:16+02:00"),
        ("17.05.2015", "00.30.16", 1.3076321416464e17, "2015-05-17T00:30:16-07:00"),
        ("", "", 1.3116801150052632e17, "2016-08-27T19:52:30+00:00"),
        ("5/17/2015", "5:07:30 PM", 1.3076348416464e17, "2015-05-17T15:00:16+00:00"),
        ("5/17/2015", "5:00:16 PM", 0.0, None),
        ("5/17/2015", "5:00:16 PM", float("inf"), None),
        # which is day, which is month?
        ("12/10/2019", "3:32:41 PM", None, None),
    ],
)
def test_time_is_that_of_the_laboratory(tmp_path, date, clock, ticks, expected):
    bar = {"Acquisition Date": date, "Acquisition Time": clock}
    if ticks is not None:
        bar["Acquisition Time (OS)"] = ticks
    write_image(tmp_path / "a.dm3", counting((3, 4)), tags={"DataBar": bar})
    metadata = n4.load("dm", tmp_path / "a.dm3").metadata
    assert metadata.get("timestamp") == expected
    assert metadata["header"]["DataBar"]["Acquisition Time"] == clock


def test_scan_shape_in_tags_of_a_stack_is_taken(tmp_path):
    tags = {"4D STEM Tags": {"Scan shape X": 3, "Scan shape Y": 2}}
    write_image(tmp_path / "a.dm3", counting((6, 4, 5)), tags=tags)
    assert n4.load("dm", tmp_path / "a.dm3").nav_shape == (2, 3)


# Tags.


def test_rare_tags_are_passed_over(tmp_path):
    rare = {
        "array of structs": raw((20, 15, 0, 2, 0, 2, 0, 7, 3), bytes(30)),
        "array of strings": raw((20, 18, 5, 2), b"helloworld"),
        "array of arrays": raw((20, 20, 3, 4, 2), bytes(32)),
        "string": raw((18, 3), b"abc"),
        "struct": raw((15, 0, 3, 0, 8, 0, 3, 0, 9), bytes(6)),
        "empty struct array": raw((20, 15, 0, 0, 5), b""),
        "nothing": np.zeros(0, "u2"),
        "a.b": {"": {"..": np.int8(-1)}},
        "many": {f"tag {i}": np.float32(i) for i in range(300)},
    }
    array = counting((2, 3, 4))
    for version in (3, 4):
        path = tmp_path / f"{version}.dm4"
        root = {**rare, **document([image(array, tags=rare)], thumbnail_index=None)}
        write_dm(path, root, version=version)
        data_set = n4.load("auto", path)
        assert_is(data_set[...], array)
        assert data_set.metadata["header"]["string"] == "abc"
        assert data_set.metadata["header"]["a.b"] == [{"..": -1}]


def test_opening_reads_tags_and_no_pixels(tmp_path):
    path = tmp_path / "a.dm4"
    shape = (2**9, 2**9, 2**8, 2**8)
    entry = image(np.zeros((1, 1), "u2"), dimensions=shape, tags=order_tag())
    entry["ImageData"]["Data"] = raw((20, 4, int(np.prod(shape))), b"HERE")
    head, tail = write(path, entry, sizes=False).split(b"HERE")
    nbytes = 2 * int(np.prod(shape))
    with open(path, "wb") as file:
        file.write(head)
        file.seek(len(head) + nbytes - 2)
        file.write(b"\7\0" + tail)
    tracemalloc.start()
    try:
        data_set = n4.load("dm", path)
        assert data_set[-1, -1].sum() == data_set[-1, -1, -1, -1] == 7
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


# Broken files: the contract cuts them off.


@pytest.mark.parametrize("name", ["a.dm3", "A.DM4"])
@pytest.mark.parametrize("content", [b"", b"text", b"\0\0\0\5" + bytes(60)])
def test_other_files_with_the_name_are_not_recognized(tmp_path, name, content):
    (tmp_path / name).write_bytes(content or b"\0")
    with pytest.raises(n4.FormatError, match="not recognized"):
        n4.load("auto", tmp_path / name)


def test_file_of_another_name_is_recognized_by_its_tags(tmp_path):
    write_image(tmp_path / "a.bak", counting((3, 4)))
    assert n4.detect(tmp_path / "a.bak").filetype == "dm"


def garbled(path, old, new):
    """Replace the first bytes of a kind in a file of one small stack."""
    content = write(path, image(counting((2, 3, 4)), tags={"a": {"b": "text"}}))
    assert old in content
    path.write_bytes(content.replace(old, new, 1))


def number(value):
    return value.to_bytes(8, "big")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            b"\0\0\0\4",
            b"\0\0\0\5",
            "unknown version of the DM file: expected 3 or 4, found 5",
        ),
        (b"\0\0\0\4", b"hell", "not a DM3 or DM4 file"),
        (b"\0\0\0\1\1\0", b"\0\0\0\7\1\0", "byte order of the DM file"),
        (b"%%%%", b"%%%&", "does not begin with its mark"),
        (b"\1\0" + number(4), b"\1\0" + number(2**62), "no room for so many"),
        (b"\1\0" + number(5), b"\1\0" + number(6), "ends within its tags"),
        (b"%%%%" + number(11), b"%%%%" + number(2**60), "impossible type"),
        (b"%%%%" + number(11), b"%%%%" + number(0), "impossible type"),
        (b"%%%%" + number(11) + number(15), b"%%%%" + number(11) + number(99), "type"),
        (b"\x15\0\4Data", b"\x16\0\4Data", "one is of an unknown kind"),
        (b"\x15\0\4Data", b"\x15\xff\xffData", "ends within|unknown kind|its mark"),
        (b"\0\4Data", b"\0\4data", "do not fit the size of the data: .* no data"),
    ],
)
def test_broken_tags_are_told(tmp_path, old, new, said):
    path = tmp_path / "a.dm4"
    garbled(path, old, new)
    with pytest.raises(n4.FormatError, match=said):
        n4.load("dm", path)


@pytest.mark.parametrize("count", [23, 25, 2**33, 2**61, 2**64 - 1])
def test_array_of_another_size_than_the_dimensions_is_told(tmp_path, count):
    path = tmp_path / "a.dm4"
    words = b"".join(map(number, (20, 4)))
    garbled(path, words + number(24), words + number(count))
    tracemalloc.start()
    try:
        error = refusal(path)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()
    if count > 1000:
        assert "ends within the pixels" in str(error)


@pytest.mark.parametrize(
    "dimensions", [(2, 3, 5), (0, 3, 4), (2**31, 2**31, 2**31), (3, 2**32 - 1)]
)
def test_absurd_dimensions_are_told(tmp_path, dimensions):
    path = tmp_path / "a.dm4"
    write(path, image(counting((2, 3, 4)), dimensions=dimensions))
    assert "dimensions do not fit the size of the data" in str(refusal(path))


def test_deep_nesting_is_told(tmp_path):
    tags = {"a": 1}
    for _ in range(70):
        tags = {"a": tags}
    write_dm(tmp_path / "a.dm4", tags)
    assert "nested too deeply" in str(refusal(tmp_path / "a.dm4"))


def test_huge_struct_allocates_nothing(tmp_path):
    path = tmp_path / "a.dm4"
    fields = (0, 20, 10, 2**20) * 500
    root = {"a": raw((15, 0, 500, *fields), bytes(2**20))}
    write_dm(path, root)
    tracemalloc.start()
    try:
        assert "a.dm4" in str(refusal(path))
        assert tracemalloc.get_traced_memory()[1] < 10 * 2**20
    finally:
        tracemalloc.stop()


def test_file_cut_off_in_its_pixels_says_so(tmp_path):
    path = tmp_path / "a.dm4"
    pixels = counting((2, 3, 4))
    content = write(path, image(pixels))
    os.truncate(path, content.index(pixels.tobytes()) + 40)
    error = refusal(path)
    assert "ends within the pixels" in str(error)
    assert (error.expected, error.found) == ("48 bytes of pixels", "40 bytes")


def test_preview_of_a_file_cut_off_is_not_taken_for_the_data(tmp_path):
    path = tmp_path / "a.dm4"
    pixels = counting((2, 3, 4, 5))
    preview = counting((4, 5), "f4")
    content = write(path, image(preview), image(pixels, tags=order_tag()))
    os.truncate(path, content.index(pixels.tobytes()) + 200)
    assert "ends within the pixels" in str(refusal(path))
    assert_is(n4.load("dm", path, dataset_index=0)[0], preview)


def test_scattered_frames_of_a_file_cut_off_are_all_incomplete(tmp_path):
    parameters, _ = save(
        tmp_path, counting((2, 3, 4, 5)), in_order=False, data_last=True
    )
    path = parameters["path"]
    os.truncate(path, path.stat().st_size - TRAILING - 1)
    assert "no frame is complete" in str(refusal(path))


# Stacks of files.


def write_files(folder, *shapes, dtype="u2"):
    """Write images or stacks with pixels that count on from file to file."""
    files, images, at = [], [], 0
    for i, shape in enumerate(shapes):
        images.append(counting(shape, dtype) + at)
        at += images[-1].size
        files.append(folder / f"img_{i}.dm3")
        write_image(files[-1], images[-1], steps=[(0.5, "1/nm")] * len(shape))
    return files, np.concatenate([a.reshape(-1, *a.shape[-2:]) for a in images])


def test_frames_come_in_the_order_of_the_list(tmp_path):
    files, frames = write_files(tmp_path, (3, 4), (3, 4), (2, 3, 4))
    data_set = n4.load("dm", files=[str(files[2]), files[0], files[1]])
    assert_is(data_set[...], frames[[2, 3, 0, 1]])
    assert data_set.path is None
    assert data_set.name == "img_2"
    assert data_set.files == (files[2], files[0], files[1])
    assert data_set.calibration.sig == ((0.5, "1/nm"),) * 2
    assert data_set.calibration.nav == (None,)


@pytest.mark.parametrize("path", [0, 1])
def test_path_may_be_one_of_the_files(tmp_path, path):
    files, frames = write_files(tmp_path, (3, 4), (3, 4))
    data_set = n4.load("auto", files[path], files=files)
    assert_is(data_set[...], frames)
    assert_is(n4.load("dm", data_set.path, **data_set.parameters)[...], frames)
    with pytest.raises(n4.FormatError, match="path is none of the files"):
        n4.load("dm", tmp_path / "other.dm3", files=files)


@pytest.mark.parametrize("files", ["a.dm3", 7, [7], [None]])
def test_files_that_are_no_paths_are_refused(files):
    with pytest.raises(n4.FormatError, match="not a list of paths"):
        n4.load("dm", files=files)


def test_no_files_and_no_path_are_refused():
    with pytest.raises(n4.FormatError, match="no files are given"):
        n4.load("dm", files=[])
    with pytest.raises(n4.FormatError, match="dm needs a path or files"):
        n4.load("dm")


def test_a_file_of_the_stack_that_is_missing_is_named(tmp_path):
    files, _ = write_files(tmp_path, (3, 4), (3, 4))
    for same_offset in (False, True):
        with pytest.raises(n4.FormatError, match=r"img_9\.dm3: .* does not exist"):
            n4.load(
                "dm",
                files=[*files, tmp_path / "img_9.dm3"],
                same_offset=same_offset,
            )


def test_a_file_that_differs_is_named(tmp_path):
    (tmp_path / "other").mkdir()
    files, _ = write_files(tmp_path, (3, 4), (3, 4))
    for shape, dtype, said in (
        ((4, 3), "u2", r"image size .* expected 3 x 4, as in img_0.dm3, found 4 x 3"),
        ((3, 4), "i2", r"pixel type .* expected uint16, as in img_0.dm3, found int16"),
    ):
        others, _ = write_files(tmp_path / "other", shape, dtype=dtype)
        with pytest.raises(n4.FormatError, match=said) as told:
            n4.load("dm", files=[*files, *others])
        assert told.value.path == str(others[0])


def test_scans_are_no_part_of_a_stack(tmp_path):
    files, _ = write_files(tmp_path, (3, 4), (2, 2, 3, 4))
    with pytest.raises(n4.FormatError, match="cannot be part of a stack") as told:
        n4.load("dm", files=files)
    assert told.value.path == str(files[1])


def test_same_offset_reads_the_tags_of_the_first_file_only(tmp_path, monkeypatch):
    files, frames = write_files(tmp_path, (3, 4), (3, 4), (3, 4))
    read_tags, seen = dm.read_tags, []

    def counted(path):
        seen.append(path)
        return read_tags(path)

    monkeypatch.setattr(dm, "read_tags", counted)
    assert_is(n4.load("dm", files=files, same_offset=True)[...], frames)
    assert seen == files[:1]


def test_file_of_a_stack_that_is_cut_off_leaves_its_place_blank(tmp_path):
    files, frames = write_files(tmp_path, (3, 4), (3, 4), (3, 4))
    for file in files:
        entry = image(counting((3, 4)), data_last=True)
        write_dm(file, document([thumbnail(), entry]))
    os.truncate(files[1], files[1].stat().st_size - TRAILING - 1)
    with pytest.warns(n4.FormatWarning, match=r"img_1\.dm3: .* 1 frame is missing"):
        data_set = n4.load("dm", files=files)
    assert data_set.valid.tolist() == [True, False, True]
    assert_is(data_set[2], frames[0])


def test_folder_of_images_is_a_stack_in_natural_order(tmp_path):
    numbers = [1, 2, 9, 10, 11, 100]
    for n in numbers:
        write_image(tmp_path / f"scan_{n}.dm3", np.full((2, 3), n, "u2"))
    (tmp_path / "notes.txt").write_text("not ours")
    data_set = n4.load("auto", tmp_path)
    assert data_set[:, 0, 0].tolist() == numbers
    found = n4.detect(tmp_path)
    again = n4.load(found.filetype, data_set.path, **found.parameters)
    assert_is(again[...], data_set[...])


def test_folder_with_one_image_is_no_stack(tmp_path):
    write_image(tmp_path / "scan.dm3", counting((2, 3)))
    data_set = n4.load("auto", tmp_path)
    assert data_set.path == tmp_path / "scan.dm3"
    assert "files" not in data_set.parameters


def test_type_that_takes_no_list_of_files_says_so(tmp_path):
    np.save(tmp_path / "a.npy", counting((2, 3)))
    with pytest.raises(n4.FormatError, match="npy does not take a list of files"):
        n4.load("auto", files=[tmp_path / "a.npy"])


def test_images_of_a_file_are_offered_with_most_axes_first(tmp_path):
    path = tmp_path / "a.dm4"
    images = [np.zeros(shape, "u2") for shape in ((4, 5), (3, 4, 5), (2, 3, 4, 5))]
    write_dm(path, document([thumbnail(), *map(image, images)]))
    offered = dm.FORMAT.choices(path)["dataset_index"]
    assert [choice.value for choice in offered] == [3, 2, 1]
    assert [choice.is_likely for choice in offered] == [True, False, False]
    assert "2 x 3 x 4 x 5" in offered[0].label
    for choice in offered:
        ds = n4.load("dm", path=path, dataset_index=choice.value)
        assert np.prod(ds.shape) == images[choice.value - 1].size
    write_dm(path, document([thumbnail(), image(images[0])]))
    assert dm.FORMAT.choices(path) == {}
