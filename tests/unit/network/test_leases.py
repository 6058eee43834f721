"""The parser of macOS's lease file: what users' files look like, and any junk at all."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from snowshed.network.leases import find_address, guest_address, parse

MAC = "02:da:72:56:00:01"

ONE = """{
\tname=snowshed
\tip_address=192.168.64.2
\thw_address=1,2:da:72:56:0:1
\tidentifier=1,2:da:72:56:0:1
\tlease=0x67000001
}
"""


def lease(address: str, *, name: str = "", hw: str = "", until: str = "0x67000001") -> str:
    return f"{{\n\tname={name}\n\tip_address={address}\n\thw_address={hw}\n\tidentifier={hw}\n\tlease={until}\n}}\n"


@pytest.mark.parametrize(
    "spelling",
    ["02:da:72:56:00:01", "2:da:72:56:0:1", "02-DA-72-56-00-01", "02:DA:72:56:0:01", "02da.7256.0001", "02da72560001"],
)
def test_the_hardware_address_is_known_in_every_spelling(spelling: str) -> None:
    assert find_address(ONE, mac=spelling) == "192.168.64.2"


def test_zeros_in_the_file_may_be_there_too() -> None:
    assert find_address(lease("192.168.64.3", hw="1,02:DA:72:56:00:01"), mac="2:da:72:56:0:1") == "192.168.64.3"


def test_another_card_is_not_ours() -> None:
    assert find_address(ONE, mac="02:da:72:56:00:02") is None


def test_the_name_finds_a_lease() -> None:
    assert find_address(ONE, hostname="snowshed") == "192.168.64.2"
    assert find_address(ONE, hostname="snow") is None


def test_with_neither_mac_nor_name_nothing_is_found() -> None:
    assert find_address(ONE) is None
    assert find_address(ONE, mac="", hostname="") is None


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("0x67000001", "0x67000099", "192.168.64.3"),
        ("0x67000099", "0x67000001", "192.168.64.2"),
        ("0x67000001", "0x67000001", "192.168.64.3"),  # of equal ones the later in the file
        ("0xffffffff", "0x100000000", "192.168.64.3"),  # as numbers, not as text
        ("1728053249", "0x67000000", "192.168.64.2"),  # a decimal number
        ("", "0x1", "192.168.64.3"),
    ],
)
def test_the_lease_that_ends_last_wins(first: str, second: str, expected: str) -> None:
    text = lease("192.168.64.2", hw="1,2:da:72:56:0:1", until=first)
    text += lease("192.168.64.3", hw="1,2:da:72:56:0:1", until=second)
    assert find_address(text, mac=MAC) == expected


def test_leases_that_ended_before_do_not_count() -> None:
    assert find_address(ONE, mac=MAC, not_before=0x67000001) == "192.168.64.2"
    assert find_address(ONE, mac=MAC, not_before=0x67000002) is None
    assert find_address(ONE, hostname="snowshed", not_before=0x67000002) is None


def test_an_identifier_that_ends_in_the_hardware_address_is_ours() -> None:
    """DUID-LL and DUID-LLT: four bytes of IAID, the type, Ethernet, a time, the address."""
    link_layer = lease("192.168.64.4", hw="ff,72:56:0:1:0:3:0:1:2:da:72:56:0:1")
    with_time = lease("192.168.64.5", hw="ff,72:56:0:1:0:1:0:1:2c:4:e1:9:2:da:72:56:0:1")
    assert find_address(link_layer, mac=MAC) == "192.168.64.4"
    assert find_address(with_time, mac=MAC) == "192.168.64.5"


def test_an_identifier_without_the_hardware_address_is_found_by_name() -> None:
    """What systemd-networkd sends: a vendor's DUID, hashed from the machine id."""
    text = lease("192.168.64.6", name="snowshed", hw="ff,f1:f5:dd:7f:0:2:0:0:ab:11:cb:23:4a:92:e8:14:38:b9")
    assert find_address(text, mac=MAC) is None
    assert find_address(text, mac=MAC, hostname="snowshed") == "192.168.64.6"


