"""What samples, one after the other, say about speed."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes.samples import build, sample

from snowshed.cli.figures import BLOCKS, Figures, graph
from snowshed.cli.report import from_files
from snowshed.paths import BuilderPaths


def test_speeds_are_differences() -> None:
    figures = Figures("arm")
    figures.sampled(sample(1000.0, 50.0, toGuest=100, builds=[build("hello", 10.0, 8.0)]))
    assert (figures.processor, figures.traffic) == (None, None)
    assert figures.speed(figures.builds[0]) == pytest.approx(0.8)  # type: ignore[index]
    figures.sampled(sample(1002.0, 53.0, toGuest=2100, fromGuest=4000, builds=[build("hello", 12.0, 11.0)]))
    assert (figures.processor, figures.traffic) == (1.5, 3000.0)
    assert figures.speed(figures.builds[0]) == pytest.approx(1.5)  # type: ignore[index]
    assert list(figures.processors) == [1.5]


def test_samples_that_come_together_change_no_speed() -> None:
    """A state that changes is shown at once: a tenth of a second later a speed would be noise."""
    figures = Figures("arm")
    for at, processor in ((1000.0, 50.0), (1002.0, 52.0), (1002.1, 52.1)):
        figures.sampled(sample(at, processor))
    assert figures.processor == 1.0
    figures.sampled(sample(1004.0, 53.0))
    assert figures.processor == 0.5


def test_another_guest_begins_anew() -> None:
    figures = Figures("arm")
    for at, processor in ((1000.0, 50.0), (1002.0, 3.0)):
        figures.sampled(sample(at, processor))
    assert figures.processor is None


def test_a_supervisor_that_ends_leaves_no_speed_behind() -> None:
    figures = Figures("arm")
    figures.sampled(sample(1000.0, 50.0))
    figures.sampled(sample(1002.0, 51.0))
    figures.rests(from_files(BuilderPaths("arm", Path("/state/arm"))))
    assert (figures.processor, figures.builds, figures.report["state"]) == (None, None, "stopped")
    figures.sampled(sample(1010.0, 90.0))
    assert figures.processor is None


def test_a_graph_is_as_wide_as_its_place() -> None:
    assert graph([0, 4, 8], 5, 8) == "  " + BLOCKS[0] + BLOCKS[4] + BLOCKS[7]
    assert graph([1] * 9, 4, 1) == BLOCKS[7] * 4
    assert graph([5, 10], 2, 0) == BLOCKS[4] + BLOCKS[7]
    assert graph([], 3, 1) == "   "
    assert graph([1], 0, 1) == ""
    assert graph([99], 1, 1) == BLOCKS[7]
