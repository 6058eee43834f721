"""What the documentation says is so: commands parse, settings load, options exist, messages are the program's own."""

from __future__ import annotations

import ast
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from docsite import commands, imports, pictures, settings

from snowshed.cli.options import Invocation
from snowshed.cli.verbs import VERBS, snowshed
from snowshed.config import Host, load
from snowshed.config_schema import options
from snowshed.model.lifecycle import State
from snowshed.model.machine import Arch
from snowshed.units import GIB

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
BIG = Host(cores=64, memory=256 * GIB, arch=Arch.AARCH64, platform="darwin")


def fenced(text: str, language: str = "") -> Iterator[str]:
    """The code blocks of a page that are of a language."""
    for found in re.finditer(r"^[ ]*```([a-z]*)\n(.*?)^[ ]*```$", text, re.MULTILINE | re.DOTALL):
        if found[1] == language:
            yield found[2]


def said_commands(text: str) -> Iterator[list[str]]:
    """Every call of snowshed on a page, in a block or within a sentence, as its words."""
    lines = [line for language in ("", "console") for block in fenced(text, language) for line in block.splitlines()]
    lines += re.findall(r"`((?:sudo )?snowshed [^`]+)`", text.replace("\n", " "))
    for line in lines:
        for part in re.split(r"&&|\||;", line):
            words = re.split(r" #| {3}|>", part)[0].removeprefix("$ ").strip()
            if re.match(r"(sudo (-H -u snowshed )?)?snowshed [a-z-]", words) and not {"…", "["} & set(words):
                yield shlex.split(words.removeprefix("sudo ").removeprefix("-H -u snowshed "))[1:]


def parse(words: list[str]) -> None:
    """Have click read a command line without doing anything. Raises `click.UsageError` for one that does not exist."""
    with click.Context(snowshed, info_name="snowshed", obj=Invocation()) as context:
        command: click.Command = snowshed
        while isinstance(command, click.Group):
            inner = command.get_command(context, words[0]) if words else None
            if inner is None:
                if words and not words[0].startswith("-"):
                    raise click.UsageError(f"there is no {words[0]}")
                return
            command, words = inner, words[1:]
        command.make_context(str(command.name), list(words), parent=context)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_on_a_page_is_one(page: Path) -> None:
    check_commands(page.read_text())


def test_every_example_in_the_help_is_a_command() -> None:
    check_commands(commands.page())


def check_commands(text: str) -> None:
    for words in said_commands(text):
        try:
            parse(words)
        except click.exceptions.Exit:
            continue  # --help, --version
        except click.UsageError as error:
            pytest.fail(f"`snowshed {shlex.join(words)}`: {error.format_message()}")


def test_a_command_that_is_none_is_noticed() -> None:
    for words in (["strat"], ["start", "--core", "2"], ["service", "instal"], ["machines", "surplus"]):
        with pytest.raises(click.UsageError):
            parse(words)


def test_there_are_commands_to_check() -> None:
    verbs = {words[0] for page in PAGES for words in said_commands(page.read_text())}
    assert verbs >= set(VERBS) - {"gc", "resume", "pause"} - {"completion", "man"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_configuration_on_a_page_is_read(page: Path, tmp_path: Path) -> None:
    for block in [*fenced(page.read_text(), "toml")]:
        together = {name for name, value in tomllib.loads(block).items() if isinstance(value, dict)} & {
            "default",
            "arm",
        }
        file = tmp_path / ("all_builders.toml" if together else "default.toml")
        file.write_text(block)
        for name in together or {"default"}:
            load(tmp_path / f"{name}.toml", {}, BIG, {})
        file.unlink()


def test_the_example_of_the_settings_page_is_read(tmp_path: Path) -> None:
    (block,) = fenced(settings.page(), "toml")
    (tmp_path / "x.toml").write_text(block)
    assert load(tmp_path / "x.toml", {}, BIG, {}).idle.timeout == 1800


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_option_of_the_modules_on_a_page_exists(page: Path) -> None:
    known = set(re.findall(r"^### services\.snowshed\.([\w.]+)", (ROOT / "docs/options.md").read_text(), re.MULTILINE))
    for name in re.findall(r"services\.snowshed\.([A-Za-z][\w.]*)", page.read_text()):
        name = name.rstrip(".")
        assert name in known or name.split(".")[0] in {"builders", "settings", "onDemand"}, name


def constants() -> str:
    """All texts in the program, f-strings with … for what is filled in."""
    found = []
    for file in sorted((ROOT / "src/snowshed").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
            elif isinstance(node, ast.JoinedStr):
                parts = (str(p.value) if isinstance(p, ast.Constant) else "…" for p in node.values)
                found.append("".join(parts))
    return "\n".join(found)


def test_the_messages_that_troubleshooting_explains_are_ours() -> None:
    page = (ROOT / "docs/troubleshooting.md").read_text()
    section = page.split("## What snowshed says\n")[1].split("\n## ")[0]
    titles = re.findall(r"^### (.*)$", section, re.MULTILINE)
    assert len(titles) > 10
    program = constants()
    for title in titles:
        for piece in (piece.strip() for piece in title.split("…")):
            assert piece in program, title


def test_every_check_that_troubleshooting_names_is_one_of_doctors() -> None:
    from snowshed.doctor.table import TABLE

    titles = {check.title for _, checks in TABLE for check in checks}
    named = re.findall(
        r"doctor`[^.“]{0,20}“([^”]+)”", (ROOT / "docs/troubleshooting.md").read_text().replace("\n", " ")
    )
    assert len(named) > 3
    assert set(named) <= titles


def test_the_command_reference_has_every_option() -> None:
    page = commands.page()
    for words, command in commands.commands():
        assert words == "snowshed" or re.search(rf"^#+ {words}$", page, re.MULTILINE), words
        for option in command.params:
            if isinstance(option, click.Option) and not option.hidden:
                assert option.opts[0] in page, f"{words} {option.opts[0]}"


def test_the_settings_reference_has_every_setting_with_a_description() -> None:
    page = settings.page()
    for option in options():
        assert f"### {option.full}\n" in page
        assert option.description


def test_the_picture_of_the_lifecycle_has_every_change_that_is_no_failure() -> None:
    drawn = pictures.lifecycle()
    wanted = [(start, end) for start, end in pictures.changes() if end is not State.FAILED]
    assert drawn.count("marker-end") == len(wanted)
    for start, end in pictures.changes():
        assert f"| {start} | {end} |" in pictures.table()


def test_the_table_of_imports_shows_the_rules() -> None:
    uses = imports.imports()
    assert not uses["cli"] & {"supervisor", "drivers"}
    assert not uses["model"]
    assert "drivers" in uses["supervisor"]


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["test"], *extras["docs"]]
    page = (ROOT / "CONTRIBUTING.md").read_text().split("## Dependencies")[1].split("\n## ")[0]
    for requirement in wanted:
        name = re.split(r"[><=;\[ ]", requirement)[0]
        assert re.search(rf"\b{re.escape(name)}\b", page), f"{name} has no reason in CONTRIBUTING"
