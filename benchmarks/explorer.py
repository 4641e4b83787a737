"""The Explorer in a real window, under a real mouse: how late what it shows is.

``python -m benchmarks.explorer``; on a machine without a screen
``xvfb-run -a -s "-screen 0 1920x1080x24" python -m benchmarks.explorer``.
The mouse is a process of its own (xdotool, 60 moves a second), which does not wait for
the window; without xdotool Qt's own test mouse moves within the program.

Of each move of the mouse that something was computed for, the time is taken until the
first picture is on the screen that was computed for it or for a later one. *slot*: the
longest that a callback of ours held the window up, with what napari does within it;
*queued*: how long a move waited for the window, before it is counted.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs

import napari_4dstem as n4
from benchmarks import machine
from benchmarks.data_sets import DataSet, save_mib
from benchmarks.drag import GZIP, NPY, PACKED
from benchmarks.watch import Instruments
from benchmarks.window import HZ, Mouse, on_screen, open_explorer, wait, wait_until_idle
from napari_4dstem.gui.explorer import circles

BITS = DataSet(
    "mib R64 1 bit, 128 x 128", "mib", replace(NPY.scan, dtype="u1", top=1),
    "scan.mib", partial(save_mib, kind="R64", depth=1), pixels="*.mib",
)  # fmt: skip
CHOICES = {"npy": NPY, "hdf5": GZIP, "mib": PACKED, "mib-1bit": BITS}
# What issue and manual promise, in ms.
AIMS = {"median": 130, "p95": 250, "beat p95": 100, "beat longest": 250, "slot": 20}
COLUMNS = (
    "moves", "pictures/s", "median", "p95", "beat p95", "beat longest", "slot",
    "painting %", "queued p95",
)  # fmt: skip


def measure(
    data_set: DataSet, cache: Path, size: tuple[int, int], seconds: float
) -> dict[str, Any]:
    """Drag a ring, its edge and the probe over a data set.

    Returns
    -------
    dict
        For each drag its `Watch.numbers`.
    """
    ds = n4.load(data_set.filetype, path=data_set.make(cache), **data_set.arguments())
    began = time.perf_counter()
    viewer, explorer, scan_canvas = open_explorer(ds, size)
    found: dict[str, Any] = {"ready_s": time.perf_counter() - began}
    controller, model = explorer.controller, explorer.view.model
    canvas = explorer.view.canvas
    found["canvases"] = [(c.width(), c.height()) for c in (scan_canvas, canvas)]
    entry = controller.detectors.entries[0]
    scan = data_set.scan
    middle = np.array(scan.center)
    entry.drawing.data = [circles.circle(middle, r) for r in reversed(scan.radii)]
    instruments = Instruments([scan_canvas, canvas])
    for callbacks in (
        entry.drawing.mouse_drag_callbacks, entry.drawing.mouse_move_callbacks,
        controller.patterns.probe.mouse_drag_callbacks,
    ):  # fmt: skip
        callbacks[:] = [instruments.timed(slot) for slot in callbacks]
    wait_until_idle()
    mouse = Mouse()
    inside, edge = scan.sig_shape[0] / 12, scan.radii[1]
    turns = np.linspace(0, 2 * np.pi * seconds / 2, round(seconds * HZ))
    few = turns[: len(turns) // 3]
    circle = np.stack([np.sin(turns), np.cos(turns) - 1], axis=-1)
    swing = np.stack([0 * few, np.sin(few)], axis=-1)
    drags = {
        "ring, moved": inside * circle,
        "ring, its edge": (0, edge) + inside * swing,
        "ring, moved, nothing computed": inside * circle[: len(few)],
        "probe": None,
    }
    for name, path in drags.items():
        if path is None:
            viewer.layers.selection.active = controller.patterns.probe
            start = np.array(controller.patterns.position)
            path = start + scan.nav_shape[0] / 4 * circle[: len(few)]
            watched = controller.patterns.layer, canvas
            dragged = scan_canvas, viewer
        else:
            model.layers.selection.active = entry.drawing
            path = path + circles.circles_of(entry.drawing)[0][0]
            watched = entry.image, scan_canvas
            dragged = canvas, model
        places = [on_screen(*dragged, place) for place in path]
        instruments.is_idle = "nothing" in name
        with instruments.watching(*watched) as watch:
            taken = mouse.drag(dragged[0], places)
        instruments.is_idle = False
        found[name] = watch.numbers(taken)
        wait_until_idle()
        if "nothing" not in name and path is not None and watched[0] is entry.image:
            assert entry.is_exact, "the drag ended without the exact map"
    found["mouse"] = mouse.kind
    instruments.stop()
    viewer.close()
    wait(0.2)
    return found


def table(found: dict[str, Any]) -> str:
    """Return the numbers as a table in Markdown; what misses its aim is marked."""
    lines = ["| ms | " + " | ".join(COLUMNS) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
    for name, drags in found.items():
        for drag, numbers in drags.items():
            if not isinstance(numbers, dict):
                continue
            cells = []
            for column in COLUMNS:
                text = f"{numbers[column]:.0f}"
                is_missed = numbers[column] > AIMS.get(column, np.inf)
                cells.append(f"**{text}** ✗" if is_missed else text)
            lines.append(f"| {name}: {drag} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure what is asked for."""
    given = _arguments()
    found: dict[str, Any] = {}
    for name in given.data:
        chosen = CHOICES[name]
        side, pixels = given.size
        scan = replace(chosen.scan, nav_shape=(side, side), sig_shape=(pixels, pixels))
        sized = chosen.name.replace("128 x 128", f"{pixels} x {pixels}")
        data_set = replace(chosen, name=sized, scan=scan)
        found[data_set.name] = measure(
            data_set, given.cache, tuple(given.window), given.seconds
        )
        sys.stdout.write(table({data_set.name: found[data_set.name]}))
        sys.stdout.flush()
    if given.json:
        results = {"machine": machine.describe(), "explorer": found}
        given.json.write_text(json.dumps(results, indent=1) + "\n")


def _arguments() -> argparse.Namespace:
    cache = Path(platformdirs.user_cache_path("napari-4dstem")) / "benchmarks"
    parser = argparse.ArgumentParser(
        "python -m benchmarks.explorer", description=__doc__
    )
    parser.add_argument(
        "--data", nargs="+", choices=CHOICES, default=["npy", "hdf5", "mib"],
        help="formats (%(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--size", nargs=2, type=int, default=(256, 128), metavar=("SCAN", "DETECTOR"),
        help="positions and pixels along an axis (%(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--seconds", type=float, default=30, help="of the long drag (%(default)s)"
    )
    parser.add_argument(
        "--window", nargs=2, type=int, default=(1280, 800), metavar=("WIDTH", "HEIGHT")
    )
    parser.add_argument("--cache", type=Path, default=cache)
    parser.add_argument("--json", type=Path, help="file for the numbers")
    return parser.parse_args()


if __name__ == "__main__":
    main()
