"""The parser of ``arp -an``."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snowshed.network.arp import entries, find_address, has
from snowshed.network.leases import guest_address

MAC = "02:da:72:56:00:01"
TABLE = """? (192.168.1.1) at 5a:41:b9:a0:5e:64 on en0 ifscope [ethernet]
? (192.168.64.8) at 2:da:72:56:0:1 on bridge100 ifscope [bridge]
? (192.168.64.9) at (incomplete) on bridge100 ifscope [bridge]
? (192.168.64.255) at ff:ff:ff:ff:ff:ff on bridge100 ifscope [bridge]
? (224.0.0.251) at 1:0:5e:0:0:fb on en0 ifscope permanent [ethernet]
"""


@pytest.mark.parametrize("spelling", ["02:da:72:56:00:01", "2:DA:72:56:0:1", "02-da-72-56-00-01", "02da.7256.0001"])
def test_the_card_is_found_in_every_spelling(spelling: str) -> None:
    assert find_address(TABLE, mac=spelling) == "192.168.64.8"


def test_a_full_spelling_in_the_table_is_the_same_card() -> None:
    assert find_address(f"host.local (10.0.0.7) at {MAC} [ether] on eth0", mac="2:da:72:56:0:1") == "10.0.0.7"


def test_the_first_of_several_is_taken() -> None:
    text = f"? (192.168.64.8) at {MAC} on bridge100\n? (192.168.64.42) at {MAC} on bridge100\n"
    assert find_address(text, mac=MAC) == "192.168.64.8"


@pytest.mark.parametrize(
    "line",
    [
        "",
        "? (192.168.64.8) at (incomplete) on bridge100 ifscope [bridge]",
        "? (192.168.64.8) on bridge100 ifscope [bridge]",
        "? (0.0.0.0) at 2:da:72:56:0:1 on bridge100",
        "? (127.0.0.1) at 2:da:72:56:0:1 on lo0",
        "? () at 2:da:72:56:0:1 on bridge100",
        "? (192.168.64.8) at 2:da:72:56:0:10 on bridge100",
        "arp: bad things happened",
    ],
)
def test_nothing_else_is_an_entry_of_ours(line: str) -> None:
    assert find_address(line, mac=MAC) is None


def test_multicast_and_incomplete_entries_are_left_out() -> None:
    assert [address for address, _ in entries(TABLE)] == ["192.168.1.1", "192.168.64.8", "192.168.64.255"]


def test_an_entry_is_confirmed_or_not() -> None:
    assert has(TABLE, address="192.168.64.8", mac=MAC)
    assert not has(TABLE, address="192.168.64.9", mac=MAC)
    assert not has(TABLE, address="192.168.1.1", mac=MAC)


@given(st.text(), st.text(max_size=20))
def test_no_text_is_an_exception(text: str, mac: str) -> None:
    found = find_address(text, mac=mac)
    assert found is None or guest_address(found) == found


FRAGMENTS = st.sampled_from(
    ["? ", "(192.168.64.8)", "(999.1.1.1)", " at ", "2:da:72:56:0:1", "(incomplete)", " on ", "\n", "-:."]
)


@given(st.lists(FRAGMENTS, max_size=30).map("".join))
def test_tables_that_look_nearly_right_give_valid_addresses_only(text: str) -> None:
    assert find_address(text, mac=MAC) in (None, "192.168.64.8")
