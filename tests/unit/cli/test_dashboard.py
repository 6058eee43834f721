"""What `top` shows, at every size."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from fakes.samples import build, sample
from rich.cells import cell_len
from rich.console import Console

from snowshed.cli.dashboard import dashboard
from snowshed.cli.figures import Figures
from snowshed.cli.render import snapshot
from snowshed.cli.report import from_files
from snowshed.paths import BuilderPaths


def shown(figures: list[Figures], width: int = 100, height: int = 40, encoding: str = "utf-8") -> str:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    console = Console(file=stream, width=width, height=height, force_terminal=True, color_system=None)
    console.print(dashboard(figures, console, now=1100.0))
    stream.flush()
    return stream.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]


@pytest.fixture
def busy() -> Figures:
    figures = Figures("arm")
    for at, processor in ((1000.0, 50.0), (1002.0, 55.0)):
        figures.sampled(sample(at, processor, builds=[build("hello-2.12.1", at - 990, processor / 5)], toGuest=int(at)))
    return figures


@pytest.fixture
def asleep() -> Figures:
    figures = Figures("intel")
    figures.rests({**from_files(BuilderPaths("intel", Path("/state/intel"))), "state": "suspended"})
    return figures


def test_a_busy_builder(busy: Figures) -> None:
    text = shown([busy])
    assert "1 builder, 1 running, 1 build " in text
    assert "arm is running" in text
    for words in (
        "250% of 4 cores",
        "700 MiB of 8 GiB, 6 GiB free in it",
        "3 GiB of 100 GiB, 2 GiB used in it",
        "2 connections, 1 B/s",
        "3 min 20 s; suspend in 1 min 0 s",
        "hello-2.12.1",
        "50%",
        "aarch64-linux, 4 cores, qemu (tcg), 127.0.0.1:31222",
    ):
        assert words in text, text


def test_graphs_stay_whole_whatever_is_beside_them(busy: Figures) -> None:
    idle = {"timeout": 10800.0, "action": "suspend", "wanted": "auto", "reason": "", "remaining": None}
    busy.report = {**busy.report, "idle": idle, "connections": 1234567, "held": 7654321, "startedAt": 1.0}
    text = shown([busy], width=80)
    assert "suspend after 3" in text
    disk = next(line for line in text.splitlines() if " disk " in line)
    assert "▁ 3 GiB of" in disk


def test_the_ones_that_rest_have_a_line_each(busy: Figures, asleep: Figures) -> None:
    lines = shown([busy, asleep]).splitlines()
    assert lines[-1].split()[:2] == ["intel", "suspended"]


@pytest.mark.parametrize("width", [20, 40, 63, 64, 80, 100, 200, 400])
def test_no_line_is_wider_than_the_terminal(width: int, busy: Figures, asleep: Figures) -> None:
    for line in shown([busy, asleep], width=width).splitlines():
        assert cell_len(line) <= width


def test_what_is_too_high_for_the_terminal_becomes_lines(busy: Figures, asleep: Figures) -> None:
    assert "cpu " in shown([busy, asleep], height=14)
    text = shown([busy, asleep], height=10)
    assert "cpu " not in text
    assert [line.split()[0] for line in text.splitlines()[1:]] == ["BUILDER", "arm", "intel"]
    assert "hello-2.12.1" in text


def test_a_terminal_without_blocks(busy: Figures) -> None:
    text = shown([busy], encoding="ascii")
    assert "#" in text
    assert "250% of 4 cores" in text


def test_no_builder_at_all() -> None:
    assert "There is no builder yet; `snowshed start` makes one." in shown([])


def test_many_builds(busy: Figures) -> None:
    busy.builds = [build(f"part-{number}", 1.0, 1.0) for number in range(20)]
    text = shown([busy])
    assert "part-7" in text
    assert "part-8" not in text
    assert "and 12 more" in text


def test_text_where_nothing_moves(busy: Figures, asleep: Figures) -> None:
    asleep.report["notices"] = ["Somebody cut it off."]
    lines = snapshot([busy, asleep]).splitlines()
    assert lines[1].split() == ["arm", "running", "aarch64-linux", "250%", "700", "MiB", "3", "GiB", "2", "1"]
    assert lines[2].split()[:2] == ["intel", "suspended"]
    assert lines[5].split() == ["hello-2.12.1", "arm", "12", "s", "50%", "100", "MiB"]
    assert lines[6] == "! intel: Somebody cut it off."


@pytest.mark.parametrize("width", [40, 80, 120])
def test_a_long_remark_leaves_names_and_states_whole(asleep: Figures, width: int) -> None:
    asleep.report["notices"] = ["It was cut off while it was running, by a crash or a power cut; a start mends that."]
    text = shown([asleep], width)
    assert "intel suspended" in " ".join(text.split())
    assert "It was cut" in text
    assert all(cell_len(line) <= width for line in text.splitlines())
