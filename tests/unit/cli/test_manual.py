"""The manual page: whole, and understood by those who print manual pages; and help that teaches."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator

import click
import pytest

from snowshed.cli import main as cli
from snowshed.cli.manual import escaped, page
from snowshed.cli.verbs import VERBS, snowshed

CONTEXT = click.Context(snowshed)


def verbs() -> Iterator[tuple[str, click.Command]]:
    """Every verb, and those below verbs, by its words."""
    for name in VERBS:
        verb = snowshed.get_command(CONTEXT, name)
        assert verb is not None
        yield name, verb
        if isinstance(verb, click.Group):
            for inner in verb.list_commands(CONTEXT):
                command = verb.get_command(CONTEXT, inner)
                assert command is not None
                yield f"{name} {inner}", command


@pytest.mark.parametrize(("words", "verb"), list(verbs()), ids=lambda it: it if isinstance(it, str) else "")
def test_the_help_of_every_verb_has_an_example(words: str, verb: click.Command) -> None:
    _, _, examples = (verb.help or "").partition("\b\n")
    assert f"snowshed {words}" in examples


def printed() -> str:
    """What man(1) makes of the page."""
    done = subprocess.run(
        ["man", "--warnings", "-l", "-"],
        input=page(),
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "MANWIDTH": "78", "LC_ALL": "C.UTF-8", "MAN_KEEP_FORMATTING": ""},
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.skipif(not shutil.which("man") or not shutil.which("groff"), reason="man or groff is not installed")
def test_man_prints_it_without_a_warning() -> None:
    text = printed()
    for words, verb in verbs():
        assert f"snowshed {words}" in text
        for option in verb.params:
            if isinstance(option, click.Option) and not option.hidden:
                assert option.opts[-1] in text
    assert "snowshed list --json | jq -r '.[].name'" in text
    assert "~/.config/snowshed/NAME.toml" in text


@pytest.mark.skipif(not shutil.which("mandoc"), reason="mandoc is not installed")
def test_mandoc_finds_nothing_wrong() -> None:
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning"], input=page(), capture_output=True, text=True)
    said = [line for line in done.stdout.splitlines() if "missing date" not in line]  # the version dates it
    assert said == []


def test_what_roff_would_take_for_something_else() -> None:
    assert escaped(".PP\n'x") == "\\&.PP\n\\&'x"
    assert escaped("--a\\b `c` ~") == "\\-\\-a\\eb \\(gac\\(ga \\(ti"


def test_its_source_where_nobody_would_see_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["man"]) == 0
    assert capsys.readouterr().out == page()
