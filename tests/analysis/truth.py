"""The simulated scan whose truth is known.

The folder is not part of this repository. It is looked for where ``N4_SHARED`` says,
else beside the repository. Its README file says what the numbers are.
"""

import json
import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
FOLDER = Path(os.environ.get("N4_SHARED", ROOT.parent / "shared")) / "truth"

needs_truth = pytest.mark.skipif(
    not FOLDER.is_dir(), reason=f"no simulated truth in {FOLDER}: set N4_SHARED"
)


@cache
def truth(name):
    """One of its arrays, read-only."""
    return np.load(FOLDER / f"{name}.npy", mmap_mode="r")


@cache
def facts():
    return json.loads((FOLDER / "truth.json").read_text("utf-8"))
