"""Makes an image in a builder's guest: ``python3 -m snowshed.images.inside ORDER``. What it says is in `order`."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from ...errors import SnowshedError
from ...model.machine import arch_of_system
from .. import debian, packed, store, workshop
from ..apt import PrivateApt
from ..manifest import PackageName
from ..recipe import recipe
from .order import Answer, Failed, Line, Order, Stage, line


def main(file: str) -> int:
    """Do what the order in `file` says; the exit status is 0 also where it cannot be done, and was said so."""
    order = msgspec.json.decode(Path(file).read_bytes(), type=Order)
    try:
        _make(order)
    except SnowshedError as error:
        _say(Failed(error.as_json() | ({"kind": "no-room"} if isinstance(error, workshop.NoRoom) else {})))
    return 0


def _make(order: Order) -> None:
    arch = arch_of_system(order.system)
    apt = PrivateApt(arch, order.suite, order.mirror, provided=recipe().provided)
    with workshop.only_one(_report):
        up_to_date, packages = debian.ask(apt, _report, efi_disk=order.efi_disk)
        names = tuple(PackageName(p.name, p.version, p.sha256) for p in packages)
        image: store.Image | None = None
        if not order.look and debian.address(arch, packages) not in order.have:
            image, _ = debian.made(apt, packages, _report)
    _say(Answer(names, stale=not up_to_date, image=image is not None))
    if image is not None:
        packed.write(image, sys.stdout.buffer)
        sys.stdout.buffer.flush()


def _report(stage: str, fraction: float | None = None, /) -> None:
    _say(Stage(stage, fraction))


def _say(said: Line) -> None:
    sys.stdout.buffer.write(line(said))
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
