"""Which of the firmwares that are installed is used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from snowshed.drivers.qemu.argv import Firmware
from snowshed.drivers.qemu.firmware import choose, make_variables, read
from snowshed.model.machine import Arch


def described(folder: Path, name: str, **changes: Any) -> dict[str, Any]:
    """A description as Debian's ovmf package has it, of files that exist."""
    code, template = folder / f"{name}.code", folder / f"{name}.vars"
    code.write_bytes(b"code")
    template.write_bytes(b"variables")
    return {
        "interface-types": ["uefi"],
        "mapping": {
            "device": "flash",
            "executable": {"filename": str(code), "format": "raw"},
            "nvram-template": {"filename": str(template), "format": "raw"},
        },
        "targets": [{"architecture": "x86_64", "machines": ["pc-i440fx-*", "pc-q35-*"]}],
        "features": ["acpi-s3", "amd-sev", "verbose-dynamic"],
        **changes,
    }


def test_the_first_that_fits_is_used(tmp_path: Path) -> None:
    fitting = described(tmp_path, "b")
    assert choose(Arch.X86_64, [fitting, described(tmp_path, "c")]) == Firmware(
        tmp_path / "b.code", tmp_path / "b.vars"
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"interface-types": ["bios"]},
        {"features": ["secure-boot", "requires-smm"]},
        {"features": ["enrolled-keys"]},
        {"targets": [{"architecture": "aarch64", "machines": ["virt-*"]}]},
        {"targets": [{"architecture": "x86_64", "machines": ["microvm"]}]},
        {"mapping": {"device": "memory", "filename": "/x"}},
        {"mapping": {"device": "flash", "executable": {"filename": "/x", "format": "qcow2"}}},
        {"mapping": {"device": "flash", "mode": "stateless", "executable": {"filename": "/x", "format": "raw"}}},
    ],
)
def test_what_cannot_boot_our_machine_or_keep_variables_is_passed_over(tmp_path: Path, changes: dict[str, Any]) -> None:
    assert choose(Arch.X86_64, [described(tmp_path, "a", **changes)]) is None


def test_a_description_without_its_files_is_passed_over(tmp_path: Path) -> None:
    description = described(tmp_path, "a")
    (tmp_path / "a.vars").unlink()
    assert choose(Arch.X86_64, [description]) is None


def test_descriptions_are_read_in_order_and_replaced_by_name(tmp_path: Path) -> None:
    shared, local = tmp_path / "share", tmp_path / "etc"
    shared.mkdir()
    local.mkdir()
    for folder, name, number in ((shared, "60-b", 1), (shared, "50-a", 2), (local, "60-b", 3)):
        (folder / f"{name}.json").write_text(json.dumps({"number": number}))
    (shared / "70-broken.json").write_text("{")
    assert [entry["number"] for entry in read(shared, local, tmp_path / "missing")] == [2, 3]


def test_a_builder_gets_variables_once_and_keeps_them(tmp_path: Path) -> None:
    (tmp_path / "vars").write_bytes(b"fresh")
    file, firmware = tmp_path / "efi-variables.fd", Firmware(tmp_path / "code", tmp_path / "vars")
    make_variables(file, firmware)
    assert (file.read_bytes(), file.stat().st_mode & 0o777) == (b"fresh", 0o600)
    file.write_bytes(b"changed by the guest")
    make_variables(file, firmware)
    assert file.read_bytes() == b"changed by the guest"
