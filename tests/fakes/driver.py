"""A driver whose machines exist only in memory: for the races that a real one will not show on demand.

It stands behind the same seam as the real ones (`snowshed.drivers.base`). Its guests announce their stages, answer
the agent, say an SSH banner and echo. A test chooses what goes wrong next through `Fate`, and holds any step back by
closing its gate. The driver itself checks what must never happen: two machines at once, memory used twice, a byte
forwarded by a guest whose clock was not set after a resume.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from snowshed.drivers.base import Capabilities, Driver, Exit, GuestNetwork, Launch, MemoryFigures, Vm
from snowshed.errors import GuestError, SnowshedError
from snowshed.model.machine import MachineSpec

from . import look

BANNER = b"SSH-2.0-fake\r\n"
STAGES = ("boot", "disk", "sshd", "nix")


@dataclass
class Fate:
    """What goes wrong the next time that step comes: each name once, then all is well again."""

    failing: set[str] = field(default_factory=set)
    """Of: start, boot, pause, resume, save, load, agent, dies-at-boot, ignores-shutdown."""
    building: int = 0
    builds: tuple[str, ...] = ()
    """Of which the guest tells whoever looks into it."""
    panics: int = 0
    """How many boots end in a panic of the guest's kernel, after its first stage."""
    cached: int = 0
    """KiB that the guest frees when it is to drop its cache."""
    culprit: str = ""
    """The guest's answer to whoever asks whose build ran out of memory."""
    free: int = 1 << 40
    """Bytes of the guest's disk."""
    garbage: int = 0
    """Bytes that a collection would free."""
    last_words: str = ""
    """The guest's answer to whoever asks what builds said last."""
    clockless: bool = False
    """The guest has no clock of its own, and says so while it boots."""
    ahead: float = 0.0
    """Seconds that the guest's clock is ahead of the host's, until it is set."""
    busy: bool = False
    """Somebody talks to the guest's Nix."""
    silent: set[str] = field(default_factory=set)
    """Of: agent, ssh. They accept, and never answer."""

    def strikes(self, step: str) -> bool:
        struck = step in self.failing
        self.failing.discard(step)
        return struck


class Gates:
    """Steps that wait until they may pass. Open unless a test closes them."""

    def __init__(self) -> None:
        self._gates: dict[str, asyncio.Event] = {}
        self.reached: dict[str, asyncio.Event] = {}

    def close(self, step: str) -> None:
        self._gates[step] = asyncio.Event()
        self.reached[step] = asyncio.Event()

    def open(self, step: str) -> None:
        self._gates.pop(step).set()

    async def pass_(self, step: str) -> None:
        await asyncio.sleep(0)
        gate = self._gates.get(step)
        if gate is not None:
            self.reached[step].set()
            await gate.wait()


class FakeDriver(Driver):
    """Counts its live machines, and refuses to have two."""

    name = "fake"

    def __init__(self, *, suspend: bool = True) -> None:
        self.fate = Fate()
        self.gates = Gates()
        self.live: list[FakeVm] = []
        self.starts = 0
        self.dialled = 0
        self.suspend = suspend
        self.memories: set[bytes] = set()
        self.violations: list[str] = []

    def capabilities(self, spec: MachineSpec) -> Capabilities:
        blocker = "" if self.suspend else "its share store"
        return Capabilities("tcg", "fake", pause=True, suspend=self.suspend, suspend_blocker=blocker)

    def check(self, spec: MachineSpec) -> list[SnowshedError]:
        return []

    def network(self, spec: MachineSpec) -> GuestNetwork:
        return GuestNetwork("dhcp")

    def fingerprint(self, spec: MachineSpec) -> str:
        return f"fake {spec.cores} {spec.memory}"

    async def start(self, spec: MachineSpec, launch: Launch, *, restore: Path | None = None) -> FakeVm:
        self.never(self.live != [], "two machines of one builder")
        if self.fate.strikes("start"):
            raise GuestError("fake: it does not start")
        if restore is not None:
            self._use(restore)
        self.starts += 1
        vm = FakeVm(self, launch, restored=restore is not None)
        self.live.append(vm)
        return vm

    def _use(self, restore: Path) -> None:
        if self.fate.strikes("load"):
            raise GuestError("fake: the memory does not load")
        memory = restore.read_bytes()
        self.never(memory not in self.memories, "memory that was never saved, or is used twice")
        self.memories.discard(memory)

    def never(self, happened: bool, what: str) -> None:
        """Remember what must not happen: the code under test may contain an exception, but not this list."""
        if happened:
            self.violations.append(what)


