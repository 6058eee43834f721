"""The figures of several builders as one text."""

from __future__ import annotations

import json
import socket
import threading
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from snowshed import PROTOCOL
from snowshed.cli import main as cli
from snowshed.cli.metrics import merged
from snowshed.control.client import ESSENTIAL
from snowshed.paths import BuilderPaths

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


def serve(
    paths: BuilderPaths, *lines: dict[str, object], together: threading.Barrier | None = None, clients: int = 1
) -> threading.Thread:
    """Be a builder's supervisor for so many clients: say `lines`, `together` with others, read one, and leave."""
    paths.ssh.mkdir(parents=True)
    paths.runtime.mkdir(parents=True, exist_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(paths.control))
    listener.listen()

    def answer() -> None:
        with listener:
            for _ in range(clients):
                with listener.accept()[0] as client:
                    if together is not None:
                        together.wait(30)
                    client.sendall(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
                    client.recv(4096) if lines else None

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    return thread


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for variable in ("XDG_DATA_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(variable, raising=False)


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("verb", ["metrics", "list"])
def test_all_are_asked_side_by_side(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each of them answers once all three have been asked, and not before."""
    together, greeting = threading.Barrier(3), {"snowshed": "1", "protocol": PROTOCOL}
    report = dict.fromkeys(ESSENTIAL) | {"state": "running", "notices": []}
    for name in ("one", "two", "zoo"):
        ok = {"text": ONE.replace("one", name)} if verb == "metrics" else report | {"name": name}
        serve(BuilderPaths(name), greeting, {"ok": ok}, together=together)
    assert cli.main([verb]) == 0
    out = capsys.readouterr().out
    assert [name for name in ("one", "two", "zoo") if name not in out] == []
    assert "unknown" not in out


@pytest.mark.usefixtures("home")
def test_a_supervisor_that_does_not_answer_costs_no_figures_of_others(capsys: pytest.CaptureFixture[str]) -> None:
    broken = serve(BuilderPaths("broken"), clients=2)  # who is let go without a word asks once more
    whole = serve(BuilderPaths("whole"), {"snowshed": "1", "protocol": PROTOCOL}, {"ok": {"text": ONE}})
    assert cli.main(["metrics"]) == 1
    out, err = capsys.readouterr()
    assert out == ONE
    assert err.startswith("snowshed: broken: ")
    broken.join()
    whole.join()
