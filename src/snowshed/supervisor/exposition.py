"""The figures over HTTP, on a port of the host's loopback: for a Prometheus that cannot run commands."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress

from ..listening import clients
from .metrics import content_type

LONGEST_HEAD = 16 << 10
PATIENCE = 10.0
"""Seconds for a client to say what it wants, and to take it."""

PLAIN = "text/plain; charset=utf-8"


class Exposition:
    """Answers ``GET /metrics`` with what `text` says, and every other request with why not."""

    def __init__(self, text: Callable[[], Awaitable[str]]) -> None:
        self._text = text

    async def serve(self, listener: socket.socket, tasks: asyncio.TaskGroup) -> None:
        """Accept clients until cancelled."""
        async for client in clients(listener):
            tasks.create_task(self._contain(client), name="metrics client")

    async def _contain(self, client: socket.socket) -> None:
        """One client; what goes wrong with it stays here."""
        reader, writer = await asyncio.open_connection(sock=client, limit=LONGEST_HEAD)
        try:
            with suppress(OSError, TimeoutError, EOFError, asyncio.LimitOverrunError):
                async with asyncio.timeout(PATIENCE):
                    head = await reader.readuntil(b"\r\n\r\n")
                    writer.write(await self._answer(head))
                    await writer.drain()
        finally:
            writer.close()

    async def _answer(self, head: bytes) -> bytes:
        method, _, rest = head.decode("latin-1").partition(" ")
        path = rest.partition(" ")[0].partition("?")[0]
        if path != "/metrics":
            return response("404 Not Found", PLAIN, "The figures are at /metrics.\n", method)
        if method not in ("GET", "HEAD"):
            return response("405 Method Not Allowed", PLAIN, "They can only be read.\n", method)
        return response("200 OK", content_type(), await self._text(), method)


def response(status: str, kind: str, text: str, method: str) -> bytes:
    """An HTTP answer (RFC 9112) after which the connection ends; without its body where only the head was wanted."""
    body = text.encode()
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body)}", "Connection: close"]
    return "\r\n".join([*lines, "", ""]).encode() + (b"" if method == "HEAD" else body)
