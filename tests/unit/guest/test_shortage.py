"""What a guest's kernel says when memory runs out, and whose build that was."""

from __future__ import annotations

import subprocess

import pytest

from snowshed.guest import shortage
from snowshed.guest.shortage import Kill
from snowshed.units import KIB

LINE = (
    "[   83.467443] Memory cgroup out of memory: Killed process 271 (sh) total-vm:1575176kB, anon-rss:883620kB, "
    "file-rss:12kB, shmem-rss:8kB, UID:30001 pgtables:1776kB oom_score_adj:500"
)
"""From a guest, but for the shared memory."""

LOG = "log /data/nix/var/log/nix/drvs/j6/5yihcw06022qyj5v2b9mjvjf286nl3-hungry-1.0.drv.bz2"


def said(line: str) -> str:
    return line.partition(shortage.MARK)[2]


def test_the_kernel_says_which_process_it_ended_and_what_that_held() -> None:
    kill = shortage.parse_kill(said(LINE))
    assert kill == Kill("sh", (883620 + 12 + 8) * KIB, 30001)
    assert kill.is_build


def test_a_name_may_hold_anything() -> None:
    kill = shortage.parse_kill(said(LINE.replace("(sh)", "(a) total (b)")))
    assert kill is not None
    assert kill.process == "a) total (b"


def test_all_memory_of_a_guest_may_run_out_too() -> None:
    line = LINE.replace("Memory cgroup out of memory", "Out of memory").replace("UID:30001", "UID:1000")
    kill = shortage.parse_kill(said(line))
    assert kill is not None
    assert not kill.is_build


@pytest.mark.parametrize("text", ["", "4711", "271 (sh) total-vm:1kB, anon-rss:xkB", "nothing of the kind"])
def test_whatever_else_stands_there_is_no_kill(text: str) -> None:
    assert shortage.parse_kill(text) is None


@pytest.mark.parametrize(
    ("answer", "name"),
    [
        (["dir 30001 /data/build/nix-build-big-2.drv-0/build", LOG], "big-2"),
        (["dir 30002 /data/build/nix-build-other.drv-0/build", LOG], "hungry-1.0"),
        (["dir 30001 /data/build/nix-4711-3/build", "name 30001 new-nix", LOG], "new-nix"),
        (["name 30001 \x1b[31mred", LOG], "??31mred"),
        ([LOG.removesuffix(".bz2")], "hungry-1.0"),
        (["log /data/nix/var/log/nix/drvs/j6/what"], ""),
        ([], ""),
    ],
)
def test_its_build_is_the_one_of_that_user_else_the_one_that_ended_last(answer: list[str], name: str) -> None:
    assert shortage.culprit(30001, "\n".join([*answer, "limit 912257024"])) == (name, 912257024)


@pytest.mark.parametrize("limit", ["limit max", "limit", ""])
def test_builds_may_have_no_limit(limit: str) -> None:
    assert shortage.culprit(30001, limit) == ("", 0)


def test_the_question_is_shell() -> None:
    done = subprocess.run(["sh", "-n"], input=shortage.script(30001), capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
