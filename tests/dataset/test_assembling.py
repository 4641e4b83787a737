"""What a format says, and what the user says."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import napari_4dstem as n4
from napari_4dstem.axes import Calibration, Sampling
from napari_4dstem.frames.layout import FrameRun
from tests.dataset.cube import CUBE
from tests.formats.contract import assert_is


def test_the_file_says_where_the_scan_begins(described):
    path = described(nav_shape=(2, 4), sync_offset=3)
    frames = CUBE.reshape(12, 5, 6)
    assert n4.load("auto", path).sync_offset == 3
    assert_is(n4.load("auto", path)[0, 0], frames[3])
    for said in (0, -2):
        data_set = n4.load("auto", path, sync_offset=said)
        assert data_set.sync_offset == said
        assert_is(data_set[1, 0], frames[4 + said])


def test_the_file_says_all_else(described, tmp_path):
    beside = tmp_path / "scan.xml"
    beside.touch()
    nm, mrad = Sampling(0.5, "nm"), Sampling(2.0, "mrad")
    path = described(
        nav_shape=(3, 4),
        calibration=Calibration((nm, nm), (mrad, None)),
        metadata={"beam_energy_kV": 200.0, "header": {"detail": 1}},
        companions=(beside,),
        parameters={"knob": 5},
        notices=("The scan shape is guessed.",),
    )
    data_set = n4.load("auto", path)
    assert data_set.calibration.nav == (nm, nm)
    assert data_set.calibration.sig == (mrad, None)
    assert data_set.metadata["beam_energy_kV"] == 200
    assert data_set.files == (path, beside)
    assert data_set.parameters["knob"] == 5
    told = dict(data_set.diagnostics())
    assert told["beam_energy_kV"] == "200.0"
    assert told["calibration nav"] == "0.5 nm, 0.5 nm"
    assert told["calibration sig"] == "2 mrad, unknown"
    assert told["notice"] == "The scan shape is guessed."
    assert "header" not in told


def test_user_knows_better_than_the_format(described):
    path = described(parameters={"knob": 5})
    assert n4.load("toy", path, knob=7).parameters["knob"] == 7


def test_none_is_the_default_unless_the_format_takes_it(described):
    path = described()
    assert "knob" not in n4.load("toy", path, knob=None).own_parameters
    assert n4.load("toy", path, note=None).own_parameters == {"note": None}


@pytest.mark.parametrize("on", [True, False])
def test_corrections_of_the_file_are_applied_as_the_format_says(described, on):
    dark = np.full((5, 6), 1, "f4")
    corrections = n4.Corrections(dark=dark)
    path = described(corrections=corrections, corrections_on=on, nav_shape=(3, 4))
    corrected = CUBE - dark
    data_set = n4.load("toy", path)
    assert data_set.dtype == (np.float32 if on else np.uint16)
    assert_is(data_set[...], corrected if on else CUBE)
    assert_is(n4.load("toy", path, corrections=True)[...], corrected)
    data_set = n4.load("toy", path, corrections=False)
    assert data_set.corrections is None
    assert_is(data_set[...], CUBE)
    assert any("not applied" in notice for notice in data_set.notices)
    data_set = n4.load("toy", path, corrections={"gain": np.full((5, 6), 2)})
    assert_is(data_set[...], CUBE * np.float32(2))


def test_notice_on_corrections_tells_of_those_that_are_applied_now(described):
    dark = np.ones((5, 6), "f4")
    data_set = n4.load("toy", described(corrections=n4.Corrections(dark=dark)))

    def is_told(data_set):
        return any("are not applied" in notice for notice in data_set.notices)

    assert is_told(data_set)
    corrected = data_set.with_corrections(gain=dark)
    assert not is_told(corrected)
    assert is_told(corrected.with_corrections())
    assert not is_told(n4.load("toy", described.path, corrections=True))


def test_corrections_that_are_not_there_are_told(described):
    data_set = n4.load("toy", described(), corrections=True)
    assert data_set.corrections is None
    assert "The data bring no corrections." in data_set.notices
    assert n4.load("toy", described.path).notices == (
        "The scan shape is not known: one line of 12 frames.",
    )


def test_absurd_number_of_lost_frames_is_refused(described):
    run = FrameRun(Path(described()), 4, 60, 10**15)
    absurd = replace(described.layout, runs=(run, replace(run, count=1)))
    tracemalloc.start()
    try:
        with pytest.raises(n4.FormatError, match="far more frames are missing"):
            n4.load("toy", described(frames=absurd))
        assert tracemalloc.get_traced_memory()[1] < 10 * 2**20
    finally:
        tracemalloc.stop()


def test_text_of_a_file_cannot_steer_a_terminal(described):
    path = described(
        notices=("Image 1 is \x1b[2J\0.",), metadata={"instrument": "\x9b"}
    )
    told = n4.load("auto", path).diagnostics()
    assert ("notice", "Image 1 is \ufffd[2J\ufffd.") in told
    assert ("instrument", "\ufffd") in told
