"""Builders that firmware boots, from a raw disk: the Debian guest made as one, and imported like anybody's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from command import with_patience
from real import RealPlace
from snowshed.model.machine import Arch
from snowshed.supervisor.datadisk import mark_on

pytestmark = [pytest.mark.vm, pytest.mark.timeout(900)]


@pytest.fixture
def place() -> Iterator[RealPlace]:
    with RealPlace.made(stops=True) as place:
        yield place


@pytest.fixture
def image(place: RealPlace, arch: Arch) -> Iterator[str]:
    """The name of an image that was a file."""
    made = place.ok("image", "build", "--efi", "--if-missing", "--system", arch.nix_system).out.strip()
    name = Path(place.ok("image", "import", f"{made}/disk.img").out.strip()).name
    yield name
    place.ok("stop", "--force")
    place.ok("image", "rm", "--force", name)


@pytest.mark.parametrize("arch", list(Arch))
def test_a_raw_disk_boots_grows_sleeps_and_builds(place: RealPlace, image: str, arch: Arch) -> None:
    place.start("--image", image, "--system", arch.nix_system)
    # What does not boot directly has no command line from us: firmware started the kernel from its own partition.
    assert "console=hvc0" in place.ok("ssh", "cat /proc/cmdline").out
    size = int(place.ok("ssh", "df -k /data | tail -n 1").out.split()[1])
    assert size > 7 << 20, "the data partition has grown to the disk's 8 GiB"
    with_patience(lambda: mark_on(place.state / "disk.img") is not None)
    if arch is Arch.X86_64:
        place.ok("suspend")  # the build wakes it
    built = place.build("efi", "read -r a </proc/sys/kernel/arch; echo $a > $out", system=arch.nix_system)
    assert built.status == 0, built.words
    assert place.content(built.out) == f"{arch}\n"
