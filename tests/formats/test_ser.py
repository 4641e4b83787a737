"""SER: series of TIA, and the .emi beside them."""

from __future__ import annotations

import os
import struct
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import napari_4dstem as n4
from tests.formats.contract import Case, FileContract, assert_is
from tests.formats.write_ser import CODES, write_emi, write_ser

HEADER = 22 + 8 + 4  # bytes before the dimensions


def save_ser(folder, scan, **options):
    path = folder / "scan_1.ser"
    elements = scan.reshape(-1, *scan.shape[2:])
    return {"path": path}, write_ser(path, elements, scan.shape[:2], **options)


class TestSer(FileContract):
    cases = (
        Case("v220-images", "ser", save_ser),
        Case("v210-gaps", "ser", partial(save_ser, version=0x210, gap=7), dtype="f4"),
    )


def images(count, shape=(3, 2)):
    """Return images that tell their number, from 1."""
    return np.arange(1, count + 1, dtype="u2")[:, None, None] * np.ones(shape, "u2")


def numbers_of(data_set):
    return data_set[..., 0, 0].ravel().tolist()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "scan_1.ser"


@settings(deadline=None, max_examples=60)
@given(
    code=st.sampled_from(sorted(CODES)),
    nav_shape=st.lists(st.integers(1, 4), max_size=3).map(tuple),
    sig_shape=st.lists(st.integers(1, 5), min_size=1, max_size=2).map(tuple),
    version=st.sampled_from([0x210, 0x220]),
    gap=st.integers(0, 20),
    seed=st.integers(0, 9),
)
def test_any_elements_come_back_in_any_order(
    tmp_path_factory, code, nav_shape, sig_shape, version, gap, seed
):
    path = tmp_path_factory.mktemp("any") / "a_1.ser"
    rng = np.random.default_rng(seed)
    count = int(np.prod(nav_shape, dtype=int))
    elements = rng.integers(0, 100, (count, *sig_shape)).astype("<" + code)
    order = rng.permutation(count).tolist()
    write_ser(path, elements, nav_shape, version=version, gap=gap, order=order)
    data_set = n4.load("auto", path)
    assert data_set.nav_shape == (nav_shape or (1,))
    assert_is(data_set[...].reshape(elements.shape), elements)


def test_bottom_row_is_stored_first(path):
    image = np.arange(6, dtype="u2").reshape(3, 2)
    write_ser(path, [image])
    stored = path.read_bytes()[HEADER + 16 + 50 :][:12]
    assert np.frombuffer(stored, "<u2").tolist() == [4, 5, 2, 3, 0, 1]
    assert n4.load("ser", path)[0].tolist() == [[0, 1], [2, 3], [4, 5]]


def test_evenly_spaced_elements_are_one_run(path):
    write_ser(path, images(50), (5, 10))
    assert len(n4.load("ser", path).frames.source.layout.runs) == 1


# The scan.


def test_unfinished_series_is_blank_at_the_end(path):
    write_ser(path, images(5), (3, 4), total=12)
    with pytest.warns(n4.FormatWarning, match="the last 7 are missing"):
        data_set = n4.load("ser", path)
    assert numbers_of(data_set) == [1, 2, 3, 4, 5] + [0] * 7
    assert data_set.num_stored_frames == 5


def test_without_dimensions_the_scan_is_one_line(path):
    write_ser(path, images(6))
    assert n4.load("ser", path).nav_shape == (6,)


@pytest.mark.parametrize("nav_shape", [(2, 2), (0, 6)])
def test_dimensions_too_small_for_the_elements_give_one_line(path, nav_shape):
    write_ser(path, images(6), nav_shape)
    data_set = n4.load("ser", path)
    assert data_set.nav_shape == (6,)
    assert data_set.notices == (
        f"The scan shape in the file, {nav_shape[0]} x {nav_shape[1]}, is too small for"
        " its 6 elements: they are one line.",
    )


def test_cut_off_series_keeps_the_place_of_every_element(path):
    ends = write_ser(path, images(6), (2, 3), order=(3, 1, 5, 0, 2, 4))
    os.truncate(path, ends[0] - 1)
    with pytest.warns(n4.FormatWarning, match="ends too early"):
        data_set = n4.load("ser", path)
    assert numbers_of(data_set) == [0, 2, 0, 4, 0, 6]
    assert data_set.valid.tolist() == [[False, True, False], [True, False, True]]


@pytest.mark.parametrize("place", [0, 40, 10**6, 2**40, 2**64 - 1])
def test_element_with_an_impossible_place_is_missing(path, place):
    write_ser(path, images(4))
    content = bytearray(path.read_bytes())
    struct.pack_into("<Q", content, HEADER + 8, place)
    path.write_bytes(content)
    with pytest.warns(n4.FormatWarning, match="1 frame is missing"):
        data_set = n4.load("ser", path)
    assert numbers_of(data_set) == [1, 0, 3, 4]


# Calibration and metadata.


