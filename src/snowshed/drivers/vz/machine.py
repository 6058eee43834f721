"""A live VM of the framework, as the helper drives it. Every method is called on the event loop's thread."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from functools import cache
from types import new_class
from typing import Any

from .assemble import Assembled
from .framework import Framework, FrameworkError, made
from .messages import Ended, Happened
from .queue import Queue, contained, nothing

LABEL = "org.snowshed.vm"

Report = Callable[[Ended | Happened], None]


@contained
def tell(delegate: Any, event: Callable[[], Ended | Happened]) -> None:
    """Report an event out of a delegate's method, from which nothing may be raised."""
    delegate.report(event())


def guestDidStopVirtualMachine_(self: Any, vm: Any) -> None:  # noqa: N802 - a selector
    tell(self, lambda: Ended(clean=True, detail="the guest has shut down"))


def virtualMachine_didStopWithError_(self: Any, vm: Any, error: Any) -> None:  # noqa: N802
    tell(self, lambda: Ended(clean=False, detail=_words(error)))


def virtualMachine_networkDevice_attachmentWasDisconnectedWithError_(  # noqa: N802
    self: Any, vm: Any, device: Any, error: Any
) -> None:
    sentence = "The guest's network card was disconnected: {}. A restart connects it again."
    tell(self, lambda: Happened(sentence.format(_words(error))))


def _words(error: Any) -> str:
    return str(error.localizedDescription()).rstrip(".")


DELEGATE = (
    guestDidStopVirtualMachine_,
    virtualMachine_didStopWithError_,
    virtualMachine_networkDevice_attachmentWasDisconnectedWithError_,
)


@cache
def delegate_class(framework: Framework) -> Any:
    """The class of our delegate: an Objective-C class can be made once in a process. Its methods are called on the
    VM's queue; `report` is set on each object."""
    protocol = framework.objc.protocolNamed("VZVirtualMachineDelegate")
    return new_class(
        "SnowshedDelegate",
        (framework.foundation.NSObject,),
        {"protocols": [protocol]},
        lambda body: body.update({method.__name__: method for method in DELEGATE}),
    )


class Machine:
    """One VM from its making to its end. `report` is called on the event loop's thread."""

    def __init__(self, framework: Framework, assembled: Assembled, report: Report) -> None:
        self._framework = framework
        self._assembled = assembled
        self._queue = Queue(framework, LABEL)
        self._report = report
        self._connections: dict[int, Any] = {}
        self._numbers = itertools.count(1)
        self._delegate: Any = None
        self._vm: Any = None

    async def make(self) -> None:
        """Make the framework's VM. Raises what it raises: a configuration that is not valid after all."""
        vz = self._framework.virtualization
        self._delegate = delegate_class(self._framework).alloc().init()
        self._delegate.report = lambda event: self._queue.post(lambda: self._report(event))
        self._vm = await self._queue.run(
            lambda: vz.VZVirtualMachine.alloc().initWithConfiguration_queue_(
                self._assembled.configuration, self._queue.raw
            )
        )
        await self._queue.run(lambda: self._vm.setDelegate_(self._delegate))

    async def start(self) -> None:
        await self._queue.complete(lambda handler: self._vm.startWithCompletionHandler_(handler), nothing)

    async def restore(self, file: str) -> None:
        """Load memory that was saved from an equal machine; it is paused then."""
        url = self._framework.url(file)
        await self._queue.complete(
            lambda handler: self._vm.restoreMachineStateFromURL_completionHandler_(url, handler), nothing
        )

    async def pause(self) -> None:
        await self._queue.complete(lambda handler: self._vm.pauseWithCompletionHandler_(handler), nothing)

    async def resume(self) -> None:
        await self._queue.complete(lambda handler: self._vm.resumeWithCompletionHandler_(handler), nothing)

    async def save(self, file: str) -> None:
        """Write the paused VM's memory into the new `file`."""
        if not self._assembled.suspend:
            raise FrameworkError("VZErrorDomain", 10, self._assembled.blocker or "this machine cannot be saved")
        url = self._framework.url(file)
        await self._queue.complete(
            lambda handler: self._vm.saveMachineStateToURL_completionHandler_(url, handler), nothing
        )

    async def request_stop(self) -> None:
        made(await self._queue.run(lambda: self._vm.requestStopWithError_(None)))

    async def stop(self) -> None:
        """Pull the plug. The delegate hears nothing of this."""
        await self._queue.complete(lambda handler: self._vm.stopWithCompletionHandler_(handler), nothing)

    async def connect(self, port: int) -> tuple[int, int]:
        """A connection to the guest's vsock `port`: its number, and a descriptor that is the caller's to close.

        The framework's object owns a descriptor of its own, and is kept until `closed`: whether its early end breaks
        ours is disputed among those who have tried.
        """
        number = next(self._numbers)

        def kept(connection: Any) -> int:
            descriptor = os.dup(connection.fileDescriptor())
            self._connections[number] = connection
            return descriptor

        descriptor = await self._queue.complete(
            lambda handler: self._vm.socketDevices()[0].connectToPort_completionHandler_(port, handler), kept
        )
        return number, descriptor

    async def closed(self, number: int) -> None:
        """Let the framework's object of a connection go, whose descriptor was closed."""
        connection = self._connections.pop(number, None)
        if connection is not None:
            await self._queue.run(connection.close)

    async def balloon(self, target: int) -> None:
        """Ask the guest to give memory back until it has `target` bytes; it need not."""
        await self._queue.run(lambda: self._vm.memoryBalloonDevices()[0].setTargetVirtualMachineMemorySize_(target))

    async def let_go(self) -> None:
        """After the end: no callback may arrive while the process ends."""
        for number in list(self._connections):
            await self.closed(number)
        if self._vm is not None:
            await self._queue.run(lambda: self._vm.setDelegate_(None))
        await self._queue.drain()
