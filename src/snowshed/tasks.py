"""What an event loop's tasks need and asyncio does not have."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def finish(coroutine: Coroutine[Any, Any, T], *, name: str) -> T:
    """Await `coroutine` to its end even if we are cancelled meanwhile, then let the cancellation through."""
    task = asyncio.create_task(coroutine, name=name)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            if task.cancelled():
                raise
            cancelled = error
    if cancelled is not None:
        raise cancelled
    return task.result()
