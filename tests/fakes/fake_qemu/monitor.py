"""The monitor: QMP over the inherited socket, with descriptors."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from typing import Any

from .machine import Machine


class Refused(Exception):
    pass


class Monitor:
    """QMP over the inherited socket, descriptors included."""

    def __init__(self, machine: Machine, peer: socket.socket) -> None:
        self.machine = machine
        self.peer = peer
        self.rest = ""
        self.ready = False
        self.migration_events = False
        self.received: list[int] = []
        self.named: dict[str, int] = {}
        version = {"qemu": {"major": 7, "minor": 2, "micro": 22}, "package": "fake"}
        self.send({"QMP": {"version": version, "capabilities": ["oob"]}})
        peer.setblocking(False)
        machine.loop.add_reader(peer, self.read)

    def send(self, message: dict[str, object]) -> None:
        try:
            self.peer.setblocking(True)
            self.peer.sendall(json.dumps(message).encode() + b"\r\n")
        except OSError:
            pass
        finally:
            self.peer.setblocking(False)

    def event(self, name: str, data: dict[str, object]) -> None:
        self.send({"event": name, "data": data, "timestamp": {"seconds": 0, "microseconds": 0}})

    def read(self) -> None:
        data, descriptors, _, _ = socket.recv_fds(self.peer, 65536, 8)
        if descriptors:
            for old in self.received:
                os.close(old)
            self.received = descriptors
        if not data:
            self.machine.loop.remove_reader(self.peer)
            return
        self.rest += data.decode()
        for request in self.requests():
            self.obey(request)

    def requests(self) -> Iterator[dict[str, Any]]:
        """Whole requests that have arrived: they need no newline between them."""
        decoder = json.JSONDecoder()
        while True:
            self.rest = self.rest.lstrip()
            try:
                request, end = decoder.raw_decode(self.rest)
            except ValueError:
                return
            self.rest = self.rest[end:]
            yield request

    def obey(self, request: dict[str, Any]) -> None:
        command = request.get("execute") or request.get("exec-oob")
        answer: dict[str, object]
        method = getattr(self, f"do_{str(command).replace('-', '_')}", None)
        try:
            if method is None:
                raise Refused(f"The command {command} has not been found")
            if not self.ready and command != "qmp_capabilities":
                raise Refused("Expecting capabilities negotiation with 'qmp_capabilities'")
            arguments = {key.replace("-", "_"): value for key, value in request.get("arguments", {}).items()}
            answer = {"return": method(**arguments) or {}}
        except Refused as error:
            answer = {"error": {"class": "GenericError", "desc": str(error)}}
        self.send({**answer, **({"id": request["id"]} if "id" in request else {})})

    def do_qmp_capabilities(self, enable: list[str] | None = None) -> None:
        self.ready = True

    def do_query_status(self) -> object:
        running = self.machine.running.is_set()
        return {"running": running, "status": "running" if running else "paused", "singlestep": False}

    def do_stop(self) -> None:
        if self.machine.running.is_set():
            self.machine.running.clear()
            self.machine.note("stop")
            self.event("STOP", {})

    def do_cont(self) -> None:
        if not self.machine.running.is_set():
            self.machine.running.set()
            self.machine.note("cont")
            self.event("RESUME", {})

    def do_system_powerdown(self) -> None:
        self.machine.note("powerdown")
        self.event("POWERDOWN", {})
        self.machine.spawn(self.machine.shut_down())

    def do_quit(self) -> None:
        self.machine.power_off("host-qmp-quit")

    def do_human_monitor_command(self, command_line: str) -> object:
        if command_line == "info usernet":
            guest_port = self.machine.options.guest_port
            head = "  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ"
            line = f"  TCP[HOST_FORWARD]  9  127.0.0.1 {self.machine.port}  10.0.2.15    {guest_port}     0     0"
            return f"Hub -1 (net):\r\n{head}\r\n{line}\r\n"
        if command_line.startswith("hostfwd_add net tcp:127.0.0.1:"):
            return ""
        return f"unknown command: '{command_line.split()[0]}'\r\n"

    def do_getfd(self, fdname: str) -> None:
        if not self.received:
            raise Refused("No file descriptor supplied via SCM_RIGHTS")
        self.named[fdname] = self.received.pop(0)

    def do_add_fd(self, fdset_id: int) -> object:
        self.new_enough()
        if not self.received:
            raise Refused("No file descriptor supplied via SCM_RIGHTS")
        self.named[f"/dev/fdset/{fdset_id}"] = self.received.pop(0)
        return {"fdset-id": fdset_id, "fd": self.named[f"/dev/fdset/{fdset_id}"]}

    def do_remove_fd(self, fdset_id: int) -> None:
        if f"/dev/fdset/{fdset_id}" not in self.named:
            raise Refused(f"File descriptor named 'fdset-id:{fdset_id}' not found")
        os.close(self.named.pop(f"/dev/fdset/{fdset_id}"))

    def new_enough(self) -> None:
        version = self.machine.faults.text("version", "7.2.22")
        if tuple(map(int, version.split("."))) < (9, 1, 0):
            raise Refused("this stand-in takes files for migrations from 9.1 on")

    def do_migrate_set_capabilities(self, capabilities: list[dict[str, object]]) -> None:
        for capability in capabilities:
            if capability["capability"] != "events":
                raise Refused(f"Parameter 'capability' does not accept value '{capability['capability']}'")
            self.migration_events = bool(capability["state"])

    def do_migrate_set_parameters(self, max_bandwidth: int) -> None:
        if not 0 <= max_bandwidth < 1 << 63:
            raise Refused("Parameter 'max_bandwidth' expects an integer in the range of 0 to 9223372036854775807")

    def descriptor(self, uri: str) -> int:
        kind, _, name = uri.partition(":")
        if kind == "file":
            self.new_enough()
        if kind not in ("fd", "file") or name not in self.named:
            raise Refused(f"File descriptor named '{name}' has not been found")
        return self.named.pop(name)

    def do_migrate(self, uri: str) -> None:
        if self.machine.running.is_set():
            raise Refused("this stand-in saves a stopped machine only")
        self.machine.saving = self.machine.spawn(self.machine.save(self.descriptor(uri)))

    def do_migrate_cancel(self) -> None:
        if self.machine.saving is not None:
            self.machine.saving.cancel()

    def do_migrate_incoming(self, uri: str) -> None:
        if not self.machine.options.incoming:
            raise Refused("'-incoming' was not specified on the command line")
        self.machine.spawn(self.machine.restore(self.descriptor(uri)))

    def do_query_migrate(self) -> object:
        return self.machine.migration

    def do_device_del(self, id: str) -> None:  # noqa: A002  # QMP's own name
        if id not in self.machine.options.ids["device"]:
            raise Refused(f"Device '{id}' not found")
        self.machine.options.ids["device"].discard(id)
        self.event("DEVICE_DELETED", {"device": id, "path": f"/machine/peripheral/{id}"})
