"""The REST service of vfkit and krunkit, over its unix socket.

vfkit answers with the framework's own states; a POST is answered before anything has happened, and the answer to
``HardStop`` is often lost with the process that should give it. krunkit's service is written by hand: it ends its
body with a NUL byte and names no length, so an answer is always read to its end.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path

from ...errors import GuestError

PATIENCE = 5.0
"""Seconds for one answer."""

_PREFIX = "VirtualMachineState"


class LostAnswer(ConnectionError):
    """The connection ended without an answer: whether the request was carried out is not known."""


@dataclass(frozen=True)
class Answer:
    """An HTTP status and the JSON object in the body ({} where there is none)."""

    status: int
    body: dict[str, object]

    @property
    def state(self) -> str:
        """``Running``, ``Paused``, ``Stopped`` …; empty where the answer names none."""
        state = self.body.get("state")
        return state.removeprefix(_PREFIX) if isinstance(state, str) else ""

    @property
    def error(self) -> str:
        return str(self.body.get("error") or f"status {self.status}")


def render(method: str, target: str, body: dict[str, str] | None) -> bytes:
    """The bytes of a request."""
    payload = b"" if body is None else json.dumps(body).encode()
    lines = [f"{method} {target} HTTP/1.1", "Host: localhost", "Connection: close"]
    if payload:
        lines += ["Content-Type: application/json", f"Content-Length: {len(payload)}"]
    return "\r\n".join([*lines, "", ""]).encode() + payload


def parse(raw: bytes) -> Answer:
    """The answer in `raw`. Raises `LostAnswer` for nothing or half of one, `GuestError` for what is no HTTP."""
    head, separator, body = raw.partition(b"\r\n\r\n")
    if not separator:
        raise LostAnswer("the connection ended without an answer")
    words = head.split(b"\r\n", 1)[0].split(b" ", 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/") or not words[1].isdigit() or len(words[1]) != 3:
        raise GuestError(f"The hypervisor's REST service answered with nonsense: {head[:80]!r}.")
    try:
        decoded = json.loads(body.rstrip(b"\0\r\n ") or b"{}")
    except (ValueError, RecursionError):
        decoded = {}
    return Answer(int(words[1]), decoded if isinstance(decoded, dict) else {})


class Rest:
    """A client of the service at the unix socket `path`. One connection for each request."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def state(self) -> str:
        """The VM's state: ``Running``, ``Paused``, ``Starting`` … Raises `OSError`, `TimeoutError`, `GuestError`."""
        return (await self._ask("GET", None)).state

    async def ask(self, wish: str) -> None:
        """Ask for ``Pause``, ``Resume``, ``Stop`` or ``HardStop``; returns when it was accepted.

        Raises `GuestError` with the framework's reason when it was refused, `LostAnswer` when no answer came,
        `OSError` and `TimeoutError` when nobody listens.
        """
        answer = await self._ask("POST", {"state": wish})
        if answer.status not in (200, 202):
            raise GuestError(f"The hypervisor refused to {_IN_WORDS[wish]} the VM: {answer.error}.")

    async def _ask(self, method: str, body: dict[str, str] | None) -> Answer:
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_unix_connection(str(self._path))
            try:
                writer.write(render(method, "/vm/state", body))
                return parse(await reader.read(-1))
            except ConnectionResetError as error:
                raise LostAnswer(str(error)) from error
            finally:
                writer.close()


_IN_WORDS = {"Pause": "pause", "Resume": "resume", "Stop": "stop", "HardStop": "pull the plug of"}
