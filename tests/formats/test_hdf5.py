"""HDF5: plain files and the layouts that microscopists meet."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import tracemalloc
from functools import partial

import h5py
import hdf5plugin
import numpy as np
import pytest

import napari_4dstem as n4
from napari_4dstem.formats import FORMATS
from napari_4dstem.frames import hdf5_tree
from tests.formats.contract import Case, FileContract, assert_is
from tests.formats.write_hdf5 import (
    write_berkeley,
    write_emd1,
    write_hdf5,
    write_hspy,
    write_master,
    write_nexus,
)

SCAN = np.arange(3 * 4 * 5 * 6, dtype="u2").reshape(3, 4, 5, 6)
FRAMES = SCAN.reshape(-1, 5, 6)
LENGTHS = [(0.5, "[n_m]"), (0.25, "nm"), (0.02, "[1/n_m]"), (0.03, "A^-1")]
SAMPLINGS = ((0.5, "nm"), (0.25, "nm")), ((0.02, "1/nm"), (0.3, "1/nm"))


def save_hdf5(folder, scan, **options):
    path = folder / "scan.h5"
    return {"path": path}, write_hdf5(path, scan, **options)


def save_master(folder, scan):
    path = folder / "scan_master.h5"
    frames = scan.reshape(-1, *scan.shape[2:])
    write_master(path, frames, (5, 4, 3), chunks=(1, 3, 5), **hdf5plugin.Bitshuffle())
    return {"path": path}, []


class TestHdf5(FileContract):
    cases = (
        Case("contiguous", "hdf5", save_hdf5, dtype=">i4"),
        Case(
            "gzip-odd-chunks",
            "hdf5",
            partial(save_hdf5, chunks=(2, 3, 2, 4), compression="gzip", shuffle=True),
            dtype="f4",
        ),
    )


class TestMaster(FileContract):
    cases = (Case("master", "hdf5", save_master),)
    test_cut_off_at_any_byte = None  # of several files
    test_opening_and_reading_leaves_nothing_behind = None  # as TestHdf5, in 10 s


def write(path, **things):
    """Write data sets (arrays), groups (None) and links."""
    with h5py.File(path, "w") as file:
        for name, thing in things.items():
            if thing is None:
                file.create_group(name.replace("__", "/"))
            else:
                file[name.replace("__", "/")] = thing
    return path


def refusal(path, **parameters):
    with pytest.raises(n4.FormatError) as told:
        n4.load("hdf5", path, **parameters)
    return told.value


def approx(axes):
    return tuple(
        axis if axis is None else (pytest.approx(axis[0]), axis[1]) for axis in axes
    )


# Choice.


def test_largest_scan_is_opened_and_the_others_are_told(tmp_path):
    path = write(
        tmp_path / "a.h5",
        image=np.zeros((900, 900)),
        small=np.zeros((2, 2, 2, 2), "f4"),
        deep__scan=SCAN,
        stack=np.zeros((30, 9, 9)),
        text=b"none",
    )
    data = n4.load("auto", path)
    assert_is(data[...], SCAN)
    (notice,) = data.notices
    assert "Opened: 'deep/scan'" in notice
    assert "'small' (2 x 2 x 2 x 2, float32)" in notice
    assert "'stack'" in notice
    assert "image" not in notice
    found = n4.detect(path)
    assert found.parameters["ds_path"] == "deep/scan"


@pytest.mark.parametrize(
    "ds_path", ["b/a scan", "/b/a scan", "b//a scan/", "./b/a scan"]
)
def test_ds_path_may_be_spelled_in_many_ways(tmp_path, ds_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["b/a scan"] = SCAN
        file["larger"] = np.zeros((9, 9, 9, 9))
    data = n4.load("hdf5", tmp_path / "a.h5", ds_path=ds_path)
    assert_is(data[...], SCAN)
    assert not data.notices
    assert data.parameters["ds_path"] == ds_path


def test_colors_are_no_detector(tmp_path):
    path = write(tmp_path / "a.h5", color=np.zeros((99, 99, 3)), frames=FRAMES)
    assert n4.load("hdf5", path).sig_shape == (5, 6)


def test_single_images_of_velox_are_no_scan(tmp_path):
    image = np.arange(30, dtype="u2").reshape(5, 6, 1)
    path = write(tmp_path / "a.emd", Data__Image__1b2c__Data=image)
    error = refusal(path)
    assert "'Data/Image/1b2c/Data' (5 x 6 x 1, uint16)" in error.found
    data = n4.load("hdf5", path, ds_path="Data/Image/1b2c/Data")
    assert_is(data[0], image[..., 0])


@pytest.mark.parametrize("options", [{}, {"chunks": (5, 6, 1)}])
def test_image_series_of_velox_are_stacked_along_the_last_axis(tmp_path, options):
    series = np.moveaxis(FRAMES, 0, -1)
    write_hdf5(tmp_path / "a.emd", series, "Data/Image/1b2c/Data", **options)
    data = n4.load("hdf5", tmp_path / "a.emd")
    assert_is(data[...], FRAMES)
    assert_is(data.to_dask()[4].compute(), FRAMES[4])


def test_links_are_followed_and_circles_left(tmp_path):
    write(tmp_path / "other.h5", here__scan=SCAN)
    path = write(
        tmp_path / "a.h5",
        group=None,
        circle=h5py.SoftLink("/circle"),
        up=h5py.SoftLink("/"),
        nothing=h5py.SoftLink("/not/there"),
        gone=h5py.ExternalLink("gone.h5", "/x"),
        outside=h5py.ExternalLink("other.h5", "/here"),
        me=h5py.ExternalLink("a.h5", "/"),
        alias=h5py.SoftLink("group/soft"),
        group__soft=h5py.SoftLink("../outside/scan"),
        group__same=h5py.SoftLink("/outside"),
    )
    data = n4.load("hdf5", path)
    assert_is(data[...], SCAN)
    assert data.notices == (
        "Missing or damaged, in this file or linked to it: gone.h5.",
    )
    assert data.parameters["ds_path"] == "outside/scan"
    assert [file.name for file in data.files] == ["other.h5", "a.h5"]
    for name in ("outside/scan", "group/same/scan", "up/me/outside/scan"):
        assert_is(n4.load("hdf5", path, ds_path=name)[...], SCAN)
    assert "in a circle" in str(refusal(path, ds_path="circle"))
    other = write(tmp_path / "b.h5", x=h5py.ExternalLink("c.h5", "/x"))
    write(tmp_path / "c.h5", x=h5py.ExternalLink("b.h5", "/x"))
    assert "in a circle" in str(refusal(other))
    assert "'nothing'" in str(refusal(path, ds_path="nothing"))
    assert "gone.h5 is missing" in str(refusal(path, ds_path="gone"))


def test_what_matlab_hides_is_not_shown(tmp_path):
    path = tmp_path / "a.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        file["#refs#/a"] = np.zeros((9, 9, 9, 9))
        file["dp"] = SCAN
        file["dp"].attrs["MATLAB_class"] = np.bytes_("uint16")
    data = n4.load("auto", path)
    assert_is(data[...], SCAN)
    (notice,) = data.notices
    assert "reverse order" in notice


def test_file_without_scan_says_what_is_there(tmp_path):
    error = refusal(write(tmp_path / "a.h5", b=np.zeros((2, 3)), c=np.zeros(7)))
    assert "no data set with 3 or more dimensions" in str(error)
    assert error.found == "'c' (7, float64), 'b' (2 x 3, float64)"
    error = refusal(
        write(tmp_path / "a.h5", **{f"d{i}": np.zeros(i) for i in range(9)})
    )
    assert error.found.endswith(" and 3 more")
    assert "no numbers" in str(refusal(write(tmp_path / "a.h5", group=None)))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nope", "no data set 'nope'"),
        ("g", "'g' is a group"),
        ("/", "'' is a group"),
        ("g/scan/x", "no data set 'g/scan/x'"),
        ("kind", "'kind' is a data type"),
    ],
)
def test_wrong_ds_path_lists_what_there_is(tmp_path, name, said):
    path = write(tmp_path / "a.h5", g__scan=SCAN, kind=np.dtype("u2"))
    error = refusal(path, ds_path=name)
    assert said in str(error)
    assert "'g/scan' (3 x 4 x 5 x 6, uint16)" in error.expected
    assert error.parameter == "ds_path"


def test_search_of_a_huge_file_is_stopped(tmp_path, monkeypatch):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for i in range(500):
            file.create_group(f"many/{i}")
        file["scans/a"] = SCAN
        file["zoo/c"] = np.zeros((9, 9, 9, 9))
    ticks = iter(range(10**6))
    monkeypatch.setattr(hdf5_tree, "MAX_SECONDS", 400)
    monkeypatch.setattr(hdf5_tree.time, "monotonic", lambda: next(ticks))
    data = n4.load("hdf5", tmp_path / "a.h5")
    assert data.shape == (9, 9, 9, 9)
    assert any("search for data sets was stopped" in notice for notice in data.notices)
    ticks = iter(range(10**6))
    assert n4.load("hdf5", tmp_path / "a.h5", ds_path="zoo/c").shape == (9, 9, 9, 9)


def choices(path):
    return FORMATS["hdf5"].choices(path).get("ds_path", [])


def test_form_is_offered_what_there_is(tmp_path):
    path = write(
        tmp_path / "a.h5",
        image=np.zeros((900, 900)),
        a__scan=SCAN,
        b__scan=np.zeros((2, 2, 2, 2, 5)),
        stack=np.zeros((30, 9, 9)),
    )
    assert [(c.label, c.is_likely) for c in choices(path)] == [
        ("a/scan  (3, 4 | 5, 6) uint16", True),
        ("b/scan  (2, 2, 2 | 2, 5) float64", True),
        ("stack  (30 | 9, 9) float64", False),
    ]
    for choice in choices(path):
        n4.load("hdf5", path, ds_path=choice.value)


def test_form_is_offered_nothing_where_there_is_no_choice(tmp_path):
    assert not choices(write(tmp_path / "a.h5", scan=SCAN, image=np.zeros((9, 9))))
    (tmp_path / "a.h5").write_bytes(b"nothing")
    assert not choices(tmp_path / "a.h5")
    assert not choices(tmp_path / "none.h5")
    path, parts = write_arina(tmp_path)
    assert not choices(path)
    assert not choices(parts[0])


def test_member_whose_name_is_no_text_is_left_out(tmp_path):
    path = write(tmp_path / "a.h5", scan=SCAN)
    with h5py.File(path, "r+") as file:
        file[b"\xff\xfe"] = np.zeros((9, 9, 9, 9))
    assert_is(n4.load("hdf5", path)[...], SCAN)


@pytest.mark.parametrize("sig_dims", [1, 2, 3])
def test_sig_dims_says_which_axes_are_the_frame(tmp_path, sig_dims):
    path = write(tmp_path / "a.h5", scan=SCAN, small=np.zeros((2, 2, 2)))
    data = n4.load("hdf5", path, sig_dims=sig_dims)
    assert data.sig_shape == SCAN.shape[-sig_dims:]
    assert_is(data[...], SCAN)


def test_impossible_sig_dims_is_refused(tmp_path):
    path = write(tmp_path / "a.h5", scan=SCAN)
    assert "how many axes a frame has" in str(refusal(path, sig_dims=0))
    assert "5 or more dimensions" in str(refusal(path, sig_dims=4))
    assert "no axis" in str(refusal(path, sig_dims=4, ds_path="scan"))


# Layouts.


def test_berkeley_emd_is_calibrated(tmp_path):
    write_berkeley(tmp_path / "a.emd", SCAN, LENGTHS)
    data = n4.load("auto", tmp_path / "a.emd")
    assert_is(data[...], SCAN)
    assert data.calibration.nav == approx(SAMPLINGS[0])
    assert data.calibration.sig == approx(SAMPLINGS[1])
    assert data.metadata["beam_energy_kV"] == 200
    assert data.metadata["header"]["experiment/cube/dim1/units"] == "[n_m]"


@pytest.mark.parametrize("holder", ["cube_root", "cube_root/cube"])
def test_calibration_of_py4dstem_counts_more_than_axes(tmp_path, holder):
    calibration = {
        "Q_pixel_size": 0.05, "Q_pixel_units": "A^-1", "R_pixel_size": 3.0,
        "R_pixel_units": "A",
    }  # fmt: skip
    axes = [(1, "pixels")] * 4
    write_emd1(tmp_path / "a.h5", SCAN, axes, calibration, holder)
    data = n4.load("auto", tmp_path / "a.h5")
    assert data.calibration.nav == approx([(0.3, "nm")] * 2)
    assert data.calibration.sig == approx([(0.5, "1/nm")] * 2)


def test_pixels_are_no_unit(tmp_path):
    calibration = {"Q_pixel_size": 1.0, "Q_pixel_units": "pixels"}
    axes = [(2, "nm"), (2, "nm"), (1, "pixels"), (1, "pixels")]
    write_emd1(tmp_path / "a.h5", SCAN, axes, calibration)
    data = n4.load("auto", tmp_path / "a.h5")
    assert data.calibration.nav == approx([(2, "nm")] * 2)
    assert data.calibration.sig == (None, None)


def test_hyperspy_file_is_calibrated_and_tells_the_microscope(tmp_path):
    write_hspy(tmp_path / "a.hspy", SCAN, LENGTHS)
    data = n4.load("auto", tmp_path / "a.hspy")
    assert_is(data[...], SCAN)
    assert data.calibration.nav == approx(SAMPLINGS[0])
    assert data.calibration.sig == approx(SAMPLINGS[1])
    expected = {
        "beam_energy_kV": 300, "camera_length_m": 0.115, "instrument": "Titan",
        "timestamp": "2026-03-04T05:06:07",
    }  # fmt: skip
    assert expected.items() <= data.metadata.items()
    assert not data.notices


def test_hyperspy_says_that_a_frame_has_one_axis(tmp_path):
    write_hspy(tmp_path / "a.hspy", SCAN, LENGTHS, signal_ndim=1)
    (notice,) = n4.load("auto", tmp_path / "a.hspy").notices
    assert "sig_dims=1" in notice
    (notice,) = n4.load("auto", tmp_path / "a.hspy", sig_dims=1).notices
    assert "sig_dims" not in notice


def test_nexus_signal_may_be_a_link(tmp_path):
    write_nexus(tmp_path / "a.nxs", SCAN, LENGTHS)
    data = n4.load("auto", tmp_path / "a.nxs")
    assert_is(data[...], SCAN)
    assert data.parameters["ds_path"] == "entry/plot/data"
    assert data.metadata["exposure_s"] == pytest.approx(2.5e-3)
    assert data.metadata["timestamp"] == "2026-03-04T05:06:07Z"
    assert data.calibration.nav == approx(SAMPLINGS[0])
    assert data.calibration.sig == approx(SAMPLINGS[1])


@pytest.mark.parametrize("values", [["a", "b"], [1.0], [[1, 2]], [np.nan, 1], [0, 0]])
def test_axes_that_tell_nothing(tmp_path, values):
    write_berkeley(tmp_path / "a.emd", SCAN, LENGTHS)
    with h5py.File(tmp_path / "a.emd", "r+") as file:
        del file["experiment/cube/dim1"]
        file["experiment/cube/dim1"] = values
        file["experiment/cube/dim1"].attrs["units"] = "nm"
    nav = n4.load("hdf5", tmp_path / "a.emd").calibration.nav
    assert nav == (None, *approx(SAMPLINGS[0][1:]))


def test_facts_are_few_and_small(tmp_path, monkeypatch):
    monkeypatch.setattr(hdf5_tree, "MAX_SECONDS", 60)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["scan"] = SCAN
        file.attrs["long"] = "x" * 5000
        file.attrs["list"] = np.arange(5000)
        file.attrs["number"] = np.float32(0.5)
        for i in range(2000):
            file.create_group(f"group {i:04d}").attrs["i"] = i
    header = n4.load("hdf5", tmp_path / "a.h5").metadata["header"]
    assert header["number"] == 0.5
    assert "list" not in header
    assert len(header["long"]) == 1000
    assert len(header) < 600


# Dectris.


def write_arina(folder, counts=(5, 4, 3), **facts):
    path = folder / "scan_master.h5"
    parts = write_master(path, FRAMES, counts, chunks=(1, 5, 6), **facts)
    return path, parts


def test_master_has_the_frames_of_all_parts(tmp_path):
    path, parts = write_arina(tmp_path)
    data = n4.load("auto", path)
    assert data.nav_shape == (12,)
    assert_is(data[...], FRAMES)
    assert list(data.files) == [*parts, path]
    expected = {
        "exposure_s": 4.9e-5, "dwell_s": 5e-5, "instrument": "Dectris ARINA Si",
        "beam_energy_kV": 80, "timestamp": "2025-05-03T01:51:00.302+02:00",
    }  # fmt: skip
    assert expected.items() <= data.metadata.items()
    part = n4.load("hdf5", path, ds_path="entry/data/data_000002")
    assert_is(part[...], FRAMES[5:9])


def test_any_part_and_the_folder_open_the_whole(tmp_path):
    path, parts = write_arina(tmp_path, scan={"NumPixelsX": 4, "NumPixelsY": 3})
    for member in (path, *parts, tmp_path / "scan.h5", tmp_path):
        data = n4.load("auto", member)
        assert_is(data[...], SCAN)
        assert set(data.files) == {path, *parts, tmp_path / "scan.h5"}
    found = n4.detect(parts[1])
    assert_is(n4.load("hdf5", parts[1], **found.parameters)[...], SCAN)
    alone = n4.load("hdf5", parts[1], ds_path="entry/data/data")
    assert_is(alone[...], FRAMES[5:9])


def test_part_of_no_master_is_opened_alone(tmp_path):
    path, parts = write_arina(tmp_path)
    path.unlink()
    assert_is(n4.load("auto", parts[1])[...], FRAMES[5:9])
    write(path, entry__data=np.zeros(3))
    assert_is(n4.load("auto", parts[1])[...], FRAMES[5:9])


def test_master_of_a_square_number_of_frames_is_guessed_square(tmp_path):
    path = tmp_path / "a_master.h5"
    write_master(path, FRAMES[:9], (9,))
    data = n4.load("hdf5", path)
    assert data.nav_shape == (3, 3)
    assert "guessed a square" in data.notices[0]


def test_scan_facts_beside_a_master(tmp_path):
    facts = {
        "NumPixelsX": np.array([4]), "NumPixelsY": np.array([3]),
        "Pixel Size": np.array([0.13]), "Camera Length": np.array([0.115]),
        "High Tension": np.array([300000.0]),
    }  # fmt: skip
    path, _ = write_arina(tmp_path, scan=facts)
    data = n4.load("hdf5", path)
    assert data.nav_shape == (3, 4)
    assert data.calibration.nav == approx([(0.13, "nm")] * 2)
    assert data.metadata["camera_length_m"] == pytest.approx(0.115)
    assert data.metadata["beam_energy_kV"] == 300


@pytest.mark.parametrize(
    ("x", "y", "nav_shape"), [(3, 3, (3, 3)), (0, 4, (12,)), (2**40, 2**40, (12,))]
)
def test_scan_facts_that_do_not_fit(tmp_path, x, y, nav_shape):
    path, _ = write_arina(tmp_path, scan={"NumPixelsX": x, "NumPixelsY": y})
    assert n4.load("hdf5", path).nav_shape == nav_shape


def test_interrupted_acquisition_has_blank_frames_at_the_end(tmp_path):
    path, _ = write_arina(tmp_path, declared=16)
    with pytest.warns(n4.FormatWarning, match="the last 4 are missing"):
        data = n4.load("hdf5", path)
    assert data.nav_shape == (4, 4)
    assert data.valid.sum() == 12


@pytest.mark.parametrize("declared", [2**62, 0, 1])
def test_absurd_number_of_triggers_is_ignored(tmp_path, declared):
    path, _ = write_arina(tmp_path, declared=declared)
    assert n4.load("hdf5", path).nav_shape == (12,)


def test_missing_part_is_named_and_keeps_its_place(tmp_path):
    path, parts = write_arina(tmp_path, (4, 4, 4))
    parts[1].unlink()
    with pytest.warns(n4.FormatWarning, match=r"blank: scan_data_000002\.h5"):
        data = n4.load("hdf5", path)
    assert data.valid.tolist() == [True] * 4 + [False] * 4 + [True] * 4
    assert_is(data[8:], FRAMES[8:])
    parts[2].unlink()
    with pytest.warns(
        n4.FormatWarning, match=r"scan_data_000002\.h5, scan_data_000003"
    ):
        data = n4.load("hdf5", path)
    assert data.valid.tolist() == [True] * 4 + [False] * 8
    parts[0].unlink()
    assert "scan_data_000001.h5 is missing" in str(refusal(path))


def test_search_that_was_stopped_loses_no_part(tmp_path, monkeypatch):
    path, _ = write_arina(tmp_path, (1,) * 12)
    ticks = iter(range(10**6))
    monkeypatch.setattr(hdf5_tree, "MAX_SECONDS", 12)
    monkeypatch.setattr(hdf5_tree.time, "monotonic", lambda: next(ticks))
    data = n4.load("hdf5", path)
    assert_is(data[...], FRAMES)
    assert any("search for data sets was stopped" in notice for notice in data.notices)


def test_damaged_part_is_named(tmp_path):
    path, parts = write_arina(tmp_path, (6, 6))
    os.truncate(parts[1], 1000)
    with pytest.warns(n4.FormatWarning, match=r"damaged.*scan_data_000002\.h5"):
        data = n4.load("hdf5", path)
    assert data.valid.sum() == 6
    os.truncate(parts[0], 1000)
    assert "truncated" in str(refusal(path))


def test_part_of_other_frames_is_refused(tmp_path):
    path, parts = write_arina(tmp_path)
    write_hdf5(parts[2], np.zeros((3, 7, 7), "u2"), "entry/data/data")
    error = refusal(path)
    assert "'entry/data/data_000003' does not fit" in str(error)
    assert error.expected == "frames of 5 x 6, uint16"
    assert error.found == "7 x 7, uint16"


def test_pixel_mask_is_offered(tmp_path):
    mask = np.zeros((5, 6), "u4")
    mask[2, 3] = 8
    path, _ = write_arina(tmp_path, mask=mask)
    data = n4.load("hdf5", path)
    assert_is(data[...], FRAMES)
    assert any("1 excluded pixels" in notice for notice in data.notices)
    corrected = n4.load("hdf5", path, corrections=True)
    assert corrected.dtype == np.float32
    neighbors = FRAMES[0, 1:4, 2:5].astype("f4")
    mean = (neighbors.sum() - neighbors[1, 1]) / 8
    assert corrected[0][2, 3] == pytest.approx(mean)


def test_parts_in_a_row_are_mapped(tmp_path):
    path = tmp_path / "a_master.h5"
    write_master(path, FRAMES, (6, 6))  # contiguous
    batches = list(n4.load("hdf5", path).frames.source.batches(np.arange(12)))
    assert [len(batch.frames) for _, batch in batches] == [6, 6]


# Chunks.


def test_dask_chunks_follow_those_of_the_file(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("d", (200, 300, 64, 64), "f8", chunks=(6, 7, 64, 64))
    data = n4.load("hdf5", tmp_path / "a.h5")
    chunks = data.to_dask().chunksize
    assert (chunks[0] % 6, chunks[1] % 7, *chunks[2:]) == (0, 0, 64, 64)
    assert data.with_scan(nav_shape=(60_000,)).to_dask().chunksize[0] % 7 == 0


def test_chunks_that_make_frames_slow_are_told(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("d", (512, 512, 64, 64), "u2", chunks=(512, 512, 1, 1))
    (notice,) = n4.load("hdf5", tmp_path / "a.h5").notices
    assert "512 x 512 scan positions" in notice
    assert "2147 MB" in notice


def test_absurd_scan_opens_and_shows_a_frame_at_once(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset(
            "d", (2**20, 2**20, 256, 256), "u2", chunks=(1, 1, 256, 256), fillvalue=3
        )
    tracemalloc.start()
    begin = time.process_time()
    data = n4.load("hdf5", tmp_path / "a.h5")
    assert (data[10**6, 5] == 3).all()
    assert (data.to_dask()[5, 10**6].compute() == 3).all()
    assert time.process_time() - begin < 5
    assert tracemalloc.get_traced_memory()[1] < 20 * 2**20
    tracemalloc.stop()


def test_reading_other_files_loads_no_hdf5(tmp_path):
    np.save(tmp_path / "a.npy", SCAN)
    code = (
        "import sys, napari_4dstem as n4\n"
        "import napari_4dstem.formats.hdf5\n"
        "n4.load('auto', sys.argv[1])[1, 2]\n"
        "assert not {'h5py', 'hdf5plugin', 'imagecodecs'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.npy")], check=True)
