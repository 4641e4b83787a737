import numpy as np
import pytest

import napari_4dstem as n4


@pytest.fixture
def array():
    return np.ones((3, 4, 6, 7), "f4")


@pytest.fixture
def ds(array):
    return n4.load("memory", data=array)


@pytest.mark.parametrize(
    "compute",
    [
        n4.sum_frame, n4.mean_frame, n4.std_frame, n4.max_frame, n4.sum_image,
        n4.max_image, n4.center_of_mass, n4.suggest_scan_shapes,
        lambda ds: n4.virtual_image(ds, n4.Disk((1, 1), 2)),
        lambda ds: n4.radial_profile(ds, (1, 1)),
        lambda ds: n4.map_frames(ds, np.sum),
    ],
)  # fmt: skip
@pytest.mark.parametrize("given", [np.ones((2, 2, 3, 3)), None, "scan.mib"])
def test_what_is_no_data_set_is_refused(compute, given):
    with pytest.raises(n4.FormatError, match=r"not a data set: .* load\('memory'"):
        compute(given)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"progress": 5}, "progress cannot be called"),
        ({"cancel": True}, "cancel is no event"),
        ({"scheduler": "threads"}, "not a scheduler"),
    ],
)
def test_what_cannot_tell_or_ask_is_refused(ds, options, message):
    with pytest.raises(n4.FormatError, match=message):
        n4.sum_image(ds, **options)


def test_object_that_is_no_reduction_is_refused_with_what_it_lacks(ds):
    with pytest.raises(n4.FormatError, match="object without prepare, add, merge"):
        n4.run(ds, object())


def test_function_that_writes_into_a_frame_does_not_change_the_data(ds, array):
    def subtract(frame):
        frame -= 1
        return 0

    with pytest.raises(ValueError, match="read-only"):
        n4.map_frames(ds, subtract)
    assert array.all()


def test_function_that_returns_several_shapes_is_refused(ds):
    shapes = iter([*[(1,)] * 7, *[(2,)] * 5])
    with pytest.raises(n4.ShapeError, match=r"\(1,\) for every frame, found \(2,\)"):
        n4.map_frames(ds, lambda frame: np.zeros(next(shapes)))


def test_public_names_of_the_engine_run_step_by_step(ds):
    class Count:
        def prepare(self, ds):
            return 0

        def add(self, state, frames, positions):
            return state + len(frames)

        def merge(self, a, b):
            return a + b

        def result(self, state):
            return state

    *_, last = n4.stream(ds, Count(), order="coarse")
    assert (last.done, last.total, last.result) == (12, 12, 12)


@pytest.mark.parametrize(
    "compute",
    [
        lambda: n4.rotate(np.ones((2, 2, 2)), "a"),
        lambda: n4.rotate(np.ones((2, 2, 2)), 10, "yes"),
        lambda: n4.descan(np.ones((2, 2, 2)), robust="no"),
        lambda: n4.phase([[1, 2], [3]]),
        lambda: n4.Mask([[1, 2], [3]]),
        lambda: n4.color_wheel(np.ones((2, 2, 2)), [1, 2]),
        lambda: n4.estimate_rotation(np.eye(5, 10).reshape(5, 5, 2), valid=np.eye(5)),
    ],
)
def test_arguments_that_mean_nothing_are_refused(compute):
    with pytest.raises(n4.FormatError, match="expected"):
        compute()


def test_masked_pixels_are_not_dropped_in_silence():
    data = np.ma.masked_equal(np.arange(18).reshape(2, 3, 3), 4)
    with pytest.raises(n4.FormatError, match="found 1 masked pixels"):
        n4.load("memory", data=data)
