"""MRC: stacks of images."""

from __future__ import annotations

import tracemalloc
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import napari_4dstem as n4
from tests.formats.contract import Case, FileContract, assert_is
from tests.formats.write_mrc import fei_record, mrc_header, write_info, write_mrc

IMAGES = np.arange(24 * 12, dtype="u2").reshape(12, 4, 6)


def save_mrc(folder, scan, **options):
    path = folder / "scan.mrc"
    images = scan.reshape(-1, *scan.shape[-2:])
    return {"path": path}, write_mrc(path, images, **options)


class TestMrc(FileContract):
    cases = (
        Case("u2", "mrc", save_mrc),
        Case(
            "f4-big-endian-extended",
            "mrc",
            partial(save_mrc, extended=bytes(77)),
            dtype=">f4",
        ),
    )


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.mrc"


# Pixels.


@settings(deadline=None, max_examples=40)
@given(
    kind=st.sampled_from(["i1", "i2", "f4", "c8", "u2", "f2"]),
    order=st.sampled_from("<>"),
    shape=st.tuples(*[st.integers(1, 5)] * 3),
    extended=st.integers(0, 300),
    marked=st.booleans(),
    grid=st.sampled_from([None, (1, 1, 1), (0, 0, 0), (7, 7, 7)]),
)
def test_any_stack_comes_back(
    tmp_path_factory, kind, order, shape, extended, marked, grid
):
    path = tmp_path_factory.mktemp("any") / "a.mrc"
    images = np.random.default_rng(0).integers(-99, 99, shape).astype(order + kind)
    write_mrc(path, images, extended=bytes(extended), marked=marked, grid=grid)
    data_set = n4.load("auto", path)
    assert data_set.nav_shape == shape[:1]
    assert_is(data_set[...], images.astype(kind))


def test_single_image_is_a_scan_of_one(path):
    write_mrc(path, IMAGES[:1])
    assert n4.load("mrc", path).nav_shape == (1,)


def test_bytes_after_the_images_are_ignored(path):
    write_mrc(path, IMAGES)
    with open(path, "ab") as file:
        file.write(b"more" * 100)
    assert_is(n4.load("mrc", path)[...], IMAGES)


def test_byte_order_without_a_stamp_is_the_one_that_fits(path):
    # columns, rows, images and mode make sense in both orders
    images = np.zeros((1, 256, 1), ">i1")
    write_mrc(path, images, order=">", marked=False)
    assert n4.load("mrc", path).shape == (1, 256, 1)
    write_mrc(path, images, order="<", marked=False)
    assert n4.load("mrc", path).shape == (1, 256, 1)


def test_wrong_stamp_does_not_count_where_it_makes_no_sense(path):
    write_mrc(path, IMAGES, stamp=b"\x11\x11\0\0")
    assert_is(n4.load("mrc", path)[...], IMAGES)


@pytest.mark.parametrize(
    ("imod_flags", "dtype"), [(None, "i1"), (0, "u1"), (1, "i1"), (8, "u1"), (9, "i1")]
)
def test_bytes_are_signed_unless_imod_says_so(path, imod_flags, dtype):
    write_mrc(path, IMAGES.astype("u1"), imod_flags=imod_flags)
    data_set = n4.load("mrc", path)
    assert_is(data_set[...], IMAGES.astype(dtype))
    assert ("pixel_type" in "".join(data_set.notices)) is (dtype == "u1")
    for wanted in ("int8", "uint8"):
        data_set = n4.load("mrc", path, pixel_type=wanted)
        assert_is(data_set[...], IMAGES.astype(wanted))
        assert data_set.parameters["pixel_type"] == wanted


def test_truncated_stack_keeps_the_place_of_its_images(path):
    ends = write_mrc(path, IMAGES)
    with open(path, "r+b") as file:
        file.truncate(ends[-1] - 1)
    with pytest.warns(n4.FormatWarning, match="1 frame is missing"):
        data_set = n4.load("mrc", path)
    assert data_set.nav_shape == (12,)
    assert data_set.valid.tolist() == [True] * 11 + [False]


