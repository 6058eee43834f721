"""The reference of the configuration file, from the types of `snowshed.settings`."""

from __future__ import annotations

from itertools import groupby

from snowshed.config import ENVIRONMENT
from snowshed.config_readers import DURATIONS, SIZES
from snowshed.config_schema import Option, options

HEAD = """# Every setting

Made from the types of the program when this page is built; `snowshed config schema` prints the same as a JSON Schema.

Settings stand in `~/.config/snowshed/NAME.toml`, one file for each builder (`default.toml` for the builder `default`),
or in a table `[NAME]` of `all_builders.toml` there. What is on the command line wins over `SNOWSHED_*` variables,
these over the file. `snowshed config show` prints what is in force, `snowshed config check` reads a file and names the
line that is wrong. A changed setting is in force from the next start on; nothing is built anew, and the disk stays.

Sizes are `6GiB`, `100G` (powers of 1024, with or without `iB`), or a number: of MiB for `memory`, of bytes otherwise.
Durations are `30min`, `90s`, `2h`, or a number: of minutes for `idle.timeout`, of seconds otherwise.

A file for a builder with four cores that sleeps after half an hour:

```toml
cores = 4
memory = "6GiB"

[idle]
timeout = "30min"

[nix]
max_jobs = 4

[shares.sources]
path = "/home/ada/sources"
```
"""

TITLES = {
    "": "The builder",
    "idle": "Sleep: `[idle]`",
    "watchdog": "A guest that answers nobody: `[watchdog]`",
    "nix": "Nix: `[nix]`",
    "shares.*": "Shared directories: `[shares.NAME]`",
}


def page() -> str:
    variables = {option: name for name, option in ENVIRONMENT.items()}
    parts = [HEAD]
    for table, found in groupby(options(), key=lambda option: option.table):
        parts.append(f"## {TITLES.get(table, f'`[{table}]`')}\n")
        parts += [_section(option, variables.get(option.full, "")) for option in found]
    return "\n".join(parts)


def _section(option: Option, variable: str) -> str:
    lines = [f"### {option.full}\n", option.description + "\n", f"Type: {option.kind}\n"]
    if (default := _default(option)) is not None:
        lines.append(f"Default: `{default}`\n")
    if variable:
        lines.append(f"Variable: `{variable}`\n")
    return "\n".join(lines)


def _default(option: Option) -> str | None:
    """As a file would have it; None where the description says what it is."""
    value = option.default
    if value in (None, "", ()) or option.full in ("cores", "memory"):
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if option.full in SIZES:
        return f"{value // 1024**3}GiB" if value % 1024**3 == 0 else f"{value // 1024**2}MiB"
    if option.full in DURATIONS:
        return f"{value:g}s" if value else "0"
    return str(value)
