"""A program that speaks vfkit's command line and REST service, as its source has them, with its faults to choose from.

``FAKE_VFKIT_VERSION`` is the version it claims and behaves like (0.6.4); ``FAKE_VFKIT_FAULTS`` holds words:

``late-state``       the first answers are Stopped and Starting
``lost-hardstop``    HardStop works, and its answer is lost
``hang``             after the VM has stopped the process stays, and REST says Stopped
``never-running``    the VM does not come to run: an error after a while
``refuses-pause``    the framework refuses a pause
``ignores-power``, ``no-vsock``, ``mute``: the guest's own, see `PretendGuest`

``FAKE_VFKIT_GRACE`` is the seconds between SIGTERM and force (5). ``FAKE_GUEST=qemu`` boots what the command line
names, in QEMU.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from .boots import Hardware, guest_for
from .rest_machine import Machine, Refused, console_file, serve_rest, serve_vsock

VERSION = tuple(int(part) for part in os.environ.get("FAKE_VFKIT_VERSION", "0.6.4").split("."))
FAULTS = frozenset(os.environ.get("FAKE_VFKIT_FAULTS", "").split(",")) - {""}
GRACE = float(os.environ.get("FAKE_VFKIT_GRACE", "5"))
USAGE = "Usage:\n  vfkit [flags]\n\nFlags:\n  -h, --help   help for vfkit\n"

OPTIONS = {
    "virtio-blk": {"path", "type", "deviceId"},
    "virtio-net": {"mac", "fd", "unixSocketPath", "type", "path", "vfkitMagic", "offloading"},
    "virtio-serial": {"logFilePath"},
    "virtio-vsock": {"port", "socketURL"},
    "virtio-fs": {"sharedDir", "mountTag"},
    "rosetta": {"mountTag"},
    "virtio-rng": set(),
    "virtio-balloon": set(),
}
WORDS = {
    "virtio-blk": {"readonly"},
    "virtio-net": {"nat"},
    "virtio-serial": {"stdio", "pty"},
    "virtio-vsock": {"listen", "connect"},
    "rosetta": {"install", "ignore-if-missing"},
}
VALUED = {"cpus", "memory", "bootloader", "kernel", "initrd", "kernel-cmdline", "device", "restful-uri", "log-level"}
SINCE = {"nested": (0, 6, 2), "pidfile": (0, 6, 2), "virtio-balloon": (0, 6, 1)}


class CommandLineError(Exception):
    pass


@dataclass
class Options:
    values: dict[str, str] = field(default_factory=dict)
    devices: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    nested: bool = False


def parse(words: list[str]) -> Options:
    """pflag's grammar: ``--flag value`` or ``--flag=value``, a boolean without a value, positional words ignored."""
    options, rest = Options(), list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("--"):
            continue
        name, equals, value = word[2:].partition("=")
        if name in SINCE and SINCE[name] > VERSION:
            raise CommandLineError(f"unknown flag: --{name}")
        if name == "nested":
            options.nested = not equals or value == "true"
            continue
        if name not in VALUED:
            raise CommandLineError(f"unknown flag: --{name}")
        value = value if equals else rest.pop(0)
        if name == "device":
            options.devices.append(device(value))
        else:
            options.values[name] = value
    return options


def device(text: str) -> tuple[str, dict[str, str]]:
    """A device: split at every comma, unknown keys are errors, a word without ``=`` has no value."""
    kind, *elements = text.split(",")
    if kind not in OPTIONS or SINCE.get(kind, (0,)) > VERSION:
        raise CommandLineError(f"unknown device type: {kind}")
    found: dict[str, str] = {}
    for element in filter(None, elements):
        key, equals, value = element.partition("=")
        if key not in (OPTIONS[kind] if equals else WORDS.get(kind, set())):
            raise CommandLineError(f"unknown option for {kind} devices: {key}")
        found[key] = value
    check_device(kind, found)
    return kind, found


def check_device(kind: str, found: dict[str, str]) -> None:
    if kind == "virtio-blk":
        with Path(found["path"]).open("rb") as file:
            head = file.read(4)
        if len(head) < 4 or head == b"QFI\xfb":
            raise CommandLineError(f"unsupported or empty image: {found['path']}")
    if kind == "virtio-net" and len({"nat", "fd", "unixSocketPath"} & set(found)) != 1:
        raise CommandLineError("one of 'nat', 'fd' or 'unixSocketPath' must be set")
    if kind == "virtio-fs" and not Path(found["sharedDir"]).is_dir():
        raise CommandLineError(f"{found['sharedDir']} is not a directory")
    if kind == "virtio-vsock" and not found["socketURL"].startswith("/"):
        raise CommandLineError("socketURL must be an absolute path")


