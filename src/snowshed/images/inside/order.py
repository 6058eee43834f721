"""What host and guest say to each other when an image is made inside a builder: JSON, an object a line. Pure.

The guest tells how far it is (`Stage`), any number of times; then either what went wrong (`Failed`), or what Debian has
(`Answer`). After an answer that says so the image itself follows, as `packed.write` writes it.
"""

from __future__ import annotations

import msgspec

from ..manifest import PackageName


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What the host asks for. `have` are the digests of the images that it has and needs no more; with `look` it wants
    none at all."""

    system: str
    suite: str
    mirror: str
    efi_disk: bool = False
    look: bool = False
    have: tuple[str, ...] = ()


class Stage(msgspec.Struct, frozen=True, tag="stage"):
    """Work has come so far (`images.progress.Report`)."""

    stage: str
    fraction: float | None = None


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """What went wrong, as `SnowshedError.as_json` has it."""

    error: dict[str, str]


class Answer(msgspec.Struct, frozen=True, tag="answer"):
    """What an image would be made of now; `stale`: by lists of an earlier time. `image`: whether it follows."""

    packages: tuple[PackageName, ...]
    stale: bool
    image: bool


Line = Stage | Failed | Answer

LONGEST = 1 << 20
"""Bytes of a line: an answer names a hundred packages."""


def line(said: Line) -> bytes:
    """`said` as a line."""
    return msgspec.json.encode(said) + b"\n"


def parse(text: bytes) -> Line:
    """What a line says. Raises `msgspec.MsgspecError`."""
    said: Line = msgspec.json.decode(text, type=Line)
    return said
