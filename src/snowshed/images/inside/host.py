"""This end of making an image inside a builder: asks over the builder's own SSH connection, which wakes it, shows how
far it is, and takes the image in. What arrives is believed as far as a builder is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

import msgspec

from ... import process
from ...errors import GuestError, SnowshedError, UserError, from_json
from ...model.machine import Arch
from .. import debian, packed, store
from ..apt import DEFAULT_SUITE, check_mirror, check_suite
from ..manifest import PackageName
from ..progress import Report, silent
from . import luggage
from .order import LONGEST, Answer, Failed, Order, Stage, parse

NO_APT, NO_DISK, BUSY, NO_PACKAGES = 10, 11, 12, 13
"""Exit statuses of the scripts in the guest; 255 is ssh's own."""


@dataclass(frozen=True)
class Inside:
    """Makes images inside the builder `name`, whose guest is of the kind `guest`; `ssh` is the command line that leads
    into it."""

    name: str
    guest: Arch
    ssh: tuple[str, ...]

    def look(
        self, arch: Arch, suite: str = DEFAULT_SUITE, mirror: str = "", report: Report = silent
    ) -> Sequence[PackageName]:
        """As `debian.look`. Raises `SnowshedError`."""
        with self._asked(_order(arch, suite, mirror, look=True), report) as (answer, _):
            _remember(arch, suite, answer)
        if answer.stale:
            raise debian.unreachable(mirror)
        return answer.packages

    def build(
        self,
        arch: Arch,
        suite: str = DEFAULT_SUITE,
        mirror: str = "",
        report: Report = silent,
        *,
        efi_disk: bool = False,
    ) -> debian.Built:
        """As `debian.build`. Raises `SnowshedError`."""
        have = tuple(image.manifest.digest for image in store.images())
        with self._asked(_order(arch, suite, mirror, efi_disk=efi_disk, have=have), report) as (answer, stream):
            digest = debian.address(arch, answer.packages)
            if not efi_disk:
                _remember(arch, suite, answer)
            if answer.image:
                image, fresh = packed.receive(stream, f"the builder {self.name}", digest, report)
            else:
                image, fresh = store.find(store.name_of(arch, digest)), False
        return debian.Built(image, fresh=fresh, stale_lists=answer.stale)

    @contextmanager
    def _asked(self, order: Order, report: Report) -> Iterator[tuple[Answer, IO[bytes]]]:
        """What the guest answers, and the stream that an image comes from then."""
        report("the builder")
        archive = luggage.pack(order, self.guest)
        with process.talking([*self.ssh, luggage.command(len(archive))], archive) as talk:
            answer = _answer(talk.answers, report)
            if not isinstance(answer, Answer):
                raise explained(self.name, answer, *talk.end())
            yield answer, talk.answers
            talk.answers.read()  # what pads the archive; the guest clears away meanwhile
            talk.end()


def _order(
    arch: Arch, suite: str, mirror: str, *, efi_disk: bool = False, look: bool = False, have: tuple[str, ...] = ()
) -> Order:
    mirror = check_mirror(mirror) if mirror else ""
    suite = check_suite(suite)
    return Order(system=arch.nix_system, suite=suite, mirror=mirror, efi_disk=efi_disk, look=look, have=have)


def _remember(arch: Arch, suite: str, answer: Answer) -> None:
    if not answer.stale:
        debian.remember(arch, suite, answer.packages)


def _answer(stream: IO[bytes], report: Report) -> Answer | Failed | None:
    """The guest's answer or its failure, after telling how it got there; None where it said neither."""
    while text := stream.readline(LONGEST):
        try:
            said = parse(text)
        except msgspec.MsgspecError:
            return None
        if not isinstance(said, Stage):
            return said
        report(said.stage, said.fraction)
    return None


def explained(name: str, failed: Failed | None, status: int, errors: str) -> SnowshedError:
    """Why the builder `name` made no image: from what it said, its exit status and its standard error. Pure."""
    last = " / ".join(errors.strip().splitlines()[-3:]) or "it said nothing"
    said = from_json(failed.error) if failed else None
    if (failed and failed.error.get("kind") == "no-room") or "No space left" in f"{said}{errors}":
        return GuestError(
            f"The disk of the builder {name} is too full to make an image there.",
            f"`snowshed gc -b {name}` frees what its store does not need; --disk-size makes it larger.",
        )
    if said is not None:
        return type(said)(f"In the builder {name}: {said.message}", said.hint)
    if status == NO_APT:
        return UserError(
            f"The builder {name} cannot make images: there is no apt in the image that it runs from.",
            "Start one from an image of this version of snowshed; `snowshed image fetch` may get it.",
        )
    known = {
        NO_DISK: (f"The builder {name} has no data disk to make an image on.", f"See `snowshed doctor -b {name}`."),
        BUSY: (f"The builder {name} is making another image just now.", "Try again when it is done."),
        NO_PACKAGES: (
            f"The builder {name} cannot get the tools for making images from Debian: {last}",
            "Check the network of the builder, and --mirror.",
        ),
        255: (f"The builder {name} cannot be reached: {last}", f"See `snowshed logs -b {name}`."),
    }
    otherwise = f"The builder {name} could not make the image (status {status}): {last}", "Try again."
    return GuestError(*known.get(status, otherwise))
