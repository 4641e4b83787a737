"""What holds for every format: one suite, which a format joins by one line::

class TestNpy(FileContract):
    cases = (Case("npy", save_as_npy), ...)
"""

from __future__ import annotations

import gc
import operator
import os
import pickle
import sys
import threading
import tracemalloc
import warnings
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, ClassVar

import cloudpickle
import numpy as np
import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

import napari_4dstem as n4
from napari_4dstem.frames.file_bytes import choose_backend

NAV_SHAPE = (3, 4)
COUNT = prod(NAV_SHAPE)
# smaller, larger, and of other numbers of axes than the scan as it was recorded
OTHER_SCANS = ((12,), (5,), (17,), (4, 3), (2, 3), (5, 4), (3, 2, 2), (2, 2, 4))
BACKENDS = ("auto", "mmap", "buffered", "direct")

bounded = settings(
    deadline=None,  # the first call may compile
    max_examples=20,
    # one test of the suite runs in the class of every format
    suppress_health_check=[HealthCheck.differing_executors],
)


@dataclass(frozen=True)
class Case:
    """A way to store a scan.

    Attributes
    ----------
    name : str
    filetype : str
        As `load` takes it.
    save : callable
        ``save(folder, scan)`` stores an array of shape (3, 4, *sig_shape) and returns
        the parameters of `load` (``path`` or ``data``, and what only the user knows),
        and for every frame the byte of the file after which it is whole. No bytes:
        cutting the file is tested elsewhere.
    dtype : str
    sig_shape : tuple of int
    top : int
        Pixels are below it, where they are whole numbers.
    """

    name: str
    filetype: str
    save: Callable[[Path, NDArray[Any]], tuple[dict[str, Any], list[int]]]
    dtype: str = "u2"
    sig_shape: tuple[int, ...] = (3, 5)
    top: int = 4000

    def make_scan(self) -> NDArray[Any]:
        """Return pixels of which hardly any is 0, as a missing frame is."""
        rng = np.random.default_rng(len(self.name))
        shape = NAV_SHAPE + self.sig_shape
        dtype = np.dtype(self.dtype)
        if dtype.kind in "iu":
            return rng.integers(1, self.top, shape).astype(dtype)
        scan = rng.normal(size=shape)
        return (scan + 1j * scan[::-1] if dtype.kind == "c" else scan).astype(dtype)


class Stored:
    """The scan of a case, saved in a folder.

    Attributes
    ----------
    case : Case
    parameters : dict
        With which `load` opens it.
    ends : list of int
        See `Case`.
    truth : array
        What it must come out as.
    """

    def __init__(self, case: Case, folder: Path) -> None:
        scan = case.make_scan()
        self.case = case
        self.parameters, self.ends = case.save(folder, scan)
        self.truth = scan.astype(scan.dtype.newbyteorder("="))

    @property
    def path(self) -> Path:
        """The file that is opened."""
        return Path(self.parameters["path"])

    @property
    def frames(self) -> list[NDArray[Any]]:
        """All frames, in the order of recording."""
        return list(self.truth.reshape(-1, *self.case.sig_shape))

    def open(self, **parameters: Any) -> n4.Dataset:
        """Open it, in its own scan shape unless told otherwise."""
        parameters = {"nav_shape": NAV_SHAPE} | self.parameters | parameters
        return n4.load(self.case.filetype, **parameters)

    def wholly_in(self, nbytes: int) -> int:
        """Return how many frames lie in the first bytes of the file."""
        return sum(end <= nbytes for end in self.ends)


