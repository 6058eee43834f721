"""Options that verbs share: which builder is meant, and what is asked of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..errors import UserError
from ..paths import DEFAULT_BUILDER, BuilderPaths, find_builder
from . import candidates
from .progress import How

if TYPE_CHECKING:
    from ..config import BuilderConfig, Layer, Value

F = TypeVar("F", bound=Callable[..., Any])


class Invocation:
    """What was said on the command line about which builder is meant, before the verb or after it."""

    def __init__(self) -> None:
        self.builder = DEFAULT_BUILDER
        self.is_chosen = False
        """Whether somebody said which builder, or which state directory."""
        self.state_dir: Path | None = None
        self.config_file: Path | None = None
        self.debug = False
        self.how = How.PLAIN

    @property
    def paths(self) -> BuilderPaths:
        """The builder's files. Raises `UserError` for a name that cannot be one."""
        from_environment = os.environ.get("SNOWSHED_STATE_DIR", "")
        state = self.state_dir or (Path(from_environment) if from_environment else None)
        return find_builder(self.builder, state, self.config_file)

    def configuration(self, command_line: Layer, remembered: Layer | None = None) -> BuilderConfig:
        """The builder's configuration, validated. Raises `UserError`."""
        from ..config import Host, load  # here: most verbs need no configuration

        file = self.config_file
        if file is not None and not file.exists():
            raise UserError(f"There is no configuration file {file}.", "Check the path after --config.")
        return load(self.paths.config, command_line, Host.this(), remembered=remembered)


def _set_builder(context: click.Context, _: click.Parameter, value: str | None) -> None:
    if value is not None:
        invocation = context.ensure_object(Invocation)
        invocation.builder, invocation.is_chosen = value, True


def _set_state_dir(context: click.Context, _: click.Parameter, value: str | None) -> None:
    if value is not None:
        invocation = context.ensure_object(Invocation)
        invocation.state_dir, invocation.is_chosen = Path(value).expanduser(), True


def _set_config_file(context: click.Context, _: click.Parameter, value: str | None) -> None:
    if value is not None:
        context.ensure_object(Invocation).config_file = Path(value).expanduser().absolute()


