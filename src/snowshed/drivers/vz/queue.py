"""The VM's own dispatch queue, and asyncio around it.

Everything on a VM and its devices happens on the queue that it was made with; completion handlers and delegates are
called there. The queue is serial and must never be blocked. An exception that left a block would abort the process
(pyobjc issue 659), so nothing may: what cannot be handled ends the process by our own hand.
"""

from __future__ import annotations

import asyncio
import os
import traceback
from collections.abc import Callable
from typing import Any, TypeVar

from .framework import Framework, FrameworkError

BROKEN = 70
"""The helper's exit status when something was raised where nothing may be (EX_SOFTWARE)."""

T = TypeVar("T")


class Queue:
    """A private serial queue. Its methods are called on the event loop's thread."""

    def __init__(self, framework: Framework, label: str) -> None:
        self._dispatch = framework.dispatch
        self.raw = self._dispatch.dispatch_queue_create(label.encode(), None)
        self._loop = asyncio.get_running_loop()

    async def run(self, work: Callable[[], T]) -> T:
        """The result of `work`, called on the queue. Raises what it raises."""
        future: asyncio.Future[T] = self._loop.create_future()

        def block() -> None:
            try:
                result = work()
            except Exception as error:
                self._settle(future, error=error)
            else:
                self._settle(future, result=result)

        self._dispatch.dispatch_async(self.raw, contained(block))
        return await future

    async def complete(self, begin: Callable[[Callable[..., None]], None], of: Callable[..., T]) -> T:
        """What `of` makes of a completion handler's arguments but the last; `begin` is called on the queue with it.

        The handler's last argument is an error or None: raises `FrameworkError` for one. `of` runs on the queue.
        """
        future: asyncio.Future[T] = self._loop.create_future()

        def handler(*arguments: Any) -> None:
            *results, problem = arguments
            try:
                if problem is not None:
                    raise FrameworkError.of(problem)
                result = of(*results)
            except Exception as error:
                self._settle(future, error=error)
            else:
                self._settle(future, result=result)

        def block() -> None:
            try:
                begin(contained(handler))
            except Exception as error:
                self._settle(future, error=error)

        self._dispatch.dispatch_async(self.raw, contained(block))
        return await future

    def _settle(self, future: asyncio.Future[Any], *, result: Any = None, error: Exception | None = None) -> None:
        def settle() -> None:
            if future.done():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)

        self.post(settle)

    def post(self, call: Callable[[], None]) -> None:
        """Have `call` called on the event loop's thread; from any thread. Passed over once the loop is closed."""
        try:
            self._loop.call_soon_threadsafe(call)
        except RuntimeError:
            return

    async def drain(self) -> None:
        """Return when everything that is on the queue now is done."""
        await self.run(lambda: None)


def contained(call: Callable[..., T]) -> Callable[..., T]:
    """`call`, out of which nothing is ever raised: instead the process ends, with a traceback in its log."""

    def guarded(*arguments: Any) -> T:
        try:
            return call(*arguments)
        except BaseException:
            traceback.print_exc()
            os._exit(BROKEN)

    return guarded


def nothing() -> None:
    """For completion handlers whose only argument is the error."""
