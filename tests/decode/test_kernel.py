import subprocess
import sys

import numpy as np
import pytest

from napari_4dstem.decode import kernel

ADD_UP = """
def add_up(values, out):
    for i in range(values.size):
        out[0] += values[i]
"""


def loop_without_a_source_file():
    """Without a file there is no place where numba would keep what it compiled."""
    names = {}
    exec(compile(ADD_UP, "<no file>", "exec"), names)
    return names["add_up"]


@pytest.mark.parametrize(
    "decorate", [kernel, kernel("void(Array(int64, 1, 'A', readonly=True), int64[:])")]
)
def test_kernel_compiles_where_nothing_can_be_cached(decorate):
    add_up = decorate(loop_without_a_source_file())
    out = np.zeros(1, np.int64)
    add_up(np.arange(5), out)
    assert out == [10]
    assert add_up.targetoptions["nogil"]


def test_kernel_with_signature_is_compiled_once():
    add_up = kernel("void(Array(int64, 1, 'A', readonly=True), int64[:])")(
        loop_without_a_source_file()
    )
    values = np.arange(6)
    values.flags.writeable = False
    out = np.zeros(1, np.int64)
    for argument in (values, values[::2], values.copy()):
        out[:] = 0
        add_up(argument, out)
        assert out == argument.sum()
    assert len(add_up.signatures) == 1


@pytest.mark.parametrize(
    "module", ["decode", "decode.r64", "frames.masks", "frames.accumulators"]
)
def test_numba_is_imported_with_the_first_kernel_only(module):
    code = f"import sys, napari_4dstem.{module}; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
