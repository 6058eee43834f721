"""Foundation: the few classes that a driver of virtual machines needs, as strict as the contract."""

from __future__ import annotations

import inspect
import os
from typing import Any


class NotThere(AttributeError):
    """What PyObjC raises for a selector or a class that does not exist here."""


class NSError:
    """An error. It is copied by whoever wants to keep what it says."""

    def __init__(self, domain: str, code: int, text: str, reason: str | None = None) -> None:
        self._parts = (domain, code, text, reason)

    def domain(self) -> str:
        return self._parts[0]

    def code(self) -> int:
        return self._parts[1]

    def localizedDescription(self) -> str:  # noqa: N802
        return self._parts[2]

    def localizedFailureReason(self) -> str | None:  # noqa: N802
        return self._parts[3]


class NSURL:
    def __init__(self, path: str) -> None:
        self._path = path

    @classmethod
    def fileURLWithPath_(cls, path: str) -> NSURL:  # noqa: N802
        assert isinstance(path, str)
        assert path.startswith("/"), "a relative path is resolved against who knows what"
        return cls(path)

    def path(self) -> str:
        return self._path


class NSFileHandle:
    """Closes its descriptor with itself, as it was told to."""

    def __init__(self) -> None:
        self.descriptor = -1

    @classmethod
    def alloc(cls) -> NSFileHandle:
        return cls()

    def initWithFileDescriptor_closeOnDealloc_(self, descriptor: int, close: bool) -> NSFileHandle:  # noqa: N802
        assert isinstance(descriptor, int)
        os.fstat(descriptor)
        self.descriptor, self._close = descriptor, close
        return self

    def fileDescriptor(self) -> int:  # noqa: N802
        return self.descriptor

    def __del__(self) -> None:
        if self.descriptor >= 0 and self._close:
            os.close(self.descriptor)


class Protocol:
    """What ``objc.protocolNamed`` returns."""

    def __init__(self, name: str, methods: dict[str, dict[str, Any]]) -> None:
        self.name, self.methods = name, methods


class NSObject:
    """The base of our own Objective-C classes: the methods have to be the protocol's."""

    standin_protocols: tuple[Protocol, ...] = ()
    made: set[str]
    used: set[tuple[str, str]]

    def __init_subclass__(cls, protocols: list[Protocol] | None = None) -> None:
        if protocols is None:
            return
        assert cls.__name__ not in cls.made, "an Objective-C class can be made once in a process"
        cls.made.add(cls.__name__)
        cls.standin_protocols = tuple(protocols)
        for name, method in vars(cls).items():
            if not name.endswith("_") or name.startswith("__"):
                continue
            owner = next((p for p in protocols if name in p.methods), None)
            if owner is None:
                raise NotThere(f"{name} is in none of {[p.name for p in protocols]}")
            cls.used.add((owner.name, name))
            wanted = len(owner.methods[name]["args"])
            assert len(inspect.signature(method).parameters) == wanted + 1, f"{name} takes {wanted} arguments"

    @classmethod
    def alloc(cls) -> NSObject:
        return cls.__new__(cls)

    def init(self) -> NSObject:
        return self


def checked(kind: type, offered: list[dict[str, Any]], used: set[tuple[str, str]]) -> type:
    """`kind`, in which only what is `offered` can be called; `used` notes what is."""
    names = {method["pyobjc"] for method in offered}
    allowed = {"alloc"} | names

    def notes(name: str) -> None:
        if name.startswith("_") or name in ("descriptor", "standin"):
            return
        if name not in allowed:
            raise NotThere(f"{kind.__name__} has no selector {name}")
        if name in names:
            used.add((kind.__name__, name))

    class Meta(type):
        def __getattribute__(cls, name: str) -> Any:
            notes(name)
            return super().__getattribute__(name)

    def guarded(self: Any, name: str) -> Any:
        notes(name)
        return object.__getattribute__(self, name)

    return Meta(kind.__name__, (kind,), {"__getattribute__": guarded, "__slots__": ()} | {"__doc__": kind.__doc__})
