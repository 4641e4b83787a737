"""EMPAD: pixel array detectors of 128 x 128 pixels."""

from __future__ import annotations

import os

import numpy as np
import pytest

import napari_4dstem as n4
from napari_4dstem.formats import FORMATS, unmarked_formats
from tests.formats.contract import Case, FileContract, assert_is
from tests.formats.write_empad import NEW_IOM, OLD_IOM, write_raw, write_xml

FRAME = 130 * 128 * 4
MARKS = np.ones((128, 128), "f4")


def save_raw(folder, scan):
    path = folder / "scan_x4_y3.raw"
    write_xml(folder / "acquisition_1.xml", path.name, scans={"acquire": (4, 3)})
    return {"path": path}, write_raw(path, scan.reshape(-1, 128, 128))


def save_xml(folder, scan):
    return {"path": folder / "acquisition_1.xml"}, save_raw(folder, scan)[1]


class TestRaw(FileContract):
    cases = (Case("raw", "empad", save_raw, dtype="f4", sig_shape=(128, 128)),)


class TestXml(FileContract):
    cases = (Case("xml", "empad", save_xml, dtype="f4", sig_shape=(128, 128)),)
    test_cut_off_at_any_byte = None  # it has no frames


@pytest.fixture
def xml(tmp_path):
    return tmp_path / "a.xml"


def write_frames(path, count):
    """Write frames that tell their number."""
    frames = np.arange(1, count + 1, dtype="f4")[:, None, None] * MARKS
    write_raw(path, frames)
    return frames


def numbers_of(data_set):
    return data_set[..., 5, 7].ravel().tolist()


# Which files belong together.


def test_xml_and_raw_open_the_same(xml, tmp_path):
    raw = tmp_path / "s.raw"
    write_frames(raw, 6)
    write_xml(xml, raw.name, scans={"acquire": (3, 2)}, iom=OLD_IOM)
    by_xml, by_raw = n4.load("auto", xml), n4.load("auto", raw)
    assert by_xml.files == by_raw.files == (raw, xml)
    assert by_xml.nav_shape == by_raw.nav_shape == (2, 3)
    assert by_xml.metadata == by_raw.metadata
    assert by_xml.calibration == by_raw.calibration
    assert n4.load("auto", tmp_path).files == by_xml.files
    assert_is(by_xml[...], by_raw[...])


@pytest.mark.parametrize(
    "name",
    ["/home/empad/1/s.raw", r"C:\empad projects\s.raw", "../s.raw", "S.RAW"],
)
def test_folder_and_case_in_the_name_of_the_raw_file_do_not_count(xml, tmp_path, name):
    write_frames(tmp_path / "s.raw", 4)
    write_frames(tmp_path / "other.raw", 4)
    write_xml(xml, name, scans={"acquire": (2, 2)})
    assert n4.load("auto", xml).files == (tmp_path / "s.raw", xml)
    assert n4.load("auto", tmp_path / "s.raw").files == (tmp_path / "s.raw", xml)


def test_raw_finds_its_xml_among_others(tmp_path):
    write_frames(tmp_path / "s.raw", 4)
    write_xml(tmp_path / "a.xml", "other.raw", scans={"acquire": (4, 1)})
    write_xml(tmp_path / "b.xml", "s.raw", scans={"acquire": (2, 2)})
    (tmp_path / "0.xml").write_text("<raw_file")
    (tmp_path / "1.xml").write_text("<svg/>")
    (tmp_path / "2.xml").write_bytes(b"")
    (tmp_path / "3.xml").mkdir()
    data_set = n4.load("auto", tmp_path / "s.raw")
    assert data_set.nav_shape == (2, 2)
    assert data_set.companions == (tmp_path / "b.xml",)


def test_raw_without_xml_is_not_recognized_but_proposed(tmp_path):
    path = tmp_path / "data.raw"
    write_frames(path, 4)
    with pytest.raises(n4.FormatError, match=r"load\('empad'"):
        n4.load("auto", path)
    assert FORMATS["empad"] in unmarked_formats(path)
    assert FORMATS["empad"].propose(path) == {"nav_shape": (2, 2)}
    named = path.rename(tmp_path / "scan_x1_y4.raw")
    assert FORMATS["empad"].propose(named) == {"nav_shape": (4, 1)}
    os.truncate(named, 3 * FRAME + 1)
    assert FORMATS["empad"] not in unmarked_formats(named)


def test_long_list_of_reconstructions_does_not_hide_the_mark(xml, tmp_path):
    write_frames(tmp_path / "s.raw", 4)
    write_xml(xml, "s.raw", scans={"acquire": (2, 2)}, reconstructions=100)
    assert n4.detect(xml).filetype == "empad"


@pytest.mark.parametrize("text", ["<svg/>", "raw_file", "<root><software_version/>"])
def test_other_xml_is_not_recognized(xml, text):
    xml.write_text(text)
    with pytest.raises(n4.FormatError, match="not recognized"):
        n4.load("auto", xml)


