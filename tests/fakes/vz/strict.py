"""Classes made from the contract: every call is checked before anything behaves."""

from __future__ import annotations

import re
import threading
import weakref
from collections.abc import Callable
from typing import Any

from . import foundation
from .contract import View
from .dispatch import Queue, current

INTEGERS = {"Q": (0, 2**64 - 1), "q": (-(2**63), 2**63 - 1), "I": (0, 2**32 - 1), "i": (-(2**31), 2**31 - 1)}


class OffQueue(BaseException):
    """A call on a VM or a device off its queue: the framework traps the process."""


class Violation(BaseException):
    """Something that PyObjC would let through and that ends badly on a Mac."""


class Object:
    """The base of every class that is made from the contract."""

    standin: Any
    contract_name: str
    lacking: str = ""

    def __init__(self) -> None:
        raise TypeError(f"'init' is NS_UNAVAILABLE: {type(self).__name__}")

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"{type(self).__name__!r} object has no attribute {name!r} on macOS {self.standin.version}"
        )

    @property
    def values(self) -> dict[str, Any]:
        """What was set, by property."""
        return self.__dict__.setdefault("_values", {})


class Allocated:
    """What ``alloc()`` gives: only initialisers can be called on it."""

    def __init__(self, kind: type[Object]) -> None:
        self._kind = kind

    def __getattr__(self, name: str) -> Any:
        kind = self._kind
        if name == "init":
            if kind.construct != "alloc_init":  # type: ignore[attr-defined]
                raise TypeError(f"'init' is NS_UNAVAILABLE: {kind.__name__}")
            return lambda: fresh(kind)
        found = kind.initializers.get(name)  # type: ignore[attr-defined]
        if found is None:
            raise AttributeError(f"{kind.__name__!r} object has no attribute {name!r}")
        return lambda *arguments: found(fresh(kind), *arguments)


def fresh(kind: type[Object]) -> Object:
    new = kind.__new__(kind)
    new.standin.made(new)
    return new


class Builder:
    """Makes the classes of one view; `behaviours` have what they do, by class name."""

    def __init__(self, view: View, standin: Any, behaviours: dict[str, type]) -> None:
        self._view, self._standin, self._behaviours = view, standin, behaviours
        self.classes: dict[str, type[Object]] = {}

    def build(self) -> dict[str, type[Object]]:
        for name in self._view.classes():
            self._class(name)
        return self.classes

    def _class(self, name: str) -> type[Object]:
        if name in self.classes:
            return self.classes[name]
        entry = self._view.contract["classes"][name]
        parent = self._class(entry["superclass"]) if entry["superclass"] in self._view.classes() else Object
        bases = (self._behaviours[name], parent) if name in self._behaviours else (parent,)
        body: dict[str, Any] = {"standin": self._standin, "contract_name": name, "construct": entry["construct"]}
        initializers = dict(getattr(parent, "initializers", {}))
        for method in self._view.methods(name, "instance_methods").values():
            if method["pyobjc"].startswith("init") and method.get("initializer") and method["args"]:
                initializers[method["pyobjc"]] = self._method(name, method)
            elif method["pyobjc"] != "init":
                body[method["pyobjc"]] = self._method(name, method)
        body["initializers"] = initializers
        body["alloc"] = staticmethod(lambda: Allocated(self.classes[name]))
        body["new"] = staticmethod(lambda: self._new(name))
        for method in self._view.methods(name, "class_methods").values():
            if method["pyobjc"] != "new":
                body[method["pyobjc"]] = staticmethod(self._method(name, method, of_class=True))
        self.classes[name] = type(name, bases, body)
        return self.classes[name]

    def _new(self, name: str) -> Object:
        kind = self.classes[name]
        if kind.construct not in ("new", "alloc_init"):  # type: ignore[attr-defined]
            raise TypeError(f"'new' is NS_UNAVAILABLE: {name}")
        self._standin.used.add((name, "class"))
        return fresh(kind)

    def _method(self, owner: str, method: dict[str, Any], *, of_class: bool = False) -> Callable[..., Any]:
        name = method["pyobjc"]

        def call(*given: Any) -> Any:
            target, arguments = (None, given) if of_class else (given[0], given[1:])
            self._standin.used.add((owner, name))
            if len(arguments) != len(method["args"]):
                raise TypeError(f"Need {len(method['args'])} arguments, got {len(arguments)}: {owner}.{name}")
            for argument, wanted in zip(arguments, method["args"], strict=True):
                check(self._standin, argument, wanted, f"{owner}.{name}")
            if target is not None:
                on_queue(target, f"{owner}.{name}")
            return self._behave(owner, name, method, target, arguments)

        return call

    def _behave(self, owner: str, name: str, method: dict[str, Any], target: Any, arguments: tuple[Any, ...]) -> Any:
        kind = self.classes[owner] if target is None else type(target)
        action = getattr(kind, f"do_{name}", None)
        if action is not None:
            return action(*arguments) if target is None else action(target, *arguments)
        if method.get("property") and name.startswith("set"):
            key = method["property"]
            target.values[key] = list(arguments[0]) if isinstance(arguments[0], list | tuple) else arguments[0]
            return None
        if method.get("property") and not arguments:
            return target.values.get(method["property"], [] if method["returns"] == "NSArray" else None)
        if method.get("initializer"):
            for argument, wanted in zip(arguments, method["args"], strict=True):
                target.values[wanted["name"]] = argument
            return (target, None) if method.get("error_out") else target
        raise NotImplementedError(f"the stand-in does not know what {owner}.{name} does")


