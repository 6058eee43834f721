"""Figures for Prometheus: counted from a journal, written out, and read back by its own parser."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable

import pytest
from prometheus_client.parser import text_string_to_metric_families

from snowshed.model.lifecycle import State
from snowshed.model.wire import DiskUse, Happening, Idle, MemoryUse, Report, RunningBuild, Sample
from snowshed.supervisor import metrics
from snowshed.supervisor.exposition import Exposition
from snowshed.supervisor.tally import Durations, Tally
from snowshed.units import GIB, MIB

REPORT = Report(
    name="arm",
    running=True,
    state="running",
    state_directory="/state",
    system="aarch64-linux",
    version="1.2",
    driver="qemu",
    cores=4,
    started_at=1000.0,
    connections=2,
    held=1,
    idle=Idle(600.0, "suspend", "auto", remaining=42.0),
    disk=DiskUse(100 * GIB, 3 * GIB, 2 * GIB),
    memory=MemoryUse(8 * GIB, 700 * MIB, 6 * GIB),
)
SAMPLE = Sample(
    at=1100.0,
    report=REPORT,
    processor=55.5,
    to_guest=10,
    from_guest=20,
    served=7,
    built=12,
    builds=(RunningBuild("hello", 1.0, 1.0, MIB, 1),),
)


def lived(*steps: tuple[float, str], begins: State = State.STOPPED) -> Tally:
    """The tally of a builder that was in these states at these times."""
    tally = Tally(begins)
    for at, state in steps:
        tally.heard(Happening(at, "state", f"The builder is {state}.", state=state))
    return tally


def read(text: str) -> dict[tuple[str, ...], float]:
    """Every value by its name and its labels but the builder's."""
    found = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation
        for value in family.samples:
            assert value.labels["builder"] == "arm"
            labels = [text for label, text in value.labels.items() if label != "builder"]
            found[(value.name.removeprefix("snowshed_"), *labels)] = value.value
    return found


def test_what_is_known_of_a_running_builder() -> None:
    found = read(metrics.text(SAMPLE, Tally(State.STOPPED)))
    expected = {
        ("builder_info", "qemu", "aarch64-linux", "1.2"): 1,
        ("state", "running"): 1,
        ("state", "suspended"): 0,
        ("connections_open",): 2,
        ("connections_waiting",): 1,
        ("connections_total",): 7,
        ("builds_running",): 1,
        ("derivations_built_total",): 12,
        ("cores",): 4,
        ("processor_seconds_total",): 55.5,
        ("memory_size_bytes",): 8 * GIB,
        ("memory_resident_bytes",): 700 * MIB,
        ("memory_available_bytes",): 6 * GIB,
        ("disk_size_bytes",): 100 * GIB,
        ("disk_allocated_bytes",): 3 * GIB,
        ("disk_used_bytes",): 2 * GIB,
        ("idle_remaining_seconds",): 42,
        ("guest_start_time_seconds",): 1000,
        ("traffic_bytes_total", "to_guest"): 10,
        ("traffic_bytes_total", "from_guest"): 20,
    }
    assert {name: found[name] for name in expected} == expected


def test_what_nobody_knows_is_left_out() -> None:
    report = Report(name="arm", running=False, state="suspended", state_directory="/", system="aarch64-linux")
    found = read(metrics.text(Sample(at=1.0, report=report), Tally(State.SUSPENDED)))
    names = {name for name, *_ in found}
    assert found["state", "suspended"] == 1
    assert not {"builds_running", "memory_resident_bytes", "disk_used_bytes", "processor_seconds_total"} & names


