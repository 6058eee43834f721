"""The vz driver on any Mac: its helper as a process of its own, under the strict stand-in."""

from __future__ import annotations

import sys

import pytest
from fakes.machines import M3
from fakes.programs import ROOT

from snowshed.drivers.mac import Mac
from snowshed.drivers.vz import driver as driver_module
from snowshed.drivers.vz.driver import HELPER, VzDriver
from snowshed.model.machine import Arch


@pytest.fixture(autouse=True)
def standin(monkeypatch: pytest.MonkeyPatch) -> None:
    """The helper finds the stand-in where PyObjC would be; nothing is remembered from another test."""
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}/tests/fakes/vz/modules:{ROOT}/tests:{ROOT}/src")
    driver_module._known.clear()


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch):
    return lambda *words: monkeypatch.setenv("FAKE_VZ_FAULTS", ",".join(words))


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch):
    """The driver on a given Mac, and the stand-in with it."""

    def choose(mac: Mac = M3) -> VzDriver:
        monkeypatch.setenv("FAKE_MACOS", ".".join(map(str, mac.version)))
        monkeypatch.setenv("FAKE_MACHINE", "arm64" if mac.arch is Arch.AARCH64 else "x86_64")
        monkeypatch.setenv("FAKE_CHIP", str(mac.chip))
        return VzDriver(mac, [sys.executable, *HELPER])

    return choose
