"""What is said before anything starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from specs import INITRD, KERNELS, linux_spec

from snowshed.drivers.qemu.argv import Engine, Firmware
from snowshed.drivers.qemu.checks import nests, problems
from snowshed.errors import UserError
from snowshed.model.machine import Accelerator, Arch, EfiBoot, MachineSpec, Share


def found(spec: MachineSpec, **engine: Any) -> list[str]:
    """The problems, as one text each."""
    facts = {"program": "qemu", "version": (7, 2, 0), "accelerator": Accelerator.TCG, **engine}
    errors = list(problems(spec, Engine(**facts)))
    assert all(isinstance(error, UserError) and error.hint for error in errors)
    return [str(error) for error in errors]


@pytest.fixture(autouse=True)
def _virtiofsd_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("snowshed.drivers.qemu.checks.find_virtiofsd", lambda: "/usr/libexec/virtiofsd")


@pytest.mark.parametrize("arch", list(Arch))
def test_nothing_stands_against_a_machine_that_is_right(tmp_path: Path, arch: Arch) -> None:
    assert found(linux_spec(tmp_path, arch=arch, shares=(Share("work", tmp_path),))) == []


@pytest.mark.parametrize(
    ("changes", "engine", "said"),
    [
        ({}, {"version": (6, 2, 0)}, "is version 6.2.0; snowshed needs 7.0"),
        ({"memory": (512 << 20) + 1}, {}, "not whole MiB"),
        ({"rosetta": True}, {}, "Rosetta runs in guests of Virtualization.framework only"),
        ({"nested": True}, {}, "this guest runs under tcg"),
        ({"boot": EfiBoot(Path("/s/vars"))}, {}, "apt install ovmf"),
        ({"boot": EfiBoot(Path("/s/vars")), "arch": Arch.AARCH64}, {}, "apt install qemu-efi-aarch64"),
        ({"shares": (Share("work", Path("/")),)}, {"platform": "darwin"}, "on Linux only"),
        ({"shares": (Share("work", Path("/not/there")),)}, {}, "/not/there does not exist"),
    ],
)
def test_a_problem_is_said(tmp_path: Path, changes: dict[str, Any], engine: dict[str, Any], said: str) -> None:
    messages = found(linux_spec(tmp_path, **changes), **engine)
    assert len(messages) == 1
    assert said in messages[0]


def test_efi_is_no_problem_with_firmware(tmp_path: Path) -> None:
    spec = linux_spec(tmp_path, boot=EfiBoot(tmp_path / "vars"))
    assert found(spec, firmware=Firmware(tmp_path / "code", tmp_path / "template")) == []


def test_a_missing_virtiofsd_is_said_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> str:
        raise UserError("virtiofsd is not installed.", "Install it.")

    monkeypatch.setattr("snowshed.drivers.qemu.checks.find_virtiofsd", missing)
    spec = linux_spec(tmp_path, shares=(Share("a", tmp_path), Share("b", tmp_path)))
    assert found(spec) == ["virtiofsd is not installed.\n  Install it."]


@pytest.mark.parametrize(
    ("kernel", "initrd", "said"),
    [
        (INITRD, KERNELS[Arch.X86_64], "swapped"),
        (KERNELS[Arch.AARCH64], INITRD, "is for aarch64"),
        (b"#!/bin/sh\n", INITRD, "is not one"),
        (b"", INITRD, "empty"),
        (KERNELS[Arch.X86_64], b"hello", "is not one"),
    ],
)
def test_kernel_and_initrd_are_looked_at(tmp_path: Path, kernel: bytes, initrd: bytes, said: str) -> None:
    spec = linux_spec(tmp_path)
    (tmp_path / "kernel").write_bytes(kernel)
    (tmp_path / "initrd").write_bytes(initrd)
    messages = found(spec)
    assert len(messages) == 1
    assert said in messages[0]


def test_guests_nest_under_kvm_where_its_module_says_so(tmp_path: Path) -> None:
    parameters = tmp_path / "kvm_amd" / "parameters"
    parameters.mkdir(parents=True)
    for value, expected in (("1\n", True), ("Y\n", True), ("N\n", False), ("0\n", False)):
        (parameters / "nested").write_text(value)
        assert nests(Accelerator.KVM, tmp_path) == expected
        assert not nests(Accelerator.TCG, tmp_path)
    assert not nests(Accelerator.KVM, tmp_path / "missing")
