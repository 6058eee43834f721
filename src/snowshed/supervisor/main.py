"""The supervisor process: takes its lock and sockets, puts the parts together, and lives until it is told to stop."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from .. import durable
from ..config import BuilderConfig
from ..control.server import listen
from ..drivers import registry
from ..errors import SnowshedError, UserError
from ..holder import sign
from ..images import own_disk, store
from ..paths import BuilderPaths
from ..shares import NIX_STORE, check_places, check_store
from ..ssh.keys import ensure_keys, write_ssh_config
from ..state import prepare, prepare_runtime
from . import activation
from .launch import explain
from .plan import Source, closure_source, image_source, machine_spec
from .service import Service
from .storage import Lock, identity

SOCKET_NAME = "ssh"
"""The name of our socket in systemd units (``FileDescriptorName=``) and launchd's ``Sockets``."""


class Order(msgspec.Struct, frozen=True):
    """What the command line hands over on ``--config-fd``: the resolved configuration and the image's directory."""

    config: BuilderConfig
    image: str = ""


def main(arguments: Sequence[str]) -> int:
    """Run a supervisor. The exit status is as `errors` says; 0 after a stop that was asked for."""
    options = _options(arguments)
    paths = BuilderPaths(options.name, options.state_dir)
    ready = Ready(options.ready_fd)
    try:
        order = _order(options.config_fd)
        prepare(paths)
        lock = Lock.take(paths.supervisor_lock)
        if lock is None:
            raise UserError(f"A supervisor of {paths.name} is running already.", "Look at `snowshed status`.")
        sign(lock.descriptor)
        service = _assemble(paths, order, on_demand=options.on_demand)
    except (SnowshedError, OSError) as failed:
        error = explain(failed, paths.state)
        ready.failed(error)
        print(f"snowshed: {error}", file=sys.stderr)
        return error.exit_status
    os.environ["SNOWSHED_SUPERVISOR"] = str(os.getpid())
    return asyncio.run(_live(service, ready))


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m snowshed.supervisor", description=__doc__)
    parser.add_argument("--name", required=True)
    parser.add_argument("--state-dir", type=Path, required=True)
    parser.add_argument("--config-fd", type=int, required=True)
    parser.add_argument("--ready-fd", type=int)
    parser.add_argument("--on-demand", action="store_true")
    return parser.parse_args(arguments)


def _order(descriptor: int) -> Order:
    with open(descriptor, "rb") as pipe:
        return msgspec.json.decode(pipe.read(), type=Order)


def _assemble(paths: BuilderPaths, order: Order, *, on_demand: bool) -> Service:
    """Everything that can fail before anybody is told that we are there."""
    config = order.config
    name, reason = registry.choose(config.driver, config.arch)
    driver = registry.load(name)
    driver.chosen = reason
    source = _source(order)
    if order.image:
        store.hold(Path(order.image))  # until we end
    own_disk.check(paths, source.name if source.efi else "")
    check_places(config.shares, paths.state)
    if config.shares_store:
        check_store(NIX_STORE)
    mac, machine_id = identity(paths.mac, paths.machine_id)
    for problem in driver.check(machine_spec(config, paths, source, mac=mac, machine_id=machine_id)):
        raise problem
    listeners = activation.activated(SOCKET_NAME) or [activation.bind(config.port)]
    metrics = activation.bind(config.metrics_port, "metrics_port") if config.metrics_port else None
    port = _port_of(listeners) or config.port
    ensure_keys(paths)
    write_ssh_config(paths, port)
    durable.write(paths.last_config, msgspec.json.encode(order))
    prepare_runtime(paths)
    return Service(
        paths,
        config,
        source,
        driver,
        listeners,
        listen(paths.control, public=paths.is_system),
        port,
        on_demand=on_demand or config.on_demand,
        metrics_listener=metrics,
    )


def _source(order: Order) -> Source:
    return closure_source(order.config) if order.config.kernel else image_source(Path(order.image))


def _port_of(listeners: Sequence[socket.socket]) -> int | None:
    for listener in listeners:
        if listener.family in (socket.AF_INET, socket.AF_INET6):
            return int(listener.getsockname()[1])
    return None


async def _live(service: Service, ready: Ready) -> int:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, service.end)
    return await service.run(ready.now)


class Ready:
    """Tells whoever started us, once, that the control socket listens, or why it never will."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor

    def now(self) -> None:
        self._write(b"ready\n")

    def failed(self, error: SnowshedError) -> None:
        self._write(msgspec.json.encode(error.as_json()) + b"\n")

    def _write(self, line: bytes) -> None:
        if self._descriptor is not None:
            os.write(self._descriptor, line)
            os.close(self._descriptor)
            self._descriptor = None
