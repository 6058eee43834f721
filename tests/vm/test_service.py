"""`snowshed service install` and `uninstall` under a real systemd, with a stand-in for QEMU behind them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from systemd_guest import SystemdGuest, systemd_guest, why_not

pytestmark = [
    pytest.mark.vm,
    pytest.mark.skipif(bool(why_not()), reason=why_not()),
    pytest.mark.timeout(2400),
]

SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
STAND_IN = """
set -e
mkdir -p /var/lib/snowshed/.cache/snowshed/images /var/lib/snowshed/.cache/fake
[ -e /opt/stand-in ] || python3 -c '
from pathlib import Path
from command import put_image
from fakes.qemu import FakeQemu
from snowshed.model.machine import Arch
FakeQemu(Path("/var/lib/snowshed/.cache/fake"))
put_image(Path("/var/lib/snowshed/.cache/snowshed/images"), Arch.X86_64)
'
[ -e /opt/stand-in ] || cp -r /var/lib/snowshed/.cache /opt/stand-in
cp -rT /opt/stand-in /var/lib/snowshed/.cache
chmod -R a+rwX /var/lib/snowshed/.cache
printf '#!/bin/sh\\nexec /var/lib/snowshed/.cache/fake/qemu-system-x86_64 "$@"\\n' > /usr/local/bin/qemu-system-x86_64
chmod 755 /usr/local/bin/qemu-system-x86_64
"""
"""An image that boots nothing, and a QEMU that would boot it."""

BANNER = """
python3 -c '
import socket
with socket.create_connection(("127.0.0.1", 31222), timeout=180) as client:
    client.sendall(b"SSH-2.0-test\\r\\n")
    print(client.recv(64).decode(), end="")
'
"""


async def report(guest: SystemdGuest, who: str = "") -> dict[str, object]:
    _, said = await guest.status(f"{who} snowshed status --json")
    found: dict[str, object] = json.loads(said)
    return found


async def answers(guest: SystemdGuest) -> bool:
    return (await guest.sh(BANNER)).startswith("SSH-2.0-")


async def property_of(guest: SystemdGuest, name: str, unit: str = "snowshed-default.service") -> str:
    return (await guest.sh(f"systemctl show -P {name} {unit}")).strip()


async def test_services(tmp_path: Path) -> None:
    async with systemd_guest(tmp_path) as guest:
        await guest.sh(STAND_IN)
        await guest.sh("useradd --create-home ada")
        said = await guest.status("snowshed service install --memory 512 --cores 1 --disk-size 256M")
        assert said[0] == 0, said
        await installed(guest)
        await real_qemu_starts(guest)
        await used_by_others(guest)
        await survives(guest)
        await taken_away(guest)
        await purged(guest)
        await users_own(guest)


async def installed(guest: SystemdGuest) -> None:
    """systemd holds the socket, the first connection starts the service, and the guest answers."""
    assert await property_of(guest, "ActiveState", "snowshed-default.socket") == "active"
    assert await property_of(guest, "ActiveState") == "inactive"
    assert await answers(guest), await guest.sh("journalctl --no-pager -u snowshed-default.service")
    assert await property_of(guest, "ActiveState") == "active"
    assert await property_of(guest, "User") == "snowshed"
    assert int(await property_of(guest, "MemoryMax")) == (512 + 1024) << 20
    exposure = await guest.sh("systemd-analyze security --no-pager snowshed-default.service | tail -n 1")
    assert float(exposure.split(": ")[1].split()[0]) <= 3.0
    modes = await guest.sh("cd /var/lib/snowshed/default; stat -c '%a %U' . ssh ssh/id_ed25519 control.sock disk.img")
    assert modes.split() == [
        "711",
        "snowshed",
        "700",
        "snowshed",
        "600",
        "snowshed",
        "666",
        "snowshed",
        "600",
        "snowshed",
    ]


async def real_qemu_starts(guest: SystemdGuest) -> None:
    """QEMU itself, in its own sandbox, under everything that the unit forbids."""
    unit = "/run/systemd/system/snowshed-probe.service"
    lines = "Environment=LD_LIBRARY_PATH=/opt/qemu QEMU_MODULE_DIR=/opt/qemu\\nStandardInputText=quit"
    qemu = "/opt/qemu/qemu-system-x86_64 -M none -nodefaults -display none -monitor stdio -sandbox " + SANDBOX
    await guest.sh(
        f"sed -e '/^Requires=/d; /^Type=/s/.*/Type=oneshot/; /^Restart/d; s|^ExecStart=.*|ExecStart={qemu}|' "
        f"-e '/^Environment=PATH/a {lines}' "
        f"/etc/systemd/system/snowshed-default.service > {unit}; systemctl daemon-reload"
    )
    done = await guest.status("systemctl start snowshed-probe.service; journalctl --no-pager -u snowshed-probe.service")
    assert await property_of(guest, "Result", "snowshed-probe.service") == "success", done[1]


async def used_by_others(guest: SystemdGuest) -> None:
    """Everybody may ask how it is; nobody but root and administrators may command it."""
    ada = "runuser -u ada --"
    found = await report(guest, ada)
    assert (found["state"], found["running"]) == ("running", True)
    refused = await guest.status(f"{ada} snowshed stop")
    assert refused[0] == 2
    assert "only root and administrators" in refused[1]
    assert "service of the system" in (await guest.status("snowshed -b default start"))[1] or found["running"]
    await guest.sh("groupadd --force sudo && usermod -aG sudo ada")
    assert (await guest.status(f"{ada} snowshed suspend"))[0] == 0
    assert (await report(guest))["state"] == "suspended"
    assert "`sudo -H -u snowshed snowshed image list`" in (await guest.status(f"{ada} snowshed image list"))[1]
    account = "runuser -u snowshed -- env HOME=/var/lib/snowshed"
    assert (await guest.sh(f"{account} snowshed image list")).splitlines()[1].endswith(" default")
    assert "is used by a builder" in (await guest.status(f"{account} snowshed image prune --yes"))[1]
    assert await answers(guest), "a connection wakes it"


async def survives(guest: SystemdGuest) -> None:
    """kill -9 and a restart cost nobody a refused connection."""
    supervisor = str((await report(guest))["supervisorPid"])
    await guest.sh(f"kill -KILL {supervisor}")
    assert await answers(guest)
    assert (await report(guest))["supervisorPid"] != int(supervisor)
    await guest.sh("systemctl stop snowshed-default.service")
    assert await property_of(guest, "Result") == "success"
    assert await answers(guest)


async def taken_away(guest: SystemdGuest) -> None:
    """Nothing stays but the disk, which is root's."""
    said = await guest.status("snowshed service uninstall")
    assert said[0] == 0, said
    assert await guest.sh("find /var/lib/snowshed -type f -o -type s") == "/var/lib/snowshed/default/disk.img\n"
    assert await guest.sh("stat -c %U /var/lib/snowshed/default/disk.img") == "root\n"
    traces = (
        "ls -d /etc/snowshed /etc/systemd/system/snowshed* /etc/systemd/system/*.wants/snowshed* 2>/dev/null || true"
    )
    assert await guest.sh(traces) == ""
    assert (await guest.status("getent passwd snowshed"))[0] == 2
    assert await guest.sh("systemctl list-units --all --plain --no-legend 'snowshed*'") == ""
    assert (await guest.status("ss -Hltn sport = 31222"))[1] == ""


