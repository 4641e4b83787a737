"""Scans that count what is read of them."""

import threading
import time
from dataclasses import replace

import numpy as np

import napari_4dstem as n4

NAV_SHAPE, SIG_SHAPE = (12, 10), (9, 8)


class Counted:
    """A source of frames that counts how many were asked for, and may have lost some.

    ``fails`` is an exception to raise from now on; ``delay_s`` makes it slow.
    """

    def __init__(self, source, lost=()):
        self.source = source
        self.lost = np.asarray(lost, int)
        self.count = 0
        self.fails = None
        self.delay_s = 0
        self._lock = threading.Lock()

    def __getattr__(self, name):
        return getattr(self.source, name)

    @property
    def is_complete(self):
        return not len(self.lost)

    def present(self, frames):
        return ~np.isin(frames, self.lost)

    def batches(self, frames, needed=None):
        assert self.present(frames).all()
        with self._lock:
            self.count += len(frames)
        time.sleep(self.delay_s)
        if self.fails:
            raise self.fails
        yield from self.source.batches(frames, needed)


def counted(ds, lost=()):
    """Return the data set with its frames counted, and the counter."""
    source = Counted(ds.frames.source, lost)
    return replace(ds, frames=replace(ds.frames, source=source)), source


def scan(dtype="u2", nav_shape=NAV_SHAPE, sig_shape=SIG_SHAPE, seed=0):
    """Return a scan of frames in memory, up to the extremes of the type."""
    rng = np.random.default_rng(seed)
    shape, dtype = nav_shape + sig_shape, np.dtype(dtype)
    if dtype.kind in "iu":
        ends = np.iinfo(dtype)
        data = rng.integers(ends.min, ends.max, shape, dtype.newbyteorder("="), True)
        return n4.load("memory", data=data.astype(dtype))
    if dtype.kind == "b":
        return n4.load("memory", data=rng.random(shape) < 0.5)
    data = rng.normal(size=shape) * (1 + 1j if dtype.kind == "c" else 1)
    return n4.load("memory", data=data.astype(dtype))
