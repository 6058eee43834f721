"""`snowshed metrics`"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click

from ..control.client import Control
from ..errors import NotRunning, SnowshedError
from ..paths import find_builder
from .known import known_builders, side_by_side
from .options import Invocation, common
from .render import note, out
from .talk import ask

SILENCE = 10.0
"""Seconds for a supervisor to answer: Prometheus waits as long by default."""


@click.command("metrics", short_help="Figures for Prometheus.")
@common
@click.pass_obj
def command(invocation: Invocation) -> int:
    """Figures for Prometheus, in its text format: of all builders that somebody serves, or of the one that is named.
    One that does not answer is named on standard error, and in the exit status.

    The supervisor of a builder serves them itself, on http://127.0.0.1:PORT/metrics, where its `metrics_port` is set.

    \b
    snowshed metrics
    snowshed metrics -b arm
    snowshed metrics > /var/lib/prometheus/node-exporter/snowshed.prom
    """
    if invocation.is_chosen:
        out(_text(ask(invocation.paths, "metrics", silence=SILENCE)).rstrip("\n"))
        return 0
    texts: list[str] = []
    status = 0
    names = known_builders()
    for name, answer in zip(names, side_by_side(_texts, names), strict=True):
        if isinstance(answer, SnowshedError):  # the figures of all the others are as good as ever
            note(f"snowshed: {name}: {answer.message}")
            status = answer.exit_status
        else:
            texts += answer
    if texts:
        out(merged(texts).rstrip("\n"))
    elif not status:
        note("No builder has a supervisor that could be asked; `snowshed list` shows all builders.")
    return status


def _texts(name: str) -> list[str] | SnowshedError:
    """The figures of a builder; none where nobody serves it, the error where somebody does and does not answer."""
    try:
        with Control(find_builder(name).control) as control:
            return [_text(control.request("metrics", silence=SILENCE))]
    except NotRunning:
        return []
    except SnowshedError as error:
        return error


def _text(answer: dict[str, Any] | None) -> str:
    return str((answer or {}).get("text", ""))


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