# The scan shape.


@pytest.mark.parametrize(
    ("about", "raw_name", "nav_shape"),
    [
        ({"scans": {"acquire": (6, 2), "search": (3, 4)}}, "s.raw", (2, 6)),
        ({"scans": {"search": (6, 2), "acquire": (5, 5)}}, "s.raw", (2, 6)),
        ({"scans": {"acquire": (9, 9)}, "pixels": (4, 3)}, "s.raw", (3, 4)),
        ({"scans": {"acquire": (9, 9)}}, "scan_x4_y3.raw", (3, 4)),
        ({"kind": None, "scans": {"acquire": (4, 3)}}, "s.raw", (3, 4)),
        ({"kind": "series", "count": 12}, "series_x12.raw", (12,)),
        ({"kind": "series", "count": 12, "scans": {"acquire": (4, 3)}}, "s.raw", (12,)),
        ({"scans": {"acquire": ("4.0", " 3 ")}}, "s.raw", (3, 4)),
        ({}, "s.raw", (12,)),
    ],
)
def test_scan_shape_is_the_one_that_fits_the_file(
    xml, tmp_path, about, raw_name, nav_shape
):
    frames = write_frames(tmp_path / raw_name, 12)
    write_xml(xml, raw_name, **about)
    data_set = n4.load("empad", xml)
    assert data_set.nav_shape == nav_shape
    assert_is(data_set[...].reshape(frames.shape), frames)


@pytest.mark.parametrize(
    ("about", "raw_name", "nav_shape"),
    [
        ({"scans": {"acquire": (128, 128)}, "pixels": (4, 2)}, "s.raw", (2, 4)),
        ({"scans": {"acquire": (64, 64)}}, "scan_x4_y2.raw", (2, 4)),
        ({"scans": {"acquire": (4, 2), "search": (9, 9)}}, "s.raw", (2, 4)),
        ({"kind": "series", "count": 8}, "s.raw", (8,)),
    ],
)
def test_interrupted_scan_is_blank_at_the_end(
    xml, tmp_path, about, raw_name, nav_shape
):
    write_frames(tmp_path / raw_name, 5)
    write_xml(xml, raw_name, **about)
    with pytest.warns(n4.FormatWarning, match="the last 3 are missing"):
        data_set = n4.load("empad", xml)
    assert data_set.nav_shape == nav_shape
    assert numbers_of(data_set) == [1, 2, 3, 4, 5, 0, 0, 0]
    assert any("5 frames. Scan shapes found" in notice for notice in data_set.notices)


def test_more_frames_than_any_scan_shape_need_nav_shape(xml, tmp_path):
    write_frames(tmp_path / "s.raw", 6)
    write_xml(xml, "s.raw", scans={"acquire": (2, 2), "search": (3, 1)})
    with pytest.raises(
        n4.FormatError,
        match=r"6 frames of s\.raw: expected 2 x 2 \(scan_.*acquire\) or 1 x 3",
    ):
        n4.load("empad", xml)
    data_set = n4.load("empad", xml, nav_shape=(3, 2))
    assert numbers_of(data_set) == [1, 2, 3, 4, 5, 6]
    other = data_set.with_scan(nav_shape=(2, 2))
    assert n4.load("empad", xml, **other.parameters).nav_shape == (2, 2)


def test_raw_alone_takes_the_shape_from_its_name_or_one_line(tmp_path):
    path = tmp_path / "scan_x3_y2.raw"
    write_frames(path, 6)
    data_set = n4.load("empad", path)
    assert data_set.nav_shape == (2, 3)
    assert data_set.notices == (
        "The scan shape is the one in the name of the raw file.",
    )
    path = path.rename(tmp_path / "scan_x2_y2.raw")
    assert n4.load("empad", path).nav_shape == (6,)
    assert n4.load("empad", path, nav_shape=(2, 2)).nav_shape == (2, 2)


def test_bytes_after_the_last_whole_frame_are_told(tmp_path):
    path = tmp_path / "s.raw"
    write_frames(path, 2)
    with open(path, "ab") as file:
        file.write(b"more")
    data_set = n4.load("empad", path)
    assert data_set.nav_shape == (2,)
    assert "4 bytes after the last whole frame are ignored." in data_set.notices


# Calibration and metadata.


def test_calibration_of_old_versions(xml, tmp_path):
    write_frames(tmp_path / "s.raw", 6)
    write_xml(xml, "s.raw", scans={"acquire": (2, 3)}, iom=OLD_IOM)
    calibration = n4.load("empad", xml).calibration
    # the field of view is x, y: 400 nm and 600 nm
    assert calibration.nav == (pytest.approx((200, "nm")), pytest.approx((200, "nm")))
    assert calibration.sig == (pytest.approx((0.18, "1/nm")),) * 2


