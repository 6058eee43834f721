"""What README and documentation tell people to write into their configuration is one, as it stands there."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
ON_LINUX = ("builders.md",)


def blocks() -> dict[str, str]:
    """Every configuration in Nix, by page and place there, as a function of `inputs`."""
    found = {}
    for page in PAGES:
        if page.name == "options.md":
            continue
        for number, text in enumerate(re.findall(r"^```nix\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)):
            lines = [line for line in text.splitlines() if not line.startswith("inputs.")]
            body = "\n".join(lines) if text.startswith("{") else "\n".join(["{", *lines, "}"])
            found[f"{page.stem}-{number}"] = f"inputs:\n{body}\n"
    return found


BLOCKS = blocks()
FLAKES = {name for name, text in BLOCKS.items() if "outputs = " in text}
LINUX = {name for name in BLOCKS if f"{name.rpartition('-')[0]}.md" in ON_LINUX}


def write(folder: Path, names: set[str]) -> dict[str, str]:
    """The blocks as files, and as the argument that names them."""
    for name in names:
        (folder / f"{name}.nix").write_text(BLOCKS[name])
    return {"blocks": f"[ {' '.join(str(folder / f'{name}.nix') for name in sorted(names))} ]"}


def test_there_is_something_to_try() -> None:
    assert {"README-0", "macos-0", "modules-0", "virby-0", "darwin-vz-nix-0", "linux-builder-1"} <= BLOCKS.keys()
    assert (len(FLAKES), len(LINUX)) == (1, 2)


def test_every_configuration_parses(any_nix: Callable[[list[str]], str], tmp_path: Path) -> None:
    write(tmp_path, set(BLOCKS))
    any_nix(["--parse", *map(str, tmp_path.glob("*.nix"))])


KINDS = {"mac": BLOCKS.keys() - FLAKES - LINUX, "pc": LINUX, "flake": FLAKES}


@pytest.mark.parametrize("kind", KINDS)
def test_every_configuration_is_a_system(evaluate: Callable[..., Any], tmp_path: Path, kind: str) -> None:
    systems = evaluate("documented.nix", kind, darwin=True, given=write(tmp_path, KINDS[kind]))
    assert len(systems) == len(KINDS[kind])
    assert all(system.endswith(".drv") for system in systems)
