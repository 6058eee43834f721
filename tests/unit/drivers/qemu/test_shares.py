"""The two programs called virtiofsd, and what each is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from snowshed.drivers.qemu.shares import Flavour, arguments, flavour, wrapped
from snowshed.model.machine import Share

C_HELP = "usage: virtiofsd [options]\n    --fd=FDNUM\n    -o source=PATH             shared directory tree\n"
RUST_HELP = "Usage: virtiofsd [OPTIONS]\n  --shared-dir <SHARED_DIR>\n  --socket-path <SOCKET_PATH>\n  --fd <FD>\n"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (C_HELP, Flavour(rust=False)),
        (RUST_HELP, Flavour(rust=True)),
        (RUST_HELP + "  --readonly\n", Flavour(rust=True, read_only=True)),
    ],
)
def test_the_program_is_known_by_its_help(text: str, kind: Flavour) -> None:
    assert flavour(text) == kind


def told(kind: Flavour, *, read_only: bool) -> list[str]:
    return arguments("/bin/virtiofsd", kind, listener=7, open_files=1000, read_only=read_only)


def test_each_gets_its_own_options() -> None:
    assert told(Flavour(rust=False), read_only=True) == [
        *["/bin/virtiofsd", "--fd=7", "-f", "--rlimit-nofile=1000"],
        *["-o", "source=/run/share,cache=auto,no_xattr,sandbox=namespace,log_level=warn"],
    ]
    assert told(Flavour(rust=True), read_only=True) == [
        *["/bin/virtiofsd", "--fd=7", "--shared-dir=/run/share", "--cache=auto", "--sandbox=namespace"],
        *["--rlimit-nofile=1000", "--log-level=warn"],
    ]


@pytest.mark.parametrize(
    ("kind", "read_only", "asked"),
    [
        (Flavour(rust=True, read_only=True), True, True),
        (Flavour(rust=True, read_only=True), False, False),
        (Flavour(rust=True), True, False),
        (Flavour(rust=False), True, False),
    ],
)
def test_read_only_is_asked_of_those_that_know_it(kind: Flavour, read_only: bool, asked: bool) -> None:
    assert ("--readonly" in told(kind, read_only=read_only)) == asked


@pytest.mark.parametrize("read_only", [True, False])
@pytest.mark.parametrize("privileged", [True, False])
def test_it_runs_in_a_namespace_of_its_own_over_a_mount_that_is_as_asked(read_only: bool, privileged: bool) -> None:
    words = wrapped(["virtiofsd", "-x"], Share("tag", Path("/a b/-c"), read_only), privileged=privileged)
    assert ("--user" in words) != privileged
    assert words[words.index("-c") + 2 :] == ["sh", "/a b/-c", "ro" if read_only else "rw", "virtiofsd", "-x"]
