"""The two programs called virtiofsd, and what each is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from snowshed.drivers.qemu.shares import Flavour, arguments, flavour, suspend_blocker, wrapped
from snowshed.model.machine import Share

C_HELP = "usage: virtiofsd [options]\n    --fd=FDNUM\n    -o source=PATH             shared directory tree\n"
RUST_HELP = "Usage: virtiofsd [OPTIONS]\n  --shared-dir <SHARED_DIR>\n  --socket-path <SOCKET_PATH>\n  --fd <FD>\n"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (C_HELP, Flavour(rust=False)),
        (RUST_HELP, Flavour(rust=True)),
        (RUST_HELP + "  --readonly\n", Flavour(rust=True, read_only=True)),
        (RUST_HELP + "  --migration-verify-handles\n", Flavour(rust=True, migrates=True)),
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
        *["--rlimit-nofile=1000", "--log-level=error"],
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


def test_one_that_can_be_saved_is_told_how() -> None:
    words = told(Flavour(rust=True, migrates=True), read_only=False)
    assert {"--migration-mode=find-paths", "--migration-verify-handles"} < set(words)


@pytest.mark.parametrize(
    ("qemu", "migrates", "reason"),
    [
        ((8, 2, 0), True, ""),
        ((10, 0, 0), True, ""),
        ((8, 1, 9), True, "QEMU 8.1 cannot save a VM with shared directories (a, b)"),
        ((10, 0, 0), False, "this virtiofsd cannot save its shared directories (a, b)"),
    ],
)
def test_saving_needs_both_new_enough(
    monkeypatch: pytest.MonkeyPatch, qemu: tuple[int, int, int], migrates: bool, reason: str
) -> None:
    monkeypatch.setattr("snowshed.drivers.qemu.shares.find_virtiofsd", lambda: "/bin/virtiofsd")
    monkeypatch.setattr("snowshed.drivers.qemu.shares._flavour_of", lambda _: Flavour(rust=True, migrates=migrates))
    shares = (Share("a", Path("/a")), Share("b", Path("/b")))
    said = suspend_blocker(shares, qemu)
    assert said.startswith(reason)
    assert bool(said) == bool(reason)
    assert suspend_blocker((), (7, 0, 0)) == ""
