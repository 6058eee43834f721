"""What `snowshed start` says at its end, and when somebody else ends it."""

from __future__ import annotations

import json
import socket
import threading
from pathlib import Path

import pytest

from snowshed import PROTOCOL, __version__
from snowshed.cli.progress import Quiet
from snowshed.cli.start import _follow, summary
from snowshed.control.client import Gone
from snowshed.errors import NotRunning
from snowshed.paths import BuilderPaths

REPORT = {"system": "x86_64-linux", "stages": [{"stage": "boot", "seconds": 10.0}, {"stage": "nix", "seconds": 16.0}]}


def test_a_boot_says_its_stages_and_a_wake_how_long_it_took(tmp_path: Path) -> None:
    paths = BuilderPaths("default", tmp_path)
    booted = summary(paths, 31222, REPORT)
    assert "is ready in 16 s" in booted
    assert "boot 10.0, nix 16.0" in booted
    woken = summary(paths, 31222, REPORT, woken_in=4.0)
    assert woken == "The builder default (x86_64-linux) is awake again after 4.0 s; SSH on 127.0.0.1:31222."


@pytest.mark.parametrize(("state", "error"), [("stopped", NotRunning), ("starting", Gone)])
def test_a_stop_meanwhile_is_told_from_a_crash(tmp_path: Path, state: str, error: type[Exception]) -> None:
    paths = BuilderPaths("default", tmp_path)
    paths.events.write_text(json.dumps({"kind": "state", "state": state}) + "\n")
    paths.control.parent.mkdir(parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(paths.control))
        listener.listen()

        def leave() -> None:
            client, _ = listener.accept()
            with client:
                client.sendall(json.dumps({"snowshed": __version__, "protocol": PROTOCOL}).encode() + b"\n")
                client.recv(1 << 16)

        server = threading.Thread(target=leave)
        server.start()
        with pytest.raises(error):
            _follow(paths, Quiet())
        server.join()
