"""The figures of several builders as one text."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from snowshed.cli.metrics import merged

ONE = """\
# HELP snowshed_cores Cores.
# TYPE snowshed_cores gauge
snowshed_cores{builder="one"} 4.0
# HELP snowshed_starts_total Boots.
# TYPE snowshed_starts_total counter
snowshed_starts_total{builder="one"} 1.0
"""
TWO = ONE.replace('"one"', '"two"') + "# HELP snowshed_more More.\n# TYPE snowshed_more gauge\nsnowshed_more 1.0\n"


def test_a_family_is_described_once() -> None:
    text = merged([ONE, TWO])
    assert text.count("# TYPE snowshed_cores gauge") == 1
    assert text.count("# HELP snowshed_cores Cores.") == 1
    families = {family.name: family.samples for family in text_string_to_metric_families(text)}
    assert [value.labels["builder"] for value in families["snowshed_cores"]] == ["one", "two"]
    assert [value.labels["builder"] for value in families["snowshed_starts"]] == ["one", "two"]
    assert len(families["snowshed_more"]) == 1


def test_one_builder_is_left_as_it_is() -> None:
    assert merged([ONE]) == ONE
