from __future__ import annotations

import pytest

from snowshed.model import systems
from snowshed.model.told import Told, booting, heard


def told(*facts: str) -> Told:
    now = Told()
    for fact in facts:
        now = heard(now, fact)
    return now


def test_what_runs_other_programs_is_noted() -> None:
    assert told("emulates aarch64-linux qemu-user").emulates == {"aarch64-linux": "qemu-user"}
    assert told("emulates x86_64-linux rosetta").emulates == {"x86_64-linux": "Rosetta"}


def test_the_last_word_counts_in_both_directions() -> None:
    works, fails = "emulates x86_64-linux rosetta", "emulates x86_64-linux nothing it ended with 133; and so on"
    assert told(works, fails) == Told(lacks={"x86_64-linux": "it ended with 133; and so on"})
    assert told(fails, works) == Told(emulates={"x86_64-linux": "Rosetta"})


@pytest.mark.parametrize("fact", ["", "emulates", "weather fine", "emulates x86_64-linux"])
def test_a_word_that_is_not_understood_promises_nothing(fact: str) -> None:
    assert told(fact).emulates == {}
    assert told(fact).features == ()


def test_a_feature_counts_for_one_boot_and_the_rest_until_it_is_told_anew() -> None:
    before = told("features kvm", "emulates aarch64-linux qemu-user")
    assert booting(before) == told("emulates aarch64-linux qemu-user")


def test_the_settings_promise_each_system_once() -> None:
    assert systems.promised("aarch64-linux", ["x86_64-linux"], rosetta=True) == ("aarch64-linux", "x86_64-linux")
    assert systems.promised("x86_64-linux", ["x86_64-linux"], rosetta=False) == ("x86_64-linux",)
    assert systems.promised("", [], rosetta=False) == ()


def test_what_the_guest_lacks_is_not_had_and_said() -> None:
    wanted, lacks = ("aarch64-linux", "x86_64-linux"), {"x86_64-linux": "the host lends no Rosetta"}
    assert systems.had(wanted, lacks) == ("aarch64-linux",)
    assert systems.complaints(wanted, lacks) == ("It does not build for x86_64-linux: the host lends no Rosetta.",)
    assert systems.known(wanted, "aarch64-linux", {}, lacks)
    assert not systems.known(wanted, "aarch64-linux", {}, {})


def test_a_clock_is_guessed_until_the_next_boot() -> None:
    guessed = told("clock guessed")
    assert guessed == Told(clock_guessed=True)
    assert booting(guessed) == Told()
    assert not told("clock", "clock right").clock_guessed
