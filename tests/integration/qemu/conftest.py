"""QEMU's stand-in, first on the PATH."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes.qemu import FakeQemu
from specs import linux_spec

from snowshed.model.machine import MachineSpec


@pytest.fixture
def qemu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeQemu:
    fake = FakeQemu(tmp_path / "bin")
    monkeypatch.setenv("PATH", fake.path)
    monkeypatch.delenv("FAKE_QEMU", raising=False)
    return fake


@pytest.fixture
def spec(tmp_path: Path) -> MachineSpec:
    return linux_spec(tmp_path)
