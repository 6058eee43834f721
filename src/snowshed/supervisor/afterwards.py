"""What is looked at in the guest each time that a client has left: a build may have ended."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from ..errors import SnowshedError

Look = Callable[[], Awaitable[None]]


class Afterwards:
    """One round of `looks` at a time, and one more for all who left during it. `tasks` owns them; an error of a look is
    a gap in what is known, and no more."""

    def __init__(self, looks: tuple[Look, ...], tasks: asyncio.TaskGroup) -> None:
        self._looks = looks
        self._tasks = tasks
        self._again = False
        self._task: asyncio.Task[None] | None = None

    def client_left(self) -> None:
        self._again = True
        if self._task is None or self._task.done():
            self._task = self._tasks.create_task(self._round(), name="look around afterwards")

    async def _round(self) -> None:
        while self._again:
            self._again = False
            for look in self._looks:
                with suppress(SnowshedError, OSError, TimeoutError, ValueError):
                    await look()
