import threading
from contextlib import closing

import numpy as np
import pytest

import napari_4dstem as n4
from napari_4dstem import engine
from napari_4dstem.engine import PerFrame
from tests.formats.write_mib import write_series


class Histogram:
    """What a user might write: how often each value occurs, and where frames were."""

    def prepare(self, ds):
        return np.zeros(16, int), []

    def add(self, state, frames, positions):
        counts, seen = state
        assert frames.dtype.isnative
        assert frames.shape[1:] == (5, 6)
        assert len(frames) == len(positions)
        counts += np.bincount(frames.ravel(), minlength=16)
        seen.append(np.array(positions))

    def merge(self, a, b):
        return a[0] + b[0], a[1] + b[1]

    def result(self, state):
        return state[0], np.sort(np.concatenate([[], *state[1]]))


@pytest.fixture
def data():
    return np.random.default_rng(0).integers(0, 16, (40, 30, 5, 6)).astype(">u2")


@pytest.fixture
def ds(data):
    return n4.load("memory", data=data)


@pytest.fixture
def small_units(monkeypatch):
    monkeypatch.setattr("napari_4dstem.engine.units.MIN_UNIT_NBYTES", 2000)


def test_reduction_sees_every_frame_once(ds, data, small_units):
    counts, seen = n4.run(ds, Histogram())
    np.testing.assert_array_equal(counts, np.bincount(data.ravel(), minlength=16))
    np.testing.assert_array_equal(seen, np.arange(1200))


def test_reduction_sees_only_the_region_of_interest(ds, data, small_units):
    roi = np.random.default_rng(1).random((40, 30)) < 0.2
    counts, seen = n4.run(ds, Histogram(), roi=roi)
    np.testing.assert_array_equal(counts, np.bincount(data[roi].ravel(), minlength=16))
    np.testing.assert_array_equal(seen, np.flatnonzero(roi))


@pytest.mark.parametrize(("sync_offset", "flyback"), [(-7, 0), (11, 0), (5, 3)])
def test_reduction_sees_no_frame_that_is_not_there(ds, sync_offset, flyback):
    folded = ds.with_scan(sync_offset=sync_offset, flyback=flyback)
    _, seen = n4.run(folded, Histogram())
    np.testing.assert_array_equal(seen, np.flatnonzero(folded.valid))


def test_reduction_sees_corrected_frames(ds, data):
    dark = np.full((5, 6), 3.0)
    dark[2, 2] = 5

    class Sum(Histogram):
        def prepare(self, ds):
            return np.zeros((5, 6))

        def add(self, state, frames, positions):
            assert frames.dtype == np.float32
            return state + frames.sum(0)

        def merge(self, a, b):
            return a + b

        def result(self, state):
            return state

    found = n4.run(ds.with_corrections(dark=dark), Sum())
    np.testing.assert_allclose(found, (data - dark).sum((0, 1)), rtol=1e-6)


def test_state_without_frames_is_a_result(ds):
    counts, seen = n4.run(ds, Histogram(), roi=np.zeros((40, 30), bool))
    assert not counts.any()
    assert not seen.size


def test_progress_grows_to_the_end(ds, small_units):
    told = []
    n4.run(ds, Histogram(), progress=lambda done, total: told.append((done, total)))
    assert told == sorted(told)
    assert told[-1] == (1200, 1200)
    assert len(told) > 5


def test_cancel_ends_the_work_and_its_threads(ds, small_units):
    cancel = threading.Event()
    running = []

    class Slow(Histogram):
        def add(self, state, frames, positions):
            running.append(threading.current_thread())
            cancel.wait(0.01)

    with pytest.raises(n4.Cancelled):
        n4.run(ds, Slow(), cancel=cancel, progress=lambda done, total: cancel.set())
    assert len(running) < 20
    assert not any(thread.is_alive() for thread in running)


def test_error_of_a_reduction_is_raised_and_ends_the_threads(ds, small_units):
    running = []

    class Broken(Histogram):
        def add(self, state, frames, positions):
            running.append(threading.current_thread())
            raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        n4.run(ds, Broken())
    assert not any(thread.is_alive() for thread in running)


def test_partial_result_is_a_part_of_the_result(ds, data, small_units):
    partial = None
    with closing(engine.stream(ds, Histogram(), order="coarse")) as steps:
        for step in steps:
            if step.done < step.total:
                partial = step.partial()
            else:
                counts, _ = step.result
    assert partial is not None
    assert (partial[0] <= counts).all()
    assert counts.sum() == data.size


@pytest.mark.parametrize("roi", [np.ones((30, 40), bool), np.ones((40, 30))])
def test_region_of_interest_of_another_kind_is_refused(ds, roi):
    with pytest.raises(n4.ShapeError, match=r"bool array of shape \(40, 30\)"):
        n4.run(ds, Histogram(), roi=roi)


def test_map_frames_gives_a_map_of_what_a_function_returns(ds, data):
    blank = ds.with_scan(sync_offset=-5)
    found = n4.map_frames(blank, lambda frame: frame.max(axis=0))
    truth = np.zeros((1200, 6), np.uint16)
    truth[5:] = data.reshape(1200, 5, 6).max(axis=1)[:-5]
    np.testing.assert_array_equal(found, truth.reshape(40, 30, 6))
    assert found.dtype == np.uint16


def test_map_of_no_frames_is_blank(ds):
    found = n4.map_frames(ds, np.sum, roi=np.zeros((40, 30), bool))
    np.testing.assert_array_equal(found, np.zeros((40, 30)))


def test_per_frame_values_go_where_the_frames_are(ds, data, small_units):
    class First(PerFrame):
        def values(self, frames):
            return frames.dense()[:, 0, 0].astype(float)

    found = n4.run(
        ds, First(nav_shape=ds.nav_shape, fill=np.nan), roi=data[..., 0, 0] > 3
    )
    first = data[..., 0, 0].astype(float)
    np.testing.assert_array_equal(found, np.where(first > 3, first, np.nan))


def test_lost_file_of_a_series_raises(tmp_path):
    paths = write_series(tmp_path, np.ones((6, 5, 6), "u2"), [1] * 6)
    ds = n4.load("mib", paths[0])

    ds.files[3].unlink()
    with pytest.raises(n4.FormatError, match="cannot be read"):
        n4.run(ds, Histogram())