@pytest.mark.parametrize(
    ("deltas", "sig"),
    [
        ((-2e-10, 4e-10), ((0.2, "nm"), (0.4, "nm"))),
        ((5e7, -1e8), ((0.05, "1/nm"), (0.1, "1/nm"))),
        ((1.0, 0.5), (None, None)),
        ((0.0, np.nan), (None, None)),
        ((np.inf, 1e-10), (None, (0.1, "nm"))),
    ],
)
def test_unit_of_an_image_is_told_by_the_size_of_the_number(path, deltas, sig):
    write_ser(path, images(6), (2, 3), deltas=deltas)
    calibration = n4.load("ser", path).calibration
    assert calibration.nav == (pytest.approx((2, "nm")), pytest.approx((2, "nm")))
    for got, expected in zip(calibration.sig, sig, strict=True):
        assert got == (expected and pytest.approx(expected))


def test_spectra_have_energies_and_numbers_have_no_unit(path):
    write_ser(path, images(4, (7, 1))[..., 0], (4,), deltas=(0.2,), units="")
    calibration = n4.load("ser", path).calibration
    assert calibration.nav == (None,)
    assert calibration.sig == ((0.2, "eV"),)


def test_spectra_at_single_points_have_no_step(path):
    write_ser(path, images(4, (7, 1))[..., 0], (4,), deltas=(0.2,), step_m=1)
    assert n4.load("ser", path).calibration.nav == (None,)


def test_metadata_without_emi(path):
    write_ser(path, images(4), (2, 2))
    metadata = n4.load("ser", path).metadata
    assert metadata["timestamp"] == "2015-12-03T12:00:00+00:00"
    assert metadata["header"]["elements recorded"] == 4


def test_bad_place_of_a_tag_is_no_trouble(path):
    write_ser(path, images(1))
    content = bytearray(path.read_bytes())
    for place in (0, len(content) - 3, 2**63, 2**64 - 1):
        struct.pack_into("<Q", content, HEADER + 8, place)
        path.write_bytes(content)
        assert "timestamp" not in n4.load("ser", path).metadata


def test_emi_tells_about_the_microscope(path):
    write_ser(path, images(1), deltas=(5e7, 5e7))
    write_emi(path.with_name("scan.emi"))
    data_set = n4.load("ser", path)
    assert data_set.companions == (path.with_name("scan.emi"),)
    metadata = data_set.metadata
    assert metadata["instrument"] == "Tecnai 1"
    assert metadata["beam_energy_kV"] == 200
    assert metadata["camera_length_m"] == 0.49
    assert metadata["exposure_s"] == 0.0625
    assert metadata["timestamp"] == "2016-02-21T17:51:15"
    assert metadata["header"]["Stage X"] == "-0.159 um"
    assert data_set.calibration.sig == (pytest.approx((0.05, "1/nm")),) * 2


def test_length_in_a_pattern_of_a_camera_is_no_calibration(path):
    write_ser(path, images(1), deltas=(2e-5, 2e-5))
    emi = path.with_name("scan.emi")
    write_emi(emi)
    assert n4.load("ser", path).calibration.sig == (None, None)
    write_emi(emi, camera="")  # the pattern was integrated: this is an image
    assert n4.load("ser", path).calibration.sig == (pytest.approx((20_000, "nm")),) * 2
    assert "exposure_s" not in n4.load("ser", path).metadata


def test_each_series_has_its_own_piece_of_the_emi(tmp_path):
    write_emi(tmp_path / "scan.emi", 2)
    for k in (1, 2, 3):
        write_ser(tmp_path / f"scan_{k}.ser", images(1))
        metadata = n4.load("ser", tmp_path / f"scan_{k}.ser").metadata
        assert metadata["instrument"] == (f"Tecnai {k}" if k < 3 else "FEI TIA")


def test_emi_may_lie_elsewhere(tmp_path, path):
    write_ser(path, images(1))
    (tmp_path / "other").mkdir()
    write_emi(tmp_path / "other" / "a.emi")
    data_set = n4.load("ser", path, emipath=tmp_path / "other" / "a.emi")
    assert data_set.metadata["instrument"] == "Tecnai 1"
    data_set = n4.load("ser", path, emipath=str(tmp_path / "nothing.emi"))
    assert "nothing.emi: the file cannot be read" in data_set.notices[0]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"JK",
        b"<ObjectInfo>" * 300_000,
        b"<ObjectInfo>" + b"x" * 2**22 + b"</ObjectInfo>",
        b"<ObjectInfo></ObjectInfo>",
        b"<ObjectInfo><AcquireDate>\xff\xfe</AcquireDate></ObjectInfo>",
        b"<ObjectInfo><AcquireDate>Sun Feb 31 99:99:99 2016</AcquireDate></ObjectInfo>",
    ],
)
def test_trouble_in_the_emi_does_not_matter(path, content):
    write_ser(path, images(2))
    path.with_name("scan.emi").write_bytes(content)
    data_set = n4.load("ser", path)
    assert numbers_of(data_set) == [1, 2]
    assert data_set.metadata["timestamp"] == "2015-12-03T12:00:00+00:00"
    assert not data_set.file_notices


