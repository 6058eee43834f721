"""What a person names and is no file is refused at once, wherever a file is read. A pipe here has a writer that never
writes: whoever reads it hangs, and the test with them."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from snowshed import given
from snowshed.cli import main as cli
from snowshed.cli import root_nix
from snowshed.errors import UserError
from snowshed.guest.bootfiles import check_kernel
from snowshed.images import released
from snowshed.model.machine import Arch
from snowshed.paths import BuilderPaths


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[Path]:
    file = tmp_path / "pipe.toml"
    os.mkfifo(file)
    writer = os.open(file, os.O_RDWR)
    yield file
    os.close(writer)


def test_a_file_and_a_link_to_one_are_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "link").symlink_to("file")
    assert given.read(tmp_path / "link") == b"x"


def test_pipes_devices_and_sockets_are_named(tmp_path: Path, pipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # the address of a socket has to be short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
    for file, what in ((pipe, "a pipe"), (Path("/dev/zero"), "a device"), (Path("socket"), "a socket")):
        with pytest.raises(OSError, match=f"it is {what}, not a file"):
            given.read(file)


@pytest.mark.parametrize(
    "words",
    [
        ["doctor", "--replay"],
        ["config", "check"],
        ["config", "show", "--config"],
        ["start", "--config"],
        ["image", "import"],
    ],
    ids=" ".join,
)
def test_no_command_waits_for_a_pipe(words: list[str], pipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*words, str(pipe)]) == 2
    assert f"snowshed: {pipe} " in capsys.readouterr().err


def test_nor_does_a_start(pipe: Path) -> None:
    with pytest.raises(UserError, match=r"The kernel .* cannot be read: it is a pipe, not a file"):
        check_kernel(pipe, pipe, Arch.X86_64)


def test_nor_does_root_wait_for_a_users_pipe(tmp_path: Path) -> None:
    paths = BuilderPaths("one", tmp_path)
    paths.ssh.mkdir()
    os.mkfifo(paths.user_key)
    with pytest.raises(UserError, match="is not the key"):
        root_nix.user_key(paths)


def test_an_address_of_a_pipe(pipe: Path) -> None:
    with pytest.raises(UserError, match="There is no file at file://"):
        released.named(f"file://{pipe}", "0" * 64)