def test_calibration_of_new_versions(xml, tmp_path):
    write_frames(tmp_path / "s.raw", 8)
    write_xml(xml, "s.raw", kind=None, scans={"acquire": (2, 4)}, iom=NEW_IOM)
    data_set = n4.load("empad", xml)
    # 1440 nm / 0.72 is the longer side, of 4 positions
    assert data_set.calibration.nav == (pytest.approx((500, "nm")),) * 2
    assert data_set.calibration.sig == (None, None)
    assert data_set.metadata["camera_length_m"] == 0.369
    assert data_set.metadata["beam_energy_kV"] == 80


def test_metadata(xml, tmp_path):
    write_frames(tmp_path / "s.raw", 6)
    write_xml(xml, "s.raw", scans={"acquire": (2, 3), "search": (9, 9)}, iom=OLD_IOM)
    metadata = n4.load("empad", xml).metadata
    assert metadata["exposure_s"] == 0.0015
    assert metadata["timestamp"] == "2019-06-06T13:30:00.16"
    assert metadata["beam_energy_kV"] == 300
    assert metadata["camera_length_m"] == 0.7225
    header = metadata["header"]
    assert header["software_version"] == "0.51 211118"
    assert header["scan_parameters acquire"]["scan_size"] == "0.6"
    assert header["scan_parameters search"]["scan_resolution_x"] == "9"
    assert header["iom_measurements"]["calibrated_diffraction_angle"] == "0.00043"
    assert len(header["reconstructions"]["reconstruction"]) == 2


@pytest.mark.parametrize(
    "iom",
    [
        OLD_IOM.replace("[4e-07, 6e-07]", "None").replace("1.8e-10", "nan"),
        OLD_IOM.replace("[4e-07, 6e-07]", "[1]").replace("1.8e-10", ""),
        OLD_IOM.replace("[4e-07, 6e-07]", "[0, x]").replace("1.8e-10", "0"),
        NEW_IOM.replace("0.72", "0"),
        NEW_IOM.replace("<x>1.44e-06</x>", ""),
    ],
)
def test_nonsense_instead_of_a_calibration_is_no_calibration(xml, tmp_path, iom):
    write_frames(tmp_path / "s.raw", 6)
    write_xml(xml, "s.raw", scans={"acquire": (2, 3)}, iom=iom)
    calibration = n4.load("empad", xml).calibration
    assert calibration.nav == (None, None)
    assert calibration.sig == (None, None)


# Broken files.


def test_missing_raw_file_is_named(xml, tmp_path):
    write_xml(xml, "/data/s_x2_y2.raw")
    with pytest.raises(n4.FormatError, match=r"s_x2_y2\.raw named .*no \.raw file at"):
        n4.load("empad", xml)
    write_frames(tmp_path / "b.raw", 3)
    write_frames(tmp_path / "c.raw", 4)
    with pytest.raises(n4.FormatError, match=r"2 other .*c\.raw has the size"):
        n4.load("empad", xml)


def test_empty_raw_file_is_named(xml, tmp_path):
    write_xml(xml, "s.raw", scans={"acquire": (2, 2)})
    (tmp_path / "s.raw").touch()
    with pytest.raises(n4.FormatError, match=r"s\.raw: the raw file is empty"):
        n4.load("empad", xml)


def test_raw_file_without_a_whole_frame_is_an_error(tmp_path):
    path = tmp_path / "s.raw"
    write_frames(path, 1)
    os.truncate(path, FRAME - 1)
    with pytest.raises(
        n4.FormatError, match=r"no complete frame: .* found 66559 bytes"
    ):
        n4.load("empad", path)


@pytest.mark.parametrize("number", ["", "many", "0", "-3", "2.5", "nan", "1e99"])
def test_impossible_numbers_are_an_error(xml, tmp_path, number):
    write_frames(tmp_path / "s.raw", 2)
    write_xml(xml, "s.raw", scans={"acquire": (number, 2)})
    with pytest.raises(n4.FormatError, match="impossible number in scan_resolution_x"):
        n4.load("empad", xml)


def test_unknown_type_is_an_error(xml, tmp_path):
    write_frames(tmp_path / "s.raw", 2)
    write_xml(xml, "s.raw", kind="tomogram")
    with pytest.raises(
        n4.FormatError, match=r"unknown type of acquisition .* found tomogram"
    ):
        n4.load("empad", xml)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("<root><raw_file", "is incomplete or damaged"),
        ("<root></root>", "it names no raw file"),
        ("<root><raw_file/></root>", "it names no raw file"),
        ('<root><raw_file filename="/"/></root>', "it names no raw file"),
        ("<root>" + " " * 2**20 + "</root>", "far too long"),
        ('<!DOCTYPE r [<!ENTITY a "b">]><r>&a;</r>', r"is not read \(byte"),
        ('<!DOCTYPE r SYSTEM "http://localhost/x.dtd"><r/>', r"is not read \(byte"),
    ],
)
def test_broken_xml_is_an_error(xml, text, told):
    xml.write_text(text)
    with pytest.raises(n4.FormatError, match=told):
        n4.load("empad", xml)