def test_the_card_goes_before_the_name() -> None:
    text = lease("192.168.64.7", name="snowshed", hw="ff,1:2:3:4:0:2:0:0:ab:11:cb:23", until="0x77000000") + ONE
    assert find_address(text, mac=MAC, hostname="snowshed") == "192.168.64.2"


def test_a_lease_under_our_name_and_another_card_is_another_machine() -> None:
    text = lease("192.168.64.8", name="snowshed", hw="1,2:da:72:56:0:ff")
    assert find_address(text, mac=MAC, hostname="snowshed") is None
    assert find_address(text, hostname="snowshed") == "192.168.64.8"


@pytest.mark.parametrize(
    "address",
    ["", "0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255", "256.1.1.1", "192.168.64", "::1", "localhost"],
)
def test_no_address_that_leads_to_the_host_itself_or_nowhere(address: str) -> None:
    assert find_address(lease(address, name="snowshed", hw="1,2:da:72:56:0:1"), mac=MAC, hostname="snowshed") is None


def test_a_lease_without_an_address_or_an_end_harms_nobody() -> None:
    text = "{\n\tname=snowshed\n\tlease=0x67000001\n}\n{\n\tname=snowshed\n\tip_address=192.168.64.9\n}\n"
    assert find_address(text, hostname="snowshed") == "192.168.64.9"


@pytest.mark.parametrize(
    "change", [lambda t: t.replace("\n", "\r\n"), lambda t: t.replace("\t", "        "), str.strip]
)
def test_line_ends_and_indentation_do_not_matter(change) -> None:
    assert find_address(change(ONE), mac=MAC) == "192.168.64.2"


def test_values_of_one_lease_never_leak_into_the_next() -> None:
    text = "{\n\tname=snowshed\n\thw_address=1,2:da:72:56:0:1\n}\n{\n\tip_address=192.168.64.10\n\tname=other\n}\n"
    assert find_address(text, mac=MAC, hostname="snowshed") is None


@given(st.text(), st.none() | st.text(max_size=20), st.none() | st.text(max_size=20), st.integers())
@example("lease=" + "9" * 5000 + "\nip_address=10.0.0.1\nname=x", None, "x", 0)
@example("ip_address=10.0.0.1\nhw_address=1,٢:da:72:56:0:1", MAC, None, 0)
def test_no_text_is_an_exception(text: str, mac: str | None, hostname: str | None, not_before: int) -> None:
    found = find_address(text, mac=mac, hostname=hostname, not_before=not_before)
    assert found is None or guest_address(found) == found


LINES = st.one_of(
    st.sampled_from(["{", "}", "name=snowshed", "lease=0x1", "lease=0xzz", "hw_address=", "hw_address=1,", "=", "ff,"]),
    st.builds("ip_address=192.168.64.{}".format, st.integers(-1, 300)),
    st.builds(
        "hw_address={},{}".format, st.sampled_from(["1", "ff", "", "6"]), st.text("0123456789abcdef:, -", max_size=40)
    ),
    st.text(max_size=10),
)


@given(st.lists(LINES, max_size=30).map("\n".join))
def test_files_that_look_nearly_right_give_valid_addresses_only(text: str) -> None:
    for found in parse(text):
        assert guest_address(found.address) == found.address


octet = st.integers(0, 255)
card = st.lists(octet, min_size=6, max_size=6).map(tuple)


@given(card, st.lists(st.tuples(card, octet.filter(lambda n: n), st.integers(1, 2**33)), max_size=8), st.randoms())
def test_ours_is_found_among_others_whatever_the_spelling(ours, others, random) -> None:
    """The newest of the leases of our card, written as macOS does and asked for as anybody would."""
    rows = [(mac, f"10.0.0.{last}", until) for mac, last, until in others] + [(ours, "10.0.1.1", 5)]
    random.shuffle(rows)
    text = "".join(lease(ip, hw="1," + ":".join(f"{n:x}" for n in mac), until=hex(until)) for mac, ip, until in rows)
    mine = [(until, index, ip) for index, (mac, ip, until) in enumerate(rows) if mac == ours]
    assert find_address(text, mac=":".join(f"{n:02X}" for n in ours)) == max(mine)[2]
