"""The guest agent's client, against the other end of a socket pair that says what an agent says."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from typing import Any

import pytest

from snowshed.errors import GuestError
from snowshed.guest.agent import Agent, GuestMemory, parse_meminfo

Answer = Callable[[dict[str, Any]], Any]

PATIENCE = 60.0
"""Seconds after which what a test waits for will not come any more."""


class FakeAgent:
    """Answers requests by `answers`; ``None`` is silence, an exception an error of the agent's."""

    def __init__(self, peer: socket.socket, **answers: Answer) -> None:
        self.answers = answers
        self.requests: list[dict[str, Any]] = []
        self.syncs = 0
        self._peer = peer

    async def serve(self) -> None:
        reader, self.writer = await asyncio.open_connection(sock=self._peer)
        try:
            while line := await reader.readline():
                request = json.loads(line.lstrip(b"\xff"))
                if request["execute"] == "guest-sync-delimited":
                    self.syncs += 1
                    self.writer.write(b"\xff" + json.dumps({"return": request["arguments"]["id"]}).encode() + b"\n")
                    continue
                self.requests.append(request)
                self.answer(request)
        finally:
            self.writer.close()

    def answer(self, request: dict[str, Any]) -> None:
        respond = self.answers.get(request["execute"].replace("-", "_"), lambda _: {})
        try:
            result = respond(request.get("arguments", {}))
        except GuestError as error:
            self.say({"error": {"class": "GenericError", "desc": str(error)}})
            return
        if result is not None:
            self.say({"return": result})

    def say(self, message: dict[str, Any]) -> None:
        self.writer.write(json.dumps(message).encode() + b"\n")


@asynccontextmanager
async def agent_with(stale: bytes = b"", **answers: Answer) -> AsyncIterator[tuple[Agent, FakeAgent]]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    theirs.sendall(stale)
    fake = FakeAgent(theirs, **answers)
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(fake.serve(), name="fake agent")
        agent = await Agent.connect(ours)
        try:
            yield agent, fake
        finally:
            await agent.close()
            serving.cancel()


async def test_time_is_sent_in_nanoseconds() -> None:
    async with agent_with() as (agent, fake):
        await agent.set_time(1_700_000_000.25)
    assert fake.requests[-1] == {
        "execute": "guest-set-time",
        "arguments": {"time": 1_700_000_000_250_000_000},
    }


@pytest.mark.parametrize(
    ("refusal", "raises"),
    [("hwclock failed to set hardware clock to system time", False), ("Failed to set time: Invalid argument", True)],
)
async def test_a_machine_without_a_clock_chip_has_its_time_set_all_the_same(refusal: str, raises: bool) -> None:
    def refuse(_: dict[str, Any]) -> None:
        raise GuestError(refusal)

    async with agent_with(guest_set_time=refuse) as (agent, _):
        with pytest.raises(GuestError, match=refusal) if raises else nullcontext():
            await agent.set_time(1.0)


@pytest.mark.parametrize("stale", [b'{"return": {}}\n', b'{"retu', b'garbage\n\xff{"return": 1}\n', b"\xff"])
async def test_what_lies_in_the_channel_from_before_is_not_taken_for_an_answer(stale: bytes) -> None:
    async with agent_with(stale, guest_fstrim=lambda _: {"paths": [{"path": "/data", "trimmed": 7}]}) as (agent, fake):
        assert await agent.trim() == 7
        assert fake.syncs == 1


async def test_after_a_call_that_was_given_up_the_next_one_gets_its_own_answer() -> None:
    async with agent_with(guest_set_time=lambda _: None) as (agent, fake):
        with pytest.raises(GuestError, match="did not answer"):
            await agent.set_time(1, seconds=0.01)
        fake.say({"return": "much too late"})
        fake.answers["guest_fstrim"] = lambda _: {"paths": [{"trimmed": 3}, {"error": "busy"}]}
        assert await agent.trim() == 3
        assert fake.syncs == 2


async def test_calls_of_several_tasks_do_not_mix() -> None:
    async with agent_with(guest_exec=_echo_pid, guest_exec_status=_exited_with_pid) as (agent, _):
        results = await asyncio.gather(*(agent.run([f"/bin/{number}"]) for number in range(20)))
    assert results == [str(number) for number in range(20)]