def scan_of(
    frames: list[Any],
    nav_shape: tuple[int, ...],
    sync_offset: int = 0,
    flyback: int = 0,
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Fold frames into a scan position by position; None is a lost frame.

    Returns
    -------
    scan : array, shape (*nav_shape, *sig_shape)
    valid : bool array, shape nav_shape
    """
    some = next(frame for frame in frames if frame is not None)
    scan = np.zeros(nav_shape + some.shape, some.dtype.newbyteorder("="))
    valid = np.zeros(nav_shape, bool)
    stream = [None] * max(-sync_offset, 0) + frames[max(sync_offset, 0) :]
    for position in np.ndindex(nav_shape):
        if stream and stream[0] is not None:
            scan[position] = stream[0]
            valid[position] = True
        passed = 1 + (flyback if position[-1] == nav_shape[-1] - 1 else 0)
        stream = stream[passed:]
    return scan, valid


def assert_is(got: NDArray[Any], expected: NDArray[Any]) -> None:
    """Compare values, shape and type."""
    np.testing.assert_array_equal(got, expected)
    assert np.shape(got) == np.shape(expected)
    assert got.dtype == expected.dtype
    assert got.dtype.isnative


def held(files: Iterable[Path]) -> set[Path]:
    """Return which of the files this process has open."""
    opened = psutil.Process().open_files()
    return {Path(file.path) for file in opened} & {file.resolve() for file in files}


def mapped(files: Iterable[Path]) -> set[Path]:
    """Return which of the files are in the memory of this process."""
    if not psutil.LINUX:
        return set()
    # psutil also adds up what is in memory, which takes long
    maps = Path("/proc/self/maps").read_text(errors="replace").splitlines()
    paths = {Path(line.split(maxsplit=5)[-1]) for line in maps}
    return paths & {file.resolve() for file in files}


@st.composite
def indices(draw: st.DrawFn, shape: tuple[int, ...]) -> Any:
    """Draw what numpy takes as an index: also masks and lists of scan positions."""
    basic = hnp.basic_indices(shape, allow_newaxis=False)
    nav, sig = shape[:2], shape[2:]
    sig_part = hnp.basic_indices(sig, allow_newaxis=False)
    kind = draw(st.sampled_from(["basic", "mask", "list", "lists", "sig mask"]))
    if kind == "basic":
        return draw(basic)
    if kind == "sig mask":
        return (..., draw(hnp.arrays(bool, sig)))
    if kind == "mask":
        front: tuple[Any, ...] = (draw(hnp.arrays(bool, nav)),)
    elif kind == "list":
        front = (draw(st.lists(st.integers(-nav[0], nav[0] - 1), min_size=1)),)
        return front
    else:
        pairs = st.tuples(*(st.integers(-n, n - 1) for n in nav))
        front = tuple(np.array(draw(st.lists(pairs, min_size=1))).T)
    rest = draw(sig_part)
    rest = rest if isinstance(rest, tuple) else (rest,)
    # An integer beside a list is a list too for numpy, and moves axes.
    return front + tuple(slice(k, k + 1) if isinstance(k, int) else k for k in rest)


class Contract:
    """What holds for all data. A subclass says in which cases."""

    cases: ClassVar[tuple[Case, ...]]

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run every test for every case of the class."""
        if "case" in metafunc.fixturenames:
            metafunc.parametrize(
                "case", self.cases, ids=lambda case: case.name, scope="class"
            )

    # What a data set says.

    def test_attributes_tell_what_was_stored(self, stored):
        data_set = stored.open(name="gold 3")
        assert data_set.name == "gold 3"
        assert data_set.filetype == stored.case.filetype
        assert data_set.nav_shape == NAV_SHAPE
        assert data_set.sig_shape == stored.case.sig_shape
        assert data_set.shape == stored.truth.shape
        assert data_set.dtype == stored.truth.dtype
        assert data_set.dtype.isnative
        assert data_set.num_stored_frames == COUNT
        assert data_set.sync_offset == 0
        assert data_set.valid.all()
        assert not data_set.valid.flags.writeable
        assert len(data_set.calibration.nav) == len(NAV_SHAPE)
        assert len(data_set.calibration.sig) == len(stored.case.sig_shape)
        assert isinstance(data_set.metadata, dict)
        assert ("nav_shape (y, x)", "3 x 4") in data_set.diagnostics()
        assert str(stored.truth.dtype) in repr(data_set)

    def test_its_parameters_open_it_again(self, stored):
        data_set = stored.open(sync_offset=2, flyback=1, nav_shape=(2, 3))
        again = n4.load(data_set.filetype, data_set.path, **data_set.parameters)
        assert again.parameters.keys() == data_set.parameters.keys()
        assert_is(again[...], data_set[...])

    def test_unknown_parameter_is_an_error_that_lists_the_known(self, stored):
        with pytest.raises(n4.FormatError, match=r"nav_shape, .*sync_offset") as told:
            stored.open(scan_size=(3, 4))
        assert "scan_size" in str(told.value)

    # Slices and scans.

    @bounded
    @given(data=st.data())
    def test_any_index_equals_numpy(self, stored, data):
        key = data.draw(indices(stored.truth.shape))
        assert_is(stored.open()[key], stored.truth[key])

    def test_scan_shapes_with_sync_offset_and_flyback(self, stored):
        data_set = stored.open()
        for nav_shape in (NAV_SHAPE, *OTHER_SCANS):
            for sync_offset in (1 - COUNT, -5, -1, 0, 1, 5, COUNT - 1):
                for flyback in (0, 2):
                    scan, valid = scan_of(
                        stored.frames, nav_shape, sync_offset, flyback
                    )
                    other = data_set.with_scan(nav_shape, sync_offset, flyback)
                    assert_is(other[...], scan)
                    assert_is(other.valid, valid)

    @pytest.mark.filterwarnings("ignore::napari_4dstem.FormatWarning")
    @bounded
    @given(
        nav_shape=st.lists(st.integers(1, 7), min_size=1, max_size=3).map(tuple),
        sync_offset=st.integers(1 - COUNT, COUNT - 1),
        flyback=st.integers(0, 4),
    )
    def test_load_takes_any_scan(self, stored, nav_shape, sync_offset, flyback):
        scan, valid = scan_of(stored.frames, nav_shape, sync_offset, flyback)
        data_set = stored.open(
            nav_shape=nav_shape, sync_offset=sync_offset, flyback=flyback
        )
        assert data_set.sync_offset == sync_offset
        assert_is(data_set[...], scan)
        assert_is(data_set.valid, valid)

    @pytest.mark.parametrize("sync_offset", [COUNT, -COUNT, 10**30])
    def test_sync_offset_out_of_range_is_an_error(self, stored, sync_offset):
        with pytest.raises(n4.FormatError, match=f"between -{COUNT} and {COUNT}"):
            stored.open(sync_offset=sync_offset)
        with pytest.raises(n4.FormatError, match=f"between -{COUNT} and {COUNT}"):
            stored.open().with_scan(sync_offset=sync_offset)

    def test_scan_larger_than_the_data_warns(self, stored):
        with pytest.warns(n4.FormatWarning, match="the last 8 are missing") as told:
            data_set = stored.open(nav_shape=(4, 5))
        assert len(told) == 1
        assert data_set.valid.sum() == COUNT

    def test_absurd_scan_is_an_error(self, stored):
        with pytest.raises(n4.FormatError, match="far larger than the data"):
            stored.open(nav_shape=(2**40, 2**40))

    @pytest.mark.parametrize("nav_shape", [(), (3, 0), (-3, 4), (3, 4.0), "34", 12])
    def test_impossible_scan_shape_is_an_error(self, stored, nav_shape):
        with pytest.raises(n4.FormatError, match="nav_shape"):
            stored.open(nav_shape=nav_shape)

    def test_sig_shape_of_as_many_pixels_reshapes(self, stored):
        sig_shape = (1, prod(stored.case.sig_shape))
        data_set = stored.open(**stored.parameters | {"sig_shape": sig_shape})
        assert_is(data_set[...], stored.truth.reshape(NAV_SHAPE + sig_shape))

    # Lazy.

    def test_dask_equals_eager(self, stored):
        for nav_shape in (NAV_SHAPE, *OTHER_SCANS):
            for sync_offset, flyback in ((0, 0), (-5, 0), (1, 2)):
                data_set = stored.open().with_scan(nav_shape, sync_offset, flyback)
                lazy = data_set.to_dask()
                assert lazy.shape == data_set.shape
                assert lazy.dtype == data_set.dtype
                assert_is(lazy.compute(scheduler="synchronous"), data_set[...])

    @bounded
    @given(data=st.data())
    def test_dask_in_any_chunks_equals_eager(self, stored, data):
        shape = stored.truth.shape
        # at most eight along an axis, however many pixels it has
        chunks = tuple(
            data.draw(st.integers(-(-n // 8), n), label="chunk") for n in shape
        )
        sync_offset = data.draw(st.integers(1 - COUNT, COUNT - 1))
        data_set = stored.open(sync_offset=sync_offset)
        lazy = data_set.to_dask(chunks=chunks)
        assert lazy.chunksize == chunks
        assert_is(lazy.compute(scheduler="synchronous"), data_set[...])

    @bounded
    @given(data=st.data())
    def test_slices_of_dask_equal_numpy(self, stored, data):
        key = data.draw(hnp.basic_indices(stored.truth.shape, allow_newaxis=False))
        lazy = stored.open().to_dask()[key]
        assert_is(np.asarray(lazy.compute(scheduler="synchronous")), stored.truth[key])

    def test_automatic_chunks_hold_whole_frames(self, stored):
        sig_chunks = stored.open().to_dask().chunks[2:]
        assert sig_chunks == tuple((n,) for n in stored.case.sig_shape)

    def test_too_many_chunks_are_an_error(self, stored):
        data_set = stored.open().with_scan(nav_shape=(400, 400))
        with pytest.raises(n4.FormatError, match="at most 100000"):
            data_set.to_dask(chunks=1)
        assert data_set.to_dask().npartitions <= 100_000

    def test_one_frame_out_of_dask_reads_one_frame(self, stored, monkeypatch):
        data_set = stored.open()
        source = type(data_set.frames.source)
        batches, read = source.batches, []

        def counted(self, frames):
            read.append(len(frames))
            return batches(self, frames)

        monkeypatch.setattr(source, "batches", counted)
        lazy = data_set.to_dask()
        assert_is(lazy[1, 2].compute(scheduler="synchronous"), stored.truth[1, 2])
        assert read == [1]
        assert_is(
            lazy[2:, 1:3, 0].compute(scheduler="synchronous"), stored.truth[2:, 1:3, 0]
        )
        assert read == [1, 2]

    # Backends.

    @pytest.mark.parametrize("backend", BACKENDS)
    def test_backends_agree(self, stored, backend):
        try:
            choose_backend(backend, stored.open().files)
        except n4.FormatError as error:
            pytest.skip(str(error))
        data_set = stored.open(io_backend=backend)
        assert_is(data_set[...], stored.truth)
        assert_is(data_set[::-2, 1::2, 1:], stored.truth[::-2, 1::2, 1:])
        assert_is(data_set.to_dask().compute(), stored.truth)
        assert_is(data_set.with_scan(sync_offset=5)[0, 0], stored.truth[1, 1])

    def test_unknown_backend_is_an_error(self, stored):
        with pytest.raises(n4.FormatError, match="'auto', 'mmap', 'buffered'"):
            stored.open(io_backend="magic")

    # Pickles, processes, threads.

    def test_pickle_opens_files_where_it_lands(self, stored, other_process):
        data_set = stored.open(sync_offset=-1)
        there = other_process.submit(operator.getitem, data_set, ...).result()
        assert_is(there, data_set[...])

    def test_dask_works_in_processes(self, stored, other_process: Executor):
        lazy = stored.open().to_dask(chunks=(2, 2, -1, -1))
        there = lazy.compute(scheduler="processes", pool=other_process)
        assert_is(there, stored.truth)

    def test_many_threads_may_slice_at_once(self, stored):
        data_set = stored.open()
        start = threading.Barrier(8)

        def read(seed: int) -> None:
            rng = np.random.default_rng(seed)
            start.wait()
            for y, x in rng.integers(0, NAV_SHAPE, (20, 2)).tolist():
                assert_is(data_set[y, x], stored.truth[y, x])
                assert_is(data_set[y:, :x], stored.truth[y:, :x])

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(read, range(8)))

    def test_opening_and_reading_leaves_nothing_behind(self, stored):
        def objects_left() -> int:
            gc.collect()
            before = sys.getallocatedblocks()
            for _ in range(200):
                assert stored.open()[1, 2].shape == stored.case.sig_shape
            gc.collect()
            return sys.getallocatedblocks() - before

        def open_files() -> set[tuple[str, int]]:
            return {(file.path, file.fd) for file in psutil.Process().open_files()}

        assert stored.open()[...].any()
        before = open_files(), threading.active_count()
        # Caches may grow meanwhile, but not by an object each time.
        assert any(objects_left() < 180 for _ in range(4))
        assert not open_files() - before[0]
        assert threading.active_count() == before[1]


class FileContract(Contract):
    """What holds for all files."""

    def test_detect_knows_the_type(self, stored):
        found = n4.detect(stored.path)
        assert found.filetype == stored.case.filetype
        again = n4.load(found.filetype, stored.path, **found.parameters)
        assert again.num_stored_frames == COUNT

    def test_pickle_is_small(self, stored):
        data_set = stored.open()
        assert data_set[0, 0].any()  # what was read must not stay
        assert len(pickle.dumps(data_set)) < 2048

    def test_dask_tasks_pickle_small(self, stored):
        graph = dict(stored.open().to_dask(chunks=(1, 1, -1, -1)).__dask_graph__())
        assert len(graph) == COUNT
        assert max(len(cloudpickle.dumps(task)) for task in graph.values()) < 2048

    def test_no_file_stays_open(self, stored):
        data_set = stored.open()
        files = [stored.path, *data_set.files]
        lazy = data_set.to_dask()
        everything, frame = data_set[...], lazy[1, 1].compute()
        assert not held(files)
        assert_is(everything[1, 1], frame)
        del data_set, lazy
        gc.collect()
        assert not mapped(files), "maps go with the data set"

    @pytest.mark.parametrize("backend", ["mmap", "buffered"])
    def test_one_file_at_a_time_is_open_while_reading(self, stored, backend):
        data_set = stored.open(io_backend=backend)
        source = data_set.frames.source
        counts = [len(held(data_set.files)) for _ in source.batches(np.arange(COUNT))]
        # none where a batch reads when it is asked for pixels
        assert max(counts) <= 1

    # Broken files.

    def test_cut_off_at_any_byte(self, copied):
        path = copied.path
        size = path.stat().st_size
        # every byte of a small file; of others many, and those around every end
        near = {end + step for end in (0, *copied.ends) for step in (-1, 0, 1)}
        tried = near | set(range(0, size, 1 + size // 300))
        for nbytes in sorted(tried & set(range(size)), reverse=True):
            os.truncate(path, nbytes)
            whole = copied.wholly_in(nbytes)
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always")
                try:
                    data_set = copied.open()
                except n4.FormatError:
                    assert whole == 0, f"{whole} frames are whole at {nbytes} bytes"
                    assert not told
                    continue
            assert whole > 0, f"opened with {nbytes} bytes, which are no whole frame"
            left = [f if i < whole else None for i, f in enumerate(copied.frames)]
            scan, valid = scan_of(left, NAV_SHAPE)
            assert_is(data_set[...], scan)
            assert_is(data_set.valid, valid)
            kinds = [warning.category for warning in told]
            assert kinds == [n4.FormatWarning] * (whole < COUNT)

    @bounded
    @given(
        changes=st.dictionaries(
            st.integers(0, 400),
            st.sampled_from(b"0199999-, \0\xff'{(") | st.integers(0, 255),
        )
    )
    def test_garbled_header_is_an_error_or_opens(self, stored, changes):
        intact = stored.path.read_bytes()
        garbled = bytearray(intact)
        for at, byte in changes.items():
            garbled[at % len(garbled)] = byte
        tracemalloc.start()
        try:
            stored.path.write_bytes(garbled)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", n4.FormatWarning)
                parameters = dict(stored.parameters)
                data_set = n4.load(stored.case.filetype, **parameters)
                assert data_set[(0,) * len(data_set.nav_shape)].shape
                assert data_set.diagnostics()
        except n4.FormatError as error:
            told = str(error)
        else:
            told = str(stored.path)
        finally:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            stored.path.write_bytes(intact)
        assert str(stored.path) in told
        assert peak < 100 * 2**20

    @pytest.mark.parametrize("backend", ["mmap", "buffered", "direct"])
    @pytest.mark.parametrize("loss", ["deleted", "emptied", "halved"])
    def test_file_lost_after_opening_is_an_error(self, copied, backend, loss):
        try:
            choose_backend(backend, (copied.path,))
        except n4.FormatError as error:
            pytest.skip(str(error))
        data_set = copied.open(io_backend=backend)
        lazy = data_set.to_dask()
        victim = data_set.frames.source.files[-1]
        if loss == "deleted":
            victim.unlink()
        else:
            os.truncate(victim, 0 if loss == "emptied" else victim.stat().st_size // 2)
        with pytest.raises(n4.FormatError, match=victim.name):
            data_set[-1, -1]
        with pytest.raises(n4.FormatError, match=victim.name):
            lazy.sum().compute()
        assert data_set.diagnostics()

    def test_missing_file_is_an_error(self, stored):
        path = stored.path.with_name("nothing" + stored.path.suffix)
        with pytest.raises(n4.FormatError, match="does not exist") as told:
            n4.load(stored.case.filetype, **stored.parameters | {"path": path})
        assert str(path) in str(told.value)

    def test_empty_file_is_an_error(self, copied):
        os.truncate(copied.path, 0)
        with pytest.raises(n4.FormatError, match="empty"):
            copied.open()

    def test_folder_is_not_a_file(self, copied):
        copied.path.unlink()
        copied.path.mkdir()
        with pytest.raises(n4.FormatError):
            copied.open()