async def purged(guest: SystemdGuest) -> None:
    """The disk is taken up again by the next installation, and --purge leaves nothing."""
    await guest.sh(STAND_IN)
    inode = await guest.sh("stat -c %i /var/lib/snowshed/default/disk.img")
    said = await guest.status("snowshed service install --memory 512 --cores 1")
    assert said[0] == 0, said
    assert await answers(guest), await guest.sh("journalctl --no-pager -u snowshed-default.service | tail -n 30")
    assert await guest.sh("stat -c %i /var/lib/snowshed/default/disk.img") == inode
    await guest.sh("snowshed service uninstall --purge")
    assert (await guest.status("ls -d /var/lib/snowshed"))[0] != 0


async def users_own(guest: SystemdGuest) -> None:
    """The same for an ordinary user, by their own systemd; the builder itself stays."""
    await guest.sh("loginctl enable-linger ada")
    await guest.sh(STAND_IN)
    await guest.sh("mkdir -p /home/ada/.cache && cp -r /var/lib/snowshed/.cache/snowshed /home/ada/.cache/")
    await guest.sh("chown -R ada: /home/ada/.cache")
    ada = "runuser -u ada -- env HOME=/home/ada XDG_RUNTIME_DIR=/run/user/$(id -u ada)"
    said = await guest.status(f"{ada} snowshed service install --memory 512 --cores 1 --disk-size 256M")
    assert said[0] == 0, said
    assert await answers(guest)
    assert (await report(guest, ada))["state"] == "running"
    said = await guest.status(f"{ada} snowshed service uninstall")
    assert said[0] == 0, said
    left = await guest.sh("find /home/ada -path '*systemd*' -name 'snowshed*'; ss -Hltn sport = 31222")
    assert left == ""
    assert (await guest.status("test -e /home/ada/.local/share/snowshed/default/disk.img"))[0] == 0