def test_a_life_is_counted() -> None:
    tally = lived(
        (0.0, "starting"), (7.0, "running"),
        (10.0, "suspending"), (11.0, "suspended"),
        (20.0, "resuming"), (20.4, "running"),
        (30.0, "suspending"), (30.5, "running"),
        (40.0, "pausing"), (40.1, "paused"),
        (41.0, "resuming"), (41.05, "running"),
        (50.0, "failed"),
        (60.0, "starting"), (61.0, "failed"),
        (70.0, "starting"), (90.0, "running"),
        (95.0, "stopping"), (96.0, "stopped"),
    )  # fmt: skip
    found = read(metrics.text(SAMPLE, tally))
    assert [found[name,] for name in ("starts_total", "suspends_total", "pauses_total", "failures_total")] == [
        3,
        1,
        1,
        2,
    ]
    wakes = {how: found["wake_duration_seconds_count", how] for how in ("boot", "resume", "unpause")}
    assert wakes == {"boot": 2, "resume": 1, "unpause": 1}
    assert found["wake_duration_seconds_sum", "boot"] == pytest.approx(27.0)
    assert found["wake_duration_seconds_sum", "resume"] == pytest.approx(0.4)
    assert found["wake_duration_seconds_bucket", "boot", "8.0"] == 1
    assert found["wake_duration_seconds_bucket", "boot", "32.0"] == 2


def test_memory_that_does_not_fit_makes_a_boot_of_a_resume() -> None:
    tally = lived((5.0, "resuming"), (6.0, "starting"), (15.0, "running"), begins=State.SUSPENDED)
    assert (tally.wakes["boot"].total, tally.wakes["resume"].total) == (10.0, 0.0)


def test_other_events_are_no_states() -> None:
    tally = Tally(State.STOPPED)
    tally.heard(Happening(1.0, "message", "Something."))
    assert not tally.entered


def test_a_duration_at_a_bound_is_within_it() -> None:
    durations = Durations()
    for seconds in (0.1, 0.11, 1000.0):
        durations.add(seconds)
    cumulative = dict(durations.cumulative())
    assert (cumulative["0.1"], cumulative["0.25"], cumulative["128.0"], cumulative["+Inf"]) == (1, 2, 2, 3)


@pytest.mark.parametrize(
    ("request_", "status", "body"),
    [
        (b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", "200 OK", "some_figure 1\n"),
        (b"GET /metrics?a=b HTTP/1.1\r\n\r\n", "200 OK", "some_figure 1\n"),
        (b"HEAD /metrics HTTP/1.0\r\n\r\n", "200 OK", ""),
        (b"GET / HTTP/1.1\r\n\r\n", "404 Not Found", "The figures are at /metrics.\n"),
        (b"POST /metrics HTTP/1.1\r\n\r\n", "405 Method Not Allowed", "They can only be read.\n"),
        (b"\r\n\r\n", "404 Not Found", "The figures are at /metrics.\n"),
    ],
)
async def test_http(request_: bytes, status: str, body: str) -> None:
    answer = await asked(request_)
    head, _, rest = answer.decode().partition("\r\n\r\n")
    lines = head.split("\r\n")
    assert lines[0] == f"HTTP/1.1 {status}"
    assert rest == body
    if status == "200 OK":
        assert lines[1].startswith("Content-Type: text/plain; version=")
        assert "Content-Length: 14" in lines


@pytest.mark.parametrize("noise", [b"", b"GET", b"x" * (40 << 10)])
async def test_http_that_is_none_ends_without_an_answer(noise: bytes) -> None:
    assert await asked(noise) == b""


async def asked(request_: bytes) -> bytes:
    async def text() -> str:
        return "some_figure 1\n"

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        async with asyncio.TaskGroup() as tasks:
            serving = tasks.create_task(Exposition(text).serve(listener, tasks))
            try:
                reader, writer = await asyncio.open_connection(*listener.getsockname())
                writer.write(request_)
                writer.write_eof()
                return await _all_of(reader)
            finally:
                writer.close()
                serving.cancel()


async def _all_of(reader: asyncio.StreamReader) -> bytes:
    """What comes until the other end leaves, however it does that."""
    parts: list[bytes] = []
    try:
        while data := await reader.read(1 << 16):
            parts.append(data)
    except ConnectionError:
        pass
    return b"".join(parts)


def names_of(text: str) -> Iterable[str]:
    return (family.name for family in text_string_to_metric_families(text))


def test_names_follow_the_conventions() -> None:
    for name in names_of(metrics.text(SAMPLE, Tally(State.STOPPED))):
        assert name.startswith("snowshed_")
        assert not name.endswith(("_ms", "_mb", "_kb", "_percent", "_minutes"))
