"""Whether Debian has newer packages than an image was made of, as far as it was asked: an answer with a date.

Whoever asks the mirror (a build, `image upgrade`) writes the answer down, one for each system and suite, in
``~/.cache/snowshed/newest.json``; nobody else goes to the network for it. `status` reads it at every call: there is
nothing here but the standard library.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from .. import paths

NAMED = 3
"""Packages that a sentence names."""


class Change(NamedTuple):
    """A package that differs; an empty version where it is not there."""

    name: str
    old: str
    new: str

    def __str__(self) -> str:
        if not self.old:
            return f"{self.name} {self.new} (new)"
        return f"{self.name} {self.old} → {self.new}" if self.new else f"{self.name} {self.old} (no more)"


class Answer(NamedTuple):
    """What the recipe came to when Debian was last asked: seconds since the epoch, versions by package, and the name
    of the image that they make."""

    asked: float
    versions: Mapping[str, str]
    image: str


def changes(old: Mapping[str, str], new: Mapping[str, str]) -> list[Change]:
    """What differs between two sets of packages, versions by name."""
    names = sorted({*old, *new})
    return [Change(name, old.get(name, ""), new.get(name, "")) for name in names if old.get(name) != new.get(name)]


def remember(system: str, suite: str, versions: Mapping[str, str], image: str, now: float | None = None) -> None:
    """Write down what Debian has just answered. A cache that cannot be written forgets it."""
    file = _file()
    known = _read(file)
    known[f"{system} {suite}"] = {
        "asked": time.time() if now is None else now,
        "versions": dict(versions),
        "image": image,
    }
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        new = file.with_suffix(".new")
        new.write_text(json.dumps(known))
        new.replace(file)


def last_answer(system: str, suite: str) -> Answer | None:
    """What Debian answered last, or None where it was never asked."""
    with suppress(KeyError, TypeError, ValueError):
        found = _read(_file())[f"{system} {suite}"]
        return Answer(float(found["asked"]), {str(k): str(v) for k, v in found["versions"].items()}, found["image"])
    return None


def sentence(image: Path, builder: str = "") -> str:
    """That the image in the folder `image` is older than what Debian was known to have, with what to do; else empty."""
    manifest = _read(image / "manifest.json")
    with suppress(KeyError, TypeError):
        mine = {package["name"]: package["version"] for package in manifest["packages"]}
        answer = last_answer(manifest["system"], manifest["suite"])
        if mine and answer is not None and answer.image != image.name:
            return _sentence(mine, answer, "" if builder in ("", paths.DEFAULT_BUILDER) else f" -b {builder}")
    return ""


def _sentence(mine: Mapping[str, str], answer: Answer, option: str) -> str:
    newer = [change.name for change in changes(mine, answer.versions) if change.old and change.new]
    if not newer:
        return ""
    here = (paths.images_root() / answer.image).is_dir()
    makes = "" if here else "`snowshed image upgrade` makes a new one, and "
    return (
        f"Its image is older than Debian's packages of {day(answer.asked)}: {_counted(newer)}. "
        f"{makes}`snowshed restart{option}` starts it from the newest."
    )


def _counted(names: list[str]) -> str:
    more = ", …" if len(names) > NAMED else ""
    verb = "is" if len(names) == 1 else "are"
    return f"{len(names)} {verb} newer ({', '.join(names[:NAMED])}{more})"


def day(seconds: float) -> str:
    """A date for people, in the local time zone: 2026-11-24."""
    return time.strftime("%Y-%m-%d", time.localtime(seconds))


def versions(packages: Iterable[Any]) -> dict[str, str]:
    """The versions of `packages`, anything with a name and a version, by name."""
    return {package.name: package.version for package in packages}


def _file() -> Path:
    return paths.cache_root() / "newest.json"


def _read(file: Path) -> dict[str, Any]:
    try:
        data = json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}
