"""The commands do what they say, and an error is one message and an exit code."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray

import napari_4dstem as n4
from napari_4dstem import cli, sample_data
from napari_4dstem.dataset import COMMON_PARAMETERS, Dataset
from napari_4dstem.export.mib import write_mib
from napari_4dstem.formats import FORMATS
from napari_4dstem.formats._format import Description, Format

FRAMES = np.random.default_rng(7).integers(0, 4000, (15, 8, 6)).astype(np.uint16)
MODULE = ("-W", "error", "-m", "napari_4dstem.cli")
# Runs a command as `main` does; when the window is there, says what is in it.
IN_WINDOW = """
import json, os, signal, sys
import napari
from qtpy.QtCore import QTimer
from napari_4dstem import cli

wait = napari.run

def run():
    viewer = napari.current_viewer()
    layers = [
        (layer.name, layer.data.shape, layer.source.reader_plugin)
        for layer in viewer.layers
    ]
    print("LAYERS", json.dumps(layers), flush=True)
    if sys.argv[1] == "Ctrl-C":
        QTimer.singleShot(100, lambda: os.kill(os.getpid(), signal.SIGINT))
    else:
        QTimer.singleShot(100, viewer.window.close)
    wait()

napari.run = run
sys.exit(cli.main(sys.argv[2:]))
"""


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """A Merlin scan of 3 lines and 5 columns."""
    path = tmp_path / "scan.mib"
    started = datetime(2025, 3, 14, tzinfo=UTC)
    write_mib(path, [FRAMES], (3, 5), dwell_s=1e-3, started=started)
    return path


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    path = tmp_path / "scan_x5_y3.raw"
    np.random.default_rng(3).integers(0, 256, 15 * 64**2, np.uint8).tofile(path)
    return path


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment of a user who has neither settings nor a cache."""
    folder = tmp_path_factory.mktemp("home")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("XDG_", "NAPARI"))}
    return {
        **kept,
        "HOME": str(folder),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "XDG_DATA_HOME": str(folder / "data"),
    }


def run(
    *arguments: str | Path, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        env=env,
        timeout=120,
        check=False,
    )


def options(*arguments: str) -> dict[str, Any]:
    parsed = vars(cli._parser().parse_args(["info", "FILE", *arguments]))
    del parsed["command"], parsed["file"], parsed["as_json"], parsed["filetype"]
    return parsed


def shown_by(result: subprocess.CompletedProcess[str]) -> list[Any]:
    found = re.search("^LAYERS (.*)$", result.stdout, re.MULTILINE)
    assert found, result.stderr
    return list(json.loads(found[1]))


def wait_for_reader(pipe: Path) -> int:
    for _ in range(3000):
        with contextlib.suppress(OSError):  # nobody reads yet
            return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        time.sleep(0.02)
    pytest.fail("nobody opens the file")


# ------------------------------------------------------------------------- info


def test_info_prints_an_aligned_table(scan: Path) -> None:
    result = run(*MODULE, "info", scan)
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    table = {line[:32].rstrip(): line[32:] for line in lines}
    assert all(line[30:32] == "  " and line[32] != " " for line in lines)
    assert table["type"].startswith("mib")
    assert table["nav_shape (y, x)"] == "3 x 5"
    assert table["sig_shape (ky, kx)"] == "8 x 6"
    assert table["dtype"] == "uint16"
    assert table["counter_depth"] == "12"


def test_json_tells_what_load_finds(scan: Path) -> None:
    result = run(*MODULE, "info", scan, "--json", "--sync-offset", "-3")
    assert (result.returncode, result.stderr) == (0, "")
    report = json.loads(result.stdout)
    ds = n4.load("mib", path=scan, sync_offset=-3)
    assert report["path"] == str(scan)
    assert report["filetype"] == "mib"
    assert report["files"] == [str(file) for file in ds.files]
    assert report["nav_shape"] == [3, 5]
    assert report["sig_shape"] == [8, 6]
    assert report["dtype"] == "uint16"
    assert report["num_stored_frames"] == 15
    assert report["num_valid"] == 12
    assert report["sync_offset"] == -3
    assert report["calibration"] == {"nav": [None, None], "sig": [None, None]}
    assert report["metadata"] == ds.metadata
    assert report["notices"] == report["problems"] == []
    assert n4.load("mib", path=scan, **report["parameters"]).shape == ds.shape


