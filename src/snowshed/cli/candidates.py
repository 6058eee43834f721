"""What can be put where a word is wanted: names of builders and images, words of settings, files. For completion.

It is asked at every press of a key, so nothing slow is imported here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import click

Candidates = Callable[[click.Context, click.Parameter, str], list[Any]]
"""What `shell_complete` takes: a function that gives click's `CompletionItem`s."""

SYSTEMS = ("aarch64-linux", "x86_64-linux")
DRIVERS = ("auto", "qemu", "vz", "vfkit", "krunkit")
ACCELERATORS = ("auto", "kvm", "hvf", "tcg")
NETWORKS = ("nat", "restricted", "none")
IDLE_ACTIONS = ("auto", "suspend", "pause", "stop")


def words(*known: str) -> Candidates:
    """One of these."""
    return lambda _context, _parameter, begun: _beginning(known, begun)


def builders(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[Any]:
    """The name of a builder."""
    from .known import known_builders

    return _beginning(known_builders(), begun)


def images(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[Any]:
    """The name of an image: its folder's, without reading what is in there."""
    from ..paths import images_root

    try:
        names = sorted(folder.name for folder in images_root().iterdir() if (folder / "manifest.json").exists())
    except OSError:
        names = []
    return _beginning(names, begun)


def files(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[Any]:
    """A file."""
    return [_item(begun, type="file")]


def folders(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[Any]:
    """A folder."""
    return [_item(begun, type="dir")]


def systems(context: click.Context, parameter: click.Parameter, begun: str) -> list[Any]:
    """A system, or the path of one."""
    return files(context, parameter, begun) if begun.startswith(("/", ".", "~")) else _beginning(SYSTEMS, begun)


def _beginning(known: Iterable[str], begun: str) -> list[Any]:
    return [_item(word) for word in known if word.startswith(begun)]


def _item(word: str, **about: str) -> Any:
    from click.shell_completion import CompletionItem  # here: it is needed only when a shell asks

    return CompletionItem(word, **about)
