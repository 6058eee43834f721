"""The live half: a VM and its devices, around a guest. Transitions and refusals are the framework's.

Faults, by word: ``start-fails``, ``start-hangs``, ``save-fails``, ``restore-fails``, ``stop-hangs``, ``connect-hangs``,
``crashes`` (after its start), ``detached`` (its network card, after its start), and the guest's own.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..boots import Hardware, guest_for
from .behaviour import DOMAIN, INVALID_STATE, RESTORE, SAVE, TRANSITION
from .foundation import NSError
from .strict import Object, fresh, weak

STOPPED, RUNNING, PAUSED, ERROR, STARTING, PAUSING, RESUMING, STOPPING, SAVING, RESTORING = range(10)

Handler = Callable[..., None]


def hardware(configuration: Any) -> Hardware:
    """What a guest in QEMU needs to know of a configuration."""
    values = configuration.values
    boot = values["bootLoader"].values
    disks = []
    for device in values.get("storageDevices", []):
        image = device.values["attachment"].values
        disks.append((image["path"], device.values.get("identifier", ""), image["read_only"]))
    cards = values.get("networkDevices", [])
    return Hardware(
        cores=values["CPUCount"],
        memory=values["memorySize"],
        kernel=boot["kernelURL"].path() if "kernelURL" in boot else "",
        initrd=boot["initialRamdiskURL"].path() if boot.get("initialRamdiskURL") else "",
        cmdline=boot.get("commandLine", ""),
        disks=disks,
        mac=cards[0].values["MACAddress"].values["string"] if cards else "",
    )


class VirtualMachine(Object):
    """``VZVirtualMachine``"""

    @staticmethod
    def do_isSupported() -> bool:  # noqa: N802
        return True

    def do_initWithConfiguration_queue_(self, configuration: Any, queue: Any) -> VirtualMachine:  # noqa: N802
        if problem := configuration.problem():
            raise ValueError(f"NSInvalidArgumentException - {problem}")
        hidden = self.__dict__
        hidden["_queue"], hidden["_state"], hidden["_delegate"] = queue, STOPPED, weak(None)
        hidden["_configuration"] = configuration
        console = configuration.values["serialPorts"][0].values["attachment"]
        hidden["_guest"] = guest_for(hardware(configuration), console.write, frozenset(self.standin.faults))
        hidden["_socket"] = self._device("VZVirtioSocketDevice")
        hidden["_balloon"] = self._device("VZVirtioTraditionalMemoryBalloonDevice")
        self.standin.vms.append(self)
        return self

    def _device(self, name: str) -> Any:
        device = fresh(self.standin.classes[name])
        device.__dict__["_queue"], device.__dict__["_vm"] = self.__dict__["_queue"], self
        return device

    # properties

    def do_state(self) -> int:
        return self.__dict__["_state"]

    def do_setDelegate_(self, delegate: Any) -> None:  # noqa: N802
        self.__dict__["_delegate"] = weak(delegate)

    def do_socketDevices(self) -> list[Any]:  # noqa: N802
        return [self.__dict__["_socket"]]

    def do_memoryBalloonDevices(self) -> list[Any]:  # noqa: N802
        return [self.__dict__["_balloon"]]

    # transitions

    def do_startWithCompletionHandler_(self, handler: Handler) -> None:  # noqa: N802
        if "start-fails" in self.standin.faults:
            self._later(
                lambda: handler(self.standin.error(DOMAIN, 1, "Internal Virtualization error.", "The VM went away."))
            )
        elif "start-hangs" not in self.standin.faults:
            self._go((STOPPED, ERROR), STARTING, RUNNING, handler, lambda: self._inside().power_on(self._ended))
            self._later(self._misbehave)

    def do_pauseWithCompletionHandler_(self, handler: Handler) -> None:  # noqa: N802
        self._go((RUNNING,), PAUSING, PAUSED, handler, self._inside().freeze)

    def do_resumeWithCompletionHandler_(self, handler: Handler) -> None:  # noqa: N802
        self._go((PAUSED,), RESUMING, RUNNING, handler, self._inside().thaw)

    def do_stopWithCompletionHandler_(self, handler: Handler) -> None:  # noqa: N802
        if "stop-hangs" not in self.standin.faults:
            self._go((RUNNING, PAUSED), STOPPING, STOPPED, handler, self._inside().pull_the_plug)

    def do_saveMachineStateToURL_completionHandler_(self, url: Any, handler: Handler) -> None:  # noqa: N802
        if self.__dict__["_configuration"].unsavable() or "save-fails" in self.standin.faults:
            self._later(lambda: handler(self.standin.error(DOMAIN, SAVE, "The virtual machine could not be saved.")))
        elif Path(url.path()).exists():
            self._later(lambda: handler(self.standin.error(DOMAIN, SAVE, "The file exists already.")))
        else:
            self._go((PAUSED,), SAVING, PAUSED, handler, lambda: self._save(url.path()))

    def do_restoreMachineStateFromURL_completionHandler_(self, url: Any, handler: Handler) -> None:  # noqa: N802
        if "restore-fails" in self.standin.faults or not self._fits(url.path()):
            self._later(
                lambda: handler(self.standin.error(DOMAIN, RESTORE, "It failed to restore.", "invalid argument"))
            )
        else:
            self._go((STOPPED,), RESTORING, PAUSED, handler, lambda: self._restore(url.path()))

    def do_requestStopWithError_(self, _: None) -> tuple[bool, NSError | None]:  # noqa: N802
        if self.__dict__["_state"] != RUNNING:
            return False, self.standin.error(DOMAIN, INVALID_STATE, "Invalid virtual machine state.")
        self._inside().press_power_button()
        return True, None

    # the inside

    def _inside(self) -> Any:
        return self.__dict__["_guest"]

    def _later(self, block: Callable[[], None]) -> None:
        self.__dict__["_queue"].put(block)

    def _go(self, from_: tuple[int, ...], via: int, to: int, handler: Handler, work: Callable[[], None]) -> None:
        """A transition: refused out of place, else `via` while `work` is done on another thread, then `to`."""
        if self.__dict__["_state"] not in from_:
            state = self.__dict__["_state"]
            self._later(
                lambda: handler(self.standin.error(DOMAIN, TRANSITION, f"Invalid transition from state {state}."))
            )
            return
        self.__dict__["_state"] = via

        def done() -> None:
            if self.__dict__["_state"] == via:
                self.__dict__["_state"] = to
            handler(None)

        def worker() -> None:
            work()
            self._later(done)

        threading.Thread(target=worker, daemon=True).start()

    def _ended(self) -> None:
        def tell() -> None:
            self.__dict__["_state"] = STOPPED
            delegate = self.__dict__["_delegate"]()
            if delegate is not None:
                delegate.guestDidStopVirtualMachine_(self)

        self._later(tell)

    def _misbehave(self) -> None:
        delegate = self.__dict__["_delegate"]()
        if "crashes" in self.standin.faults:
            self.__dict__["_state"] = ERROR
            delegate.virtualMachine_didStopWithError_(self, self.standin.error(DOMAIN, 1, "It stopped unexpectedly."))
        if "detached" in self.standin.faults:
            card = self._device("VZNetworkDevice")
            error = self.standin.error(DOMAIN, 7, "The network device was disconnected.")
            delegate.virtualMachine_networkDevice_attachmentWasDisconnectedWithError_(self, card, error)

    def _binding(self) -> str:
        """What saved memory is bound to."""
        values = self.__dict__["_configuration"].values
        identifier = values["platform"].values["machineIdentifier"].do_dataRepresentation()
        return json.dumps([identifier.hex(), hardware(self.__dict__["_configuration"]).mac, values["memorySize"]])

    def _save(self, path: str) -> None:
        part = Path(f"{path}.part")
        self._inside().save(str(part))
        with Path(path).open("xb") as file, part.open("rb") as memory:
            file.write(self._binding().encode() + b"\n")
            shutil.copyfileobj(memory, file)
        part.unlink()

    def _fits(self, path: str) -> bool:
        with Path(path).open("rb") as file:
            return file.readline().decode(errors="replace").strip() == self._binding()

    def _restore(self, path: str) -> None:
        part = Path(f"{path}.part")
        with Path(path).open("rb") as file, part.open("wb") as memory:
            file.readline()
            shutil.copyfileobj(file, memory)
        self._inside().restore(str(part), self._ended)
        part.unlink()


class SocketDevice(Object):
    """``VZVirtioSocketDevice``"""

    def do_connectToPort_completionHandler_(self, port: int, handler: Handler) -> None:  # noqa: N802
        if "connect-hangs" in self.standin.faults:
            return
        vm = self.__dict__["_vm"]

        def worker() -> None:
            try:
                inside = vm.__dict__["_guest"].connect(port)
            except OSError:
                error = self.standin.error("NSPOSIXErrorDomain", 54, "Connection reset by peer")
                vm._later(lambda: handler(None, error))
                return
            connection = fresh(self.standin.classes["VZVirtioSocketConnection"])
            connection.attach(vm, inside)
            del inside
            vm._later(lambda: handler(connection, None))

        threading.Thread(target=worker, daemon=True).start()


class SocketConnection(Object):
    """``VZVirtioSocketConnection``: its end closes the connection for everybody, as some have seen."""

    def attach(self, vm: Any, inside: socket.socket) -> None:
        self.__dict__["_queue"], self.__dict__["_vm"] = vm.__dict__["_queue"], vm
        self.__dict__["_socket"] = inside

    def do_fileDescriptor(self) -> int:  # noqa: N802
        inside = self.__dict__["_socket"]
        return -1 if inside is None else inside.fileno()

    def do_close(self) -> None:
        inside, self.__dict__["_socket"] = self.__dict__["_socket"], None
        if inside is not None:
            with inside:
                try:
                    inside.shutdown(socket.SHUT_RDWR)
                except OSError:
                    return

    def __del__(self) -> None:
        if self.__dict__.get("_socket") is not None:
            if self.__dict__["_vm"].__dict__["_state"] == RUNNING:
                self.standin.violations.append("a vsock connection was let go while its descriptor was in use")
            self.do_close()


class BalloonDevice(Object):
    """``VZVirtioTraditionalMemoryBalloonDevice``"""

    def do_setTargetVirtualMachineMemorySize_(self, target: int) -> None:  # noqa: N802
        if target % (1 << 20):
            raise ValueError("NSInvalidArgumentException - The size is no multiple of 1 MB.")
        self.standin.balloon_targets.append(target)


LIVE: dict[str, type] = {
    "VZVirtualMachine": VirtualMachine,
    "VZVirtioSocketDevice": SocketDevice,
    "VZVirtioSocketConnection": SocketConnection,
    "VZVirtioTraditionalMemoryBalloonDevice": BalloonDevice,
}


def note(path: str, lines: list[str]) -> None:
    """Append `lines` to the file at `path`, for a test in another process."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(descriptor, "".join(f"{line}\n" for line in lines).encode())
    os.close(descriptor)