def test_problems_are_warnings_on_stderr(
    scan: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scan.write_bytes(scan.read_bytes()[:-1])
    assert cli.main(["info", str(scan)]) == 0
    printed = capsys.readouterr()
    (problem,) = cli.open_dataset("mib", scan).problems
    assert printed.err == f"napari-4dstem: warning: {problem}\n"
    assert "missing" not in printed.out
    assert cli.main(["info", "--json", str(scan)]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert json.loads(printed.out)["problems"] == [problem]


def test_json_holds_whatever_metadata_there_are() -> None:
    value = {
        "nan": float("nan"),
        "infinite": np.float32("inf"),
        "number": np.int64(3),
        "array": np.array([[1.5, np.nan], [2, 3]]),
        "complex": 1 + 2j,
        "bytes": b"\xb5m",
        "path": Path("/a/b"),
        "time": datetime(2025, 3, 14, tzinfo=UTC),
        "dtype": np.dtype(">u2"),
        "nested": ({1: (True, None)}, {2}),
        5: "five",
    }
    assert json.loads(cli._json(value)) == {
        "nan": None,
        "infinite": None,
        "number": 3,
        "array": [[1.5, None], [2, 3]],
        "complex": "(1+2j)",
        "bytes": "µm",
        "path": str(Path("/a/b")),
        "time": "2025-03-14 00:00:00+00:00",
        "dtype": ">u2",
        "nested": [{"1": [True, None]}, [2]],
        "5": "five",
    }


def test_calibration_comes_with_units(
    scan: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ds = n4.load("mib", path=scan).with_calibration(sig=((0.5, "mrad"), None))
    monkeypatch.setattr(cli, "open_dataset", lambda *_, **__: ds)
    assert cli.main(["info", "--json", str(scan)]) == 0
    calibration = json.loads(capsys.readouterr().out)["calibration"]
    assert calibration["sig"] == [{"scale": 0.5, "unit": "mrad"}, None]


# ----------------------------------------------------------------------- errors


def test_error_is_one_message_and_exit_code_1(tmp_path: Path) -> None:
    path = tmp_path / "text.mib"
    path.write_text("no data")
    result = run(*MODULE, "info", path)
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.startswith(f"napari-4dstem: {path}: the file type is not")
    assert result.stderr.count("\n") == 1


def test_error_with_json_is_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "none.mib"
    assert cli.main(["info", str(path), "--json"]) == 1
    printed = capsys.readouterr()
    report = json.loads(printed.out)
    assert printed.err == f"napari-4dstem: {report['error']}\n"
    assert report["kind"] == "FormatError"
    assert report["path"] == str(path)
    assert "does not exist" in report["error"]


def test_wrong_value_is_named(scan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["info", str(scan), "--json", "--sync-offset", "15"]) == 1
    assert json.loads(capsys.readouterr().out)["parameter"] == "sync_offset"


def test_parameter_of_another_format_is_refused_as_load_does(
    scan: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(n4.FormatError) as error:
        n4.load("auto", path=scan, dtype="uint16")
    assert cli.main(["info", str(scan), "--dtype", "uint16"]) == 1
    assert capsys.readouterr().err == f"napari-4dstem: {error.value}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["inform", "FILE"],
        ["info"],
        ["info", "FILE", "--type", "memory"],
        ["info", "FILE", "--nav-shape", "2.5,3"],
        ["info", "FILE", "--sync-offset", "few"],
        ["info", "FILE", "--data", "1"],
        ["info", "FILE", "--corrections", "1"],
        ["info", "FILE", "--nav", "3,5"],
        ["view"],
        ["demo", "--screenshot", "picture.bmp"],
        ["demo", "--screenshot", "no/such/folder/picture.png"],
    ],
    ids=" ".join,
)
def test_what_is_not_understood_gives_exit_code_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(arguments)
    assert end.value.code == 2
    assert "usage: napari-4dstem" in capsys.readouterr().err


def test_raw_data_get_advice_that_works(
    raw: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for given in ([], ["--type", "raw"], ["--sync-offset", "-3"]):
        assert cli.main(["info", str(raw), *given]) == 1
        message = capsys.readouterr().err
        advice = message.partition("Say what it is, perhaps: ")[2].split()
        assert advice[:2] == ["--type", "raw"]
        assert cli.main(["info", str(raw), *advice, "--json"]) == 0
        report = json.loads(capsys.readouterr().out)
        assert report["nav_shape"] == [3, 5]
        assert report["sync_offset"] == (-3 if "--sync-offset" in given else 0)


def test_advice_has_placeholders_for_what_nobody_knows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "data.bin"
    path.write_bytes(bytes(range(251)))
    assert cli.main(["info", str(path), "--dtype", "u1"]) == 1
    assert "--type raw --sig-shape Y,X --dtype u1\n" in capsys.readouterr().err


@pytest.mark.skipif(os.name != "posix", reason="named pipes are of POSIX")
def test_ctrl_c_ends_quietly(tmp_path: Path) -> None:
    pipe = tmp_path / "slow.mib"
    os.mkfifo(pipe)
    process = subprocess.Popen(
        [sys.executable, "-m", "napari_4dstem.cli", "info", pipe],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        writer = wait_for_reader(pipe)
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        os.close(writer)
        assert process.communicate() == ("", "")


@pytest.mark.skipif(os.name != "posix", reason="Windows knows no SIGPIPE")
def test_closed_pipe_is_no_error(scan: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, *MODULE, "info", scan],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    with process.stderr:
        assert process.stderr.read() == ""
    assert process.wait() == 141


# ------------------------------------------------------------------- parameters


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
    assert options("--nav-shape", text) == {"nav_shape": shape}


def test_what_is_not_given_is_not_passed_on() -> None:
    assert options() == {}


def test_negative_numbers_are_numbers() -> None:
    assert options("--sync-offset", "-3") == {"sync_offset": -3}
    assert options("--sync-offset=-3") == {"sync_offset": -3}


def test_all_common_parameters_but_arrays_are_offered() -> None:
    assert set(COMMON_PARAMETERS) - set(cli.COMMON) == {"corrections"}
    assert set(cli.COMMON) <= set(COMMON_PARAMETERS)


@pytest.mark.parametrize(
    ("format_name", "parameter"),
    [(f.name, name) for f in FORMATS.values() if f.takes_path for name in f.parameters],
)
def test_every_parameter_of_a_format_is_offered(
    format_name: str, parameter: str
) -> None:
    (type_, *_) = cli._types(FORMATS[format_name].parameters[parameter].annotation)
    texts: dict[type, tuple[list[str], Any]] = {
        bool: ([], True),
        int: (["-3"], -3),
        float: (["-0.5"], -0.5),
        tuple: (["3,5"], (3, 5)),
        Path: (["map.npy"], Path("map.npy")),
        str: (["text"], "text"),
    }
    text, value = texts[type_]
    assert options("--" + parameter.replace("_", "-"), *text) == {parameter: value}


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

    odd = Format("odd", "Odd format", (".odd",), lambda path, head: False, describe)
    monkeypatch.setattr(cli, "FORMATS", {**FORMATS, "odd": odd})
    assert options(
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
    assert options("--index", "/data/4d") == {"index": "/data/4d"}
    with pytest.raises(SystemExit):
        options("--table", "1")
    with pytest.raises(SystemExit):
        cli.main(["info", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "--offset N for raw (default 0), odd (default 7)" in text
    assert "--threshold X for odd (default 0.5)" in text


def test_formats_lists_types_endings_and_parameters() -> None:
    result = run(*MODULE, "formats")
    assert (result.returncode, result.stderr) == (0, "")
    assert re.search(r"^mib +Merlin .*\(\.mib, \.hdr\)$", result.stdout, re.MULTILINE)
    assert "--dtype NAME (must be given)\n" in result.stdout
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


# ------------------------------------------------------------------------- view


@pytest.fixture
def contents(monkeypatch: pytest.MonkeyPatch) -> list[Path | Dataset]:
    """What would be shown, if there were a window."""
    shown: list[Path | Dataset] = []

    def show(contents: list[Path | Dataset]) -> int:
        shown.extend(contents)
        return 0

    monkeypatch.setattr(cli, "_show", show)
    monkeypatch.setattr(cli, "_why_no_window", lambda: None)
    return shown


def test_view_without_parameters_goes_through_the_reader(
    scan: Path, contents: list[Path | Dataset]
) -> None:
    assert cli.main(["view", str(scan)]) == 0
    assert contents == [scan]


def test_view_with_parameters_opens_with_them(
    scan: Path, raw: Path, contents: list[Path | Dataset]
) -> None:
    text = "--type raw --dtype u1 --sig-shape 16,16 --nav-shape 5,3 --name twin"
    assert cli.main(["view", str(scan), str(raw), *text.split()]) == 0
    first, second = contents
    assert isinstance(first, Dataset)
    assert isinstance(second, Dataset)
    assert (first.filetype, first.shape, first.name) == ("raw", (5, 3, 16, 16), "twin")
    assert second.path == raw


def test_view_leaves_questions_to_the_reader(
    raw: Path, contents: list[Path | Dataset]
) -> None:
    assert cli.main(["view", str(raw)]) == 0
    assert contents == [raw]


def test_view_opens_what_napari_does_not_take_for_ours(
    scan: Path, contents: list[Path | Dataset]
) -> None:
    renamed = scan.rename(scan.with_name("scan.dat"))
    assert cli.main(["view", str(renamed)]) == 0
    (shown,) = contents
    assert isinstance(shown, Dataset)
    assert shown.filetype == "mib"


@pytest.mark.parametrize("name", ["none.mib", "text.mib", "bytes.mib", "bytes.dat"])
def test_view_tells_an_error_without_a_window(
    tmp_path: Path,
    name: str,
    contents: list[Path | Dataset],
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "text.mib").write_text("no data")
    for suffix in (".mib", ".dat"):
        (tmp_path / "bytes").with_suffix(suffix).write_bytes(bytes(range(256)))
    assert cli.main(["view", str(tmp_path / name)]) == 1
    assert capsys.readouterr().err.startswith(f"napari-4dstem: {tmp_path / name}: ")
    assert not contents


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux may have no screen")
@pytest.mark.parametrize("command", ["view", "demo"])
def test_without_a_screen_it_is_said_how_to_get_one(
    command: str, scan: Path, home: dict[str, str]
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        home.pop(name, None)
    result = run(*MODULE, command, *([scan] if command == "view" else []), env=home)
    assert result.returncode == 1
    assert result.stdout == ""
    assert "no screen" in result.stderr
    assert f"xvfb-run -a napari-4dstem {command}" in result.stderr


@pytest.mark.parametrize("missing", ["napari", "qtpy"])
def test_without_napari_it_is_said_how_to_install_it(
    missing: str, home: dict[str, str]
) -> None:
    code = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from napari_4dstem import cli; sys.exit(cli.main(['demo']))"
    )
    result = run("-c", code, env={**home, "DISPLAY": ":0", "QT_QPA_PLATFORM": ""})
    assert result.returncode == 1
    assert 'pip install "napari-4dstem[gui]"' in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.window
def test_view_shows_one_layer_a_data_set(scan: Path, home: dict[str, str]) -> None:
    other = scan.with_name("other.npy")
    np.save(other, FRAMES.reshape(3, 5, 8, 6))
    result = run("-c", IN_WINDOW, "close", "view", scan, other, env=home)
    assert result.returncode == 0, result.stderr
    assert shown_by(result) == [
        ["scan", [3, 5, 8, 6], "napari-4dstem"],
        ["other", [3, 5, 8, 6], "napari-4dstem"],
    ]


@pytest.mark.window
def test_view_shows_parameters_and_ends_with_ctrl_c(
    scan: Path, home: dict[str, str]
) -> None:
    text = "--nav-shape 2x7 --sync-offset -3 --name gold"
    result = run("-c", IN_WINDOW, "Ctrl-C", "view", scan, *text.split(), env=home)
    assert result.returncode == 130, result.stderr
    assert shown_by(result) == [["gold", [2, 7, 8, 6], None]]


# ------------------------------------------------------------------------- demo


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of our own, for a small scan."""
    folder = tmp_path / "cache"
    make = sample_data.nanoparticles
    small = (7, 8), (16, 24)
    monkeypatch.setattr("platformdirs.user_cache_path", lambda *_, **__: folder)
    monkeypatch.setattr(sample_data, "nanoparticles", lambda: make(*small))
    return folder


def test_demo_file_holds_the_sample_scan(cache: Path) -> None:
    path = cli._demo_file()
    assert path.parent == cache
    ds = n4.load("auto", path=path)
    assert ds.filetype == "mib"
    assert ds.metadata["dwell_s"] == pytest.approx(sample_data.DWELL_S)
    np.testing.assert_array_equal(ds[...], sample_data.nanoparticles().data)
    assert {file.name for file in cache.iterdir()} == {f.name for f in ds.files}
    assert len(ds.files) == 2


def test_demo_file_is_used_again(cache: Path) -> None:
    before = cli._demo_file().stat()
    after = cli._demo_file().stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_demo_file_is_written_again_if_it_is_spoiled(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = cli._demo_file()
    whole = path.read_bytes()
    for spoiled in (whole[:-1], b"", None):
        path.unlink()
        if spoiled is not None:
            path.write_bytes(spoiled)
        assert cli._demo_file().read_bytes() == whole
    monkeypatch.setattr(n4, "__version__", "99.0", raising=False)
    header = n4.load("mib", path=cli._demo_file()).metadata["header"]
    assert header["Software Version"] == "napari-4dstem 99.0"


def test_folder_that_cannot_be_written_to_is_an_error(
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(cli, "_why_no_window", lambda: None)
    cache.write_text("not a folder")
    assert cli.main(["demo"]) == 1
    assert str(cache) in capsys.readouterr().err


@pytest.mark.window
def test_demo_saves_a_picture_of_the_window_and_ends(
    tmp_path: Path, home: dict[str, str]
) -> None:
    from qtpy.QtGui import QImage

    picture = tmp_path / "demo.png"
    result = run("-m", "napari_4dstem.cli", "demo", "--screenshot", picture, env=home)
    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stderr
    image = QImage(str(picture)).convertToFormat(QImage.Format.Format_RGB888)
    width, height = image.width(), image.height()
    assert (width, height) >= (1000, 700)
    colors = [
        image.pixelColor(x, y).getRgb()[:3]
        for x in range(0, width, 8)
        for y in range(0, height, 8)
    ]
    bright = sum(red > 200 and blue < 120 for red, _, blue in colors)
    assert bright > 50, "the transmitted disk is not there"
    cache = Path(home["XDG_CACHE_HOME"])
    if sys.platform == "linux":
        assert len(list(cache.rglob("gold_nanoparticles.*"))) == 2
