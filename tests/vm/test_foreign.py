"""Builds for the architecture that the guest is not: by qemu-user, by Rosetta where there is one, or not at all.

An x86_64 guest that builds for aarch64 is in test_settings.py."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import msgspec
import pytest

from guests import Guest, guest, put_busybox
from snowshed.config import ShareConfig
from snowshed.guest.contract import contract
from snowshed.model.machine import Arch, Share

pytestmark = [pytest.mark.vm, pytest.mark.timeout(900)]


async def test_an_arm_guest_takes_rosetta_where_it_works_else_qemu_user(tmp_path: Path) -> None:
    """Rosetta's part is played by qemu-user itself, on the share where a Mac has Rosetta."""
    lent, tools = tmp_path / "lent", tmp_path / "tools"
    lent.mkdir()
    tools.mkdir()
    put(lent / "rosetta", "#!/bin/sh\nexit 133\n")
    shares = {"tools": ShareConfig(str(tools), read_only=False)}
    async with guest(tmp_path, system="aarch64-linux", shares=shares) as (machine, tasks):
        rosetta = Share(contract().shares.rosetta, lent)
        machine.spec = msgspec.structs.replace(machine.spec, shares=(*machine.spec.shares, rosetta))
        machine.config = msgspec.structs.replace(machine.config, rosetta=True)
        await machine.boot(tasks)
        assert facts(machine) == ["emulates x86_64-linux qemu-user"]
        assert await looked_at_from_inside(machine) == "x86_64\n"

        await machine.sh("cp /usr/bin/qemu-x86_64 /mnt/tools/")
        (tools / "qemu-x86_64").rename(lent / "rosetta")
        put(lent / "rosettad", "#!/bin/sh\nmkdir -p $2/uds && exec socat UNIX-LISTEN:$2/uds/rosetta.sock,fork -\n")
        assert await found_anew(machine) == "emulates x86_64-linux rosetta"
        await machine.sh("until [ -S /data/rosetta/uds/rosetta.sock ]; do sleep 0.1; done")
        assert await looked_at_from_inside(machine) == "x86_64\n/run/rosetta/rosetta\n/run/rosettad/rosetta.sock\n"

        put(lent / "rosetta", "#!/bin/sh\nexit 133\n")
        await machine.sh("mount --bind /bin/false /usr/bin/qemu-x86_64")
        missing = r"emulates x86_64-linux nothing Rosetta does not run .* \(status \d+\); qemu-user does not run .*"
        assert re.fullmatch(missing, await found_anew(machine))
        assert (await machine.sh("nix config show extra-platforms")).strip() == ""
        await machine.shut_down()


def put(file: Path, script: str) -> None:
    file.unlink(missing_ok=True)
    file.write_text(script)
    file.chmod(0o755)


def facts(machine: Guest) -> list[str]:
    """What the guest has said of itself."""
    lines = machine.recorder.console.decode(errors="replace").splitlines()
    return [line.partition(contract().fact_mark)[2].strip() for line in lines if contract().fact_mark in line]


async def found_anew(machine: Guest) -> str:
    """What the guest says when its daemon is started again, before which it looks what it can do."""
    before = len(facts(machine))
    await machine.sh("killall nix-daemon")
    async with asyncio.timeout(120):
        while len(facts(machine)) == before:
            await asyncio.sleep(0.1)
    return facts(machine)[-1]


async def looked_at_from_inside(machine: Guest) -> str:
    """What a build for x86_64 sees: its processor, and what of Rosetta is there."""
    folder = machine.paths.state / "x86"
    if not folder.exists():
        put_busybox(folder, Arch.X86_64)
        program = (folder / "busybox").read_bytes()
        (Path(machine.config.shares["tools"].path) / "busybox").write_bytes(program)
    script = (
        "$builder uname -m >$out;"
        "for f in /run/rosetta/rosetta /run/rosettad/*; do if [ -e $f ]; then echo $f >>$out; fi; done"
    )
    return await machine.sh(
        "export NIX_REMOTE='unix:///nix/var/nix/daemon-socket/socket?root=/data' HOME=/run; cd /run; mkdir -p x86;"
        "cp /mnt/tools/busybox x86/; chmod 755 x86/busybox;"
        f'cat >t.nix <<\'E\'\nderivation {{ name = "t${{toString builtins.currentTime}}"; system = "x86_64-linux";'
        f' builder = "${{./x86}}/busybox"; args = [ "sh" "-c" \'\'{script}\'\' ]; }}\nE\n'
        "until [ -S /nix/var/nix/daemon-socket/socket ]; do sleep 0.1; done;"
        'cat "/data$(nix-build --no-out-link t.nix)"',
        seconds=240,
    )
