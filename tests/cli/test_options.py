"""Options are made from signatures; what is typed is what `load` gets."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import pytest
from numpy.typing import NDArray

import napari_4dstem as n4
from napari_4dstem import cli
from napari_4dstem.cli import options
from napari_4dstem.dataset import COMMON_PARAMETERS
from napari_4dstem.formats import FORMATS
from napari_4dstem.formats._format import Description, Format, Meaning
from tests.cli.running import MODULE, parsed, run


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("128,256", (128, 256)),
        ("128x256", (128, 256)),
        ("128×256", (128, 256)),
        ("128, 256", (128, 256)),
        ("(128, 256)", (128, 256)),
        ("128 256", (128, 256)),
        ("4,128,256", (4, 128, 256)),
        ("65536", (65536,)),
    ],
)
def test_shapes_are_read_as_people_write_them(text: str, shape: tuple[int]) -> None:
    assert parsed("--nav-shape", text) == {"nav_shape": shape}


def test_what_is_not_given_is_not_passed_on() -> None:
    assert parsed() == {}


def test_negative_numbers_are_numbers() -> None:
    assert parsed("--sync-offset", "-3") == {"sync_offset": -3}
    assert parsed("--sync-offset=-3") == {"sync_offset": -3}


def test_all_common_parameters_are_offered() -> None:
    assert set(COMMON_PARAMETERS) - set(options.COMMON) == {"corrections"}
    assert set(options.COMMON) <= set(COMMON_PARAMETERS)
    assert parsed("--corrections") == {"corrections": True}
    assert parsed("--no-corrections") == {"corrections": False}
    assert parsed("--gain", "g.mrc", "--dark", "d.npy") == {
        "corrections": {"gain": Path("g.mrc"), "dark": Path("d.npy")}
    }
    assert parsed("--excluded", "e.npy") == {"corrections": {"excluded": Path("e.npy")}}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--dark", "d.npy", "--no-corrections"],
        ["--corrections", "--dark", "d.npy"],
    ],
    ids=" ".join,
)
def test_own_corrections_and_those_of_the_file_exclude_each_other(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parsed(*arguments)
    assert "either the corrections of the file, or others" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--nav-shape", "--sync-offset", "--sig-dims"])
def test_a_number_of_5000_digits_is_refused_in_few_words(
    option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        parsed(option, "9" * 5000)
    assert end.value.code == 2
    (line,) = [li for li in capsys.readouterr().err.splitlines() if "error:" in li]
    assert "expected" in line
    assert len(line) < 200


@pytest.mark.parametrize(
    ("format_name", "parameter"),
    [(f.name, name) for f in FORMATS.values() if f.takes_path for name in f.parameters],
)
def test_every_parameter_of_a_format_is_offered(
    format_name: str, parameter: str
) -> None:
    (type_, *_) = options.typeable(
        FORMATS[format_name].parameters[parameter].annotation
    )
    texts: dict[type, tuple[list[str], Any]] = {
        bool: ([], True),
        int: (["-3"], -3),
        float: (["-0.5"], -0.5),
        tuple: (["3,5"], (3, 5)),
        Path: (["map.npy"], Path("map.npy")),
        str: (["text"], "text"),
    }
    text, value = texts[type_]
    assert parsed("--" + parameter.replace("_", "-"), *text) == {parameter: value}


def test_parameters_are_made_from_any_signature(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def describe(
        path: Path,
        *,
        gain_map: Path | None = None,
        threshold: float = 0.5,
        order: Literal["C", "F"] = "C",
        index: int | str | None = None,
        offset: int = 7,
        dark_correction: bool = True,
        table: NDArray[Any] | None = None,
    ) -> Description:
        raise NotImplementedError

    odd = Format(
        "odd",
        "Odd format",
        (".odd",),
        lambda path, head: False,
        describe,
        meanings={
            "order": Meaning("Order", "which axis is the fastest"),
            "threshold": Meaning("Threshold", "95 % of the highest"),
        },
    )
    monkeypatch.setattr(options, "FORMATS", {**FORMATS, "odd": odd})
    assert parsed(
        *("--gain-map", "map.npy", "--threshold", "-1.5", "--order", "F"),
        *("--index", "3", "--offset", "4", "--no-dark-correction"),
    ) == {
        "gain_map": Path("map.npy"),
        "threshold": -1.5,
        "order": "F",
        "index": 3,
        "offset": 4,
        "dark_correction": False,
    }
    assert parsed("--index", "/data/4d") == {"index": "/data/4d"}
    with pytest.raises(SystemExit):
        parsed("--table", "1")
    with pytest.raises(SystemExit):
        cli.main(["info", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    raw_offset = FORMATS["raw"].meanings["offset"].text
    assert f"--offset N for raw (default 0): {raw_offset}; for odd (default 7)" in text
    assert "--threshold X for odd (default 0.5): 95 % of the highest" in text
    assert "--order C|F for odd (default C): which axis is the fastest" in text
    assert "--gain-map FILE for odd" in text


def test_formats_lists_types_endings_and_parameters() -> None:
    result = run(*MODULE, "formats")
    assert (result.returncode, result.stderr) == (0, "")
    assert re.search(r"^mib +Merlin .*\(\.mib, \.hdr\)$", result.stdout, re.MULTILINE)
    text = " ".join(result.stdout.split())
    meaning = FORMATS["raw"].meanings["dtype"].text
    assert f"--dtype NAME {meaning} (must be given)" in text
    assert max(map(len, result.stdout.splitlines())) < 120
    assert "memory" not in result.stdout


@pytest.mark.parametrize("command", ["info", "view", "demo", "formats"])
def test_every_command_has_help(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main([command, "--help"])
    assert end.value.code == 0
    assert f"usage: napari-4dstem {command}" in capsys.readouterr().out


def test_console_script_tells_the_version() -> None:
    script = shutil.which("napari-4dstem", path=str(Path(sys.executable).parent))
    if script is None:
        pytest.skip("the package is not installed")
    printed = subprocess.check_output([script, "--version"], text=True)
    assert printed == f"napari-4dstem {n4.__version__}\n"
