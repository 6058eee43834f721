"""The supervisor's end of the control socket: one request a connection, any number of events, one answer."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from .. import __version__
from ..errors import Bug, SnowshedError, UserError
from ..listening import clients
from ..model.wire import (
    PROTOCOL,
    Answerable,
    Events,
    Greeting,
    Happening,
    History,
    Metrics,
    Request,
    Sample,
    Status,
    Watch,
    decode_request,
)
from . import peers

LONGEST_REQUEST = 64 << 10
REQUEST_PATIENCE = 10.0
"""Seconds for a client to send its one line."""

HARMLESS = (Status, Events, History, Watch, Metrics)
"""Requests that everybody may make who can reach the socket."""

Answer = AsyncIterator[Answerable]
"""Events and, as the last item, the result."""
Handler = Callable[[Request], Answer]


def listen(path: Path, *, public: bool = False) -> socket.socket:
    """The listening control socket; `public`: for everybody on this host, who may ask how the builder is.

    A stale one is replaced: the caller holds the supervisor's lock.
    """
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    old = os.umask(0o111 if public else 0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(old)
    listener.listen(64)
    listener.setblocking(False)
    return listener


class ControlServer:
    """Answers requests with what `handler` says."""

    def __init__(self, name: str, handler: Handler) -> None:
        self._greeting = Greeting(snowshed=__version__, protocol=PROTOCOL, builder=name, pid=os.getpid())
        self._handler = handler

    async def serve(self, listener: socket.socket, tasks: asyncio.TaskGroup) -> None:
        """Accept clients until cancelled."""
        async for client in clients(listener):
            tasks.create_task(self._contain(client), name="control client")

    async def _contain(self, client: socket.socket) -> None:
        """One client; what goes wrong with it is told to it alone."""
        reader, writer = await asyncio.open_connection(sock=client, limit=LONGEST_REQUEST)
        try:
            with suppress(OSError):
                await self._converse(reader, writer)
        finally:
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _send(writer, self._greeting)
        try:
            request = await _request(reader)
            if request is None:
                return
            if not isinstance(request, HARMLESS):
                peers.require_right(writer.get_extra_info("socket"))
            answer = asyncio.create_task(self._answer(request, writer), name="answer")
            left = asyncio.create_task(reader.read(1), name="client leaves")
            try:
                await asyncio.wait((answer, left), return_when=asyncio.FIRST_COMPLETED)
                if answer.done():
                    answer.result()
            finally:
                await _cancel(answer, left)
        except SnowshedError as error:
            await _send(writer, {"error": error.as_json()})

    async def _answer(self, request: Request, writer: asyncio.StreamWriter) -> None:
        """Send every event as it comes, and the result at the end."""
        result: object = None
        try:
            async for item in self._handler(request):
                if isinstance(item, Happening | Sample):
                    await _send(writer, {"event": item})
                else:
                    result = item
        except SnowshedError:
            raise
        except (OSError, asyncio.CancelledError):
            raise
        except Exception as error:
            raise Bug(f"{type(error).__name__}: {error}", "Please report it with the supervisor's log.") from error
        await _send(writer, {"ok": result})


async def _request(reader: asyncio.StreamReader) -> Request | None:
    """The client's one line; None if it left without a word. Raises `UserError` for what is not a request."""
    try:
        line = await asyncio.wait_for(reader.readline(), REQUEST_PATIENCE)
    except ValueError as error:
        raise UserError("The request is too long.", "A request is one short line of JSON.") from error
    except TimeoutError:
        return None
    if not line:
        return None
    try:
        return decode_request(line)
    except msgspec.MsgspecError as error:
        raise UserError(
            f"This supervisor (snowshed {__version__}) does not understand the request: {error}.",
            "The command may be newer than the supervisor: `snowshed restart` starts the same version.",
        ) from error


async def _send(writer: asyncio.StreamWriter, message: object) -> None:
    writer.write(msgspec.json.encode(message) + b"\n")
    await writer.drain()


async def _cancel(*tasks: asyncio.Task[object]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
