"""EMI: what TIA tells about a microscope."""

from __future__ import annotations

import pytest

from napari_4dstem.frames.emi import Acquisition, read_emi
from tests.formats.write_ser import write_emi


@pytest.fixture
def path(tmp_path):
    return tmp_path / "scan.emi"


def inside(text):
    return f"noise<ObjectInfo>{text}</ObjectInfo>noise".encode("latin-1")


def setting(label, value, unit=""):
    return (
        "<ExperimentalDescription><Root><Data>"
        f"<Label>{label}</Label><Value>{value}</Value><Unit>{unit}</Unit>"
        "</Data></Root></ExperimentalDescription>"
    )


def test_settings_come_out_as_text(path):
    write_emi(path)
    header = read_emi(path, 1).header
    assert header["Stage X"] == "-0.159 um"
    assert header["Mode"] == "TEM uP SA Zoom Diffraction"
    assert header["CameraNamePath"] == "WA-Orius"


def test_series_that_it_does_not_know_has_nothing(path):
    write_emi(path, 2)
    assert read_emi(path, 3) == read_emi(path, 0) == Acquisition()


def test_only_a_camera_in_diffraction_mode_shows_a_pattern(path):
    write_emi(path)
    assert read_emi(path, 1).shows_pattern
    write_emi(path, camera="")
    assert not read_emi(path, 1).shows_pattern
    camera = "<AcquireInfo><CameraNamePath/></AcquireInfo>"
    path.write_bytes(inside(camera + setting("Mode", "TEM uP SA Zoom Image")))
    assert not read_emi(path, 1).shows_pattern


@pytest.mark.parametrize(
    ("text", "energy"),
    [
        (setting("High tension", "80", "kV"), 80),
        (setting("High tension", "80 000", "V"), None),
        (setting("High tension", "nan", "kV"), None),
        (setting("High tension", "9" * 5000, "kV"), None),
    ],
)
def test_beam_energy_is_also_among_the_settings(path, text, energy):
    path.write_bytes(inside(text))
    assert read_emi(path, 1).metadata.get("beam_energy_kV") == energy


@pytest.mark.parametrize(
    "date",
    [
        "",
        "Sun Feb 31 17:51:15 2016",
        "Sun Foo 21 17:51:15 2016",
        "21.02.2016 17:51:15",
        f"Sun Feb 21 17:51:15 {'9' * 5000}",
    ],
)
def test_date_that_is_none_is_left_out(path, date):
    path.write_bytes(inside(f"<AcquireDate>{date}</AcquireDate>"))
    acquisition = read_emi(path, 1)
    assert "timestamp" not in acquisition.metadata
    assert acquisition.header.get("AcquireDate", "") == date


def test_sign_that_is_no_utf8_does_not_spoil_the_rest(path):
    path.write_bytes(
        inside(setting("C2", "50", "µm") + "<Manufacturer>FEI</Manufacturer>")
    )
    assert read_emi(path, 1).header == {"C2": "50 \ufffdm", "Manufacturer": "FEI"}
