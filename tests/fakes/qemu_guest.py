"""A real guest inside the fakes: what Virtualization.framework or vfkit was asked for, booted in QEMU.

The guest cannot tell: it has virtio disks with serials, a console on hvc0, a card with DHCP. What it lacks is vsock:
its SSH is reached through a forwarded port and its agent over virtio-serial, behind the same `connect`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from snowshed.guest.contract import contract

from .boots import Hardware

MACHINES = {
    "x86_64": ["qemu-system-x86_64", "-machine", "q35", "-cpu", "max"],
    "aarch64": ["qemu-system-aarch64", "-machine", "virt,gic-version=max", "-cpu", "max,pauth-impdef=on"],
}
PATIENCE = 60.0


def architecture(kernel: str) -> str:
    """The one that the kernel is for, by its header."""
    with Path(kernel).open("rb") as file:
        return "aarch64" if file.read(0x40)[0x38:0x3C] == b"ARMd" else "x86_64"


class QemuGuest:
    """See `guests.Guest`."""

    def __init__(self, hardware: Hardware, console: Callable[[bytes], None]) -> None:
        self._hardware, self._console = hardware, console
        self._folder = Path(tempfile.mkdtemp(prefix="snow-qemu-", dir="/tmp"))
        self._process: subprocess.Popen[bytes] | None = None
        self._unplugged = False
        self._gone = threading.Event()
        self._monitor: Monitor | None = None
        self._forward = 0

    def power_on(self, ended: Callable[[], None]) -> None:
        self._launch(ended, [])

    def restore(self, path: str, ended: Callable[[], None]) -> None:
        kept = self._folder / "memory"
        shutil.copyfile(path, kept)
        self._launch(ended, ["-S", "-incoming", f"exec:cat {kept}"])
        self._until("query-status", lambda status: status["status"] in ("paused", "postmigrate", "prelaunch"))

    def _launch(self, ended: Callable[[], None], more: list[str]) -> None:
        started = threading.Event()

        def live() -> None:
            """The thread that QEMU is started on lives as long: its end would be the end of QEMU (pdeathsig)."""
            reading, writing = os.pipe()
            words = ["setpriv", "--pdeathsig", "KILL", "--", *self._words(writing), *more]
            self._process = subprocess.Popen(words, pass_fds=[writing], stdin=subprocess.DEVNULL)
            os.close(writing)
            started.set()
            while data := os.read(reading, 1 << 16):
                self._console(data)
            os.close(reading)
            self._process.wait()
            self._gone.set()
            shutil.rmtree(self._folder, ignore_errors=True)
            if not self._unplugged:
                ended()

        threading.Thread(target=live, daemon=True).start()
        started.wait()
        self._monitor = Monitor(self._folder / "monitor")
        listing = self._monitor.ask("human-monitor-command", {"command-line": "info usernet"})
        self._forward = int(re.findall(r"HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)", listing)[0])

    def _words(self, console: int) -> list[str]:
        hardware = self._hardware
        words = [*MACHINES[architecture(hardware.kernel)], "-nodefaults", "-no-user-config", "-display", "none"]
        words += ["-no-reboot", "-accel", "tcg,thread=multi", "-smp", str(hardware.cores)]
        words += ["-m", f"{hardware.memory >> 20}M", "-kernel", hardware.kernel, "-initrd", hardware.initrd]
        words += ["-append", f"{hardware.cmdline} mitigations=off"]
        words += ["-qmp", f"unix:{self._folder}/monitor,server=on,wait=off", "-device", "virtio-serial-pci,id=channels"]
        words += ["-chardev", f"file,id=console,path=/dev/fd/{console}", "-device", "virtconsole,chardev=console"]
        words += ["-chardev", f"socket,id=agent,path={self._folder}/agent,server=on,wait=off"]
        words += ["-device", f"virtserialport,chardev=agent,name={contract().agent_channel}"]
        words += ["-netdev", "user,id=net,hostfwd=tcp:127.0.0.1:0-:22"]
        words += ["-device", f"virtio-net-pci,netdev=net,mac={hardware.mac},romfile=", "-device", "virtio-rng-pci"]
        for number, (path, serial, read_only) in enumerate(hardware.disks):
            flag = "on" if read_only else "off"
            words += ["-drive", f"if=none,id=d{number},file={path},format=raw,read-only={flag}"]
            words += ["-device", f"virtio-blk-pci,drive=d{number},serial={serial}"]
        return words

    def connect(self, port: int) -> socket.socket:
        if self._gone.is_set():
            raise ConnectionRefusedError(port)
        if port == contract().ports.agent:
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(str(self._folder / "agent"))
            return connection
        if port == contract().ports.ssh:
            return socket.create_connection(("127.0.0.1", self._forward))
        raise ConnectionRefusedError(port)

    def press_power_button(self) -> None:
        self._ask("system_powerdown")

    def pull_the_plug(self) -> None:
        self._unplugged = True
        if self._process is not None:
            self._process.kill()
            self._gone.wait()

    def freeze(self) -> None:
        self._ask("stop")

    def thaw(self) -> None:
        self._ask("cont")

    def save(self, path: str) -> None:
        self._ask("migrate", {"uri": f"exec:cat > {path}"})
        self._until("query-migrate", lambda status: status.get("status") == "completed")

    def _ask(self, command: str, arguments: dict[str, Any] | None = None) -> Any:
        assert self._monitor is not None
        return self._monitor.ask(command, arguments)

    def _until(self, command: str, so: Callable[[Any], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not so(status := self._ask(command)):
            assert time.monotonic() < deadline, status
            time.sleep(0.02)


class Monitor:
    """QEMU's monitor, one question at a time; events are passed over."""

    def __init__(self, path: Path) -> None:
        self._turn = threading.Lock()
        deadline = time.monotonic() + PATIENCE
        while True:
            connection = socket.socket(socket.AF_UNIX)
            try:
                connection.connect(str(path))
                break
            except OSError:
                connection.close()
                assert time.monotonic() < deadline, "QEMU did not open its monitor"
                time.sleep(0.02)
        self._stream = connection.makefile("rwb")
        connection.close()
        self._stream.readline()
        self.ask("qmp_capabilities")

    def ask(self, command: str, arguments: dict[str, Any] | None = None) -> Any:
        with self._turn:
            self._stream.write(json.dumps({"execute": command, "arguments": arguments or {}}).encode() + b"\n")
            self._stream.flush()
            while True:
                answer = json.loads(self._stream.readline())
                if "return" in answer:
                    return answer["return"]
                if "error" in answer:
                    raise OSError(answer["error"]["desc"])
