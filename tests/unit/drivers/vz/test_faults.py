"""Each error of the framework is a sentence with what to do."""

from __future__ import annotations

import pytest
from fakes.machines import spec
from fakes.vz.contract import load

from snowshed.drivers.vz.driver import framework_problems
from snowshed.drivers.vz.faults import explain, is_refusal
from snowshed.drivers.vz.messages import Facts, Failed
from snowshed.errors import GuestError, UserError
from snowshed.units import GIB


def failed(domain: str, code: int, text: str = "Words.", reason: str = "", doing: str = "start") -> Failed:
    return Failed(1, doing, domain, code, text, reason)


OURS = {
    name: value
    for name, value in load()["enums"]["VZErrorCode"]["values"].items()
    if value < 10000  # the others are of macOS guests, network disks, USB and EFI's secure boot
}


@pytest.mark.parametrize("code", OURS.values(), ids=OURS)
def test_every_error_that_a_linux_guest_can_meet_has_a_sentence_and_a_hint(code: int) -> None:
    error = explain(failed("VZErrorDomain", code))
    assert isinstance(error, GuestError)
    assert "Words" in error.message
    assert not error.message.startswith("start failed"), "a sentence of its own"
    assert error.hint


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            failed("VZErrorDomain", 2, "Invalid configuration.", "The CPU count is out of bounds."),
            "macOS refuses this machine's configuration (start): "
            "Invalid configuration: The CPU count is out of bounds.",
        ),
        (failed("VZErrorDomain", 12, "X.", "X."), "The saved memory is not accepted any more (start): X."),
        (failed("NSPOSIXErrorDomain", 28), "The host's disk is full (start)."),
        (failed("NSCocoaErrorDomain", 260, "No file"), "start failed: No file (NSCocoaErrorDomain 260)."),
        (failed("python", 0, "AttributeError: x"), "The vz helper failed (start): AttributeError: x."),
        (failed("Other", 7, "", ""), "start failed: no reason given (Other 7)."),
    ],
)
def test_the_frameworks_own_words_are_kept(given: Failed, message: str) -> None:
    assert explain(given).message == message


def test_a_missing_entitlement_is_the_users_to_mend() -> None:
    text = 'The process doesn\'t have the "com.apple.security.virtualization" entitlement.'
    error = explain(failed("VZErrorDomain", 2, "Invalid virtual machine configuration.", text))
    assert isinstance(error, UserError)
    assert "doctor --fix" in error.hint


def test_a_refused_connection_is_told_from_other_errors() -> None:
    assert is_refusal(failed("NSPOSIXErrorDomain", 54, doing="vsock connection"))
    assert is_refusal(failed("NSPOSIXErrorDomain", 61))
    assert not is_refusal(failed("VZErrorDomain", 54))
    assert not is_refusal(failed("NSPOSIXErrorDomain", 28))


GOOD = Facts(True, rosetta="installed", nested=True, most_cores=8, least_memory=4 << 20, most_memory=16 * GIB)


@pytest.mark.parametrize(
    ("facts", "changes", "sentence"),
    [
        ({}, {"cores": 9}, "macOS gives a VM at most 8 cores."),
        ({}, {"memory": 17 * GIB}, "macOS gives a VM from 4 MiB to 16 GiB of memory."),
        ({"rosetta": "missing"}, {"rosetta": True}, "Rosetta is not installed on this Mac."),
        ({"nested": False}, {"nested": True}, "This Mac has no nested virtualisation."),
        ({"problem": "The balloon is not round."}, {}, "macOS refuses this machine: The balloon is not round."),
        ({"supported": False, "problem": "No"}, {}, "No."),
        ({"problem": "lacks the entitlement"}, {}, "macOS does not let the helper's interpreter use virtualisation."),
    ],
)
def test_what_a_probe_found_is_said_before_anything_starts(tmp_path, facts, changes, sentence: str) -> None:  # type: ignore[no-untyped-def]
    import msgspec

    found = framework_problems(spec(tmp_path, **changes), msgspec.structs.replace(GOOD, **facts))
    assert [problem.message for problem in found] == [sentence]
    assert found[0].hint


def test_a_good_probe_has_nothing_against_it(tmp_path) -> None:  # type: ignore[no-untyped-def]
    assert framework_problems(spec(tmp_path, rosetta=True, nested=True), GOOD) == []
