"""A program that lives beside an event loop."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from .errors import GuestError
from .process import Argv, pasteable
from .tasks import finish


class Child:
    """A program that runs beside us and dies with us.

    Where the kernel can (Linux), it is killed when our process ends in any way: by ``setpriv --pdeathsig``.
    """

    def __init__(self, process: asyncio.subprocess.Process, argv: Argv) -> None:
        self._process = process
        self._name = Path(str(argv[0])).name

    @classmethod
    async def start(cls, argv: Argv, *, output: int, keep: Iterable[int] = (), guarded: bool = True) -> Child:
        """Start `argv`, its output into the descriptor `output`. Raises `GuestError` if it cannot be started."""
        prefix = _dies_with_parent() if guarded else []
        try:
            process = await asyncio.create_subprocess_exec(
                *prefix,
                *(str(word) for word in argv),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=tuple(keep),
                start_new_session=True,
            )
        except OSError as error:
            raise GuestError(f"{argv[0]} cannot be started: {error}.", f"The command was: {pasteable(argv)}") from error
        return cls(process, argv)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def ended(self) -> bool:
        return self._process.returncode is not None

    async def wait(self) -> int:
        """The exit status once it has ended; negative: the signal that ended it."""
        return await self._process.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if it still runs."""
        if not self.ended:
            self._process.send_signal(number)

    async def end(self, grace: float = 5.0) -> int:
        """SIGTERM, `grace` seconds, SIGKILL; returns the exit status.

        Runs to its end even if the caller is cancelled, however often, and then lets the cancellation through.
        """
        return await finish(self._end(grace), name=f"end {self._name}")

    async def _end(self, grace: float) -> int:
        if grace > 0:
            self.signal(signal.SIGTERM)
            try:
                return await asyncio.wait_for(asyncio.shield(self.wait()), grace)
            except TimeoutError:
                pass
        self.signal(signal.SIGKILL)
        return await self.wait()


def _dies_with_parent() -> list[str]:
    setpriv = shutil.which("setpriv") if sys.platform == "linux" else None
    return [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []
