"""Figures of a real supervisor over a life on QEMU's stand-in: what has changed, and where they can be read."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from clients import connect, greeted
from command import Place, free_port, with_patience


@pytest.fixture
def place() -> Iterator[Place]:
    with Place.made(stops=True) as made:
        yield made


def figures(text: str) -> dict[str, float]:
    """Every value, by its name and its last label that is not the builder's."""
    found = {}
    for family in text_string_to_metric_families(text):
        for value in family.samples:
            labels = [text for label, text in value.labels.items() if label != "builder"]
            found[".".join([value.name.removeprefix("snowshed_"), *labels[-1:]])] = value.value
    return found


def test_figures_change_with_what_happens(place: Place) -> None:
    assert "No builder has a supervisor" in place.ok("metrics").err
    place.qemu.fail("named-builds=hello-2.12.1+gcc-13.2.0")
    place.start()
    port = place.ok("status").out.partition("127.0.0.1:")[2].split()[0]
    fresh = figures(place.ok("metrics").out)
    assert (fresh["starts_total"], fresh["state.running"], fresh["wake_duration_seconds_count.boot"]) == (1, 1, 1)
    assert (fresh["connections_total"], fresh["traffic_bytes_total.from_guest"]) == (0, 0)
    assert (fresh["builds_running"], fresh["derivations_built_total"]) == (2, 3)
    assert fresh["memory_size_bytes"] == 512 << 20
    assert fresh["memory_resident_bytes"] > 0

    with connect(int(port)) as client:
        assert greeted(client)
        used = figures(place.ok("metrics").out)
        assert (used["connections_open"], used["connections_total"]) == (1, 1)
        assert used["traffic_bytes_total.from_guest"] > 0
    with_patience(lambda: figures(place.ok("metrics").out)["connections_open"] == 0)

    place.ok("suspend")
    asleep = figures(place.ok("metrics").out)
    assert (asleep["suspends_total"], asleep["state.suspended"], asleep["state.running"]) == (1, 1, 0)
    assert "builds_running" not in asleep
    assert asleep["derivations_built_total"] == 3
    place.ok("resume")
    awake = figures(place.ok("-b", "default", "metrics").out)
    assert awake["wake_duration_seconds_count.resume"] == 1
    assert awake["wake_duration_seconds_sum.resume"] > 0
    assert awake["starts_total"] == 1


def test_a_port_of_the_loopback_serves_them_where_that_is_wanted(place: Place) -> None:
    port = free_port()
    config = place.home / ".config/snowshed/default.toml"
    config.parent.mkdir(parents=True)
    config.write_text(f"metrics_port = {port}\n")
    place.start()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=")
        assert figures(answer.read().decode())["state.running"] == 1
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=30)
    for address in own_addresses():
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((address, port), timeout=10)
    place.ok("stop")
    with socket.create_server(("127.0.0.1", port)):
        done = place.run("start", "--port", str(free_port()), "--memory", "512", "--cores", "1")
        assert done.status == 2
        assert f"Port {port} on 127.0.0.1 cannot be used" in done.err
        assert "metrics_port" in done.err


def own_addresses() -> set[str]:
    """Of this machine, but for the loopback."""
    found = {str(info[4][0]) for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    return {address for address in found if not address.startswith("127.")}
