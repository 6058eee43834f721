"""`snowshed start`"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import click

from .. import process
from ..config import BuilderConfig, Layer
from ..control.client import Control, goes_on
from ..errors import NotRunning, UserError
from ..guest import bootfiles
from ..paths import BuilderPaths
from ..state import held, prepare, refuse_to_shrink, unreachable
from ..units import format_duration
from . import tail
from .images import check_image, image_for
from .launch import Supervisor, ended_like_ctrl_c
from .options import Invocation, common, layer, settings, waiting
from .progress import LABELS, How, Progress, done, progress
from .remember import implied, remember_options
from .render import note
from .report import ASLEEP, note_version
from .talk import stopped_meanwhile

START_SILENCE = 360.0
"""Seconds without a word from the supervisor: longer than it gives any stage of a boot."""


@click.command("start", short_help="Start the builder and return when Nix can build on it.")
@common
@settings
@waiting
@click.option("--no-wait", is_flag=True, help="Return as soon as it is starting.")
@click.pass_obj
def command(invocation: Invocation, /, no_wait: bool, **given: Any) -> int:
    """Start the builder and return when Nix can build on it.

    The first start makes the image that the guest boots from. A builder that is asleep is woken.

    System, port and disk size are kept from one start to the next; other options count for this start and its
    `restart`, unless they stand in ~/.config/snowshed/NAME.toml.

    \b
    snowshed start                                  a builder like this machine
    snowshed start --cores 2 --memory 4GiB
    snowshed start -b arm --system aarch64-linux --port 31223
    """
    return start(invocation, layer(given), wait=not no_wait)


def start(invocation: Invocation, options: Layer, *, wait: bool = True) -> int:
    """Start the builder, or wake it. Raises `SnowshedError`; what this call began is then taken back."""
    paths = invocation.paths
    config = settled(invocation, options)
    state = _state_of(paths)
    if state is not None:
        return _wake(paths, state, options, invocation.how)
    if paths.is_system:
        raise UserError(
            f"The builder {paths.name} is a service of the system, which is started by the first connection to it.",
            f"`sudo systemctl start snowshed-{paths.name}` (on a Mac launchctl) starts it at once.",
        )
    how = How.VERBOSE if config.verbose and invocation.how is How.PLAIN else invocation.how
    fresh = not paths.state.exists()
    supervisor = Supervisor(paths)
    try:
        prepare(paths)
        with ended_like_ctrl_c(), _console(paths, config.verbose), progress(LABELS["image"], how) as shown:
            report = _bring_up(paths, config, supervisor, shown, wait=wait)
    except BaseException:
        supervisor.take_back()
        if fresh:
            _leave_no_empty_folders(paths)
        raise
    remember_options(paths, options)
    done(summary(paths, config.port, report), invocation.how, report=report)
    return 0


def settled(invocation: Invocation, options: Layer) -> BuilderConfig:
    """The configuration to start with, and every file that it names looked at. Raises `UserError`."""
    config = invocation.configuration(options, implied(invocation.paths, options))
    refuse_to_shrink(invocation.paths.disk, config.disk_size)
    if config.kernel:
        bootfiles.check(Path(config.kernel), Path(config.initrd), Path(config.system_path), config.arch)
    check_image(invocation.paths, config)
    return config


def _bring_up(
    paths: BuilderPaths, config: BuilderConfig, supervisor: Supervisor, shown: Progress, *, wait: bool
) -> dict[str, Any] | None:
    image = image_for(paths, config, shown)
    supervisor.start(config, image)
    supervisor.await_ready()
    return _follow(paths, shown) if wait else None


@contextmanager
def _console(paths: BuilderPaths, wanted: bool) -> Iterator[None]:
    """The guest's console on our standard error while the block runs, from now on, if it is `wanted`."""
    if not wanted:
        yield
        return
    paths.console_log.touch(mode=0o600)
    with process.beside([tail.program(), "-n", "0", "-F", paths.console_log]):
        yield


def _follow(paths: BuilderPaths, shown: Progress) -> dict[str, Any]:
    """Return the report of the builder once it is ready, showing how it gets there."""
    with stopped_meanwhile(paths), Control(paths.control) as control:
        report: dict[str, Any] = control.request("start", each=shown.event, silence=START_SILENCE)
        return report


def _state_of(paths: BuilderPaths) -> dict[str, Any] | None:
    """What the supervisor that is there says, or None if there is none. Raises `UserError` between the two."""
    try:
        with Control(paths.control) as control:
            note_version(control.version)
            return control.report()
    except NotRunning:
        if held(paths.supervisor_lock):
            raise unreachable(paths.name) from None
        return None


def _wake(paths: BuilderPaths, report: dict[str, Any], options: Layer, how: How) -> int:
    """Wake the builder whose supervisor said `report`. Raises `UserError` if it is up already."""
    if report["state"] not in ASLEEP:
        raise UserError(
            f"The builder {paths.name} is {report['state']} already: "
            f"port {report['port']}, process {report['supervisorPid']}.",
            "`snowshed status` shows it; `snowshed restart` starts it anew, with other options if you give some.",
        )
    if options:
        note("It wakes as it was started; `snowshed restart` with these options makes it another machine.")
    began = time.monotonic()
    with progress("Waking it", how) as shown, goes_on("resume"):
        awake = _follow(paths, shown)
    took = time.monotonic() - began if awake["stages"] == report["stages"] else None
    done(summary(paths, awake["port"], awake, woken_in=took), how, report=awake)
    return 0


def _leave_no_empty_folders(paths: BuilderPaths) -> None:
    for folder in (paths.ssh, paths.state):
        with suppress(OSError):
            folder.rmdir()


def summary(paths: BuilderPaths, port: int, report: dict[str, Any] | None, *, woken_in: float | None = None) -> str:
    """What is said at the end of a start; `report` is None where nobody waited for it. `woken_in` is how many seconds
    a wake took that was no boot: the stages in the report are those of the boot before it."""
    option = "" if paths.name == "default" else f" -b {paths.name}"
    if report is None:
        return f"The builder {paths.name} is starting; `snowshed status{option}` tells how far it is."
    if woken_in is not None:
        took = format_duration(woken_in)
        return f"The builder {paths.name} ({report['system']}) is awake again after {took}; SSH on 127.0.0.1:{port}."
    stages = ", ".join(f"{stage['stage']} {stage['seconds']:.1f}" for stage in report["stages"])
    took = f" in {format_duration(report['stages'][-1]['seconds'])}" if stages else ""
    return (
        f"The builder {paths.name} ({report['system']}) is ready{took}; SSH on 127.0.0.1:{port}.\n"
        + (f"  {stages}\n" if stages else "")
        + f"`snowshed machines{option}` prints the line by which Nix finds it."
    )
