"""What was measured, as a table, as JSON and as a plot."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ANALYSES = ("annulus", "full", "five", "com", "std")
# analysis: at least so many times the limit, for these data sets
U2_AIMS = {"annulus": 0.8, "full": 0.6, "com": 0.45}
U1_AIMS = {"annulus": 0.65, "full": 0.55}
F4_AIMS = {"annulus": 0.7, "full": 0.6}
WANTED: dict[str, dict[str, float]] = {
    "npy u2": U2_AIMS,
    "raw u2": U2_AIMS,
    "mib U16": U2_AIMS,
    "ser u2": U2_AIMS,
    "seq u2": U2_AIMS,
    "mrc u2": U2_AIMS,
    "tvips u2": U2_AIMS,
    "dm4 u2": U2_AIMS,
    "npy u1": U1_AIMS,
    "raw u1": U1_AIMS,
    "mib U08": U1_AIMS,
    "blo u1": U1_AIMS,
    "raw f4": F4_AIMS,
    "empad f4": F4_AIMS,
    "mib R64 12 bit": U2_AIMS,
    "mib R64 6 bit": U1_AIMS,
    "mib R64 1 bit": {"annulus": 4},
    "k2is": {"annulus": 0.8, "full": 0.35},
    "hdf5 contiguous": {"annulus": 0.5},
    "hdf5 chunks": {"annulus": 0.5},
}
EVENTS_PER_S = 200e6
FIVE_OVER_ONE = 1.5
OF_CODEC = 0.7
OVER_PEER = 4.0
PRIVATE_NBYTES = 400e6
PREVIEW = 2**28
NEVER_COMPILED_S, COMPILED_S = 5.0, 1.0
PREVIEW_S, DISK, ANNULUS, REFOLD_S = 0.033, 0.3, 1.2, 0.005

Results = Mapping[str, Any]


def tables(results: Results) -> str:
    """Return everything as tables in Markdown; what is below its aim is marked."""
    parts = [_machine(results), _analyses(results), _others(results)]
    if any("peers" in of for of in results["data_sets"].values()):
        parts.append(_peers(results))
    if any("fresh" in of for of in results["data_sets"].values()):
        parts.append(_fresh(results))
    parts.append(_live(results))
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(head: tuple[str, ...], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in [list(head), *rows]]
    lines.insert(1, "|---" + "|---:" * (len(head) - 1) + "|")
    return "\n".join(lines)


def _marked(text: str, good: bool) -> str:
    return text if good else f"**{text}** ✗"


def _machine(results: Results) -> str:
    of = results["machine"]
    return (
        f"{of['processor']}, {of['cores']} cores, {of['memory_gb']} GB; Python"
        f" {of['python']}, numpy {of['numpy']}, numba {of['numba']}."
    )


def _analyses(results: Results) -> str:
    rows = []
    for name, of in results["data_sets"].items():
        rate = of["file_nbytes"] / of["limit_s"] / 1e9
        row = [name, f"{rate:.1f} GB/s"]
        for analysis in ANALYSES:
            if analysis not in of:
                row.append("")
                continue
            ratio = of[analysis]["ratio"]
            aim = WANTED.get(name, {}).get(analysis, 0.0)
            row.append(_marked(f"{ratio:.2f}", ratio >= aim))
        rows.append(row)
    head = ("data set", "limit", "annulus", "full sum", "five", "com", "std")
    return _table(head, rows)


def _others(results: Results) -> str:
    rows = []
    for name, of in results["data_sets"].items():
        if "events_per_s" in of["annulus"]:
            rate = of["annulus"]["events_per_s"]
            text = f"{rate / 1e6:.0f} M events/s"
            rows.append([f"{name}, annulus", _marked(text, rate >= EVENTS_PER_S)])
        if "codec_s" in of:
            share = of["codec_s"] / of["annulus"]["seconds"]
            text = f"{share:.2f} × codec alone"
            rows.append([f"{name}, annulus", _marked(text, share >= OF_CODEC)])
        over = of["five"]["seconds"] / of["annulus"]["seconds"]
        rows.append(
            [f"{name}, five rings", _marked(f"{over:.2f} × one", over <= FIVE_OVER_ONE)]
        )
    return _table(("what", "measured"), rows)


def _peers(results: Results) -> str:
    rows = []
    for name, of in results["data_sets"].items():
        for peer, found in of.get("peers", {}).items():
            if isinstance(found, str):
                rows.append([f"{name}, {peer}", found, "", "", ""])
                continue
            row = [f"{name}, {peer}"]
            for analysis in ("annulus", "full", "com", "std"):
                if analysis not in found:
                    row.append("")
                    continue
                ratio = found[analysis] / of[analysis]["seconds"]
                is_aim = analysis in ("annulus", "com")
                aim = OVER_PEER if is_aim and not name.endswith("f4") else 1.0
                text = _marked(f"{ratio:.1f}", ratio >= aim)
                row.append(text + (" (differs)" * (f"{analysis}_differs" in found)))
            rows.append(row)
    head = ("times as fast as", "annulus", "full sum", "com", "std")
    return _table(head, rows)


def _fresh(results: Results) -> str:
    rows = []
    for name, of in results["data_sets"].items():
        fresh = of.get("fresh")
        if fresh is None:
            continue
        row = [name]
        for when, aim in (
            ("never_compiled_s", NEVER_COMPILED_S),
            ("compiled_s", COMPILED_S),
        ):
            row.append(_marked(f"{fresh[when]:.2f} s", fresh[when] <= aim))
        for analysis in ("annulus", "five", "com", "std", "live"):
            nbytes = fresh["private_nbytes"].get(analysis)
            aim = PRIVATE_NBYTES + PREVIEW * (analysis == "live")
            text = "" if nbytes is None else f"{nbytes / 1e6:.0f} MB"
            row.append(text if nbytes is None else _marked(text, nbytes <= aim))
        rows.append(row)
    head = (
        "data set", "first, never compiled", "first, compiled", "memory: annulus",
        "five", "com", "std", "live",
    )  # fmt: skip
    return _table(head, rows)


def _live(results: Results) -> str:
    rows = []
    each = {n: of["drag"] for n, of in results["data_sets"].items() if "drag" in of}
    for name, of in (results.get("live", {}) | each).items():
        for what in ("disk", "annulus"):
            if what not in of:
                continue
            found = of[what]
            aim = {"disk": DISK, "annulus": ANNULUS}[what]
            is_aim = name.startswith("npy, 128") and "budget" not in name
            rows.append(
                [
                    f"{name}, {what}",
                    _marked(
                        f"{found['first_p95_s'] * 1e3:.1f} ms",
                        found["first_p95_s"] <= PREVIEW_S,
                    ),
                    f"{found['exact_p95_s'] * 1e3:.1f} ms",
                    _marked(
                        f"{found['ratio']:.2f}", not is_aim or found["ratio"] <= aim
                    ),
                    found["ways"],
                ]
            )
    for name, found in results.get("patterns", {}).items():
        first, exact = found["first_p95_s"] * 1e3, found["exact_p95_s"] * 1e3
        rows.append(
            [name, f"{first:.1f} ms", f"{exact:.1f} ms", "", found["ways"]]
        )  # fmt: skip
    if "refold" in results:
        seconds = results["refold"]["refold_p95_s"]
        text = _marked(f"{seconds * 1e3:.2f} ms", seconds <= REFOLD_S)
        rows.append(["refold of 512 x 512", text, text, "", ""])
    if not rows:
        return ""
    head = ("moving (95 %)", "first image", "exact image", "exact / limit pass", "how")
    return _table(head, rows)


def save(results: Results, folder: Path) -> None:
    """Write ``results.json``, ``tables.md`` and, with matplotlib, ``ratios.svg``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    (folder / "tables.md").write_text(tables(results))
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return
    names = list(results["data_sets"])
    figure = Figure(figsize=(8, 0.32 * len(names) + 1.2), layout="constrained")
    axes = figure.add_subplot()
    for i, analysis in enumerate(("annulus", "full", "com")):
        at = [k + 0.27 * (i - 1) for k, n in enumerate(names)]
        widths = [
            results["data_sets"][n].get(analysis, {}).get("ratio", 0) for n in names
        ]
        axes.barh(at, widths, 0.25, label={"full": "full sum"}.get(analysis, analysis))
    axes.axvline(1, color="0.5", linewidth=1)
    axes.set_xscale("log")
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.set_xlabel("logical bytes per second, over what the machine reads at most")
    axes.margins(y=0.01)
    figure.legend(loc="outside upper center", ncols=3, frameon=False)
    figure.savefig(folder / "ratios.svg", metadata={"Date": None})
