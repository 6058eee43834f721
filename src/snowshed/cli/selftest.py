"""`snowshed selftest`"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from ..errors import UserError
from ..selftest.bench import Bench, Result, Step, free_port, perform
from ..selftest.mac_steps import FIRST, THEN
from ..selftest.report import MARKS, facts, render
from ..selftest.steps import STEPS
from .options import NewFile, common
from .render import note, out

LIST = (*FIRST, STEPS[0], *THEN[:3], *STEPS[1:], *THEN[3:])
"""All steps in their order."""


@click.command("selftest", short_help="Try on this host what could not be tried anywhere else.")
@common
@click.option("--driver", default="auto", metavar="NAME", help="On this driver: auto, vz, vfkit, qemu.")
@click.option("--system", metavar="SYSTEM", help="A guest for this system, such as aarch64-linux.")
@click.option("--image", metavar="IMAGE", help="With this image instead of the default one.")
@click.option("--only", metavar="STEP", multiple=True, help="This step alone, by its name; may be repeated.")
@click.option("--list", "show", is_flag=True, help="Only list the steps.")
@click.option(
    "--report",
    "file",
    metavar="FILE",
    type=NewFile(),
    help="Write the report there too.",
)
def command(
    driver: str, system: str | None, image: str | None, only: tuple[str, ...], show: bool, file: Path | None
) -> int:
    """Try on this host what could not be tried anywhere else, step by step, and print a report to paste into an issue.

    It takes about a quarter of an hour, makes a builder of its own in a temporary folder, and deletes it. Your
    builders are left alone. The exit status is 1 when a step failed.

    \b
    snowshed selftest                               everything that this host can show
    snowshed selftest --driver vfkit                the same on vfkit
    snowshed selftest --only boot --only suspend    two steps
    """
    steps = _chosen(only)
    if show:
        for step in steps:
            out(f"{step.id:18} {step.title}")
        return 0
    given = {"--driver": driver, "--system": system, "--image": image}
    options = tuple(word for name, value in given.items() if value for word in (name, value))
    with _bench(options) as bench:
        results = [_told(step, perform(step, bench)) for step in steps]
    text = render(results, facts(), home=Path.home())
    out(text)
    if file is not None:
        file.write_text(text + "\n")
    return int(any(result.outcome == "failed" for result in results))


def _chosen(only: Sequence[str]) -> tuple[Step, ...]:
    known = {step.id for step in LIST}
    for name in only:
        if name not in known:
            raise UserError(f"There is no step {name!r}.", "`snowshed selftest --list` shows them.")
    return tuple(step for step in LIST if not only or step.id in only)


@contextmanager
def _bench(options: tuple[str, ...]) -> Iterator[Bench]:
    """In a folder with a short path: sockets lie in it."""
    with tempfile.TemporaryDirectory(prefix="snowshed-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        bench = Bench(Path(folder) / "state", (*options, "--port", str(free_port())))
        try:
            yield bench
        finally:
            bench.clean_up()


def _told(step: Step, result: Result) -> Result:
    note(f"{MARKS[result.outcome]} {step.title} ({result.seconds:.1f} s): {result.detail}")
    return result
