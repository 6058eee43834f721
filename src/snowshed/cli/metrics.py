"""`snowshed metrics`"""

from __future__ import annotations

from collections.abc import Iterable

import click

from ..control.client import Control
from ..errors import NotRunning
from ..paths import find_builder
from .known import known_builders
from .options import Invocation, common
from .render import note, out
from .talk import ask


@click.command("metrics", short_help="Figures for Prometheus.")
@common
@click.pass_obj
def command(invocation: Invocation) -> int:
    """Figures for Prometheus, in its text format: of all builders that somebody serves, or of the one that is named.

    The supervisor of a builder serves them itself, on http://127.0.0.1:PORT/metrics, where its `metrics_port` is set.

    \b
    snowshed metrics
    snowshed metrics -b arm
    snowshed metrics > /var/lib/prometheus/node-exporter/snowshed.prom
    """
    if invocation.is_chosen:
        out(ask(invocation.paths, "metrics", silence=30.0)["text"].rstrip("\n"))
        return 0
    texts = [text for name in known_builders() if (text := _text(name)) is not None]
    if texts:
        out(merged(texts).rstrip("\n"))
    else:
        note("No builder has a supervisor that could be asked; `snowshed list` shows all builders.")
    return 0


def _text(name: str) -> str | None:
    try:
        with Control(find_builder(name).control) as control:
            return str(control.request("metrics")["text"])
    except NotRunning:
        return None


def merged(texts: Iterable[str]) -> str:
    """The figures of several builders as one text: all of a family together, its description once."""
    families: dict[str, list[str]] = {}
    for text in texts:
        head: list[str] = []
        for line in text.splitlines():
            if line.startswith("# HELP "):
                head = [line]
            elif line.startswith("# TYPE "):
                family = families.setdefault(line, [*head, line])
            elif line and not line.startswith("#"):
                family.append(line)
    return "".join(f"{line}\n" for family in families.values() for line in family)