# Recognition.


@pytest.mark.parametrize("name", ["a.mrc", "A.MRC", "a.mrcs"])
def test_name_and_plausible_header_are_enough(tmp_path, name):
    write_mrc(tmp_path / name, IMAGES, marked=False)
    assert n4.detect(tmp_path / name).filetype == "mrc"


def test_mark_is_enough(tmp_path):
    write_mrc(tmp_path / "a.map", IMAGES)
    assert n4.detect(tmp_path / "a.map").filetype == "mrc"
    write_mrc(tmp_path / "a.dat", IMAGES, marked=False)
    with pytest.raises(n4.FormatError, match="not recognized"):
        n4.detect(tmp_path / "a.dat")


@pytest.mark.parametrize("content", [b"\0" * 2000, b"\xff" * 2000, b"text " * 400])
def test_name_alone_is_not_enough(path, content):
    path.write_bytes(content)
    with pytest.raises(n4.FormatError, match="not recognized"):
        n4.detect(path)


# Calibration and metadata.


def test_pixel_size_is_that_of_the_cell(path):
    write_mrc(path, IMAGES, cell=(-12, 8, 5))
    calibration = n4.load("mrc", path).calibration
    assert calibration.sig == (pytest.approx((0.2, "nm")), pytest.approx((0.2, "nm")))
    assert calibration.nav == (None,)
    write_mrc(path, IMAGES, cell=(12, 0, 0), grid=(24, 0, 0))
    assert n4.load("mrc", path).calibration.sig == (None, pytest.approx((0.05, "nm")))


def test_labels_are_in_the_metadata(path):
    write_mrc(path, IMAGES, labels=["made by hand", "twice"])
    header = n4.load("mrc", path).metadata["header"]
    assert header["labels"] == ["made by hand", "twice"]
    assert header["mode"] == 6


@pytest.mark.parametrize("kind", [b"FEI1", b"FEI2"])
def test_extended_header_of_fei_is_read(path, kind):
    extended = fei_record(
        kind,
        timestamp_days=44900.5,
        microscope=b"Spectra",
        serial_number=b"3814",
        voltage_V=3e5,
        camera_length_m=0.0911,
        convergence_rad=0.0143,
        integration_time_s=0.002,
        dwell_s=0.01,
    )
    write_mrc(path, IMAGES, extended=extended * 12, extended_type=kind)
    data_set = n4.load("mrc", path)
    header = data_set.metadata.pop("header")
    assert data_set.metadata == {
        "exposure_s": 0.002,
        "dwell_s": 0.01,
        "beam_energy_kV": 300,
        "camera_length_m": 0.0911,
        "convergence_mrad": pytest.approx(14.3),
        "timestamp": "2022-12-05T12:00:00",
        "instrument": "Spectra 3814",
    }
    assert header["voltage_V"] == 3e5
    assert_is(data_set[...], IMAGES)


def test_fields_of_fei_that_are_not_marked_are_not_read(path):
    extended = fei_record(voltage_V=3e5)[:297] + bytes(4) + b"\xff" * 587
    write_mrc(path, IMAGES, extended=extended, extended_type=b"FEI2")
    metadata = n4.load("mrc", path).metadata
    assert metadata["beam_energy_kV"] == 300
    assert "camera_length_m" not in metadata


@pytest.mark.parametrize(
    "extended", [b"", bytes(888), b"\xff" * 888, fei_record()[:700]]
)
def test_damaged_extended_header_of_fei_is_no_obstacle(path, extended):
    write_mrc(path, IMAGES, extended=extended, extended_type=b"FEI2")
    data_set = n4.load("mrc", path)
    assert set(data_set.metadata) == {"header"}
    assert_is(data_set[...], IMAGES)


