"""How far something has come that a person waits for: one way for every verb.

On a terminal a line that moves, with a bar where anybody knows how much there is to do; elsewhere a line for each step;
for programs (`--json`) the supervisor's own events, an object a line, and one of the kind ``done`` at the end; with
`--quiet` only what went wrong.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from ..errors import SnowshedError
from .render import moves, note

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Live

STAGES = ("image", "boot", "disk", "sshd", "nix")
"""Of a start, in the order in which they are reached."""

LABELS = {
    "image": "Preparing the image",
    "boot": "Booting Linux",
    "disk": "Preparing the disk",
    "sshd": "Starting SSH",
    "nix": "Starting Nix",
}
"""What is being done until a stage is reached."""

DOING = {
    "pausing": "Stopping its processors",
    "suspending": "Putting its memory on disk",
    "resuming": "Bringing it back from its memory",
    "stopping": "Shutting the guest down",
}
"""What is being done in a state; `starting` has stages."""

SETTLED = ("running", "failed", "stopped")
"""States in which an operation that fails leaves its builder."""


class How(StrEnum):
    """How a person, or a program, wants to be told."""

    PLAIN = "plain"
    VERBOSE = "verbose"
    """Beside other output: nothing that moves."""
    QUIET = "quiet"
    JSON = "json"


class Progress(Protocol):
    """What is told while somebody waits."""

    def event(self, event: dict[str, Any]) -> None:
        """The supervisor says that something happened (`control.client.Each`)."""

    def moved(self, work: str, fraction: float | None = None) -> None:
        """Work of our own has come so far (`images.progress.Report`)."""


class Quiet:
    """Only what went wrong."""

    def event(self, event: dict[str, Any]) -> None:
        if text := trouble(event):
            note(f"  {text}")

    def moved(self, work: str, fraction: float | None = None) -> None:
        pass


class Lines:
    """Where nobody sees it move: a line for each step, once."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._seen: set[str] = set()

    def event(self, event: dict[str, Any]) -> None:
        if text := trouble(event):
            self._say(f"  {text}")
        elif event["kind"] == "stage":
            self._once(event["stage"], f"{event['stage']}: {event.get('seconds', 0.0):.1f} s")
        elif event["kind"] == "state" and event["state"] in DOING:
            self._once(event["state"], DOING[event["state"]])

    def moved(self, work: str, fraction: float | None = None) -> None:
        self._once(work, f"image: {work}")

    def _once(self, key: str, text: str) -> None:
        if key not in self._seen:
            self._seen.add(key)
            self._say(text)

    def _say(self, text: str) -> None:
        print(text, file=self._stream, flush=True)


