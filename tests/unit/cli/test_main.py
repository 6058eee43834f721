"""What a command line ends with: words on the right stream, an exit status, and no traceback."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from snowshed import __version__
from snowshed.cli import main as cli
from snowshed.errors import GuestError


@pytest.fixture(autouse=True)
def _empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "SNOWSHED_STATE_DIR"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr() == (f"snowshed {__version__}\n", "")


def test_nothing_at_all_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 0
    assert "snowshed start" in capsys.readouterr().out


@pytest.mark.parametrize("verb", ["image", "config"])
def test_a_verb_of_verbs_shows_its_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([verb]) == 2
    assert capsys.readouterr().err.startswith(f"Usage: snowshed {verb}")


@pytest.mark.parametrize(
    ("words", "says", "hint"),
    [
        (["strat"], "There is no verb 'strat'.", "Did you mean `snowshed start`?"),
        (["stat"], "There is no verb 'stat'.", "Did you mean `snowshed status`?"),
        (["status", "--jsn"], "No such option '--jsn'", "`snowshed status --help` shows what fits."),
        (["start", "--cores", "0"], "cores on the command line: '0'", "whole number"),
        (["start", "--memory", "100"], "memory on the command line: 100 MiB is too little", "at least 512"),
        (["start", "--config", "/nowhere.toml"], "There is no configuration file /nowhere.toml.", "--config"),
        (["-b", "No", "stop"], "'No' cannot be the name of a builder.", "lower-case"),
        (["stop", "-b", "No"], "'No' cannot be the name of a builder.", "lower-case"),
    ],
)
def test_a_mistake_is_named_and_mended(
    words: list[str], says: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(words) == 2
    out, err = capsys.readouterr()
    first, second = err.splitlines()[:2]
    assert out == ""
    assert first.startswith(f"snowshed: {says}")
    assert second.startswith("  ")
    assert hint in second


def test_ssh_of_a_builder_that_does_not_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["ssh", "true"]) == 3
    assert capsys.readouterr().err == (
        "snowshed: The builder default is not running.\n  Start it with `snowshed start`.\n"
    )


def test_an_unknown_builder_is_told_from_one_that_rests(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / ".local/share/snowshed/arm/ssh").mkdir(parents=True)
    assert cli.main(["-b", "amr", "ssh"]) == 3
    assert capsys.readouterr().err == "snowshed: There is no builder called amr.\n  Did you mean arm?\n"
    assert cli.main(["-b", "arm", "ssh"]) == 3
    assert "The builder arm is not running." in capsys.readouterr().err
    (tmp_path / ".config/snowshed").mkdir(parents=True)
    (tmp_path / ".config/snowshed/new.toml").touch()
    assert cli.main(["-b", "new", "ssh"]) == 3
    assert "The builder new is not running." in capsys.readouterr().err, "it is only described yet"
    assert cli.main(["-b", "amr", "status"]) == 3
    assert "It was never started. Did you mean arm?" in capsys.readouterr().out
    (tmp_path / ".config/snowshed/amr.toml").touch()
    assert cli.main(["-b", "amr", "status"]) == 3
    assert "Did you mean" not in capsys.readouterr().out, "it is described, so it is meant"


def test_stopping_what_does_not_run_is_no_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["stop"]) == 0
    assert capsys.readouterr() == ("", "The builder default is not running.\n")
    (tmp_path / ".local/share/snowshed/arm/ssh").mkdir(parents=True)
    assert cli.main(["stop", "-b", "arm"]) == 0
    assert capsys.readouterr() == ("", "The builder arm is not running.\n")
    assert cli.main(["stop", "-b", "amr"]) == 3
    assert capsys.readouterr().err == "snowshed: There is no builder called amr.\n  Did you mean arm?\n"


def fail_with(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> int:
        raise error

    monkeypatch.setattr(cli, "_run", fail)


def test_our_own_mistakes_are_kept_for_a_report(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fail_with(ZeroDivisionError("by zero"), monkeypatch)
    assert cli.main(["status"]) == 70
    err = capsys.readouterr().err
    kept = tmp_path / ".cache/snowshed/last-bug.txt"
    assert "Traceback" not in err
    assert "ZeroDivisionError: by zero" in err
    assert str(kept) in err
    assert "Traceback" in kept.read_text()


def test_a_traceback_is_shown_to_whoever_asks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fail_with(GuestError("It broke.", "Try again."), monkeypatch)
    assert cli.main(["--debug", "status"]) == 1
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "status", "says"),
    [
        (KeyboardInterrupt(), 130, "snowshed: interrupted."),
        (KeyboardInterrupt("it goes on"), 130, "snowshed: interrupted; it goes on."),
        (
            OSError(28, "No space left on device", "/x"),
            2,
            "snowshed: There is no space left on the disk that holds /x.",
        ),
        (PermissionError(13, "Permission denied", "/x"), 2, "snowshed: Permission denied (/x)."),
        (OSError(5, "Input/output error", "/x"), 70, "snowshed: Something went wrong inside snowshed: OSError"),
    ],
)
def test_what_happens_around_us_has_a_sentence(
    error: BaseException,
    status: int,
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fail_with(error, monkeypatch)
    assert cli.main(["status"]) == status
    assert capsys.readouterr().err.strip().startswith(says)


def test_a_reader_that_leaves_is_no_error_of_ours() -> None:
    done = subprocess.run(
        f"{sys.executable} -m snowshed.cli --help | true; echo ${{PIPESTATUS[0]}}",
        shell=True,
        executable=shutil.which("bash"),
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""
    assert done.stdout.strip() in ("0", "141")  # whether the reader had left by then


@pytest.mark.parametrize("verb", [["list"], ["status"], ["man"], ["doctor", "-q"], ["image", "prune"], ["--version"]])
def test_streams_that_are_closed_are_none_of_its_business(verb: list[str], tmp_path: Path) -> None:
    closed = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", sys.executable, "-m", "snowshed.cli", *verb]
    status = subprocess.run(closed, env={**os.environ, "HOME": str(tmp_path)}, timeout=60).returncode
    assert status in (0, 1, 2, 3)
    assert not (tmp_path / ".cache/snowshed/last-bug.txt").exists()


def test_a_terminal_without_our_signs_gets_others(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "snowshed.cli", "doctor"],
        env={**os.environ, "HOME": str(tmp_path), "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        timeout=60,
    )
    assert done.returncode in (0, 1, 2), done.stderr
    assert b"\n  + " in done.stdout


@pytest.mark.parametrize(
    ("file", "says"), [("folder", "is a folder"), ("file/x", "There is no folder"), ("none/x", "There is no folder")]
)
def test_a_file_that_cannot_be_written(
    file: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    for words in (["top", "--svg"], ["doctor", "--record"]):
        assert cli.main([*words, str(tmp_path / file)]) == 2
        assert says in capsys.readouterr().err


def test_a_name_that_no_file_can_have(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["status", "--state-dir", str(tmp_path / ("x" * 300))]) == 2
    assert "File name too long" in capsys.readouterr().err
