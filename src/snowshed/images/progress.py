"""How long work in this folder tells its caller where it is. Nothing here draws."""

from __future__ import annotations

from typing import Protocol


class Report(Protocol):
    """Called when work enters `stage`, and again as it moves on in it.

    `stage` is a short noun phrase for people (``package lists``, ``packages``, ``root file system``); `fraction` goes
    from 0 to 1 within the stage, None where nobody can tell.
    """

    def __call__(self, stage: str, fraction: float | None = None, /) -> None: ...


def silent(stage: str, fraction: float | None = None, /) -> None:
    """A `Report` for nobody."""
