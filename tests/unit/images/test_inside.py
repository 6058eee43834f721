from __future__ import annotations

import io
import tarfile

import msgspec
import pytest

from snowshed.errors import GuestError, UserError
from snowshed.images.inside import host, luggage
from snowshed.images.inside.order import Answer, Failed, Line, Order, Stage, line, parse
from snowshed.images.manifest import PackageName
from snowshed.model.machine import Arch

ORDER = Order(system="aarch64-linux", suite="trixie", mirror="https://mirror/debian/", have=("1234",))


def members(order: Order, guest: Arch = Arch.X86_64) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(luggage.pack(order, guest))) as tar:
        return {member.name: (tar.extractfile(member) or io.BytesIO()).read() for member in tar}


@pytest.mark.parametrize(
    "said",
    [
        Stage("packages", 0.5),
        Failed({"kind": "user", "message": "No.", "hint": ""}),
        Answer((PackageName("nix-bin", "2.26", "12ab"),), stale=False, image=True),
    ],
)
def test_a_line_arrives_as_it_went(said: Line) -> None:
    assert parse(line(said)) == said


def test_what_is_sent_is_what_the_guest_needs() -> None:
    sent = members(ORDER)
    assert msgspec.json.decode(sent["order.json"], type=Order) == ORDER
    assert sent["mirror"] == b"https://mirror/debian/"
    assert b'APT::Architecture "amd64"' in sent["apt.conf"]
    assert b"/data/home/image-workshop/apt/lists" in sent["apt.conf"]
    assert b"Package: libc6\n" in sent["status"]
    assert {"src/snowshed/images/inside/__main__.py", "src/snowshed/guest/contract.json"} <= sent.keys()
    assert "src/snowshed/images/debian/lib/start" in sent
    assert not any("__pycache__" in name for name in sent)
    assert luggage.pack(ORDER, Arch.X86_64) == luggage.pack(ORDER, Arch.X86_64)


def test_the_tools_in_the_guest_stay_for_another_image_of_the_same_host() -> None:
    other = Order(system="x86_64-linux", suite="forky", mirror="https://other/")
    assert members(ORDER)["key"] == members(other)["key"]
    assert members(ORDER)["key"] != members(ORDER, Arch.AARCH64)["key"]


def test_the_command_takes_all_that_is_sent_and_no_more() -> None:
    command = luggage.command(4711)
    assert command.startswith("place=/data/home/image-workshop size=4711\n")
    assert "head -c $size" in command


@pytest.mark.parametrize(
    ("failed", "status", "errors", "kind", "words"),
    [
        (None, 10, "", UserError, "there is no apt in the image that it runs from"),
        (None, 11, "", GuestError, "has no data disk"),
        (None, 12, "", GuestError, "is making another image just now"),
        (None, 13, "W: x\nE: no route", GuestError, "cannot get the tools for making images from Debian: W: x / E: no"),
        (None, 255, "Connection closed", GuestError, "cannot be reached: Connection closed"),
        (None, 1, "", GuestError, "could not make the image (status 1): it said nothing"),
        (None, 1, "tar: x: No space left on device", GuestError, "The disk of the builder one is too full"),
        (
            Failed({"kind": "no-room", "message": "Full."}),
            0,
            "",
            GuestError,
            "The disk of the builder one is too",
        ),
        (Failed({"kind": "guest", "message": "tar: No space left on device"}), 0, "", GuestError, "is too full"),
        (Failed({"kind": "user", "message": "No such suite."}), 0, "", UserError, "In the builder one: No such suite."),
    ],
)
def test_why_a_builder_made_no_image(
    failed: Failed | None, status: int, errors: str, kind: type[Exception], words: str
) -> None:
    error = host.explained("one", failed, status, errors)
    assert type(error) is kind
    assert words in error.message
    assert error.hint or failed
