import os
import signal
import threading
import time

import numpy as np
import pytest

import napari_4dstem as n4
from napari_4dstem.engine.units import units
from tests.engine.test_run import Histogram

distributed = pytest.importorskip(
    "distributed", reason="the extra `cluster` is not installed"
)
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    with (
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            dashboard_address=":0",  # any free port
            local_directory=tmp_path_factory.mktemp("workers"),
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture
def data():
    return np.random.default_rng(0).integers(0, 16, (40, 30, 5, 6)).astype("u2")


@pytest.fixture
def ds(tmp_path, data, monkeypatch):
    np.save(tmp_path / "a.npy", data)
    monkeypatch.setattr("napari_4dstem.engine.units.MIN_UNIT_NBYTES", 2000)
    return n4.load("npy", tmp_path / "a.npy")


class Dying(Histogram):
    """Kills the process of its worker, once."""

    def __init__(self, mark):
        self.mark = mark

    def add(self, state, frames, positions):
        if not self.mark.exists() and 700 in positions:
            self.mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        super().add(state, frames, positions)


class Endless(Histogram):
    def __init__(self, begun):
        self.begun = begun

    def add(self, state, frames, positions):
        self.begun.touch()
        threading.Event().wait(0.5)


def test_cluster_gives_what_threads_give(client, ds):
    roi = np.random.default_rng(1).random((40, 30)) < 0.5
    for mine, theirs in zip(
        n4.run(ds, Histogram(), roi=roi),
        n4.run(ds, Histogram(), roi=roi, scheduler=client),
        strict=True,
    ):
        np.testing.assert_array_equal(mine, theirs)


def test_virtual_image_on_a_cluster_equals_that_of_threads(client, ds):
    ring = n4.Annulus((2, 2.5), 1, 3)
    mine, theirs = (n4.virtual_image(ds, ring, scheduler=s) for s in (None, client))
    np.testing.assert_array_equal(mine, theirs)


def test_cancel_cancels_the_futures(client, ds, tmp_path):
    cancel = threading.Event()
    begun = tmp_path / "begun"

    def stop(done, total):
        if begun.exists():
            cancel.set()

    with pytest.raises(n4.Cancelled):
        n4.run(ds, Endless(begun), scheduler=client, cancel=cancel, progress=stop)
    left = client.run_on_scheduler(
        lambda dask_scheduler: [
            state.key
            for state in dask_scheduler.tasks.values()
            if state.state in ("queued", "waiting", "no-worker")
        ]
    )
    assert left == []


class Slow(Histogram):
    """Leaves a file for every unit it has begun."""

    def __init__(self, folder):
        self.folder = folder

    def add(self, state, frames, positions):
        (self.folder / str(positions[0])).touch()
        time.sleep(0.2)
        super().add(state, frames, positions)


def test_tasks_that_were_cancelled_stop(client, ds, tmp_path, monkeypatch):
    monkeypatch.setattr("napari_4dstem.engine.cluster.TASKS_PER_THREAD", 1)
    folder = tmp_path / "begun"
    folder.mkdir()
    cancel = threading.Event()

    def stop(done, total):
        if any(folder.iterdir()):
            cancel.set()

    with pytest.raises(n4.Cancelled):
        n4.run(ds, Slow(folder), scheduler=client, cancel=cancel, progress=stop)
    n4.virtual_image(ds, n4.Disk((2, 2), 2), scheduler=client)  # waits for them
    work = units(ds.frames, 2)
    assert len(work) == 20
    assert len(list(folder.iterdir())) < len(work) / 2


def test_closed_client_is_refused(ds):
    class Closed:
        status = "closed"
        submit = nthreads = None

    with pytest.raises(n4.FormatError, match="client is closed"):
        n4.sum_frame(ds, scheduler=Closed())


def test_function_that_cannot_be_sent_is_refused(client, ds):
    lock = threading.Lock()
    with pytest.raises(n4.FormatError, match=r"cannot be sent to the workers.*lock"):
        n4.map_frames(ds, lambda frame: lock and 0, scheduler=client)


def test_file_that_a_worker_cannot_see_names_the_worker(client, ds):
    ds.path.unlink()
    with pytest.raises(
        n4.FormatError, match=r"on the worker tcp://.*same path"
    ) as info:
        n4.run(ds, Histogram(), scheduler=client)
    assert info.value.path == str(ds.path)


def test_work_of_a_dead_worker_is_done_again(client, ds, data, tmp_path):
    counts, seen = n4.run(ds, Dying(tmp_path / "died"), scheduler=client)
    assert (tmp_path / "died").exists()
    np.testing.assert_array_equal(counts, np.bincount(data.ravel(), minlength=16))
    np.testing.assert_array_equal(seen, np.arange(1200))


def test_something_that_is_no_client_is_refused(ds):
    with pytest.raises(n4.FormatError, match=r"dask.distributed.Client.*'threads'"):
        n4.run(ds, Histogram(), scheduler="threads")


def test_corrected_dask_array_is_the_same_on_a_cluster(client, tmp_path):
    rng = np.random.default_rng(2)
    np.save(tmp_path / "a.npy", rng.integers(0, 999, (4, 6, 128, 128), "u2"))
    dark, gain = rng.random((2, 128, 128))
    ds = n4.load("npy", tmp_path / "a.npy", corrections={"dark": dark, "gain": gain})
    lazy = ds.to_dask(chunks=(1, 2, -1, -1))
    there = client.compute(lazy).result(timeout=60)
    np.testing.assert_array_equal(there, ds[...])
