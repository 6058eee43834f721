"""What a closure of the host's store is booted with."""

from __future__ import annotations

from pathlib import Path

import pytest

from snowshed import config
from snowshed.config import Host
from snowshed.model.machine import Arch
from snowshed.supervisor.plan import closure_source
from snowshed.units import GIB

HOST = Host(cores=4, memory=8 * GIB, arch=Arch.AARCH64, platform="linux")


@pytest.mark.parametrize(
    ("params", "cmdline"), [("root=fstab loglevel=4\n", " root=fstab loglevel=4"), ("", ""), (None, "")]
)
def test_a_system_is_booted_as_it_says(tmp_path: Path, params: str | None, cmdline: str) -> None:
    if params is not None:
        (tmp_path / "kernel-params").write_text(params)
    given = {"kernel": "/k/Image", "initrd": "/i/initrd", "system_path": str(tmp_path)}
    source = closure_source(config.load(None, given, HOST, {}))
    assert source.cmdline == f"init={tmp_path}/init{cmdline}"
    assert (source.kernel, source.initrd, source.root) == (Path("/k/Image"), Path("/i/initrd"), None)
