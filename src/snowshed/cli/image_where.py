"""Where an image is made: on this machine, or in a builder where this machine lacks the tools for it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from .. import paths, process
from ..control.client import Control
from ..errors import NotRunning, SnowshedError, UserError
from ..images import debian, store
from ..images.inside.host import Inside
from ..images.upkeep import Maker
from ..model.machine import Network, arch_of_system
from ..paths import BuilderPaths, find_builder
from ..ssh.config import alias
from ..ssh.keys import ensure_keys, write_ssh_config
from .known import known_builders, side_by_side
from .progress import How
from .render import note
from .talk import explain

NEEDED = "apt"
"""The package by which an image can make another."""


def maker(on: str, how: How) -> Maker:
    """Who makes images: the builder `on`; where none is named this machine, or a builder if it cannot.

    Raises `UserError` for a builder that cannot either.
    """
    if on:
        builder = find_builder(on)
        return inside(builder, _asked(builder))
    missing = debian.missing_tools()
    reports = _reports() if missing else {}
    name = chosen(list(reports.values()), _unfit()) if reports else ""
    if not name:
        return debian
    if how not in (How.QUIET, How.JSON):
        note(f"There is no {', '.join(missing)} here: the builder {name} does it.")
    return inside(find_builder(name), reports[name])


def inside(builder: BuilderPaths, report: Mapping[str, Any]) -> Inside:
    """The builder that said `report` about itself. Raises `UserError` where it reaches no packages."""
    if report["network"] != Network.NAT:
        raise UserError(
            f"The builder {builder.name} reaches no network (`network = {report['network']}`), and an image is made of "
            "packages from there.",
            "Name another builder with --on, or start it with --network nat.",
        )
    program = process.find("ssh", "Install OpenSSH's client programs (Debian: openssh-client).")
    ensure_keys(builder)
    write_ssh_config(builder, report["port"])
    ssh = (program, "-F", str(builder.ssh_config), alias(builder.name))
    return Inside(builder.name, arch_of_system(report["system"]), ssh)


def chosen(reports: Sequence[Mapping[str, Any]], unfit: set[str]) -> str:
    """The builder that suits best, by what each says about itself: one that runs, then the default one; empty where
    none does. `unfit` are the images in which none can be made."""
    able = [report for report in reports if report["network"] == Network.NAT and report["image"] not in unfit]
    ranked = sorted(able, key=lambda r: (r["state"] != "running", r["name"] != paths.DEFAULT_BUILDER, r["name"]))
    return str(ranked[0]["name"]) if ranked else ""


def _asked(builder: BuilderPaths) -> dict[str, Any]:
    try:
        with Control(builder.control) as control:
            return control.report()
    except NotRunning as error:
        raise explain(builder, error) from None


def _reports() -> dict[str, dict[str, Any]]:
    """What the builders say that have a supervisor and let us in, by name: this user's, and for root the system's."""
    reports = side_by_side(_report, known_builders())
    return {report["name"]: report for report in reports if report is not None}


def _report(name: str) -> dict[str, Any] | None:
    builder = find_builder(name)
    with suppress(SnowshedError):
        if os.access(builder.user_key, os.R_OK):
            return _asked(builder)
    return None


def _unfit() -> set[str]:
    """The images here that lack what it takes. Others than those of this machine are given the chance."""
    return {image.name for image in store.images() if all(p.name != NEEDED for p in image.manifest.packages)}
