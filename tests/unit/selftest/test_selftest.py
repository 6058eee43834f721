"""What becomes of a step, and the report of them all."""

from __future__ import annotations

from pathlib import Path

import pytest

from snowshed.cli import main as cli
from snowshed.cli.selftest import LIST
from snowshed.errors import GuestError
from snowshed.selftest.bench import Bench, Failed, Result, Skipped, Step, expect, perform
from snowshed.selftest.report import render

BENCH = Bench(Path("/nowhere"))


def raises(error: Exception):  # type: ignore[no-untyped-def]
    def run(bench: Bench) -> str:
        raise error

    return run


@pytest.mark.parametrize(
    ("run", "outcome", "detail"),
    [
        (lambda bench: "seen", "passed", "seen"),
        (raises(Failed("not seen")), "failed", "not seen"),
        (raises(Skipped("no such thing")), "skipped", "no such thing"),
        (raises(GuestError("it broke.", "Mend it.")), "failed", "it broke."),
        (raises(KeyError("x")), "failed", "KeyError: 'x'"),
    ],
)
def test_whatever_happens_in_a_step_is_a_result(run, outcome: str, detail: str) -> None:  # type: ignore[no-untyped-def]
    result = perform(Step("id", "Title", run), BENCH)
    assert (result.id, result.title, result.outcome, result.detail) == ("id", "Title", outcome, detail)


def test_a_step_for_a_mac_is_skipped_elsewhere_and_run_there() -> None:
    step = Step("id", "Title", lambda bench: "seen", "darwin")
    assert perform(step, BENCH, "linux").detail == "needs a Mac"
    assert perform(step, BENCH, "darwin").outcome == "passed"


def test_an_expectation_fails_with_its_sentence() -> None:
    expect(True, "never said")
    with pytest.raises(Failed, match="it is stopped"):
        expect(False, "it is stopped")


def test_steps_have_names_of_their_own_and_titles() -> None:
    assert len({step.id for step in LIST}) == len(LIST)
    assert all(step.title[0].isupper() and not step.title.endswith(".") for step in LIST)


def test_the_report_whole() -> None:
    results = [
        Result("boot", "A guest boots", "passed", "vz | hvf: 2.0 s", 2.04),
        Result("ssh", "Its SSH", "failed", "no answer\nfrom /Users/ada/.local", 60.0),
        Result("lease", "A lease", "skipped", "needs a Mac"),
    ]
    assert render(results, {"snowshed": "0.1", "chip": "Apple M3"}, home=Path("/Users/ada")) == (
        "### snowshed selftest\n"
        "\n"
        "- snowshed: 0.1\n"
        "- chip: Apple M3\n"
        "\n"
        "| | step | seconds | what was seen |\n"
        "|---|---|---|---|\n"
        "| ✓ | A guest boots | 2.0 | vz \\| hvf: 2.0 s |\n"
        "| ✗ | Its SSH | 60.0 | no answer from ~/.local |\n"
        "| - | A lease | 0.0 | needs a Mac |\n"
        "\n"
        "1 passed, 1 failed, 1 skipped."
    )


def test_the_documentation_lists_every_step() -> None:
    """Each step shows something of the list of what has never run on a Mac."""
    text = (Path(__file__).parents[3] / "docs/macos.md").read_text()
    assert [step.id for step in LIST if f"`{step.id}`" not in text] == []


def test_a_report_that_cannot_be_written_is_refused_before_anything_is_tried(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["selftest", "--report", str(tmp_path / "nowhere" / "report")]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"snowshed: There is no folder {tmp_path}/nowhere.\n")
