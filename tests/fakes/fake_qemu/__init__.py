"""A stand-in for ``qemu-system-*``: takes the same command line, speaks the same protocols, boots nothing.

It knows only the options, devices, properties and monitor commands that it imitates, and refuses everything else
with QEMU's own words, as a real QEMU would: a test that passes has sent something sane. Standard library only; it is
installed by `fakes.qemu.FakeQemu`, which is what tests use.

What goes wrong is chosen by ``FAKE_QEMU`` or, where that is not set, by the file ``faults`` beside the program, read
anew at every start. Both hold words separated by spaces or commas:

====================  ================================================================================================
exits-at-start        says that guest memory cannot be allocated, and exits with status 1
hangs-at-start        never answers on the monitor
boot-hangs[=STAGE]    the guest announces the stages before STAGE (``boot``) and then nothing
slow-boot=SECONDS     the time between two stages (0.01)
no-banner             connections to the guest's sshd are accepted and never answered
closes-connections    connections to the guest's sshd are accepted and closed without a byte
agent-silent          the guest agent never answers
stops-answering=S     sshd and the agent fall silent S seconds after the last stage
ignores-powerdown     neither the power button nor the agent's shutdown does anything
slow-shutdown=S       the guest takes S seconds to power itself off (0.01)
dies-after=SECONDS    the process is killed by SIGKILL
panics-after=SECONDS  the guest's kernel panics, and restarts
first-panics-at=STAGE  of all machines the first panics when it has got there
hangs-in-panic        with the one above: it does not restart
disk-full-after=S     a write fails for lack of space and the VM stops; every `cont` works
save-fails            saving the memory fails for lack of space
slow-save=SECONDS     saving takes that long, and can be cancelled
restore-fails         loading the memory fails as it does for a file that does not fit
version=X.Y.Z         it calls itself that instead of 7.2.22; files for migrations have other names from 9.1 on
builds=N              what the agent prints for any program it is asked to run (0)
====================  ================================================================================================

What happens is written to the file ``journal`` beside the program, one JSON object a line: ``{"what": "start", "pid":
…, "argv": […]}``, ``stop``, ``cont``, ``set-time`` (with ``time``), ``powerdown``, ``shutdown``, ``save``,
``restore``, ``connection``, ``words`` (from a client), ``exec`` (with ``argv``), ``end``. Memory that is saved holds a
counter of how often it was, so that a test can see that a guest went on instead of starting anew.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from .machine import Faults, Machine
from .monitor import Monitor
from .options import Options, die


def chosen(folder: Path) -> Faults:
    """What is to go wrong this time."""
    text = os.environ.get("FAKE_QEMU")
    if text is None and (folder / "faults").exists():
        text = (folder / "faults").read_text()
    return Faults(text or "")


async def run(folder: Path) -> None:
    options = Options(sys.argv[0], sys.argv[1:])
    faults = chosen(folder)
    machine = Machine(options, faults, folder / "journal")
    machine.note("start", argv=sys.argv[1:])
    if "exits-at-start" in faults:
        die("cannot set up guest memory 'ram': Cannot allocate memory")
    if "hangs-at-start" in faults:
        await asyncio.Event().wait()
    server = await asyncio.start_server(machine.serve_ssh, "127.0.0.1", 0, backlog=100)
    machine.port = server.sockets[0].getsockname()[1]
    machine.monitor = Monitor(machine, options.monitor)
    machine.spawn(machine.serve_agent())
    if "dies-after" in faults:
        machine.loop.call_later(faults.seconds("dies-after", 0), os.kill, os.getpid(), signal.SIGKILL)
    if not options.stopped:
        machine.running.set()
    if not options.incoming:
        machine.spawn(machine.boot())
    await machine.ended.wait()
    os._exit(0)


def main(folder: Path) -> None:
    """What the program in `folder` does."""
    if sys.argv[1:] == ["--version"]:
        print(f"QEMU emulator version {chosen(folder).text('version', '7.2.22')} (fake)\nCopyright (c) nobody")
        sys.exit(0)
    asyncio.run(run(folder))
