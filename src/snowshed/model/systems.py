"""Which systems a builder builds for: what its settings promise, and what its guest found that it really can. Pure.

Free of everything else, so that `snowshed status` of a builder that does not run answers at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

ROSETTA_RUNS = "x86_64-linux"


def promised(system: str, emulate: Iterable[str], *, rosetta: bool) -> tuple[str, ...]:
    """The guest's own `system`, and those that the settings want besides: Rosetta is a way to have one."""
    more = (ROSETTA_RUNS,) if rosetta else ()
    return tuple(dict.fromkeys(name for name in (system, *emulate, *more) if name))


def had(wanted: Iterable[str], lacks: Mapping[str, str]) -> tuple[str, ...]:
    """Those of `wanted` that are not known to be missing; `lacks` says why, by system."""
    return tuple(system for system in wanted if system not in lacks)


def known(wanted: Iterable[str], system: str, emulates: Mapping[str, str], lacks: Mapping[str, str]) -> bool:
    """Whether the guest has said of all that is `wanted` besides its own `system` what became of it."""
    return all(name == system or name in emulates or name in lacks for name in wanted)


def complaints(wanted: Iterable[str], lacks: Mapping[str, str]) -> tuple[str, ...]:
    """A sentence for each system that is `wanted` and not there."""
    return tuple(f"It does not build for {system}: {lacks[system]}." for system in wanted if system in lacks)
