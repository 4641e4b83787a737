import threading
import time
import tracemalloc
from itertools import islice

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import napari_4dstem as n4
from napari_4dstem.live import LiveImages
from tests.formats.write_raw_csr import write_raw_csr
from tests.live.conftest import set_impatient
from tests.live.scans import NAV_SHAPE, SIG_SHAPE, counted, scan

TRUTH = {"sum": n4.virtual_image, "com": n4.center_of_mass}


def last(live, detector, reduction="sum", key=None):
    *_, step = live.steps(detector, reduction, key)
    assert step.is_exact
    return step.image


def move(live, *centers, radius=3):
    for center in centers:
        for _ in live.steps(n4.Disk(center, radius)):
            pass


detectors = st.one_of(
    st.builds(
        n4.Disk,
        st.tuples(st.integers(-1, 9), st.integers(-1, 9)),
        st.integers(0, 6),
    ),
    st.builds(
        lambda center, inner, width: n4.Annulus(center, inner, inner + width),
        st.tuples(st.integers(2, 6), st.integers(2, 6)),
        st.integers(0, 3),
        st.integers(0, 3),
    ),
    st.integers(0, 2**32).map(
        lambda seed: n4.Mask(np.random.default_rng(seed).random(SIG_SHAPE) < 0.4)
    ),
)
geometries = st.fixed_dictionaries(
    {
        "nav_shape": st.sampled_from([(12, 10), (10, 12), (120,), (5, 7), (3, 4, 10)]),
        "sync_offset": st.integers(-20, 20),
        "flyback": st.integers(0, 3),
    }
)


class Walk(RuleBasedStateMachine):
    """Somebody who drags detectors, changes the scan, and never waits."""

    @initialize(
        dtype=st.sampled_from(["?", "u1", ">u2", "i1", ">i4", "u8"]),
        lost=st.sets(st.integers(0, 119), max_size=3),
    )
    def open(self, dtype, lost):
        self.patch = pytest.MonkeyPatch()
        set_impatient(self.patch)
        self.ds, _ = counted(scan(dtype), sorted(lost))
        self.live = LiveImages(self.ds, budget=20000)

    def teardown(self):
        if hasattr(self, "patch"):
            self.patch.undo()

    @rule(
        detector=detectors,
        reduction=st.sampled_from(["sum", "com"]),
        key=st.sampled_from("ab"),
        count=st.integers(1, 8),
    )
    def begin(self, detector, reduction, key, count):
        steps = self.live.steps(detector, reduction, key)
        for step in islice(steps, count):
            shape = self.ds.nav_shape + ((2,) if reduction == "com" else ())
            assert step.image.shape == shape
        steps.close()

    @rule(
        detector=detectors,
        reduction=st.sampled_from(["sum", "com"]),
        key=st.sampled_from("ab"),
    )
    def finish(self, detector, reduction, key):
        image = last(self.live, detector, reduction, key)
        truth = TRUTH[reduction](self.ds, detector)
        assert image.dtype == truth.dtype
        np.testing.assert_array_equal(image, truth)

    @rule(geometry=geometries)
    def refold(self, geometry):
        self.ds = self.ds.with_scan(**geometry)
        self.live.refold(self.ds)

    @rule(count=st.integers(1, 6))
    def prepare(self, count):
        steps = self.live.prepare()
        list(islice(steps, count))
        steps.close()

    @invariant()
    def no_thread_is_left(self):
        assert not [t for t in threading.enumerate() if t.name == "n4-engine"]


TestWalk = Walk.TestCase
TestWalk.settings = settings(max_examples=30, stateful_step_count=12, deadline=None)