@pytest.mark.parametrize("inside", [b"<a>", b'<!DOCTYPE x [<!ENTITY a "b">]>', b"\0"])
def test_xml_of_the_emi_that_is_broken_is_a_notice(path, inside):
    write_ser(path, images(2))
    emi = path.with_name("scan.emi")
    emi.write_bytes(b"JK<ObjectInfo>" + inside + b"</ObjectInfo>")
    data_set = n4.load("ser", path)
    assert numbers_of(data_set) == [1, 2]
    assert str(emi) in data_set.notices[0]


def test_emi_that_cannot_be_read_is_a_notice(path):
    write_ser(path, images(2))
    path.with_name("scan.emi").mkdir()
    assert "cannot be read" in n4.load("ser", path).notices[0]


# Opening the .emi.


def test_emi_opens_its_only_series(path):
    write_ser(path, images(2))
    emi = path.with_name("scan.emi")
    write_emi(emi)
    by_emi = n4.load("auto", emi)
    assert by_emi.files == n4.load("auto", path).files == (path, emi)
    assert by_emi.metadata == n4.load("auto", path).metadata
    assert n4.load("auto", path.parent).files == (path, emi)


def test_emi_of_several_series_lists_them(path):
    emi = path.with_name("scan.emi")
    write_emi(emi)
    with pytest.raises(n4.FormatError, match=r"no \.ser .* expected scan_1\.ser"):
        n4.load("auto", emi)
    for name in ("scan_1.ser", "scan_2.SER", "scan_other_1.ser"):
        write_ser(path.with_name(name), images(2))
    with pytest.raises(n4.FormatError, match=r"2 series .* scan_1\.ser, scan_2\.SER"):
        n4.load("auto", emi)


# Broken files.


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"series": 0x198}, "not a TIA series: found the bytes 49 49 98 01"),
        ({"version": 0x230}, r"unknown version .*\(byte 4\): .* found 0x0230"),
        ({"kind": 0x4121}, r"kind of elements \(byte 6\): .* found 0x4121"),
        ({"valid": 0}, r"no images and no spectra \(byte 18\)"),
        ({"valid": 7}, "more elements are valid .* at most 6, found 7"),
        (
            {"total": 2**32 - 1, "valid": 6},
            "the 4294967295 elements does not lie within",
        ),
        ({"table": 2**63}, "the table of the 6 elements does not lie within"),
        ({"table": 10}, "the table of the 6 elements does not lie within"),
        ({"dimensions": 11}, r"number of scan axes \(byte 30\)"),
        ({"dimensions": 3}, "text in the header has an impossible length"),
    ],
)
def test_impossible_header_is_an_error(path, options, told):
    write_ser(path, images(6), (2, 3), **options)
    with pytest.raises(n4.FormatError, match=told):
        n4.load("ser", path)


def test_big_endian_series_are_refused(path):
    write_ser(path, images(1))
    path.write_bytes(b"MM\x01\x97" + path.read_bytes()[4:])
    with pytest.raises(n4.FormatError, match="byte order of the series is big-endian"):
        n4.load("ser", path)


@pytest.mark.parametrize(
    ("at", "value", "told"),
    [
        (
            40,
            struct.pack("<H", 42),
            "element 0 has an unknown type of pixels .* found 42",
        ),
        (
            40,
            struct.pack("<H", 0),
            "element 0 has an unknown type of pixels .* found 0",
        ),
        (
            42,
            struct.pack("<II", 0, 3),
            "element 0 has an impossible shape .* found 3 x 0",
        ),
        (42, struct.pack("<II", 2**31, 2**31), "impossibly large frames"),
    ],
)
def test_impossible_element_is_an_error(path, at, value, told):
    write_ser(path, images(2))
    content = bytearray(path.read_bytes())
    begin = HEADER + 2 * 16 + at
    content[begin : begin + len(value)] = value
    path.write_bytes(content)
    with pytest.raises(n4.FormatError, match=told):
        n4.load("ser", path)


@pytest.mark.parametrize("count", [3, 2000])
@pytest.mark.parametrize("other", [images(1, (2, 3))[0], images(1).astype("i2")[0]])
def test_element_unlike_the_others_is_named(path, count, other):
    # of many elements those are looked at whose place is odd
    elements = list(images(count))
    elements[1] = other if count == 3 else images(1, (5, 5))[0]
    write_ser(path, elements)
    with pytest.raises(n4.FormatError, match="element 1 differs from the others"):
        n4.load("ser", path)


def test_elements_that_overlap_are_an_error(path):
    write_ser(path, images(4))
    content = bytearray(path.read_bytes())
    place = content[HEADER : HEADER + 8]
    for i in range(4):
        content[HEADER + 8 * i : HEADER + 8 * (i + 1)] = place
    path.write_bytes(content[: HEADER + 8 * 8 + 70])
    with pytest.raises(n4.FormatError, match="the elements overlap"):
        n4.load("ser", path)


def test_series_cut_off_before_its_first_element_is_an_error(path):
    write_ser(path, images(2))
    os.truncate(path, HEADER + 2 * 16 + 49)
    with pytest.raises(n4.FormatError, match="cut off before the first element"):
        n4.load("ser", path)
