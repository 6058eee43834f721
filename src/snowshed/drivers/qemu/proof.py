"""A guest of a few bytes that shows whether an accelerator really executes one.

A device file that opens proves nothing: there are machines where ``/dev/kvm`` opens, a VM can be made, and a kernel
hangs in it for ever. The proof guest does a little of what a kernel does at its start, says "ok" on its serial port
and ends the machine; whatever else happens within `SECONDS` is the reason not to use the accelerator.
"""

from __future__ import annotations

import tempfile
from functools import lru_cache
from pathlib import Path

from ...errors import GuestError
from ...model.machine import Accelerator, Arch
from ...process import run

SECONDS = 5.0
"""A hundred times what the proof takes where it works."""

FIRMWARE_SIZE = 65536
RESET_VECTOR = FIRMWARE_SIZE - 16

X86_64 = bytes.fromhex(
    "fa2e660f011610010f20c00c010f22c066ea1800ffff0800b8100000008ed88ec08ed0bf0010000031c0b900100000fcf3abc70500100000"
    "03200000c7050020000003300000c7051820000003400000c7050030000083000000c705f84f00008300e0ffb8001000000f22d80f20e083"
    "c8200f22e0b9800000c00f320d000100000f300f20c00d000000800f22c0ea9500ffff1800b9a086010031c083c00389042500800000ffc9"
    "75f23de0930400753731c00fa283f8077223b80700000031c90fa20fbae3087314be01000000b904000000c4e271f7f683fe10750bbaf803"
    "0000b06feeb06beeb0fee664f4ebfd900000000000000000ffff0000009bcf00ffff00000093cf00ffff0000009baf001f00f000ffff"
)
"""``proof_x86_64.S`` beside this file, assembled: firmware that begins in real mode and ends in long mode."""

AARCH64 = bytes.fromhex(
    "0120a152"  # mov w1, #0x09000000: the PL011 of QEMU's virt machine
    "e00d8052200000b9"  # mov w0, #'o'; str w0, [x1]
    "600d8052200000b9"  # mov w0, #'k'; str w0, [x1]
    "000180520080b072"  # mov w0, #0x84000008: SYSTEM_OFF (Arm's PSCI specification, DEN0022)
    "020000d4"  # hvc #0
    "00000014"  # b .
)
"""A kernel without a header, which QEMU starts like any other."""


def firmware() -> bytes:
    """The x86-64 proof as a ROM: the processor begins 16 bytes before its end, where it jumps to its beginning."""
    body = X86_64.ljust(RESET_VECTOR, b"\0")
    jump = b"\xe9" + ((-RESET_VECTOR - 3) % 65536).to_bytes(2, "little")
    return (body + jump).ljust(FIRMWARE_SIZE, b"\0")


def prove(program: str, arch: Arch, accelerator: Accelerator) -> str:
    """Why a guest does not run under `accelerator` with the QEMU `program`; empty where it does.

    Blocks for at most `SECONDS`. The answer is remembered as long as the program stays the same.
    """
    return _prove(program, Path(program).stat().st_mtime_ns, arch, accelerator)


@lru_cache
def _prove(program: str, _modified: int, arch: Arch, accelerator: Accelerator) -> str:
    with tempfile.TemporaryDirectory(prefix="snowshed-proof-") as folder:
        image = Path(folder) / "proof"
        image.write_bytes(firmware() if arch is Arch.X86_64 else AARCH64)
        try:
            said = run(arguments(program, arch, accelerator, image), timeout=SECONDS)
        except GuestError as error:
            return error.message.rstrip(".")
    return "" if said.endswith("ok") else "a test guest went wrong in it"


def arguments(program: str, arch: Arch, accelerator: Accelerator, image: Path) -> list[str]:
    """The command line that runs the proof guest in `image`."""
    machine = (
        ["-machine", "q35,vmport=off,smm=off", "-bios"] if arch is Arch.X86_64 else ["-machine", "virt", "-kernel"]
    )
    return [
        *[program, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", *machine, str(image)],
        *["-accel", str(accelerator), "-cpu", "max" if accelerator is Accelerator.TCG else "host", "-m", "32M"],
        *["-serial", "stdio"],
    ]
