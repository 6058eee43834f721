"""Every option is described, once, and the schema says what a file may hold."""

from __future__ import annotations

from snowshed.config_readers import READERS
from snowshed.config_schema import options, schema
from snowshed.settings import TABLES

OPTIONS = list(options())


def test_every_option_is_described() -> None:
    assert [option.full for option in OPTIONS if not option.description.endswith(".")] == []


def test_no_option_is_left_out() -> None:
    fields = {f"{table}.{name}".lstrip(".") for table, type_ in TABLES.items() for name in type_.__struct_fields__}
    assert fields - {option.full for option in OPTIONS} == {"idle", "watchdog", "nix", "shares"}
    assert set(READERS) <= {option.full for option in OPTIONS}


def test_kinds_are_for_people() -> None:
    kinds = {option.full: option.kind for option in OPTIONS}
    assert kinds["memory"] == "size"
    assert kinds["idle.timeout"] == "duration"
    assert kinds["nix.protocol"] == "ssh-ng, ssh"
    assert kinds["nix.features"] == "list of texts"
    assert kinds["rosetta"] == "true or false"
    assert kinds["shares.*.path"] == "text"


def test_the_schema_allows_what_the_readers_read() -> None:
    definitions = schema()["$defs"]
    builder = definitions["BuilderConfig"]["properties"]
    assert builder["memory"]["type"] == ["number", "string"]
    assert builder["network"]["enum"] == ["nat", "restricted", "none"]
    assert definitions["IdleConfig"]["properties"]["action"]["enum"] == ["auto", "suspend", "pause", "stop"]
    assert definitions["BuilderConfig"]["additionalProperties"] is False
