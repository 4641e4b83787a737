"""An error is one message and an exit code, whatever the command."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import napari_4dstem as n4
from napari_4dstem import cli
from tests.cli.running import MODULE, run


def wait_for_reader(pipe: Path) -> int:
    for _ in range(3000):
        with contextlib.suppress(OSError):  # nobody reads yet
            return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        time.sleep(0.02)
    pytest.fail("nobody opens the file")


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
        # Tests that run in the background of a shell ignore it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    writer = wait_for_reader(pipe)
    try:
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    finally:
        os.close(writer)
        process.kill()
        said = process.communicate()
    assert said == ("", "")


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