@pytest.mark.parametrize("dtype", ["f2", "<f4", ">f8", "c8", ">u2"])
@pytest.mark.parametrize("kind", ["plain", "corrected", "weights"])
@pytest.mark.usefixtures("impatient")
def test_after_any_moves_the_last_image_is_that_of_the_analysis(dtype, kind):
    ds = scan(dtype).with_scan(sync_offset=-3)
    if kind == "corrected" and dtype != "c8":
        bad = np.zeros(SIG_SHAPE, bool)
        bad[3, 4] = True
        ds = ds.with_corrections(dark=np.full(SIG_SHAPE, 0.1), excluded=bad)
    live = LiveImages(ds)
    for i in range(4):
        detector = n4.Annulus((4, 3 + i), 1, 3)
        if kind == "weights":
            detector = n4.Mask(detector.mask(SIG_SHAPE) * 0.7)
        if i == 2:
            list(live.prepare())
        for reduction in ("sum", "com"):
            image = last(live, detector, reduction)
            truth = TRUTH[reduction](ds, detector)
            np.testing.assert_allclose(image, truth, rtol=1e-12, atol=1e-12)


@pytest.mark.usefixtures("impatient")
def test_pixel_that_is_not_a_number_is_gone_when_the_detector_leaves_it():
    data = np.ones((*NAV_SHAPE, *SIG_SHAPE), "f4")
    data[3, 4, 2, 2] = np.nan
    data[5, 5, 2, 2] = np.inf
    live = LiveImages(n4.load("memory", data=data))
    list(live.prepare())
    assert np.isnan(last(live, n4.Disk((2, 2), 1))[3, 4])
    steps = list(live.steps(n4.Disk((6, 5), 1)))
    assert steps[0].how == "preview"
    for step in steps:
        np.testing.assert_array_equal(step.image, np.full(NAV_SHAPE, 5.0))


@pytest.mark.usefixtures("impatient")
def test_sparse_frames(tmp_path):
    rng = np.random.default_rng(0)
    data = rng.poisson(0.2, NAV_SHAPE + SIG_SHAPE).astype("u2")
    write_raw_csr(tmp_path / "scan.toml", data)
    ds = n4.load("raw_csr", tmp_path / "scan.toml")
    live = LiveImages(ds)
    for center in [(4, 4), (4, 5), (2, 3)]:
        detector = n4.Disk(center, 2)
        np.testing.assert_array_equal(
            last(live, detector), n4.virtual_image(ds, detector)
        )
    list(live.prepare())
    first = next(live.steps(n4.Disk((3, 3), 3)))
    assert first.how == "preview"


def test_maximum_within_a_detector():
    ds = scan("i2").with_scan(sync_offset=5)
    live = LiveImages(ds)
    disk = n4.Disk((4, 4), 2)
    truth = ds[:][..., disk.mask(SIG_SHAPE)].max(axis=-1)
    np.testing.assert_array_equal(last(live, disk, "max"), np.where(ds.valid, truth, 0))
    everything = n4.Mask(np.ones(SIG_SHAPE, bool))
    np.testing.assert_array_equal(last(live, everything, "max"), n4.max_image(ds))
    assert not last(live, n4.Disk((50, 50), 2), "max").any()


def test_other_refolded_data_or_reductions_are_refused():
    live = LiveImages(scan())
    with pytest.raises(n4.FormatError, match="same frames"):
        live.refold(scan())
    with pytest.raises(n4.FormatError, match="unknown reduction"):
        next(live.steps(n4.Disk((1, 1), 1), "median"))


@pytest.mark.usefixtures("impatient")
def test_first_image_comes_before_a_tenth_is_read():
    ds, source = counted(scan(nav_shape=(64, 48)))
    first = next(LiveImages(ds).steps(n4.Disk((4, 4), 3)))
    assert first.how == "coarse"
    assert not first.is_exact
    assert 0 < source.count < 64 * 48 / 10


