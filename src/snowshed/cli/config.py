"""`snowshed config`"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

from ..config import BuilderConfig, Host, load
from ..config_file import TOGETHER, read_file
from ..config_readers import SIZES
from ..errors import UserError
from ..paths import check_name
from ..units import GIB, KIB, MIB, TIB
from .options import Invocation, common, config_file
from .remember import implied
from .render import out
from .verbs import Group


@click.group("config", cls=Group, short_help="Show and check the configuration.")
@common
def command() -> None:
    """Show and check the configuration: ~/.config/snowshed/NAME.toml, SNOWSHED_* variables, the command line.

    \b
    snowshed config show
    snowshed config check
    """


@command.command("show")
@common
@config_file
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_obj
def show(invocation: Invocation, as_json: bool) -> int:
    """The configuration that the next start has, complete.

    \b
    snowshed config show
    snowshed config show -b arm --json
    """
    options = as_written(invocation.configuration({}, implied(invocation.paths, {})))
    if as_json:
        out(msgspec.json.format(msgspec.json.encode(options)).decode())
    else:
        out(toml(options))
    return 0


@command.command("check")
@common
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.pass_obj
def check(invocation: Invocation, file: Path | None) -> int:
    """Read a configuration file (default: the builder's own) and say what is wrong with it.

    \b
    snowshed config check
    snowshed config check ~/.config/snowshed/arm.toml
    """
    own = invocation.paths.config
    file = file or (own if own.exists() else own.with_name(TOGETHER))
    if not file.exists():
        raise UserError(f"There is no configuration file {own}.", "Without one, the defaults are in force.")
    if file.name == TOGETHER:
        for name in read_file(file):
            load(file.with_name(f"{check_name(name)}.toml"), {}, Host.this(), {})
    else:
        load(file, {}, Host.this(), {})
    out(f"{file} is fine.")
    return 0


@command.command("schema")
def schema() -> int:
    """The JSON Schema of a configuration file.

    \b
    snowshed config schema > snowshed.schema.json
    """
    from ..config_schema import schema as of_a_file

    out(msgspec.json.format(msgspec.json.encode(of_a_file())).decode())
    return 0


def as_written(config: BuilderConfig) -> dict[str, Any]:
    """`config` as a file would have it: plain numbers mean MiB of memory and minutes of idling there."""
    options: dict[str, Any] = msgspec.to_builtins(config)
    for option in SIZES:
        table, _, name = option.rpartition(".")
        place = options[table] if table else options
        place[name] = _size(place[name])
    options["idle"]["timeout"] = f"{config.idle.timeout:g}s"
    return options


def _size(size: int) -> str:
    for unit, letter in ((TIB, "T"), (GIB, "G"), (MIB, "M"), (KIB, "K")):
        if size % unit == 0:
            return f"{size // unit}{letter}"
    return str(size)


def toml(options: dict[str, Any], table: str = "") -> str:
    """`options` as TOML; what is not set is left out."""
    plain = {name: value for name, value in options.items() if value is not None and not isinstance(value, dict)}
    tables = {name: value for name, value in options.items() if isinstance(value, dict)}
    lines = [f"{name} = {msgspec.json.encode(value).decode()}" for name, value in plain.items()]
    if table and lines:
        lines.insert(0, f"\n[{table}]")
    for name, value in tables.items():
        if text := toml(value, f"{table}.{name}" if table else name):
            lines.append(text)
    return "\n".join(lines)
