"""What a QEMU's end, or its refusal to start, is called."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snowshed.drivers.qemu.ending import PanicWatch, Story, ending, refusal

PANIC = b"[    1.76] Kernel panic - not syncing: VFS: Unable to mount root fs\r\n[    1.77] CPU: 0 PID: 1\r\n"


@pytest.mark.parametrize(
    ("status", "story", "words", "clean", "detail"),
    [
        (0, Story(shutdown="guest-shutdown"), "", True, "the guest shut itself down"),
        (0, Story(shutdown="host-qmp-quit"), "", True, "QEMU was asked to quit"),
        (0, Story(shutdown="guest-reset"), "", False, "the guest restarted itself, which ends it here"),
        (0, Story(shutdown="guest-reset", panic="oops"), "", False, "the guest's kernel panicked: oops"),
        (0, Story(shutdown="guest-shutdown", panic="seen"), "", True, "the guest shut itself down"),
        (0, Story(shutdown="guest-panic"), "", False, "the guest's kernel panicked"),
        (-9, Story(), "", False, "QEMU was ended by SIGKILL"),
        (-9, Story(pulled=True), "", False, "its plug was pulled"),
        (-6, Story(), "qemu-system-x86_64: Assertion failed\n", False, "QEMU was ended by SIGABRT: Assertion failed"),
        (-200, Story(), "", False, "QEMU was ended by signal 200"),
        (
            1,
            Story(),
            "first\n\n/usr/bin/qemu-system-aarch64: second\n",
            False,
            "QEMU ended with status 1: first / second",
        ),
    ],
)
def test_an_end_is_described(status: int, story: Story, words: str, clean: bool, detail: str) -> None:
    found = ending(status, story, words)
    assert (found.clean, found.detail) == (clean, detail)
    assert found.panicked == ("panicked" in detail)


@pytest.mark.parametrize(
    ("words", "meaning", "hint"),
    [
        (
            'qemu-system-x86_64: -device virtio-blk-pci,drive=data: Failed to get "write" lock\n'
            "Is another process using the image [/s/disk.img]?",
            "in use by another program",
            "fuser",
        ),
        ("Could not access KVM kernel module: Permission denied\nqemu: failed to initialize kvm", "KVM", "group kvm"),
        ("qemu-system-x86_64: -accel kvm: invalid accelerator kvm", "without that accelerator", "--accel tcg"),
        (
            "qemu-system-x86_64: cannot set up guest memory 'ram': Cannot allocate memory",
            "not enough memory",
            "--memory",
        ),
        ("qemu: -netdev user: Could not set up host forwarding rule 'tcp:…'", "open a port", "127.0.0.1"),
        ("qemu: Not a migration stream\nqemu: load of migration failed: Invalid argument", "does not fit", "anew"),
        ("qemu: Property 'q35-machine.smbus' not found", "too old", "7.0"),
        ("qemu: could not write: No space left on device", "disk is full", "room"),
    ],
)
def test_a_refusal_that_we_know_says_what_to_do(words: str, meaning: str, hint: str) -> None:
    error = refusal("QEMU did not start", words)
    assert error.message.startswith("QEMU did not start. ")
    assert meaning in error.message
    assert hint in error.hint


def test_a_refusal_that_nobody_knows_is_quoted() -> None:
    assert refusal("QEMU did not start", "qemu-system-x86_64: gremlins\n").message == "QEMU did not start: gremlins"
    assert refusal("QEMU did not start", "", "its monitor hung up").message == "QEMU did not start: its monitor hung up"


@given(st.lists(st.integers(0, len(PANIC)), max_size=8))
def test_a_panic_is_found_once_wherever_the_output_is_cut(cuts: list[int]) -> None:
    watch = PanicWatch()
    edges = [0, *sorted(cuts), len(PANIC)]
    told = [watch.feed(PANIC[start:end]) for start, end in pairwise(edges)]
    assert told.count(True) == 1
    assert watch.found == "VFS: Unable to mount root fs"


@given(st.binary())
def test_other_output_is_no_panic(data: bytes) -> None:
    watch = PanicWatch()
    assert not watch.feed(data.replace(b"panic", b""))
    assert watch.found == ""