def hardware(options: Options) -> Hardware:
    values = options.values
    trio = [values.get(name) for name in ("kernel", "initrd", "kernel-cmdline")]
    if any(trio) and (not all(trio) or "bootloader" in values):
        raise CommandLineError("all of kernel, initrd and kernel-cmdline, and no bootloader")
    if not any(trio) and "bootloader" not in values:
        raise CommandLineError("empty option list in --bootloader command line argument")
    variables = None
    if "bootloader" in values:
        kind, *rest = values["bootloader"].split(",")
        settings = dict(element.partition("=")[::2] for element in rest)
        variables = settings["variable-store"]
        if "create" in settings:
            Path(variables).write_bytes(b"variables")  # overwrites, whatever the manual says
        elif kind != "efi" or not Path(variables).exists():
            raise CommandLineError(f"no variable store at {variables}")
    disks = [
        (found["path"], found.get("deviceId", ""), "readonly" in found)
        for kind, found in options.devices
        if kind == "virtio-blk"
    ]
    card = next((found.get("mac", "") for kind, found in options.devices if kind == "virtio-net"), "")
    return Hardware(
        cores=int(values.get("cpus", "1")),
        memory=int(values.get("memory", "512")) << 20,
        kernel=values.get("kernel", ""),
        initrd=values.get("initrd", ""),
        cmdline=values.get("kernel-cmdline", ""),
        disks=disks,
        mac=card,
    )


def answer(machine: Machine, raw: bytes) -> bytes | None:
    head, _, body = raw.partition(b"\r\n\r\n")
    words = head.split(b" ")
    print(f"[GIN] {words[0].decode()} {words[1].decode()}", flush=True)
    if words[1] != b"/vm/state":
        return http(404, b"404 page not found")
    if words[0] == b"GET":
        return http(200, json.dumps({"state": f"VirtualMachineState{machine.state}", "canStop": True}).encode())
    try:
        wish = json.loads(body)["state"]
    except (ValueError, KeyError):
        return http(400, b'{"error":"EOF"}')
    action = {
        "Pause": machine.pause,
        "Resume": machine.resume,
        "Stop": machine.request_stop,
        "HardStop": machine.hard_stop,
    }.get(wish)
    if action is None:
        return http(500, json.dumps({"error": f"invalid new VMState: {wish}"}).encode())
    try:
        if wish == "Pause" and "refuses-pause" in FAULTS:
            raise Refused("The virtual machine cannot be paused just now.")
        action()
    except Refused as error:
        return http(500, json.dumps({"error": str(error)}).encode())
    return None if wish == "HardStop" and "lost-hardstop" in FAULTS else http(202, b"")


def http(status: int, body: bytes) -> bytes:
    return b"HTTP/1.1 %d Whatever\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (status, len(body), body)


def run(options: Options) -> int:
    found = hardware(options)
    log = next((found["logFilePath"] for kind, found in options.devices if kind == "virtio-serial"), os.devnull)
    machine = Machine(guest_for(found, console_file(log), FAULTS), late=0.1 if "late-state" in FAULTS else 0.0)
    uri = options.values.get("restful-uri", "none://")
    rest = unquote(uri.removeprefix("unix://")) if uri.startswith("unix://") else ""
    if rest:
        if Path(rest).exists():
            print(f'level=fatal msg="listen unix {rest}: bind: address already in use"', file=sys.stderr)
            os._exit(1)
        serve_rest(rest, lambda raw: answer(machine, raw))
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=terminate, args=(machine,)).start())
    if "never-running" in FAULTS:
        time.sleep(0.3)
        raise CommandLineError("virtual machine is not running: it failed to start")
    machine.start()
    for kind, found_device in options.devices:
        if kind == "virtio-vsock":
            try:
                serve_vsock(machine, int(found_device["port"]), found_device["socketURL"])
            except OSError as error:
                print(f'level=warning msg="Unable to set up vsock: {error}"', file=sys.stderr)
    machine.stopped.wait()
    if "hang" in FAULTS:
        threading.Event().wait()
    if rest:
        Path(rest).unlink(missing_ok=True)
    return 0


def terminate(machine: Machine) -> None:
    """SIGTERM: the end at once up to 0.6.1; since then the power button, a grace period, and force."""
    if VERSION < (0, 6, 2):
        os._exit(1)
    with contextlib.suppress(Refused):
        machine.request_stop()
    if not machine.stopped.wait(GRACE):
        machine.hard_stop()


def main() -> None:
    if sys.argv[1:] == ["--version"]:
        print(f"vfkit version: v{'.'.join(map(str, VERSION))}")
        return
    try:
        status = run(parse(sys.argv[1:]))
    except (CommandLineError, OSError, ValueError) as error:
        print(f"Error: {error}\n{USAGE}\n{error}", file=sys.stderr, flush=True)
        os._exit(1)
    sys.stdout.flush()
    os._exit(status)


if __name__ == "__main__":
    main()
