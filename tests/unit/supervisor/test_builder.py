"""The builder on a fake driver: each race that a real machine will not show on demand."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from fakes.bench import bench
from fakes.driver import BANNER

from snowshed.errors import GuestError, NotRunning, SnowshedError, UserError
from snowshed.model.lifecycle import State


async def test_everybody_who_comes_is_served_by_one_boot(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        connections = await asyncio.gather(*(b.connect() for _ in range(200)))
        assert b.driver.starts == 1
        assert b.builder.state is State.RUNNING
        assert b.builder.guest is not None
        await b.builder.guest.fully_up()
        assert [stage.stage for stage in b.builder.stages] == ["boot", "disk", "sshd", "nix"]
        for connection in connections:
            connection.close()


@pytest.mark.parametrize("agent_fails", [False, True])
async def test_nobody_meets_a_guest_that_guesses_the_time(tmp_path: Path, agent_fails: bool) -> None:
    """Unless its agent does not answer: then it is of use all the same."""
    async with bench(tmp_path) as b:
        b.driver.fate.clockless = True
        if agent_fails:
            b.driver.fate.failing.add("agent")
            await b.builder.wake()
        else:
            (await b.connect()).close()
        assert b.driver.live[0].clock_is_set is not agent_fails
        assert b.builder.state is State.RUNNING


async def test_a_client_that_gives_up_does_not_take_the_wake_with_it(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        b.driver.gates.close("sshd")
        waiting = asyncio.create_task(b.builder.wake())
        await b.driver.gates.reached["sshd"].wait()
        waiting.cancel()
        b.driver.gates.open("sshd")
        await b.builder.wake()
        assert b.driver.starts == 1


async def test_a_failed_wake_tells_everybody_why_and_the_next_one_works(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        b.driver.fate.failing.add("boot")
        results = await asyncio.gather(*(b.builder.wake() for _ in range(5)), return_exceptions=True)
        assert {type(result) for result in results} == {GuestError}
        assert b.builder.state is State.FAILED
        assert b.builder.failure is not None
        assert "could not get past boot: on purpose" in b.builder.failure.message
        assert b.driver.live == []
        await b.builder.wake()
        assert b.builder.state is State.RUNNING
        assert b.builder.failure is None


async def test_a_kernel_that_panics_on_its_way_up_gets_a_second_chance_and_no_third(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        b.driver.fate.panics = 1
        await b.builder.wake()
        assert (b.builder.state, b.driver.starts) == (State.RUNNING, 2)
        assert "It is started once more." in b.log.getvalue()
        assert [stage.stage for stage in b.builder.stages][:1] == ["boot"]
        await b.builder.rest()
        b.driver.fate.panics = 2
        with pytest.raises(GuestError, match="the kernel panicked"):
            await b.builder.wake()
        assert (b.builder.state, b.driver.starts, b.driver.live) == (State.FAILED, 4, [])


@pytest.mark.parametrize("how", ["start", "dies-at-boot"])
async def test_whatever_ends_a_boot_nothing_is_left(tmp_path: Path, how: str) -> None:
    async with bench(tmp_path) as b:
        b.driver.fate.failing.add(how)
        with pytest.raises(GuestError):
            await b.builder.wake()
        assert (b.builder.state, b.driver.live) == (State.FAILED, [])


async def test_a_guest_that_powers_itself_off_is_stopped_and_one_that_crashes_has_failed(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        for clean, state in ((True, State.STOPPED), (False, State.FAILED)):
            await b.builder.wake()
            b.driver.live[0].end(clean=clean, detail="signal 11")
            async with asyncio.timeout(30):
                while b.builder.state is State.RUNNING:
                    await asyncio.sleep(0)
            assert b.builder.state is state
        assert b.builder.failure is not None
        assert "signal 11" in b.builder.failure.message


async def test_suspend_and_wake(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        await b.builder.wake()
        await b.builder.suspend()
        assert (b.builder.state, b.driver.live) == (State.SUSPENDED, [])
        assert b.paths.suspend_state.exists()
        (await b.connect()).close()
        assert (b.builder.state, b.driver.starts) == (State.RUNNING, 2)
        assert not b.paths.suspend_state.exists()
        async with asyncio.timeout(30):
            while b.paths.suspend_consumed.exists():  # it goes while the guest is at work already
                await asyncio.sleep(0)
        assert b.driver.memories == set()


async def test_whoever_wakes_the_guest_is_dialled_for_while_its_clock_is_set_and_gets_nothing_before(
    tmp_path: Path,
) -> None:
    async with bench(tmp_path) as b:
        await b.builder.wake()
        await b.builder.suspend()
        b.driver.gates.close("guest-set-time")
        connecting = asyncio.create_task(b.connect())
        await b.driver.gates.reached["guest-set-time"].wait()
        assert (b.driver.dialled, connecting.done()) == (1, False)
        b.driver.gates.open("guest-set-time")
        with await connecting as connection:
            assert await asyncio.get_running_loop().sock_recv(connection, 100) == BANNER
        assert b.driver.dialled == 1
        (await b.connect()).close()
        assert b.driver.dialled == 2


async def test_a_suspended_builder_is_found_by_the_next_supervisor(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        await b.builder.wake()
        await b.builder.suspend()
        driver = b.driver
    async with bench(tmp_path, driver) as b:
        assert b.builder.state is State.SUSPENDED
        await b.builder.wake()
        assert [stage.stage for stage in b.builder.stages] == []
        assert b.builder.started_at is not None, "its time up counts from the wake"


@pytest.mark.parametrize("how", ["load", "resume"])
async def test_memory_that_does_not_load_is_said_and_the_guest_boots_anew(tmp_path: Path, how: str) -> None:
    async with bench(tmp_path) as b:
        await b.builder.wake()
        await b.builder.suspend()
        b.driver.fate.failing.add(how)
        await b.builder.wake()
        assert b.builder.state is State.RUNNING
        assert "boots anew" in b.log.getvalue()
        assert not b.paths.suspend_state.exists()


async def test_a_disk_that_changed_meanwhile_is_never_given_old_memory(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        await b.builder.wake()
        await b.builder.suspend()
        with b.paths.disk.open("r+b") as disk:
            disk.write(b"changed")
        await b.builder.wake()
        assert "disk.img was changed meanwhile" in b.log.getvalue()
        assert len(b.driver.memories) == 1, "the old memory was used"


async def test_damaged_memory_is_never_used(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        await b.builder.wake()
        await b.builder.suspend()
        memory = bytearray(b.paths.suspend_state.read_bytes())
        b.driver.memories.add(bytes(memory[:-1]) + bytes([memory[-1] ^ 1]))
        b.paths.suspend_state.write_bytes(bytes(memory[:-1]) + bytes([memory[-1] ^ 1]))
        await (await b.builder.wake()).fully_up()
        assert "suspend.state is damaged" in b.log.getvalue()
        assert [stage.stage for stage in b.builder.stages][-1] == "nix"


async def test_a_suspend_that_fails_leaves_the_guest_running_and_says_so(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        await b.builder.wake()
        b.driver.fate.failing.add("save")
        with pytest.raises(SnowshedError, match="runs on: fake: save fails"):
            await b.builder.suspend()
        assert b.builder.state is State.RUNNING
        assert not b.paths.suspend_state.exists()
        assert b.log.getvalue().count("warning: It was not suspended and runs on: fake: save fails") == 1
        (await b.connect()).close()
        assert b.driver.starts == 1


async def test_a_suspend_that_fails_at_the_idle_deadline_is_said_once(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        await b.builder.wake()
        b.driver.fate.failing.add("save")
        await b.resting.rest()
        assert b.builder.state is State.RUNNING
        assert b.log.getvalue().count("warning: ") == b.log.getvalue().count("save fails") == 1


@pytest.mark.parametrize("step", ["pause", "save"])
async def test_a_connection_that_comes_during_a_suspend_wins(tmp_path: Path, step: str) -> None:
    async with bench(tmp_path) as b:
        await b.builder.wake()
        b.driver.gates.close(step)
        suspending = asyncio.create_task(b.builder.suspend())
        await b.driver.gates.reached[step].wait()
        with b.leases.hold("connection"):
            connecting = asyncio.create_task(b.connect())
            await asyncio.sleep(0)
            b.driver.gates.open(step)
            (await connecting).close()
        await asyncio.gather(suspending, return_exceptions=True)
        assert (b.builder.state, b.driver.starts) == (State.RUNNING, 1)
        assert not b.paths.suspend_state.exists()


async def test_pause_and_wake(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        await b.builder.wake()
        await b.builder.pause()
        assert b.builder.state is State.PAUSED
        (await b.connect()).close()
        assert (b.builder.state, b.driver.starts) == (State.RUNNING, 1)


async def test_a_paused_guest_can_be_suspended_and_stopped(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        await b.builder.wake()
        await b.builder.pause()
        await b.builder.suspend()
        assert b.builder.state is State.SUSPENDED
        await b.builder.wake()
        await b.builder.pause()
        await b.builder.stop()
        assert (b.builder.state, b.driver.live) == (State.STOPPED, [])


@pytest.mark.parametrize("verb", ["suspend", "pause"])
async def test_what_is_in_use_is_not_put_to_sleep_unless_forced(tmp_path: Path, verb: str) -> None:
    async with bench(tmp_path) as b:
        await b.builder.wake()
        with b.leases.hold("connection"):
            with pytest.raises(UserError, match="in use: connection") as caught:
                await getattr(b.builder, verb)()
            assert "--force" in caught.value.hint
            assert b.builder.state is State.RUNNING
            await getattr(b.builder, verb)(force=True)
            assert b.builder.state is (State.SUSPENDED if verb == "suspend" else State.PAUSED)


async def test_what_does_not_run_is_not_put_to_sleep(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        for verb in (b.builder.suspend, b.builder.pause):
            with pytest.raises(NotRunning):
                await verb()


async def test_clients_are_let_in_when_sshd_is_up_and_a_guest_without_nix_is_given_up(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        b.driver.gates.close("nix")
        (await b.connect()).close()
        assert (b.builder.state, b.builder.ready_at) == (State.RUNNING, None)
        b.driver.fate.failing.add("boot")
        b.driver.gates.open("nix")
        async with asyncio.timeout(30):
            while b.builder.state is not State.FAILED:
                await asyncio.sleep(0)
        assert b.builder.failure is not None
        assert "could not get past nix" in b.builder.failure.message
        assert b.driver.live == []


@pytest.mark.parametrize("gate", ["boot", "disk", "sshd"])
async def test_a_stop_during_the_boot_ends_it_and_tells_who_waits(tmp_path: Path, gate: str) -> None:
    async with bench(tmp_path) as b:
        b.driver.gates.close(gate)
        waiting = asyncio.create_task(b.builder.wake())
        await b.driver.gates.reached[gate].wait()
        await b.builder.stop()
        with pytest.raises(NotRunning, match="being stopped"):
            await waiting
        assert (b.builder.state, b.driver.live) == (State.STOPPED, [])
        b.driver.gates.open(gate)
        with pytest.raises(NotRunning):
            await b.builder.wake()


async def test_a_guest_that_ignores_its_shutdown_is_cut_off(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        await b.builder.wake()
        b.driver.fate.failing.add("ignores-shutdown")
        await b.builder.stop(grace=0.05)
        assert (b.builder.state, b.driver.live) == (State.STOPPED, [])
        assert "cut off" in b.log.getvalue()


async def test_a_stop_during_a_suspend_waits_for_it(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        await b.builder.wake()
        b.driver.gates.close("save")
        suspending = asyncio.create_task(b.builder.suspend())
        await b.driver.gates.reached["save"].wait()
        stopping = asyncio.create_task(b.builder.stop())
        await asyncio.sleep(0)
        b.driver.gates.open("save")
        await asyncio.gather(suspending, stopping)
        assert b.builder.state is State.SUSPENDED
        assert b.driver.live == []


async def test_a_suspend_that_is_cancelled_settles_first(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        await b.builder.wake()
        b.driver.gates.close("save")
        suspending = asyncio.create_task(b.builder.suspend())
        await b.driver.gates.reached["save"].wait()
        suspending.cancel()
        await asyncio.sleep(0)
        suspending.cancel()
        b.driver.gates.open("save")
        with pytest.raises(asyncio.CancelledError):
            await suspending
        assert b.builder.state is State.SUSPENDED


async def test_the_idle_deadline_suspends_and_a_build_without_client_is_left_alone(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        await b.builder.wake()
        b.driver.fate.building = 2
        await b.resting.rest()
        assert b.builder.state is State.RUNNING
        assert "build without a client" in b.log.getvalue()
        b.driver.fate.building = 0
        await b.resting.rest()
        assert b.builder.state is State.SUSPENDED


async def test_the_idle_deadline_comes_by_itself(tmp_path: Path) -> None:
    async with bench(tmp_path, idle_timeout=0.01) as b:
        await b.builder.wake()
        async with asyncio.timeout(30):
            while b.builder.state is not State.SUSPENDED:
                await asyncio.sleep(0.005)


async def test_stop_while_an_idle_deadline_has_a_client_is_not_done(tmp_path: Path) -> None:
    async with bench(tmp_path) as b:
        await b.builder.wake()
        with b.leases.hold("connection"):
            await b.builder.rest()
        assert b.builder.state is State.RUNNING
        await b.builder.rest()
        assert b.builder.state is State.STOPPED
        await b.builder.wake()
        assert b.builder.state is State.RUNNING
