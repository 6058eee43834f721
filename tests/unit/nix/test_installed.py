"""What is read off the host's own Nix."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snowshed.nix.installed import Flavour, MachineLine, parse_machines, parse_settings, parse_version

KEY = base64.b64encode(b"ssh-ed25519 AAAA root@guest\n").decode()


@pytest.mark.parametrize(
    ("text", "flavour", "version", "shown", "external"),
    [
        ("nix (Nix) 2.8.0\n", Flavour.NIX, (2, 8, 0), "Nix 2.8.0", False),
        ("nix (Nix) 2.32.1\n", Flavour.NIX, (2, 32, 1), "Nix 2.32.1", True),
        ("nix (Lix, like Nix) 2.93.3\nSystem type: x", Flavour.LIX, (2, 93, 3), "Lix 2.93.3", False),
        (
            "nix (Determinate Nix 3.8.3) 2.30.2",
            Flavour.DETERMINATE,
            (2, 30, 2),
            "Determinate Nix 3.8.3 (2.30.2)",
            True,
        ),
        (
            "nix (Determinate Nix 3.6.1) 2.29.0",
            Flavour.DETERMINATE,
            (2, 29, 0),
            "Determinate Nix 3.6.1 (2.29.0)",
            False,
        ),
    ],
)
def test_flavours(text: str, flavour: Flavour, version: tuple[int, ...], shown: str, external: bool) -> None:
    found = parse_version(text)
    assert found is not None
    assert (found.flavour, found.version, found.text) == (flavour, version, shown)
    assert found.has_external_builders is external


@given(st.text())
def test_anything_else_is_no_nix(text: str) -> None:
    found = parse_version(text)
    assert found is None or "nix (" in text


def test_settings_of_both_forms() -> None:
    assert parse_settings('{"max-jobs": {"value": 0, "documentation": "x"}, "x": 3}') == {"max-jobs": 0}
    for nothing in ("", "[]", "error: no", '"x"'):
        assert parse_settings(nothing) == {}


def test_machines_of_a_file_with_comments_and_what_it_includes() -> None:
    files = {
        "/etc/nix/machines": f"# mine\nssh-ng://builder@snowshed-arm aarch64-linux,armv7l-linux /k 4 2 a,b - {KEY}\n",
        "/more": "ssh://other x86_64-linux ; mac@third?x=1\n@/more\n",
    }
    first, second, third = parse_machines("@/etc/nix/machines ; @/more", files.get)
    assert first == MachineLine(
        "ssh-ng://builder@snowshed-arm",
        ("aarch64-linux", "armv7l-linux"),
        "/k",
        4,
        2.0,
        ("a", "b"),
        (),
        "ssh-ed25519 AAAA root@guest",
    )
    assert (first.host, first.protocol) == ("snowshed-arm", "ssh-ng")
    assert (second.host, second.max_jobs, second.protocol) == ("other", 1, "ssh")
    assert (third.host, third.protocol) == ("third", "ssh")


@pytest.mark.parametrize("line", ["", "#", "@/none", "x y z four", "x y - - - - - !!!"])
def test_lines_that_name_no_machine(line: str) -> None:
    assert parse_machines(line, lambda _: None) == []
