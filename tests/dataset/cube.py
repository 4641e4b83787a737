"""What the files of these tests hold."""

from __future__ import annotations

import numpy as np

# 3 x 4 frames of 5 x 6 pixels, none of them 0
CUBE = np.arange(1, 361, dtype="u2").reshape(3, 4, 5, 6)