# The info file of Direct Electron.


@pytest.fixture
def movie(tmp_path):
    path = tmp_path / "20241021_00405_movie.mrc"
    write_mrc(path, IMAGES, cell=(60, 40, 1))
    return path


def test_info_file_tells_scan_and_calibration(movie):
    info = movie.with_name("20241021_00405_info.txt")
    write_info(info)
    data_set = n4.load("auto", movie)
    assert data_set.files == (movie, info)
    assert data_set.nav_shape == (3, 4)
    assert data_set.calibration.nav == ((0.7, "nm"), (0.5, "nm"))
    assert data_set.calibration.sig == ((0.3, "1/nm"), (0.1, "1/nm"))
    header = data_set.metadata.pop("header")
    assert data_set.metadata == {
        "exposure_s": pytest.approx(1.4275e-3),
        "dwell_s": pytest.approx(1.5e-3),
        "beam_energy_kV": 200,
        "camera_length_m": 0.095,
        "timestamp": "2024-10-21T19:36:50+00:00",
        "instrument": "Direct Electron Apollo",
    }
    assert header["Scan - Type"] == "Raster"
    assert n4.load("mrc", movie, nav_shape=(6, 2)).nav_shape == (6, 2)


def test_info_file_may_have_a_suffix(tmp_path):
    movie = tmp_path / "20241021_00405_gold 3_movie.mrc"
    write_mrc(movie, IMAGES)
    write_info(tmp_path / "20241021_00405_gold 3_info.txt")
    write_info(tmp_path / "20241021_00404_info.txt", {"Scan - Size X": "6"})
    assert n4.load("mrc", movie).nav_shape == (3, 4)


@pytest.mark.parametrize(
    ("changes", "nav_shape"),
    [
        ({"Scan - ROI Enable": "Enable", "Scan - Repeats": "2"}, (2, 3, 2)),
        ({"Scan - Size X": "2", "Scan - Camera Frames Per Point": "2"}, (3, 2, 2)),
        ({"Scan - Enable": "Disable"}, (12,)),
        ({"Scan - Size X": "many"}, (12,)),
    ],
)
def test_repeats_parts_and_frames_of_a_point_are_axes(movie, changes, nav_shape):
    write_info(movie.with_name("20241021_00405_info.txt"), changes)
    data_set = n4.load("mrc", movie)
    assert data_set.nav_shape == nav_shape
    assert not data_set.file_notices
    if len(nav_shape) == 3:
        y_axis = 1 if "Scan - Repeats" in changes else 0
        steps = (0.7, "nm"), (0.5, "nm")
        assert data_set.calibration.nav[y_axis : y_axis + 2] == steps
        assert data_set.calibration.nav[2 - 2 * y_axis] is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"Scan - Size X": "5"}, "a scan of 3 x 5, which are not the 12 images"),
        ({"Scan - Type": "XY File"}, "no raster but 'XY File'"),
    ],
)
def test_scan_that_does_not_fit_is_told_and_not_used(movie, changes, said):
    write_info(movie.with_name("20241021_00405_info.txt"), changes)
    data_set = n4.load("mrc", movie)
    assert data_set.nav_shape == (12,)
    assert said in data_set.notices[0]


def test_counted_movie_of_bytes_is_unsigned(movie):
    write_mrc(movie, IMAGES.astype("u1"))
    counting = {
        "Image Processing - Mode": "Counting",
        "Autosave Counted Movie Pixel Format": "uint8",
    }
    write_info(movie.with_name("20241021_00405_info.txt"), counting)
    data_set = n4.load("mrc", movie)
    assert data_set.dtype == np.uint8
    assert "pixel_type='int8'" in data_set.notices[0]


