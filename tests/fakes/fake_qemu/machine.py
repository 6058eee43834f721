"""The VM and the guest in it: stages, sshd, agent, suspending."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import look
from .options import Options, die

if TYPE_CHECKING:
    from .monitor import Monitor

STAGES = ["boot", "disk", "sshd", "nix"]
MAGIC = b"FAKE-QEMU-MEMORY\n"
BANNER = b"SSH-2.0-fake\r\n"


class Faults:
    """What is to go wrong."""

    def __init__(self, text: str) -> None:
        self._words = dict(word.partition("=")[::2] for word in text.replace(",", " ").split())

    def __contains__(self, name: str) -> bool:
        return name in self._words

    def seconds(self, name: str, default: float) -> float:
        return float(self._words.get(name) or default)

    def text(self, name: str, default: str) -> str:
        return self._words.get(name) or default


class Machine:
    """The VM and its guest."""

    def __init__(self, options: Options, faults: Faults, journal: Path) -> None:
        self.options = options
        self.faults = faults
        self.journal = journal
        self.loop = asyncio.get_running_loop()
        self.running = asyncio.Event()
        self.up = asyncio.Event()
        self.silent = False
        self.saves = 0
        self.migration: dict[str, object] = {}
        self.saving: asyncio.Task[None] | None = None
        self.tasks: set[asyncio.Task[None]] = set()
        self.ended = asyncio.Event()
        self.monitor: Monitor
        self.port = 0
        self.asked: list[list[str]] = []

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self.loop.create_task(coroutine)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    def note(self, what: str, **more: object) -> None:
        line = json.dumps({"what": what, "pid": os.getpid(), **more}) + "\n"
        with self.journal.open("a") as file:
            file.write(line)

    def say(self, text: str) -> None:
        self.options.console.setblocking(True)
        with contextlib.suppress(OSError):
            self.options.console.sendall(text.encode())

    async def boot(self) -> None:
        hangs_at = self.faults.text("boot-hangs", "boot") if "boot-hangs" in self.faults else ""
        for stage in STAGES:
            await asyncio.sleep(self.faults.seconds("slow-boot", 0.01))
            await self.running.wait()
            if stage == hangs_at:
                return
            if stage == "sshd":
                self.up.set()
            self.say(f"snowshed-stage: {stage}\r\n")
            if stage == self.faults.text("first-panics-at", "") and self.is_first:
                self.panic()
                return
        self.come_up()

    @property
    def is_first(self) -> bool:
        return self.journal.read_text().count('"what": "start"') == 1

    def come_up(self) -> None:
        self.up.set()
        if "stops-answering" in self.faults:
            self.loop.call_later(self.faults.seconds("stops-answering", 0), self.fall_silent)
        if "panics-after" in self.faults:
            self.loop.call_later(self.faults.seconds("panics-after", 0), self.panic)
        if "disk-full-after" in self.faults:
            self.loop.call_later(self.faults.seconds("disk-full-after", 0), self.fill_disk)

    def fall_silent(self) -> None:
        self.silent = True

    def panic(self) -> None:
        self.say("[    9.000000] Kernel panic - not syncing: fake panic\r\n")
        if "hangs-in-panic" in self.faults:
            self.running.clear()
        else:
            self.power_off("guest-reset")

    def fill_disk(self) -> None:
        self.running.clear()
        facts: dict[str, object] = {
            "device": "",
            "node-name": "data",
            "operation": "write",
            "action": "stop",
            "nospace": True,
        }
        self.monitor.event("BLOCK_IO_ERROR", {**facts, "reason": "No space left on device"})
        self.monitor.event("STOP", {})

    async def shut_down(self) -> None:
        if "ignores-powerdown" not in self.faults:
            await asyncio.sleep(self.faults.seconds("slow-shutdown", 0.01))
            await self.running.wait()
            self.power_off("guest-shutdown")

    def power_off(self, reason: str) -> None:
        self.monitor.event("SHUTDOWN", {"guest": reason.startswith("guest"), "reason": reason})
        self.note("end", reason=reason)
        self.ended.set()

    async def serve_ssh(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection that came through the forwarded port: held until the guest's sshd is up."""
        try:
            await self.up.wait()
            await self.running.wait()
            if "closes-connections" in self.faults:
                return
            if "no-banner" in self.faults or self.silent:
                await asyncio.Event().wait()
            self.note("connection")
            writer.write(BANNER)
            while data := await reader.read(65536):
                self.note("words")
                await self.running.wait()
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    async def serve_agent(self) -> None:
        reader, writer = await asyncio.open_connection(sock=self.options.agent, limit=1 << 24)
        while line := await reader.readline():
            await self.up.wait()
            await self.running.wait()
            if "agent-silent" in self.faults or self.silent:
                continue
            answer = self.agent(json.loads(line.lstrip(b"\xff")))
            if answer is not None:
                writer.write(answer)

    def agent(self, request: dict[str, Any]) -> bytes | None:
        command, arguments = request["execute"], request.get("arguments", {})
        result: object = {}
        match command:
            case "guest-sync-delimited":
                return b"\xff" + json.dumps({"return": arguments["id"]}).encode() + b"\n"
            case "guest-ping":
                pass
            case "guest-set-time":
                self.note("set-time", time=arguments["time"] / 1e9)
            case "guest-shutdown":
                self.note("shutdown", mode=arguments["mode"])
                self.spawn(self.shut_down())
                return None
            case "guest-exec":
                self.note("exec", argv=[arguments["path"], *arguments.get("arg", [])])
                self.asked.append(arguments.get("arg") or [""])
                result = {"pid": len(self.asked)}
            case "guest-exec-status":
                said = self.said(self.asked[arguments["pid"] - 1])
                result = {"exited": True, "exitcode": 0, "out-data": base64.b64encode(said.encode()).decode()}
            case "guest-fstrim":
                self.note("trim")
                result = {"paths": [{"path": "/data", "trimmed": 4096, "minimum": 0}]}
            case _:
                error = {"class": "CommandNotFound", "desc": f"The command {command} has not been found"}
                return json.dumps({"error": error}).encode() + b"\n"
        return json.dumps({"return": result}).encode() + b"\n"

    def said(self, asked: list[str]) -> str:
        """What the program said that the agent was `asked` to run."""
        if asked == ["/proc/meminfo"]:
            return "MemTotal: 2000 kB\nMemAvailable: 1500 kB\n"
        if look.MARK in asked[-1]:
            return look.answer(*filter(None, self.faults.text("named-builds", "").split("+")))
        return self.faults.text("builds", "0")

    async def save(self, descriptor: int) -> None:
        try:
            await self.step("setup")
            await self.step("active")
            await asyncio.sleep(self.faults.seconds("slow-save", 0))
            if "save-fails" in self.faults:
                self.migration["error-desc"] = "Unable to write to file: No space left on device"
                await self.step("failed")
                return
            self.saves += 1
            memory = {"saves": self.saves, "up": self.up.is_set(), "machine": self.options.machine}
            os.write(descriptor, MAGIC + json.dumps(memory).encode())
            self.note("save", saves=self.saves)
            await self.step("completed")
        except asyncio.CancelledError:
            await self.step("cancelling")
            await self.step("cancelled")
        finally:
            os.close(descriptor)

    async def restore(self, descriptor: int) -> None:
        await self.step("setup")
        await self.step("active")
        with os.fdopen(descriptor, "rb") as file:
            data = file.read()
        if not data.startswith(MAGIC) or "restore-fails" in self.faults:
            die("Not a migration stream\nqemu: load of migration failed: Invalid argument")
        memory = json.loads(data[len(MAGIC) :])
        self.saves = memory["saves"]
        if memory["up"]:
            self.come_up()
        else:
            self.spawn(self.boot())
        self.note("restore", saves=self.saves)
        await self.step("completed")

    async def step(self, status: str) -> None:
        self.migration["status"] = status
        if self.monitor.migration_events:
            self.monitor.event("MIGRATION", {"status": status})
        await asyncio.sleep(0)
