"""The proof guest: what it is made of."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

import snowshed.drivers.qemu.proof as proof


def test_the_processor_begins_at_a_jump_to_the_beginning() -> None:
    rom = proof.firmware()
    assert len(rom) == proof.FIRMWARE_SIZE
    opcode, distance = rom[-16], int.from_bytes(rom[-15:-13], "little")
    assert opcode == 0xE9
    assert (proof.RESET_VECTOR + 3 + distance) % 65536 == 0


def test_the_bytes_are_the_source_assembled(tmp_path: Path) -> None:
    assembler = shutil.which("as")
    if (
        assembler is None
        or "x86_64" not in subprocess.run([assembler, "--version"], capture_output=True, text=True).stdout
    ):
        pytest.skip("there is no GNU assembler for x86-64 here")
    source = Path(proof.__file__).with_name("proof_x86_64.S")
    assembled, flat = tmp_path / "proof.o", tmp_path / "proof"
    subprocess.run([assembler, "--64", source, "-o", assembled], check=True)
    subprocess.run(["objcopy", "-O", "binary", "-j", ".text", assembled, flat], check=True)
    assert flat.read_bytes() == proof.firmware()
