"""What a guest says of itself, and what is made of it."""

from __future__ import annotations

import subprocess

import pytest

from snowshed.guest import look
from snowshed.units import KIB

GUEST = """\
cpu  3016 0 7400 12382 10 0 30 0 0 0
MemTotal:         989864 kB
MemAvailable:     847284 kB
disk 4096 2038647 2036024
logs 12
up 119.30
dir 30001 /data/build/nix-build-sleeper-1.0.drv-0/build
dir 30002 /data/build/nix-4711-3/build
own 30001 229
name 30001 not this one
own 30001 230
own 30002 (240)
own 30002 240
name 30002 hello-2.12.1
229 (sh) S 223 229 229 0 -1 256 206 0 0 0 579 2 7 3 20 0 1 0 1583 2359296 383 18446744073709551615 1 1 0 0 0
230 (a b) c) R 229 229 229 0 -1 0 68 0 1 0 2269 7491 0 0 20 0 1 0 2166 2359296 351 18446744073709551615 1 1 0
240 (make) S 223 229 229 0 -1 256 206 0 0 0 100 0 0 0 20 0 1 0 10930 2359296 100 18446744073709551615 1 1 0 0
"""
"""From a guest, but for the second build."""


def test_a_guest_with_two_builds() -> None:
    seen = look.parse(GUEST)
    assert seen.processor == pytest.approx((3016 + 7400 + 30) / 100)
    assert (seen.memory, seen.available) == (989864 * KIB, 847284 * KIB)
    assert (seen.disk, seen.disk_used) == (4096 * 2038647, 4096 * (2038647 - 2036024))
    assert seen.logs == 12
    first, second = seen.builds
    assert first == look.Build(
        "sleeper-1.0", pytest.approx(119.3 - 15.83), pytest.approx(103.51), (383 + 351) * 4096, 2
    )
    assert (second.name, second.seconds) == ("hello-2.12.1", pytest.approx(10.0))


def test_a_build_cannot_speak_to_the_terminal() -> None:
    seen = look.parse(GUEST.replace("name 30002 hello-2.12.1", "name 30002 \x1b]0;owned\x07"))
    assert seen.builds[1].name == "?]0?owned?".replace("]", "?")


@pytest.mark.parametrize(
    "text", ["", "sh: not found", GUEST.replace("up 119.30", ""), GUEST.replace("logs 12", "logs")]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        look.parse(text)


def test_the_script_is_understood_by_a_plain_shell_and_its_answer_by_us() -> None:
    """Here there is no data disk, which every Linux answers for with its root instead, and most likely no build."""
    script = look.SCRIPT.replace("stat -f -c 'disk %S %b %f' /data", "stat -f -c 'disk %S %b %f' /")
    done = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=True)
    seen = look.parse(done.stdout)
    assert 0 < seen.available < seen.memory
    assert 0 < seen.disk_used < seen.disk
    assert seen.processor > 0
    assert done.stderr == ""
