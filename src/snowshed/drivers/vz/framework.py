"""The modules of PyObjC that the helper uses, as a value.

`helper` alone imports them; everything else is given this, so that it runs against the strict stand-in of the tests.
Traps that hold everywhere (PyObjC's documentation and source): properties are methods; an ``error:`` argument is
passed None and comes back beside the result; ``new()`` works for every class that is made without arguments, where
``alloc().init()`` raises for some.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Framework:
    """``Virtualization``, ``Foundation``, ``libdispatch`` and ``objc``."""

    virtualization: Any
    foundation: Any
    dispatch: Any
    objc: Any

    def url(self, path: object) -> Any:
        """An NSURL of the file at the absolute `path`."""
        return self.foundation.NSURL.fileURLWithPath_(str(path))

    def handle(self, descriptor: int) -> Any:
        """An NSFileHandle that owns `descriptor` and closes it in the end. Whoever uses it has to keep it."""
        return self.foundation.NSFileHandle.alloc().initWithFileDescriptor_closeOnDealloc_(descriptor, True)


class FrameworkError(Exception):
    """An NSError, copied: what the framework said while `doing` something."""

    def __init__(self, domain: str, code: int, text: str, reason: str = "") -> None:
        super().__init__(f"{text} ({domain} {code})")
        self.domain, self.code, self.text, self.reason = domain, code, text, reason

    @classmethod
    def of(cls, error: Any) -> FrameworkError:
        """A copy of `error`, which may be used on any thread and at any time."""
        return cls(
            str(error.domain()),
            int(error.code()),
            str(error.localizedDescription() or ""),
            str(error.localizedFailureReason() or ""),
        )


def made(pair: tuple[Any, Any]) -> Any:
    """The result of a call with an ``error:`` argument. Raises `FrameworkError` where there is none."""
    result, error = pair
    if result is None or result is False:
        raise FrameworkError.of(error) if error is not None else FrameworkError("VZErrorDomain", 1, "no reason given")
    return result
