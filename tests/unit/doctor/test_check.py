"""The table of checks: what a row makes of a verdict, what is skipped, and what a broken check costs."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes.macs import mac, record

from snowshed.doctor import look
from snowshed.doctor.check import EXIT_STATUS, Check, Finding, Level, Verdict, examine, fine, note, worst, wrong
from snowshed.doctor.look import Case, Live, Look, Recorded, Recording
from snowshed.doctor.table import TABLE
from snowshed.errors import UserError


def outcome(*checks: Check) -> list[tuple[str, Level]]:
    return [(found.id, found.level) for found in examine((("s", checks),), mac())]


def says(verdict: Verdict) -> look.Any:
    return lambda _look: verdict


def test_a_row_says_how_bad_it_is_and_what_to_do() -> None:
    (found,) = examine((("s", (Check("a", "A", says(wrong("it is off")), "Turn it on.", fatal=True),)),), mac())
    assert found == Finding("s", "a", "A", Level.FATAL, "it is off", "Turn it on.")


def test_a_verdict_may_know_better_than_its_row() -> None:
    check = Check("a", "A", says(wrong("it is low", "Fill it.", level=Level.WARNING)), "Turn it on.", fatal=True)
    (found,) = examine((("s", (check,)),), mac())
    assert (found.level, found.hint) == (Level.WARNING, "Fill it.")


def test_what_comes_after_something_wrong_is_not_made_and_neither_is_what_comes_after_that() -> None:
    def untouchable(_: Look) -> Verdict:
        raise AssertionError("it must not be made")

    assert outcome(
        Check("a", "A", says(wrong("no"))),
        Check("b", "B", untouchable, after="a"),
        Check("c", "C", untouchable, after="b"),
        Check("d", "D", says(fine("yes"))),
        Check("e", "E", says(fine("yes")), after="d"),
    ) == [
        ("a", Level.WARNING),
        ("b", Level.SKIPPED),
        ("c", Level.SKIPPED),
        ("d", Level.FINE),
        ("e", Level.FINE),
    ]


def test_a_note_can_stand_in_the_way_without_being_wrong() -> None:
    assert outcome(Check("a", "A", says(note("asleep", blocks=True))), Check("b", "B", says(fine("")), after="a")) == [
        ("a", Level.NOTE),
        ("b", Level.SKIPPED),
    ]


def test_a_user_error_in_a_probe_is_a_finding() -> None:
    def refuses(_: Look) -> Verdict:
        raise UserError("There is no QEMU.", "Install it.")

    (found,) = examine((("s", (Check("a", "A", refuses, fatal=True),)),), mac())
    assert (found.level, found.detail, found.hint) == (Level.FATAL, "There is no QEMU", "Install it.")


def test_a_broken_check_does_not_end_the_others() -> None:
    def broken(_: Look) -> Verdict:
        raise ZeroDivisionError

    assert outcome(Check("a", "A", broken, fatal=True), Check("b", "B", says(fine("")))) == [
        ("a", Level.WARNING),
        ("b", Level.FINE),
    ]


@pytest.mark.parametrize(
    ("levels", "status"),
    [([], 0), (["fine", "note", "skipped"], 0), (["fine", "warning"], 1), (["fatal", "warning"], 2)],
)
def test_the_worst_finding_is_the_exit_status(levels: list[str], status: int) -> None:
    assert EXIT_STATUS[worst(Finding("s", "a", "A", Level(level), "") for level in levels)] == status


def test_every_row_can_be_reached_and_says_what_to_do() -> None:
    rows = [check for _, checks in TABLE for check in checks]
    ids = [check.id for check in rows]
    assert len(set(ids)) == len(ids)
    for number, check in enumerate(rows):
        assert check.after in ("", *ids[:number]), check.id
        assert check.platform in ("", "linux", "darwin")


def test_a_recording_judged_again_says_the_same(tmp_path: Path) -> None:
    recording = Recording(mac())
    before = list(examine(TABLE, recording))
    file = tmp_path / "mac.json"
    look.write(recording.record, file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(examine(TABLE, Recorded(look.load(file)))) == before


def test_what_was_not_recorded_is_no_error() -> None:
    bare = record()
    bare.ran.clear()
    bare.facts.clear()
    bare.read.clear()
    bare.files.clear()
    levels = {found.level for found in examine(TABLE, Recorded(bare))}
    assert levels <= {Level.FINE, Level.NOTE, Level.SKIPPED}


def test_everything_is_looked_at_once(tmp_path: Path) -> None:
    seen = Recording(Live(Case(state=str(tmp_path))))
    file = tmp_path / "n"
    file.write_text("1")
    assert seen.read(file) == "1"
    file.write_text("2")
    assert seen.read(file) == "1"


def test_a_live_look_takes_things_as_they_are(tmp_path: Path) -> None:
    live = Live(Case(state=str(tmp_path)))
    assert live.read(tmp_path / "none") is None
    assert live.facts(tmp_path / "none") is None
    assert live.run("/no/such/program").status == 127
    (tmp_path / "file").write_text("xy")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    facts = live.facts(tmp_path / "link")
    assert facts is not None
    assert (facts.kind, facts.size, facts.target) == ("file", 2, str(tmp_path / "file"))
