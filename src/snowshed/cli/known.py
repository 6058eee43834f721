"""Which builders there are, and asking all of them at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from ..paths import config_root, state_root, system_builders
from ..state import builders

T = TypeVar("T")


def known_builders() -> list[str]:
    """The names of the builders that have state or a configuration, this user's and the system's, sorted."""
    described: list[str] = []
    if any(config_root().glob("*.toml")):
        from ..config_file import builders_in  # here: completion asks at every press of a key

        described = builders_in(config_root())
    return sorted({*described, *builders(state_root()), *system_builders()})


def side_by_side(ask: Callable[[str], T], names: Sequence[str]) -> list[T]:
    """What `ask` returns for each of `names`, in their order; raises what it raised. One that does not answer holds no
    other up."""
    answers: dict[str, T] = {}
    failures: list[Exception] = []

    def one(name: str) -> None:
        try:
            answers[name] = ask(name)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=one, args=(name,), name=f"ask {name}", daemon=True) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return [answers[name] for name in names]
