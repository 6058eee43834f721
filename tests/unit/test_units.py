from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snowshed.errors import UserError
from snowshed.units import GIB, KIB, MIB, TIB, format_duration, format_size, parse_duration, parse_memory, parse_size

SIZES = {
    "100G": 100 * GIB,
    "1t": TIB,
    "512M": 512 * MIB,
    "1024K": 1024 * KIB,
    "4096": 4096,
    "6GiB": 6 * GIB,
    "6gib": 6 * GIB,
    " 10 G ": 10 * GIB,
}


@pytest.mark.parametrize(("text", "size"), SIZES.items())
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


def test_a_number_is_bytes_of_disk_and_mib_of_memory() -> None:
    assert parse_size(6144) == 6144
    assert parse_memory(6144) == parse_memory("6GiB") == 6 * GIB


@pytest.mark.parametrize(
    "text", ["abc", "-1G", "0G", "0", "100X", "", "G", "1.5G", "10GB", "1 G B", "\u0661G", True, "1e3", "9" * 5000]
)
def test_what_is_no_size_is_refused_with_what_is_one(text: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_size(text)
    assert isinstance(caught.value, ValueError)
    assert "not a size" in caught.value.message
    assert "100G" in caught.value.hint


@given(st.integers(min_value=1, max_value=1 << 60), st.sampled_from(["", "K", "m", "GiB", "T"]))
def test_a_size_is_its_number_times_its_unit(number: int, unit: str) -> None:
    factor = {"": 1, "k": KIB, "m": MIB, "g": GIB, "t": TIB}[unit[:1].lower()]
    assert parse_size(f"{number}{unit}") == number * factor


@given(st.text())
def test_any_text_is_a_positive_size_or_refused(text: str) -> None:
    with suppress(UserError):
        assert parse_size(text) > 0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("1.5s", 1.5), ("10min", 600), ("3h", 10800), ("250ms", 0.25), ("0", 0), ("1d", 86400)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


def test_a_plain_duration_counts_in_the_unit_of_its_option() -> None:
    assert parse_duration("180", plain_unit=60) == 10800
    assert parse_duration("180s", plain_unit=60) == 180
    with pytest.raises(UserError) as caught:
        parse_duration("soon", plain_unit=60)
    assert caught.value.hint.startswith("Write minutes, or a number with")


@pytest.mark.parametrize("text", ["-1", "soon", "", "1y", "1 2", "nan", "inf", "9" * 400])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="not a duration"):
        parse_duration(text)


def test_sizes_and_durations_for_people() -> None:
    assert [format_size(n) for n in (0, 512 * MIB, 3 * GIB // 2, 100 * GIB)] == ["0 B", "512 MiB", "1.5 GiB", "100 GiB"]
    assert [format_duration(s) for s in (0.42, 12, 200, 7500)] == ["0.4 s", "12 s", "3 min 20 s", "2 h 5 min"]
