"""Configuration files: which one is whose, and on which line what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from snowshed.cli import main as cli
from snowshed.config import Host, load
from snowshed.config_file import TOGETHER, builders_in, lines, options_of, read_file
from snowshed.errors import UserError
from snowshed.model.machine import Arch
from snowshed.units import GIB

HOST = Host(cores=8, memory=16 * GIB, arch=Arch.X86_64, platform="linux")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def put(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.write_text(text)
    return file


def test_lines_of_tables_and_options() -> None:
    text = """\
# cores = 1
cores = 2
nix.max_jobs = 3
"memory" = "4G"  # x = 1

[idle]
timeout = 5
[ shares . "in put" ]   # here
path = "/x"
text = '''
[not.a.table.maybe
'''
"""
    assert lines(text) == {
        "cores": 2,
        "nix.max_jobs": 3,
        "memory": 4,
        "idle": 6,
        "idle.timeout": 7,
        "shares.in put": 8,
        "shares.in put.path": 9,
        "shares.in put.text": 10,
    }


@pytest.mark.parametrize(
    ("text", "says", "hint"),
    [
        ("cores = 2\ncors = 4\n", "There is no option cors (in {file}, line 2).", "Did you mean `cores`?"),
        ("\n\ncores = 0\n", "cores in {file}, line 3: 0 is not a number of processor cores.", "whole number"),
        (
            "[nix]\nemulate = ['riscv64-linux']\n",
            "nix.emulate in {file}, line 2: nothing in the guest can run",
            "the other",
        ),
        ("[idle]\n\naction = 'slep'\n", "idle.action in {file}, line 3: 'slep' is not one of", "Choose one"),
        ("[idle]\ntimout = 3\n", "There is no option idle.timout (in {file}, line 2).", "Did you mean `timeout`?"),
        ("[idel]\ntimeout = 3\n", "There is no option idel (in {file}, line 1).", "Did you mean `idle`?"),
        ("memory = '64G'\n", "memory in {file}, line 1: 64 GiB is more than the 16 GiB", "Use less"),
        ("cores = 2\ncores = \n", "{file} cannot be read: Invalid value (at line 2, column 9).", "config check"),
        ("[nix]\nmax_jobs = -1\n", "nix.max_jobs in {file}, line 2: -1 is not a number of builds.", "0 is as many"),
        ("port = 'x'\n", "port in {file}, line 1: 'x' is not a TCP port.", "31222"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(folder: Path, text: str, says: str, hint: str) -> None:
    file = put(folder, "default.toml", text)
    with pytest.raises(UserError) as error:
        load(file, {}, HOST, {})
    assert error.value.message.startswith(says.format(file=file))
    assert hint in error.value.hint


def test_a_value_of_the_wrong_type_is_named_with_its_line(folder: Path) -> None:
    file = put(folder, "default.toml", "cores = 1\n[nix]\nfeatures = 3\n")
    with pytest.raises(UserError, match=r"nix.features in .*, line 3: expected"):
        load(file, {}, HOST, {})


def test_one_file_for_all(folder: Path) -> None:
    together = put(folder, TOGETHER, "[arm]\nsystem = 'aarch64-linux'\nport = 31300\n[arm.idle]\ntimeout = 5\n[big]\n")
    arm = load(folder / "arm.toml", {}, HOST, {})
    assert (arm.system, arm.port, arm.idle.timeout) == ("aarch64-linux", 31300, 300)
    assert load(folder / "big.toml", {}, HOST, {}).port == 31222
    assert load(folder / "other.toml", {}, HOST, {}).port == 31222
    assert options_of(folder / "arm.toml")["idle.timeout"] == (5, f"in {together}, line 5")


def test_a_mistake_in_the_file_for_all_is_the_builders_own(folder: Path) -> None:
    file = put(folder, TOGETHER, "[good]\n[bad]\ncors = 3\n")
    assert load(folder / "good.toml", {}, HOST, {}).cores == 4
    with pytest.raises(UserError) as error:
        load(folder / "bad.toml", {}, HOST, {})
    assert error.value.message == f"There is no option cors (in {file}, line 3)."


def test_a_builder_in_two_files(folder: Path) -> None:
    put(folder, TOGETHER, "[arm]\n")
    put(folder, "arm.toml", "")
    with pytest.raises(UserError, match="The builder arm is described in two files"):
        load(folder / "arm.toml", {}, HOST, {})


def test_a_builder_that_is_no_table(folder: Path) -> None:
    put(folder, TOGETHER, "arm = 3\n")
    with pytest.raises(UserError, match="is no table"):
        load(folder / "arm.toml", {}, HOST, {})


def test_builders_of_a_folder(folder: Path) -> None:
    assert builders_in(folder) == []
    put(folder, TOGETHER, "[b]\n[a]\nx = 1\n")
    put(folder, "c.toml", "")
    assert builders_in(folder) == ["a", "b", "c"]
    put(folder, TOGETHER, "[")
    assert builders_in(folder) == ["c"]


def test_the_command_line_checks_the_file_for_all(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder))
    monkeypatch.setenv("XDG_DATA_HOME", str(folder / "data"))
    (folder / "snowshed").mkdir()
    file = put(folder / "snowshed", TOGETHER, "[default]\ncores = 1\n[Bad]\n")
    assert cli.main(["config", "check"]) == 2
    assert "'Bad' cannot be the name of a builder" in capsys.readouterr().err
    file.write_text("[default]\ncores = 1\n[arm]\nport = 31300\n")
    assert cli.main(["config", "check"]) == 0
    assert capsys.readouterr().out == f"{file} is fine.\n"
    assert cli.main(["list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["NAME", "arm", "default"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("port = 4000\nmetrics_port = 4000\n", "port and metrics_port are both 4000."),
        ('image = "/a\\u0000b"\n', "holds a zero byte."),
    ],
)
def test_options_that_would_fail_later_are_refused(text: str, says: str, folder: Path) -> None:
    with pytest.raises(UserError, match=says):
        load(put(folder, "it.toml", text), {}, HOST, {})


def test_a_folder_and_what_is_no_text_are_no_configuration(folder: Path) -> None:
    (folder / "folder.toml").mkdir()
    (folder / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match=r"folder\.toml cannot be read: Is a directory\.\n"):
        read_file(folder / "folder.toml")
    with pytest.raises(UserError, match=r"it is not UTF-8\.\n"):
        read_file(folder / "bytes.toml")