def test_virtual_image_is_calibrated_in_real_space(tmp_path):
    image = tmp_path / "20241021_00405_0_Virt #0_sum.mrc"
    write_mrc(image, np.zeros((1, 3, 4), "f4"))
    write_info(tmp_path / "20241021_00405_info.txt")
    data_set = n4.load("mrc", image)
    assert data_set.nav_shape == (1,)
    assert data_set.calibration.sig == ((0.7, "nm"), (0.5, "nm"))


def test_sum_of_a_scan_is_calibrated_like_its_patterns(tmp_path):
    path = tmp_path / "20241021_00405_final.mrc"
    write_mrc(path, np.zeros((1, 4, 6), "f4"))
    write_info(tmp_path / "20241021_00405_info.txt")
    data_set = n4.load("mrc", path)
    assert data_set.nav_shape == (1,)
    assert data_set.calibration.sig == ((0.3, "1/nm"), (0.1, "1/nm"))
    assert not data_set.notices


def test_empty_or_senseless_info_file_is_no_obstacle(movie):
    info = movie.with_name("20241021_00405_info.txt")
    for content in (b"", b"\xff\0=\n====\n", b"Scan - Enable = Enable\n" * 3):
        info.write_bytes(content)
        assert n4.load("mrc", movie).nav_shape == (12,)


# Bad files.


def refusal(path, header, rest=bytes(100), **parameters):
    path.write_bytes(header + rest)
    tracemalloc.start()
    try:
        with pytest.raises(n4.FormatError) as told:
            n4.load("mrc", path, **parameters)
        assert tracemalloc.get_traced_memory()[1] < 10 * 2**20
    finally:
        tracemalloc.stop()
    assert str(path) in str(told.value)
    return told.value


@pytest.mark.parametrize("mode", [3, 5, 77, 101, -1])
def test_other_modes_are_refused_by_number(path, mode):
    error = refusal(path, mrc_header((1, 2, 2), mode))
    assert f"MRC mode {mode} " in error.problem
    assert error.offset == 12
    assert "6 (uint16)" in error.expected


@pytest.mark.parametrize("shape", [(0, 2, 2), (1, -2, 2), (1, 2, 0)])
def test_impossible_size_is_refused(path, shape):
    error = refusal(path, mrc_header(shape, 1))
    assert "impossible sizes" in error.problem
    assert error.found == f"{shape[0]} images of {shape[1]} x {shape[2]} pixels"


def test_absurd_size_allocates_nothing(path):
    error = refusal(path, mrc_header((2**31 - 1,) * 3, 2))
    assert "impossibly large frames" in error.problem
    assert error.found.endswith("in a file of 1124 bytes")


def test_file_without_a_whole_frame_tells_both_sizes(path):
    error = refusal(path, mrc_header((3, 20, 30), 1))
    assert "no complete frame" in error.problem
    assert error.expected.startswith(f"at least {1024 + 1200} bytes")
    assert error.found == "1124 bytes"


@pytest.mark.parametrize("nbytes", [-1, 101, 2**31 - 1])
def test_extended_header_beyond_the_file_is_refused(path, nbytes):
    error = refusal(path, mrc_header((1, 2, 2), 1, extended_nbytes=nbytes))
    assert "extended header does not fit" in error.problem
    assert error.offset == 92
    assert error.expected == "at most 100 bytes"


def test_text_is_no_mrc_file(path):
    error = refusal(path, b"this is text\n" * 100)
    assert "not an MRC file" in error.problem


def test_short_header_tells_both_sizes(path):
    error = refusal(path, mrc_header((1, 2, 2), 1)[:700], b"")
    assert "1024 bytes" in error.expected
    assert error.found == "700 bytes"


def test_pixel_type_of_other_modes_is_refused(path):
    error = refusal(path, mrc_header((1, 2, 2), 1), pixel_type="uint8")
    assert "mode 1" in error.found
    error = refusal(path, mrc_header((1, 2, 2), 0), pixel_type="float32")
    assert "'int8' or 'uint8'" in error.expected
