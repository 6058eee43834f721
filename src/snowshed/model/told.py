"""What a guest told of itself: read off the lines that it says after `fact_mark`, and kept while it sleeps. Pure.

==============================  ======================================================================================
``emulates <system> <by>``      programs of that system run here, by ``rosetta`` or ``qemu-user``
``emulates <system> nothing …`` they were wanted and do not, and why
``clock guessed``               it has no clock of its own that is right: it took the time of the seed, which is older
``features <feature> …``        what Nix may be told that not every guest has: ``kvm``
==============================  ======================================================================================
"""

from __future__ import annotations

import msgspec

EMULATORS = {"qemu-user": "qemu-user", "rosetta": "Rosetta"}
"""By the guest's word, what people call it."""


class Told(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`emulates`: by system, what runs its programs. `lacks`: by system, why nothing does. `features`: of this boot.

    `clock_guessed`: at this boot its clock was behind by as long as the machine took to start.

    `disk_used`: bytes of the data disk's file system that files took at `disk_used_at`, seconds since the epoch;
    `disk_id` is that file system's UUID.
    """

    emulates: dict[str, str] = {}
    lacks: dict[str, str] = {}
    features: tuple[str, ...] = ()
    clock_guessed: bool = False
    disk_used: int | None = None
    disk_used_at: float | None = None
    disk_id: str = ""


def booting(told: Told) -> Told:
    """What is still taken for true while the guest boots anew: a feature only once it has said so again."""
    return msgspec.structs.replace(told, features=(), clock_guessed=False)


def heard(told: Told, fact: str) -> Told:
    """`told` with what the guest says now. A fact that this version does not know changes nothing."""
    kind, _, rest = fact.partition(" ")
    if fact == "clock guessed":
        return msgspec.structs.replace(told, clock_guessed=True)
    if kind == "features":
        return msgspec.structs.replace(told, features=tuple(rest.split()))
    if kind == "emulates":
        system, _, result = rest.partition(" ")
        by, _, why = result.partition(" ")
        others = {name: text for name, text in told.emulates.items() if name != system}
        missing = {name: text for name, text in told.lacks.items() if name != system}
        if by in EMULATORS:
            return msgspec.structs.replace(told, emulates=others | {system: EMULATORS[by]}, lacks=missing)
        reason = why.strip() or "the guest does not say why"
        return msgspec.structs.replace(told, emulates=others, lacks=missing | {system: reason})
    return told
