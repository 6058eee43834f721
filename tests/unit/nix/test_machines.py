"""The line for Nix, field by field, as nix.conf(5) describes it."""

from __future__ import annotations

import base64
from pathlib import Path

import msgspec
import pytest

from snowshed.errors import UserError
from snowshed.nix.machines import Machine, advertised, instructions

MACHINE = Machine(
    builder="one",
    protocol="ssh-ng",
    systems=("aarch64-linux", "x86_64-linux"),
    key=Path("/state/ssh/id_ed25519"),
    max_jobs=4,
    speed_factor=2,
    features=("benchmark", "big-parallel"),
    host_key="ssh-ed25519 AAAAC3Nz",
)


def test_the_line_has_the_eight_fields_of_a_machines_file() -> None:
    assert MACHINE.line.split(" ") == [
        "ssh-ng://builder@snowshed-one",
        "aarch64-linux,x86_64-linux",
        "/state/ssh/id_ed25519",
        "4",
        "2",
        "benchmark,big-parallel",
        "-",
        base64.b64encode(b"ssh-ed25519 AAAAC3Nz").decode(),
    ]


def test_empty_fields_are_dashes() -> None:
    assert msgspec.structs.replace(MACHINE, features=()).line.split(" ")[5] == "-"


def test_a_key_with_a_blank_in_its_path_is_refused() -> None:
    with pytest.raises(UserError, match="no way to write a blank"):
        _ = msgspec.structs.replace(MACHINE, key=Path("/my state/id")).line


@pytest.mark.parametrize(
    ("wanted", "kvm", "told"),
    [
        (None, False, ("benchmark", "big-parallel")),
        (None, True, ("benchmark", "big-parallel", "kvm", "nixos-test")),
        (("kvm", "gccarch-armv8-a"), False, ("gccarch-armv8-a",)),
        (("nixos-test",), False, ("nixos-test",)),
        ((), True, ()),
    ],
)
def test_no_feature_is_told_that_the_guest_has_not(
    wanted: tuple[str, ...] | None, kvm: bool, told: tuple[str, ...]
) -> None:
    assert advertised(wanted, kvm=kvm) == told


def test_the_instructions_name_the_ssh_configuration() -> None:
    assert any("Include /state/ssh/config" in line for line in instructions(MACHINE, Path("/state/ssh/config")))


def test_the_instructions_begin_with_the_command_that_does_it() -> None:
    first = instructions(MACHINE, Path("/state/ssh/config"), "snowshed machines -b one --install")[0]
    assert "`sudo snowshed machines -b one --install`" in first
    assert "sudo" not in instructions(MACHINE, Path("/state/ssh/config"))[0]
