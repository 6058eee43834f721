"""What supervisor and helper say to each other: one JSON object a line.

The helper speaks first, with `Hello`. Every request has a number, and is answered once under that number, in any
order; events have none. The answer to `Connect` carries a descriptor beside its line (SCM_RIGHTS).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import msgspec

from ...model.machine import MachineSpec
from ..mac import Mac

PROTOCOL = 1
"""Changes whenever an older helper would misread a newer supervisor, or the other way round."""


class Hello(msgspec.Struct, frozen=True, tag_field="is", tag="hello"):
    """The helper is there. `entitled`: it may use the framework."""

    protocol: int
    version: str
    pid: int


class Start(msgspec.Struct, frozen=True, tag_field="do", tag="start"):
    """Build the VM and start it, or restore it from `restore`. Answered with `Started`, or `Failed`.

    `identifier` is the machine's, from an earlier `Started`; None makes a new one. `console` is the number of a
    descriptor that the helper has inherited and that takes the guest's console output.
    """

    id: int
    spec: MachineSpec
    mac: Mac
    console: int
    identifier: bytes | None = None
    restore: str | None = None


class RequestStop(msgspec.Struct, frozen=True, tag_field="do", tag="request-stop"):
    """Press the power button."""

    id: int


class Stop(msgspec.Struct, frozen=True, tag_field="do", tag="stop"):
    """Pull the plug. The helper ends afterwards, whether that worked or not."""

    id: int


class Pause(msgspec.Struct, frozen=True, tag_field="do", tag="pause"):
    id: int


class Resume(msgspec.Struct, frozen=True, tag_field="do", tag="resume"):
    id: int


class Save(msgspec.Struct, frozen=True, tag_field="do", tag="save"):
    """Write the paused VM's memory into `file`, which must not exist."""

    id: int
    file: str


class Connect(msgspec.Struct, frozen=True, tag_field="do", tag="connect"):
    """Connect to the guest's vsock `port`. Answered with `Connected`, or `Failed`."""

    id: int
    port: int


class Closed(msgspec.Struct, frozen=True, tag_field="do", tag="closed"):
    """The descriptor of this connection is closed: the framework's object may go."""

    connection: int


class Balloon(msgspec.Struct, frozen=True, tag_field="do", tag="balloon"):
    """Ask the guest to make do with `target` bytes of its memory."""

    id: int
    target: int


Wish = Start | RequestStop | Stop | Pause | Resume | Save | Connect | Balloon
"""What is answered."""
Request = Wish | Closed


class Done(msgspec.Struct, frozen=True, tag_field="is", tag="done"):
    id: int


class Started(msgspec.Struct, frozen=True, tag_field="is", tag="started"):
    """The VM runs, or is paused after a restore. `suspend`: its memory can be saved; else `blocker` says why not.

    `identifier` is to be kept for the machine's next start; `notes` are for people.
    """

    id: int
    identifier: bytes
    suspend: bool
    blocker: str = ""
    notes: tuple[str, ...] = ()


class Connected(msgspec.Struct, frozen=True, tag_field="is", tag="connected"):
    """A descriptor came beside this line; `connection` names it in `Closed`."""

    id: int
    connection: int


class Failed(msgspec.Struct, frozen=True, tag_field="is", tag="failed"):
    """What was asked for did not happen: the framework's error, as it gave it, while `doing` something."""

    id: int
    doing: str
    domain: str
    code: int
    text: str
    reason: str = ""


class Ended(msgspec.Struct, frozen=True, tag_field="is", tag="ended"):
    """The VM is gone; the helper ends after this."""

    clean: bool
    detail: str


class Happened(msgspec.Struct, frozen=True, tag_field="is", tag="happened"):
    """Something that people should know, as a sentence."""

    sentence: str


Answer = Hello | Done | Started | Connected | Failed | Ended | Happened


class Facts(msgspec.Struct, frozen=True):
    """What a short-lived helper found out: whether the framework may be used here and would take a given machine.

    `problem` is the framework's own reason where it would not; `rosetta` is ``installed``, ``missing`` or
    ``unsupported``; the limits are processors and bytes.
    """

    supported: bool
    problem: str = ""
    rosetta: str = "unsupported"
    nested: bool = False
    most_cores: int = 0
    least_memory: int = 0
    most_memory: int = 0
    suspend: bool = False
    blocker: str = ""


class Question(msgspec.Struct, frozen=True):
    """What a short-lived helper is asked about, on its standard input."""

    spec: MachineSpec
    mac: Mac


T = TypeVar("T")


def encode(message: msgspec.Struct) -> bytes:
    """`message` as one line."""
    return msgspec.json.encode(message, enc_hook=_to_json) + b"\n"


def decode(line: bytes, kind: type[T]) -> T:
    """The message of `kind` in `line`. Raises `msgspec.MsgspecError`."""
    return msgspec.json.decode(line, type=kind, dec_hook=_from_json)


def decode_request(line: bytes) -> Request:
    """The request in `line`. Raises `msgspec.MsgspecError`."""
    return _requests.decode(line)


def decode_answer(line: bytes) -> Answer:
    """The answer or event in `line`. Raises `msgspec.MsgspecError`."""
    return _answers.decode(line)


def _to_json(value: Any) -> str:
    if isinstance(value, Path):
        return str(value)
    raise NotImplementedError(type(value))


def _from_json(kind: type, value: Any) -> Path:
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise NotImplementedError(kind)


_requests: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request, dec_hook=_from_json)
_answers: msgspec.json.Decoder[Answer] = msgspec.json.Decoder(Answer, dec_hook=_from_json)
