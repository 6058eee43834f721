"""The one stand-in of a process that imports the modules below `modules`."""

from __future__ import annotations

from functools import cache

from .standin import StandIn, from_environment


@cache
def standin() -> StandIn:
    return from_environment()
