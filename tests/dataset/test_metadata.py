"""What a file says of the microscope, where it can be true."""

from __future__ import annotations

import math

import numpy as np
import pytest

from napari_4dstem.dataset._metadata import checked_metadata


def test_what_can_be_true_is_kept_as_it_is():
    said = {
        "exposure_s": 0.001,
        "dwell_s": np.float32(0.002),
        "beam_energy_kV": 200,
        "timestamp": "2024-07-02T11:49:15.390226675Z",
        "counter_depth": 12,
        "header": {"gain": 2},
    }
    assert checked_metadata(said) == said


@pytest.mark.parametrize("value", [math.nan, math.inf, "10 ms", None])
def test_a_quantity_that_is_no_number_is_left_to_the_header(value):
    said = {"exposure_s": value, "dwell_s": 1.0, "header": {"gain": 2}}
    found = checked_metadata(said)
    assert found == {"dwell_s": 1.0, "header": {"gain": 2, "exposure_s": value}}


@pytest.mark.parametrize("value", ["2024-07-0211:49", "1000000ns", "Tue Jul 2", 5])
def test_a_time_that_is_none_is_left_to_the_header(value):
    found = checked_metadata({"timestamp": value})
    assert found == {"header": {"timestamp": value}}
