"""What no driver can do on a given Mac, said before anything starts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from fakes.machines import INTEL, KERNELS, M1, M3, spec

from snowshed.drivers.mac import Mac, chip_of, fingerprint, kernel_problem, problems, version_of
from snowshed.model.machine import Accelerator, Arch


def said(machine, mac: Mac, least: tuple[int, int] = (13, 0)) -> list[str]:
    return [problem.message for problem in problems(machine, mac, driver="vz", least=least)]


def test_a_plain_guest_runs_on_every_mac(tmp_path: Path) -> None:
    assert said(spec(tmp_path), M1) == []
    assert said(spec(tmp_path), M3) == []
    assert said(spec(tmp_path, Arch.X86_64), INTEL) == []


def test_a_host_that_is_no_mac(tmp_path: Path) -> None:
    assert said(spec(tmp_path), Mac(arch=Arch.X86_64)) == ["The driver vz runs on macOS only."]


@pytest.mark.parametrize(
    ("mac", "changes", "sentence"),
    [
        (replace(M1, version=(12, 7, 6)), {}, "The driver vz needs macOS 13; this is 12.7.6."),
        (INTEL, {}, "The driver vz runs guests of the host's own architecture only, and aarch64 is another."),
        (M1, {"accelerator": Accelerator.TCG}, "The driver vz has no accelerator tcg."),
        (M1, {"memory": 1 << 29 | 4096}, "536875008 bytes of memory are not whole MiB."),
        (M1, {"nested": True}, "Nested virtualisation needs macOS 15; this Mac cannot do it."),
        (
            replace(M1, version=(15, 0)),
            {"nested": True},
            "Nested virtualisation needs an M3 or later; this Mac cannot do it.",
        ),
        (replace(M1, rosetta=False), {"rosetta": True}, "Rosetta is not installed on this Mac."),
    ],
)
def test_each_obstacle_has_its_sentence(tmp_path: Path, mac: Mac, changes: dict[str, object], sentence: str) -> None:
    found = problems(spec(tmp_path, **changes), mac, driver="vz", least=(13, 0))
    assert [problem.message for problem in found] == [sentence]
    assert found[0].hint


def test_rosetta_on_an_intel_mac(tmp_path: Path) -> None:
    assert said(spec(tmp_path, Arch.X86_64, rosetta=True), INTEL) == [
        "Rosetta is for Macs with Apple silicon; this is an Intel Mac."
    ]


def test_nested_virtualisation_where_chip_and_system_can(tmp_path: Path) -> None:
    assert said(spec(tmp_path, nested=True), M3) == []


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        (KERNELS[Arch.AARCH64], ""),
        (b"\x1f\x8b\x08" + b"\0" * 600, "is a kernel compressed with gzip"),
        (b"(\xb5/\xfd" + b"\0" * 600, "is a kernel compressed with zstd"),
        (b"MZ\0\0zimg" + b"\0" * 600, "is a kernel that unpacks itself (EFI zboot)"),
        (KERNELS[Arch.X86_64], "is a kernel for x86_64, and the guest is aarch64"),
        (b"070701" + b"0" * 600, "is not a kernel for aarch64"),
        (b"", "is not a kernel for aarch64"),
    ],
)
def test_a_kernel_that_would_hang_without_a_word(header: bytes, problem: str) -> None:
    assert kernel_problem(header, Arch.AARCH64) == problem


def test_the_kernel_of_the_spec_is_looked_at(tmp_path: Path) -> None:
    machine = spec(tmp_path)
    (tmp_path / "kernel").write_bytes(b"\x1f\x8b\x08")
    assert said(machine, M1) == [f"{tmp_path}/kernel is a kernel compressed with gzip."]
    (tmp_path / "kernel").unlink()
    assert said(machine, M1) == [f"The kernel {tmp_path}/kernel cannot be read: No such file or directory."]


def test_versions_and_chips_are_read_off_what_macos_says() -> None:
    assert (version_of("15.1"), version_of("14.2.1"), version_of("26"), version_of("")) == (
        (15, 1),
        (14, 2, 1),
        (26,),
        (),
    )
    assert (chip_of("Apple M1"), chip_of("Apple M4 Max"), chip_of("Intel(R) Core(TM) i7")) == (1, 4, 0)


def test_the_fingerprint_names_what_saved_memory_is_bound_to(tmp_path: Path) -> None:
    machine = spec(tmp_path)
    mine = fingerprint("vz", "1", M1, machine)
    assert mine.startswith("vz 1 on 23F79: ")
    assert mine == fingerprint("vz", "1", M1, spec(tmp_path))
    others = {
        fingerprint("vz", "2", M1, machine),
        fingerprint("vz", "1", replace(M1, build="23G80"), machine),
        fingerprint("vz", "1", M1, spec(tmp_path, cores=3)),
    }
    assert mine not in others
    assert len(others) == 3
