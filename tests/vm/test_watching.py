"""A real guest while a real build runs in it: who watches sees the build by name, and what it costs."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from command import Done, with_patience
from real import RealPlace
from snowshed.config import Host
from snowshed.units import GIB, MIB
from terminal import Terminal

pytestmark = pytest.mark.vm

BUSY = "i=0; while [ $i -lt 100000000 ]; do i=$((i+1)); done"
"""Ends by itself only long after the test; its client is ended before."""


@pytest.fixture
def place() -> Iterator[RealPlace]:
    with RealPlace.made(stops=True) as made:
        yield made


def figures(place: RealPlace) -> dict[str, float]:
    text = place.ok("metrics").out
    return {
        value.name: value.value
        for family in text_string_to_metric_families(text)
        for value in family.samples
        if set(value.labels) == {"builder"}
    }


def test_a_build_is_seen_by_name_while_it_runs(place: RealPlace) -> None:
    arch = Host.this().arch
    assert arch is not None
    place.start("--cores", "2")
    before = figures(place)
    assert (before["snowshed_builds_running"], before["snowshed_derivations_built_total"]) == (0, 0)
    done: list[Done] = []
    building = threading.Thread(
        target=lambda: done.append(place.build("busy-bee-1.0", BUSY, system=arch.nix_system)), daemon=True
    )
    building.start()
    given = {name: value for name, value in place.environment.items() if name != "COLUMNS"}
    with Terminal(place.argv("top"), given) as shown:
        text = shown.until(lambda text: "busy-bee-1.0" in text and "of 2 cores" in text)
        assert "1 build" in text
        shown.press("q")
        assert shown.ended() == 0
        assert shown.is_as_before
    with_patience(lambda: busy(place) > 0.1)
    (seen,) = json.loads(place.ok("top", "--json").out)
    assert 0.1 < seen["processor"] < 4
    assert 100 * MIB < seen["memory"]["resident"] < 2 * GIB
    assert 100 * MIB < seen["memory"]["guestFree"] < GIB
    assert 1 * MIB < seen["disk"]["used"] < 1 * GIB
    (build,) = seen["builds"]
    assert build["name"] == "busy-bee-1.0"
    assert 64 << 10 < build["memory"] < 100 * MIB
    assert 0 < build["processor"] < build["seconds"] * 2

    after = figures(place)
    assert (after["snowshed_builds_running"], after["snowshed_derivations_built_total"]) == (1, 1)
    assert after["snowshed_processor_seconds_total"] > before["snowshed_processor_seconds_total"]
    assert after["snowshed_connections_total"] > before["snowshed_connections_total"]
    place.ok("stop", "--force")
    building.join(60)
    assert done[0].status != 0


def busy(place: RealPlace) -> float:
    """Processor seconds that the build has used so far."""
    (seen,) = json.loads(place.ok("top", "--json").out)
    return float(sum(build["processor"] for build in seen["builds"] or ()))
