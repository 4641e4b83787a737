from itertools import islice

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

import napari_4dstem as n4
from napari_4dstem.live import LivePattern
from tests.live.conftest import set_impatient
from tests.live.scans import NAV_SHAPE, SIG_SHAPE, counted, scan

TRUTH = {
    "mean": n4.mean_frame,
    "sum": n4.sum_frame,
    "max": n4.max_frame,
    "std": n4.std_frame,
}


def region(nav_shape, top, left, height, width):
    roi = np.zeros(nav_shape, bool)
    roi.reshape(-1, nav_shape[-1])[top : top + height, left : left + width] = True
    return roi


def last(live, roi, kind="mean"):
    *_, step = live.steps(roi, kind)
    assert step.is_exact
    return step


sizes = st.tuples(
    st.integers(0, 11), st.integers(0, 9), st.integers(0, 12), st.integers(0, 10)
)
kinds = st.sampled_from(["mean", "sum", "max", "std"])


class Walk(RuleBasedStateMachine):
    """Somebody who drags a region, changes the scan, and never waits."""

    @initialize(
        dtype=st.sampled_from(["?", "u1", ">u2", "i1", ">i4"]),
        lost=st.sets(st.integers(0, 119), max_size=3),
    )
    def open(self, dtype, lost):
        self.patch = pytest.MonkeyPatch()
        set_impatient(self.patch)
        self.ds, _ = counted(scan(dtype), sorted(lost))
        self.live = LivePattern(self.ds)

    def teardown(self):
        if hasattr(self, "patch"):
            self.patch.undo()

    @rule(size=sizes, kind=kinds, count=st.integers(1, 6))
    def begin(self, size, kind, count):
        steps = self.live.steps(region(self.ds.nav_shape, *size), kind)
        for step in islice(steps, count):
            assert step.frame.shape == SIG_SHAPE
        steps.close()

    @rule(size=sizes, kind=kinds)
    def finish(self, size, kind):
        roi = region(self.ds.nav_shape, *size)
        step = last(self.live, roi, kind)
        truth = TRUTH[kind](self.ds, roi)
        assert step.count == np.count_nonzero(roi & self.ds.valid)
        assert step.frame.dtype == truth.dtype
        if kind == "std":
            np.testing.assert_allclose(step.frame, truth, rtol=1e-9, atol=1e-9)
        else:
            np.testing.assert_array_equal(step.frame, truth)

    @rule(
        nav_shape=st.sampled_from([(12, 10), (10, 12), (120,), (5, 7), (3, 4, 10)]),
        sync_offset=st.integers(-20, 20),
        flyback=st.integers(0, 3),
    )
    def refold(self, **geometry):
        self.ds = self.ds.with_scan(**geometry)
        self.live.refold(self.ds)


TestWalk = Walk.TestCase
TestWalk.settings = settings(max_examples=30, stateful_step_count=12, deadline=None)


@pytest.mark.parametrize("dtype", ["f4", ">f8", "c8"])
@pytest.mark.usefixtures("impatient")
def test_floats_do_not_gather_rounding_errors(dtype):
    ds = scan(dtype)
    live = LivePattern(ds)
    for i in range(8):
        roi = region(NAV_SHAPE, i, 1, 4, 7)
        np.testing.assert_allclose(
            last(live, roi).frame, n4.mean_frame(ds, roi), rtol=1e-12, atol=1e-13
        )


def test_frame_that_is_not_a_number_is_gone_when_the_region_leaves_it():
    data = np.ones(NAV_SHAPE + SIG_SHAPE, "f4")
    data[0, 0] = np.nan
    live = LivePattern(n4.load("memory", data=data))
    assert np.isnan(last(live, region(NAV_SHAPE, 0, 0, 4, 4)).frame).all()
    assert (last(live, region(NAV_SHAPE, 1, 0, 4, 4)).frame == 1).all()


def test_corrected_frames():
    ds = scan("u2").with_corrections(dark=np.full(SIG_SHAPE, 10.0))
    live = LivePattern(ds)
    for kind in TRUTH:
        roi = region(NAV_SHAPE, 2, 2, 5, 5)
        np.testing.assert_allclose(last(live, roi, kind).frame, TRUTH[kind](ds, roi))


def test_moved_region_reads_only_what_it_gained_and_lost():
    ds, source = counted(scan(nav_shape=(40, 30)))
    live = LivePattern(ds)
    last(live, region((40, 30), 0, 0, 30, 20))
    source.count = 0
    step = last(live, region((40, 30), 1, 0, 30, 20))
    assert step.how == "difference"
    assert source.count == 40
    source.count = 0
    assert last(live, region((40, 30), 1, 0, 30, 20)).how == "kept"
    assert source.count == 0


def test_first_pattern_of_a_large_region_is_that_of_some_frames(impatient):
    ds, source = counted(scan(nav_shape=(64, 48)))
    live = LivePattern(ds)
    roi = region((64, 48), 2, 3, 60, 40)
    steps = live.steps(roi)
    first = next(steps)
    assert first.how == "subset"
    assert not first.is_exact
    assert first.count < 100
    assert source.count < 100 + 1
    for step in steps:
        assert step.count <= 2400
    assert source.count == 2401  # and one to compile
    np.testing.assert_array_equal(step.frame, n4.mean_frame(ds, roi))


def test_subset_is_spread_over_the_region(impatient):
    y, x = np.indices((64, 48))
    data = np.stack([y, x], axis=-1)[..., np.newaxis, :].astype("u2")
    live = LivePattern(n4.load("memory", data=data))
    first = next(live.steps(region((64, 48), 10, 8, 40, 32)))
    np.testing.assert_allclose(first.frame[0], [29.5, 23.5], atol=6)


def test_after_an_error_the_work_goes_on(impatient):
    ds, source = counted(scan(nav_shape=(40, 30)))
    live = LivePattern(ds)
    roi = region((40, 30), 0, 0, 30, 20)
    last(live, roi)
    source.fails = n4.FormatError(None, "cannot be read")
    moved = region((40, 30), 3, 0, 30, 20)
    with pytest.raises(n4.FormatError, match="cannot be read"):
        last(live, moved)
    source.fails = None
    np.testing.assert_array_equal(last(live, moved).frame, n4.mean_frame(ds, moved))


def test_wrong_region_or_kind_is_refused():
    live = LivePattern(scan())
    with pytest.raises(n4.FormatError, match="does not fit the scan"):
        next(live.steps(np.ones((3, 3), bool)))
    with pytest.raises(n4.FormatError, match="unknown kind"):
        next(live.steps(np.ones(NAV_SHAPE, bool), "median"))


@pytest.mark.parametrize("dtype", ["i8", "u8"])
def test_mean_of_pixels_of_64_bits_does_not_overflow(dtype):
    ds = n4.load("memory", data=np.full((4, 4, 8, 8), 2**62, dtype))
    roi = np.ones((4, 4), bool)
    live = LivePattern(ds)
    np.testing.assert_allclose(last(live, roi).frame, 2.0**62)
    roi[1] = False  # from what is known, or from nothing
    np.testing.assert_allclose(last(live, roi).frame, 2.0**62)
