"""libdispatch: serial queues, each on a thread of its own."""

from __future__ import annotations

import os
import queue
import threading
import traceback
from collections.abc import Callable
from typing import Any

_current = threading.local()


class Queue:
    """A serial queue. Blocks run in order, on a thread that is nobody's."""

    def __init__(self, label: bytes) -> None:
        self.label = label
        self._blocks: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        threading.Thread(target=self._run, name=label.decode(), daemon=True).start()

    def put(self, block: Callable[[], None]) -> None:
        self._blocks.put(block)

    def _run(self) -> None:
        _current.queue = self
        while (block := self._blocks.get()) is not None:
            try:
                block()
            except BaseException:  # an exception out of a block is an abort
                traceback.print_exc()
                os._exit(134)

    def end(self) -> None:
        self._blocks.put(None)


def current() -> Queue | None:
    """The queue that the caller runs on."""
    return getattr(_current, "queue", None)


class Dispatch:
    """The functions of ``libdispatch`` that the contract has; `used` notes them."""

    def __init__(self, contract: dict[str, Any], used: set[tuple[str, str]]) -> None:
        self._offered = contract["support"]["libdispatch"]
        self._used = used
        self.queues: list[Queue] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self._offered:
            raise AttributeError(f"module 'libdispatch' has no attribute {name!r}")
        self._used.add(("libdispatch", name))
        return {"dispatch_queue_create": self._create, "dispatch_async": self._async}[name]

    def _create(self, label: bytes, attribute: object) -> Queue:
        assert isinstance(label, bytes), "a label is a char *"
        assert attribute is None, "None makes a serial queue"
        self.queues.append(Queue(label))
        return self.queues[-1]

    def _async(self, target: Queue, block: Callable[[], None]) -> None:
        assert isinstance(target, Queue)
        assert callable(block)
        target.put(block)
