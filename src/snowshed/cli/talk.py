"""Asking a supervisor for something, and what to say when there is none."""

from __future__ import annotations

import time
from difflib import get_close_matches
from typing import Any

from ..control.client import Control, Each
from ..errors import NotRunning, UserError
from ..paths import DEFAULT_BUILDER, BuilderPaths
from ..state import held
from .known import known_builders
from .report import note_version


def ask(paths: BuilderPaths, verb: str, *, silence: float, each: Each | None = None, **arguments: Any) -> Any:
    """Send one request to the supervisor of a builder and return its answer. Raises `NotRunning` if there is none."""
    try:
        with Control(paths.control) as control:
            note_version(control.version)
            return control.request(verb, each=each, silence=silence, **arguments)
    except NotRunning as error:
        raise explain(paths, error) from None


def explain(paths: BuilderPaths, error: NotRunning) -> NotRunning | UserError:
    """The error for a builder without a supervisor: it may be unknown, or just starting or ending."""
    option = "" if paths.name == "default" else f" -b {paths.name}"
    if held(paths.supervisor_lock):
        return UserError(f"The builder {paths.name} is just starting or ending.", "Try again in a moment.")
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


def event_line(event: dict[str, Any]) -> str:
    """An event for people: local time, level where it matters, text."""
    stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(event.get("at", 0.0)))
    level = event.get("level", "info")
    return f"{stamp}  {'' if level == 'info' else level + ': '}{event.get('text', '')}"
