"""Asking a supervisor for something, and what to say when there is none."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ..control.client import Control, Each, Gone, NoSupervisor
from ..errors import NotRunning, UserError
from ..paths import DEFAULT_BUILDER, BuilderPaths, find_builder
from ..state import held, unreachable
from .known import known_builders
from .report import last_state, note_version


def ask(paths: BuilderPaths, verb: str, *, silence: float, each: Each | None = None, **arguments: Any) -> Any:
    """Send one request to the supervisor of a builder and return its answer. Raises `NotRunning` if there is none."""
    try:
        with Control(paths.control) as control:
            note_version(control.version)
            return control.request(verb, each=each, silence=silence, **arguments)
    except NotRunning as error:
        raise explain(paths, error) from None


@contextmanager
def stopped_meanwhile(paths: BuilderPaths) -> Iterator[None]:
    """Tell a supervisor that was stopped during the block from one that broke. Raises `NotRunning` for that."""
    try:
        yield
    except Gone:
        if last_state(paths.events) not in ("stopping", "stopped"):
            raise
        option = "" if paths.name == DEFAULT_BUILDER else f" -b {paths.name}"
        raise NotRunning(
            f"The builder {paths.name} was stopped meanwhile.", f"Start it again with `snowshed start{option}`."
        ) from None


def explain(paths: BuilderPaths, error: NotRunning) -> NotRunning | UserError:
    """The error for a builder without a supervisor: it may be unknown, or one that cannot be reached.

    What a supervisor says stays as it is.
    """
    if not isinstance(error, NoSupervisor):
        return error
    option = "" if paths.name == "default" else f" -b {paths.name}"
    if held(paths.supervisor_lock):
        return unreachable(paths.name)
    not_running = NotRunning(f"The builder {paths.name} is not running.", f"Start it with `snowshed start{option}`.")
    return unknown(paths) or not_running


def unknown(paths: BuilderPaths) -> NotRunning | None:
    """The error for a name that nothing goes by: neither state nor a configuration. None for every other."""
    if paths.name == DEFAULT_BUILDER or paths.state.exists() or paths.name in known_builders():
        return None
    return _no_such(paths.name)


def _no_such(name: str) -> NotRunning:
    near = get_close_matches(name, known_builders(), 1)
    hint = f"Did you mean {near[0]}?" if near else f"`snowshed start -b {name}` makes one; `snowshed list` shows all."
    return NotRunning(f"There is no builder called {name}.", hint)


def of_another(paths: BuilderPaths, words: Sequence[str], error: PermissionError) -> UserError | None:
    """The error of the command line `words` that needed a file of another account's builder; None for other files."""
    if not error.filename or not Path(os.fsdecode(error.filename)).is_relative_to(paths.state):
        return None
    try:
        if paths.state.stat().st_uid == os.geteuid():
            return None
    except PermissionError:
        pass  # in a directory that we may not even look into
    except OSError:
        return None
    hint = f"Use `sudo {shlex.join(['snowshed', *words])}`." if paths.is_system else "Ask its owner."
    return UserError(f"The builder {paths.name} belongs to another account, and {error.filename} to that alone.", hint)


def private(paths: BuilderPaths, verb: str, what: str) -> UserError:
    """The error for `what` is the builder's owner's, with the line for whoever may become root."""
    where = f" -b {paths.name}" if paths.name != DEFAULT_BUILDER else ""
    if find_builder(paths.name).state != paths.state:
        where += f" --state-dir {shlex.quote(str(paths.state))}"
    return UserError(
        f"The builder {paths.name} belongs to another account. {what} for that one and for root alone.",
        f"Use `sudo snowshed {verb}{where}`.",
    )


def event_line(event: dict[str, Any]) -> str:
    """An event for people: local time, level where it matters, text."""
    stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(event.get("at", 0.0)))
    level = event.get("level", "info")
    return f"{stamp}  {'' if level == 'info' else level + ': '}{event.get('text', '')}"