def _echo_pid(arguments: dict[str, Any]) -> dict[str, Any]:
    return {"pid": int(arguments["path"].removeprefix("/bin/"))}


def _exited_with_pid(arguments: dict[str, Any]) -> dict[str, Any]:
    return {"exited": True, "exitcode": 0, "out-data": base64.b64encode(str(arguments["pid"]).encode()).decode()}


async def test_a_program_is_waited_for_and_gets_its_input() -> None:
    looks = iter([{"exited": False}, {"exited": False}, {"exited": True, "exitcode": 0}])
    async with agent_with(guest_exec=lambda _: {"pid": 5}, guest_exec_status=lambda _: next(looks)) as (agent, fake):
        assert await agent.run(["/bin/cat", "-n"], stdin=b"hello") == ""
    started = next(request for request in fake.requests if request["execute"] == "guest-exec")
    assert started["arguments"] == {
        "path": "/bin/cat",
        "arg": ["-n"],
        "capture-output": True,
        "input-data": base64.b64encode(b"hello").decode(),
    }


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ({"exitcode": 3, "err-data": base64.b64encode(b"no such thing\n").decode()}, "status 3: no such thing"),
        ({"signal": 9}, "signal 9: it said nothing"),
    ],
)
async def test_a_program_that_fails_is_an_error_with_its_words(status: dict[str, Any], said: str) -> None:
    async with agent_with(guest_exec=lambda _: {"pid": 5}, guest_exec_status=lambda _: {"exited": True, **status}) as (
        agent,
        _,
    ):
        with pytest.raises(GuestError, match=said):
            await agent.run(["/bin/false"])


async def test_a_program_that_does_not_end_is_given_up() -> None:
    async with agent_with(guest_exec=lambda _: {"pid": 5}, guest_exec_status=lambda _: {"exited": False}) as (agent, _):
        with pytest.raises(GuestError, match="did not end"):
            await agent.run(["/bin/sleep"], seconds=0.05)
        await agent.ping()


async def test_a_shutdown_that_works_has_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    async with agent_with(guest_shutdown=lambda _: None) as (agent, fake):
        asked = asyncio.create_task(agent.shutdown(seconds=5.0))
        while not fake.requests:
            await asyncio.sleep(0)
        loop = asyncio.get_running_loop()
        now = loop.time
        monkeypatch.setattr(loop, "time", lambda: now() + 5.0)
        await asked
    assert fake.requests == [{"execute": "guest-shutdown", "arguments": {"mode": "powerdown"}}]


async def test_a_guest_that_goes_at_once_has_been_shut_down() -> None:
    async with agent_with() as (agent, fake):
        fake.answers["guest_shutdown"] = lambda _: fake.writer.close()
        await agent.shutdown(seconds=PATIENCE)
        assert fake.requests[-1]["execute"] == "guest-shutdown"


async def test_a_shutdown_that_is_refused_is_an_error() -> None:
    def refuse(_: dict[str, Any]) -> None:
        raise GuestError("not today")

    async with agent_with(guest_shutdown=refuse) as (agent, _):
        with pytest.raises(GuestError, match="not today"):
            await agent.shutdown(seconds=PATIENCE)


async def test_nobody_there_is_an_error_and_the_socket_is_closed() -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with pytest.raises(GuestError, match="did not answer"):
        await Agent.connect(ours, seconds=0.01)
    await asyncio.sleep(0)
    assert ours.fileno() == -1
    theirs.close()


async def test_an_agent_that_hangs_up_is_an_error() -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.close()
    with pytest.raises(GuestError, match="gone"):
        await Agent.connect(ours)


def test_memory_is_read_from_meminfo() -> None:
    text = "MemTotal:        2000 kB\nMemFree:  1 kB\nMemAvailable:    1500 kB\nHugePages_Total:       0\n"
    assert parse_meminfo(text) == GuestMemory(total=2_048_000, available=1_536_000)
    with pytest.raises(GuestError):
        parse_meminfo("MemTotal: many\n")
