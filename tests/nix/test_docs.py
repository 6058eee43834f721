"""docs/options.md is what the modules say."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_the_options_page_is_up_to_date() -> None:
    if not os.environ.get("SNOWSHED_NIXPKGS"):
        pytest.skip("SNOWSHED_NIXPKGS is not set: this test evaluates against that source tree")
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts/option-docs"), "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr or "run scripts/option-docs"


def test_every_option_of_a_configuration_can_be_set_in_nix() -> None:
    """By an option of its own, or by `settings`, whose documentation names the schema."""
    page = (ROOT / "docs/options.md").read_text()
    for name in ("cores", "memory", "diskSize", "driver", "port", "onDemand.ttl", "idleTimeout", "settings"):
        assert f"### services.snowshed.{name}" in page


@pytest.mark.parametrize("page", ["darwin-vz-nix", "virby", "linux-builder", "nix-rosetta-builder"])
def test_options_that_the_migration_pages_name_exist(page: str) -> None:
    options = (ROOT / "docs/options.md").read_text()
    text = (ROOT / f"docs/migration/{page}.md").read_text()
    named = {word.strip("`,.;:") for word in text.replace("|", " ").split() if word.startswith("`services.snowshed.")}
    names = {name.split("=")[0].strip() for name in named}
    assert {name for name in names if f"### {name}" not in options and not name.endswith((".*", ".enable"))} == set()


def test_the_nix_package_has_what_the_python_package_needs() -> None:
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    names = {word.split(">")[0].split("=")[0].strip().replace(".", "-").replace("_", "-") for word in needed}
    library = (ROOT / "nix/packages/library.nix").read_text()
    assert {name for name in names if f"pkgs.{name}\n" not in library} == set()
