"""The table of verbs says of each what the verb says of itself, and `--help` imports none."""

from __future__ import annotations

import json
import subprocess
import sys

import click
import pytest

from snowshed.cli.main import main
from snowshed.cli.verbs import VERBS, snowshed

CONTEXT = click.Context(snowshed)


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_exists_and_is_described_once(name: str) -> None:
    command = snowshed.get_command(CONTEXT, name)
    assert command is not None
    assert command.name == name
    assert (command.short_help or (command.help or "").splitlines()[0]) == VERBS[name]


def modules_after(*words: str) -> set[str]:
    """What is imported once a command line has run."""
    code = (
        "import json, sys\n"
        "from snowshed.cli.main import main\n"
        f"main({list(words)!r})\n"
        "print(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stderr.splitlines()[-1]))


def test_help_imports_no_verb() -> None:
    loaded = modules_after("--help")
    assert {f"snowshed.cli.{name}" for name in VERBS} & loaded == set()
    assert not {"rich", "asyncio", "tomllib"} & loaded


@pytest.mark.parametrize("verb", ["start", "ssh", "machines", "logs", "doctor"])
def test_a_verb_needs_no_event_loop(verb: str) -> None:
    loaded = modules_after(verb, "--help")
    assert f"snowshed.cli.{verb}" in loaded
    assert "asyncio" not in loaded


def test_status_as_json_does_without_everything_that_is_slow() -> None:
    loaded = modules_after("status", "--json", "-b", "nobody")
    assert "snowshed.cli.report" in loaded
    assert not {"click", "msgspec", "asyncio", "rich", "inspect", "dataclasses", "subprocess", "tomllib"} & loaded


@pytest.mark.parametrize("group", ["image", "config", "service"])
def test_a_verb_that_a_group_has_not_is_said_as_everywhere(group: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([group, "nonsense"]) == 2
    assert capsys.readouterr().err.startswith("snowshed: There is no verb 'nonsense'.")