@pytest.mark.usefixtures("impatient")
def test_coarse_image_shows_known_positions_as_blocks():
    data = np.broadcast_to(
        np.arange(32 * 32, dtype="u2").reshape(32, 32, 1, 1), (32, 32, 2, 2)
    )
    ds = n4.load("memory", data=np.array(data))
    live = LiveImages(ds)
    shown = 0
    for step in live.steps(n4.Point((0, 0))):
        known = np.arange(32 * 32).reshape(32, 32)
        right = step.image == known
        if not right[::8, ::8].all():
            continue  # this grid is not read yet
        shown += not step.is_exact
        # all others show the position that their block begins with
        y, x = step.image // 32, step.image % 32
        assert ((y <= known // 32) & (x <= known % 32)).all()
        assert (known // 32 - y).max() < 8
        assert (known % 32 - x).max() < 8
    assert shown
    assert right.all()


@pytest.mark.usefixtures("impatient")
def test_with_a_preview_the_first_image_reads_nothing():
    ds, source = counted(scan(sig_shape=(64, 64)).with_scan(sync_offset=4))
    live = LiveImages(ds, budget=2**20)
    *_, progress = live.prepare()
    assert progress.done == progress.total == 120
    assert live.has_preview
    before = source.count
    disk = n4.Disk((30, 33), 20)
    first = next(live.steps(disk))
    assert first.how == "preview"
    assert source.count == before
    truth = n4.virtual_image(ds, disk)
    assert first.image.dtype == truth.dtype
    np.testing.assert_allclose(first.image, truth, rtol=0.02)
    source.delay_s = 0.002
    right = [(step.image == truth).mean() for step in live.steps(disk)]
    assert right == sorted(right)
    assert len([part for part in right if 0.2 < part < 1]) > 1
    com = next(live.steps(disk, "com")).image
    np.testing.assert_allclose(com, n4.center_of_mass(ds, disk), atol=0.3)


def test_interrupted_preview_reads_each_frame_once(impatient):
    ds, source = counted(scan(nav_shape=(40, 30)), lost=[7, 8])
    live = LiveImages(ds)
    source.delay_s = 0.002
    rounds = 0
    while not live.has_preview:
        steps = live.prepare()
        list(islice(steps, 2 + rounds))
        steps.close()
        # 1198 there are, and two were read to compile
        assert live.has_preview == (source.count == 1200)
        rounds += 1
        assert rounds < 1200
    assert rounds > 1
    before = source.count
    list(live.prepare())
    assert source.count == before
    # bins of one pixel: nothing is lost in them
    first = next(live.steps(n4.Disk((4, 4), 3)))
    assert first.how == "preview"
    np.testing.assert_array_equal(first.image, n4.virtual_image(ds, n4.Disk((4, 4), 3)))


@pytest.mark.usefixtures("impatient")
def test_closed_steps_keep_what_they_did():
    ds, source = counted(scan(nav_shape=(64, 48)))
    live = LiveImages(ds)
    disk = n4.Disk((4, 4), 3)
    list(live.steps(n4.Disk((0, 0), 1), key="compiled"))
    source.count = 0
    steps = live.steps(disk)
    for _ in range(12):
        next(steps)
    steps.close()
    done = source.count
    list(live.steps(disk))
    assert source.count < 1.3 * 64 * 48
    assert done < source.count


@pytest.mark.usefixtures("impatient")
def test_frames_left_behind_at_many_detectors_catch_up():
    ds, source = counted(scan(nav_shape=(64, 48)))
    live = LiveImages(ds)
    last(live, n4.Disk((4, 4), 3))
    left = set()
    source.delay_s = 0.002
    for i in range(14, 2, -1):  # each gets less far than the one before
        mask = np.random.default_rng(i).random(SIG_SHAPE) < 0.5
        steps = live.steps(n4.Mask(mask))
        list(islice(steps, i))
        steps.close()
        left.add(len(np.unique(live._known[None, "sum"].number)))
    assert max(left) > 3
    source.delay_s = 0
    for disk in (n4.Disk((4, 3), 3), n4.Disk((4, 4), 3)):
        np.testing.assert_array_equal(last(live, disk), n4.virtual_image(ds, disk))


def test_difference_is_taken_where_it_touches_less():
    ds = scan(nav_shape=(6, 5), sig_shape=(256, 256))
    live = LiveImages(ds)
    last(live, n4.Disk((128, 128), 100))
    wide = n4.Rectangle((28, 0), (240, 255))
    last(live, wide)
    taller = n4.Rectangle((27, 0), (240, 255))
    *_, step = live.steps(taller)
    assert step.how == "difference"
    np.testing.assert_array_equal(step.image, n4.virtual_image(ds, taller))
    *_, step = live.steps(n4.Disk((0, 0), 3))
    assert step.how == "direct"
    *_, step = live.steps(n4.Disk((0, 0), 3))
    assert step.how == "kept"


def test_refold_reads_nothing():
    ds, source = counted(scan(), lost=[3, 50])
    live = LiveImages(ds)
    disk = n4.Disk((4, 4), 3)
    last(live, disk)
    source.count = 0
    folded = ds.with_scan(nav_shape=(10, 11), sync_offset=-7, flyback=1)
    live.refold(folded)
    [step] = live.steps(disk)
    assert step.how == "kept"
    assert source.count == 0
    np.testing.assert_array_equal(step.image, n4.virtual_image(folded, disk))


@pytest.mark.parametrize("budget", [0, 10**5, 10**6, 10**7])
def test_memory_stays_within_the_budget(budget):
    ds = scan(nav_shape=(100, 100), sig_shape=(20, 24))
    list(LiveImages(ds).steps(n4.Disk((1, 1), 1)))  # compiled
    tracemalloc.start()
    try:
        live = LiveImages(ds, budget)
        list(live.prepare())
        for key in range(30):
            last(live, n4.Disk((4, 4), 3), key=key)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    least = 10_000 * 9 + 4 * 20 * 24
    assert live.nbytes <= max(budget, least)
    # besides: which frames there are, and of which bins
    assert kept <= max(budget, least) + 10**5


def test_scan_beyond_the_budget_shows_every_so_many_frames():
    ds = scan(nav_shape=(100, 100), sig_shape=(32, 32))
    live = LiveImages(ds, 10**6)
    list(live.prepare())
    assert live._preview.every > 1
    live._pace._measured.clear()
    first = next(live.steps(n4.Disk((16, 16), 9)))
    assert first.how == "preview"
    truth = n4.virtual_image(ds, n4.Disk((16, 16), 9))
    kept = np.arange(0, 10_000, live._preview.every)
    np.testing.assert_allclose(first.image.ravel()[kept], truth.ravel()[kept], rtol=0.1)


@pytest.mark.usefixtures("impatient")
def test_preview_is_made_while_detectors_move():
    ds = scan(nav_shape=(64, 48))
    live = LiveImages(ds)
    done = threading.Event()

    def prepare():
        for _ in live.prepare():
            time.sleep(0.001)
        done.set()

    thread = threading.Thread(target=prepare)
    thread.start()
    moves = 0
    while not done.is_set() or moves < 5:
        disk = n4.Disk((moves % 9, 4), 3)
        np.testing.assert_array_equal(last(live, disk), n4.virtual_image(ds, disk))
        moves += 1
    thread.join()
    assert live.has_preview


@pytest.mark.usefixtures("impatient")
def test_after_an_error_the_work_goes_on():
    ds, source = counted(scan(nav_shape=(40, 30)))
    live = LiveImages(ds)
    move(live, (4, 4), (4, 5))
    source.fails = n4.FormatError(None, "cannot be read")
    with pytest.raises(n4.FormatError, match="cannot be read"):
        move(live, (4, 6))
    with pytest.raises(n4.FormatError, match="cannot be read"):
        list(live.prepare())
    source.fails = None
    disk = n4.Disk((4, 6), 3)
    np.testing.assert_array_equal(last(live, disk), n4.virtual_image(ds, disk))


def test_frames_of_one_axis_have_a_preview_too():
    data = np.random.default_rng(0).integers(0, 99, (12, 10, 50)).astype("u1")
    ds = n4.load("memory", data=data, sig_dims=1)
    live = LiveImages(ds)
    list(live.prepare())
    mask = n4.Mask(np.arange(50) % 3 == 0)
    np.testing.assert_array_equal(last(live, mask), n4.virtual_image(ds, mask))


def test_center_of_pixels_of_64_bits_does_not_overflow():
    ds = n4.load("memory", data=np.full((4, 4, 64, 512), 2**40, "i8"))
    live = LiveImages(ds)
    for radius in (3, 4):
        *_, step = live.steps(n4.Disk((31, 255), radius), "com")
        np.testing.assert_allclose(step.image, np.full((4, 4, 2), (31.0, 255.0)))
