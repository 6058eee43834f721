"""What the modules refuse, and what they warn of: a sentence that names the builder and what to change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Refusals = Callable[[str], Any]


@pytest.fixture(scope="session")
def refusals(evaluate: Callable[..., Any]) -> Refusals:
    return lambda attribute: evaluate("refusals.nix", attribute, darwin=True)


@pytest.mark.parametrize(
    ("case", "says"),
    [
        ("port", ["b and default have the same port, 31222: set port = 31223"]),
        (
            "neighbour",
            ["port 31022 is that of nix.linux-builder", 'hostName "linux-builder" is that of nix.linux-builder'],
        ),
        ("rosettaOnIntel", ["builders.default: Rosetta is for Macs with Apple silicon"]),
        ("kernelAlone", ["builders.default: a direct boot needs kernelPath, initrdPath and systemPath together"]),
        ("kvm", ["KVM is Linux's"]),
        ("krunkit", ["krunkit has no Rosetta", "krunkit cannot write a guest's memory"]),
        ("sizes", ['memory = "lots" is no size', 'diskSize = "-1G" is no size']),
        ("name", ["builders.Big One: a builder's name is"]),
        ("share", ["nix-store and rosetta are names of shares", "given by its absolute path"]),
        ("directory", ['workingDirectory = "/var" is no directory for this purpose']),
        ("none", ["has no builder"]),
        ("uid", ["uid = 350 belongs to another service"]),
        ("undistributed", ["nix.distributedBuilds is false"]),
        (
            "small",
            [
                "memory = 256 is too little for a guest that builds: set at least 512",
                'diskSize = "100M" does not hold a Nix store',
                "begins at minFree = 9GiB and ends at maxFree = 7GiB",
                'settings.stop_grace = "1min" is no number',
            ],
        ),
        (
            "names",
            [
                'hostName = "a b" is no name for ssh',
                "the name of a shared directory has at most 35 letters",
                "the shared directory / is all of this host",
                "the builder's own files in /var/lib/snowshed/default",
            ],
        ),
        ("foreign", ["vz runs guests of the Mac's own processor", "hvf executes guests of the host's own processor"]),
        ("emulated", ["only QEMU emulates a processor"]),
        (
            "lent",
            [
                "builders.default: vfkit cannot share a directory read-only",
                "builders.intel: QEMU shares directories",
                "builders.krun: krunkit boots images for UEFI alone",
            ],
        ),
        (
            "settings",
            [
                "there is no setting stop_grase, watchdog.timout",
                "what is said in settings is the option port",
                "b and default have the same settings.metrics_port, 9000",
            ],
        ),
    ],
)
def test_what_cannot_be_is_said(refusals: Refusals, case: str, says: list[str]) -> None:
    messages = refusals("failures")[case]
    assert len(messages) == len(says), messages
    assert [word for word in says if not any(word in message for message in messages)] == []


def test_words_that_an_option_does_not_know_are_refused_with_those_that_it_does(evaluate: Callable[..., Any]) -> None:
    said = evaluate("refusals.nix", "words", darwin=True, fails=True)
    assert "services.snowshed.builders.default.idleAction" in said or "services.snowshed.idleAction" in said
    assert 'one of "auto", "suspend", "pause", "stop"' in said


def test_what_is_unwise_is_said(refusals: Refusals) -> None:
    warned = refusals("warned")
    assert [warning.split(":")[0] for warning in warned["krunkit"]] == ["services.snowshed.builders.default"] * 2
    assert any("nix.linux-builder is enabled beside" in warning for warning in warned["neighbour"])