def on_queue(target: Any, what: str) -> None:
    """Objects of a live VM may be touched on its queue only."""
    queue: Queue | None = target.__dict__.get("_queue")
    if queue is not None and current() is not queue:
        target.standin.violations.append(f"{what} off its queue")
        raise OffQueue(f"{what} off its queue, on {threading.current_thread().name}")


def check(standin: Any, argument: Any, wanted: dict[str, Any], where: str) -> None:
    """One argument against its declaration."""
    typestr, declared = wanted["typestr"], wanted["type"]
    problem = ""
    if wanted.get("out"):
        problem = "" if argument is None else "an out-parameter is passed None"
    elif "block" in wanted:
        problem = "" if callable(argument) else "is no block"
    elif typestr == "Z":
        problem = "" if isinstance(argument, bool) else "is no BOOL"
    elif typestr in INTEGERS:
        low, high = INTEGERS[typestr]
        right = isinstance(argument, int) and not isinstance(argument, bool) and low <= argument <= high
        problem = "" if right else f"is no integer of type {typestr}"
    elif argument is None:
        problem = "" if wanted.get("nullable") else "must not be nil"
    else:
        problem = _wrong_object(standin, argument, declared)
    if problem:
        raise TypeError(f"{where}: {wanted['name']} {problem} ({declared}, got {argument!r})")


def _wrong_object(standin: Any, argument: Any, declared: str) -> str:
    if match := re.match(r"NSArray<(\w+)", declared):
        if not isinstance(argument, list | tuple):
            return "is no array"
        return next((wrong for item in argument if (wrong := _wrong_object(standin, item, f"{match[1]} *"))), "")
    if declared.startswith("id<"):
        name = declared[3:].split(">")[0]
        named = {protocol.name for protocol in getattr(argument, "standin_protocols", ())}
        return "" if name in named else f"does not follow {name}"
    kinds: dict[str, Any] = {
        "NSURL *": foundation.NSURL,
        "NSString *": str,
        "NSData *": bytes,
        "NSFileHandle *": foundation.NSFileHandle,
        "dispatch_queue_t": Queue,
    }
    kind = kinds.get(declared) or standin.classes.get(declared.removesuffix(" *"))
    if kind is None:
        return f"is of a type that the stand-in does not know: {declared}"
    return "" if isinstance(argument, kind) else "is of the wrong class"


def weak(thing: Any) -> Callable[[], Any]:
    """As a weak property holds it."""
    return weakref.ref(thing) if thing is not None else lambda: None
