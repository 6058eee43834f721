"""A program that speaks krunkit's command line and its hand-written REST service, as its source has them (1.2.1).

``FAKE_KRUNKIT_VERSION`` is the version it claims. The guest pretends; ``FAKE_GUEST_FAULTS`` has its faults.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

from .boots import Hardware, guest_for
from .rest_machine import Machine, Refused, console_file, serve_rest, serve_vsock

VERSION = os.environ.get("FAKE_KRUNKIT_VERSION", "1.2.1")
FAULTS = frozenset(os.environ.get("FAKE_GUEST_FAULTS", "").split(",")) - {""}

NEEDED = {
    "virtio-blk": {"path", "format"},
    "virtio-net": {"type", "fd", "mac"},
    "virtio-serial": {"logFilePath"},
    "virtio-vsock": {"port", "socketURL"},
    "virtio-fs": {"sharedDir", "mountTag"},
    "virtio-rng": set(),
}


def refuse(why: str, status: int = 1) -> None:
    print(f"Error: {why}", file=sys.stderr, flush=True)
    os._exit(status)


def device(text: str) -> tuple[str, dict[str, str]]:
    """Split at every comma, then at every ``=``: one too many, an empty element or a repeated key is an error."""
    kind, *elements = text.split(",")
    if kind not in NEEDED:
        refuse(f"unknown device {kind}", 2)
    found: dict[str, str] = {}
    for element in elements:
        parts = element.split("=")
        if len(parts) > 2 or not element or parts[0] in found:
            refuse(f"invalid argument {element!r}", 2)
        found[parts[0]] = parts[1] if len(parts) == 2 else ""
    if set(found) - {"connect", "listen"} != NEEDED[kind]:
        refuse(f"{kind} has {sorted(found)}, and needs {sorted(NEEDED[kind])}", 2)
    return kind, found


def parse(words: list[str]) -> tuple[dict[str, str], list[tuple[str, dict[str, str]]]]:
    values: dict[str, str] = {}
    devices = []
    rest = list(words)
    while rest:
        name = rest.pop(0)
        if name == "--device":
            devices.append(device(rest.pop(0)))
        elif name in ("--cpus", "--memory", "--restful-uri"):
            values[name[2:]] = rest.pop(0)
        elif name != "--nested":
            refuse(f"unexpected argument {name!r}", 2)
    if not {"cpus", "memory"} <= set(values) or not 1 <= int(values["memory"]) <= 61440:
        refuse("--cpus and --memory are required", 2)
    return values, devices


def answer(machine: Machine, raw: bytes) -> bytes:
    """Any request with POST in it is a wish to stop; the body ends with a NUL byte and has no length."""
    state = "Running"
    if b"POST" in raw:
        state = "Stopping"
        with contextlib.suppress(Refused):
            machine.request_stop()
    body = b'{"state": "VirtualMachineState%s"}\0' % state.encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n" + body


def main() -> None:
    if sys.argv[1:] == ["--version"]:
        print(f"krunkit {VERSION}")
        return
    values, devices = parse(sys.argv[1:])
    disks = [(found["path"], "", False) for kind, found in devices if kind == "virtio-blk"]
    log = next((found["logFilePath"] for kind, found in devices if kind == "virtio-serial"), os.devnull)
    hardware = Hardware(cores=int(values["cpus"]), memory=int(values["memory"]) << 20, disks=disks)
    machine = Machine(guest_for(hardware, console_file(log), FAULTS))
    rest = values.get("restful-uri", "none://").removeprefix("unix://")
    Path(rest).unlink(missing_ok=True)
    serve_rest(rest, lambda raw: answer(machine, raw))
    machine.start()
    for kind, found in devices:
        if kind == "virtio-vsock":
            serve_vsock(machine, int(found["port"]), found["socketURL"])
    machine.stopped.wait()
    os._exit(0)


if __name__ == "__main__":
    main()
