"""Builds that ran out of memory, of disk or of processes: named, and told to whoever asks.

Of memory the guest's kernel tells, and the guest is asked whose it was; of the others a build's last words do, when the
client has left.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

from ..errors import SnowshedError
from ..guest import last_words
from ..guest.contract import contract
from ..guest.shortage import Kill, culprit, parse_kill, script
from ..model.wire import Shortage
from ..units import format_size
from .guest import LiveGuest
from .journal import Journal

KEPT = 5
"""Shortages that are remembered."""

SETTLE = 0.1
"""Seconds in which the kernel may end several processes of one build: that is one shortage."""

SAME = 60.0
"""Seconds in which a build whose processes are ended one after the other is told of once."""

PATIENCE = 20.0
"""Seconds for a guest to say whose build it was: it has just run out of memory."""


class Shortages:
    """Takes what the kernel says on the console. `tasks` owns the look-ups, which contain every error."""

    def __init__(self, guest: Callable[[], LiveGuest | None], journal: Journal, tasks: asyncio.TaskGroup) -> None:
        self._guest = guest
        self._journal = journal
        self._tasks = tasks
        self._kills: dict[int, Kill] = {}
        self._looking = False
        self._known: deque[Shortage] = deque(maxlen=KEPT)

    @property
    def known(self) -> tuple[Shortage, ...]:
        """The last ones, the latest at the end."""
        return tuple(self._known)

    def hear(self, text: str) -> None:
        """The kernel has ended a process; `text` is what it said after its mark."""
        kill = parse_kill(text)
        if kill is None:
            return
        before = self._kills.get(kill.user)
        if before is None or before.held < kill.held:
            self._kills[kill.user] = kill
        if not self._looking:
            self._looking = True
            self._tasks.create_task(self._look(), name="look for a shortage's cause")

    async def look(self) -> None:
        """What did the builds say last that ended since? Raises `SnowshedError` or `OSError` where the guest does not
        tell."""
        guest = self._guest()
        if guest is None:
            return
        answer = await (await guest.agent()).run(["/bin/sh", "-c", last_words.SCRIPT], seconds=PATIENCE)
        said, now = last_words.parse(answer), time.time()
        for build, of in said.failed:
            limit = said.processes if of == "processes" else 0
            self._add(Shortage(now, _wanting(of, build, limit, now), build, limit=limit, of=of))
        if said.free is not None and said.free < last_words.FULL_BYTES and not said.failed:
            self._add(Shortage(now, _wanting("disk", "", 0, now), "", of="disk"))

    async def _look(self) -> None:
        try:
            await asyncio.sleep(SETTLE)
            while self._kills:
                _, kill = self._kills.popitem()
                (build, limit), now = await self._culprit(kill), time.time()
                text = _sentence(kill, build, limit, now)
                self._add(Shortage(now, text, build, kill.process, kill.held, limit))
        finally:
            self._looking = False

    async def _culprit(self, kill: Kill) -> tuple[str, int]:
        guest = self._guest()
        if guest is None or not kill.is_build:
            return "", 0
        try:
            answer = await (await guest.agent()).run(["/bin/sh", "-c", script(kill.user)], seconds=PATIENCE)
        except (SnowshedError, OSError):
            return "", 0
        return culprit(kill.user, answer)

    def _add(self, shortage: Shortage) -> None:
        last = self._known[-1] if self._known else None
        if last and (last.build, last.of) == (shortage.build, shortage.of) and shortage.at - last.at < SAME:
            return
        self._known.append(shortage)
        self._journal.say(shortage.text, level="warning")


def _sentence(kill: Kill, build: str, limit: int, at: float) -> str:
    when, held = time.strftime("%H:%M:%S", time.localtime(at)), format_size(kill.held)
    if not kill.is_build:
        return f"The guest ran out of memory at {when}: its kernel ended {kill.process}, which held {held}."
    who = f"The build of {build}" if build else "A build"
    most = f" of the {format_size(limit)} that all builds may take" if limit else ""
    return f"{who} ran out of memory at {when}: its {kill.process} held {held}{most}."


def _wanting(of: str, build: str, limit: int, at: float) -> str:
    when = time.strftime("%H:%M:%S", time.localtime(at))
    who = f"The build of {build}" if build else "The guest"
    if of == "disk":
        return (
            f"{who} ran out of disk space at {when}: make room with `snowshed gc`, or the disk larger with "
            "`snowshed restart --disk-size 200G`; a larger `nix.min_free` keeps more of it free."
        )
    each = min(limit // 2, contract().builds.processes_of_each)
    most = f": all builds together may have {limit}, and one alone {each}" if limit else ""
    return f"{who} could start no more processes at {when}{most}."