def _set_debug(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        context.ensure_object(Invocation).debug = True


def common(function: F) -> F:
    """The options that every verb takes, and `snowshed` itself before the verb."""
    for option in (
        click.option("--debug", is_flag=True, callback=_set_debug, expose_value=False, help="Show tracebacks."),
        click.option(
            "--state-dir",
            metavar="DIR",
            callback=_set_state_dir,
            shell_complete=candidates.folders,
            expose_value=False,
            help="The builder's state directory, instead of its own under ~/.local/share/snowshed.",
        ),
        click.option(
            "-b",
            "--builder",
            metavar="NAME",
            callback=_set_builder,
            shell_complete=candidates.builders,
            expose_value=False,
            help="Which builder (default: default).",
        ),
    ):
        function = option(function)
    return function


def _set_how(how: How) -> Callable[[click.Context, click.Parameter, bool], None]:
    def callback(context: click.Context, _: click.Parameter, value: bool) -> None:
        if value:
            context.ensure_object(Invocation).how = how

    return callback


def waiting(function: F) -> F:
    """The options of verbs that a person, or a program, may have to wait for."""
    for names, how, text in (
        (("--json",), How.JSON, "Events and result as JSON, an object a line."),
        (("-q", "--quiet"), How.QUIET, "Say nothing but what goes wrong."),
    ):
        function = click.option(*names, is_flag=True, callback=_set_how(how), expose_value=False, help=text)(function)
    return function


def config_file(function: F) -> F:
    """``--config FILE``"""
    return click.option(
        "--config",
        metavar="FILE",
        callback=_set_config_file,
        shell_complete=candidates.files,
        expose_value=False,
        help="Configuration, instead of ~/.config/snowshed/NAME.toml.",
    )(function)


class NewFile(click.Path):
    """A file that is to be written. It can be, as far as that is seen before the work."""

    def __init__(self) -> None:
        super().__init__(readable=False, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        file = Path(super().convert(value, param, ctx))  # type: ignore[arg-type]
        if not file.parent.is_dir():
            raise UserError(f"There is no folder {file.parent}.", "Make it, or choose another place.")
        if file.is_dir():
            raise UserError(f"{file} is a folder, not a file.", f"Give the file a name: {file / 'NAME'}.")
        if not os.access(file if file.exists() else file.parent, os.W_OK):
            raise UserError(f"You may not write {file}.", "Choose another place.")
        return file


_SETTINGS: tuple[tuple[tuple[str, ...], dict[str, Any]], ...] = (
    (("--cores",), {"metavar": "N", "help": "Processor cores of the guest (default: 4, or what the host has)."}),
    (("--memory",), {"metavar": "SIZE", "help": "Memory: 6GiB, or a number of MiB (default: 8192, or half the host)."}),
    (("--disk-size",), {"metavar": "SIZE", "help": "The data disk: sparse, grows, never shrinks (default: 100G)."}),
    (
        ("--system",),
        {
            "metavar": "SYSTEM",
            "shell_complete": candidates.systems,
            "help": "aarch64-linux, x86_64-linux; or the path of a NixOS system.",
        },
    ),
    (
        ("--kernel",),
        {
            "metavar": "PATH",
            "shell_complete": candidates.files,
            "help": "Boot this kernel, with --initrd and --system PATH.",
        },
    ),
    (("--initrd",), {"metavar": "PATH", "shell_complete": candidates.files, "help": "The initrd for --kernel."}),
    (
        ("--image",),
        {"metavar": "IMAGE", "shell_complete": candidates.images, "help": "Boot this image (`snowshed image list`)."},
    ),
    (
        ("--port",),
        {"metavar": "PORT", "help": "SSH on this port of 127.0.0.1 (default: the first free one from 31222 on)."},
    ),
    (
        ("--driver",),
        {
            "metavar": "NAME",
            "shell_complete": candidates.words(*candidates.DRIVERS),
            "help": "What runs the machine (default: auto).",
        },
    ),
    (
        ("--accel",),
        {
            "metavar": "NAME",
            "shell_complete": candidates.words(*candidates.ACCELERATORS),
            "help": "auto, kvm, hvf or tcg (default: auto, by proof).",
        },
    ),
    (
        ("--network",),
        {
            "metavar": "KIND",
            "shell_complete": candidates.words(*candidates.NETWORKS),
            "help": "What the guest reaches: nat, restricted or none (default: nat).",
        },
    ),
    (
        ("--idle-timeout",),
        {"metavar": "TIME", "help": "Put it to sleep when unused for so long: minutes, or 90s, 2h (default: 0, off)."},
    ),
    (
        ("--idle-action",),
        {
            "metavar": "ACTION",
            "shell_complete": candidates.words(*candidates.IDLE_ACTIONS),
            "help": "auto, suspend, pause or stop.",
        },
    ),
    (("--rosetta/--no-rosetta",), {"default": None, "help": "x86_64 programs through Rosetta (macOS)."}),
    (("--share-nix-store/--no-share-nix-store",), {"default": None, "help": "The host's store, read-only."}),
    (("--verbose",), {"is_flag": True, "default": None, "help": "The guest's console on standard error."}),
)


def settings(function: F) -> F:
    """The options that say what a builder is to be; they arrive as keyword arguments, None where not given."""
    for names, attributes in reversed(_SETTINGS):
        function = click.option(*names, **attributes)(function)
    return config_file(function)


def layer(given: dict[str, Any]) -> dict[str, Value]:
    """The configuration layer for what `settings` collected, by the names that the configuration has."""
    options: dict[str, Value] = {name: value for name, value in given.items() if value is not None}
    for flat, dotted in (("idle_timeout", "idle.timeout"), ("idle_action", "idle.action")):
        if flat in options:
            options[dotted] = options.pop(flat)
    system = options.get("system")
    if isinstance(system, str) and system.startswith("/"):
        options["system_path"] = options.pop("system")
    for name in ("kernel", "initrd", "system_path"):
        if name in options:
            options[name] = str(Path(str(options[name])).expanduser().absolute())
    return options