class FakeVm(Vm):
    """A machine; structurally pausable and suspendable."""

    def __init__(self, driver: FakeDriver, launch: Launch, *, restored: bool) -> None:
        self._driver = driver
        self._fate, self._gates = driver.fate, driver.gates
        self._launch = launch
        self._ended: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()
        self._peers: list[socket.socket] = []
        self.paused = restored
        self._asked: list[str] = []
        self.clock_is_set = not restored and not driver.fate.clockless
        if not restored:
            launch.tasks.create_task(self._boot(), name="fake boot")

    @property
    def pid(self) -> int:
        return os.getpid()

    async def _boot(self) -> None:
        for stage in STAGES:
            await self._gates.pass_(stage)
            if self._fate.strikes("dies-at-boot"):
                self.end(clean=False, detail="it died")
            if self._ended.done():
                return
            if stage == "sshd" and self._fate.clockless:
                self._launch.console(b"snowshed-fact: clock guessed\r\n")
            failed = self._fate.strikes("boot")
            self._say(f"failed {stage} on purpose" if failed else stage)
            if self._fate.panics:
                self._fate.panics -= 1
                self.end(clean=False, detail="the kernel panicked", panicked=True)
                return
            if failed and stage == "boot":  # nothing comes after that; the others do not wait for each other
                return

    def _say(self, stage: str) -> None:
        self._launch.console(f"snowshed-stage: {stage}\r\n".encode())

    def end(self, *, clean: bool, detail: str = "", panicked: bool = False) -> None:
        """The machine ends, whyever."""
        if self._ended.done():
            return
        self._driver.live.remove(self)
        for peer in self._peers:
            with suppress(OSError):
                peer.shutdown(socket.SHUT_RDWR)
        self._ended.set_result(Exit(clean, detail, panicked))

    async def wait(self) -> Exit:
        return await asyncio.shield(self._ended)

    async def request_stop(self) -> None:
        if not self._fate.strikes("ignores-shutdown"):
            self.end(clean=True)

    async def kill(self) -> None:
        self.end(clean=False, detail="it was killed")

    async def pause(self) -> None:
        await self._step("pause")
        self.paused = True

    async def resume(self) -> None:
        await self._step("resume")
        self.clock_is_set = self.clock_is_set and not self.paused
        self.paused = False

    async def save(self, file: Path) -> None:
        self._driver.never(not self.paused, "saved while running")
        await self._step("save")
        memory = os.urandom(16)
        self._driver.memories.add(memory)
        await asyncio.to_thread(file.write_bytes, memory)

    async def _step(self, name: str) -> None:
        await self._gates.pass_(name)
        if self._ended.done():
            raise GuestError("fake: the machine is gone")
        if self._fate.strikes(name):
            raise GuestError(f"fake: {name} fails")

    async def connect(self, port: int) -> socket.socket:
        if self._ended.done():
            raise GuestError("fake: the machine is gone")
        self._driver.never(self.paused, "connected to a paused guest")
        self._driver.dialled += 1
        return self._pair(self._serve_ssh)

    async def agent(self) -> socket.socket:
        if self._ended.done() or self._fate.strikes("agent"):
            raise GuestError("fake: no agent")
        return self._pair(self._serve_agent)

    async def memory(self) -> MemoryFigures:
        return MemoryFigures(resident=1)

    def _pair(self, serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]) -> socket.socket:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.setblocking(False)
        self._peers.append(theirs)
        self._launch.tasks.create_task(self._contain(serve, theirs), name="fake guest connection")
        return ours

    async def _contain(self, serve: Callable[..., Any], peer: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=peer)
        with suppress(OSError):
            await serve(reader, writer)
        writer.close()

    async def _serve_ssh(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if "ssh" in self._fate.silent:
            await reader.read()
            return
        writer.write(BANNER)
        while data := await reader.read(1 << 16):
            self._driver.never(not self.clock_is_set, "heard of somebody before the clock was set")
            writer.write(data)
            await writer.drain()

    async def _serve_agent(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            if "agent" in self._fate.silent:
                continue
            request = json.loads(line.lstrip(b"\xff"))
            command = request["execute"]
            if command == "guest-shutdown":
                await self.request_stop()
                continue
            await self._gates.pass_(command)
            answer = json.dumps({"return": self._answer(command, request.get("arguments", {}))}).encode()
            writer.write((b"\xff" if command == "guest-sync-delimited" else b"") + answer + b"\n")

    def _says(self, script: str) -> str:
        """What `script` prints."""
        if look.MARK in script:
            return look.answer(*self._fate.builds)
        if look.DROP in script:
            return f"{self._fate.cached}\n"
        if look.FREE in script:
            return f"{self._fate.free // 512} 512\n"
        if look.LAST_WORDS in script:
            return self._fate.last_words
        if look.COLLECTS in script:
            return self._collected()
        return self._fate.culprit if look.CULPRIT in script else f"{self._fate.building}\n"

    def _collected(self) -> str:
        if self._fate.busy:
            return ""
        freed, self._fate.garbage = self._fate.garbage, 0
        self._fate.free += freed
        return f"deleting\n{freed} bytes freed\n"

    def _answer(self, command: str, arguments: dict[str, Any]) -> Any:
        match command:
            case "guest-sync-delimited" | "guest-sync":
                return arguments["id"]
            case "guest-set-time":
                self.clock_is_set = True
                self._fate.ahead = 0.0
                return {}
            case "guest-get-time":
                return int((time.time() + self._fate.ahead) * 1e9)
            case "guest-exec":
                self._asked.append(" ".join(arguments.get("arg", [])))
                return {"pid": len(self._asked)}
            case "guest-exec-status":
                from base64 import b64encode

                text = self._says(self._asked[arguments["pid"] - 1])
                return {"exited": True, "exitcode": 0, "out-data": b64encode(text.encode()).decode()}
            case _:
                return {}
