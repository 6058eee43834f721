"""Following a builder: supervisors of this version and of an older one, and what is left when one ends."""

from __future__ import annotations

import json
import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fakes.samples import sample

from snowshed import PROTOCOL, __version__
from snowshed.cli.figures import Figures
from snowshed.cli.follow import Following
from snowshed.paths import BuilderPaths

REPORT = sample(0.0, None)["report"]


@contextmanager
def supervisor(paths: BuilderPaths, answers: dict[str, list[dict[str, Any]]]) -> Iterator[None]:
    """Greets every client, says what `answers` has for its request, and hangs up."""
    greeting = {"snowshed": __version__, "protocol": PROTOCOL, "builder": paths.name, "pid": 1}
    paths.state.mkdir(exist_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(paths.control))
        listener.listen()

        def serve() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                with client, client.makefile("rwb") as stream:
                    stream.write(json.dumps(greeting).encode() + b"\n")
                    stream.flush()
                    request = json.loads(stream.readline())["request"]
                    for line in answers[request]:
                        stream.write(json.dumps(line).encode() + b"\n")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(10)
            paths.control.unlink()


def told(paths: BuilderPaths, enough: Callable[[Figures], bool]) -> Figures:
    """The figures of a builder that is followed, once they are `enough`."""
    following = Following(60.0)
    try:
        following.follow([paths])
        figures = following.figures[paths.name]
        while not enough(figures):
            assert select.select([following.readable], [], [], 30.0)[0], "nothing came"
            following.take()
        return figures
    finally:
        following.close()


def test_samples_are_taken_in_and_a_supervisor_that_ends_leaves_the_files(tmp_path: Path) -> None:
    paths = BuilderPaths("arm", tmp_path / "arm")
    samples = [{"event": sample(at, processor)} for at, processor in ((1000.0, 50.0), (1002.0, 53.0))]
    seen: list[float | None] = []

    def enough(figures: Figures) -> bool:
        seen.append(figures.processor)
        return figures.report["state"] == "stopped"

    with supervisor(paths, {"watch": [{"event": {"at": 1.0, "kind": "message", "text": "x"}}, *samples]}):
        figures = told(paths, enough)
    assert figures.samples == 3
    assert "went away" not in " ".join(figures.report["notices"])


def test_an_older_supervisor_still_says_how_it_is(tmp_path: Path) -> None:
    paths = BuilderPaths("arm", tmp_path / "arm")
    refusal = {"error": {"kind": "user", "message": "does not understand the request", "hint": ""}}
    with supervisor(paths, {"watch": [refusal], "status": [{"ok": REPORT}]}):
        figures = told(paths, lambda figures: figures.samples > 0)
    assert (figures.report, figures.builds) == (REPORT, None)


def test_a_supervisor_that_fails_is_shown_with_its_reason(tmp_path: Path) -> None:
    paths = BuilderPaths("arm", tmp_path / "arm")
    with supervisor(paths, {"watch": [{"error": {"kind": "bug", "message": "It broke.", "hint": ""}}]}):
        figures = told(paths, lambda figures: figures.samples > 0)
    assert (figures.report["state"], figures.report["notices"]) == ("unknown", ["It broke."])


def test_a_builder_that_is_not_followed_any_more_is_forgotten(tmp_path: Path) -> None:
    following = Following(60.0)
    following.follow([BuilderPaths("one", tmp_path / "one"), BuilderPaths("two", tmp_path / "two")])
    following.follow([BuilderPaths("two", tmp_path / "two")])
    assert list(following.figures) == ["two"]
    following.close()