class Objects:
    """For programs: an object a line."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._told: tuple[str, int] | None = None

    def event(self, event: dict[str, Any]) -> None:
        _print_object(event, self._stream)

    def moved(self, work: str, fraction: float | None = None) -> None:
        """Every hundredth is enough."""
        told = work, round((fraction or 0.0) * 100)
        if told != self._told:
            self._told = told
            self.event({"at": time.time(), "kind": "progress", "text": work, "fraction": fraction})


class Bar:
    """On a terminal: the work at hand, and a bar that fills where it is known how much there is."""

    def __init__(self, live: Live, doing: str) -> None:
        self._live = live
        self._doing = doing
        self._open = list(STAGES)
        self._task = live.add_task(doing, total=None, note="")

    def event(self, event: dict[str, Any]) -> None:
        kind = event["kind"]
        if text := trouble(event):
            self._live.console.print(text, highlight=False, markup=False)
        elif kind == "stage":
            self._reached(event["stage"])
        elif kind == "progress":
            self._fill(event["text"], event.get("fraction"))
        elif kind == "state" and event["state"] == "starting":
            self._reached("image")
        elif kind == "state" and event["state"] in DOING:
            self._live.update(self._task, description=DOING[event["state"]], total=None, note="")

    def moved(self, work: str, fraction: float | None = None) -> None:
        self._fill(f"{self._doing}: {work}", fraction)

    def _fill(self, text: str, fraction: float | None) -> None:
        if fraction is None:
            self._live.update(self._task, description=text, total=None, note="")
        else:
            self._live.update(self._task, description=text, total=1.0, completed=fraction, note=f"{fraction:.0%}")

    def _reached(self, stage: str) -> None:
        """Stages may come in another order than ours; an image is there before anything boots."""
        self._open = [name for name in self._open if name not in ("image", stage)]
        label, done = LABELS[self._open[0]] if self._open else "Ready", len(STAGES) - len(self._open)
        self._live.update(
            self._task, description=label, total=len(STAGES), completed=done, note=f"{done}/{len(STAGES)}"
        )


class Once:
    """Before another: keeps a sentence of trouble back until something else goes on. The error that the wait may end
    with says the same, and is the one place for it then."""

    def __init__(self, shown: Progress) -> None:
        self._shown = shown
        self._kept: list[dict[str, Any]] = []

    def event(self, event: dict[str, Any]) -> None:
        if trouble(event):
            self._kept.append(event)
        elif event.get("state") in SETTLED:
            self._shown.event(event)
        else:
            self.tell()
            self._shown.event(event)

    def moved(self, work: str, fraction: float | None = None) -> None:
        self._shown.moved(work, fraction)

    def tell(self, error: SnowshedError | None = None) -> None:
        """Show what was kept, but for what `error` says."""
        for event in self._kept:
            if error is None or event["text"] != str(error):
                self._shown.event(event)
        self._kept.clear()


def trouble(event: dict[str, Any]) -> str:
    """What a person has to know of an event, whatever else they want to hear; mostly nothing."""
    is_trouble = event.get("kind") == "message" and event.get("level", "info") != "info"
    return str(event["text"]) if is_trouble else ""


@contextmanager
def progress(doing: str, how: How = How.PLAIN, stream: TextIO | None = None) -> Iterator[Progress]:
    """Tell on `stream` (standard error; standard output for programs) how it goes while the block runs.

    `doing` is what is shown until the first event.
    """
    terminal = sys.stderr if stream is None else stream
    if how is How.JSON:
        yield Objects(stream or sys.stdout)
    elif how is How.QUIET:
        with _once(Quiet()) as shown:
            yield shown
    elif how is How.VERBOSE or not moves(terminal):
        with _once(Lines(terminal)) as shown:
            yield shown
    else:
        from rich.console import Console

        try:
            with bar_on(Console(file=terminal)) as live, _once(Bar(live, doing)) as shown:
                yield shown
        except KeyboardInterrupt:
            print("^C", end="", file=terminal, flush=True)  # again: the bar took it away with its line
            raise


@contextmanager
def _once(progress: Progress) -> Iterator[Progress]:
    once = Once(progress)
    try:
        yield once
    except SnowshedError as error:
        once.tell(error)
        raise
    except BaseException:
        once.tell()
        raise
    once.tell()


def done(text: str, how: How, **facts: Any) -> None:
    """Say that it is done: `text` for people, `facts` beside it for programs."""
    if how is How.JSON:
        _print_object({"at": time.time(), "kind": "done", "text": text, **facts}, sys.stdout)
    elif how is not How.QUIET:
        note(text)


def _print_object(about: dict[str, Any], stream: TextIO) -> None:
    import json  # here: every verb imports this module

    print(json.dumps(about), file=stream, flush=True)


def bar_on(console: Console, clock: Callable[[], float] = time.monotonic) -> Live:
    """A line for the work at hand, a bar, how much is done, and the time since it began."""
    from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Live

    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn())
    more = (TextColumn("{task.fields[note]}"), TimeElapsedColumn())
    return Live(*columns, *more, console=console, transient=True, get_time=clock)
