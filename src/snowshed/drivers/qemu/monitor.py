"""QEMU's monitor (QMP) over a connected socket.

Nothing of `qemu.qmp` leaves this module: a command that QEMU refuses is a `Refused`, a monitor that is gone or does
not answer is a `GuestError`. Commands and events are those of QEMU's ``docs/interop/qmp-spec`` and ``qapi/*.json``.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from qemu.qmp import ConnectError, EventListener, ExecuteError, Message, QMPClient, QMPError, Runstate

from ...errors import GuestError
from ...tasks import finish

ANSWER_SECONDS = 30.0
"""How long QEMU may think about a command. It takes milliseconds, unless the host is out of memory or disk."""

CLOSING_SECONDS = 5.0

Event = dict[str, Any]


class Refused(GuestError):
    """QEMU understood a command and did not do it; `message` is its reason."""


class Monitor:
    """The conversation with one QEMU. Commands may overlap."""

    def __init__(self, client: QMPClient) -> None:
        self._client = client

    @classmethod
    async def connect(
        cls, peer: socket.socket, name: str, handle: Callable[[Event], None], *, seconds: float = ANSWER_SECONDS
    ) -> Monitor:
        """Greet the QEMU at the other end of `peer`, which is the monitor's from now on; `handle` gets every event,
        at once and in order with the answers to commands.

        Raises `GuestError` when it does not answer in `seconds`; `peer` is closed then.
        """
        logging.getLogger("qemu.qmp").setLevel(logging.CRITICAL + 1)  # whatever fails is raised, and said once
        client = QMPClient(name)
        client.events.event_filter = lambda _: False  # it would keep all of them for ever
        client.register_listener(_Tap(handle))
        try:
            async with asyncio.timeout(seconds):
                await client.connect(peer)
        except TimeoutError:
            raise GuestError(f"QEMU's monitor did not answer in {seconds:.0f} s.") from None
        except (ConnectError, OSError) as error:
            raise GuestError(f"QEMU's monitor cannot be reached: {error}.") from error
        finally:
            if client.runstate is not Runstate.RUNNING:
                peer.close()
        return cls(client)

    async def execute(self, command: str, *, seconds: float = ANSWER_SECONDS, **arguments: object) -> Any:
        """The result of `command`; ``_`` in the arguments' names stands for ``-``.

        Raises `Refused`, or `GuestError` when QEMU is gone or does not answer in `seconds`.
        """
        return await self._run(command, {name.replace("_", "-"): value for name, value in arguments.items()}, seconds)

    async def human(self, line: str) -> str:
        """What QEMU's other monitor, the one for people, prints for `line`."""
        return str(await self._run("human-monitor-command", {"command-line": line}, ANSWER_SECONDS))

    async def lend(self, name: str, descriptor: int) -> str:
        """Give QEMU a duplicate of `descriptor`, called `name`; the address by which a migration takes it over."""
        self._send(descriptor)
        await self.execute("getfd", fdname=name)
        return f"fd:{name}"

    async def lend_file(self, number: int, descriptor: int) -> str:
        """Give QEMU a duplicate of `descriptor` in place of its file `number`; the address of that for a migration."""
        with suppress(Refused):
            await self.execute("remove-fd", fdset_id=number)
        self._send(descriptor)
        await self.execute("add-fd", fdset_id=number)
        return f"file:/dev/fdset/{number}"

    async def close(self) -> None:
        """Let what QEMU has already said arrive, then hang up. Never raises for what QEMU did; not cancellable."""
        await finish(self._close(), name="close the monitor")

    def _send(self, descriptor: int) -> None:
        try:
            self._client.send_fd_scm(descriptor)
        except (QMPError, OSError) as error:
            raise GuestError(f"A file cannot be handed to QEMU: {error}.") from error

    async def _run(self, command: str, arguments: Mapping[str, object], seconds: float) -> Any:
        try:
            async with asyncio.timeout(seconds):
                return await self._client.execute(command, arguments or None)
        except TimeoutError:
            raise GuestError(f"QEMU did not answer {command!r} in {seconds:.0f} s.") from None
        except ExecuteError as error:
            raise Refused(str(error)) from error
        except (QMPError, OSError) as error:
            raise GuestError(f"QEMU ended while it was asked to {command!r}.") from error

    async def _close(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSING_SECONDS):
                while self._client.runstate is Runstate.RUNNING:
                    await self._client.runstate_changed()
        with suppress(QMPError, OSError, EOFError):
            await self._client.disconnect()


class _Tap(EventListener):
    """Hands events on as they arrive, and keeps none."""

    def __init__(self, handle: Callable[[Event], None]) -> None:
        super().__init__()
        self._handle = handle

    def accept(self, event: Message) -> bool:
        self._handle(dict(event))
        return False
